"""Parts of tests/bench/cache about many at once: users, requests, and those who should not be there. Each takes a Bench
and gives rows of the table."""

import base64
import socket
import threading
import time

from accounts import name, password, rows, ssha
from figures import MANY, Row, cpu
from servers import PATIENCE, Bare, Broken, median
from setups import dovecot
from sources import MariaDb, Slapd, free_port


# A thousand, and room for a few more.
AT_ONCE = ["--connections", 16, "--depth", 64]


def cold(bench):
    """A thousand logins at once, nobody in the cache: each time of a server that has just started."""
    users = bench.users(1000)
    for kind, make in (("sql", MariaDb), ("ldap", Slapd)):
        port, results = free_port(), {}
        with bench.running(make(list(rows(1000, ssha)), port)):
            starts = [lambda: dovecot("2.3", kind, port), lambda: dovecot("2.4", kind, port),
                      lambda: bench.ours(kind, port=port)]
            for turn in range(bench.options.runs):
                # Dovecot 2.4 takes 13 s.
                for start in starts[2:] if bench.options.quick and turn > 0 else starts:
                    with bench.running(start()) as server:
                        result = bench.drive(server, users, *AT_ONCE, "--once", allowed=(0, 75))
                        results.setdefault(server.name, []).append(result)
        for server, runs in results.items():
            targets = (0, 1000) if server == "gatepost" else (None, None)
            failures = sum(run["other"] for run in runs)
            slowest = max(run["latency_us"]["max"] for run in runs) / 1000
            yield Row(f"{make.__name__}: failures, {server}, of {len(runs)} x 1000", failures, most=targets[0])
            yield Row(f"{make.__name__}: slowest, {server}", slowest, "ms", most=targets[1])


def million(bench):
    """As many accounts as --accounts says, all in memory: what they take, and what a hit costs in any order. Among many,
    the processor does not have at hand what it needs; the bare server tells how much of the difference is that."""
    count = bench.options.accounts
    file, users, few = bench.database(count), bench.users(count), bench.users(10_000)
    for kind, target in (("sqlite", 170), ("sqlite, fields", 306)):
        with bench.running(bench.ours(kind, file=file, filter="warn", ttl="0s")) as off:
            bench.warm(off, users)
            without = resident(off)
        with bench.running(bench.ours(kind, file=file, filter="warn")) as large:
            bench.warm(large, users)
            entry = (resident(large) - without) / count
            yield Row(f"{'without' if kind == 'sqlite' else 'with'} fields: a user takes", entry, "bytes", most=target)
            if kind != "sqlite":
                continue
            yield from among_many(bench, large, file, users, few)
    with bench.running(bench.ours("sqlite", file=file)) as server:
        starts = [first_answer(server) * 1000 for _ in range(max(5, bench.options.runs))]
    yield Row("from the start to the first answer", median(starts), "ms", most=50)


def among_many(bench, large, file, users, few):
    servers = {large: users, bench.keep(Bare(bench.bare, users)): users}
    small = bench.keep(bench.ours("sqlite", file=file, filter="warn", name="gatepost, few"))
    bench.warm(small, few)
    servers |= {small: few, bench.keep(Bare(bench.bare, few, name="bare server, few")): few}

    def drive(server, _, *arguments):
        return bench.drive(server, servers[server], *arguments)

    results = bench.turns(servers, users, *MANY, "--warm-up", 1000, drive=drive)
    times = {}
    for server in ("gatepost", "bare server"):
        times[server] = cpu(results, server) / cpu(results, f"{server}, few")
        yield Row(f"CPU among all, {server}", cpu(results, server), "us")
        yield Row(f"CPU among 10,000, {server}", cpu(results, f"{server}, few"), "us")
    yield Row("CPU of a hit among all by that among 10,000", times["gatepost"], "x", most=1.5)
    yield Row("the same of the bare server", times["bare server"], "x")


def resident(server):
    """Bytes in memory."""
    for line in open(f"/proc/{server.pid()}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise Broken(f"{server.name}: no VmRSS")


def first_answer(server):
    """Starts it anew; seconds until a login is answered."""
    server.process.terminate()
    server.process.wait(PATIENCE)
    response = base64.b64encode(f"\0{name(0)}\0{password(0)}".encode()).decode()
    request = f"VERSION\t1\t2\nCPID\t{1 << 31}\nAUTH\t1\tPLAIN\tservice=imap\tresp={response}\n"
    begun = time.monotonic()
    server.spawn()
    while True:
        with socket.socket(socket.AF_UNIX) as peer:
            if peer.connect_ex(str(server.socket)) == 0:
                peer.settimeout(PATIENCE)
                peer.sendall(request.encode())
                for line in peer.makefile("rb"):
                    if line.startswith(b"OK\t1\t"):
                        return time.monotonic() - begun
                    if line.startswith(b"FAIL\t"):
                        raise Broken(f"{server.name}: {line!r}")
        if time.monotonic() - begun > PATIENCE:
            raise Broken(f"{server.name}: no answer after its start")
        time.sleep(0.0005)


def churn(bench):
    """Logins of many more users than there is room for. What the daemon holds without a cache is what its readers have of
    the database, for the most part: that grows a little with time, and counts as the cache's own."""
    count = bench.options.accounts
    room = max(8, count * 32 >> 20)
    file, users = bench.database(count), bench.users(count)
    for kind in ("sqlite", "sqlite, fields"):
        what, peaks = "without fields" if kind == "sqlite" else "with fields", {}
        for name, seconds, limits in (("off", min(10, bench.options.churn), {"ttl": "0s"}),
                                      ("on", bench.options.churn, {"max_memory": f"{room}MiB"})):
            with bench.running(bench.ours(kind, file=file, filter="warn", **limits)) as server:
                peaks[name] = peak(server, lambda: bench.drive(server, users, *MANY, "--duration", seconds))
        taken = (peaks["on"] - peaks["off"]) / (room << 20)
        yield Row(f"{what}: no cache, {min(10, bench.options.churn):g} s", peaks["off"] / 2**20, "MiB")
        yield Row(f"{what}: room for {room} MiB, {bench.options.churn:g} s", peaks["on"] / 2**20, "MiB")
        yield Row(f"{what}: what the cache takes by its room", taken, "x", most=1.2)


def peak(server, drive):
    """The most that it holds meanwhile."""
    ended, most = threading.Event(), [resident(server)]

    def watch():
        while not ended.wait(0.1):
            most.append(resident(server))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        drive()
    finally:
        ended.set()
        watching.join()
    return max(most)


def garbage(bench):
    """Of a hundred requests one is good, and wrong passwords and unknown names never come twice, so that each is asked
    of the directory. Requests have their times, and count from these."""
    rate, users = 10_000, bench.users(1000)
    with bench.running(bench.ours("sqlite", file=bench.database(1000))) as server:
        bench.warm(server, users)
        alone, among = [], []
        for _ in range(bench.options.runs):
            mix = [rate, "--bad", 50, "--unknown", 49, "--fresh"]
            for results, arguments in ((alone, [rate // 100]), (among, mix)):
                result = bench.drive(server, users, *MANY, "--duration", bench.options.garbage, "--rate", *arguments,
                                     allowed=(0, 75))
                results.append(result["kinds"]["good"]["p99"])
        missed = sum(result["other"] for result in bench.results[-2 * bench.options.runs:])
    yield Row(f"p99 of the good, {rate // 100} a second and nothing else", median(alone), "us")
    yield Row(f"p99 of the good among {rate} a second", median(among), "us")
    yield Row("temporary failures", missed)
    yield Row("p99 among garbage by that without", median(among) / median(alone), "x", most=3)
