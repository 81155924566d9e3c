"""kill -9 of random nodes under load: everything acknowledged is there afterwards.

OSTRAKA_KILL_SECONDS  how long (default 60)
OSTRAKA_KILL_SEED     seed of the choices; printed when a test fails
"""

import os
import random
import threading
import time
import unittest

from ostraka_cluster import SLOW, Cluster, Failed

SECONDS = float(os.environ.get("OSTRAKA_KILL_SECONDS", "60"))
VERSIONS_MAX = 60  # of one secret; a node keeps 64


class Writer(threading.Thread):
    """Works on names of its own and remembers what was acknowledged and what may have happened."""

    def __init__(self, cluster, number, stop):
        super().__init__(daemon=True)
        self.cluster, self.number, self.stop = cluster, number, stop
        self.random = random.Random(number)
        self.secrets = {}       # name -> {version: value} acknowledged
        self.uncertain = {}     # name -> values of changes without an answer
        self.deleted = set()    # names whose deletion was acknowledged
        self.deleting = set()   # names whose deletion has no known outcome
        self.acknowledged = self.unknown = self.refused = 0
        self.errors = []
        self.serial = 0

    def run(self):
        clients = {node: self.cluster.client(node, timeout=8) for node in self.cluster.nodes()}
        try:
            while not self.stop.is_set():
                self.one_change(clients[self.random.choice(list(clients))])
        except BaseException as error:  # shown by the test
            self.errors.append(error)
        finally:
            for client in clients.values():
                client.close()

    def one_change(self, client):
        self.serial += 1
        value = "writer %d value %d" % (self.number, self.serial)
        usable = [n for n, v in self.secrets.items()
                  if n not in self.deleted and n not in self.deleting and
                  len(v) + len(self.uncertain.get(n, ())) < VERSIONS_MAX]
        if not usable or self.random.random() < 0.2:
            name = "kill/%d/%d" % (self.number, self.serial)
            self.secrets[name] = {}
            self.send(client, "POST", name, value)
        elif self.random.random() < 0.05:
            self.send(client, "DELETE", self.random.choice(usable), None)
        else:
            self.send(client, "PUT", self.random.choice(usable), value)

    def send(self, client, method, name, value):
        body = {"value": value} if value is not None else None
        try:
            status, _, answer = client.request(method, "/v1/secrets/" + name, body)
        except Failed:
            self.note_unknown(method, name, value)
            time.sleep(0.02)
            return
        if status in (200, 201, 202):
            self.acknowledged += 1
            if method == "DELETE":
                self.deleted.add(name)
            elif answer["version"] in self.secrets[name]:
                self.errors.append("version %d of %s twice" % (answer["version"], name))
            else:
                self.secrets[name][answer["version"]] = value
            return
        error = answer["error"]
        if error.get("retry") == "same_key" or status == 500:
            self.note_unknown(method, name, value)
            return
        self.refused += 1
        # Only this writer uses the name, so a refusal must fit what it knows.
        maybe = name in self.uncertain or name in self.deleting
        known = bool(self.secrets[name])
        if status == 404 and known and not maybe:
            self.errors.append("%s %s: acknowledged, now 404" % (method, name))
        if status == 409 and method == "POST" and error["code"] == "already_exists" and not maybe:
            self.errors.append("%s existed before it was created" % name)
        time.sleep(0.02)

    def note_unknown(self, method, name, value):
        self.unknown += 1
        if method == "DELETE":
            self.deleting.add(name)
        else:
            self.uncertain.setdefault(name, set()).add(value)


class Kill(unittest.TestCase):
    def setUp(self):
        self.seed = int(os.environ.get("OSTRAKA_KILL_SEED") or random.SystemRandom().randrange(10**9))
        self.random = random.Random(self.seed)

    def test_kill_random_nodes_of_three(self):
        self.run_with(3, None, SECONDS)

    def test_kill_random_nodes_of_five(self):
        self.run_with(5, 3, SECONDS / 4)

    def test_kill_random_nodes_of_five_with_three_shares(self):
        self.run_with(5, 2, SECONDS / 4, shares=3)

    def run_with(self, n, k, seconds, shares=None):
        with Cluster(n, k, shares=shares) as cluster:
            stop = threading.Event()
            writers = [Writer(cluster, i, stop) for i in range(8)]
            for writer in writers:
                writer.start()
            try:
                kills = self.kill_for(cluster, seconds)
            finally:
                stop.set()
            for writer in writers:
                writer.join(60 * SLOW)
                self.assertFalse(writer.is_alive(), "a writer hangs")
            cluster.start_all()
            cluster.wait_ready()
            self.verify(cluster, writers, kills)
            self.assertEqual(cluster.sanitizer_reports(), [])

    def kill_for(self, cluster, seconds):
        """Kills and restarts; at most a minority is down at a time. Returns how often."""
        kills, down = 0, []
        end = time.monotonic() + seconds
        minority = (cluster.shares - 1) // 2
        while time.monotonic() < end:
            time.sleep(self.random.uniform(0.05, 1.0))
            for node in list(cluster.nodes()):
                if node not in down and not cluster.running(node):
                    self.fail("n%d ended by itself (seed %d): %s" % (
                        node, self.seed, cluster.log(node)[-2000:]))
            if len(down) < minority and self.random.random() < 0.7:
                node = self.random.choice([i for i in cluster.nodes() if i not in down])
                cluster.kill9(node)
                down.append(node)
                kills += 1
            elif down:
                node = down.pop(0)
                cluster.start(node)
                # Now and then the next is killed while this one still catches up.
                if self.random.random() < 0.7:
                    cluster.wait_ready([node])
        return kills

    def verify(self, cluster, writers, kills):
        errors = ["%s" % error for writer in writers for error in writer.errors]
        checked = 0
        for number, writer in enumerate(writers):
            client = cluster.client(number % cluster.n + 1)
            for name, versions in writer.secrets.items():
                errors += self.verify_secret(client, writer, name, versions)
                checked += len(versions)
            client.close()
        acknowledged = sum(writer.acknowledged for writer in writers)
        summary = "seed %d: %d kills, %d acknowledged, %d unknown, %d refused, %d checked" % (
            self.seed, kills, acknowledged, sum(w.unknown for w in writers),
            sum(w.refused for w in writers), checked)
        print(summary, flush=True)
        self.assertFalse(errors, "%s\n%s" % (summary, "\n".join(errors[:20])))
        self.assertGreater(kills, 0, summary)
        self.assertGreater(acknowledged, 50, summary)

    def verify_secret(self, client, writer, name, versions):
        path = "/v1/secrets/" + name
        status, _, latest = client.request("GET", path)
        if name in writer.deleted:
            return [] if status == 404 else ["%s was deleted and answers %d" % (name, status)]
        if status == 404 and (name in writer.deleting or not versions):
            return []
        if status != 200:
            return ["%s answers %d: %s" % (name, status, latest)]
        errors = []
        if versions and latest["version"] < max(versions):
            errors.append("%s went back from %d to %d" % (name, max(versions), latest["version"]))
        known = dict(versions)
        uncertain = writer.uncertain.get(name, set())
        seen = set()
        for version in range(1, latest["version"] + 1):
            status, _, got = client.request("GET", "%s?version=%d" % (path, version))
            value = got.get("value") if status == 200 else None
            if version in known and value != known[version]:
                errors.append("%s version %d: %d %r" % (name, version, status, value))
            elif version not in known and value not in uncertain:
                errors.append("%s version %d: %d, a value that nobody wrote" % (
                    name, version, status))
            if value in seen:
                errors.append("%s version %d: its value was written twice" % (name, version))
            seen.add(value)
        return errors


if __name__ == "__main__":
    unittest.main()
