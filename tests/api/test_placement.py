"""Five nodes, three shares: every node serves every secret, and three of them keep it."""

import hashlib
import os
import re
import struct
import subprocess
import tempfile
import unittest

from ostraka_cluster import SLOW, Cluster, binary, clean_environment, wait_until

NODES, SHARES = 5, 3
MASK = 2 ** 64 - 1


def siphash(key, data):
    """SipHash-2-4, as its paper has it."""
    def rotate(x, bits):
        return ((x << bits) | (x >> (64 - bits))) & MASK

    def rounds(count):
        for _ in range(count):
            v[0] = (v[0] + v[1]) & MASK
            v[1] = rotate(v[1], 13) ^ v[0]
            v[0] = rotate(v[0], 32)
            v[2] = (v[2] + v[3]) & MASK
            v[3] = rotate(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & MASK
            v[3] = rotate(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & MASK
            v[1] = rotate(v[1], 17) ^ v[2]
            v[2] = rotate(v[2], 32)

    k0, k1 = struct.unpack("<QQ", key)
    v = [k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d,
         k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573]
    padded = data + bytes(-(len(data) + 1) % 8) + bytes([len(data) & 0xff])
    for (word,) in struct.iter_unpack("<Q", padded):
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xff
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def hash_parts(*parts):
    state = hashlib.blake2b(digest_size=32)
    for part in parts:
        state.update(struct.pack(">Q", len(part)) + part)
    return state.digest()


def keepers(name, nodes=NODES, shares=SHARES):
    """The nodes that must keep the secret, by what docs/protocol.md says."""
    path = hash_parts(b"ostraka placement: path 1", b"default", name.encode())
    weights = {node: siphash(hash_parts(b"ostraka placement: node 1", b"n%d" % node)[:16], path)
               for node in range(1, nodes + 1)}
    return set(sorted(weights, key=weights.get)[-shares:])


class Placement(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(NODES, 2, shares=SHARES).__enter__()
        self.addCleanup(self.cluster.close)

    def tearDown(self):
        self.assertEqual(self.cluster.sanitizer_reports(), [])

    def call(self, node, method, name, body=None, query=""):
        return self.cluster.request(node, method, "/v1/secrets/%s%s" % (name, query), body)

    def status(self, node):
        return self.cluster.request(node, "GET", "/v1/status")[2]

    def test_every_node_serves_every_secret(self):
        names = ["app/%d/key" % i for i in range(25)]
        for i, name in enumerate(names):
            at = i % NODES + 1
            self.assertEqual(self.call(at, "POST", name, {"value": "one"})[0], 201)
            self.assertEqual(self.call((at + 1) % NODES + 1, "PUT", name, {"value": "two"})[0], 200)
        for name in names:
            for node in self.cluster.nodes():
                status, _, body = self.call(node, "GET", name)
                self.assertEqual((status, body["value"], body["version"]), (200, "two", 2))
                status, _, body = self.call(node, "GET", name, query="?version=1")
                self.assertEqual((status, body["value"]), (200, "one"))
                status, _, body = self.cluster.request(node, "GET", "/v1/history/" + name)
                self.assertEqual((status, [v["version"] for v in body["versions"]]), (200, [2, 1]))
                self.assertEqual(self.call(node, "POST", name, {"value": "x"})[0], 409)
        for i, name in enumerate(names[:10]):
            status, _, body = self.call((i + 3) % NODES + 1, "DELETE", name)
            self.assertEqual((status, body["replicas"]), (200, SHARES))
            for node in self.cluster.nodes():
                self.assertEqual(self.call(node, "GET", name)[0], 404)
        self.check_counts(names)

    def check_counts(self, names):
        expected = {node: sum(node in keepers(name) for name in names)
                    for node in self.cluster.nodes()}

        def counted():
            body = self.status(2)
            return {int(p["node"][1:]): p["paths"] for p in body["peers"]} == expected and body
        body = wait_until(counted, 5, "nodes keep what they should: %r" % expected)
        placement = body["placement"]
        self.assertEqual(placement["paths"], expected[2])
        self.assertEqual(placement["cluster_paths"], len(names))
        self.assertEqual(placement["permille"], expected[2] * 1000 // len(names))
        self.assertEqual(placement["even_permille"], 600)
        self.assertEqual(placement["available"], "all")
        metrics = self.cluster.request(2, "GET", "/metrics")[2].decode()
        self.assertIn("ostraka_paths %d\n" % expected[2], metrics)
        self.assertIn("ostraka_cluster_paths %d\n" % len(names), metrics)
        self.assertIn('ostraka_peer_paths{peer="n5"} %d\n' % expected[5], metrics)
        self.assertIn("ostraka_all_paths_available 1\n", metrics)
        self.assertIn("ostraka_messages_refused_total 0\n", metrics)
        done = subprocess.run(
            [self.cluster.program, "status"], capture_output=True, text=True, timeout=30,
            env=clean_environment(OSTRAKA_ADDR=self.cluster.address(2),
                                  OSTRAKA_TOKEN=self.cluster.token,
                                  OSTRAKA_CACERT=self.cluster.ca_file()))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("keeps %d of %d paths" % (expected[2], len(names)), done.stdout)
        self.assertIn("evenly spread: 60.0 %", done.stdout)
        self.assertRegex(done.stdout, r"(?m)^NODE .* PATHS +IN SYNC +BACKLOG$")
        self.assertTrue(re.search(r"(?m)^n5 .* %d +yes +\d+$" % expected[5], done.stdout), done.stdout)
        # After a restart they are counted, not remembered.
        self.cluster.stop(2)
        self.cluster.start(2, wait=True)
        wait_until(counted, 5, "the same numbers after a restart")

    def test_one_and_two_nodes_killed(self):
        names = ["kill/%d" % i for i in range(30)]
        for i, name in enumerate(names):
            self.assertEqual(self.call(i % NODES + 1, "POST", name, {"value": "one"})[0], 201)
        self.cluster.kill9(4)
        alive = [1, 2, 3, 5]
        for i, name in enumerate(names):
            at = alive[i % 4]
            status, _, body = self.call(at, "GET", name)
            self.assertEqual((status, body["value"]), (200, "one"), name)
            self.assertEqual(self.call(at, "PUT", name, {"value": "two"})[0], 200)
        self.assertEqual(self.status(1)["placement"]["available"], "all")

        self.cluster.kill9(5)
        wait_until(lambda: self.status(1)["placement"]["available"] == "some", 10, "some")
        self.assertTrue(self.status(1)["quorum"], "three of five nodes are connected")
        whole = [name for name in names if len(keepers(name) & {1, 2, 3}) >= 2]
        others = [name for name in names if name not in whole]
        self.assertGreater(len(whole), 10)
        self.assertGreater(len(others), 2)
        for i, name in enumerate(whole):
            at = i % 3 + 1
            self.assertEqual(self.call(at, "PUT", name, {"value": "three"})[0], 200, name)
            self.assertEqual(self.call(3 - i % 3, "GET", name)[2]["value"], "three")
        for at, name in enumerate(others[:1], 1):
            status, _, body = self.call(at, "GET", name)
            self.assertEqual((status, body["error"]["code"]), (503, "no_quorum"))
            status, _, body = self.call(at, "PUT", name, {"value": "lost"})
            self.assertEqual((status, body["error"]["code"], body["error"]["phase"]),
                             (503, "no_quorum", "voting"))

        for node in (4, 5):
            self.cluster.start(node)
        self.cluster.wait_ready()
        for i, name in enumerate(names):
            value = "three" if name in whole else "two"
            self.assertEqual(self.call(5 - i % 5, "GET", name)[2]["value"], value)
        wait_until(lambda: all(peer["backlog"] == 0 for node in self.cluster.nodes()
                               for peer in self.status(node)["peers"]), 20, "no backlog")
        # The returned nodes hold their shares: the other replica of each path may go.
        self.cluster.kill9(1)
        for i, name in enumerate(names):
            value = "three" if name in whole else "two"
            self.assertEqual(self.call(2 + i % 4, "GET", name)[2]["value"], value)
        for i, name in enumerate(names):
            self.assertEqual(self.call(2 + i % 4, "DELETE", name)[0], 200)
        self.cluster.start(1, wait=True)
        for node in self.cluster.nodes():
            self.assertEqual(self.call(node, "GET", names[node])[0], 404)

        def all_erased():
            return all(self.cluster.request(2, "GET", "/v1/deletions/" + name)[2]["erased_on"]
                       == SHARES for name in names)
        wait_until(all_erased, 20, "n1 has erased, too")


class Create(unittest.TestCase):
    """What `cluster create` and `server --check` make of numbers of nodes and shares."""

    def create(self, directory, *arguments):
        return subprocess.run(
            [binary(), "cluster", "create", "--dir", directory, *arguments],
            capture_output=True, text=True, env=clean_environment(), timeout=60 * SLOW)

    def test_numbers(self):
        with tempfile.TemporaryDirectory() as parent:
            for i, (arguments, told) in enumerate((
                    (("--nodes", "5", "--shares", "6"), "1 to 5 shares, not 6"),
                    (("--nodes", "9", "--shares", "8"), "--shares must be from 1 to 7"),
                    (("--nodes", "5", "--shares", "3", "--threshold", "3"),
                     "threshold must be 2"))):
                done = self.create(os.path.join(parent, "bad-%d" % i), *arguments)
                self.assertEqual(done.returncode, 2, arguments)
                self.assertIn(told, done.stderr)
            for arguments, told, shares in (
                    (("--nodes", "5", "--shares", "3"),
                     "split into 3 shares, on as many of the nodes; any 2 restore it", 3),
                    (("--nodes", "9"),
                     "split into 7 shares, on as many of the nodes; any 4 restore it", 7),
                    (("--nodes", "3"), "split into 3 shares; any 2 restore it", 3)):
                directory = os.path.join(parent, "-".join(arguments).replace("--", ""))
                done = self.create(directory, *arguments)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(told, done.stdout)
                done = subprocess.run(
                    [binary(), "server", "--config", os.path.join(directory, "cluster.conf"),
                     "--node", "n1", "--check"],
                    capture_output=True, text=True, env=clean_environment(), timeout=60 * SLOW)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertRegex(done.stdout, r"(?m)^\s*shares\s+%d$" % shares)


if __name__ == "__main__":
    unittest.main()
