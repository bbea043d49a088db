"""The OpenID provider of tests/peers/web, over TLS, for the benchmarks: it gives out tokens, and counts who asks it."""

import http.client
import json
import pathlib
import shutil
import ssl
import subprocess
import time
import urllib.parse

from servers import PEERS, ROOT, Broken, Server
from sources import free_port

FORM = {"content-type": "application/x-www-form-urlencoded"}


class Issuer(Server):
    """It knows user0@example.test, user1@example.test and so on, `crowd` of them."""

    def __init__(self, crowd):
        tree = (PEERS / "web").resolve(strict=True)
        super().__init__("the provider", tree / "srv/gp")
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        inside = pathlib.Path("/") / self.place.relative_to(tree)
        for script in (ROOT / "tests/peers/web").glob("*.mjs"):
            shutil.copy(script, self.place)
        (self.place / "node_modules").symlink_to("/opt/web/node_modules")
        self.certify()
        settings = {"issuer": self.url, "address": "127.0.0.1", "port": self.port, "crowd": crowd, "redirects": [],
                    "certificate": str(inside / "provider.pem"), "key": str(inside / "provider.key"),
                    "client_key": str(inside / "client.key"), "keys": str(inside / "signing-keys")}
        (self.place / "provider.json").write_text(json.dumps(settings))
        command = ["chroot", tree, "node", inside / "provider.mjs", inside / "provider.json"]
        self.launch(command, self.place / "provider.log")
        trust = ssl.create_default_context(cafile=self.authority())
        self.asked = time.monotonic()
        self.connection = http.client.HTTPSConnection("localhost", self.port, context=trust, timeout=30)

    def authority(self):
        """Who vouches for its certificate."""
        return self.place / "authority.pem"

    def certify(self):
        def openssl(*words):
            subprocess.run(["openssl", *words], cwd=self.place, check=True, capture_output=True)

        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *key, "-keyout", "authority.key", "-out", "authority.pem", "-days", "2",
                "-subj", "/CN=authority", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        openssl("req", "-x509", *key, "-keyout", "provider.key", "-out", "provider.pem", "-days", "2",
                "-CA", "authority.pem", "-CAkey", "authority.key", "-subj", "/CN=provider",
                "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE",
                "-addext", "extendedKeyUsage=serverAuth")
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "client.key")

    def listens(self):
        if self.process.poll() is not None:
            raise Broken(f"{self.name} ended with {self.process.returncode}")
        probe = http.client.HTTPSConnection("localhost", self.port, context=ssl._create_unverified_context(), timeout=5)
        try:
            probe.request("GET", "/jwks")
            return probe.getresponse().status == 200
        except OSError:
            return False
        finally:
            probe.close()

    def ask(self, method, path, body=None, headers=()):
        # Node.js closes what was idle for five seconds. It is opened again by itself.
        if time.monotonic() - self.asked > 2:
            self.connection.close()
        self.asked = time.monotonic()
        self.connection.request(method, path, body, dict(headers))
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise Broken(f"{self.name}: {path}: {answer.status} {text[:200]}{self.last_words(self.output)}")
        return json.loads(text)

    def token(self, number, form="opaque"):
        """One for a user, good for an hour: an opaque one, or a JWT of this algorithm."""
        login = f"user{number}"
        fields = {"grant_type": "password", "client_id": "tests", "client_secret": "tests-secret", "username": login,
                  "password": login, "scope": "email", "resource": f"urn:{form}:gatepost"}
        return self.ask("POST", "/token", urllib.parse.urlencode(fields), FORM)["access_token"]

    def introspections(self):
        """How many there were so far."""
        return self.ask("GET", "/lab/counts")["introspection"]
