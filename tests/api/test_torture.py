"""Real processes under real faults, recorded and judged: the short form of scripts/torture; and how long the
clients of the other nodes wait when a node is killed.

OSTRAKA_TORTURE_SECONDS  of the run with three nodes (default 12; five nodes, with five and with three shares: half of it
                         each)
OSTRAKA_TORTURE_SEED     seed of the faults; printed when a test fails
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import gap
import torture
import wall_clock
from ostraka_cluster import SLOW, Cluster
from ostraka_history import History, Recorder, judge_program, value_of, written_by
from ostraka_network import NetworkCluster, why_no_namespaces

SECONDS = float(os.environ.get("OSTRAKA_TORTURE_SECONDS", "12"))
GAP_MS_MAX = 150


def need_judge():
    if not os.access(judge_program(), os.X_OK):
        raise unittest.SkipTest("there is no %s" % judge_program())


class Torture(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        missing = why_no_namespaces()
        if missing:
            raise unittest.SkipTest(missing)
        need_judge()

    def run_with(self, nodes, seconds, shares=None):
        seed = int(os.environ.get("OSTRAKA_TORTURE_SEED") or
                   random.SystemRandom().randrange(10 ** 9))
        run = torture.Torture(nodes, seconds, seed, quiet=True, shares=shares)
        status = run.run()
        print("\n".join(run.lines[:1] + run.lines[-15:-1]), flush=True)
        self.assertEqual(status, 0, "seed %d\n%s" % (seed, "\n".join(run.lines)))
        self.assertGreater(sum(run.faults.counts.values()), 3)
        self.assertGreater(len(run.history.successes), 30)

    def test_three_nodes(self):
        self.run_with(3, SECONDS)

    def test_five_nodes(self):
        self.run_with(5, SECONDS / 2)

    def test_five_nodes_with_three_shares(self):
        self.run_with(5, SECONDS / 2, shares=3)

    def test_waits_are_the_clients(self):
        """What counts as waiting is what a client asked for and was not told; not a time in which nobody asks."""
        asked = torture.Asked([(1, 2), (1.5, 5), (3, 4), (8, 9)])
        for moment, since in ((0, 1), (1.2, 1.2), (4.5, 4.5), (6, 8), (8.5, 8.5), (9.5, 9.5)):
            self.assertEqual(asked.since(moment), since)


class Links(unittest.TestCase):
    """The faults are what they are said to be."""

    @classmethod
    def setUpClass(cls):
        missing = why_no_namespaces()
        if missing:
            raise unittest.SkipTest(missing)

    def peers(self, cluster, node):
        _, _, body = cluster.request(node, "GET", "/v1/status")
        return {peer["node"]: peer for peer in body["peers"]}

    def connected(self, cluster, a, b):
        return self.peers(cluster, a)["n%d" % b]["link"] == "connected"

    def test_cuts_and_delays(self):
        with NetworkCluster(3, None, [(1, 2)]) as cluster:
            for a, b in ((3, 2), (1, 2)):   # the second through the proxy
                cluster.cut(a, b)
                gap.wait_until(lambda a=a, b=b: not self.connected(cluster, a, b) and
                               not self.connected(cluster, b, a), 5, "the cut link is down")
                cluster.mend(a, b)
                gap.wait_whole(cluster)
            cluster.slow_link(1, 2, 60, 0)
            gap.wait_until(lambda: self.peers(cluster, 2)["n1"]["round_trip_us"] > 50000, 5,
                           "the delay is felt")
            cluster.slow_link(1, 2, 0, "stall")
            gap.wait_until(lambda: not self.connected(cluster, 1, 2), 5, "the stalled link is down")
            cluster.mend_all()
            gap.wait_whole(cluster)


class Clocks(unittest.TestCase):
    PROGRAM = ("import sys, time\n"
               "for line in sys.stdin:\n"
               "    print(time.time(), time.monotonic(), flush=True)\n")

    def test_a_wall_clock_is_set_while_the_program_runs(self):
        with tempfile.TemporaryDirectory(prefix="ostraka-test-") as folder:
            clocks = wall_clock.WallClocks(folder)
            with subprocess.Popen([sys.executable, "-c", self.PROGRAM], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True,
                                  env=dict(os.environ, **clocks.environment(1))) as process:
                for offset in (0, 3600, -3600, 1.2, -1.7, 0):
                    clocks.set(1, offset)
                    before = time.time(), time.monotonic()
                    process.stdin.write("\n")
                    process.stdin.flush()
                    wall, monotonic = map(float, process.stdout.readline().split())
                    self.assertGreater(wall, before[0] + offset - 0.1)
                    self.assertLess(wall, time.time() + offset + 0.1)
                    self.assertGreater(monotonic, before[1] - 0.1)
                    self.assertLess(monotonic, time.monotonic() + 0.1)
                process.stdin.close()


class Recording(unittest.TestCase):
    """What is recorded of a real cluster is what the judge reads, and it notices what is wrong."""

    @classmethod
    def setUpClass(cls):
        need_judge()
        cls.parent = tempfile.TemporaryDirectory(prefix="ostraka-test-")
        cls.addClassCleanup(cls.parent.cleanup)
        cls.path = os.path.join(cls.parent.name, "history.jsonl")
        history = History(cls.path)
        with Cluster(3) as cluster:
            threads = [threading.Thread(target=cls.client, args=(history, cluster, number))
                       for number in (1, 2, 3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            cls.life(Recorder(history, cluster, 4))
        cls.verdict = history.judge()
        history.close()
        with open(cls.path) as file:
            cls.records = [json.loads(line) for line in file]

    @staticmethod
    def client(history, cluster, number):
        recorder = Recorder(history, cluster, number)
        for i in range(25):
            node = (number + i) % 3 + 1
            path = "shared/%d" % (i % 2)
            recorder.create(node, path)
            recorder.update(node, path, 5000)
            recorder.read(node, path)
            recorder.past(node, path, 10)
            if i % 6 == 5:
                recorder.delete(node, path)
                recorder.deletion(node, path)
        recorder.close()

    @staticmethod
    def life(recorder):
        recorder.create(1, "alone")
        _, answer = recorder.update(2, "alone", expected=1)
        recorder.read(3, "alone", version=1)
        recorder.read(1, "alone", at_ms=torture.milliseconds(answer["valid_from"]) - 1)
        recorder.update(1, "alone", expected=1)
        recorder.create(1, "alone")
        recorder.past(1, "alone")
        recorder.read(2, "alone")
        recorder.close()

    def judge(self, records):
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl", dir=self.parent.name) as file:
            for record in records:
                file.write(json.dumps(record) + "\n")
            file.flush()
            done = subprocess.run([judge_program(), file.name], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def of_alone(self, kind, number=0):
        """A copy of all records, and the one of that kind among those of one path."""
        records = [dict(record) for record in self.records]
        found = [record for record in records
                 if record["path"] == "alone" and record["kind"] == kind]
        return records, found[number]

    def test_as_it_was(self):
        self.assertEqual(self.verdict[0], 0, self.verdict[1])
        kinds = {(record["kind"], record["outcome"]) for record in self.records}
        for kind in ("create", "update", "read", "history", "delete", "deletion"):
            self.assertIn((kind, "ok"), kinds)
        self.assertIn(("create", "refused"), kinds)

    def test_a_lost_update(self):
        records, read = self.of_alone("read", 2)
        _, create = self.of_alone("create")
        read.update({field: create[field] for field in ("value", "version", "valid_from_ms")})
        status, text = self.judge(records)
        self.assertEqual(status, 1, text)
        self.assertIn("alone", text)
        self.assertIn(">>", text)

    def test_a_refusal_that_contradicts(self):
        records, read = self.of_alone("read", 2)
        read.update(outcome="refused", code="not_found")
        self.assertEqual(self.judge(records)[0], 1)

    def test_no_history(self):
        self.assertEqual(self.judge([])[0], 2)
        self.assertEqual(self.judge([{"client": 1}])[0], 2)

    def test_damaged_values_are_nobodys(self):
        self.assertEqual(written_by(value_of(17, 500)), "w17")
        for value in (value_of(17, 500)[:-1] + "x", "w17", "", "x:", value_of(17, 500)[1:]):
            self.assertTrue(written_by(value).startswith("damaged"), value)


class Gap(unittest.TestCase):
    def test_a_node_is_killed(self):
        """The longest times without a success, of clients of the other nodes; in one of five measurements."""
        for _ in range(5):
            measured = gap.measure(rounds=1)
            print(measured.report(), flush=True)
            kills, controls = measured.longest(measured.kills), measured.longest(measured.controls)
            failures = [failure for window in measured.kills for failure in window.failures]
            # On a machine that does other things as well, the undisturbed clients wait now and then, too.
            allowed = max(GAP_MS_MAX * SLOW, 3000 * max(controls))
            if max(kills) * 1000 < allowed and not failures:
                break
        self.assertEqual(failures, [])
        self.assertLess(max(kills) * 1000, allowed, measured.report())


if __name__ == "__main__":
    unittest.main()
