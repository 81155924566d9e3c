"""ostraka env and ostraka run: files in place or not at all, values in the environment and nowhere else."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
import unittest

from cli_case import CliCase
from ostraka_cluster import SLOW, wait_until

OK, FAILED, USAGE, NOT_FOUND, CONFLICT, UNAUTHORIZED, UNAVAILABLE, UNKNOWN = range(8)
CANARY = "canary-Rw8Qz3Nk5Vx2"


class EnvCli(CliCase):
    def create(self, name, value):
        self.run_cli("secret", "create", name, "-", stdin=value.encode())


class Files(EnvCli):
    def test_encrypt_in_place(self):
        path = self.write(b"# c\r\nA=enc(\"one two\") # d\r\nB='x'\r\nC=enc(B)\nRAW=\xff\n")
        self.run_cli("env", "encrypt", path, "--prefix", "place/")
        wanted = b"# c\r\nA=secret(place/A) # d\r\nB=secret(B)\r\nC=secret(B)\nRAW=\xff\n"
        self.assertEqual(self.content(path), wanted)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o640)
        self.assertEqual(os.listdir(self.folder), [".env"])
        self.assertEqual(self.get("place/A"), b"one two")
        number = os.stat(path).st_ino
        self.run_cli("env", "encrypt", path, "--prefix", "place/")
        self.assertEqual((self.content(path), os.stat(path).st_ino), (wanted, number))
        self.assertEqual(self.run_cli("env", "expand", path).stdout,
                         b"# c\r\nA='one two' # d\r\nB=x\r\nC=x\nRAW=\xff\n")
        self.assertEqual(self.run_cli("env", "expand", "-", stdin=wanted).stdout,
                         self.run_cli("env", "expand", path).stdout)
        out = os.path.join(self.folder, "out")
        self.run_cli("env", "expand", path, "--output", out)
        self.assertEqual(stat.S_IMODE(os.stat(out).st_mode), 0o600)
        self.assertIn(b"one two", self.content(out))
        self.assertEqual(self.content(path), wanted)

    def test_links_stay_links(self):
        path = self.write(b"A=enc('x')\n")
        link = os.path.join(self.folder, "link")
        os.symlink(".env", link)
        self.run_cli("env", "encrypt", link, "--prefix", "link/")
        self.assertTrue(os.path.islink(link))
        self.assertEqual(self.content(path), b"A=secret(link/A)\n")

    def test_refusals_leave_everything_as_it_was(self):
        self.create("taken/B", "x")
        text = b"A=enc('one')\n\nB=enc('two')\n"
        path = self.write(text)
        done = self.run_cli("env", "encrypt", path, "--prefix", "taken/", expect=CONFLICT)
        self.assertIn(b"line 3: taken/B: exists already", done.stderr)
        self.assertIn(b"write secret(NAME) where the stored value is meant", done.stderr)
        path = self.write(b"A=enc('one')\nB='x\nC=1\n")
        done = self.run_cli("env", "encrypt", path, "--prefix", "taken/", expect=FAILED)
        self.assertIn(b"line 2: B: a quote does not end", done.stderr)
        path = self.write(text)
        os.chmod(self.folder, 0o500)
        if os.geteuid() != 0:
            self.run_cli("env", "encrypt", path, "--prefix", "other/", expect=FAILED)
            self.get("other/A", expect=NOT_FOUND)
        os.chmod(self.folder, 0o700)
        self.run_cli("env", "encrypt", path, "--addr", "https://127.0.0.1:1", expect=UNAVAILABLE)
        self.run_cli("env", "encrypt", os.path.join(self.folder, "none"), expect=FAILED)
        self.run_cli("env", "encrypt", self.folder, expect=FAILED)
        self.run_cli("env", "encrypt", expect=USAGE)
        self.assertEqual(self.content(path), text)
        self.assertEqual(os.listdir(self.folder), [".env"])
        self.get("taken/A", expect=NOT_FOUND)

    def test_check(self):
        self.create("check/a", "x")
        path = self.write(b"A=secret(check/a)\n\nURL=x://secret(check/a@1):secret(check/N)@h\n"
                          b"N=enc('new')\n")
        done = self.run_cli("env", "check", path, "--prefix", "check/")
        self.assertEqual(done.stdout, b"3 references, all of them there, 1 to be stored\n")
        self.get("check/N", expect=NOT_FOUND)
        path = self.write(b"A=secret(check/a)\n\nB=secret(check/a)secret(check/no)\n\n\n"
                          b"C=secret(check/none@2)\n")
        done = self.run_cli("env", "check", path, expect=NOT_FOUND)
        self.assertIn(b"line 3: check/no: there is no", done.stderr)
        self.assertIn(b"line 6: check/none: there is no", done.stderr)
        self.run_cli("env", "check", path, "--offline", OSTRAKA_TOKEN_FILE="/none")
        path = self.write(b"\nA=secret(\nB=enc(C)\n")
        done = self.run_cli("env", "check", path, "--offline", expect=FAILED)
        self.assertIn((path + ":2: A: ").encode(), done.stderr)
        self.assertIn((path + ":3: B: ").encode(), done.stderr)

    def test_two_people_at_once(self):
        for turn in range(4):
            text = b"".join(b"A%d=enc('%d')\n" % (i, i) for i in range(10))
            paths = [self.write(text, "one"), self.write(text, "two")]
            codes = {}

            def encrypt(path, turn=turn, codes=codes):
                done = subprocess.run(
                    [self.cluster.program, "env", "encrypt", path, "--prefix", "two%d/" % turn],
                    env=self.environment(), capture_output=True, timeout=60 * SLOW, check=False)
                codes[path] = done.returncode
            threads = [threading.Thread(target=encrypt, args=(path,)) for path in paths]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertLessEqual(set(codes.values()), {OK, CONFLICT})
            done = [path for path in paths if codes[path] == OK]
            self.assertLessEqual(len(done), 1)
            for path in paths:
                self.assertEqual(self.content(path), text.replace(b"enc('", b"secret(two%d/A" % turn)
                                 .replace(b"')", b")") if path in done else text)
            there = self.cluster.request(1, "POST", "/v1/batch", {
                "read": [{"name": "two%d/A%d" % (turn, i)} for i in range(10)]})
            if done:
                self.assertEqual(there[0], 200)
            else:
                self.assertEqual((there[0], len(there[2]["error"]["details"])), (404, 10))


PRINT = "import os, sys; sys.stdout.buffer.write(os.environb[b'%s'])"


class Run(EnvCli):
    def print_variable(self, name, *options, **environment):
        return self.run_cli("run", *options, "--", sys.executable, "-c", PRINT % name,
                            **environment).stdout

    def test_values_are_in_the_environment(self):
        value = "it's \"x\" # $HOME\n\\ two"
        self.create("run/a", value)
        self.write(b"A=secret(run/a)\nB=\"x secret(run/a)\" # c\nC=plain\nPATH_LIKE=\n")
        self.assertEqual(self.print_variable("A"), value.encode())
        self.assertEqual(self.print_variable("B"), b"x " + value.encode())
        self.assertEqual(self.print_variable("C", C="overridden"), b"plain")
        self.assertEqual(self.print_variable("D", D="kept"), b"kept")
        self.assertEqual(self.print_variable("PATH_LIKE"), b"")
        other = self.write(b"C=other\n", "other.env")
        options = ("--env-file", ".env", "--env-file", other)
        self.assertEqual(self.print_variable("C", *options), b"other")
        self.assertEqual(self.print_variable("A", *options), value.encode())

    def test_the_program_gets_nothing_else(self):
        self.write(b"A=1\n")
        done = self.run_cli("run", "--", "ls", "/proc/self/fd")
        self.assertEqual(done.stdout.split(), [b"0", b"1", b"2", b"3"])
        done = self.run_cli("run", "--watch", "--", "ls", "/proc/self/fd")
        self.assertEqual(done.stdout.split(), [b"0", b"1", b"2", b"3"])
        for options in ((), ("--watch",)):
            done = self.run_cli("run", *options, "--", "sh", "-c", 'printf "%s|" "$0" "$@"', "--watch",
                                "a b", "--")
            self.assertEqual(done.stdout, b"--watch|a b|--|")

    def test_the_program_does_not_get_the_token(self):
        """It has its values; what may read all others is not its business, unless it reads them itself."""
        own = {"OSTRAKA_TOKEN": self.cluster.token, "OSTRAKA_SECRET_ID": "s", "OSTRAKA_JWT": "j"}
        self.write(b"A=1\n")
        for options in ((), ("--watch",)):
            done = self.run_cli("run", *options, "--", "env", **own).stdout.splitlines()
            self.assertIn(b"A=1", done)
            self.assertTrue([line for line in done if line.startswith(b"OSTRAKA_ADDR=")])
            for name, value in own.items():
                self.assertFalse([line for line in done if line.startswith(name.encode() + b"=")], name)
            self.assertFalse([line for line in done if self.cluster.token.encode() in line])
        done = self.run_cli("run", "--watch", "--signal", "HUP", "--", "env", **own).stdout.splitlines()
        self.assertIn(b"OSTRAKA_TOKEN=" + self.cluster.token.encode(), done)
        self.write(b"OSTRAKA_TOKEN=its-own\n")
        self.assertEqual(self.print_variable("OSTRAKA_TOKEN", **own), b"its-own")

    def test_exit_status_and_signals(self):
        self.write(b"A=1\n")
        for options in ((), ("--watch",)):
            self.run_cli("run", *options, "--", "sh", "-c", "exit 37", expect=37)
            self.run_cli("run", *options, "--", "no-such-command-here", expect=127)
            self.run_cli("run", *options, "--", self.folder, expect=126)
            self.run_cli("run", *options, expect=USAGE)
            script = "trap 'echo got; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
            with self.popen("run", *options, "--", "sh", "-c", script) as process:
                self.assertEqual(process.stdout.readline(), b"ready\n")
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.communicate(timeout=20 * SLOW)[0], b"got\n")
                self.assertEqual(process.returncode, 5)
        done = self.run_cli("run", "--watch", "--", "sh", "-c", "kill -9 $$", expect=128 + 9)
        self.assertEqual(done.stdout, b"")

    def popen(self, *arguments, stderr=None):
        return subprocess.Popen([self.cluster.program, *arguments], stdout=subprocess.PIPE, stderr=stderr,
                                env=self.environment(), cwd=self.folder)

    def test_refusals(self):
        self.write(b"A=enc('x')\n")
        done = self.run_cli("run", "--", "echo", "ran", expect=FAILED)
        self.assertIn(b"ostraka env encrypt", done.stderr)
        self.write(b"A=secret(run/none)\n")
        done = self.run_cli("run", "--", "echo", "ran", expect=NOT_FOUND)
        self.assertEqual(done.stdout, b"")
        self.assertIn(b"line 1: run/none", done.stderr)
        done = self.run_cli("run", "--env-file", "none", "--", "echo", "ran", expect=FAILED)
        self.assertIn(b"--prefix", done.stderr)
        self.run_cli("run", "--signal", "HUP", "--", "true", expect=USAGE)
        self.run_cli("run", "--watch", "--signal", "NONE", "--", "true", expect=USAGE)

    def test_watch_starts_anew(self):
        self.create("watch/a", "one")
        self.create("watch/b", "same")
        self.write(b"A=secret(watch/a)\nB=secret(watch/b)\nC=secret(watch/a@1)\n")
        with self.popen("run", "--watch", "--interval", "1", "--", "sh", "-c",
                        'echo "$A $B $C"; exec sleep 100', stderr=subprocess.PIPE) as process:
            self.assertEqual(process.stdout.readline(), b"one same one\n")
            self.run_cli("secret", "update", "watch/a", "two")
            self.assertEqual(process.stdout.readline(), b"two same one\n")
            self.run_cli("secret", "delete", "watch/b")
            self.assertEqual(process.stderr.readline(),
                             b"warning: watch/b is not there any more; the program goes on\n")
            time.sleep(2.5)
            self.create("watch/b", "new")
            self.assertEqual(process.stdout.readline(), b"two new one\n")
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(20 * SLOW), 128 + 15)
            self.assertEqual(process.stderr.read(), b"")

    def test_watch_sends_a_signal(self):
        self.create("watch/s", "one")
        self.write(b"A=secret(watch/s)\n")
        script = "trap 'echo hup; exit 0' HUP; echo ready; while :; do sleep 0.05; done"
        with self.popen("run", "--watch", "--interval", "1", "--signal", "HUP", "--", "sh", "-c",
                        script) as process:
            self.assertEqual(process.stdout.readline(), b"ready\n")
            self.run_cli("secret", "update", "watch/s", "two")
            self.assertEqual(process.stdout.readline(), b"hup\n")
            self.assertEqual(process.wait(20 * SLOW), 0)

    def command_lines(self):
        found = []
        for number in filter(str.isdigit, os.listdir("/proc")):
            try:
                found.append(self.content("/proc/%s/cmdline" % number))
            except OSError:
                continue
        return found

    def test_values_are_nowhere_else(self):
        self.create("canary/a", CANARY)
        self.write(b"A=secret(canary/a)\n")
        for options in ((), ("--watch",)):
            with self.popen("run", *options, "--", "sh", "-c", "echo ready; exec sleep 77") as process:
                try:
                    self.assertEqual(process.stdout.readline(), b"ready\n")
                    wait_until(lambda: b"sleep\0" b"77\0" in self.command_lines(), 10, "sleep runs")
                    self.assertFalse([1 for line in self.command_lines() if CANARY.encode() in line])
                finally:
                    process.send_signal(signal.SIGTERM)
                    process.wait(20 * SLOW)
        for folder in (self.folder, self.cluster.directory):
            for place, _, names in os.walk(folder):
                for name in names:
                    path = os.path.join(place, name)
                    if os.path.isfile(path):
                        self.assertFalse(CANARY.encode() in self.content(path), path)


class Edit(EnvCli):
    def edit(self, name, script, expect=OK):
        """The editor is a shell script; $1 is the file."""
        path = self.write(b"#!/bin/sh\n" + script.encode(), "editor", 0o755)
        done = self.run_cli("secret", "edit", name, EDITOR=path + " --wait", VISUAL="",
                            expect=expect)
        self.assertEqual([entry for entry in os.listdir("/dev/shm") if "ostraka-edit" in entry], [])
        return done

    def test_a_value_is_edited(self):
        self.create("edit/a", CANARY)
        look = os.path.join(self.folder, "look")
        self.edit("edit/a", "stat -f -c %%T \"$2\" > %s; stat -c '%%a' \"$2\" \"$(dirname \"$2\")\" >> %s;"
                  " cp \"$2\" \"$2~\"; echo \"new value\" > \"$2\"" % (look, look))
        self.assertEqual(self.content(look).split(), [b"tmpfs", b"600", b"700"])
        self.assertEqual(self.get("edit/a"), b"new value")
        self.edit("edit/a", "printf 'two\\nlines\\n\\n' > \"$2\"")
        self.assertEqual(self.get("edit/a"), b"two\nlines\n")
        self.edit("edit/a", "printf '\\377\\000' > \"$2\"")
        self.assertEqual(self.get("edit/a"), b"\xff\0")

    def test_nothing_is_stored_without_a_change(self):
        self.create("edit/b", "x")
        self.edit("edit/b", "echo x > \"$2\"")
        self.edit("edit/b", "exit 1", expect=FAILED)
        self.edit("edit/b", "rm \"$2\"", expect=FAILED)
        self.edit("edit/b", "head -c 1048578 /dev/zero > \"$2\"", expect=FAILED)
        self.edit("edit/none", "exit 0", expect=NOT_FOUND)
        self.assertEqual(len(self.run_cli("secret", "history", "edit/b").stdout.splitlines()), 2)

    def test_a_change_by_somebody_else_is_kept(self):
        self.create("edit/c", "x")
        self.edit("edit/c", "%s secret update edit/c theirs && echo mine > \"$2\"" %
                  self.cluster.program, expect=CONFLICT)
        self.assertEqual(self.get("edit/c"), b"theirs")

    def test_nothing_stays_behind_when_it_is_ended(self):
        self.create("edit/d", CANARY)
        path = self.write(b"#!/bin/sh\necho ready\nsleep 1\necho new > \"$1\"\n", "editor", 0o755)
        with subprocess.Popen([self.cluster.program, "secret", "edit", "edit/d"],
                              stdout=subprocess.PIPE,
                              env=self.environment(EDITOR=path, VISUAL="")) as process:
            self.assertEqual(process.stdout.readline(), b"ready\n")
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(20 * SLOW), -signal.SIGTERM)
        self.assertEqual([entry for entry in os.listdir("/dev/shm") if "ostraka-edit" in entry], [])
        self.assertEqual(self.get("edit/d"), CANARY.encode())


if __name__ == "__main__":
    unittest.main()
