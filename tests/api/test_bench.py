"""ostraka bench against a real cluster: what it counts is what happened."""

import json
import subprocess
import time
import unittest

from ostraka_cluster import SLOW, Cluster, clean_environment


class Bench(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(3)
        cls.cluster.__enter__()
        cls.addClassCleanup(cls.cluster.close)

    def bench(self, *arguments, token=None):
        cluster = self.cluster
        return subprocess.run(
            [cluster.program, "bench", *arguments], capture_output=True, text=True,
            timeout=60 * SLOW, env=clean_environment(
                OSTRAKA_ADDR=cluster.addresses(), OSTRAKA_CACERT=cluster.ca_file(),
                OSTRAKA_TOKEN=token or cluster.token))

    def measure(self, *arguments):
        done = self.bench(*arguments, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def created(self):
        """Creations that the nodes say they have answered."""
        total = 0
        for node in self.cluster.nodes():
            _, _, text = self.cluster.request(node, "GET", "/metrics")
            total += sum(int(line.split()[-1]) for line in text.decode().splitlines()
                         if line.startswith('ostraka_requests_total{route="create",status="2'))
        return total

    def test_workloads(self):
        for workload in ("create", "update", "read", "mixed", "env"):
            with self.subTest(workload=workload):
                result = self.measure(workload, "--duration", "1", "--connections", "6",
                                      "--names", "20", "--prefix", workload + "/")
                self.assertEqual(result["failed"], 0)
                self.assertGreater(result["done"], 10)
                self.assertEqual(sum(count for _, count in result["histogram"]), result["done"])
                latency = result["latency_us"]
                self.assertLessEqual(latency["min"], latency["p50"])
                self.assertLessEqual(latency["p50"], latency["p99"])
                self.assertLessEqual(latency["p99"], latency["max"])

    def test_creates_are_there(self):
        before = self.created()
        result = self.measure("create", "--duration", "1", "--no-warm-up", "--connections", "4",
                              "--prefix", "counted/")
        # What was under way at the end is not counted, and may have happened.
        self.assertLessEqual(result["done"], self.created() - before)
        self.assertLessEqual(self.created() - before, result["done"] + 4 + 4)

    def test_open_loop_keeps_its_rate(self):
        result = self.measure("read", "--rate", "50", "--duration", "2", "--names", "5",
                              "--connections", "4")
        # No more than it should; what a busy machine does not get done in the time is missing.
        self.assertLessEqual(result["done"], 104)
        self.assertGreater(result["done"], 50)

    def test_requests_are_counted_off(self):
        before = self.created()
        result = self.measure("create", "--requests", "37", "--duration", "3600",
                              "--connections", "4", "--prefix", "few/")
        self.assertEqual(result["done"], 37)
        self.assertEqual(self.created() - before, 37)

    def test_many_connections_are_opened_a_few_at_a_time(self):
        result = self.measure("read", "--connections", "300", "--requests", "900", "--names", "5",
                              "--prefix", "many/", "--duration", "3600", "--no-warm-up")
        self.assertEqual((result["done"], result["failed"]), (900, 0), result)

    def test_a_paused_node_shows_in_an_open_loop(self):
        """Requests wait for a free connection: that wait is part of their latency."""
        self.measure("read", "--duration", "1", "--names", "5", "--prefix", "paused/")
        bench = subprocess.Popen(
            [self.cluster.program, "bench", "read", "--rate", "100", "--duration", "3",
             "--names", "5", "--prefix", "paused/", "--connections", "1", "--no-warm-up",
             "--no-prepare", "--json"], stdout=subprocess.PIPE, text=True, env=clean_environment(
                 OSTRAKA_ADDR=self.cluster.address(2), OSTRAKA_TOKEN=self.cluster.token,
                 OSTRAKA_CACERT=self.cluster.ca_file()))
        try:
            time.sleep(1)
            self.cluster.pause(2)
            time.sleep(1)
        finally:
            self.cluster.resume(2)
        result = json.loads(bench.communicate(timeout=30 * SLOW)[0])
        # One request of the one connection was paused; those due behind it waited as well.
        waited = sum(count for end, count in result["histogram"] if end > 200000)
        self.assertGreater(waited, 20)

    def test_a_node_that_dies_is_told_of(self):
        """Its connections fail, the others go on, and it is connected to again."""
        bench = subprocess.Popen(
            [self.cluster.program, "bench", "read", "--duration", "4", "--names", "5", "--json",
             "--prefix", "dies/", "--connections", "6", "--no-warm-up"], stdout=subprocess.PIPE,
            text=True, env=clean_environment(
                OSTRAKA_ADDR=self.cluster.addresses(), OSTRAKA_TOKEN=self.cluster.token,
                OSTRAKA_CACERT=self.cluster.ca_file()))
        try:
            time.sleep(1.5)
            self.cluster.kill9(3)
        finally:
            self.cluster.start(3)
        result = json.loads(bench.communicate(timeout=30 * SLOW)[0])
        self.cluster.wait_ready()
        self.assertGreater(result["unanswered"], 0)
        self.assertGreater(result["done"], 10)

    def test_failures_are_told(self):
        done = self.bench("read", "--duration", "1", "--names", "3", "--no-prepare",
                          "--prefix", "absent/", "--connections", "2")
        self.assertEqual(done.returncode, 1)
        self.assertIn("of status 404", done.stdout)
        done = self.bench("create", "--duration", "1", "--connections", "2", token="wrong")
        self.assertEqual(done.returncode, 1)
        self.assertIn("of status 401", done.stdout)
        done = self.bench("read", "--names", "3", token="wrong")
        self.assertEqual(done.returncode, 1)
        self.assertIn("the names to be loaded cannot be made", done.stderr)

    def test_usage(self):
        for arguments in (["sing"], [], ["env", "--api", "etcd"], ["read", "--api", "consul"],
                          ["read", "--connections", "5000"], ["read", "--prefix", "a b"],
                          ["read", "--prefix", "/a"], ["read", "--rate", "0"],
                          ["read", "--requests", "0"], ["read", "--names", "5", "--hot", "6"]):
            done = self.bench(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    unittest.main()
