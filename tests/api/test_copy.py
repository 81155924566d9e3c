"""POST /v1/copy and ostraka secret copy and move, by real processes: five nodes, three shares."""

import subprocess
import threading
import time
import unittest

from cluster_case import ClusterCase
from ostraka_cluster import SLOW, Failed, clean_environment

NODES, SHARES = 5, 3


class Copy(ClusterCase):
    NODES, SHARES = NODES, SHARES

    def call(self, node, method, target, body=None, key=None):
        headers = {"Idempotency-Key": key} if key else {}
        status, _, answer = self.cluster.request(node, method, target, body, headers=headers)
        return status, answer

    def create(self, name, value="x", encoding="text"):
        status, body = self.call(1, "POST", "/v1/secrets/" + name,
                                 {"value": value, "encoding": encoding})
        self.assertEqual(status, 201, body)

    def copy(self, node, source, target, key=None, **more):
        return self.call(node, "POST", "/v1/copy", {"from": source, "to": target, **more}, key)

    def value(self, name):
        status, body = self.call(2, "GET", "/v1/secrets/" + name)
        return body["value"] if status == 200 else status

    def names(self, prefix):
        status, body = self.call(3, "GET", "/v1/secrets?limit=1000&prefix=" + prefix)
        self.assertEqual(status, 200, body)
        return body["names"]

    def run_cli(self, *arguments, expect=0):
        environment = clean_environment(OSTRAKA_ADDR=self.cluster.addresses(),
                                        OSTRAKA_CACERT=self.cluster.ca_file(),
                                        OSTRAKA_TOKEN_FILE=self.cluster.token_file())
        done = subprocess.run([self.cluster.program, *arguments], capture_output=True,
                              env=environment, timeout=90 * SLOW, check=False)
        self.assertEqual(done.returncode, expect, (done.stdout, done.stderr))
        return done.stdout.decode()

    def test_one(self):
        self.create("one/a", "AP8=", "base64")
        self.assertEqual(self.copy(2, "one/a", "one/b"), (200, {"copied": 1}))
        self.assertEqual((self.value("one/a"), self.value("one/b")), ("AP8=", "AP8="))
        status, body = self.copy(3, "one/a", "one/b")
        self.assertEqual((status, body["error"]["code"]), (409, "already_exists"))
        self.assertEqual(body["error"]["details"], [{"name": "one/b", "code": "already_exists"}])
        self.assertEqual(self.copy(4, "one/a", "one/c", move=True), (200, {"copied": 1}))
        self.assertEqual(self.names("one/"), ["one/b", "one/c"])
        self.assertEqual(self.copy(5, "one/a", "one/d")[0], 404)
        for source, target, more in (("one/b", "one/b", {}), ("one", "one/x", {"recursive": True}),
                                     ("one/x", "one", {"recursive": True}), ("one/", "y", {})):
            self.assertEqual(self.copy(1, source, target, **more)[0], 400)
        for body in ({}, {"from": "a"}, {"from": "a", "to": "b", "more": 1}, [],
                     {"from": "a", "to": "b", "move": 1}, {"from": 1, "to": "b"}):
            self.assertEqual(self.call(1, "POST", "/v1/copy", body)[0], 400)

    def test_all_or_none(self):
        for number in range(30):
            self.create("tree/%02d" % number, str(number))
        self.create("tree2/not", "x")
        self.create("fruit/17", "mine")
        status, body = self.copy(1, "tree", "fruit", recursive=True)
        self.assertEqual((status, body["error"]["details"]),
                         (409, [{"name": "fruit/17", "code": "already_exists"}]))
        self.assertEqual(self.names("fruit/"), ["fruit/17"])
        self.assertEqual(self.copy(2, "tree", "wood/of", recursive=True), (200, {"copied": 30}))
        self.assertEqual([self.value(name) for name in self.names("wood/of/")],
                         [str(n) for n in range(30)])
        self.assertEqual(self.copy(3, "tree", "moved", recursive=True, move=True),
                         (200, {"copied": 30}))
        self.assertEqual((self.names("tree/"), len(self.names("moved/"))), ([], 30))
        self.assertEqual(self.copy(3, "tree", "moved", recursive=True)[0], 404)
        long = "l/" + "y" * 500
        self.create(long)
        self.assertEqual(self.copy(1, "l", "x" * 100, recursive=True)[1]["error"]["code"],
                         "bad_name")

    def test_more_than_a_batch(self):
        for first in range(0, 260, 130):
            status, body = self.call(1, "POST", "/v1/batch", {"create": [
                {"name": "many/%03d" % i, "value": "v%d" % i} for i in range(first, first + 130)]})
            self.assertEqual(status, 201, body)
        status, body = self.copy(1, "many", "lots", recursive=True)
        self.assertEqual((status, body["error"]["code"]), (413, "too_large"))
        self.create("lots/100", "mine")
        self.run_cli("secret", "copy", "-r", "many", "lots", expect=4)
        self.assertEqual(len(self.names("lots/")), 101)
        self.assertEqual(self.run_cli("secret", "copy", "-r", "--skip-existing", "many", "lots"),
                         "copied 159 secrets, left out 101 that exist\n")
        self.assertEqual((len(self.names("lots/")), self.value("lots/100")), (260, "mine"))

    def test_a_move_that_breaks_off_goes_on(self):
        """The coordinator is killed at some moment of each move; the same key settles it elsewhere."""
        for round_ in range(4):
            old, new, key = "old%d" % round_, "new%d" % round_, "move-%d" % round_
            for number in range(25):
                self.create("%s/%02d" % (old, number), "v%d" % number)

            def first():
                try:
                    self.copy(4, old, new, key, recursive=True, move=True)
                except Failed:
                    pass
            thread = threading.Thread(target=first)
            thread.start()
            time.sleep(0.05 * SLOW * (round_ + 1))
            self.cluster.kill9(4)
            thread.join()
            there = {name.split("/")[1] for name in self.names(old + "/") + self.names(new + "/")}
            self.assertEqual(len(there), 25, "every value is somewhere")
            deadline = time.monotonic() + 30 * SLOW
            while self.names(old + "/") and time.monotonic() < deadline:
                status, body = self.copy(5, old, new, key, recursive=True, move=True)
                self.assertIn(status, (200, 404, 409, 503), body)
            self.assertEqual(self.names(old + "/"), [])
            self.assertEqual([self.value(name) for name in self.names(new + "/")],
                             ["v%d" % n for n in range(25)])
            self.cluster.start(4, wait=True)

    def test_commands(self):
        self.create("cli/a", "1")
        self.create("cli/b", "2")
        self.assertEqual(self.run_cli("secret", "copy", "cli/a", "cli/c"), "copied 1 secret\n")
        self.assertEqual(self.run_cli("secret", "move", "-r", "cli", "moved/cli"),
                         "moved 3 secrets\n")
        self.assertEqual(self.names("moved/cli/"), ["moved/cli/a", "moved/cli/b", "moved/cli/c"])
        self.assertIn('"copied": 3', self.run_cli("secret", "copy", "--recursive", "--json",
                                                  "--one-by-one", "moved/cli", "again"))
        self.run_cli("secret", "move", "cli/a", "x", expect=3)
        self.run_cli("secret", "copy", "-r", "cli", "x", expect=3)
        self.run_cli("secret", "copy", "moved/cli/a", "moved/cli/b", expect=4)
        self.assertEqual(self.run_cli("secret", "copy", "-r", "moved/cli/", "slash/"), "copied 3 secrets\n")
        self.assertEqual(self.names("slash/"), ["slash/a", "slash/b", "slash/c"])
        self.run_cli("secret", "copy", "moved/cli/", "slash/", expect=2)
        self.run_cli("secret", "copy", "-r", "moved/cli//", "slash", expect=2)
        self.run_cli("secret", "copy", "-r", "/", "slash", expect=2)
        self.run_cli("secret", "copy", "a", expect=2)
        self.run_cli("secret", "copy", "--skip-existing", "a", "b", expect=2)


if __name__ == "__main__":
    unittest.main()
