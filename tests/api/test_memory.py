"""
What a server keeps in its memory when it has nothing to do: no value, no token, no storage key.

Reads the whole memory of the running processes, which only root may (they forbid it to their own user).
"""

import base64
import os
import socket
import struct
import time
import unittest

from ostraka_cluster import SLOW, Cluster, Failed, wait_until

VALUE = "canary-Rk4Wz8Ny2Hv6Xc9Tb3Qm7Jd5"
BINARY = b"\x00\xffcanary-" + bytes(range(160, 190))
CHUNK = 1 << 24


def memory(pid):
    """All readable memory in overlapping pieces, as (name of the mapping, bytes)."""
    with open("/proc/%d/maps" % pid) as file:
        lines = file.read().splitlines()
    with open("/proc/%d/mem" % pid, "rb", 0) as file:
        for line in lines:
            bounds, _, _, _, _, *name = line.split(None, 5)
            at, end = (int(bound, 16) for bound in bounds.split("-"))
            name = name[0] if name else "anonymous"
            if name in ("[vvar]", "[vsyscall]"):
                continue
            tail = b""
            while at < end:
                try:
                    file.seek(at)
                    piece = file.read(min(CHUNK, end - at))
                except (OSError, ValueError):
                    break
                if not piece:
                    break
                yield name, tail + piece
                tail = piece[-64:]
                at += len(piece)


def found(pid, needles):
    return sorted({(label, name) for name, piece in memory(pid)
                   for label, needle in needles.items() if needle in piece})


@unittest.skipUnless(os.geteuid() == 0, "only root may read the memory of the servers")
class Memory(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(3).create()
        self.addCleanup(self.cluster.close)
        with open(os.path.join(self.cluster.node_directory(1), "storage.key")) as file:
            self.storage_key = file.read().strip()

    def needles(self):
        raw, token = VALUE.encode(), self.cluster.token.encode()
        # Pieces too: memory that is used again loses its beginning first.
        return {"value": raw[:14], "end of value": raw[-14:], "binary": BINARY[2:20],
                "base64": base64.b64encode(BINARY)[8:28], "token": token[:20],
                "end of token": token[-20:], "storage key in hex": self.storage_key[:32].encode(),
                "end of storage key in hex": self.storage_key[-32:].encode(),
                "storage key": bytes.fromhex(self.storage_key)}

    def test_the_search_finds_what_is_there(self):
        here = b"canary-" + os.urandom(16)
        self.assertTrue(found(os.getpid(), {"here": here}))
        self.cluster.start(1)
        wait_until(lambda: found(self.cluster.processes[1].pid, {"its name": b"ostraka"}), 20, "its name")

    def test_an_idle_server_knows_no_secret(self):
        os.unlink(os.path.join(self.cluster.node_directory(1), "storage.key"))
        self.cluster.start(1, environment={"OSTRAKA_STORAGE_KEY": self.storage_key})
        self.cluster.start_all()
        self.cluster.wait_ready()
        self.work()
        self.broken_off()
        needles = self.needles()

        deadline = time.monotonic() + 20 * SLOW
        while True:
            left = {node: found(self.cluster.processes[node].pid, needles)
                    for node in self.cluster.nodes()}
            if not any(left.values()) or time.monotonic() > deadline:
                break
            time.sleep(1)
        self.assertEqual(left, {node: [] for node in self.cluster.nodes()})
        with open("/proc/%d/environ" % self.cluster.processes[1].pid, "rb") as file:
            self.assertNotIn(self.storage_key.encode(), file.read())

    def work(self):
        encoded = base64.b64encode(BINARY).decode()
        for node in self.cluster.nodes():
            with self.subTest(node=node):
                client = self.cluster.client(node)
                for method, path, body in (
                        ("POST", "/v1/secrets/t%d" % node, {"value": VALUE}),
                        ("PUT", "/v1/secrets/t%d" % node, {"value": VALUE * 1000}),
                        ("POST", "/v1/secrets/b%d" % node, {"value": encoded,
                                                            "encoding": "base64"}),
                        ("GET", "/v1/secrets/t%d" % node, None),
                        ("GET", "/v1/secrets/b%d" % node, None)):
                    self.assertIn(client.request(method, path, body)[0], (200, 201))
                for body in (b'{"value":"%s"' % VALUE.encode(),
                             b'{"value":"%s","value":"x"}' % VALUE.encode(),
                             b'{"value":"%s","other":1}' % VALUE.encode()):
                    self.assertEqual(client.request("POST", "/v1/secrets/x", body)[0], 400)
                client.close()

    def broken_off(self):
        """Connections that end wherever a value or a token may be on its way."""
        head = ("POST /v1/secrets/y HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n"
                "Content-Type: application/json\r\n" % self.cluster.token)
        for data in (head, head + "Content-Length: 9000\r\n\r\n{\"value\":\"" + VALUE,
                     head + "Transfer-Encoding: chunked\r\n\r\n40\r\n{\"value\":\"" + VALUE,
                     head + "X-Bad Header: " + VALUE + "\r\n\r\n",
                     head.replace("POST", "GET").replace("/y", "/t1") + "\r\n" + head):
            self.reset_after(data.encode())
        self.cluster.pause(2)
        self.cluster.pause(3)
        try:
            self.cluster.request(1, "POST", "/v1/secrets/z", {"value": VALUE}, timeout=2)
        except Failed:
            pass
        self.cluster.resume(2)
        self.cluster.resume(3)

    def reset_after(self, data):
        plain = socket.create_connection(("127.0.0.1", self.cluster.api_port(1)), 10 * SLOW)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with self.cluster.tls().wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            connection.sendall(data)
            time.sleep(0.1)


if __name__ == "__main__":
    unittest.main()
