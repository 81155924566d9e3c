"""ostraka policy test and show, on files alone."""

import json
import os
import subprocess
import tempfile
import unittest

from ostraka_cluster import SLOW, binary, clean_environment

OK, FAILED, USAGE, DENIED = 0, 1, 2, 5

READERS = {"rules": [
    {"path": "db/**", "capabilities": ["read", "list"]},
    {"path": "db/*/password", "capabilities": ["read", "update"], "require_expected_version": True,
     "cidrs": ["10.0.0.0/8"], "not_before": "08:00", "not_after": "18:30"},
]}
NO_ROOT = {"rules": [{"path": "db/root/**", "capabilities": ["deny"]}]}


class PolicyCli(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.write("readers.json", json.dumps(READERS))
        self.write("no-root.json", json.dumps(NO_ROOT))

    def write(self, name, content):
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(content)

    def run_cli(self, *arguments, expect=OK, stdin=b""):
        done = subprocess.run([binary(), "policy", *arguments], input=stdin, capture_output=True, cwd=self.folder,
                              env=clean_environment(), timeout=30 * SLOW, check=False)
        self.assertEqual(done.returncode, expect,
                         "%r: %r %r" % (arguments, done.stdout, done.stderr))
        return done

    def ask(self, operation, name, *options, files=("readers.json", "no-root.json"), expect=OK):
        done = self.run_cli("test", *files, "--operation", operation, "--name", name, "--json",
                            *options, expect=expect)
        answer = json.loads(done.stdout)
        self.assertEqual(answer["allowed"], expect == OK)
        return answer["policy"], answer["rule"]

    def test_which_rule_decides(self):
        self.assertEqual(self.ask("read", "db/x"), ("readers.json", 1))
        self.assertEqual(self.ask("read", "db/eu/password"), ("readers.json", 2))
        self.assertEqual(self.ask("list", "db/eu/password", expect=DENIED), ("readers.json", 2))
        self.assertEqual(self.ask("read", "db/root/password", expect=DENIED), ("no-root.json", 1))
        self.assertEqual(self.ask("read", "db/root/password", files=["readers.json"]),
                         ("readers.json", 2))
        self.assertEqual(self.ask("read", "web/x", expect=DENIED), (None, None))

    def test_conditions(self):
        name = "db/eu/password"
        self.ask("update", name, "--address", "10.1.2.3", "--time", "08:00")
        self.ask("update", name, "--address", "::ffff:10.1.2.3", "--time", "18:29")
        self.ask("update", name, "--address", "11.1.2.3", expect=DENIED)
        self.ask("update", name, "--time", "18:30", expect=DENIED)
        self.ask("update", name, "--no-expected-version", expect=DENIED)
        self.ask("read", name, "--no-expected-version")

    def test_words(self):
        done = self.run_cli("test", "readers.json", "--operation", "read", "--name", "db/x")
        self.assertEqual(done.stdout, b"allowed by rule 1 of readers.json: db/**\n")
        done = self.run_cli("test", "readers.json", "--operation", "read", "--name", "x",
                            expect=DENIED)
        self.assertEqual(done.stdout, b"denied: no rule matches that name\n")

    def test_matrix(self):
        done = self.run_cli("show", "--matrix", "readers.json", "no-root.json")
        rows = [line.split() for line in done.stdout.decode().splitlines()]
        self.assertEqual(rows, [
            ["PATH", "CREATE", "READ", "UPDATE", "DELETE", "LIST", "HISTORY"],
            ["db/root/**", "deny", "deny", "deny", "deny", "deny", "deny"],
            ["db/*/password", "-", "if", "if", "-", "-", "-"],
            ["db/**", "-", "yes", "-", "-", "yes", "-"],
        ])
        done = self.run_cli("show", "readers.json")
        self.assertIn(b"expected version, 08:00-18:30, 10.0.0.0/8", done.stdout)

    def test_what_policy_get_prints(self):
        """A stored policy is tried as it was printed, from a file or a pipe; nothing else stands in one."""
        stored = dict(READERS, name="readers", version=3)
        self.write("stored.json", json.dumps(stored))
        self.assertEqual(self.ask("read", "db/eu/password", files=["stored.json"]), ("stored.json", 2))
        self.assertEqual(self.run_cli("show", "--matrix", "stored.json").stdout,
                         self.run_cli("show", "--matrix", "readers.json").stdout)
        done = self.run_cli("test", "-", "--operation", "read", "--name", "db/x", stdin=json.dumps(stored).encode())
        self.assertEqual(done.stdout, b"allowed by rule 1 of -: db/**\n")
        for more in ({"name": "a"}, {"version": 1}, {"name": 1, "version": 1}, {"name": "a", "version": "1"},
                     {"name": "a", "version": 1, "x": 1}):
            self.write("bad.json", json.dumps(dict(READERS, **more)))
            self.assertIn(b"policy get", self.run_cli("show", "bad.json", expect=FAILED).stderr)

    def test_files_that_are_refused(self):
        for content, told in (
                ("", b"not JSON"),
                ('{"rules": []}', b"list of rules"),
                ('{"rules": [{"path": "a", "capabilities": ["read"]}, {"path": "a*"}]}', b"rule 2"),
                ('{"rules": [{"path": "a", "path": "b", "capabilities": ["read"]}]}', b"twice"),
                ('{"rules": [{"path": "a", "capabilities": ["read", "deny"]}]}', b"stands alone"),
                (" " * 70000, b"larger than 64 KiB")):
            self.write("bad.json", content)
            done = self.run_cli("test", "readers.json", "bad.json", "--operation", "read", "--name",
                                "a", expect=FAILED)
            self.assertIn(b"bad.json", done.stderr)
            self.assertIn(told, done.stderr)
            self.assertEqual(done.stdout, b"")
        self.run_cli("show", "missing.json", expect=FAILED)

    def test_wrong_command_lines(self):
        for arguments in (["test"], ["show"], ["test", "readers.json"],
                          ["test", "readers.json", "--operation", "read"],
                          ["test", "readers.json", "--operation", "deny", "--name", "a"],
                          ["test", "readers.json", "--operation", "read", "--name", "a//b"],
                          ["test", "readers.json", "--operation", "read", "--name", "_auth/x"],
                          ["test", "readers.json", "--operation", "read", "--name", "a",
                           "--time", "24:00"],
                          ["test", "readers.json", "--operation", "read", "--name", "a",
                           "--address", "10.0.0"]):
            self.run_cli(*arguments, expect=USAGE)


if __name__ == "__main__":
    unittest.main()
