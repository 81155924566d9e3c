"""How much one address and one caller may ask of a node. All addresses of 127.0.0.0/8 are this machine."""

import http.client
import json
import socket
import ssl
import unittest

from ostraka_cluster import SLOW, Cluster, wait_until

PATIENCE = 20  # seconds


class Limits(unittest.TestCase):
    OPTIONS = {}

    def setUp(self):
        self.cluster = Cluster(3).create()
        self.addCleanup(self.cluster.close)
        self.sockets = []
        self.addCleanup(lambda: [s.close() for s in self.sockets])

    def start(self, **options):
        for name, value in options.items():
            self.cluster.set_server_option(name, value)
        self.cluster.start_all()
        self.cluster.wait_ready()

    def tcp(self, source):
        plain = socket.create_connection(("127.0.0.1", self.cluster.api_port(1)), 15 * SLOW, (source, 0))
        self.sockets.append(plain)
        return plain

    def tls(self, source):
        secured = self.cluster.tls().wrap_socket(self.tcp(source), server_hostname="127.0.0.1")
        self.sockets.append(secured)
        return secured

    def can_connect(self, source):
        try:
            self.tls(source).close()
            return True
        except (OSError, ssl.SSLError):
            return False

    def ask(self, source, token=None, method="GET", path="/v1/secrets/none", body=None):
        """Over a connection of its own: (status, headers, code of the error)."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.cluster.api_port(1),
                                                 timeout=15 * SLOW, context=self.cluster.tls(),
                                                 source_address=(source, 0))
        fields = {"Authorization": "Bearer " + (token or self.cluster.token), "X-Request-Id": "mine"}
        if body is not None:
            fields["Content-Type"] = "application/json"
        try:
            connection.request(method, path, body, fields)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        code = json.loads(content)["error"]["code"] if response.status >= 400 else None
        return response.status, {k.lower(): v for k, v in response.getheaders()}, code

    def assert_refused(self, answer):
        status, headers, code = answer
        self.assertEqual((status, code), (429, "rate_limited"))
        self.assertIn(headers["retry-after"], ("1", "2", "5", "15", "60"))
        self.assertEqual(headers["x-request-id"], "mine")

    def refused_in_the_end(self, *what, **more):
        def try_once():
            answer = self.ask(*what, **more)
            return answer if answer[0] == 429 else None
        self.assert_refused(wait_until(try_once, PATIENCE, "one request too many", interval=0))

    def metric(self, name, source):
        connection = http.client.HTTPSConnection("127.0.0.1", self.cluster.api_port(1),
                                                 timeout=15 * SLOW, context=self.cluster.tls(),
                                                 source_address=(source, 0))
        connection.request("GET", "/metrics", headers={"Authorization": "Bearer " + self.cluster.token})
        text = connection.getresponse().read().decode()
        connection.close()
        return [float(line.split()[1]) for line in text.splitlines() if line.startswith(name + " ")][0]

    def test_requests_of_an_address(self):
        self.start(address_requests_per_s=1)
        self.refused_in_the_end("127.0.0.2")
        self.refused_in_the_end("127.0.0.2", token="wrong")
        # Those that would bring a body, and one that has come with its head.
        self.refused_in_the_end("127.0.0.2", method="POST", path="/v1/secrets/a",
                                body=json.dumps({"value": "v" * 100000}))
        self.refused_in_the_end("127.0.0.2", method="POST", path="/v1/secrets/b",
                                body=json.dumps({"value": "v"}))
        # Another address is not concerned, and who waits is served again.
        self.assertEqual(self.ask("127.0.0.3")[0], 404)
        wait_until(lambda: self.ask("127.0.0.2")[0] == 404, PATIENCE, "a request after a while")
        self.assertGreater(self.metric("ostraka_limits_exceeded_total", "127.0.0.4"), 3)

    def test_a_connection_outlives_a_refusal(self):
        self.start(address_requests_per_s=1)
        connection = http.client.HTTPSConnection("127.0.0.1", self.cluster.api_port(1),
                                                 timeout=15 * SLOW, context=self.cluster.tls(),
                                                 source_address=("127.0.0.5", 0))
        self.addCleanup(connection.close)
        connection.connect()
        own = connection.sock
        seen = set()

        def both():
            connection.request("GET", "/v1/health")
            response = connection.getresponse()
            response.read()
            seen.add(response.status)
            return seen >= {200, 429}
        wait_until(both, PATIENCE, "a refusal and an answer")
        self.assertIs(connection.sock, own)

    def test_requests_of_a_caller(self):
        self.start(identity_requests_per_s=1)
        sources = ["127.0.0.%d" % i for i in range(2, 200)]
        wait_until(lambda: self.ask(sources.pop())[0] == 429, PATIENCE, "a request too many")
        # Who is nobody counts as nobody.
        for _ in range(5):
            self.assertEqual(self.ask("127.0.0.2", token="wrong")[0], 401)

    def test_failures(self):
        self.start(slow_failed_logins='"yes"')
        statuses = []

        def refused():
            statuses.append(self.ask("127.0.0.2", token="wrong")[0])
            return statuses[-1] == 429
        wait_until(refused, PATIENCE, "a failure too many", interval=0)
        self.assertEqual(set(statuses[:-1]), {401})
        self.assertGreaterEqual(len(statuses), 5)
        self.assertEqual(self.ask("127.0.0.3")[0], 404)
        wait_until(lambda: self.ask("127.0.0.2")[0] == 404, PATIENCE, "a valid token after a while")

    def test_connections_of_an_address(self):
        self.start(address_connections_max=4)
        held = [self.tls("127.0.0.2") for _ in range(4)]
        self.assertFalse(self.can_connect("127.0.0.2"))
        self.assertTrue(self.can_connect("127.0.0.3"))
        held[0].close()
        wait_until(lambda: self.can_connect("127.0.0.2"), PATIENCE, "room for a connection")

    def test_handshakes_of_an_address(self):
        self.start(address_handshakes_max=3)

        def crowded():
            """They end by themselves after a while, so they are made anew."""
            for _ in range(4):
                self.tcp("127.0.0.2")
            return not self.can_connect("127.0.0.2")
        wait_until(crowded, PATIENCE, "a handshake too many")
        self.assertTrue(self.can_connect("127.0.0.3"))
        wait_until(lambda: self.can_connect("127.0.0.2"), PATIENCE, "an end of those handshakes",
                   interval=0.5)

    def test_new_connections_of_an_address(self):
        self.start(address_connections_per_s=1)
        wait_until(lambda: not self.can_connect("127.0.0.2"), PATIENCE, "a connection too many",
                   interval=0)
        self.assertTrue(self.can_connect("127.0.0.3"))
        wait_until(lambda: self.can_connect("127.0.0.2"), PATIENCE, "a connection after a while")


if __name__ == "__main__":
    unittest.main()
