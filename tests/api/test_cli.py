"""The command line against a live cluster: answers, exit statuses, and where it looks for a node."""

import base64
import json
import os
import pty
import re
import select
import signal
import socket
import ssl
import subprocess
import termios
import threading
import time
import unittest

from ostraka_cluster import SLOW, Cluster, binary, clean_environment, wait_until

OK, FAILED, USAGE, NOT_FOUND, CONFLICT, UNAUTHORIZED, UNAVAILABLE, UNKNOWN = range(8)
CONFIGURATION = 78


class Cli(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(3).__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()

    def environment(self, **changes):
        environment = {"OSTRAKA_ADDR": self.cluster.addresses(),
                       "OSTRAKA_CACERT": self.cluster.ca_file(),
                       "OSTRAKA_TOKEN_FILE": self.cluster.token_file()}
        environment.update(changes)
        return clean_environment(**{k: v for k, v in environment.items() if v is not None})

    def run_cli(self, *arguments, expect=OK, stdin=None, **environment):
        done = subprocess.run([self.cluster.program, *arguments], input=stdin or b"",
                              capture_output=True, env=self.environment(**environment),
                              timeout=60 * SLOW)
        self.assertEqual(done.returncode, expect,
                         "%r: %r %r" % (arguments, done.stdout, done.stderr))
        self.assertNotIn(self.cluster.token.encode(), done.stdout + done.stderr)
        if expect not in (OK, UNAVAILABLE):
            self.assertTrue(done.stderr, "an error says something")
        return done

    def get(self, name, *options):
        return self.run_cli("secret", "get", name, *options).stdout

    def name(self):
        return "cli/" + self.id().split(".")[-1]


class Secrets(Cli):
    def test_life_of_a_secret(self):
        name = self.name()
        done = self.run_cli("secret", "create", name, "first value")
        self.assertRegex(done.stdout.decode(), r"version 1\b")
        self.assertEqual(self.get(name), b"first value")
        self.run_cli("secret", "create", name, "again", expect=CONFLICT)
        self.run_cli("secret", "update", name, "second value")
        self.assertEqual(self.get(name), b"second value")
        self.assertEqual(self.get(name, "--version", "1"), b"first value")
        self.assertEqual(self.get(name, "--version=2"), b"second value")
        table = self.run_cli("secret", "history", name).stdout.decode().splitlines()
        self.assertEqual(table[0].split("  ")[0], "VERSION")
        self.assertEqual([line.split()[0] for line in table[1:]], ["2", "1"])
        done = self.run_cli("secret", "delete", name)
        self.assertRegex(done.stdout.decode(), r"erased on [23] of 3 nodes, 2 required")
        self.run_cli("secret", "get", name, expect=NOT_FOUND)
        self.run_cli("secret", "update", name, "x", expect=NOT_FOUND)
        self.run_cli("secret", "history", name, expect=NOT_FOUND)
        self.run_cli("secret", "delete", name, "--yes", expect=NOT_FOUND)

    def test_json(self):
        name = self.name()
        answer = json.loads(self.run_cli("secret", "create", name, "v", "--json").stdout)
        self.assertEqual((answer["name"], answer["version"]), (name, 1))
        answer = json.loads(self.run_cli("secret", "get", name, "--json").stdout)
        self.assertEqual((answer["value"], answer["version"]), ("v", 1))
        answer = json.loads(self.run_cli("secret", "update", name, "w", "--json").stdout)
        self.assertEqual(answer["version"], 2)
        answer = json.loads(self.run_cli("secret", "history", name, "--json").stdout)
        self.assertEqual([row["version"] for row in answer["versions"]], [2, 1])
        answer = json.loads(self.run_cli("secret", "delete", name, "--json").stdout)
        self.assertEqual(answer["replicas"], 3)

    def test_value_from_standard_input_and_file(self):
        for number, raw in enumerate([b"", b"no newline", b"newline\n", b"\0\xff binary\n" * 99,
                                      "ünïcödé\n".encode(), os.urandom(1024 * 1024)]):
            name = "%s/%d" % (self.name(), number)
            self.run_cli("secret", "create", name, "-", stdin=raw)
            self.assertEqual(self.get(name), raw)
            path = os.path.join(self.cluster.parent, "value")
            with open(path, "wb") as file:
                file.write(raw[::-1])
            self.run_cli("secret", "update", name, "@" + path)
            self.assertEqual(self.get(name), raw[::-1])
        self.run_cli("secret", "create", self.name() + "/big", "-", stdin=b"x" * (1024 * 1024 + 1),
                     expect=FAILED)
        self.run_cli("secret", "create", self.name() + "/none", "@/does/not/exist", expect=FAILED)

    def test_base64(self):
        name = self.name()
        raw = b"\x00\x01 raw"
        self.run_cli("secret", "create", name, "--base64", "-",
                     stdin=base64.b64encode(raw) + b"\n")
        self.assertEqual(self.get(name), raw)
        self.run_cli("secret", "create", name + "/bad", "not base64", "--base64", expect=FAILED)

    def test_output_file(self):
        name = self.name()
        self.run_cli("secret", "create", name, "in a file")
        path = os.path.join(self.cluster.parent, "output")
        self.assertEqual(self.get(name, "--output", path), b"")
        with open(path, "rb") as file:
            self.assertEqual(file.read(), b"in a file")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.run_cli("secret", "get", name, "--output", "/does/not/exist", expect=FAILED)

    def test_expected_version_and_time(self):
        name = self.name()
        self.run_cli("secret", "create", name, "v1")
        self.run_cli("secret", "update", name, "v2", "--expected-version", "1")
        self.run_cli("secret", "update", name, "v3", "--expected-version", "1", expect=CONFLICT)
        rows = json.loads(self.run_cli("secret", "history", name, "--json").stdout)["versions"]
        self.assertEqual(self.get(name, "--at", rows[1]["valid_from"]), b"v1")
        self.assertEqual(self.get(name, "--at", rows[0]["valid_from"]), b"v2")
        self.run_cli("secret", "get", name, "--at", "1999-01-01T00:00:00Z", expect=NOT_FOUND)
        self.run_cli("secret", "get", name, "--at", "yesterday", expect=FAILED)
        self.run_cli("secret", "get", name, "--version", "9", expect=NOT_FOUND)
        self.assertEqual(self.get(name, "--stale"), b"v2")

    def test_history_limit(self):
        name = self.name()
        self.run_cli("secret", "create", name, "v1")
        for i in range(4):
            self.run_cli("secret", "update", name, "v%d" % i)
        for limit, versions in (("1", [5]), ("3", [5, 4, 3]), ("99", [5, 4, 3, 2, 1])):
            answer = json.loads(self.run_cli("secret", "history", name, "--json", "--limit",
                                             limit).stdout)
            self.assertEqual([row["version"] for row in answer["versions"]], versions)

    def test_names_that_need_escapes(self):
        for number, name in enumerate(["with space", "ünï/cödé", "per%cent", "a+b&c=d", "q?#[]",
                                       "~tilde!$'()*,;:@", "back\\slash\"<>^`{|}"]):
            self.run_cli("secret", "create", "esc/" + name, "v%d" % number)
            self.assertEqual(self.get("esc/" + name), b"v%d" % number)
            listed = json.loads(self.run_cli("secret", "history", "esc/" + name, "--json").stdout)
            self.assertEqual(listed["name"], "esc/" + name)

    def test_dashes(self):
        name = self.name()
        self.run_cli("secret", "create", "--", name, "--json")
        self.assertEqual(self.get(name), b"--json")


class Usage(Cli):
    def test_wrong_command_lines(self):
        for arguments in ([], ["secret"], ["secret", "get"], ["secret", "get", "a", "b"],
                          ["secret", "create", "a"], ["secret", "get", "a", "--nope"],
                          ["secret", "get", "a", "--version"],
                          ["secret", "get", "a", "--version", "0"],
                          ["secret", "get", "a", "--version", "x"],
                          ["secret", "get", "a", "--version", "1", "--version", "2"],
                          ["secret", "get", "a", "--version", "1", "--at", "x"],
                          ["secret", "get", "a", "--json=1"], ["secret", "get", "../a"],
                          ["secret", "get", ""], ["secret", "get", "a//b"],
                          ["secret", "get", "_a"], ["version", "x"], ["nonsense"],
                          ["--addr", "x", "status"], ["help", "nonsense"]):
            self.run_cli(*arguments, expect=USAGE)

    def test_suggestions(self):
        for typed, meant in ((["secret", "gte"], "secret get"), (["clutser", "create"], "cluster create"), (["secrte", "get"], "secret get"),
                             (["sttaus"], "status"), (["get", "x"], "secret get"),
                             (["put", "x", "y"], "secret update"), (["serve"], "server"),
                             (["secret", "rm", "x"], "secret delete"), (["secret", "ls"], "secret list"),
                             (["secret", "put", "x", "y"], "secret update"), (["token", "lookup"], "token show"),
                             (["identity", "rm", "x"], "identity delete"), (["policy", "write", "x"], "policy put"),
                             (["policy", "read", "x"], "policy get"), (["secret", "rename", "a", "b"], "secret move")):
            done = self.run_cli(*typed, expect=USAGE)
            self.assertIn("Did you mean `ostraka %s`?" % meant, done.stderr.decode())
        done = self.run_cli("secret", "get", "x", "--versoin", "1", expect=USAGE)
        self.assertIn("--version", done.stderr.decode())

    def test_help_on_every_level(self):
        overview = self.run_cli("--help").stdout.decode()
        commands = re.findall(r"^  ([a-z]+(?: [a-z]+)?)  ", overview, flags=re.M)
        self.assertLessEqual({"secret create", "secret update", "secret get", "secret history",
                              "secret delete", "status", "cluster create", "server", "dev",
                              "version"}, set(commands))
        for status in ("0", "1", "2", "3", "4", "5", "6", "7", "78"):
            self.assertRegex(overview, r"(?m)^  %s +\S" % status)
        for command in commands:
            text = self.run_cli(*command.split(), "--help").stdout
            self.assertTrue(text.startswith(b"Usage: ostraka " + command.encode()))
            self.assertEqual(self.run_cli("help", *command.split()).stdout, text)
            self.assertEqual(self.run_cli(*command.split(), "-h").stdout, text)
        for group in ("secret", "cluster"):
            self.assertIn(b"Usage:", self.run_cli(group, "--help").stdout)

    def test_version(self):
        self.assertRegex(self.run_cli("version").stdout, rb"^ostraka \d+\.\d+\.\d+\n$")
        self.assertEqual(self.run_cli("--version").stdout, self.run_cli("version").stdout)

    def test_the_man_page_names_every_command_and_exit_status(self):
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs",
                            "ostraka.1")
        with open(path) as file:
            page = file.read().replace("\\-", "-").replace("\\fB", "").replace("\\fR", "")
        overview = self.run_cli("--help").stdout.decode()
        for command in re.findall(r"^  ([a-z]+(?: [a-z]+)?)  ", overview, flags=re.M):
            self.assertIn(command, page)
            text = self.run_cli(*command.split(), "--help").stdout.decode()
            for option in re.findall(r"--[a-z][a-z0-9-]+", text):
                self.assertIn(option, page, command)
        for status in ("0", "1", "2", "3", "4", "5", "6", "7", "78"):
            self.assertRegex(page, r"(?m)^\.B %s$" % status)


class Status(Cli):
    def test_table_and_json(self):
        text = self.run_cli("status").stdout.decode()
        for name in ("n1", "n2", "n3"):
            self.assertRegex(text, r"(?m)^%s\b" % name)
        self.assertNotIn("\033", text)
        self.assertIsInstance(json.loads(self.run_cli("status", "--json").stdout), dict)

    def test_a_node_away_is_shown(self):
        self.cluster.stop(3)
        try:
            def shown():
                text = self.run_cli("status").stdout.decode()
                return re.search(r"(?m)^n3 .*(down|not connected)", text)
            wait_until(shown, 10, "n3 shown as away")
        finally:
            self.cluster.start(3, wait=True)


class Expiry(Cli):
    def test_a_time_that_has_passed_deletes_nothing(self):
        name = self.name()
        self.run_cli("secret", "create", name, "kept")
        done = self.run_cli("metadata", "set", name, "--expires-at", "2020-01-31T12:00:00Z", expect=FAILED)
        self.assertIn(b"has passed by the clock of this machine", done.stderr)
        self.assertEqual(self.get(name), b"kept")
        self.run_cli("metadata", "set", name, "--expires-at", "tomorrow", expect=USAGE)
        self.run_cli("metadata", "set", name, "--expires-at", "9999-01-31T12:00:00+01:00")
        self.assertEqual(self.get(name), b"kept")


class Connection(Cli):
    def test_the_next_address_is_tried(self):
        name = self.name()
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            nobody = "https://127.0.0.1:%d" % closed.getsockname()[1]
            several = nobody + "," + self.cluster.address(2)
            self.run_cli("secret", "create", name, "v", OSTRAKA_ADDR=several)
            self.run_cli("secret", "update", name, "w", OSTRAKA_ADDR=several)
            done = self.run_cli("secret", "get", name, OSTRAKA_ADDR=several)
            self.assertEqual((done.stdout, done.stderr), (b"w", b""))
            self.run_cli("secret", "delete", name, "--addr", several)
            done = self.run_cli("secret", "get", name, OSTRAKA_ADDR=nobody, expect=UNAVAILABLE)
            self.assertIn(b"hint:", done.stderr)
            self.run_cli("secret", "create", name, "v", OSTRAKA_ADDR=nobody, expect=UNAVAILABLE)

    def test_a_killed_node_does_not_hinder(self):
        name = self.name()
        self.run_cli("secret", "create", name, "v1")
        self.cluster.kill9(1)
        try:
            self.assertEqual(self.get(name), b"v1")
            self.run_cli("secret", "update", name, "v2")
            self.assertEqual(self.get(name), b"v2")
        finally:
            self.cluster.start(1, wait=True)

    def test_without_a_majority(self):
        self.cluster.kill9(1)
        self.cluster.kill9(2)
        try:
            self.run_cli("secret", "get", "a", expect=UNAVAILABLE)
            self.run_cli("secret", "create", self.name(), "v", expect=UNAVAILABLE)
            wait_until(lambda: not self.cluster.ready(3), 10, "n3 notices")
            self.run_cli("status", expect=UNAVAILABLE)
        finally:
            self.cluster.start(1)
            self.cluster.start(2)
            self.cluster.wait_ready()

    def test_a_change_that_breaks_off_is_unknown(self):
        """One address, which takes the request and closes: tried twice, under one key."""
        with BreakingServer(self.cluster) as breaking:
            for command in (("create", self.name(), "v"), ("update", "a", "v"), ("delete", "a")):
                done = self.run_cli("secret", *command, OSTRAKA_ADDR=breaking.address,
                                    expect=UNKNOWN)
                self.assertIn(b"unknown", done.stderr)
            self.assertEqual([len(breaking.keys), len(set(breaking.keys))], [6, 3])
            self.assertEqual([breaking.keys[i] for i in (0, 2, 4)],
                             [breaking.keys[i] for i in (1, 3, 5)])
            # What is refused elsewhere says nothing about the attempt that broke off.
            self.run_cli("secret", "update", self.name(), "v", expect=UNKNOWN,
                         OSTRAKA_ADDR=breaking.address + "," + self.cluster.address(2))
            # A read may move on.
            self.run_cli("secret", "create", self.name(), "v")
            done = self.run_cli("secret", "get", self.name(),
                                OSTRAKA_ADDR=breaking.address + "," + self.cluster.address(2))
            self.assertEqual(done.stdout, b"v")

    def test_a_change_whose_answer_is_lost_happens_once(self):
        """The first address hands the request on and loses the answer; the second settles it."""
        with BreakingServer(self.cluster, hands_on=True) as breaking:
            addresses = breaking.address + "," + self.cluster.address(2)
            name = self.name()
            self.run_cli("secret", "create", name, "v1", OSTRAKA_ADDR=addresses)
            for value in ("v2", "v3"):
                done = self.run_cli("secret", "update", name, value, OSTRAKA_ADDR=addresses)
            self.assertIn(b"version 3", done.stdout)
            self.run_cli("secret", "delete", name, OSTRAKA_ADDR=addresses)
            self.assertEqual(len(set(breaking.keys)), 4)

    def test_tokens(self):
        for changes in ({"OSTRAKA_TOKEN": "wrong"}, {"OSTRAKA_TOKEN_FILE": None},
                        {"OSTRAKA_TOKEN_FILE": "/does/not/exist"},
                        {"OSTRAKA_TOKEN": "two\nlines: x"}):
            self.run_cli("secret", "get", "a", expect=UNAUTHORIZED, **changes)
        self.run_cli("status", OSTRAKA_TOKEN=self.cluster.token, OSTRAKA_TOKEN_FILE=None)
        self.run_cli("status", "--token-file", self.cluster.token_file(), OSTRAKA_TOKEN="wrong")

    def test_certificates(self):
        self.run_cli("secret", "get", "a", OSTRAKA_CACERT=None, expect=UNAVAILABLE)
        self.run_cli("secret", "get", "a", OSTRAKA_CACERT="/none", expect=CONFIGURATION)
        self.run_cli("status", "--cacert", self.cluster.ca_file(), OSTRAKA_CACERT="/none")
        other = Cluster(1).create()
        self.addCleanup(other.close)
        done = self.run_cli("secret", "create", self.name(), "v", OSTRAKA_CACERT=other.ca_file(),
                            expect=UNAVAILABLE)
        self.assertIn(b"OSTRAKA_CACERT", done.stderr)

    def test_addresses(self):
        for wrong in ("http://127.0.0.1:1", "ftp://x", "https://a b", "https://x/path", ",",
                      "https://user@x", "https://"):
            self.run_cli("status", OSTRAKA_ADDR=wrong, expect=USAGE)
        plain = self.cluster.address(1).replace("https://", "")
        self.run_cli("status", OSTRAKA_ADDR=" %s/ , %s" % (plain, self.cluster.address(2)))

    def test_proxies_are_not_used(self):
        self.run_cli("status", https_proxy="http://127.0.0.1:9", HTTPS_PROXY="http://127.0.0.1:9",
                     ALL_PROXY="http://127.0.0.1:9")


class BreakingServer:
    """Speaks TLS with a node's certificate, reads a request and closes without an answer.

    With `hands_on` the first node has carried the request out by then.
    """

    def __init__(self, cluster, hands_on=False):
        self.cluster, self.hands_on = cluster, hands_on
        directory = cluster.node_directory(1)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(os.path.join(directory, "node.crt"),
                                     os.path.join(directory, "node.key"))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "https://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.keys = []

    def take(self, data):
        self.keys += re.findall(rb"\r\nIdempotency-Key: ([^\r]+)\r\n", data)
        if self.hands_on:
            self.cluster.raw(1, data.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))

    def serve(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            try:
                with self.context.wrap_socket(plain, server_side=True) as connection:
                    data = connection.recv(65536)
                    if data:
                        self.take(data)
            except OSError:
                pass

    def __enter__(self):
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Terminal(Cli):
    def on_terminal(self, *arguments, typed=b"", **environment):
        """Runs on a pseudo-terminal; returns exit status and all that it shows."""
        process, terminal = pty.fork()
        if process == 0:
            os.execve(binary(), [binary(), *arguments],
                      self.environment(TERM="xterm", **environment))
        shown, end = b"", time.monotonic() + 30 * SLOW
        while time.monotonic() < end:
            if typed and b"Value" in shown:
                os.write(terminal, typed)
                typed = b""
            if not select.select([terminal], [], [], 0.2)[0]:
                continue
            try:
                chunk = os.read(terminal, 65536)
            except OSError:
                break
            if not chunk:
                break
            shown += chunk
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), shown

    def test_newline_and_colours_only_on_a_terminal(self):
        name = self.name()
        self.run_cli("secret", "create", name, "value")
        self.assertEqual(self.on_terminal("secret", "get", name), (OK, b"value\r\n"))
        self.assertEqual(self.get(name), b"value")
        self.assertIn(b"\033[", self.on_terminal("status")[1])
        self.assertNotIn(b"\033[", self.on_terminal("status", NO_COLOR="1")[1])
        self.assertNotIn(b"\033[", self.run_cli("status").stdout)

    def test_asks_for_a_value_without_showing_it(self):
        name = self.name()
        status, shown = self.on_terminal("secret", "create", name, "-", typed=b"typed secret\n")
        self.assertEqual(status, OK, shown)
        self.assertNotIn(b"typed secret", shown)
        self.assertEqual(self.get(name), b"typed secret")

    def test_nothing_typed_is_no_value(self):
        """Ctrl-D, or Enter alone, where a password is asked for."""
        name = self.name()
        self.run_cli("secret", "create", name, "kept")
        for typed in (b"\x04", b"\n"):
            status, shown = self.on_terminal("secret", "update", name, "-", typed=typed)
            self.assertEqual(status, FAILED, shown)
            self.assertIn(b"nothing was changed", shown)
        self.assertEqual(self.get(name), b"kept")
        self.run_cli("secret", "update", name, "")
        self.run_cli("secret", "update", name, "-", stdin=b"")
        self.assertEqual(self.get(name), b"")

    def test_the_terminal_shows_again_after_an_interrupt(self):
        process, terminal = pty.fork()
        if process == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored where the tests run in the background
            os.execve(binary(), [binary(), "secret", "create", self.name(), "-"],
                      self.environment(TERM="xterm"))
        try:
            shown = b""
            while b"Value" not in shown:
                self.assertTrue(select.select([terminal], [], [], 30 * SLOW)[0])
                shown += os.read(terminal, 65536)
            self.assertFalse(termios.tcgetattr(terminal)[3] & termios.ECHO)
            os.write(terminal, b"\x03")
            status = os.waitpid(process, 0)[1]
            self.assertEqual(os.waitstatus_to_exitcode(status), -signal.SIGINT)
            self.assertTrue(termios.tcgetattr(terminal)[3] & termios.ECHO)
        finally:
            os.close(terminal)


if __name__ == "__main__":
    unittest.main()
