"""Many clients at one name: one creation wins, versions have neither gap nor repeat, and no update is lost."""

import threading
import time
import unittest

from cluster_case import ClusterCase
from ostraka_cluster import SLOW, Failed


def in_parallel(count, work):
    """Runs work(i) in `count` threads that start together; returns results, raises the first error."""
    results, errors = [None] * count, []
    gate = threading.Barrier(count)

    def run(i):
        try:
            gate.wait(60)
            results[i] = work(i)
        except BaseException as error:  # handed to the caller below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180 * SLOW)
    if errors:
        raise errors[0]
    if any(thread.is_alive() for thread in threads):
        raise AssertionError("a client hangs")
    return results


def harmless(body):
    """The refusal says that nothing happened."""
    error = body["error"]
    return error["code"] in ("contended", "busy") or error.get("retry") == "safe"


class Contention(ClusterCase):
    def test_64_clients_create_one_name(self):
        for attempt in range(3):
            path = "/v1/secrets/race/%d" % attempt

            def create(i, path=path):
                client = self.cluster.client(i % 3 + 1, timeout=30)
                try:
                    client.request("GET", "/v1/health")  # the connection is up before the race
                    return client.request("POST", path, {"value": "winner %d" % i})
                finally:
                    client.close()

            answers = in_parallel(64, create)
            statuses = [answer[0] for answer in answers]
            self.assertEqual(statuses.count(201), 1, sorted(statuses))
            self.assertEqual(statuses.count(409), 63, sorted(statuses))
            for status, _, body in answers:
                if status == 409:
                    self.assertIn(body["error"]["code"], ("already_exists", "contended"))
            winner = statuses.index(201)
            for node in self.cluster.nodes():
                got = self.cluster.request(node, "GET", path)[2]
                self.assertEqual((got["value"], got["version"]), ("winner %d" % winner, 1))

    def test_update_storm(self):
        """12 clients x 5 updates: each acknowledged version once, with its own value."""
        path = "/v1/secrets/storm"
        self.assertEqual(self.cluster.request(1, "POST", path, {"value": "first"})[0], 201)

        def update(i):
            client = self.cluster.client(i % 3 + 1, timeout=30)
            done = []
            try:
                for round_number in range(5):
                    value = "client %d round %d" % (i, round_number)
                    for _ in range(200):
                        status, _, body = client.request("PUT", path, {"value": value})
                        if status == 200:
                            done.append((body["version"], value))
                            break
                        # Only what says that nothing happened is repeated.
                        self.assertTrue(harmless(body), body)
                        time.sleep(0.02)
                    else:
                        self.fail("no success in 200 tries")
                return done
            finally:
                client.close()

        acknowledged = dict(sum(in_parallel(12, update), []))
        self.assertEqual(sorted(acknowledged), list(range(2, 62)))
        for node in self.cluster.nodes():
            rows = self.cluster.request(node, "GET", "/v1/history/storm?limit=1000")[2]["versions"]
            self.assertEqual([row["version"] for row in rows], list(range(61, 0, -1)))
            for newer, older in zip(rows, rows[1:]):
                self.assertEqual(older["valid_to"], newer["valid_from"])
                self.assertLess(older["valid_from"], newer["valid_from"])
        for version, value in acknowledged.items():
            got = self.cluster.request(version % 3 + 1, "GET", "%s?version=%d" % (path, version))[2]
            self.assertEqual(got["value"], value)

    def test_no_update_is_lost(self):
        """8 clients count up one number with expected_version: the end is the number of successes."""
        path = "/v1/secrets/counter"
        self.assertEqual(self.cluster.request(1, "POST", path, {"value": "0"})[0], 201)

        def count(i):
            client = self.cluster.client(i % 3 + 1, timeout=30)
            successes = 0
            end = time.monotonic() + 60 * SLOW
            try:
                while successes < 5 and time.monotonic() < end:
                    status, _, got = client.request("GET", path)
                    self.assertEqual(status, 200, got)
                    status, _, body = client.request(
                        "PUT", path, {"value": str(int(got["value"]) + 1),
                                      "expected_version": got["version"]})
                    if status == 200:
                        self.assertEqual(body["version"], got["version"] + 1)
                        successes += 1
                    elif status != 409:
                        self.assertTrue(harmless(body), body)
                return successes
            finally:
                client.close()

        successes = in_parallel(8, count)
        self.assertEqual(successes, [5] * 8)
        for node in self.cluster.nodes():
            got = self.cluster.request(node, "GET", path)[2]
            self.assertEqual((got["value"], got["version"]), ("40", 41))

    def test_readers_never_go_back(self):
        """While one client writes 1..40, readers at all nodes see a number that only grows."""
        path = "/v1/secrets/growing"
        self.assertEqual(self.cluster.request(1, "POST", path, {"value": "1"})[0], 201)
        finished = threading.Event()
        floor = [1]  # acknowledged before the read began: the least that it may see

        def work(i):
            client = self.cluster.client(i % 3 + 1, timeout=30)
            try:
                if i == 0:
                    try:
                        for number in range(2, 42):
                            status, _, body = client.request("PUT", path, {"value": str(number)})
                            self.assertEqual(status, 200, body)
                            floor[0] = number
                    finally:
                        finished.set()
                    return
                last = 0
                while not finished.is_set():
                    least = max(last, floor[0])
                    status, _, got = client.request("GET", path)
                    self.assertEqual(status, 200, got)
                    self.assertEqual(got["value"], str(got["version"]))
                    self.assertGreaterEqual(got["version"], least)
                    last = got["version"]
            finally:
                client.close()

        in_parallel(7, work)

    def test_create_and_delete_alternate(self):
        """Clients create and delete one name: successes alternate, so they differ by at most one."""
        path = "/v1/secrets/blink"

        def work(i):
            client = self.cluster.client(i % 3 + 1, timeout=30)
            created = deleted = 0
            try:
                for _ in range(10):
                    status, _, body = client.request("POST", path, {"value": "x"})
                    self.assertTrue(status in (201, 409) or harmless(body), body)
                    created += status == 201
                    status, _, body = client.request("DELETE", path)
                    self.assertTrue(status in (200, 202, 404, 409) or harmless(body), body)
                    deleted += status in (200, 202)
                return created, deleted
            except Failed as error:
                raise AssertionError(error) from error
            finally:
                client.close()

        results = in_parallel(6, work)
        created = sum(r[0] for r in results)
        deleted = sum(r[1] for r in results)
        there = self.cluster.request(1, "GET", path)[0] == 200
        self.assertEqual(created - deleted, 1 if there else 0)
        self.assertGreater(created, 0)


if __name__ == "__main__":
    unittest.main()
