"""Idempotency-Key: one change, however often and at whatever node it is asked for."""

import contextlib
import json
import threading
import time
import unittest

from ostraka_cluster import Cluster, Failed


class Idempotency(unittest.TestCase):

    def setUp(self):
        self.cluster = Cluster(3).__enter__()
        self.addCleanup(self.cluster.close)

    def send(self, node, method, name, key, body=None, query=""):
        return self.cluster.request(node, method, "/v1/secrets/" + name + query, body,
                                    headers={"Idempotency-Key": key})

    def assert_refused(self, answer, status, code):
        self.assertEqual(answer[0], status, answer)
        self.assertEqual(answer[2]["error"]["code"], code)

    def restart_all(self):
        for node in (1, 2, 3):
            self.cluster.kill9(node)
        for node in (1, 2, 3):
            self.cluster.start(node)
        for node in (1, 2, 3):
            self.cluster.wait_ready([node])

    def test_first_answer_through_nodes_and_restarts(self):
        first = self.send(1, "POST", "a/b", "create-1", {"value": "one"})
        changed = self.send(2, "PUT", "a/b", "update-1", {"value": "two", "expected_version": 1})
        self.assertEqual((first[0], changed[0]), (201, 200))
        for restarted in (False, True):
            if restarted:
                self.restart_all()
            for node in (1, 2, 3):
                again = self.send(node, "POST", "a/b", "create-1", {"value": "one"})
                self.assertEqual((again[0], json.dumps(again[2])),
                                 (first[0], json.dumps(first[2])))
                again = self.send(node, "PUT", "a/b", "update-1",
                                  {"value": "two", "expected_version": 1})
                self.assertEqual((again[0], json.dumps(again[2])),
                                 (changed[0], json.dumps(changed[2])))
        _, _, history = self.cluster.request(3, "GET", "/v1/history/a/b")
        self.assertEqual(len(history["versions"]), 2)

    def test_another_request_under_the_key(self):
        self.assertEqual(self.send(1, "POST", "a", "k", {"value": "one"})[0], 201)
        for node, method, body in ((1, "POST", {"value": "two"}), (2, "PUT", {"value": "one"}),
                                   (3, "POST", {"value": "b25l", "encoding": "base64"}),
                                   (2, "DELETE", None)):
            self.assert_refused(self.send(node, method, "a", "k", body), 422,
                                "idempotency_key_reused")
        for key in ("", "k" * 129, "a b"):
            self.assert_refused(self.send(1, "POST", "b", key, {"value": "x"}), 400,
                                "bad_parameter")
        self.assertEqual(self.cluster.request(2, "GET", "/v1/secrets/a")[2]["value"], "one")

    def test_deletion_is_not_repeated_on_a_new_secret(self):
        self.assertEqual(self.send(1, "POST", "a", "c", {"value": "one"})[0], 201)
        gone = self.send(2, "DELETE", "a", "d")
        self.assertEqual(gone[0], 200, gone)
        self.assertEqual(self.send(3, "DELETE", "a", "d")[0], 200)
        self.assertEqual(self.send(1, "POST", "a", "c2", {"value": "new"})[0], 201)
        self.assertIn(self.send(2, "DELETE", "a", "d")[0], (200, 202))
        self.assertEqual(self.cluster.request(3, "GET", "/v1/secrets/a")[2]["value"], "new")

    def test_storm_of_one_key(self):
        """Forty clients at three nodes, one key: one version, one answer."""
        answers = []

        def storm(node):
            answers.append(self.send(node, "POST", "storm", "one", {"value": "v"}))
        threads = [threading.Thread(target=storm, args=(1 + i % 3,)) for i in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done = [a for a in answers if a[0] == 201]
        self.assertEqual({a[0] for a in answers} - {201, 409}, set())
        self.assertEqual(len({json.dumps(a[2]) for a in done}), 1)
        self.assertGreater(len(done), 30)

    def test_outcome_unknown_is_settled_elsewhere(self):
        """Its coordinator is killed at once; the same key at another node says what became of it."""
        for i in range(5):
            name = "unknown/%d" % i

            client = self.cluster.client(1)
            client.request("GET", "/v1/health")

            def first():
                with contextlib.suppress(Failed):
                    client.request("POST", "/v1/secrets/" + name, {"value": "v"},
                                   {"Idempotency-Key": name})
            thread = threading.Thread(target=first)
            thread.start()
            time.sleep(i / 1000)
            self.cluster.kill9(1)
            thread.join()
            client.close()
            answer = self.send(2, "POST", name, name, {"value": "v"})
            self.assertEqual(answer[0], 201, answer)
            self.assertEqual(self.send(3, "POST", name, name, {"value": "v"})[2], answer[2])
            self.cluster.start(1)
            self.cluster.wait_ready([1])


if __name__ == "__main__":
    unittest.main()
