"""Nodes compare what they hold: one that was away is like the others soon after it is back, and status says so."""

import unittest

from ostraka_cluster import Cluster, wait_until

ROUND_S = 12  # from one comparison of two nodes to the end of the next


class AntiEntropy(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(3)
        self.addCleanup(self.cluster.close)
        self.cluster.create()
        self.cluster.start_all()
        self.cluster.wait_ready()

    def call(self, node, method, path, body=None, expect=(200, 201)):
        status, _, answer = self.cluster.request(node, method, path, body)
        self.assertIn(status, expect, answer)
        return answer

    def status(self, node):
        return self.call(node, "GET", "/v1/status")

    def compared(self, node):
        return self.status(node)["repair"]["anti_entropy"]

    def in_sync(self):
        """Every pair of nodes has compared what it holds, found it alike, and holds this much."""
        counts = set()
        for node in (1, 2, 3):
            status = self.status(node)
            own = status["repair"]["anti_entropy"]
            counts.add(own["paths"])
            if not own["ready"] or own["backlog"] > 0:
                return None
            for peer in status["peers"]:
                if peer["link"] != "self" and peer["in_sync"] is not True:
                    return None
        return counts.pop() if len(counts) == 1 else None

    def wait_in_sync(self, paths):
        wait_until(lambda: self.in_sync() == paths, 2 * ROUND_S, "all nodes alike")

    def test_a_node_that_was_away(self):
        for i in range(60):
            self.call(1 + i % 3, "POST", "/v1/secrets/kept/%d" % i, {"value": "v%d" % i})
        self.wait_in_sync(60)
        before = {node: self.compared(node) for node in (1, 2)}

        self.cluster.stop(3)
        for i in range(150):
            self.call(1 + i % 2, "POST", "/v1/secrets/missed/%d" % i, {"value": "m%d" % i})
        for i in range(0, 60, 2):
            self.call(1, "PUT", "/v1/secrets/kept/%d" % i, {"value": "w%d" % i})
        for i in range(1, 60, 6):
            self.call(2, "DELETE", "/v1/secrets/kept/%d" % i)
        self.cluster.start(3)
        self.cluster.wait_ready((3,))
        self.wait_in_sync(210)

        for node in (1, 2):
            after = self.compared(node)
            self.assertGreater(after["rounds"], before[node]["rounds"])
            self.assertGreater(after["ranges"], before[node]["ranges"])
            self.assertEqual(after["backlog"], 0)
        for i in range(60):
            path = "/v1/secrets/kept/%d" % i
            if i % 6 == 1:
                self.call(3, "GET", path, expect=(404,))
            else:
                value = self.call(3, "GET", path)["value"]
                self.assertEqual(value, "%s%d" % ("v" if i % 2 else "w", i))
        self.assertEqual(self.call(3, "GET", "/v1/secrets/missed/77")["value"], "m77")

    def test_rounds_go_on_and_cost_little(self):
        """With nothing unlike, a round is one question and one answer."""
        for i in range(20):
            self.call(1, "POST", "/v1/secrets/quiet/%d" % i, {"value": "v"})
        self.wait_in_sync(20)
        before = self.compared(1)
        wait_until(lambda: self.compared(1)["rounds"] >= before["rounds"] + 2, 2 * ROUND_S,
                   "rounds go on")
        after = self.compared(1)
        self.assertEqual(after["ranges"] - before["ranges"], after["rounds"] - before["rounds"])
        self.assertEqual(after["differences"], before["differences"])

    def test_metrics(self):
        self.call(1, "POST", "/v1/secrets/one", {"value": "v"})
        self.wait_in_sync(1)
        _, _, text = self.cluster.request(1, "GET", "/metrics")
        lines = text.decode().splitlines()
        self.assertIn("ostraka_paths 1", lines)
        self.assertIn("ostraka_anti_entropy_ready 1", lines)
        self.assertIn('ostraka_peer_in_sync{peer="n2"} 1', lines)
        self.assertTrue(any(line.startswith("ostraka_anti_entropy_rounds_total ")
                            for line in lines))


if __name__ == "__main__":
    unittest.main()
