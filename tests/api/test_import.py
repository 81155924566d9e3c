"""ostraka secret import and export, and ostraka run --prefix, with real processes."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

from cluster_case import ClusterCase
from ostraka_cluster import SLOW, clean_environment

OK, FAILED, USAGE, NOT_FOUND, CONFLICT = range(5)


class Import(ClusterCase):
    NODES, SHARES = 5, 3

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def run_cli(self, *arguments, expect=OK, stdin=b""):
        environment = clean_environment(OSTRAKA_ADDR=self.cluster.addresses(),
                                        OSTRAKA_CACERT=self.cluster.ca_file(),
                                        OSTRAKA_TOKEN_FILE=self.cluster.token_file())
        done = subprocess.run([self.cluster.program, *arguments], input=stdin, capture_output=True,
                              env=environment, cwd=self.folder, timeout=90 * SLOW, check=False)
        self.assertEqual(done.returncode, expect, (done.stdout, done.stderr))
        return done

    def write(self, name, content):
        with open(os.path.join(self.folder, name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())

    def get(self, name):
        return self.run_cli("secret", "get", name).stdout

    def names(self, prefix):
        return self.run_cli("secret", "list", prefix).stdout.decode().split()

    def test_dotenv(self):
        self.write("a.env", "# comment\nexport A=plain\nB='two words'\nC=\"x\\ny\"\n\n")
        dry = self.run_cli("secret", "import", "--from", "dotenv", "a.env", "--prefix", "de/",
                           "--dry-run").stdout
        self.assertEqual(dry, b"would create 3 secrets; 0 exist\n")
        self.assertEqual(self.names("de/"), [])
        done = self.run_cli("secret", "import", "--from", "dotenv", "a.env", "--prefix", "de/")
        self.assertEqual(done.stdout, b"created 3 secrets\n")
        self.assertEqual([self.get("de/" + n) for n in "ABC"], [b"plain", b"two words", b"x\ny"])
        self.assertEqual(os.listdir(self.folder), ["a.env"])
        dry = self.run_cli("secret", "import", "--from", "dotenv", "a.env", "--prefix", "de/",
                           "--dry-run", expect=CONFLICT).stdout
        self.assertIn(b"exists: de/B\n", dry)
        self.run_cli("secret", "import", "--from", "dotenv", "a.env", "--prefix", "de/",
                     expect=CONFLICT)
        self.assertEqual(os.listdir(self.folder), ["a.env"], "nothing to go on with")
        for bad in ("A=secret(x)\n", "A=enc('x')\n", "A='open\n"):
            self.run_cli("secret", "import", "--from", "dotenv", "-", "--prefix", "bad/",
                         stdin=bad.encode(), expect=FAILED)
        self.assertEqual(self.names("bad/"), [])

    def test_json_and_vault(self):
        tree = {"db": {"user": "app", "password": "p\u00e4ss", "deep": {"n": 7, "l": [1, True]}}}
        self.run_cli("secret", "import", "--from", "json", "-", "--prefix", "js/",
                     stdin=json.dumps(tree).encode())
        self.assertEqual(self.names("js/"), ["js/db/deep/l", "js/db/deep/n", "js/db/password",
                                             "js/db/user"])
        self.assertEqual(self.get("js/db/deep/l"), b"[1,true]")
        self.assertEqual(self.get("js/db/password"), "p\u00e4ss".encode())
        kv2 = {"request_id": "x", "data": {"data": {"k": "v2"}, "metadata": {
            "version": 3, "created_time": "2026-01-02T03:04:05Z"}}}
        kv1 = {"request_id": "x", "data": {"k": "v1"}}
        for prefix, text in (("kv2/", kv2), ("kv1/", kv1)):
            self.run_cli("secret", "import", "--from", "vault-kv", "-", "--prefix", prefix,
                         stdin=json.dumps(text).encode())
            self.assertEqual(self.get(prefix + "k"), b"v" + prefix[2:3].encode())
        for bad in ("[]", "{", '{"a": "x", "a": "y"}', '{"a//b": "x"}', '{"a/": {"b": "x"}}',
                    '{"a": {"b": "1"}, "a/b": "2"}', '{"a": "1", "b": null}'):
            self.run_cli("secret", "import", "--from", "json", "-", "--prefix", "bad/",
                         stdin=bad.encode(), expect=FAILED)
        self.run_cli("secret", "import", "--from", "yaml", "-", expect=USAGE)

    def test_export_is_taken_again(self):
        values = {"x/plain": b"text", "x/binary": bytes(range(256)), "x/empty": b"",
                  "x/quote": b"it's \"x\" $HOME #no\\", "x/lines": b"a\nb\r\n"}
        for name, value in values.items():
            self.run_cli("secret", "create", name, "-", stdin=value)
        self.run_cli("secret", "export", "x/", "--format", "json", "--output", "x.json")
        self.assertEqual(os.stat(os.path.join(self.folder, "x.json")).st_mode & 0o777, 0o600)
        self.run_cli("secret", "import", "--from", "json", "x.json", "--prefix", "again/")
        for name, value in values.items():
            self.assertEqual(self.get("again/" + name), value)
        self.run_cli("secret", "export", "x/", expect=FAILED)  # a NUL
        self.run_cli("secret", "delete", "x/binary")
        text = self.run_cli("secret", "export", "x/").stdout
        self.run_cli("secret", "import", "--from", "dotenv", "-", "--prefix", "env/", stdin=text)
        self.assertEqual(self.get("env/QUOTE"), values["x/quote"])
        self.assertEqual(self.get("env/LINES"), values["x/lines"])
        self.assertEqual(self.run_cli("secret", "export", "nothing/").stdout, b"")

    def test_what_broke_off_goes_on(self):
        canary = "canary-Jq5Wb8Ym2Tz9"
        lines = "".join("N%03d=%s%d\n" % (i, canary, i) for i in range(600))
        self.write("many.env", lines)
        arguments = ("secret", "import", "--from", "dotenv", "many.env", "--prefix", "many/")
        self.run_cli("secret", "create", "many/N550", "mine")
        self.run_cli(*arguments, expect=CONFLICT)
        self.assertEqual(len(self.names("many/")), 513)
        with open(os.path.join(self.folder, "many.env.ostraka-import")) as file:
            state = file.read()
        self.assertNotIn(canary, state)
        self.assertNotIn("N001", state)
        # What was done may be repeated: the state of a moment before it was written down.
        self.write("many.env.ostraka-import", json.dumps({**json.loads(state), "done": 256}))
        self.run_cli("secret", "delete", "many/N550")
        done = self.run_cli(*arguments).stdout
        self.assertEqual(done, b"created 344 secrets, 256 were done before\n")
        self.assertEqual(os.listdir(self.folder), ["many.env"])
        self.assertEqual(len(self.names("many/")), 600)
        self.write("many.env", lines + "N600=last\n")
        done = self.run_cli(*arguments, "--skip-existing").stdout
        self.assertEqual(done, b"created 1 secrets, left out 600 that exist\n")
        self.write("other", state)
        self.run_cli(*arguments, "--state", "other", expect=FAILED)  # another list

    def test_run_with_a_prefix(self):
        for name, value in (("run/db/password", "one"), ("run/api-key", "two"),
                            ("run2/db/password", "other")):
            self.run_cli("secret", "create", name, value)
        show = (sys.executable, "-c",
                "import os; print(*[os.environ.get(n) for n in ('DB_PASSWORD', 'API_KEY')])")
        self.assertEqual(self.run_cli("run", "--prefix", "run/", "--", *show).stdout, b"one two\n")
        self.write("over.env", "API_KEY=file\n")
        self.assertEqual(self.run_cli("run", "--prefix", "run/", "--env-file", "over.env", "--",
                                      *show).stdout, b"one file\n")
        self.assertEqual(self.run_cli("run", "--prefix", "run/", "--prefix", "run2/", "--",
                                      *show).stdout, b"other two\n")
        self.run_cli("secret", "create", "run/api/key", "three")
        self.run_cli("run", "--prefix", "run/", "--", *show, expect=FAILED)

    def test_two_secrets_of_one_variable_are_named(self):
        self.run_cli("secret", "create", "twice/a-b", "1")
        self.run_cli("secret", "create", "twice/a/B", "2")
        for arguments in (("run", "--prefix", "twice/", "--", "true"), ("secret", "export", "twice/")):
            done = self.run_cli(*arguments, expect=FAILED)
            for word in (b"twice/a-b", b"twice/a/B", b"A_B"):
                self.assertIn(word, done.stderr)

    def test_a_prefix_that_nothing_has(self):
        """A slip of the pen must not start the program without its secrets."""
        for more in ((), ("--watch",)):
            done = self.run_cli("run", "--prefix", "mistyped/", *more, "--", "echo", "ran",
                                expect=NOT_FOUND)
            self.assertEqual(done.stdout, b"")
            self.assertIn(b"mistyped/", done.stderr)


if __name__ == "__main__":
    unittest.main()
