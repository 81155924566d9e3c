"""Certificates of real clusters come to their end and are renewed, while clients work."""

import os
import re
import shutil
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from ostraka_cluster import SLOW, Cluster, Failed, binary, clean_environment, wait_until
from wall_clock import WallClocks

DAY = 24 * 60 * 60
YEARS_10 = 3650 * DAY
UNDER_WAY = 20  # what the load itself has waiting at any time


def sanitized():
    with open(binary(), "rb") as file:
        return b"__asan_init" in file.read()


class Load(threading.Thread):
    """A client that goes on at the next node when one is away, as the command line does; counts what failed at all."""

    def __init__(self, cluster, number):
        super().__init__(daemon=True)
        self.cluster, self.number = cluster, number
        self.done, self.failures = 0, []
        self.ending = threading.Event()

    def run(self):
        clients = {node: self.cluster.client(node) for node in self.cluster.nodes()}
        while not self.ending.is_set():
            name = "load/%d/%d" % (self.number, self.done)
            self.ask(clients, "POST", name, {"value": name}, (201, 409))
            self.ask(clients, "GET", name, None, (200,))
            self.done += 1
            time.sleep(0.01)
        for client in clients.values():
            client.close()

    def ask(self, clients, method, name, body, good):
        said = []
        for turn in range(6):
            node = (self.done + turn) % self.cluster.n + 1
            try:
                status, _, answer = clients[node].request(method, "/v1/secrets/" + name, body)
            except Failed as error:
                said.append(str(error))
                continue
            if status in good:
                return
            said.append("n%d: %d %s" % (node, status, answer))
            if answer["error"]["code"] not in ("not_ready", "shutting_down"):
                break
            time.sleep(0.05)
        self.failures.append((method, name, said))

    def end(self):
        self.ending.set()
        self.join(30 * SLOW)


class RenewalCase(unittest.TestCase):
    environment = {}

    def renew(self, *words, expect=0):
        done = subprocess.run([self.cluster.program, "cluster", "renew", "--dir", self.cluster.directory, *words],
                              capture_output=True, text=True, env=clean_environment(**self.environment),
                              timeout=60 * SLOW)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stdout

    def status(self, node=1, ca=None):
        environment = clean_environment(OSTRAKA_ADDR=self.cluster.addresses([node]), OSTRAKA_TOKEN=self.cluster.token,
                                        OSTRAKA_CACERT=ca or self.cluster.ca_file(), **self.environment)
        return subprocess.run([self.cluster.program, "status"], capture_output=True, text=True, env=environment,
                              timeout=60 * SLOW)

    def settled(self, node):
        """As docs/operations.md has it: ready, and nothing of before waits for it elsewhere."""
        def condition():
            for other in self.cluster.nodes():
                status, _, answer = self.cluster.request(other, "GET", "/v1/status")
                if status != 200 or answer["status"] != "ready":
                    return False
                for peer in answer["peers"]:
                    if peer["link"] not in ("self", "connected") or peer["backlog"] > UNDER_WAY:
                        return False
            return True
        self.cluster.wait_ready([node])
        wait_until(condition, 60, "n%d is in step again" % node)

    def restart_in_turn(self, environment=None):
        for node in self.cluster.nodes():
            self.cluster.stop(node)
            self.cluster.start(node, environment=environment)
            self.settled(node)

    def serial(self, path):
        return subprocess.run(["openssl", "x509", "-noout", "-serial", "-in", path], capture_output=True, text=True,
                              check=True).stdout

    def shown(self, node):
        """The certificate that the node shows to clients."""
        pem = ssl.get_server_certificate(("127.0.0.1", self.cluster.api_port(node)))
        return subprocess.run(["openssl", "x509", "-noout", "-serial"], input=pem, capture_output=True, text=True,
                              check=True).stdout


class UnderLoad(RenewalCase):
    def setUp(self):
        self.cluster = Cluster(3)
        self.addCleanup(self.cluster.close)
        self.cluster.__enter__()
        self.loads = [Load(self.cluster, number) for number in range(4)]

    def under_load(self, what):
        for load in self.loads:
            load.start()
        try:
            what()
        finally:
            for load in self.loads:
                load.end()
        self.assertEqual([failure for load in self.loads for failure in load.failures], [])
        for load in self.loads:
            self.assertGreater(load.done, 20)

    def verify_trails(self, *certificates):
        """All nodes' audit trails, those of before the renewal, too."""
        for node in self.cluster.nodes():
            export = os.path.join(self.cluster.parent, "n%d.audit" % node)
            if os.path.exists(export):
                os.remove(export)
            environment = clean_environment(OSTRAKA_ADDR=self.cluster.addresses(), OSTRAKA_TOKEN=self.cluster.token,
                                            OSTRAKA_CACERT=self.cluster.ca_file())
            done = subprocess.run([self.cluster.program, "audit", "export", "--node", "n%d" % node, "--output", export],
                                  capture_output=True, text=True, env=environment, timeout=60 * SLOW)
            self.assertEqual(done.returncode, 0, done.stderr)
            words = [word for path in certificates for word in ("--certificate", path % node)]
            done = subprocess.run([self.cluster.program, "audit", "verify", export, *words], capture_output=True,
                                  text=True, env=environment, timeout=60 * SLOW)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertNotIn("not signed by a key", done.stdout)

    def path(self, file):
        return os.path.join(self.cluster.directory, "n%d", file)

    def keep_certificates(self):
        for node in self.cluster.nodes():
            shutil.copy(self.path("node.crt") % node, self.path("old.crt") % node)

    def each_node_shows_its_own(self):
        for node in self.cluster.nodes():
            self.assertEqual(self.shown(node), self.serial(self.path("node.crt") % node))
            self.assertNotEqual(self.shown(node), self.serial(self.path("old.crt") % node))

    def test_certificates(self):
        self.keep_certificates()

        def renew():
            said = self.renew()
            self.assertIn("Made new certificates for 3 nodes", said)
            self.restart_in_turn()
        self.under_load(renew)
        self.each_node_shows_its_own()
        self.verify_trails(self.path("node.crt"))

    def test_keys(self):
        """One after the other, each with its restart: a node with a new key is the same node to the others."""
        self.keep_certificates()

        def renew():
            for node in self.cluster.nodes():
                before = open(self.path("node.key") % node).read()
                self.renew("--node", "n%d" % node, "--new-keys")
                self.assertNotEqual(open(self.path("node.key") % node).read(), before)
                self.assertEqual(os.stat(self.path("node.key") % node).st_mode & 0o777, 0o600)
                self.cluster.stop(node)
                self.cluster.start(node)
                self.settled(node)
        self.under_load(renew)
        self.each_node_shows_its_own()
        self.verify_trails(self.path("node.crt"), self.path("old.crt"))

    def test_another_ca(self):
        """Both are trusted in turn; clients have both before nodes have certificates of the new one."""
        self.keep_certificates()
        old_ca = os.path.join(self.cluster.parent, "old-ca.crt")
        shutil.copy(self.cluster.ca_file(), old_ca)

        def renew():
            self.assertIn("2. Run ostraka cluster renew without --new-ca", self.renew("--new-ca"))
            self.cluster.tls().load_verify_locations(self.cluster.ca_file())  # the clients of the load
            self.restart_in_turn()
            self.assertEqual(self.status(ca=old_ca).returncode, 0)
            self.renew()
            self.restart_in_turn()
            self.verify_trails(self.path("node.crt"), self.path("old.crt"))
            for path in [self.cluster.ca_file()] + [self.path("ca.crt") % node for node in self.cluster.nodes()]:
                subprocess.run(["sed", "-i", "/END CERTIFICATE/q", path], check=True)
            self.restart_in_turn()
        self.under_load(renew)
        self.each_node_shows_its_own()
        self.assertEqual(self.status().returncode, 0)
        self.assertNotEqual(self.status(ca=old_ca).returncode, 0)
        # A certificate of the old CA is good for nothing now.
        self.cluster.stop(1)
        shutil.copy(self.path("old.crt") % 1, self.path("node.crt") % 1)
        self.cluster.start(1)
        self.assertEqual(self.cluster.wait_exit(1), 78)
        self.assertIn("does not verify with CA certificate", self.cluster.log(1))


@unittest.skipIf(sanitized(), "the sanitizer's library has to be the first one")
class TheEnd(RenewalCase):
    """Ten days before the end of everything that the set-up made."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.clocks = WallClocks(folder.name)
        self.clocks.set(0, YEARS_10 - 10 * DAY)
        self.environment = self.clocks.environment(0)
        self.cluster = Cluster(3).create()
        self.addCleanup(self.cluster.close)
        self.cluster._tls = ssl._create_unverified_context()  # it cannot have another clock; the commands can
        for node in self.cluster.nodes():
            self.cluster.start(node, environment=self.environment)
        self.cluster.wait_ready()

    def left(self, node):
        text = self.cluster.request(node, "GET", "/metrics")[2].decode()
        found = re.findall(r'^ostraka_certificate_seconds_left\{certificate="(\w+)"\} (-?\d+)$', text, re.M)
        return {name: int(seconds) for name, seconds in found}

    def test_it_is_put_off(self):
        for node in self.cluster.nodes():
            wait_until(lambda node=node: "certificate_ends_soon" in self.cluster.log(node), 20, "the warning")
            self.assertLess(max(self.left(node).values()), 20 * DAY)
        self.assertEqual(self.status().returncode, 0)
        old_ca = os.path.join(self.cluster.parent, "old-ca.crt")
        shutil.copy(self.cluster.ca_file(), old_ca)

        self.assertIn("The CA's own certificate was renewed, too", self.renew())
        for node in self.cluster.nodes():
            self.cluster.stop(node)
            os.truncate(self.cluster.log_path(node), 0)
            self.cluster.start(node, environment=self.environment)
            self.settled(node)
            self.assertGreater(min(self.left(node).values()), YEARS_10 - 10 * DAY)
            self.assertNotIn("certificate_ends_soon", self.cluster.log(node))
            for ca in (old_ca, self.cluster.ca_file()):
                self.assertEqual(self.status(node, ca).returncode, 0)

        self.clocks.set(0, YEARS_10 + 20 * DAY)
        for node in self.cluster.nodes():
            self.assertNotEqual(self.status(node, old_ca).returncode, 0)
        self.restart_in_turn(self.environment)
        for node in self.cluster.nodes():
            self.assertEqual(self.status(node).returncode, 0)

    def test_it_has_come(self):
        for node in self.cluster.nodes():
            self.cluster.stop(node)
        self.clocks.set(0, YEARS_10 + 20 * DAY)
        self.cluster.start(1, environment=self.environment)
        self.assertEqual(self.cluster.wait_exit(1), 1)
        self.assertIn("look at the clock", self.cluster.log(1))
        self.renew()
        for node in self.cluster.nodes():
            self.cluster.start(node, environment=self.environment)
        self.cluster.wait_ready()
        self.assertEqual(self.status().returncode, 0)


class Refusals(unittest.TestCase):
    def run_renew(self, *words):
        done = subprocess.run([binary(), "cluster", "renew", *words], capture_output=True, text=True,
                              env=clean_environment(), timeout=60 * SLOW, check=False)
        return done.returncode, done.stderr

    def test_usage(self):
        for words in ((), ("--dir", ""), ("--dir", "x", "--new-ca", "--new-keys"), ("--dir", "x", "more"),
                      ("--dir", "x", "--new-ca", "--node", "n1")):
            self.assertEqual(self.run_renew(*words)[0], 2, words)

    def test_no_cluster(self):
        with tempfile.TemporaryDirectory() as folder:
            status, said = self.run_renew("--dir", folder)
            self.assertEqual(status, 78)
            self.assertIn("cluster.conf", said)

    def test_a_key_that_does_not_belong_is_told_at_the_start(self):
        """An end between the two files of --new-keys; the command once more mends it."""
        cluster = Cluster(3).create()
        self.addCleanup(cluster.close)
        old = open(os.path.join(cluster.node_directory(1), "node.crt")).read()
        self.assertEqual(self.run_renew("--dir", cluster.directory, "--new-keys")[0], 0)
        with open(os.path.join(cluster.node_directory(1), "node.crt"), "w") as file:
            file.write(old)
        cluster.start(1)
        self.assertEqual(cluster.wait_exit(1), 78)
        self.assertIn("does not belong to certificate", cluster.log(1))
        status, said = self.run_renew("--dir", cluster.directory)
        self.assertEqual(status, 78)
        self.assertIn("--new-keys", said)
        self.assertEqual(self.run_renew("--dir", cluster.directory, "--new-keys", "--node", "n1")[0], 0)
        cluster.start_all()
        cluster.wait_ready()


if __name__ == "__main__":
    unittest.main()
