"""The parts of tests/bench/cache. Each takes a Bench and gives rows of the table."""

import base64
import contextlib
import os
import resource
import socket
import subprocess
import threading
import time

from accounts import name, password, rows, sqlite_file, ssha, write_users
from servers import PATIENCE, PEERS, Bare, Broken, confine, load, median, progress
from setups import dovecot, gatepost
from sources import MariaDb, Slapd, free_port

MANY = ["--connections", 4, "--depth", 16]
# For what takes a tenth of a second each time.
FEW = ["--connections", 4, "--depth", 1]
# Wrong passwords and unknown users among others, whose answers have to be right as well.
CHECK = ["--connections", 16, "--depth", 64, "--requests", 1000, "--bad", 30, "--unknown", 30]
CHECK_FEW = [*FEW, "--requests", 20, "--bad", 30, "--unknown", 30]


class Row:
    """One line of the table: what was measured, and what it should be."""

    def __init__(self, what, value, unit="", least=None, most=None):
        self.what, self.value, self.unit, self.least, self.most = what, value, unit, least, most

    def met(self):
        if self.least is not None:
            return self.value >= self.least
        return None if self.most is None else self.value <= self.most

    def target(self):
        if self.least is not None:
            return f"at least {self.least:g}"
        return "" if self.most is None else f"at most {self.most:g}"


class Bench:
    """What all parts need. `results` keeps every run, for --json."""

    def __init__(self, options, binary, bare, place):
        self.options, self.binary, self.bare, self.place = options, binary, bare, place
        self.results, self.parts = [], contextlib.ExitStack()
        self.fleet_of = {}

    def users(self, count):
        file = self.place / f"users.{count}"
        if not file.exists():
            write_users(file, count)
        return file

    def database(self, count, stored=ssha):
        file = self.place / f"{count}.{stored.__name__}.db"
        if not file.exists():
            sqlite_file(file, count, stored)
        return file

    def ours(self, kind, **options):
        return gatepost(self.binary, kind, **options)

    def keep(self, server):
        """Until everything ends."""
        self.parts.callback(server.stop)
        return server

    @contextlib.contextmanager
    def running(self, server):
        try:
            yield server
        finally:
            server.stop()

    def drive(self, server, users, *arguments, **options):
        result = load(self.binary, server, users, *arguments, "--pid", server.pids()[0], "--children", **options)
        self.results.append({"server": server.name, "arguments": [str(word) for word in arguments], **result})
        server.after_run()
        return result

    def turns(self, servers, users, *arguments, drive=None):
        """Name -> results: the servers take turns, so that what disturbs the machine disturbs all of them."""
        results = {}
        for _ in range(self.options.runs):
            for server in servers:
                result = (drive or self.drive)(server, users, *arguments, "--duration", self.options.seconds)
                results.setdefault(server.name, []).append(result)
        return results

    def warm(self, server, users, shape=MANY):
        """Asks for everybody, again if not everybody could be answered."""
        for _ in range(20):
            if self.drive(server, users, *shape, "--once", allowed=(0, 75))["other"] == 0:
                return server
        raise Broken(f"{server.name}: after 20 rounds some logins still fail")

    def fleet(self, count, stored=ssha):
        """All servers over one MariaDB, everybody's cache warm: (file of users, name -> server)."""
        if stored not in self.fleet_of:
            users, port = self.users(count), free_port()
            self.keep(MariaDb(list(rows(count, stored)), port))
            servers = [dovecot("2.3", "sql", port), dovecot("2.4", "sql", port), self.ours("sql", port=port),
                       self.ours("sql", port=port, filter="warn", name="gatepost, no events")]
            for server in map(self.keep, servers):
                load(self.binary, server, users, *(CHECK if stored is ssha else CHECK_FEW), allowed=(0, 75))
                self.warm(server, users, MANY if stored is ssha else FEW)
            if stored is ssha:
                servers.append(self.keep(Bare(self.bare, users)))
            self.fleet_of[stored] = users, {server.name: server for server in servers}
        return self.fleet_of[stored]


def cpu(results, server):
    return median(results[server], "server_cpu_us_per_request")


def cpu_rows(results):
    return [Row(f"CPU, {server}", cpu(results, server), "us") for server in results]


def warm(bench):
    """10,000 users with {SSHA}, 4 connections x 16 requests in flight."""
    users, servers = bench.fleet(10_000)
    results = bench.turns(servers.values(), users, *MANY, "--warm-up", 1000)
    yield from cpu_rows(results)
    for server in results:
        yield Row(f"rate, {server}", median(results[server], "requests_per_second"), "/s")
    ours, bare = cpu(results, "gatepost"), cpu(results, "bare server")
    yield Row("CPU of Dovecot 2.3 by gatepost's", cpu(results, "Dovecot 2.3") / ours, "x", least=6)
    yield Row("CPU of Dovecot 2.4 by gatepost's", cpu(results, "Dovecot 2.4") / ours, "x", least=9)
    yield Row("CPU of gatepost by the bare server's", ours / bare, "x", most=2)
    yield Row("the same without events", cpu(results, "gatepost, no events") / bare, "x", most=1.6)


def hashes(bench):
    """Costly schemes: 20 users each, and 4 requests in flight at Dovecot, which has many of them waiting a long time."""
    for scheme in ("BLF-CRYPT", "ARGON2ID"):
        stored = hashed(scheme)
        users, servers = bench.fleet(20, stored)
        compared = [servers[name] for name in ("Dovecot 2.3", "Dovecot 2.4", "gatepost")]

        def drive(server, *arguments):
            return bench.drive(server, *arguments, *(MANY if server.name == "gatepost" else FEW))

        results = bench.turns(compared, users, drive=drive)
        for row in cpu_rows(results):
            row.what = f"{scheme}: {row.what}"
            yield row
        for version in ("2.3", "2.4"):
            times = cpu(results, f"Dovecot {version}") / cpu(results, "gatepost")
            yield Row(f"{scheme}: CPU of Dovecot {version} by gatepost's", times, "x", least=500)


def hashed(scheme):
    """Stored passwords as Dovecot's own tool makes them."""
    tree = (PEERS / "bookworm").resolve(strict=True)

    def stored(number):
        command = ["chroot", tree, "doveadm", "-O", "pw", "-s", scheme, "-p", password(number)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    stored.__name__ = scheme
    return stored


def one(bench):
    """One request at a time, server and load on one core: between two, it is mostly the time of waking one up."""
    users, servers = bench.fleet(10_000)
    everywhere = os.sched_getaffinity(0)
    here = {min(everywhere)}

    def pinned(server, *arguments):
        confine(server.pids(), here)
        os.sched_setaffinity(0, here)
        try:
            return bench.drive(server, *arguments)
        finally:
            os.sched_setaffinity(0, everywhere)
            confine(server.pids(), everywhere)

    results = bench.turns(servers.values(), users, "--connections", 1, "--depth", 1, "--warm-up", 1000, drive=pinned)
    p50 = {server: median(runs, "latency_us", "p50") for server, runs in results.items()}
    for server, micros in p50.items():
        yield Row(f"p50, {server}", micros, "us")
    yield Row("p50 of gatepost by the bare server's", p50["gatepost"] / p50["bare server"], "x", most=1.3)


def cores(bench):
    """Everything on one core, then on two. Two loads, so that the load has no more trouble with two cores than with one:
    what is missing to twice the rate is the server's, or that it waits. Both rates are for what the other processes of the
    machine left of these cores. What the server itself loses by sharing shows in the CPU of a request."""
    everywhere = sorted(os.sched_getaffinity(0))
    if len(everywhere) < 2:
        raise Broken("cores: this machine has one")
    file, users = bench.database(1000), bench.users(1000)
    rates, costs = {1: [], 2: []}, {1: [], 2: []}
    with bench.running(bench.ours("sqlite", file=file)) as server:
        bench.warm(server, users)
        for _ in range(bench.options.runs):
            for count in rates:
                rate, cost = saturate(bench, server, users, everywhere[:count])
                rates[count].append(rate)
                costs[count].append(cost)
    rate, cost = ({count: median(runs) for count, runs in table.items()} for table in (rates, costs))
    for count in rate:
        yield Row(f"rate on {count}, load included", rate[count], "/s")
        yield Row(f"CPU on {count}", cost[count], "us")
    yield Row("rate on 2 by that on 1", rate[2] / rate[1], "x", least=1.7)
    yield Row("the server alone: 2 x CPU on 1 by that on 2", 2 * cost[1] / cost[2], "x")


def saturate(bench, server, users, here):
    """Two loads and the server on these cores: requests a second of theirs, and the server's CPU for one."""
    everywhere = os.sched_getaffinity(0)
    confine(server.pids(), here)
    os.sched_setaffinity(0, here)
    arguments = ["--connections", 8, "--depth", 16, "--duration", bench.options.seconds]
    results = []
    loads = [threading.Thread(target=lambda: results.append(load(bench.binary, server, users, *arguments)))
             for _ in range(2)]
    try:
        idle_before, load_before, before = idle(here), cpu_of_children(), cpu_seconds(server.pid())
        for thread in loads:
            thread.start()
        for thread in loads:
            thread.join()
        used = cpu_seconds(server.pid()) - before
        there_was = used + cpu_of_children() - load_before + idle(here) - idle_before
    finally:
        os.sched_setaffinity(0, everywhere)
        confine(server.pids(), everywhere)
    server.after_run()
    if len(results) != 2:
        raise Broken("cores: a load did not come to its end")
    bench.results += results
    requests = sum(result["requests"] for result in results)
    return requests * len(here) / there_was, used * 1e6 / requests


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_of_children():
    """Of those that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def idle(cores):
    """Seconds in which these had nothing to do."""
    lines = (line.split() for line in open("/proc/stat"))
    counts = {words[0]: int(words[4]) + int(words[5]) for words in lines if words[0].startswith("cpu")}
    return sum(counts[f"cpu{core}"] for core in cores) / os.sysconf("SC_CLK_TCK")


def connect(bench):
    """A new connection for each login, 16 at a time."""
    users, servers = bench.fleet(10_000)
    results = bench.turns(servers.values(), users, "--reconnect", "--connections", 16, "--warm-up", 200)
    yield from cpu_rows(results)
    times = cpu(results, "Dovecot 2.3") / cpu(results, "gatepost")
    yield Row("CPU of Dovecot 2.3 by gatepost's", times, "x", least=3)


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
                        result = bench.drive(server, users, "--connections", 16, "--depth", 64, "--once", allowed=(0, 75))
                        results.setdefault(server.name, []).append(result)
        for server, runs in results.items():
            targets = (0, 1000) if server == "gatepost" else (None, None)
            failures = sum(run["other"] for run in runs)
            slowest = max(run["latency_us"]["max"] for run in runs) / 1000
            yield Row(f"{make.__name__}: failures, {server}, of {len(runs)} x 1000", failures, most=targets[0])
            yield Row(f"{make.__name__}: slowest, {server}", slowest, "ms", most=targets[1])


def million(bench):
    """As many accounts as --accounts says, all in memory: what they take, and what a hit costs in any order."""
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
            small = bench.keep(bench.ours(kind, file=file, filter="warn", name="gatepost, few"))
            bench.warm(small, few)

            def drive(server, _, *arguments):
                return bench.drive(server, users if server is large else few, *arguments)

            results = bench.turns([large, small], users, *MANY, "--warm-up", 1000, drive=drive)
            yield Row(f"CPU, {count:,} users", cpu(results, "gatepost"), "us")
            yield Row("CPU, 10,000 users", cpu(results, "gatepost, few"), "us")
            times = cpu(results, "gatepost") / cpu(results, "gatepost, few")
            yield Row("CPU of a hit among all by that among 10,000", times, "x", most=1.5)
    with bench.running(bench.ours("sqlite", file=file)) as server:
        starts = [first_answer(server) * 1000 for _ in range(max(5, bench.options.runs))]
    yield Row("from the start to the first answer", median(starts), "ms", most=50)


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
    begun = time.monotonic()
    server.spawn()
    while True:
        with socket.socket(socket.AF_UNIX) as peer:
            if peer.connect_ex(str(server.socket)) == 0:
                peer.sendall(f"VERSION\t1\t2\nCPID\t{1 << 31}\nAUTH\t1\tPLAIN\tservice=imap\tresp={response}\n".encode())
                peer.settimeout(PATIENCE)
                for line in peer.makefile("rb"):
                    if line.startswith(b"OK\t1\t"):
                        return time.monotonic() - begun
                    if line.startswith(b"FAIL\t"):
                        raise Broken(f"{server.name}: {line!r}")
        if time.monotonic() - begun > PATIENCE:
            raise Broken(f"{server.name}: no answer after its start")
        time.sleep(0.0005)


def churn(bench):
    """Logins of many more users than there is room for."""
    count = bench.options.accounts
    room = max(8, count * 32 >> 20)
    file, users = bench.database(count), bench.users(count)
    peaks = {}
    for name, seconds, limits in (("off", min(10, bench.options.churn), {"ttl": "0s"}),
                                  ("on", bench.options.churn, {"max_memory": f"{room}MiB"})):
        with bench.running(bench.ours("sqlite", file=file, filter="warn", **limits)) as server:
            peaks[name] = peak(server, lambda: bench.drive(server, users, *MANY, "--duration", seconds))
    yield Row(f"the daemon without a cache, {min(10, bench.options.churn):g} s", peaks["off"] / 2**20, "MiB")
    yield Row(f"with room for {room} MiB, {bench.options.churn:g} s", peaks["on"] / 2**20, "MiB")
    yield Row("what the cache takes by its room", (peaks["on"] - peaks["off"]) / (room << 20), "x", most=1.2)


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
    """Of a hundred requests one is good, and wrong passwords and unknown names never come twice, so that each is asked of
    the directory. Requests have their times, and count from these."""
    rate, users = 10_000, bench.users(1000)
    with bench.running(bench.ours("sqlite", file=bench.database(1000))) as server:
        bench.warm(server, users)
        alone, among = [], []
        for _ in range(bench.options.runs):
            for results, arguments in ((alone, [rate // 100]), (among, [rate, "--bad", 50, "--unknown", 49, "--fresh"])):
                result = bench.drive(server, users, *MANY, "--duration", bench.options.garbage, "--rate", *arguments,
                                     allowed=(0, 75))
                results.append(result["kinds"]["good"]["p99"])
        missed = sum(result["other"] for result in bench.results[-2 * bench.options.runs:])
    yield Row(f"p99 of the good, {rate // 100} a second and nothing else", median(alone), "us")
    yield Row(f"p99 of the good among {rate} a second", median(among), "us")
    yield Row("temporary failures", missed)
    yield Row("p99 among garbage by that without", median(among) / median(alone), "x", most=3)


PARTS = {part.__name__: part for part in (warm, one, connect, hashes, cores, cold, million, churn, garbage)}


def run(bench, chosen):
    """Part -> rows."""
    table = {}
    with bench.parts:
        for part in chosen:
            begun = time.monotonic()
            table[part] = list(PARTS[part](bench))
            progress(f"{part}: done in {time.monotonic() - begun:.0f} s")
    return table
