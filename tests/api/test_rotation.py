"""Share keys are replaced all the time, and the old ones destroyed only when nothing that is boxed to them is outstanding."""

import os
import re
import shutil
import time
import unittest

from ostraka_cluster import Cluster, wait_until


class Rotation(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(3).create()
        self.addCleanup(self.cluster.close)
        self.cluster.set_server_option("share_key_rotation_s", 1)
        self.cluster.set_server_option("request_deadline_ms", 1000)
        self.cluster.start_all()
        self.cluster.wait_ready()

    def call(self, node, method, path, body, expect):
        status, _, answer = self.cluster.request(node, method, path, body)
        self.assertEqual(status, expect, answer)
        return answer

    def destroyed(self, node):
        return sum(int(n) for n in re.findall(r"share_keys_destroyed count=(\d+)",
                                              self.cluster.log(node)))

    def held(self, node):
        found = re.findall(r"share_key_rotated outcome=\w+ held=(\d+)", self.cluster.log(node))
        return int(found[-1]) if found else 0

    def test_old_keys_are_destroyed_and_values_stay(self):
        for i in range(10):
            self.call(1 + i % 3, "POST", "/v1/secrets/r/%d" % i, {"value": "v%d" % i}, 201)
        for node in self.cluster.nodes():
            wait_until(lambda node=node: self.destroyed(node) >= 3, 30, "old keys destroyed")
        for i in range(10):
            for node in self.cluster.nodes():
                self.assertEqual(self.call(node, "GET", "/v1/secrets/r/%d" % i, None, 200)["value"],
                                 "v%d" % i)

    def test_keys_are_kept_while_a_node_is_away(self):
        """What was boxed for a node that is away can be opened when it comes back, whatever has been rotated since."""
        self.cluster.kill9(3)

        def noticed():
            peers = self.cluster.request(1, "GET", "/v1/status")[2]["peers"]
            return any(peer["link"] == "disconnected" for peer in peers)
        wait_until(noticed, 20, "n1 notices")
        for i in range(5):
            self.call(1, "POST", "/v1/secrets/away/%d" % i, {"value": "v%d" % i}, 201)
        before = self.destroyed(1)
        time.sleep(5)
        wait_until(lambda: self.held(1) > 2, 30, "keys pile up")
        self.assertEqual(self.destroyed(1), before, "a key was destroyed with a node away")
        self.cluster.start(3)
        self.cluster.wait_ready()

        def delivered():
            status = self.cluster.request(1, "GET", "/v1/status")[2]
            return all(peer["backlog"] == 0 for peer in status["peers"])
        wait_until(delivered, 20, "the backlog delivered")
        for node in self.cluster.nodes():
            wait_until(lambda node=node: self.destroyed(node) > before, 30, "old keys destroyed")
        # n3 must now hold its own shares: with n1 away it is one of the two that make up a value.
        self.cluster.kill9(1)
        for i in range(5):
            self.assertEqual(self.call(3, "GET", "/v1/secrets/away/%d" % i, None, 200)["value"], "v%d" % i)

    def test_goes_on_after_failed_saves(self):
        """Nobody is told of a key that could not be saved, until it has been, however long that takes."""
        obstacle = os.path.join(self.cluster.node_directory(1), "share.keys.new")

        def key_id():
            return self.cluster.request(1, "GET", "/v1/status")[2]["key_id"]

        def refused():
            return re.search(r"share_key_rotated outcome=(?!ok)", self.cluster.log(1))

        os.makedirs(os.path.join(obstacle, "not empty"))
        wait_until(refused, 20, "a save that fails")
        stuck, before = key_id(), self.destroyed(1)
        time.sleep(18)  # a ring has room for eight keys, and there is one in two seconds
        self.assertEqual(key_id(), stuck)
        shutil.rmtree(obstacle)
        wait_until(lambda: key_id() > stuck + 1, 20, "newer keys")
        wait_until(lambda: self.destroyed(1) > before + 1, 20, "the others use the newer keys")
        self.call(2, "POST", "/v1/secrets/after", {"value": "v"}, 201)
        self.cluster.kill9(3)
        self.assertEqual(self.call(1, "GET", "/v1/secrets/after", None, 200)["value"], "v")


if __name__ == "__main__":
    unittest.main()
