"""ostraka tenant, policy, identity and token, against three real processes."""

import json
import os
import subprocess
import tempfile
import unittest

from ostraka_cluster import SLOW, Cluster, clean_environment


class AuthCommands(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(3).__enter__()
        self.folder = tempfile.TemporaryDirectory()
        self.policy = os.path.join(self.folder.name, "policy.json")
        with open(self.policy, "w") as file:
            json.dump({"rules": [{"path": "app/**", "capabilities": ["create", "read", "list"]}]}, file)

    def tearDown(self):
        reports = self.cluster.sanitizer_reports()
        self.cluster.close()
        self.folder.cleanup()
        self.assertEqual(reports, [])

    def run_cli(self, *arguments, expect=0, token=None, **environment):
        changes = {"OSTRAKA_ADDR": self.cluster.addresses(), "OSTRAKA_CACERT": self.cluster.ca_file(),
                   **environment}
        if token:
            changes["OSTRAKA_TOKEN"] = token
        else:
            changes["OSTRAKA_TOKEN_FILE"] = self.cluster.token_file()
        done = subprocess.run([self.cluster.program, *arguments], capture_output=True, text=True,
                              env=clean_environment(**changes), timeout=60 * SLOW, check=False)
        self.assertEqual(done.returncode, expect, (arguments, done.stdout, done.stderr))
        return done.stderr if expect else done.stdout

    def answer(self, *arguments, **options):
        return json.loads(self.run_cli(*arguments, **options))

    def test_from_nothing_to_a_token_and_back(self):
        self.assertEqual(self.answer("tenant", "create", "team", "--secrets", "7")["limits"]["secrets"], 7)
        self.run_cli("tenant", "create", "team", expect=4)
        limits = self.answer("tenant", "limit", "team", "--secrets", "none", "--versions", "3")["limits"]
        self.assertEqual((limits["secrets"], limits["versions"]), (None, 3))
        self.assertIn("team", self.run_cli("tenant", "list"))
        self.assertEqual(self.answer("tenant", "show", "team")["name"], "team")

        self.assertEqual(self.answer("policy", "put", "app", self.policy, "--tenant", "team")["version"], 1)
        self.run_cli("policy", "get", "app", expect=3)
        self.assertEqual(self.answer("policy", "get", "app", OSTRAKA_TENANT="team")["name"], "app")
        self.assertEqual(self.answer("policy", "list", "--json", "--tenant", "team"),
                         {"policies": [{"name": "app", "version": 1}]})
        self.run_cli("policy", "put", "app", self.policy, "--expected-version", "5", "--tenant", "team", expect=4)

        made = self.answer("identity", "create", "web", "--kind", "device", "--policy", "app", "--metadata",
                           "a=b=c", "--tenant", "team")
        self.assertEqual((made["kind"], made["policies"], made["metadata"]), ("device", ["app"], {"a": "b=c"}))
        changed = self.answer("identity", "change", made["id"], "--name", "web 2", "--act-in", "default",
                              "--tenant", "team")
        self.assertEqual((changed["name"], changed["policies"], changed["tenants"]), ("web 2", ["app"], ["default"]))
        self.assertIn("web 2", self.run_cli("identity", "list", "--tenant", "team"))

        token = self.answer("token", "create", "--identity", made["id"], "--ttl", "600", "--renewable",
                            "--tenant", "team")
        own = {"token": token["token"]}
        self.assertEqual(self.answer("token", "show", **own)["accessor"], token["accessor"])
        self.answer("token", "renew", **own)
        self.run_cli("secret", "create", "app/x", "value", **own)
        self.assertEqual(self.run_cli("secret", "get", "app/x", **own), "value")
        self.assertEqual(self.run_cli("secret", "list", **own), "app/x\n")
        self.run_cli("secret", "get", "app/x", expect=3)
        self.assertEqual(self.run_cli("secret", "get", "app/x", "--tenant", "team"), "value")
        self.run_cli("secret", "create", "other/x", "value", expect=3, **own)
        self.run_cli("policy", "put", "app", self.policy, expect=3, **own)

        child = self.answer("token", "create", "--policy", "app", **own)
        self.run_cli("token", "revoke", child["accessor"], **own)
        self.run_cli("token", "show", token=child["token"], expect=5)
        self.answer("identity", "disable", made["id"], "--tenant", "team")
        self.run_cli("token", "show", expect=5, **own)
        self.answer("identity", "enable", made["id"], "--tenant", "team")
        self.run_cli("token", "revoke", **own)
        self.run_cli("token", "show", expect=5, **own)

        self.run_cli("tenant", "delete", "team", expect=4)
        self.answer("identity", "delete", made["id"], "--tenant", "team")
        self.answer("policy", "delete", "app", "--tenant", "team")
        self.run_cli("secret", "delete", "app/x", "--tenant", "team")
        self.assertEqual(self.answer("tenant", "delete", "team"), {"name": "team"})

    def test_a_tenant_is_purged(self):
        self.answer("tenant", "create", "team")
        self.answer("policy", "put", "app", self.policy, "--tenant", "team")
        for name in "abc":
            self.run_cli("secret", "create", name, "x", "--tenant", "team")
        self.run_cli("tenant", "delete", "team", expect=4)
        self.assertEqual(self.answer("tenant", "delete", "team", "--purge"), {"name": "team"})
        self.run_cli("tenant", "show", "team", expect=3)
        self.run_cli("tenant", "delete", "team", "--purge", expect=3)

    def test_json_and_the_token_alone(self):
        made = self.answer("identity", "create", "script", "--json")
        self.assertEqual(self.answer("identity", "show", made["id"], "--json"), made)
        shown = self.run_cli("token", "create", "--identity", made["id"], "--token-only")
        self.assertRegex(shown, r"^ost_[A-Za-z0-9_-]{48}\n$")
        self.assertEqual(self.answer("token", "show", "--json", token=shown.strip())["identity"], made["id"])
        self.run_cli("token", "create", "--identity", made["id"], "--token-only", "--json", expect=2)

    def test_errors_say_where_the_ids_are(self):
        for arguments, told in ((("identity", "show", "web"), '"web" is not the id of an identity; `ostraka identity list`'),
                                (("token", "create", "--identity", "web"), "`ostraka identity list` shows them"),
                                (("role", "create", "--identity", "web"), "`ostraka identity list` shows them"),
                                (("role", "get", "web"), "`ostraka role list` shows them"),
                                (("issuer", "get", "web"), "`ostraka issuer list` shows them"),
                                (("policy", "get", "Web"), '"Web" is not a name that there can be')):
            self.assertIn(told, self.run_cli(*arguments, expect=2))
        self.assertIn("--identity ID names it", self.run_cli("token", "create", expect=1))

    def test_wrong_words_are_told(self):
        for arguments in (("tenant", "create"), ("tenant", "create", "a", "--secrets", "0"),
                          ("tenant", "show", "A/B"), ("identity", "show", "1"), ("policy", "get", "../x"),
                          ("identity", "create", "x", "--metadata", "none"), ("token", "create", "--ttl", "x"),
                          ("secret", "list", "--tenant", "A B")):
            self.run_cli(*arguments, expect=2)
        self.run_cli("policy", "put", "a", "/dev/null", expect=1)


if __name__ == "__main__":
    unittest.main()
