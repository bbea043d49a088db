"""Users: `user<number>@example.org` with the password `secret-<number>`, stored one way or another."""

import base64
import hashlib
import sqlite3

SCHEMA = "CREATE TABLE mailbox (username VARCHAR(255) PRIMARY KEY, password VARCHAR(255) NOT NULL, home VARCHAR(255))"


def name(number, domain="example.org"):
    return f"user{number}@{domain}"


def password(number):
    return f"secret-{number}"


def ssha(number):
    salt = number.to_bytes(8, "big")
    return "{SSHA}" + base64.b64encode(hashlib.sha1(password(number).encode() + salt).digest() + salt).decode()


def rows(count, stored, domain="example.org"):
    """(name, stored password, home) of each."""
    return ((name(number, domain), stored(number), f"/srv/mail/user{number}") for number in range(count))


def write_users(file, count):
    """The file of users that the load takes."""
    with open(file, "w") as typed:
        typed.writelines(f"{name(number)}:{password(number)}\n" for number in range(count))


def sqlite_file(file, count, stored, domain="example.org"):
    """A table of these users in a SQLite file."""
    database = sqlite3.connect(file)
    with database:
        database.execute(SCHEMA)
        database.executemany("INSERT INTO mailbox VALUES (?, ?, ?)", rows(count, stored, domain))
    database.close()
    file.chmod(0o644)
