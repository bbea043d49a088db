"""What the parts of tests/bench/cache share: the servers, the load, and rows of the table."""

import contextlib

from accounts import rows, sqlite_file, ssha, write_users
from servers import Bare, Broken, load, median
from setups import dovecot, gatepost
from sources import MariaDb, free_port

MANY = ["--connections", 4, "--depth", 16]
# For what takes a tenth of a second each time.
FEW = ["--connections", 4, "--depth", 1]
# Wrong passwords and unknown users among others, whose answers have to be right as well.
CHECK = ["--connections", 16, "--depth", 64, "--requests", 1000, "--bad", 30, "--unknown", 30]
CHECK_FEW = [*FEW, "--requests", 12, "--bad", 30, "--unknown", 30]


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
