"""Parts of tests/bench/cache about what a hit costs. Each takes a Bench and gives rows of the table."""

import os
import resource
import subprocess
import threading

from accounts import password
from figures import FEW, MANY, Row, cpu
from servers import PEERS, Bare, Broken, confine, load, median


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


def cpu_rows(results):
    return [Row(f"CPU, {server}", cpu(results, server), "us") for server in results]


def hashes(bench):
    """Costly schemes: 8 users each, and 4 requests in flight at Dovecot, which has many of them waiting a long time."""
    for scheme in ("BLF-CRYPT", "ARGON2ID"):
        stored = hashed(scheme)
        users, servers = bench.fleet(8, stored)
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
    """Everything on one core, then on two: sixteen connections, once all in processes of their own, as login processes
    have them, and once eight in a process. Both rates are for what the other processes of the machine left of these
    cores. The server has one thread for each core that it found when it started, and each keeps the connections that it
    has accepted, hardly more than another one: on one core they take turns, and their changes are part of what a
    request costs there. What it loses by sharing shows in the CPU of a request. Two bare servers share nothing, and have
    half of the loads each: what they lose is the machine's. A process with many connections has all of them with one bare
    server, and is woken for many answers at once; of gatepost's threads each wakes it for its own, which shows in the
    CPU of the load."""
    everywhere = sorted(os.sched_getaffinity(0))
    if len(everywhere) < 2:
        raise Broken("cores: this machine has one")
    file, users = bench.database(1000), bench.users(1000)
    ours = bench.keep(bench.ours("sqlite", file=file))
    bench.warm(ours, users)
    bare = [bench.keep(Bare(bench.bare, users, name=f"bare server {number}")) for number in (1, 2)]
    for loads, connections in ((16, 1), (2, 8)):
        shape = f"{loads} processes of {connections}"
        for name, servers, least in (("gatepost", [ours], 1.7), ("two bare servers", bare, None)):
            rates, costs = {1: [], 2: []}, {1: [], 2: []}
            for _ in range(bench.options.runs):
                for count in rates:
                    rate, cost = saturate(bench, servers, users, everywhere[:count], loads, connections)
                    rates[count].append(rate)
                    costs[count].append(cost)
            rate, cost = ({count: median(runs) for count, runs in table.items()} for table in (rates, costs))
            for count in rate:
                yield Row(f"{shape}, {name}: rate on {count}, load included", rate[count], "/s")
                yield Row(f"{shape}, {name}: CPU on {count}", cost[count], "us")
            yield Row(f"{shape}, {name}: rate on 2 by that on 1", rate[2] / rate[1], "x", least=least)
            yield Row(f"{shape}, {name}, alone: 2 x CPU on 1 by that on 2", 2 * cost[1] / cost[2], "x")


def saturate(bench, servers, users, here, count, connections):
    """So many loads and the servers on these cores: requests a second of theirs, and the servers' CPU for one."""
    everywhere = os.sched_getaffinity(0)
    pids = [pid for server in servers for pid in server.pids()]
    confine(pids, here)
    os.sched_setaffinity(0, here)
    arguments = ["--connections", connections, "--depth", 16, "--duration", bench.options.seconds]
    results = []
    loads = [threading.Thread(target=lambda server: results.append(load(bench.binary, server, users, *arguments)),
                              args=(servers[number % len(servers)],)) for number in range(count)]
    try:
        idle_before, load_before, before = idle(here), cpu_of_children(), sum(map(cpu_seconds, pids))
        for thread in loads:
            thread.start()
        for thread in loads:
            thread.join()
        used = sum(map(cpu_seconds, pids)) - before
        there_was = used + cpu_of_children() - load_before + idle(here) - idle_before
    finally:
        os.sched_setaffinity(0, everywhere)
        confine(pids, everywhere)
    for server in servers:
        server.after_run()
    if len(results) != count:
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
