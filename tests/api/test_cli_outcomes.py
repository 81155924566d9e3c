"""What the command line says has happened is what has happened, with real processes."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from cluster_case import ClusterCase
from ostraka_cluster import SLOW, clean_environment, wait_until

OK, FAILED, USAGE, NOT_FOUND, CONFLICT, UNAUTHORIZED, UNAVAILABLE, UNKNOWN = range(8)


class AnswersCut:
    """A port of loopback in front of a node: requests pass, and no answer to them comes back."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self.accept)
        self.thread.start()

    def address(self):
        return "https://127.0.0.1:%d" % self.listener.getsockname()[1]

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            with near, socket.create_connection(("127.0.0.1", self.target)) as far:
                self.carry(near, far)

    @staticmethod
    def carry(near, far):
        """The first words of both sides are the handshake; behind the client's next ones is its request."""
        far.sendall(near.recv(65536))
        near.settimeout(0.05)
        far.settimeout(0.05)
        quiet_at, asked = time.monotonic() + 20 * SLOW, False
        while time.monotonic() < quiet_at:
            for source, sink in ((near, far), (far, near)):
                try:
                    data = source.recv(65536)
                except (socket.timeout, OSError):
                    continue
                if not data:
                    return
                if source is near:
                    asked, quiet_at = True, time.monotonic() + 2 * SLOW
                if sink is far or not asked:
                    sink.sendall(data)


class Outcomes(ClusterCase):
    """The tests share a cluster and keep to tenants or names of their own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def environment(self, **changes):
        return clean_environment(OSTRAKA_ADDR=self.cluster.addresses(),
                                 OSTRAKA_CACERT=self.cluster.ca_file(),
                                 OSTRAKA_TOKEN_FILE=self.cluster.token_file(), **changes)

    def run_cli(self, *arguments, expect=OK, stdin=b"", **how):
        how.setdefault("stdout", subprocess.PIPE)
        done = subprocess.run([self.cluster.program, *arguments], input=stdin, stderr=subprocess.PIPE,
                              env=self.environment(), cwd=self.folder, timeout=90 * SLOW, check=False,
                              **how)
        self.assertEqual(done.returncode, expect, (arguments, done.stdout, done.stderr))
        done.stderr = done.stderr.decode()
        return done

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def get(self, name, *options):
        return self.run_cli("secret", "get", name, *options).stdout

    def names(self, prefix, *options):
        return self.run_cli("secret", "list", prefix, *options).stdout.decode().split()

    # ---- what exists is left out, and nothing else is ----

    def test_a_full_tenant_is_not_taken_for_existing_secrets(self):
        self.run_cli("tenant", "create", "full", "--secrets", "2")
        tenant = ("--tenant", "full")
        self.write("four.env", "A=1\nB=2\nC=3\nD=4\n")
        self.run_cli("secret", "create", "A", "1", *tenant)
        done = self.run_cli("secret", "import", "--from", "dotenv", "four.env", "--skip-existing",
                            *tenant, expect=CONFLICT)
        self.assertIn("tenant_full", done.stderr)
        self.assertEqual(done.stdout, b"")
        self.assertIn("four.env.ostraka-import", os.listdir(self.folder))
        self.assertEqual(self.names("", *tenant), ["A", "B"])
        self.run_cli("tenant", "limit", "full", "--secrets", "4")
        done = self.run_cli("secret", "import", "--from", "dotenv", "four.env", "--skip-existing",
                            *tenant)
        self.assertEqual(self.names("", *tenant), ["A", "B", "C", "D"])
        self.assertEqual(os.listdir(self.folder), ["four.env"])

    def test_a_full_tenant_stops_copy_and_move(self):
        self.run_cli("tenant", "create", "narrow", "--secrets", "4")
        tenant = ("--tenant", "narrow")
        for name in ("from/a", "from/b", "from/c"):
            self.run_cli("secret", "create", name, "v", *tenant)
        for command in ("copy", "move"):
            done = self.run_cli("secret", command, "-r", "--skip-existing", "from", "to-" + command,
                                *tenant, expect=CONFLICT)
            self.assertIn("tenant_full", done.stderr)
            self.assertEqual(done.stdout, b"")

    def test_an_import_whose_answers_are_cut_is_unknown(self):
        self.write("two.env", "A=1\nB=2\n")
        proxy = AnswersCut(self.cluster.api_port(1))
        self.addCleanup(proxy.close)
        command = ("secret", "import", "--from", "dotenv", "two.env", "--prefix", "cut/",
                   "--skip-existing")
        done = self.run_cli(*command, "--addr", proxy.address(), expect=UNKNOWN)
        self.assertIn("unknown", done.stderr)
        self.assertIn("two.env.ostraka-import", os.listdir(self.folder))
        wait_until(lambda: self.names("cut/") == ["cut/A", "cut/B"], 10, "it was made")
        # What a run did not reach says nothing of what the run before it did.
        self.run_cli(*command, "--addr", "https://127.0.0.1:9", expect=UNAVAILABLE)
        self.assertIn("two.env.ostraka-import", os.listdir(self.folder))
        self.assertEqual(self.run_cli(*command).stdout, b"created 2 secrets\n")
        self.assertEqual(os.listdir(self.folder), ["two.env"])

    # ---- what is gone on with ----

    def test_an_import_goes_on_where_it_was_begun_alone(self):
        for tenant in ("begun", "other"):
            self.run_cli("tenant", "create", tenant, "--secrets", "300" if tenant == "begun" else "900")
        text = "".join("N%03d=value-%d\n" % (n, n) for n in range(400))
        self.write("many.env", text)
        command = ("secret", "import", "--from", "dotenv", "many.env", "--skip-existing", "--tenant")
        self.run_cli(*command, "begun", expect=CONFLICT)
        state = self.read("many.env.ostraka-import").decode()
        self.assertEqual(json.loads(state)["done"], 256)
        self.assertNotRegex(state, "N000|value-0")
        done = self.run_cli(*command, "other", expect=FAILED)
        self.assertIn("belongs to another import: into another tenant", done.stderr)
        self.assertEqual(self.names("", "--tenant", "other"), [])
        self.write("many.env", text.replace("value-7\n", "value-8\n"))
        done = self.run_cli(*command, "begun", expect=FAILED)
        self.assertIn("belongs to another import: of other names or values", done.stderr)
        self.write("many.env", text)
        self.assertEqual(self.read("many.env.ostraka-import").decode(), state)
        self.run_cli(*command, "other", "--state", "other.state")
        self.assertEqual(len(self.names("", "--tenant", "other")), 400)
        self.run_cli("tenant", "limit", "begun", "--secrets", "500")
        done = self.run_cli(*command, "begun")
        self.assertIn(b"256 were done before", done.stdout)
        self.assertEqual(len(self.names("", "--tenant", "begun")), 400)
        self.assertEqual(os.listdir(self.folder), ["many.env"])

    def test_a_move_goes_on_between_copy_and_deletion(self):
        """The coordinator is killed until it leaves a copy beside its source."""
        halfway = []
        for attempt in range(30):
            old, new = "old%d" % attempt, "new%d" % attempt
            for number in range(8):
                self.run_cli("secret", "create", "%s/%d" % (old, number), "v%d" % number)
            move = [self.cluster.program, "secret", "move", "-r", "--one-by-one", old, new]
            mover = subprocess.Popen([*move, "--addr", self.cluster.address(3)], stderr=subprocess.PIPE,
                                     env=self.environment(), cwd=self.folder)
            wait_until(lambda: self.names(new + "/") or mover.poll() is not None, 10, "a copy", 0)
            time.sleep(0.01 * (attempt % 6))
            self.cluster.kill9(3)
            words = mover.communicate(timeout=60 * SLOW)[1].decode()
            left = {name.split("/")[1] for name in self.names(old + "/")}
            halfway = sorted(left & {name.split("/")[1] for name in self.names(new + "/")})
            self.cluster.start(3, wait=True)
            if halfway:
                break
        self.assertTrue(halfway, "no move was broken off between copy and deletion")
        key = re.search("--one-by-one --idempotency-key ([0-9a-f]{32}) goes on", words).group(1)
        done = self.run_cli(*move[1:], expect=CONFLICT)
        self.assertIn("its --idempotency-key settles that", done.stderr)
        self.run_cli(*move[1:], "--idempotency-key", key)
        self.assertEqual(self.names(old + "/"), [])
        self.assertEqual([self.get("%s/%d" % (new, n)) for n in range(8)],
                         [b"v%d" % n for n in range(8)])

    def test_a_move_whose_answer_is_cut_is_settled(self):
        self.run_cli("secret", "create", "settle/a", "v")
        proxy = AnswersCut(self.cluster.api_port(2))
        self.addCleanup(proxy.close)
        move = ("secret", "move", "settle/a", "settled/a")
        done = self.run_cli(*move, "--addr", proxy.address(), expect=UNKNOWN)
        key = re.search("--idempotency-key ([0-9a-f]{32})", done.stderr).group(1)
        self.assertIn("finds nothing to move if this one was finished", done.stderr)
        wait_until(lambda: not self.names("settle/"), 10, "it was made")
        self.run_cli(*move, "--idempotency-key", key, expect=NOT_FOUND)
        self.assertEqual((self.names("settle/"), self.get("settled/a")), ([], b"v"))
        copy = ("secret", "copy", "settled/a", "settled/b")
        done = self.run_cli(*copy, "--addr", proxy.address(), expect=UNKNOWN)
        key = re.search("--idempotency-key ([0-9a-f]{32})", done.stderr).group(1)
        self.assertEqual(self.run_cli(*copy, "--idempotency-key", key).stdout, b"copied 1 secret\n")
        self.run_cli("secret", "create", "settle/a", "w")
        self.assertIn("its --idempotency-key settles that", self.run_cli(*move, expect=CONFLICT).stderr)
        for bad in ("", "a b", "k" * 65):
            self.run_cli(*move, "--idempotency-key", bad, expect=USAGE)

    # ---- files ----

    def test_a_policy_that_was_printed_is_taken_again(self):
        rules = {"rules": [{"path": "a/*", "capabilities": ["read"]}]}
        self.write("first", json.dumps(rules))
        self.run_cli("policy", "put", "again", "first")
        self.write("printed", self.run_cli("policy", "get", "again").stdout)
        self.run_cli("policy", "put", "again", "printed")
        printed = json.loads(self.run_cli("policy", "get", "again").stdout)
        self.assertEqual((printed["version"], printed["rules"]), (2, json.loads(self.read("printed"))["rules"]))
        done = self.run_cli("policy", "put", "again", "printed", expect=CONFLICT)
        self.assertIn("version_mismatch", done.stderr)
        self.run_cli("policy", "put", "again", "printed", "--expected-version", "2")
        self.run_cli("policy", "put", "a-copy", "printed")
        self.write("wrong", json.dumps({"rules": [], "name": "again"}))
        self.run_cli("policy", "put", "again", "wrong", expect=FAILED)

    def test_the_file_of_a_value_is_replaced_whole_and_private(self):
        self.run_cli("secret", "create", "file/a", "v" * 5000)
        for name, command in (("value", ("secret", "get", "file/a")),
                              ("all.env", ("secret", "export", "file/"))):
            self.write(name, "the good old one")
            os.chmod(self.path(name), 0o644)

            def small_files():
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
            done = self.run_cli(*command, "--output", name, expect=FAILED, preexec_fn=small_files)
            self.assertIn("File too large", done.stderr)
            self.assertEqual(self.read(name), b"the good old one")
            os.symlink(name, self.path("link"))
            done = self.run_cli(*command, "--output", "link", expect=FAILED)
            self.assertIn("is a symbolic link", done.stderr)
            self.assertEqual(self.read(name), b"the good old one")
            os.unlink(self.path("link"))
            self.run_cli(*command, "--output", name)
            self.assertIn(b"v" * 5000, self.read(name))
            self.assertEqual(os.stat(self.path(name)).st_mode & 0o777, 0o600)
            self.assertIn(b"v" * 5000, self.run_cli(*command, "--output", "-").stdout)
        self.assertIn(b"ostraka", self.run_cli("audit", "export", "--output", "-").stdout)
        self.assertEqual(sorted(os.listdir(self.folder)), ["all.env", "value"])

    # ---- what cannot be written ----

    def to_full(self, *arguments, expect, stdin=b""):
        with open("/dev/full", "wb") as full:
            return self.run_cli(*arguments, expect=expect, stdin=stdin, stdout=full)

    def test_output_that_cannot_be_written(self):
        self.run_cli("secret", "create", "full/a", "one\n")
        self.run_cli("secret", "update", "full/a", "two\n")
        self.write("full.env", "A=1\n")
        for command in (("secret", "list", "full/"), ("secret", "list", "full/", "--json"),
                        ("secret", "get", "full/a"), ("secret", "get", "full/a", "--json"),
                        ("secret", "history", "full/a"), ("secret", "export", "full/"),
                        ("secret", "diff", "full/a", "1", "2", "--show-values"),
                        ("audit", "search"), ("audit", "search", "--json"), ("audit", "export"),
                        ("status",), ("--help",), ("secret", "create", "--help"), ("version",),
                        ("policy", "list"), ("tenant", "list", "--json"),
                        ("secret", "import", "--from", "dotenv", "full.env", "--dry-run")):
            done = self.to_full(*command, expect=FAILED)
            self.assertIn("cannot be written", done.stderr, command)
            self.assertNotIn("change was made", done.stderr, command)

    def test_a_change_whose_answer_cannot_be_written(self):
        self.write("said.env", "A=1\n")
        self.write("key.env", "KEY=enc('value')\n")
        for command in (("secret", "create", "said/a", "v"), ("secret", "create", "said/b", "v", "--json"),
                        ("secret", "update", "said/a", "w"), ("secret", "copy", "said/a", "said/c"),
                        ("secret", "delete", "said/b", "--json"),
                        ("metadata", "set", "said/a", "--set", "k=v"),
                        ("secret", "import", "--from", "dotenv", "said.env", "--prefix", "said/"),
                        ("tenant", "create", "said"),
                        ("identity", "create", "said", "--kind", "service")):
            done = self.to_full(*command, expect=UNKNOWN)
            self.assertIn("No space left on device", done.stderr, command)
            self.assertIn("the change was made", done.stderr, command)
        self.assertEqual(self.names("said/"), ["said/A", "said/a", "said/c"])

    def test_closed_standard_descriptors(self):
        self.run_cli("secret", "create", "closed", "v")
        done = self.run_cli("secret", "get", "closed", expect=FAILED, stdout=None,
                            preexec_fn=lambda: os.close(1))
        self.assertIn("Bad file descriptor", done.stderr)
        self.run_cli("secret", "create", "closed-2", "-", expect=FAILED,
                     preexec_fn=lambda: os.close(0))
        self.assertEqual(self.run_cli("secret", "get", "closed", preexec_fn=lambda: os.close(2)).stdout,
                         b"v")

    def test_a_server_without_standard_descriptors(self):
        self.cluster.stop(3)
        server = subprocess.Popen(
            [self.cluster.program, "server", "--config", self.cluster.config(), "--node", "n3"],
            env=clean_environment(), start_new_session=True,
            preexec_fn=lambda: [os.close(fd) for fd in range(3)])
        self.cluster.processes[3] = server
        self.cluster.wait_ready([3])
        for fd in range(3):
            self.assertEqual(os.readlink("/proc/%d/fd/%d" % (server.pid, fd)), "/dev/null")
        self.assertEqual(self.cluster.stop(3), 0)
        self.cluster.start(3, wait=True)


if __name__ == "__main__":
    unittest.main()
