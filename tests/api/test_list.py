"""Lists of names, by real processes: five nodes, three shares; and the commands that show them."""

import random
import subprocess
import threading
import unittest
import urllib.parse

from ostraka_cluster import SLOW, Cluster, Failed, clean_environment, wait_until

NODES, SHARES = 5, 3


class List(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(NODES, shares=SHARES)
        self.cluster.__enter__()

    def tearDown(self):
        reports = self.cluster.sanitizer_reports()
        self.cluster.__exit__(None, None, None)
        self.assertEqual(reports, [])

    def page(self, node, **query):
        target = "/v1/secrets?" + urllib.parse.urlencode(query, safe="/")
        return self.cluster.request(node, "GET", target)

    def names(self, node, prefix="", limit=1000):
        found, after = [], {}
        while True:
            status, _, body = self.page(node, prefix=prefix, limit=limit, **after)
            self.assertEqual(status, 200, body)
            self.assertLessEqual(len(body["names"]), limit)
            found += body["names"]
            if "next" not in body:
                return found
            after = {"after": body["next"]}

    def create(self, node, name):
        status, _, body = self.cluster.request(node, "POST", "/v1/secrets/" + name, {"value": "x"})
        self.assertEqual(status, 201, body)

    def run_cli(self, *arguments, expect=0):
        environment = clean_environment(OSTRAKA_ADDR=self.cluster.addresses(),
                                        OSTRAKA_CACERT=self.cluster.ca_file(),
                                        OSTRAKA_TOKEN_FILE=self.cluster.token_file())
        done = subprocess.run([self.cluster.program, *arguments], capture_output=True,
                              env=environment, timeout=60 * SLOW, check=False)
        self.assertEqual(done.returncode, expect, (done.stdout, done.stderr))
        return done.stdout.decode()

    def test_sorted_and_paged_at_every_node(self):
        there = ["b", "a", "a/b", "ab", "a-b", "B", "a/b/c", "é", "long/" + "x" * 500]
        for number, name in enumerate(there):
            self.create(number % NODES + 1, urllib.parse.quote(name))
        expected = sorted(there, key=str.encode)
        for node in self.cluster.nodes():
            for limit in (1, 2, 1000):
                self.assertEqual(self.names(node, limit=limit), expected)
            self.assertEqual(self.names(node, prefix="a/"), ["a/b", "a/b/c"])
        self.assertEqual(self.names(1, prefix="none"), [])
        status, _, _ = self.cluster.request(2, "DELETE", "/v1/secrets/a/b")
        self.assertIn(status, (200, 202))
        self.assertEqual(self.names(3, prefix="a/"), ["a/b/c"])
        status, _, body = self.cluster.request(
            1, "GET", "/v1/secrets", headers={"X-Ostraka-Tenant": "other"})
        self.assertEqual((status, body), (200, {"names": []}))

        self.assertEqual(self.run_cli("secret", "list", "a"), "a\na-b\na/b/c\nab\n")
        self.assertEqual(self.run_cli("secret", "tree", "a"), "a\na-b\na/\n    b/\n        c\nab\n")
        self.assertIn('"a/b/c"', self.run_cli("secret", "list", "--json"))
        self.run_cli("secret", "list", "x" * 513, expect=2)

    def test_nodes_that_are_away(self):
        for number in range(12):
            self.create(number % NODES + 1, "n%02d" % number)
        expected = self.names(1)
        self.assertEqual(len(expected), 12)
        self.cluster.kill9(5)
        for node in (1, 2, 3, 4):
            self.assertEqual(self.names(node), expected)
        self.cluster.kill9(4)
        status, _, body = self.page(1, limit=10)
        self.assertEqual((status, body["error"]["code"], body["error"]["retry"]),
                         (503, "no_quorum", "safe"))
        self.run_cli("secret", "list", expect=6)
        for node in (4, 5):
            self.cluster.start(node, wait=True)
        wait_until(lambda: self.page(5, limit=100)[0] == 200, 30, "a list again")
        self.assertEqual(self.names(5), expected)

    def test_changes_meanwhile(self):
        """What was acknowledged before a list began is as it says; what comes and goes may be."""
        stays, gone = ["s/%02d" % i for i in range(20)], ["s/gone%02d" % i for i in range(20)]
        for name in stays + gone:
            self.create(random.randint(1, NODES), name)
        for name in gone:
            self.cluster.request(random.randint(1, NODES), "DELETE", "/v1/secrets/" + name)
        stop, faults = threading.Event(), []

        def change(number):
            while not stop.is_set():
                name = "/v1/secrets/s/flux%d" % number
                try:
                    self.cluster.request(random.randint(1, NODES), "POST", name, {"value": "x"})
                    self.cluster.request(random.randint(1, NODES), "DELETE", name)
                except Failed as error:
                    faults.append(error)

        writers = [threading.Thread(target=change, args=(i,)) for i in range(3)]
        for writer in writers:
            writer.start()
        try:
            for round_ in range(20):
                found = self.names(round_ % NODES + 1, prefix="s/", limit=7)
                self.assertEqual(found, sorted(found))
                self.assertEqual([n for n in found if not n.startswith("s/flux")], stays)
        finally:
            stop.set()
            for writer in writers:
                writer.join()
        self.assertEqual(faults, [])


if __name__ == "__main__":
    unittest.main()
