"""Records of tokens that ended are forgotten by real processes, and those that have not are not."""

import unittest

from ostraka_cluster import Cluster, wait_until

NODES = 3
TOKENS = 24
DEADLINE = 20


class Sweep(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(NODES).create()
        self.addCleanup(self.cluster.close)
        self.cluster.set_server_option("token_sweep_slack_s", 1)
        self.cluster.start_all()
        self.cluster.wait_ready()

    def call(self, expect, node, method, path, body=None, **options):
        def asked():
            status, _, answer = self.cluster.request(node, method, path, body, **options)
            retry = status == 503 and answer["error"]["retry"] == "safe"
            return None if retry else (status, answer)
        status, answer = wait_until(asked, DEADLINE, path)
        self.assertEqual(status, expect, answer)
        return answer

    def records(self, node):
        """(kept, swept since the start)"""
        status, _, text = self.cluster.request(node, "GET", "/metrics")
        self.assertEqual(status, 200)
        values = dict(line.rsplit(" ", 1) for line in text.decode().splitlines() if not line.startswith("#"))
        return tuple(int(values["ostraka_" + name]) for name in ("identity_records", "records_swept_total"))

    def make_tokens(self):
        rules = {"rules": [{"path": "**", "capabilities": ["read"]}]}
        self.call(200, 1, "PUT", "/v1/policies/readers", rules)
        made = self.call(201, 1, "POST", "/v1/identities", {"name": "r", "kind": "service", "policies": ["readers"]})
        tokens = [self.call(201, 1 + i % NODES, "POST", "/v1/tokens", {"identity": made["id"], "ttl": 1})
                  for i in range(TOKENS)]
        lasting = self.call(201, 2, "POST", "/v1/tokens", {"identity": made["id"], "ttl": 3600})
        return tokens, lasting

    def test_swept(self):
        self.call(201, 1, "POST", "/v1/secrets/a", {"value": "v"})
        tokens, lasting = self.make_tokens()
        # Policy, identity, the token that lasts, and the record of the sweep.
        wait_until(lambda: all(self.records(n) == (4, TOKENS) for n in self.cluster.nodes()),
                   3 * DEADLINE, "the records are swept")
        for node in self.cluster.nodes():
            self.call(200, node, "GET", "/v1/secrets/a", token=lasting["token"])
            self.call(401, node, "GET", "/v1/secrets/a", token=tokens[node]["token"])
        # After a restart nothing is back, and what is left is still served.
        for node in self.cluster.nodes():
            self.cluster.stop(node)
        self.cluster.start_all()
        self.cluster.wait_ready()
        for node in self.cluster.nodes():
            self.assertEqual(self.records(node)[0], 4)
            self.call(200, node, "GET", "/v1/secrets/a", token=lasting["token"])


if __name__ == "__main__":
    unittest.main()
