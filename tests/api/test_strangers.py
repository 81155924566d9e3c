"""Clients without a token cannot keep those with one from the node, nor the node from its peers."""

import resource
import socket
import ssl
import threading
import time
import unittest

from ostraka_cluster import SLOW, Cluster


class Strangers(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(3).create()
        self.addCleanup(self.cluster.close)
        self.cluster.set_server_option("log_level", '"warn"')
        self.cluster.start_all()
        self.cluster.wait_ready()
        self.sockets = []
        self.addCleanup(lambda: [s.close() for s in self.sockets])

    def connect(self, tls=True):
        plain = socket.create_connection(("127.0.0.1", self.cluster.api_port(1)), 10 * SLOW)
        connection = self.cluster.tls().wrap_socket(
            plain, server_hostname="127.0.0.1") if tls else plain
        self.sockets.append(connection)
        return connection

    def write_in_time(self, seconds):
        begin = time.monotonic()
        self.write()
        self.assertLess(time.monotonic() - begin, seconds * SLOW)

    def write(self):
        self.number = getattr(self, "number", 0) + 1
        self.assertEqual(self.cluster.request(1, "POST", "/v1/secrets/s%d" % self.number,
                                              {"value": "v"})[0], 201)

    def test_bodies_that_never_come(self):
        """Of all strangers together more bytes are announced than the node would take."""
        for _ in range(40):
            self.connect().sendall(b"POST /v1/secrets/x HTTP/1.1\r\nHost: h\r\n"
                                   b"Content-Type: application/json\r\n"
                                   b"Content-Length: 2097152\r\n\r\n")
        self.write_in_time(2)
        answer = self.sockets[0].recv(4096)
        self.assertTrue(answer.startswith(b"HTTP/1.1 401 "), answer)

    def test_silent_connections(self):
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
        for _ in range(1100):
            self.connect(tls=False)
        self.write_in_time(4)

    def test_requests_without_end(self):
        """The node goes on sending heartbeats, so its peers keep their links."""
        connection = self.connect()
        requests = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n" * 20000
        end = time.monotonic() + 4

        def send():
            try:
                while time.monotonic() < end:
                    connection.sendall(requests)
            except (OSError, ssl.SSLError):
                pass

        sender = threading.Thread(target=send)
        sender.start()
        received = 0
        while time.monotonic() < end:
            received += len(connection.recv(65536))
        connection.shutdown(socket.SHUT_RDWR)
        sender.join(10)
        self.assertGreater(received, 1000000)
        self.write()
        lost = [line for node in self.cluster.nodes()
                for line in self.cluster.log(node).splitlines() if " peer_down " in line]
        self.assertEqual(lost, [])


if __name__ == "__main__":
    unittest.main()
