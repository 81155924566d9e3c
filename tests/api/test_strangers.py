"""Clients without a token cannot keep those with one from the node, nor the node from its peers."""

import os
import resource
import select
import socket
import ssl
import subprocess
import time
import unittest

from ostraka_cluster import SLOW, Cluster, clean_environment, wait_until


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

    def seconds_of_a_write(self):
        begin = time.monotonic()
        self.write()
        return time.monotonic() - begin

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
        self.write()
        answer = self.sockets[0].recv(4096)
        self.assertTrue(answer.startswith(b"HTTP/1.1 401 "), answer)

    def test_silent_connections(self):
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
        took = []
        while not took or (min(took) >= 4 and len(took) < 4):
            for _ in range(1100):
                self.connect(tls=False)
            took.append(self.seconds_of_a_write())
            while self.sockets:
                self.sockets.pop().close()
        self.assertLess(min(took), 4 * SLOW, took)

    def start_with_files(self, node, count, wait=True):
        """Starts it anew, so that it may open so many files, sockets included."""
        self.cluster.stop(node)
        with open(self.cluster.log_path(node), "ab") as log:
            self.cluster.processes[node] = subprocess.Popen(
                ["prlimit", "--nofile=%d:%d" % (count, count), self.cluster.program, "server", "--config",
                 self.cluster.config(), "--node", self.cluster.name(node)], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=clean_environment(), start_new_session=True)
        if wait:
            self.cluster.wait_ready([node])

    def test_where_too_few_files_may_be_opened(self):
        """Else whoever connects to the links' port could take those that the store needs, and end the node."""
        self.start_with_files(1, 255, wait=False)
        self.assertEqual(self.cluster.wait_exit(1), 1)
        self.assertIn("may open 255 files, and needs 256", self.cluster.log(1))

    def connect_to_links(self):
        self.sockets.append(socket.create_connection(("127.0.0.1", self.cluster.api_port(1) + 100), 10 * SLOW))

    def test_links_leave_the_store_its_files(self):
        """Strangers at both ports at the same time, and a node that may open as few files as may be."""
        self.start_with_files(1, 256)
        most = 0
        for _ in range(6):
            for _ in range(80):
                self.connect_to_links()
            for _ in range(20):
                try:
                    self.connect()
                except OSError:
                    pass  # refused while so many shake hands
            most = max(most, len(os.listdir("/proc/%d/fd" % self.cluster.processes[1].pid)))
            self.write()
        self.assertGreater(most, 100)
        self.assertLess(most, 230)

    def test_where_few_files_may_be_opened(self):
        """Strangers do not take the last of them: clients are served, and a peer that was away is met again."""
        self.start_with_files(1, 256)
        held = 0
        for _ in range(300):
            try:
                self.connect()
                held += 1
            except OSError:
                pass
        self.assertGreater(held, 100)
        for _ in range(5):
            self.write()
        self.cluster.stop(2)
        self.cluster.start(2)
        self.cluster.wait_ready([2])
        wait_until(lambda: self.connected_to_n2(), 20, "n1 has a link to n2")
        self.assertNotIn("accept_paused", self.cluster.log(1))

    def ask(self, count, request):
        """On one connection; all are answered."""
        connection = self.connect()
        for _ in range(count // 100):
            connection.sendall(request * 100)
            answers = 0
            while answers < 100:
                answers += connection.recv(65536).count(b"HTTP/1.1 503 ")

    def test_lines_about_what_fails(self):
        """Whatever a stranger asks of a node that is not ready, it writes few lines about that."""
        self.cluster.set_server_option("log_level", None)
        identity = self.cluster.request(1, "POST", "/v1/identities", {"name": "x", "kind": "service"})[2]["id"]
        token = self.cluster.request(1, "POST", "/v1/tokens", {"identity": identity, "ttl": 600})[2]["token"]
        for node in (1, 2, 3):
            self.cluster.stop(node)
        self.cluster.start(1)
        wait_until(lambda: " server not_ready " in self.cluster.log(1), 20, "what the node says of itself")
        begun, before = time.monotonic(), len(self.cluster.log(1).splitlines())
        self.ask(1000, b"GET /v1/health HTTP/1.1\r\nHost: h\r\n\r\n")
        self.ask(1000, b"GET /v1/secrets/x HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n\r\n" %
                 token.encode())
        lines = self.cluster.log(1).splitlines()[before:]
        self.assertLess(len(lines), 50 + 25 * (time.monotonic() - begun))
        self.assertFalse([line for line in lines if "operation=health" in line])
        self.cluster.start(2)
        self.cluster.wait_ready([1])
        wait_until(lambda: " server ready " in self.cluster.log(1), 20, "what the node says of itself")

    def connected_to_n2(self):
        metrics = self.cluster.request(1, "GET", "/metrics")[2].decode()
        return 'ostraka_peer_connected{peer="n2"} 1' in metrics

    def flood(self, seconds):
        """
        Requests without end, on one connection, for so long at least; the bytes of their answers. By one
        thread: two that use a TLS connection at the same time may spoil its records.
        """
        connection = self.connect()
        connection.setblocking(False)
        requests = memoryview(b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n" * 20000)
        begun, received, sent = time.monotonic(), 0, 0
        while time.monotonic() < begun + seconds or (
                received < 1000000 and time.monotonic() < begun + 60 * SLOW):
            try:
                sent = (sent + connection.send(requests[sent:])) % len(requests)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            try:
                received += len(connection.recv(65536))
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                select.select([connection], [connection], [], 0.01)
        connection.close()
        return received

    def test_requests_without_end(self):
        """The node goes on sending heartbeats, so its peers keep their links; in one of three attempts,
        for a busy machine may keep it from that as well."""
        for _ in range(3):
            before = self.links_lost()
            self.assertGreater(self.flood(4), 1000000)
            self.write()
            lost = self.links_lost()[len(before):]
            if not lost:
                break
        self.assertEqual(lost, [])

    def links_lost(self):
        return [line for node in self.cluster.nodes()
                for line in self.cluster.log(node).splitlines() if " peer_down " in line]


if __name__ == "__main__":
    unittest.main()
