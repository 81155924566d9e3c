"""POST /v1/batch: several secrets created together or read together, by real processes."""

import base64
import collections
import threading
import time
import unittest

from cluster_case import ClusterCase
from ostraka_cluster import Cluster, Failed, wait_until

Answer = collections.namedtuple("Answer", "status header body")
ITEMS_MAX = 256
VALUES_BYTES_MAX = 1024 * 1024


def created(*names, value="x"):
    return {"create": [{"name": name, "value": value} for name in names]}


def read(*names):
    return {"read": [{"name": name} for name in names]}


class Batch(ClusterCase):
    def post(self, node, body, status, key=None):
        headers = {"Idempotency-Key": key} if key else {}
        answer = Answer(*self.cluster.request(node, "POST", "/v1/batch", body, headers=headers))
        self.assertEqual(answer.status, status, answer.body)
        return answer

    def get(self, node, name):
        return Answer(*self.cluster.request(node, "GET", "/v1/secrets/" + name))

    def failed(self, answer):
        """Which names are told to have made it fail, and why."""
        return [(one["name"], one["code"]) for one in answer.body["error"]["details"]]

    def test_created_and_read_in_the_order_of_the_request(self):
        body = {"create": [{"name": "order/b", "value": "two"},
                           {"name": "order/a", "value": "AP8=", "encoding": "base64"},
                           {"name": "order/c", "value": ""}]}
        made = self.post(1, body, 201).body["results"]
        self.assertEqual([one["name"] for one in made], ["order/b", "order/a", "order/c"])
        self.assertEqual([one["version"] for one in made], [1, 1, 1])
        for node in (1, 2, 3):
            for one, item in zip(made, body["create"]):
                seen = self.get(node, one["name"]).body
                self.assertEqual((seen["value"], seen["valid_from"], seen["encoding"]),
                                 (item["value"], one["valid_from"], item.get("encoding", "text")))
            results = self.post(node, read("order/c", "order/a"), 200).body["results"]
            self.assertEqual([one["name"] for one in results], ["order/c", "order/a"])
            self.assertEqual(base64.b64decode(results[1]["value"]), b"\0\xff")

    def test_a_name_that_exists_leaves_nothing_behind(self):
        self.post(1, created("half/2"), 201)
        answer = self.post(2, created("half/1", "half/2", "half/3"), 409)
        self.assertEqual(answer.body["error"]["code"], "already_exists")
        self.assertEqual(self.failed(answer), [("half/2", "already_exists")])
        for node in (1, 2, 3):
            self.assertEqual(self.get(node, "half/1").status, 404)
            self.assertEqual(self.get(node, "half/3").status, 404)

    def test_a_name_that_is_not_there_fails_the_reading(self):
        self.post(1, created("there"), 201)
        answer = self.post(2, {"read": [{"name": "there"}, {"name": "gone"},
                                        {"name": "there", "version": 9}]}, 404)
        self.assertEqual(self.failed(answer), [("gone", "not_found"), ("there", "not_found")])

    def test_names_once_each(self):
        answer = self.post(1, created("twice", "once", "twice"), 422)
        self.assertEqual(answer.body["error"]["code"], "repeated")
        self.assertEqual(self.failed(answer), [("twice", "repeated"), ("twice", "repeated")])
        self.assertEqual(self.get(1, "once").status, 404)

    def test_malformed(self):
        item = {"name": "m", "value": "x"}
        for body in ({}, [], {"create": []}, {"create": {}}, {"read": []}, {"create": [item], "a": 1},
                     {"create": [item], "read": [{"name": "m"}]}, {"create": ["m"]},
                     {"create": [{"name": "m"}]}, {"create": [{**item, "version": 1}]},
                     {"create": [{**item, "encoding": "hex"}]},
                     {"create": [{**item, "value": 1}]}, {"read": [{"name": "m", "version": 0}]},
                     {"read": [{"name": "m", "value": "x"}]}, {"create": [{**item, "name": 7}]}):
            self.assertEqual(self.post(1, body, 400).body["error"]["code"], "bad_json", body)
        for name in ("_batch/00", "a//b", "", "_x"):
            answer = self.post(1, created(name), 400)
            self.assertEqual(answer.body["error"]["code"], "bad_name")
        self.assertEqual(self.get(1, "_batch/" + "0" * 32).status, 400)

    def test_limits(self):
        names = ["limit/%d" % i for i in range(ITEMS_MAX + 1)]
        self.assertEqual(self.post(1, created(*names), 413).body["error"]["code"], "too_large")
        self.post(1, read(*names), 413)
        half = "x" * (VALUES_BYTES_MAX // 2)
        self.post(1, created("large/1", "large/2", value=half + "x"), 413)
        self.post(1, created("large/1", "large/2", value=half), 201)
        self.post(2, read("large/1", "large/2"), 200)
        self.cluster.request(1, "PUT", "/v1/secrets/large/1", {"value": half + "x"})
        self.post(2, read("large/1", "large/2"), 413)

    def test_largest_within_the_deadline(self):
        """The server's own deadline; on a busy machine the first attempt may miss it."""
        for attempt in range(5):
            names = ["most/%d/%d" % (attempt, i) for i in range(ITEMS_MAX)]
            began = time.monotonic()
            status = self.cluster.request(1, "POST", "/v1/batch", created(*names))[0]
            created_in = time.monotonic() - began
            if status == 201:
                break
        self.assertEqual(status, 201)
        began = time.monotonic()
        results = self.post(2, read(*names), 200).body["results"]
        self.assertEqual([one["value"] for one in results], ["x"] * ITEMS_MAX)
        print("batch of %d: created in %.2f s, read in %.2f s"
              % (ITEMS_MAX, created_in, time.monotonic() - began))

    def test_the_same_key_gives_the_first_answer(self):
        body = created("key/1", "key/2")
        first = self.post(1, body, 201, "k1")
        for node in (1, 2, 3):
            self.assertEqual(self.post(node, body, 201, "k1").body, first.body)
        self.assertEqual(self.post(2, created("key/1", "key/2", value="y"), 422,
                                   "k1").body["error"]["code"], "idempotency_key_reused")
        self.post(3, created("key/1", "key/2", "key/3"), 422, "k1")
        self.assertEqual(self.get(1, "key/3").status, 404)
        self.post(3, body, 409, "k2")
        self.cluster.request(1, "DELETE", "/v1/secrets/key/2")
        self.assertEqual(self.post(2, body, 201, "k1").body, first.body)

    def test_a_result_that_is_no_longer_remembered(self):
        body = created("forgotten/1", "forgotten/2")
        made = self.post(1, body, 201, "f1").body
        for _ in range(70):  # those without a key crowd nothing out
            self.cluster.request(1, "PUT", "/v1/secrets/forgotten/2", {"value": "y"})
        self.assertEqual(self.post(2, body, 201, "f1").body, made)
        for i in range(64):
            self.cluster.request(1, "PUT", "/v1/secrets/forgotten/2", {"value": "y"},
                                 headers={"Idempotency-Key": "later-%d" % i})
        answer = self.post(2, body, 409, "f1")
        self.assertEqual(answer.body["error"]["code"], "result_gone")

    def test_many_at_once(self):
        """Batches that overlap, at all nodes: of each name one batch has all or nothing."""
        outcomes = {}

        def create(number):
            names = ["race/%d" % ((number + i) % 6) for i in range(3)]
            answer = Answer(*self.cluster.request(number % 3 + 1, "POST", "/v1/batch",
                                                  created(*names, value=str(number))))
            outcomes[number] = (names, answer)
        threads = [threading.Thread(target=create, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number, (names, answer) in outcomes.items():
            self.assertIn(answer.status, (201, 409), answer.body)
            for name in names:
                seen = self.get(1, name)
                has = seen.status == 200 and seen.body["value"] == str(number)
                self.assertEqual(has, answer.status == 201, (number, name))


class Killed(unittest.TestCase):
    def test_coordinator_killed(self):
        """Whatever a killed coordinator leaves behind: all of a batch, or nothing of it."""
        with Cluster(3) as cluster:
            left = {}
            for number in range(6):
                names = ["k%d/%d" % (number, i) for i in range(40)]

                def create():
                    try:
                        left[number] = cluster.request(1, "POST", "/v1/batch", created(*names),
                                                       timeout=8)[0]
                    except (Failed, OSError):
                        left[number] = None
                thread = threading.Thread(target=create)
                thread.start()
                time.sleep(0.01 * number + 0.005)
                cluster.kill9(1)
                thread.join()
                wait_until(lambda: cluster.request(2, "POST", "/v1/batch",
                                                   read("probe"))[0] == 404, 20, "n2 serves")
                there = [cluster.request(2, "GET", "/v1/secrets/" + name)[0] for name in names]
                self.assertIn(set(there), ({200}, {404}), (number, left.get(number)))
                if left.get(number) == 201:
                    self.assertEqual(set(there), {200})
                cluster.start(1, wait=True)
            self.assertEqual(cluster.sanitizer_reports(), [])


if __name__ == "__main__":
    unittest.main()
