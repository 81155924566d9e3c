"""The bootstrap token is replaced node by node, and a node that was forgotten is told of."""

import hashlib
import os
import re
import secrets
import socket
import ssl
import struct
import subprocess
import unittest

from ostraka_cluster import SLOW, Cluster, clean_environment, wait_until


class Replaced(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(3)
        self.addCleanup(self.cluster.close)
        self.cluster.__enter__()

    def differs(self, node):
        status, _, answer = self.cluster.request(node, "GET", "/v1/status", token=self.tokens[node])
        self.assertEqual(status, 200, answer)
        peers = {peer["node"]: peer["admin_token_differs"] for peer in answer["peers"]}
        self.assertIsNone(peers.pop("n%d" % node))
        metrics = self.cluster.request(node, "GET", "/metrics", token=self.tokens[node])[2].decode()
        found = re.findall(r'^ostraka_peer_admin_token_differs\{peer="(n\d)"\} ([01])$', metrics, re.M)
        return peers, {name: value == "1" for name, value in found}

    def status(self, node):
        environment = clean_environment(OSTRAKA_ADDR=self.cluster.addresses([node]), OSTRAKA_TOKEN=self.tokens[node],
                                        OSTRAKA_CACERT=self.cluster.ca_file())
        done = subprocess.run([self.cluster.program, "status"], capture_output=True, text=True, env=environment,
                              timeout=60 * SLOW)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def restart(self, node):
        self.cluster.stop(node)
        self.cluster.start(node, wait=True)
        self.cluster.wait_ready()

    def shows(self, node, **peers):
        wait_until(lambda: self.differs(node) == (peers, peers), 20, "n%d shows %r" % (node, peers))

    def test_a_forgotten_node(self):
        old, new = self.cluster.token, "ost_" + secrets.token_urlsafe(32)
        self.tokens = {node: old for node in self.cluster.nodes()}
        self.shows(1, n2=False, n3=False)
        self.cluster.edit_config(r'^admin_token_hash = ".*"',
                                 'admin_token_hash = "%s"' % hashlib.blake2b(new.encode(), digest_size=32).hexdigest())
        for node in (1, 2):
            self.restart(node)
            self.tokens[node] = new
        self.shows(1, n2=False, n3=True)
        self.shows(2, n1=False, n3=True)
        self.shows(3, n1=True, n2=True)
        for node, status in ((1, 201), (2, 201), (3, 503)):  # who has a share judges the token by itself
            self.assertEqual(self.cluster.request(node, "POST", "/v1/secrets/by/%d" % node, {"value": "v"},
                                                  token=self.tokens[node])[0], status)
        self.assertIn("n3 takes another bootstrap token than this node", self.status(1))
        self.assertIn("n1 takes another bootstrap token than this node", self.status(3))
        for node, peer in ((1, 3), (2, 3), (3, 1), (3, 2)):
            lines = re.findall(r"warn n\d link admin_token_differs peer=n%d .*" % peer, self.cluster.log(node))
            self.assertEqual(len(lines), 1, lines)
        for node in self.cluster.nodes():
            for text in (old, new):
                digest = hashlib.blake2b(text.encode(), digest_size=32).hexdigest()
                self.assertNotIn(text, self.cluster.log(node))
                self.assertNotIn(digest, self.cluster.log(node))
        self.restart(3)
        self.tokens[3] = new
        for node, peers in ((1, (2, 3)), (2, (1, 3)), (3, (1, 2))):
            self.shows(node, **{"n%d" % peer: False for peer in peers})
        self.assertNotIn("another bootstrap token", self.status(1))
        self.assertEqual(self.cluster.request(3, "GET", "/v1/status", token=old)[0], 401)


class Hello(unittest.TestCase):
    """The first frame of a node to one of an older program, which would call more than that malformed."""

    PLAIN, WITH_TOKEN = 0xa9, 0xaa  # maps of nine and ten

    def setUp(self):
        self.cluster = Cluster(3)
        self.addCleanup(self.cluster.close)
        self.cluster.__enter__()

    def hello(self, protocols):
        """What n3 says to who shows n1's certificate; n1 itself stays connected meanwhile."""
        own = self.cluster.node_directory(1)
        context = ssl.create_default_context(cafile=os.path.join(own, "ca.crt"))
        context.load_cert_chain(os.path.join(own, "node.crt"), os.path.join(own, "node.key"))
        if protocols:
            context.set_alpn_protocols(protocols)
        with socket.create_connection(("127.0.0.1", self.cluster.base_port + 103), 10 * SLOW) as plain:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as link:
                received = b""
                while len(received) < 4 or len(received) < 4 + struct.unpack(">I", received[:4])[0]:
                    received += link.recv(4096)
                return received[4:], link.selected_alpn_protocol()

    def test_an_older_program_is_told_nothing_new(self):
        with open(self.cluster.config()) as file:
            token_hash = re.search(r'^admin_token_hash = "(\w+)"', file.read(), flags=re.M).group(1)
        plain, chosen = self.hello([])
        self.assertEqual((plain[0], chosen), (self.PLAIN, None))
        other, chosen = self.hello(["http/1.1"])
        self.assertEqual((other[0], chosen), (self.PLAIN, None))
        told, chosen = self.hello(["ostraka-link/1"])
        self.assertEqual((told[0], chosen), (self.WITH_TOKEN, "ostraka-link/1"))
        self.assertEqual(told[1:len(plain)], plain[1:])
        self.assertEqual(len(told), len(plain) + 35)
        self.assertNotIn(bytes.fromhex(token_hash), told)
        self.cluster.wait_ready()


if __name__ == "__main__":
    unittest.main()
