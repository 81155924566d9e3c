"""How much one address and one caller may ask of a node. All addresses of 127.0.0.0/8 are this machine."""

import concurrent.futures
import http.client
import json
import socket
import ssl
import time
import unittest

from cluster_case import ClusterCase
from ostraka_cluster import ADMIN, SLOW, Cluster, wait_until

PATIENCE = 20  # seconds


class Limits(unittest.TestCase):
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

    def test_what_is_too_much_is_not_written_down(self):
        self.start(address_requests_per_s=1)
        before = self.metric("ostraka_audit_records_total", "127.0.0.8"), len(self.cluster.log(1))
        for _ in range(150):
            with socket.create_connection(("127.0.0.1", self.cluster.api_port(1)), timeout=15 * SLOW,
                                          source_address=("127.0.0.6", 0)) as plain, \
                    self.cluster.tls().wrap_socket(plain, server_hostname="127.0.0.1") as connection:
                connection.sendall(b"this is no request\r\n\r\n")
                self.assertIn(b" 400 ", connection.recv(1000))
            self.ask("127.0.0.7", method="POST", path="/v1/secrets/a", body=json.dumps({"value": "v" * 100}))
        after = self.metric("ostraka_audit_records_total", "127.0.0.9"), len(self.cluster.log(1))
        self.assertLess(after[0] - before[0], 100)
        self.assertLess(after[1] - before[1], 100 * 150)  # bytes of lines

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
        self.start(slow_failed_logins=None)  # as it is unless configured
        for source, free, request in (("127.0.0.2", 20, {}), ("127.0.0.3", 5, {"token": "the-same"}),
                                      ("127.0.0.4", 20, {"method": "POST", "body": b'{"value": "x"}'})):
            statuses = []

            def refused():
                token = request.get("token", "wrong-%s-%d" % (source, len(statuses)))
                statuses.append(self.ask(source, **{**request, "token": token})[0])
                return statuses[-1] == 429
            wait_until(refused, PATIENCE, "a failure too many", interval=0)
            self.assertEqual(set(statuses[:-1]), {401})
            self.assertGreaterEqual(len(statuses), free)
            self.assertEqual(self.ask(source)[0], 404)  # a valid token is not held up
            self.assertEqual(self.ask("127.0.0.5")[0], 404)
        wait_until(lambda: self.ask("127.0.0.2", token="another")[0] == 401, PATIENCE, "the end of a wait")

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


class Callers(ClusterCase):
    """What tokens with policies may do beyond single secrets, and where they come from."""

    def call(self, expect, node, method, path, body=None, token=ADMIN, source="127.0.0.1"):
        """Asked again for a while where the node says that nothing happened, and to try again."""
        token = self.cluster.token if token is ADMIN else token
        until = time.monotonic() + PATIENCE * SLOW
        while True:
            connection = http.client.HTTPSConnection("127.0.0.1", self.cluster.api_port(node),
                                                     timeout=15 * SLOW, context=self.cluster.tls(),
                                                     source_address=(source, 0))
            fields = {"Authorization": "Bearer " + token}
            if body is not None:
                fields["Content-Type"] = "application/json"
            connection.request(method, path, None if body is None else json.dumps(body), fields)
            response = connection.getresponse()
            content = response.read()
            connection.close()
            kind = response.headers.get("Content-Type", "")
            answer = json.loads(content) if kind.startswith("application/json") else content
            if response.status == 503 and answer["error"]["retry"] == "safe" and time.monotonic() < until:
                time.sleep(0.1)
                continue
            self.assertEqual(response.status, expect, (method, path, answer))
            return answer

    def make_caller(self, rules=(), policies=(), **more):
        name = self.id().rsplit(".", 1)[-1].replace("_", "-")[5:60]
        if rules:
            self.call(200, 1, "PUT", "/v1/policies/" + name, {"rules": list(rules)})
            policies = [*policies, name]
        identity = self.call(201, 2, "POST", "/v1/identities",
                             {"name": name, "kind": "service", "policies": list(policies)})["id"]
        return self.call(201, 3, "POST", "/v1/tokens", {"identity": identity, **more})["token"]

    def secret(self, name, value="v"):
        self.call(201, 1, "POST", "/v1/secrets/" + name, {"value": value})

    def test_batches(self):
        token = self.make_caller([{"path": "batch/**", "capabilities": ["create", "read"]}])
        for name in ("batch/a", "other/batch"):
            self.secret(name)
        made = [{"name": "batch/b", "value": "1"}, {"name": "batch/c", "value": "2"}]
        self.call(201, 1, "POST", "/v1/batch", {"create": made}, token)
        names = [{"name": "batch/a"}, {"name": "batch/b"}, {"name": "batch/c"}]
        values = self.call(200, 2, "POST", "/v1/batch", {"read": names}, token)["results"]
        self.assertEqual([r["value"] for r in values], ["v", "1", "2"])

        # What may not be seen, and what is not there.
        def refused(name):
            error = self.call(404, 3, "POST", "/v1/batch", {"read": [{"name": "batch/a"}, {"name": name}]},
                              token)["error"]
            self.assertEqual([d["name"] for d in error["details"]], [name])
            return {**error, "details": [d["code"] for d in error["details"]], "request_id": ""}
        self.assertEqual(refused("other/batch"), refused("batch/none"))
        made = [{"name": "batch/d", "value": "1"}, {"name": "other/d", "value": "2"}]
        self.call(404, 1, "POST", "/v1/batch", {"create": made}, token)
        self.call(404, 1, "GET", "/v1/secrets/batch/d")

    def test_env(self):
        token = self.make_caller([{"path": "env/**", "capabilities": ["create", "read"]}])
        self.secret("env/a", "one")
        self.secret("hidden/a", "two")
        plain = self.call(200, 1, "POST", "/v1/env", {"content": "A=1\n"}, token)
        self.assertIn("A=1", plain["content"])
        plain = self.call(200, 2, "POST", "/v1/env", {"content": "A=secret(env/a)\n"}, token)
        self.assertIn("A=one", plain["content"])
        self.call(404, 3, "POST", "/v1/env", {"content": "A=secret(hidden/a)\n"}, token)
        self.call(401, 1, "POST", "/v1/env", {"content": "A=1\n"}, "wrong")
        for node in self.cluster.nodes():
            batch = {"content": "N%d=enc('x')\n" % node, "prefix": "env/n%d" % node}
            self.call(200, node, "POST", "/v1/env", batch, token)
            batch = {"content": "N%d=enc('x')\n" % node, "prefix": "hidden/n%d" % node}
            self.call(404, node, "POST", "/v1/env", batch, token)

    def test_copies(self):
        token = self.make_caller([{"path": "copy/**", "capabilities": ["create", "read", "list"]},
                                  {"path": "copy/mine/**", "capabilities": ["read", "list", "delete"]}])
        for name in ("copy/a", "copy/tree/a", "copy/tree/b", "copy/mine/a", "hidden/copy"):
            self.secret(name)
        self.call(200, 1, "POST", "/v1/copy", {"from": "copy/a", "to": "copy/b"}, token)
        self.call(200, 2, "POST", "/v1/copy", {"from": "copy/tree", "to": "copy/tree2", "recursive": True},
                  token)
        self.call(404, 3, "POST", "/v1/copy", {"from": "hidden/copy", "to": "copy/c"}, token)
        self.call(404, 3, "POST", "/v1/copy", {"from": "copy/a", "to": "hidden/c"}, token)
        # A move that might not delete copies nothing.
        self.call(403, 1, "POST", "/v1/copy", {"from": "copy/a", "to": "copy/d", "move": True}, token)
        self.call(404, 1, "GET", "/v1/secrets/copy/d", token=token)
        self.call(200, 1, "POST", "/v1/copy", {"from": "copy/mine/a", "to": "copy/d", "move": True}, token)
        self.call(404, 1, "GET", "/v1/secrets/copy/mine/a", token=token)

    def test_operators(self):
        token = self.make_caller([{"path": "ops/**", "capabilities": ["read"]}])
        for path in ("/v1/status", "/metrics"):
            error = self.call(403, 1, "GET", path, token=token)["error"]
            self.assertEqual(error["code"], "forbidden")
        identity = self.call(201, 2, "POST", "/v1/identities",
                             {"name": "ops", "kind": "user", "policies": ["operator"]})["id"]
        token = self.call(201, 3, "POST", "/v1/tokens", {"identity": identity})["token"]
        for node in self.cluster.nodes():
            self.call(200, node, "GET", "/v1/status", token=token)
            self.call(200, node, "GET", "/metrics", token=token)
        self.call(404, 1, "GET", "/v1/secrets/ops/a", token=token)

    def test_addresses(self):
        token = self.make_caller([{"path": "where/**", "capabilities": ["read"], "cidrs": ["127.0.1.0/24"]}])
        self.secret("where/a")
        for node in self.cluster.nodes():
            self.call(200, node, "GET", "/v1/secrets/where/a", token=token, source="127.0.1.7")
            self.call(404, node, "GET", "/v1/secrets/where/a", token=token, source="127.0.2.7")

    def test_uses(self):
        rules = [{"path": "uses/**", "capabilities": ["create", "read", "list"]}]
        token = self.make_caller(rules, uses=6)
        self.secret("uses/a")
        for node in self.cluster.nodes():
            self.call(200, node, "GET", "/v1/secrets/uses/a", token=token)
        # Whatever becomes of it, and however many secrets it is about.
        self.call(404, 1, "GET", "/v1/secrets/hidden", token=token)
        self.call(201, 2, "POST", "/v1/batch", {"create": [{"name": "uses/b", "value": "1"},
                                                           {"name": "uses/c", "value": "2"}]}, token)
        answer = self.call(200, 3, "GET", "/v1/secrets?prefix=uses/", token=token)
        self.assertEqual([one["name"] if isinstance(one, dict) else one
                          for one in answer["names"]], ["uses/a", "uses/b", "uses/c"])
        for node in self.cluster.nodes():
            self.call(401, node, "GET", "/v1/secrets/uses/a", token=token)
            self.call(401, node, "POST", "/v1/secrets/uses/d", {"value": "v"}, token)

    def test_uses_at_once(self):
        token = self.make_caller([{"path": "once/**", "capabilities": ["read"]}], uses=5)
        self.secret("once/a")

        def ask(number):
            return self.cluster.request(number % 3 + 1, "GET", "/v1/secrets/once/a", token=token)[0]
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            statuses = list(pool.map(ask, range(30)))
        # A use may be counted for a request that is then answered 503; none is had twice.
        self.assertLessEqual(statuses.count(200), 5)
        self.assertLessEqual(set(statuses), {200, 401, 503})
        wait_until(lambda: ask(0) == 401, PATIENCE, "the end of its uses")
        self.assertEqual(ask(2), 401)

    def test_alarms(self):
        token = self.make_caller([{"path": "alarm/**", "capabilities": ["read"]}])
        self.call(404, 1, "GET", "/v1/secrets/elsewhere", token=token)
        self.call(401, 1, "GET", "/v1/secrets/alarm/a", token="wrong")
        metrics = self.call(200, 1, "GET", "/metrics").decode()
        for name in ("requests_denied", "credentials_refused", "tokens_revoked_used", "peers_denied", "alarms"):
            self.assertIn("\nostraka_%s_total " % name, metrics)
        self.assertNotIn("\nostraka_requests_denied_total 0\n", metrics)

    def test_requests_of_a_tenant(self):
        self.call(201, 1, "POST", "/v1/tenants", {"name": "busy", "limits": {"requests_per_second": 1}})
        statuses = set()

        def too_many():
            status, headers, answer = self.cluster.request(
                1, "GET", "/v1/secrets/none", headers={"X-Ostraka-Tenant": "busy"})
            statuses.add(status)
            if status == 429:
                self.assertIn("retry-after", headers)
            return status == 429
        wait_until(too_many, PATIENCE, "a request too many", interval=0)
        self.assertLessEqual(statuses, {404, 429, 503})
        self.call(404, 1, "GET", "/v1/secrets/none")  # of another tenant


if __name__ == "__main__":
    unittest.main()
