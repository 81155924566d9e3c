"""What `ostraka completion` prints, in the shells themselves."""

import os
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time
import unittest

from ostraka_cluster import SLOW, binary, clean_environment


def ostraka(*arguments):
    return subprocess.run([binary(), *arguments], capture_output=True, text=True, check=False,
                          env=clean_environment(), timeout=60)


class Completion(unittest.TestCase):
    def complete(self, *words):
        """What bash offers for the last word."""
        script = ('source <("$0" completion bash); COMP_WORDS=(ostraka "$@"); COMP_CWORD=$#; _ostraka; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "-c", script, binary(), *words], capture_output=True, text=True,
                              check=True, env=clean_environment(), timeout=60)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_commands_and_options(self):
        self.assertEqual(self.complete("s"), ["secret", "status", "server"])
        self.assertEqual(self.complete("env", ""), ["encrypt", "expand", "check"])
        self.assertEqual(self.complete("secret", "get", "--st"), ["--stale"])
        self.assertEqual(self.complete("secret", "create", "--b"), ["--base64"])
        self.assertEqual(self.complete("run", "--w"), ["--watch"])
        self.assertEqual(self.complete("secret", "get", "x", "--o"), ["--output"])
        for words in (("run", "--", "--w"), ("env", "check", ""), ("nothing", "--x")):
            self.assertEqual(self.complete(*words), [])  # files

    def test_every_option_of_every_command(self):
        overview = ostraka("--help").stdout
        paths = re.findall(r"^  ([a-z]+(?: [a-z]+)?)  +\S", overview, re.M)
        self.assertGreater(len(paths), 12)
        for path in paths:
            help_text = ostraka(*path.split(), "--help").stdout
            options = re.findall(r"^  (--[a-z0-9-]+)", help_text, re.M)
            self.assertEqual(set(self.complete(*path.split(), "--")), {*options, "--help"}, path)

    def test_other_shells_are_refused(self):
        self.assertEqual(ostraka("completion", "fish").returncode, 2)
        self.assertEqual(ostraka("completion").returncode, 2)

    def test_in_zsh(self):
        zsh = os.environ.get("ZSH_FOR_TESTS") or shutil.which("zsh")
        if not zsh:
            self.skipTest("there is no zsh")
        with tempfile.TemporaryDirectory() as home:
            with open(os.path.join(home, ".zshrc"), "w") as file:
                file.write("PS1='> '\nautoload -U compinit; compinit -u -D\n"
                           "source <('%s' completion zsh)\n" % binary())
            pid, terminal = pty.fork()
            if pid == 0:
                os.execve(zsh, ["zsh", "-i"], clean_environment(HOME=home, ZDOTDIR=home, TERM="dumb"))
            try:
                self.until(terminal, "> ")
                os.write(terminal, b"ostraka sec\t")
                self.until(terminal, "secret ")
                os.write(terminal, b"get x --st\t")
                self.until(terminal, "--stale ")
            finally:
                os.write(terminal, b"\x15exit\n")
                os.waitpid(pid, 0)
                os.close(terminal)

    def until(self, terminal, text):
        seen, end = "", time.monotonic() + 20 * SLOW
        while text not in seen:
            self.assertLess(time.monotonic(), end, repr(seen))
            if select.select([terminal], [], [], 0.2)[0]:
                seen += os.read(terminal, 4096).decode(errors="replace")


if __name__ == "__main__":
    unittest.main()
