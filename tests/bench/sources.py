"""Directories of the benchmarks: slapd and MariaDB of Debian 12, each with the users of accounts.py."""

import socket
import subprocess

from accounts import SCHEMA
from servers import PEERS, Broken, Server

SLAPD = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload back_monitor
pidfile {place}/slapd.pid
threads 16
database mdb
suffix "dc=example,dc=org"
rootdn "cn=service,dc=example,dc=org"
rootpw service-secret
directory {place}/db
maxsize 268435456
index objectClass,uid,mail eq
access to attrs=userPassword by anonymous auth by * none
access to * by * read
database monitor
access to * by * read
"""


class Source(Server):
    """A directory of the tree, which listens on a port of its own."""

    def __init__(self, name):
        self.tree = (PEERS / "bookworm").resolve(strict=True)
        super().__init__(name, self.tree / "srv/gp")
        self.inside = "/" / self.place.relative_to(self.tree)

    def command(self, *arguments):
        return ["chroot", self.tree, *arguments]

    def run(self, *arguments, **options):
        done = subprocess.run(list(map(str, self.command(*arguments))), capture_output=True, text=True, **options)
        if done.returncode != 0:
            raise Broken(f"{arguments[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def listens(self):
        if self.process.poll() is not None:
            raise Broken(f"{self.name} ended with {self.process.returncode}")
        return self.answers()


class Slapd(Source):
    def __init__(self, people, port):
        super().__init__("slapd")
        (self.place / "db").mkdir()
        (self.place / "slapd.conf").write_text(SLAPD.format(place=self.inside))
        entries = ["dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: example\n",
                   "dn: ou=people,dc=example,dc=org\nobjectClass: organizationalUnit\nou: people\n"]
        for number, (user, stored, _) in enumerate(people):
            entries.append(f"dn: uid=user{number},ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\n"
                           f"uid: user{number}\ncn: user{number}\nsn: {number}\nmail: {user}\nuserPassword: {stored}\n")
        self.run("slapadd", "-q", "-f", self.inside / "slapd.conf", input="\n".join(entries))
        self.url = f"ldap://127.0.0.1:{port}"
        command = self.command("slapd", "-d", "0", "-f", self.inside / "slapd.conf", "-h", self.url)
        self.launch(command, self.place / "slapd.log")

    def answers(self):
        done = subprocess.run(self.command("ldapsearch", "-x", "-H", self.url, "-s", "base", "-b", ""),
                              capture_output=True)
        return done.returncode == 0

    def operations(self):
        """Binds and searches completed; the one that asks is among them."""
        count = 0
        for kind in ("Bind", "Search"):
            text = self.run("ldapsearch", "-x", "-LLL", "-H", self.url, "-s", "base",
                            "-b", f"cn={kind},cn=Operations,cn=Monitor", "monitorOpCompleted")
            count += int(text.split("monitorOpCompleted:")[1].split()[0])
        return count


class MariaDb(Source):
    def __init__(self, people, port):
        super().__init__("MariaDB")
        self.socket_inside = self.inside / "sock"
        self.run("mariadb-install-db", "--user=mysql", f"--datadir={self.inside}/data", "--skip-test-db",
                 "--auth-root-authentication-method=normal")
        subprocess.run(self.command("chown", "mysql", str(self.inside)), check=True)
        command = self.command("mariadbd", "--no-defaults", "--user=mysql", f"--datadir={self.inside}/data",
                               f"--socket={self.socket_inside}", "--bind-address=127.0.0.1", f"--port={port}",
                               "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0", "--max-connections=200",
                               f"--pid-file={self.inside}/pid")
        self.launch(command, self.place / "mariadb.log")
        rows = ",".join(f"('{user}','{stored}','{home}')" for user, stored, home in people)
        self.sql(f"CREATE DATABASE mail; USE mail; {SCHEMA}; INSERT INTO mailbox VALUES {rows};"
                 " CREATE USER gatepost@'%' IDENTIFIED BY 'service-secret'; GRANT SELECT ON mail.* TO gatepost@'%';")

    def sql(self, text):
        return self.run("mariadb", "--no-defaults", "-uroot", f"--socket={self.socket_inside}", "-N", input=text)

    def answers(self):
        done = subprocess.run(self.command("mariadb-admin", "--no-defaults", "-uroot",
                                           f"--socket={self.socket_inside}", "ping"), capture_output=True)
        return done.returncode == 0

    def operations(self):
        """Statements that clients had executed, prepared ones too; the one that asks is among them."""
        return int(self.sql("SHOW GLOBAL STATUS LIKE 'Questions'").split()[1])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
