"""Values that come into the vault and out of it, where they are odd: none is changed or left out unsaid."""

import json
import os
import pty
import select
import signal
import subprocess
import time
import unittest

from cli_case import CliCase
from ostraka_cluster import SLOW, wait_until
from test_cli import BreakingServer

OK, FAILED, USAGE, NOT_FOUND, CONFLICT, UNAUTHORIZED, UNAVAILABLE, UNKNOWN = range(8)


class Edges(CliCase):
    def popen(self, *arguments, **changes):
        return subprocess.Popen([self.cluster.program, *arguments], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=self.environment(**changes),
                                cwd=self.folder)

    def create(self, name, value):
        self.run_cli("secret", "create", name, "-", stdin=value)

    def names(self, prefix):
        return self.run_cli("secret", "list", prefix).stdout.decode().split()

    # ---- at the terminal ----

    def type(self, name, *pieces):
        """Pieces are typed with a short break between them. Returns (exit status, shown)."""
        process, terminal = pty.fork()
        if process == 0:
            os.execve(self.cluster.program,
                      [self.cluster.program, "secret", "create", name, "-"],
                      self.environment(TERM="xterm"))
        pieces, shown, end = list(pieces), b"", time.monotonic() + 30 * SLOW
        try:
            while time.monotonic() < end:
                if pieces and b"Value" in shown:
                    os.write(terminal, pieces.pop(0))
                if not select.select([terminal], [], [], 0.02)[0]:
                    continue
                try:
                    chunk = os.read(terminal, 65536)
                except OSError:
                    break
                shown += chunk
        finally:
            os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), shown

    def test_a_line_that_a_terminal_cuts_is_refused(self):
        for size, expect in ((4094, OK), (4095, FAILED), (5000, FAILED)):
            name = "line/%d" % size
            value = b"a" * size
            # In pieces: a pseudo-terminal takes 4,095 bytes at a time without a line end.
            status, shown = self.type(name, value[:3000], value[3000:], b"\n")
            self.assertEqual(status, expect, shown[-200:])
            if expect == OK:
                self.assertEqual(self.get(name), value)
            else:
                self.assertIn(b"@FILE", shown)
                self.get(name, expect=NOT_FOUND)

    def test_several_lines_are_refused(self):
        for number, pieces in enumerate((
                (b"-----BEGIN KEY-----\nAAAA\n-----END KEY-----\n",),
                (b"one\ntwo",), (b"one\n", b"two\n"), (b"one\n\ntwo\n",))):
            name = "lines/%d" % number
            status, shown = self.type(name, *pieces)
            self.assertEqual(status, FAILED, shown)
            self.assertIn(b"@FILE", shown)
            self.assertNotIn(b"AAAA", shown)
            self.get(name, expect=NOT_FOUND)
        status, shown = self.type("lines/ends", b"one\r\n")
        self.assertEqual(status, OK, shown)
        self.assertEqual(self.get("lines/ends"), b"one")

    # ---- import ----

    def refuse(self, source, text, *said):
        done = self.run_cli("secret", "import", "--from", source, "-", "--prefix", "bad/",
                            stdin=text.encode(), expect=FAILED)
        for words in said:
            self.assertIn(words, done.stderr)
        self.assertEqual(self.names("bad/"), [])
        return done.stderr

    def test_numbers_stay_as_they_are(self):
        for text in ('{"a": "x", "rate": 0.1}', '{"a": "x", "rate": 1e3}', '{"rate": [1, {"x": 0.5}]}'):
            self.refuse("json", text, b"bad/rate", b"string")
        said = self.refuse("json", '{"a": "x",\n "big": 92233720368547758079}', b"line 2", b"too big integer")
        self.assertNotIn(b"9223", said)
        said = self.refuse("json", '{"a": "x" "hunter2"}', b"line 1", b"expected")
        self.assertNotIn(b"hunter2", said)
        self.run_cli("secret", "import", "--from", "json", "-", "--prefix", "number/",
                     stdin=b'{"rate": "0.1", "n": -7, "most": 9223372036854775807}')
        self.assertEqual(self.get("number/rate"), b"0.1")
        self.assertEqual(self.get("number/n"), b"-7")
        self.assertEqual(self.get("number/most"), b"9223372036854775807")

    def test_a_deleted_version_of_vault_has_no_values(self):
        metadata = {"created_time": "2026-01-02T03:04:05Z", "custom_metadata": None,
                    "deletion_time": "2026-02-02T03:04:05Z", "destroyed": False, "version": 2}
        self.refuse("vault-kv", json.dumps({"data": {"data": None, "metadata": metadata}}), b"deleted")
        self.run_cli("secret", "import", "--from", "vault-kv", "-", "--prefix", "two/",
                     stdin=json.dumps({"data": {"data": {"k": "v"}, "metadata": metadata}}).encode())
        self.assertEqual(self.names("two/"), ["two/k"])
        one = {"data": {"data": {"k": "v"}, "other": "w", "metadata": {"version": 1}}}
        self.run_cli("secret", "import", "--from", "vault-kv", "-", "--prefix", "one/",
                     stdin=json.dumps(one).encode())
        self.assertEqual(self.names("one/"), ["one/data/k", "one/metadata/version", "one/other"])
        self.assertEqual(self.get("one/other"), b"w")

    # ---- .env files ----

    def test_enc_that_would_stay_is_refused(self):
        for line in (b"URL=postgres://app:enc(\"hunter2\")@db/x\n", b"Q=\"enc(hunter2)\"\n",
                     b"1PASS=enc(\"hunter2\")\n", b"MY PASS=enc(\"hunter2\")\n", b"PASS: enc(\"hunter2\")\n"):
            text = b"# enc(\"x\")\nA=enc('a')\n" + line
            path = self.write(text)
            for offline in ((), ("--offline",)):
                done = self.run_cli("env", "check", path, *offline, expect=FAILED)
                self.assertIn((path + ":3: ").encode(), done.stderr)
            done = self.run_cli("env", "encrypt", path, "--prefix", "stay/", expect=FAILED)
            self.assertIn(b"line 3: ", done.stderr)
            self.assertNotIn(b"hunter2", done.stderr)
            self.assertEqual(self.content(path), text)
            self.assertEqual(self.names("stay/"), [])
            status, _, got = self.cluster.request(1, "POST", "/v1/env", text, {"Content-Type": "text/plain"})
            self.assertEqual(status, 422)
            self.assertEqual([(one["line"], one["code"]) for one in got["error"]["details"]],
                             [(3, "misplaced_enc")])

    def test_lines_that_no_program_would_get_anything_of(self):
        """A reference in such a line is refused, other lines are pointed at, and nothing is imported without them."""
        path = self.write(b"A=1\nPASS secret(x)\n")
        for arguments in (("env", "check", path, "--offline"), ("env", "expand", path),
                          ("run", "--env-file", path, "--", "true")):
            self.assertIn(b"this line is none", self.run_cli(*arguments, expect=FAILED).stderr)
        path = self.write(b"# c\n\nA=1\nPASS: hunter2\n")
        done = self.run_cli("env", "check", path)
        self.assertIn((path + ":4: warning: ").encode(), done.stderr)
        self.assertNotIn(b"hunter2", done.stderr)
        done = self.run_cli("secret", "import", "--from", "dotenv", path, "--prefix", "lines/", expect=FAILED)
        self.assertIn(b"line 4 is neither NAME=value nor a comment", done.stderr)
        self.assertNotIn(b"hunter2", done.stderr)
        self.assertEqual(self.names("lines/"), [])

    def test_check_tells_what_exists_already(self):
        self.run_cli("secret", "create", "exists/B", "x")
        path = self.write(b"A=enc('a')\nB=enc('b')\n")
        done = self.run_cli("env", "check", path, "--prefix", "exists/", expect=CONFLICT)
        self.assertIn((path + ":2: B: there is a secret exists/B\n").encode(), done.stderr)
        self.assertNotIn(b"exists/A", done.stderr)
        self.run_cli("env", "encrypt", path, "--prefix", "exists/", expect=CONFLICT)
        self.run_cli("env", "check", path, "--prefix", "exists/", "--offline")
        self.run_cli("env", "check", path, "--prefix", "exists/2/")

    def test_check_for_a_commit_hook(self):
        path = self.write(b"A=1\nB=enc('x')\nC=enc(A)\n")
        self.run_cli("env", "check", path, "--offline")
        done = self.run_cli("env", "check", path, "--offline", "--encrypted", expect=FAILED,
                            OSTRAKA_TOKEN_FILE="/none")
        self.assertIn((path + ":2: B: ").encode(), done.stderr)
        self.assertIn((path + ":3: C: ").encode(), done.stderr)
        self.run_cli("env", "encrypt", path, "--prefix", "hook/")
        for offline in ((), ("--offline",)):
            self.run_cli("env", "check", path, "--encrypted", *offline)

    def test_an_empty_file_is_one(self):
        path = self.write(b"")
        self.run_cli("env", "check", path)
        self.assertEqual(self.run_cli("env", "expand", path).stdout, b"")
        self.assertEqual(self.run_cli("env", "expand", "-").stdout, b"")
        self.run_cli("env", "encrypt", path)
        self.assertEqual(self.content(path), b"")
        for options in ((), ("--watch",)):
            self.assertEqual(self.run_cli("run", *options, "--", "echo", "ran").stdout, b"ran\n")

    # ---- what breaks off ----

    def test_a_lost_answer_is_asked_for_again(self):
        text = b"A=enc('one')\nB=enc('two')\n"
        path = self.write(text)
        encrypt = ("env", "encrypt", path, "--prefix", "lost/")
        with BreakingServer(self.cluster, hands_on=True) as breaking:
            for _ in range(2):
                done = self.run_cli(*encrypt, expect=UNKNOWN, OSTRAKA_ADDR=breaking.address)
                self.assertIn(b"the same command goes on", done.stderr)
            self.assertEqual((len(breaking.keys), len(set(breaking.keys))), (4, 1))
        self.assertEqual(self.get("lost/A"), b"one")
        self.assertEqual(self.content(path), text)
        self.assertEqual(sorted(os.listdir(self.folder)), [".env", ".env.ostraka-encrypt"])
        self.assertEqual(os.stat(path + ".ostraka-encrypt").st_mode & 0o777, 0o600)
        # Nobody answers: what became of the one before is not known any better.
        self.run_cli(*encrypt, expect=UNAVAILABLE, OSTRAKA_ADDR="https://127.0.0.1:1")
        self.run_cli(*encrypt)
        self.assertEqual(self.content(path), b"A=secret(lost/A)\nB=secret(lost/B)\n")
        self.assertEqual(os.listdir(self.folder), [".env"])

    def while_nodes_stand_still(self, arguments, act):
        """Exit status, and what was printed, of a command that waits for an answer while act is done."""
        for node in self.cluster.nodes():
            self.cluster.pause(node)
        try:
            with self.popen(*arguments) as process:
                wait_until(lambda: len(os.listdir(self.folder)) > 1, 10, "it has begun")
                time.sleep(0.3)
                act(process)
                for node in self.cluster.nodes():
                    self.cluster.resume(node)
                out, said = process.communicate(timeout=60 * SLOW)
        finally:
            for node in self.cluster.nodes():
                self.cluster.resume(node)
            self.cluster.wait_ready()
        return process.returncode, out, said

    def test_a_signal_waits_for_the_file(self):
        path = self.write(b"A=enc('one')\n")
        status, _, said = self.while_nodes_stand_still(
            ("env", "encrypt", path, "--prefix", "signal/"), lambda process: process.send_signal(signal.SIGTERM))
        self.assertEqual(status, -signal.SIGTERM, said)
        self.assertEqual(self.content(path), b"A=secret(signal/A)\n")
        self.assertEqual(os.listdir(self.folder), [".env"])

    def test_what_was_written_meanwhile_is_kept(self):
        path = self.write(b"A=enc('one')\n")
        status, out, said = self.while_nodes_stand_still(
            ("env", "encrypt", path, "--prefix", "meanwhile/"),
            lambda _: self.write(b"A=enc('one')\nB=new\n"))
        self.assertEqual(status, FAILED)
        self.assertIn(b"changed meanwhile", said)
        self.assertEqual(out, b"A=secret(meanwhile/A)\n")
        self.assertEqual(self.content(path), b"A=enc('one')\nB=new\n")

    # ---- run and export ----

    def test_no_secret_is_left_out_unsaid(self):
        for name in ("a", "gone", "c"):
            self.create("left/" + name, b"value of " + name.encode())
        self.create("left/gone/below", b"x")
        self.run_cli("versions", "delete", "left/gone", "1")
        done = self.run_cli("run", "--prefix", "left/", "--", "echo", "ran", expect=NOT_FOUND)
        self.assertEqual(done.stdout, b"")
        self.assertIn(b"left/gone has no value", done.stderr)
        for options in ((), ("--format", "json"), ("--output", "out")):
            done = self.run_cli("secret", "export", "left/", *options, expect=NOT_FOUND)
            self.assertIn(b"left/gone has no value", done.stderr)
            self.assertEqual(done.stderr.count(b"error:"), 1)
            text = done.stdout or self.content(os.path.join(self.folder, "out"))
            self.assertIn(b"value of a", text)
            self.assertIn(b"value of c", text)
            self.assertNotIn(b"value of gone", text)
        self.run_cli("secret", "delete", "left/gone")
        done = self.run_cli("secret", "export", "left/")
        self.assertEqual(done.stdout, b"A='value of a'\nC='value of c'\nGONE_BELOW=x\n")

    def test_standard_input_is_read_once(self):
        self.create("once/a", b"value")
        text = b"A=secret(once/a)\n"
        done = self.run_cli("run", "--env-file", "-", "--", "sh", "-c", "echo $A", stdin=text)
        self.assertEqual(done.stdout, b"value\n")
        for file in ("-", "/dev/stdin"):
            done = self.run_cli("run", "--watch", "--env-file", file, "--", "sh", "-c", "echo ran $A",
                                stdin=text, expect=USAGE)
            self.assertEqual(done.stdout, b"")

    # ---- run --watch ----

    def call(self, method, path, body, expect):
        status, _, answer = self.cluster.request(1, method, path, body)
        self.assertEqual(status, expect, answer)
        return answer

    def rules(self, name, **rules):
        """`below` is for all names below NAME/, others for one of them; rights are parted by spaces."""
        listed = [{"path": name + "/" + ("**" if path == "below" else path), "capabilities": can.split()}
                  for path, can in rules.items()]
        self.call("PUT", "/v1/policies/" + name, {"rules": listed}, 200)

    def token(self, name):
        made = self.call("POST", "/v1/identities", {"name": name, "kind": "service", "policies": [name]}, 201)
        return self.call("POST", "/v1/tokens", {"identity": made["id"], "ttl": 600}, 201)["token"]

    def line_of(self, stream):
        self.assertTrue(select.select([stream], [], [], 20 * SLOW)[0], "nothing was printed")
        return stream.readline()

    def end(self, process):
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        said = process.stderr.read()
        process.wait(20 * SLOW)
        return said

    def test_watching_takes_the_right_to_look(self):
        self.create("look/a", b"one")
        self.write(b"A=secret(look/a)\n")
        self.rules("look", below="read list")
        token = self.token("look")
        done = self.run_cli("run", "--watch", "--", "echo", "ran", expect=UNAUTHORIZED, OSTRAKA_TOKEN=token)
        self.assertEqual(done.stdout, b"")
        self.assertIn(b"history of look/a", done.stderr)
        self.assertIn(b"capability `history`", done.stderr)
        done = self.run_cli("run", "--", "echo", "ran", OSTRAKA_TOKEN=token)
        self.assertEqual(done.stdout, b"ran\n")

    def test_one_that_cannot_be_looked_at_is_not_in_the_way(self):
        for name in ("a", "b"):
            self.create("way/" + name, b"one")
        self.write(b"A=secret(way/a)\nB=secret(way/b)\n")
        self.rules("way", below="read list history")
        with self.popen("run", "--watch", "--interval", "1", "--", "sh", "-c", 'echo "$A $B"; exec sleep 60',
                        OSTRAKA_TOKEN=self.token("way")) as process:
            try:
                self.assertEqual(self.line_of(process.stdout), b"one one\n")
                self.rules("way", below="read list history", a="read list")
                self.assertIn(b"may not look whether way/a", self.line_of(process.stderr))
                self.run_cli("secret", "update", "way/b", "two")
                self.assertEqual(self.line_of(process.stdout), b"one two\n")
                # Nothing has changed when the right is back, and so nothing is started anew.
                self.rules("way", below="read list history")
                time.sleep(3)
                self.assertFalse(select.select([process.stdout], [], [], 0)[0])
                self.run_cli("secret", "update", "way/a", "two")
                self.assertEqual(self.line_of(process.stdout), b"two two\n")
            finally:
                said = self.end(process)
        self.assertEqual(said, b"")

    def test_a_signal_does_not_wait_for_an_answer(self):
        self.create("slow/a", b"one")
        self.write(b"A=secret(slow/a)\n")
        with self.popen("run", "--watch", "--interval", "1", "--", "sh", "-c",
                        "trap 'echo told; exit 7' TERM; echo ready; while :; do sleep 0.05; done") as process:
            self.assertEqual(self.line_of(process.stdout), b"ready\n")
            for node in self.cluster.nodes():
                self.cluster.pause(node)
            try:
                time.sleep(2)  # a look begins after one, and takes 15 s at the first node alone
                process.send_signal(signal.SIGTERM)
                begin = time.monotonic()
                self.assertEqual(self.line_of(process.stdout), b"told\n")
                self.assertLess(time.monotonic() - begin, 4 * SLOW)
                self.assertEqual(process.wait(20 * SLOW), 7)
            finally:
                for node in self.cluster.nodes():
                    self.cluster.resume(node)
                self.cluster.wait_ready()


if __name__ == "__main__":
    unittest.main()
