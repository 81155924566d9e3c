"""A node whose wall clock is wrong is shown, since nothing else tells why it has no part in changes."""

import re
import subprocess
import tempfile
import unittest

from ostraka_cluster import SLOW, Cluster, binary, clean_environment, wait_until
from wall_clock import WallClocks

DAY = 24 * 60 * 60
OK = 0


def sanitized():
    with open(binary(), "rb") as file:
        return b"__asan_init" in file.read()


@unittest.skipIf(sanitized(), "the sanitizer's library has to be the first one")
class WrongClock(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.clocks = WallClocks(folder.name)
        self.cluster = Cluster(3).create()
        self.addCleanup(self.cluster.close)
        self.cluster.start(1)
        self.cluster.start(3)
        self.cluster.start(2, environment=self.clocks.environment(2))
        self.cluster.wait_ready()

    def status(self, node):
        environment = clean_environment(OSTRAKA_ADDR=self.cluster.addresses([node]), OSTRAKA_TOKEN=self.cluster.token,
                                        OSTRAKA_CACERT=self.cluster.ca_file())
        done = subprocess.run([self.cluster.program, "status"], capture_output=True, text=True, env=environment,
                              timeout=60 * SLOW)
        self.assertEqual(done.returncode, OK, done.stderr)
        return done.stdout

    def offsets(self, node):
        peers = self.cluster.request(node, "GET", "/v1/status")[2]["peers"]
        return {peer["node"]: peer["clock_offset_s"] for peer in peers}

    def shows(self, node, **offsets):
        """Give or take a second: nothing is known of a clock before the first heartbeat, nor exactly."""
        def condition():
            found = self.offsets(node)
            return all(found[name] is not None and abs(found[name] - offset) <= 1
                       for name, offset in offsets.items())
        wait_until(condition, 20, "n%d shows %r" % (node, offsets))

    def test_a_start_long_ago_is_tried_again(self):
        """As after a start of the machine: before the certificates were made. 78 would end it for good."""
        self.cluster.stop(2)
        self.clocks.set(2, -30 * 365 * DAY)
        self.cluster.start(2, environment=self.clocks.environment(2))
        self.assertEqual(self.cluster.wait_exit(2), 1)
        self.assertRegex(self.cluster.log(2), r"does not start: the clock says 19\d\d-.* is valid from .*"
                                              r"look at the clock")
        self.clocks.set(2, 0)
        self.cluster.start(2, environment=self.clocks.environment(2), wait=True)

    def test_the_end_of_certificates_is_told(self):
        """Those of cluster create are valid for ten years; a node says so from 60 days before, and every day."""
        def left(node):
            text = self.cluster.request(node, "GET", "/metrics")[2].decode()
            found = re.findall(r'^ostraka_certificate_seconds_left\{certificate="(\w+)"\} (-?\d+)$', text, re.M)
            return {name: int(seconds) for name, seconds in found}

        self.assertEqual(sorted(left(2)), ["ca", "node"])
        for seconds in left(2).values():
            self.assertLess(abs(seconds - 3650 * DAY), 10 * DAY)
        self.assertNotIn("certificate_ends_soon", self.cluster.log(2))
        self.clocks.set(2, 3640 * DAY)
        wait_until(lambda: "certificate_ends_soon" in self.cluster.log(2), 20, "the warning")
        self.assertLess(max(left(2).values()), 20 * DAY)
        self.assertEqual(self.cluster.log(2).count("certificate_ends_soon"), 1)

    def test_clocks_are_compared(self):
        self.shows(1, n2=0, n3=0)
        self.assertIsNone(self.offsets(1)["n1"])
        self.assertNotIn("the clock of", self.status(3))

        self.clocks.set(2, 3 * DAY)
        self.shows(1, n2=3 * DAY, n3=0)
        self.shows(2, n1=-3 * DAY, n3=-3 * DAY)
        self.assertRegex(self.status(1), "the clock of n2 is (3|2) days ahead of this node's")
        self.assertRegex(self.status(2), "the clock of n1 is (3|2) days behind this node's\n"
                                         " *the clock of n3 is (3|2) days behind this node's")
        metrics = self.cluster.request(1, "GET", "/metrics")[2].decode()
        self.assertRegex(metrics, r'ostraka_peer_clock_difference_seconds\{peer="n2"\} 2(5[89]\d{3}|60\d{3})\.\d{3}\n')

        self.clocks.set(2, 0)
        self.shows(1, n2=0, n3=0)


if __name__ == "__main__":
    unittest.main()
