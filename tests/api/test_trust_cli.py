"""ostraka role, issuer, authority and crl against three real nodes: what they say who may log in counts for logins."""

import json
import os
import re
import subprocess
import tempfile
import unittest

from cluster_case import ClusterCase
from logins import Authority, Issuer, Key, statement
from ostraka_cluster import SLOW, clean_environment

OK, FAILED, USAGE, NOT_FOUND, CONFLICT, UNAUTHORIZED = range(6)
ABSENT = "01234567-89ab-4cde-8f01-23456789abcd"


class Trust(ClusterCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.TemporaryDirectory()
        with open(cls.cluster.config()) as file:
            cls.cluster_id = bytes.fromhex(re.search(r'cluster_id = "(\w+)"', file.read()).group(1))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()
        super().tearDownClass()

    def setUp(self):
        self.home = tempfile.TemporaryDirectory(dir=self.folder.name)
        self.addCleanup(self.home.cleanup)
        self.tenant = self._testMethodName.replace("_", "-")
        self.run_cli("tenant", "create", self.tenant)
        self.run_cli("policy", "put", "app", self.write("policy", {"rules": [
            {"path": "app/**", "capabilities": ["create", "read"]}]}))
        self.identity = self.answer("identity", "create", "app", "--policy", "app")["id"]

    def write(self, name, content):
        path = os.path.join(self.home.name, name)
        with open(path, "w") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        return path

    def run_cli(self, *arguments, expect=OK, stdin=""):
        changes = {"OSTRAKA_ADDR": self.cluster.addresses(), "OSTRAKA_CACERT": self.cluster.ca_file(),
                   "OSTRAKA_TOKEN_FILE": self.cluster.token_file()}
        if arguments[0] != "tenant":
            changes["OSTRAKA_TENANT"] = self.tenant
        done = subprocess.run([self.cluster.program, *arguments], input=stdin, capture_output=True, text=True,
                              env=clean_environment(**changes), timeout=60 * SLOW, check=False)
        self.assertEqual(done.returncode, expect, (arguments, done.stdout, done.stderr))
        return done

    def answer(self, *arguments, **options):
        return json.loads(self.run_cli(*arguments, **options).stdout)

    def hint(self, *arguments):
        error = self.run_cli(*arguments, expect=NOT_FOUND).stderr
        self.assertIn("hint: ", error)
        self.assertNotIn("secret create", error)

    def login(self, expect, kind, body):
        for node in self.cluster.nodes():
            status, _, answer = self.cluster.request(node, "POST", "/v1/auth/%s:login" % kind, body,
                                                     {"X-Ostraka-Tenant": self.tenant}, token=None)
            self.assertEqual(status, expect, answer)

    def test_what_operations_md_prints(self):
        """The two recipes, word for word: each ends with a login, as the identity."""
        with open(os.path.join(os.path.dirname(__file__), "..", "..", "docs", "operations.md")) as file:
            section = re.search(r"(?s)\*\*Letting machines log in\.\*\*(.*?)\n## ", file.read()).group(1)
        recipes = re.findall(r"(?s)```\n(.*?)```", section)
        self.assertEqual(len(recipes), 2)
        folder = os.path.dirname(self.cluster.program)
        for recipe in recipes:
            done = subprocess.run(["bash", "-euc", recipe], capture_output=True, text=True, cwd=self.home.name,
                                  timeout=60 * SLOW, check=False, env=clean_environment(
                                      PATH=folder + ":" + os.environ["PATH"], HOME=self.home.name, id=self.identity,
                                      OSTRAKA_ADDR=self.cluster.addresses(), OSTRAKA_CACERT=self.cluster.ca_file(),
                                      OSTRAKA_TOKEN_FILE=self.cluster.token_file(), OSTRAKA_TENANT=self.tenant))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("Logged in as %s, tenant %s" % (self.identity, self.tenant), done.stdout + done.stderr)

    def test_roles(self):
        role = self.answer("role", "create", "--identity", self.identity, "--ttl", "600")
        self.assertEqual((role["identity"], role["ttl"], role["secret_ids"]), (self.identity, 600, []))
        other = self.answer("role", "create", "--identity", self.identity)["role_id"]
        listed = self.run_cli("role", "list").stdout.splitlines()
        self.assertEqual(listed[0].split(), ["ID", "IDENTITY", "TTL"])
        self.assertEqual(sorted(line.split()[0] for line in listed[1:]), sorted([role["role_id"], other]))
        self.assertIn(role, self.answer("role", "list", "--json")["roles"])

        made = self.answer("role", "issue", role["role_id"], "--ttl", "300")
        ids = {"role_id": role["role_id"], "secret_id": made["secret_id"]}
        self.login(200, "approle", ids)
        got = self.answer("role", "get", role["role_id"])
        self.assertEqual([one["accessor"] for one in got["secret_ids"]], [made["accessor"]])
        self.assertNotIn(made["secret_id"], json.dumps(got))
        forever = self.answer("role", "issue", role["role_id"])
        self.assertIsNone(forever["expires_at"])
        self.answer("role", "revoke", role["role_id"], made["accessor"])
        self.login(401, "approle", ids)
        self.login(200, "approle", {**ids, "secret_id": forever["secret_id"]})
        self.answer("role", "delete", role["role_id"])
        self.login(401, "approle", {**ids, "secret_id": forever["secret_id"]})

        for arguments in (("get", ABSENT), ("delete", ABSENT), ("issue", ABSENT), ("revoke", other, "0" * 32)):
            self.hint("role", *arguments)
        for arguments in (("create",), ("create", ABSENT), ("get", "x"), ("issue", "../x"), ("revoke", other),
                          ("issue", other, "--ttl", "x")):
            self.run_cli("role", *arguments, expect=USAGE)
        self.run_cli("role", "create", "--identity", "x", expect=USAGE)

    def test_issuers(self):
        issuer = Issuer(self.home.name)
        body = issuer.body(["app"])
        keys = self.write("keys", body.pop("jwks"))
        path = self.write("issuer", body)
        self.run_cli("issuer", "put", path, expect=FAILED)  # no keys
        made = self.answer("issuer", "put", path, "--jwks", keys)
        self.assertEqual((made["issuer"], made["version"]), (issuer.name, 1))
        self.login(200, "jwt", {"jwt": issuer.jwt()})
        self.assertEqual(self.answer("issuer", "get", made["id"]), made)
        self.assertEqual(self.answer("issuer", "list", "--json"), {"issuers": [made]})
        self.assertIn(issuer.name, self.run_cli("issuer", "list").stdout)
        whole = json.dumps(issuer.body(["app"], ttl_max=60))
        self.run_cli("issuer", "put", "-", "--expected-version", "7", stdin=whole, expect=CONFLICT)
        self.assertEqual(self.answer("issuer", "put", "-", "--expected-version", "1", stdin=whole)["ttl_max"], 60)
        self.answer("issuer", "delete", made["id"])
        self.login(401, "jwt", {"jwt": issuer.jwt()})

        self.hint("issuer", "get", made["id"])
        self.run_cli("issuer", "get", "x", expect=USAGE)
        for bad in ("[]", "{", ""):
            self.run_cli("issuer", "put", "-", stdin=bad, expect=FAILED)
        self.run_cli("issuer", "put", path, "--jwks", "/nowhere/keys", expect=FAILED)

    def test_authorities(self):
        authority, key = Authority(self.home.name), Key(self.home.name, "device")

        def login(expect, serial):
            certificate = authority.certificate(key, self.identity, serial)
            self.login(expect, "cert", {"statement": statement(key, certificate, self.cluster_id, self.tenant)})

        self.hint("authority", "get")
        self.hint("authority", "revoke", "77")
        self.hint("crl", "put", self.write("early", authority.revocations([], 1)))
        login(401, 0x77)
        made = self.answer("authority", "put", authority.path)
        self.assertEqual((made["version"], made["certificate"], made["revoked"]), (1, authority.pem, []))
        login(200, 0x77)
        login(200, 0xa1b2)
        self.assertEqual(self.answer("authority", "revoke", "77", "A1B2", "a1b2")["revoked"], ["77", "a1b2"])
        self.assertEqual(self.answer("authority", "revoke", "77", "99")["revoked"], ["77", "99", "a1b2"])
        login(401, 0x77)
        login(401, 0xa1b2)
        login(200, 0x78)
        login(200, 0x80)
        self.answer("authority", "revoke", "0080")
        login(401, 0x80)
        again = self.answer("authority", "put", "-", stdin=authority.pem)
        self.assertEqual(again["revoked"], ["0080", "77", "99", "a1b2"])
        self.assertEqual(self.answer("authority", "get"), again)
        self.run_cli("authority", "put", authority.path, "--expected-version", "1", expect=CONFLICT)
        self.assertEqual(self.answer("authority", "put", authority.path, "--none-revoked")["revoked"], [])
        login(200, 0x77)

        for bad in ("7", "xx", "", "0" * 42):
            self.run_cli("authority", "revoke", bad, expect=USAGE)
        self.run_cli("authority", "put", "/dev/null", expect=FAILED)

        crl = self.write("crl", authority.revocations([0x78], 0x102))
        self.assertEqual(self.answer("crl", "put", crl)["revoked"], 1)
        login(401, 0x78)
        self.assertEqual(self.answer("crl", "get")["number"], "0102")
        self.run_cli("crl", "put", "-", stdin=authority.revocations([], 0x101), expect=CONFLICT)
        self.assertEqual(self.answer("crl", "delete"), {})
        self.hint("crl", "get")
        login(200, 0x78)
        self.answer("authority", "delete")
        login(401, 0x78)


if __name__ == "__main__":
    unittest.main()
