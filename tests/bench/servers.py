"""What the benchmarks share: servers in places of their own, the load, and the build."""

import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = pathlib.Path(os.environ.get("GATEPOST_PEERS", "/var/cache/gatepost-peers"))
# How long a server may take to start or to end, in seconds.
PATIENCE = 30


class Broken(Exception):
    """Something did not start, did not end, or answered wrongly."""


class Server:
    """A server in a place of its own: a new directory, removed with the server."""

    def __init__(self, name, below, passwd=None):
        below.mkdir(parents=True, exist_ok=True)
        # The tests sweep away what lies here under the pid of a process that is gone.
        self.place = pathlib.Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-bench-", dir=below))
        self.name, self.socket, self.process = name, self.place / "run/auth-client", None
        self.place.chmod(0o755)
        if passwd is not None:
            shutil.copy(passwd, self.place / "passwd")
            (self.place / "passwd").chmod(0o644)

    def launch(self, command, log):
        # It ends with this script, also when that is killed.
        self.words, self.output = ["setpriv", "--pdeathsig", "TERM", *map(str, command)], log
        self.spawn()
        wait(f"{self.name} listens", self.listens, lambda: self.last_words(log))

    def spawn(self):
        with open(self.output, "ab") as out:
            self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def listens(self):
        if self.process.poll() is not None:
            raise Broken(f"{self.name} ended with {self.process.returncode}")
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def last_words(self, log):
        return log.read_text(errors="replace")[-2000:]

    def after_run(self):
        """Makes room on the disk."""

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.place)


class Dovecot(Server):
    """`config` is dovecot.conf with {place} in it; `files` are more, by name, with the same."""

    def __init__(self, name, suite, config, passwd=None, files=()):
        # Not by the link, which may come to lead elsewhere while the server runs.
        tree = (PEERS / suite).resolve(strict=True)
        super().__init__(name, tree / "srv/gp", passwd)
        (self.place / "run").mkdir()
        inside = "/" / self.place.relative_to(tree)
        for file, text in [("dovecot.conf", config), *dict(files).items()]:
            (self.place / file).write_text(text.format(place=inside))
        command = ["chroot", tree, "dovecot", "-F", "-c", inside / "dovecot.conf"]
        self.launch(command, self.place / "dovecot.log")

    def pid(self):
        """The `auth` process, which the master starts when somebody connects."""
        pids = []

        def found():
            pids[:] = [pid for pid in children(self.process.pid) if name_of(pid) == "auth"]
            return len(pids) == 1

        wait(f"{self.name} has one auth process", found)
        return pids[0]

    def pids(self):
        """All of it: SQL has workers."""
        return [self.process.pid, *children(self.process.pid)]


class Gatepost(Server):
    """`config` is gatepost.toml with {place} in it. `below` is where its place is."""

    def __init__(self, name, binary, config, passwd=None, below=None):
        super().__init__(name, below or pathlib.Path(tempfile.gettempdir()), passwd)
        written, self.log = self.place / "gatepost.toml", self.place / "gatepost.log"
        written.write_text(config.replace("{place}", str(self.place)))
        self.launch([binary, "serve", "--config", written], self.log)

    def pid(self):
        return self.process.pid

    def pids(self):
        return [self.process.pid]

    def after_run(self):
        os.truncate(self.log, 0)


class Bare(Server):
    """The yardstick: bare.rs."""

    def __init__(self, binary, users, name="bare server"):
        super().__init__(name, pathlib.Path(tempfile.gettempdir()))
        (self.place / "run").mkdir()
        self.launch([binary, self.socket, users], self.place / "bare.log")

    def pids(self):
        return [self.process.pid]


def confine(pids, cores):
    """Lets all threads of processes run on these cores only."""
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), cores)


def wait(what, condition, details=lambda: ""):
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > PATIENCE:
            raise Broken(f"waited {PATIENCE} s in vain until {what}\n{details()}")
        time.sleep(0.02)


def stat(pid):
    """Name and parent of a process, or None when it is gone."""
    try:
        head, rest = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)
    except OSError:
        return None
    return head.split("(", 1)[1], int(rest.split()[1])


def name_of(pid):
    found = stat(pid)
    return found and found[0]


def children(parent):
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return [pid for pid in pids if (found := stat(pid)) and found[1] == parent]


def load(binary, server, users, *arguments, allowed=(0,)):
    """Drives one server once; raises if an answer is wrong or missing. With 75 `allowed`, an answer may be a temporary
    failure."""
    command = [binary, "bench", "--json", "--socket", server.socket, "--users", users, *arguments]
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode not in allowed or '"requests"' not in done.stdout:
        raise Broken(f"{server.name}: {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def median(results, *path):
    """Of results, or of what they have there."""
    def value(result):
        for key in path:
            result = result[key]
        return result

    return statistics.median(map(value, results))


def progress(text):
    print(text, file=sys.stderr, flush=True)


def build():
    """A release build made now, with the bare server beside it."""
    command = ["cargo", "build", "--locked", "--release", "--quiet", "--bins", "--features", "yardstick"]
    subprocess.run(command, cwd=ROOT, check=True)
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    return pathlib.Path(target) / "release/gatepost"
