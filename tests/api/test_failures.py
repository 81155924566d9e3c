"""Nodes that are away, stopped, restarted, misconfigured or damaged: never a wrong answer."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from ostraka_cluster import SLOW, Cluster, Failed, clean_environment, wait_until


class FailureTest(unittest.TestCase):
    def start_cluster(self, *arguments, **options):
        cluster = Cluster(*arguments, **options).__enter__()
        self.addCleanup(self.end_cluster, cluster)
        return cluster

    def end_cluster(self, cluster):
        reports = cluster.sanitizer_reports()
        cluster.close()
        self.assertFalse(reports, reports)

    def call(self, cluster, node, method, path, body=None, expect=None, **options):
        status, _, answer = cluster.request(node, method, path, body, **options)
        if expect is not None:
            self.assertEqual(status, expect, "%s %s at n%d: %s" % (method, path, node, answer))
        return answer

    def create(self, cluster, node, name, value):
        return self.call(cluster, node, "POST", "/v1/secrets/" + name, {"value": value}, 201)

    def update(self, cluster, node, name, value):
        return self.call(cluster, node, "PUT", "/v1/secrets/" + name, {"value": value}, 200)

    def check(self, cluster, nodes, name, value, version=None):
        for node in nodes:
            got = self.call(cluster, node, "GET", "/v1/secrets/" + name, None, 200)
            self.assertEqual(got["value"], value, "at n%d" % node)
            if version:
                self.assertEqual(got["version"], version)

    def check_absent(self, cluster, nodes, name):
        for node in nodes:
            for path in ("/v1/secrets/", "/v1/history/"):
                self.call(cluster, node, "GET", path + name, None, 404)

    def wait_link_down(self, cluster, nodes):
        """Time for the others to notice; requests must succeed before, too, only slower."""
        time.sleep(1.5)
        for node in nodes:
            self.assertTrue(cluster.running(node))


class OtherToken(FailureTest):
    """While the bootstrap token is exchanged, node after node, some know the new one and some do not."""

    def test_says_nothing_of_secrets(self):
        cluster = self.start_cluster(3)
        self.create(cluster, 1, "there", "v")
        token = "ost_" + "A" * 43
        known = hashlib.blake2b(token.encode(), digest_size=32).hexdigest()
        other = os.path.join(cluster.directory, "other.conf")
        shutil.copy(cluster.config(), other)
        cluster.edit_config(r'^admin_token_hash\s*=.*', 'admin_token_hash = "%s"' % known, other)
        cluster.stop(1)
        cluster.start(1, wait=True, config=other)
        for method, path, body in (("GET", "/v1/secrets/there", None), ("GET", "/v1/history/there", None),
                                   ("PUT", "/v1/secrets/there", {"value": "w"}),
                                   ("DELETE", "/v1/secrets/there", None)):
            answer = self.call(cluster, 1, method, path, body, 503, token=token)
            self.assertEqual(answer["error"]["code"], "not_ready")
            self.assertEqual(answer["error"]["retry"], "safe")
            self.call(cluster, 2, method, path, body, 401, token=token)
        self.check(cluster, [2, 3], "there", "v", 1)


class NodesAway(FailureTest):
    def test_one_of_three_killed(self):
        cluster = self.start_cluster(3)
        self.create(cluster, 1, "before", "v1")
        cluster.kill9(3)
        # At once, without waiting until the others have noticed.
        self.update(cluster, 1, "before", "v2")
        self.create(cluster, 2, "meanwhile", "m1")
        self.check(cluster, (1, 2), "before", "v2", 2)
        self.check(cluster, (1, 2), "meanwhile", "m1", 1)
        self.wait_link_down(cluster, (1, 2))
        self.update(cluster, 2, "before", "v3")
        for node in (1, 2):
            rows = self.call(cluster, node, "GET", "/v1/history/before", None, 200)["versions"]
            self.assertEqual([row["version"] for row in rows], [3, 2, 1])
        cluster.start(3, wait=True)
        self.check(cluster, (1, 2, 3), "before", "v3", 3)
        self.check(cluster, (1, 2, 3), "meanwhile", "m1", 1)
        self.update(cluster, 3, "before", "v4")
        self.check(cluster, (1, 2, 3), "before", "v4", 4)

    def test_each_in_turn(self):
        cluster = self.start_cluster(3)
        self.create(cluster, 1, "rolling", "v1")
        version = 1
        for away in (1, 2, 3, 1):
            cluster.kill9(away)
            others = [node for node in (1, 2, 3) if node != away]
            for node in others:
                version += 1
                self.update(cluster, node, "rolling", "v%d" % version)
            self.check(cluster, others, "rolling", "v%d" % version, version)
            cluster.start(away, wait=True)
            self.check(cluster, (1, 2, 3), "rolling", "v%d" % version, version)

    def test_a_node_that_was_away_catches_up_by_itself(self):
        """What was written without n3 stays readable when afterwards n1 goes instead."""
        cluster = self.start_cluster(3)
        cluster.kill9(3)
        for i in range(20):
            self.create(cluster, 1 + i % 2, "missed/%d" % i, "value %d" % i)
        cluster.start(3, wait=True)
        self.wait_caught_up(cluster, (1, 2))
        cluster.kill9(1)
        for i in range(20):
            self.check(cluster, (2, 3), "missed/%d" % i, "value %d" % i)

    def test_missed_updates_are_delivered(self):
        """As above, for secrets of which n3 has earlier versions, and which lived and died meanwhile."""
        cluster = self.start_cluster(3)
        for name in ("updated", "twice", "again"):
            self.create(cluster, 1, name, "v1")
            self.update(cluster, 2, name, "v2")
        cluster.kill9(3)
        self.update(cluster, 1, "updated", "v3")
        self.update(cluster, 1, "twice", "v3")
        self.update(cluster, 2, "twice", "v4")
        self.call(cluster, 1, "DELETE", "/v1/secrets/again", None, 200)
        self.create(cluster, 2, "again", "second life")
        time.sleep(1.5)  # until the others have noticed, too
        self.update(cluster, 2, "again", "second life, v2")
        cluster.start(3, wait=True)
        self.wait_caught_up(cluster, (1, 2))
        cluster.kill9(1)
        self.check(cluster, (2, 3), "updated", "v3", 3)
        self.check(cluster, (2, 3), "twice", "v4", 4)
        self.check(cluster, (2, 3), "again", "second life, v2", 2)
        for version in (1, 2, 3):
            got = self.call(cluster, 3, "GET", "/v1/secrets/twice?version=%d" % version, None, 200)
            self.assertEqual(got["value"], "v%d" % version)

    def wait_caught_up(self, cluster, holders):
        """Until nothing waits at the holders for anybody, and it stays so over two rounds."""
        def backlog():
            text = "".join(cluster.request(node, "GET", "/metrics")[2].decode() for node in holders)
            return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                       if line.startswith("ostraka_escrow_backlog "))
        time.sleep(1.5)  # the counts are those of the last round
        wait_until(lambda: backlog() == 0, 20, "the backlog delivered")

    def test_two_of_five_down(self):
        cluster = self.start_cluster(5, 3)
        self.create(cluster, 1, "five", "v1")
        cluster.kill9(2)
        cluster.kill9(4)
        alive = (1, 3, 5)
        self.update(cluster, 1, "five", "v2")
        self.create(cluster, 3, "new", "n1")
        self.check(cluster, alive, "five", "v2", 2)
        answer = self.call(cluster, 5, "DELETE", "/v1/secrets/new")
        self.assertEqual((answer["required"], answer["replicas"]), (3, 5))
        self.check_absent(cluster, alive, "new")
        cluster.start(2)
        cluster.start(4)
        cluster.wait_ready()
        self.check(cluster, cluster.nodes(), "five", "v2", 2)
        self.check_absent(cluster, cluster.nodes(), "new")

    def test_no_majority_fails_clearly_and_changes_nothing(self):
        cluster = self.start_cluster(3)
        self.create(cluster, 1, "alone", "v1")
        cluster.kill9(2)
        cluster.kill9(3)
        for method, body in (("PUT", {"value": "v2"}), ("DELETE", None)):
            error = self.call(cluster, 1, method, "/v1/secrets/alone", body, 503)["error"]
            self.assertEqual((error["code"], error.get("phase"), error["retry"]),
                             ("no_quorum", "voting", "safe"))
        error = self.call(cluster, 1, "GET", "/v1/secrets/alone", None, 503)["error"]
        self.assertEqual(error["code"], "no_quorum")
        self.call(cluster, 1, "POST", "/v1/secrets/other", {"value": "x"}, 503)
        self.call(cluster, 1, "GET", "/v1/history/alone", None, 503)
        wait_until(lambda: not cluster.ready(1), 10, "n1 says that it is not ready")
        health = cluster.request(1, "GET", "/v1/health", token=None)
        self.assertEqual(health[0], 503)
        cluster.start(2)
        cluster.start(3)
        cluster.wait_ready()
        self.check(cluster, (1, 2, 3), "alone", "v1", 1)
        self.check_absent(cluster, (1, 2, 3), "other")

    def test_paused_node(self):
        """A node that hangs does not hold the others up, and says nothing old when it goes on."""
        cluster = self.start_cluster(3)
        self.create(cluster, 1, "paused", "v1")
        cluster.pause(2)
        took = []
        for version in range(2, 7):
            begun = time.monotonic()
            self.update(cluster, 1 if version % 2 else 3, "paused", "v%d" % version)
            took.append(time.monotonic() - begun)
        self.assertLess(min(took), 3 * SLOW, took)
        cluster.resume(2)
        self.check(cluster, (2, 1, 3), "paused", "v6", 6)

    def test_deleted_while_a_node_is_away_stays_deleted(self):
        cluster = self.start_cluster(3)
        for i in range(10):
            self.create(cluster, 1, "gone/%d" % i, "v1")
            self.update(cluster, 2, "gone/%d" % i, "v2")
        cluster.kill9(3)
        for i in range(10):
            answer = self.call(cluster, 1 + i % 2, "DELETE", "/v1/secrets/gone/%d" % i, None, 200)
            self.assertEqual((answer["erased_on"], answer["required"]), (2, 2))
            self.assertFalse(answer["shredded"])
        # One of them lives again while n3 is still away.
        self.create(cluster, 1, "gone/0", "second life")
        cluster.start(3, wait=True)
        for _ in range(5):
            for i in range(1, 10):
                self.check_absent(cluster, (3, 1, 2), "gone/%d" % i)
            self.check(cluster, (3, 1, 2), "gone/0", "second life", 1)
            time.sleep(0.3)

        def erased_everywhere():
            return all(self.call(cluster, 2, "GET", "/v1/deletions/gone/%d" % i, None, 200)
                       ["erased_on"] == 3 for i in range(1, 10))
        wait_until(erased_everywhere, 20, "erased on n3 too")
        # Only with n3, which has the old shares on its disk if it did not erase them.
        cluster.kill9(1)
        for i in range(1, 10):
            self.check_absent(cluster, (2, 3), "gone/%d" % i)
        self.check(cluster, (2, 3), "gone/0", "second life", 1)


class Restart(FailureTest):
    def test_whole_cluster_stopped_and_started(self):
        cluster = self.start_cluster(3)
        for i in range(10):
            self.create(cluster, 1 + i % 3, "kept/%d" % i, "v1-%d" % i)
            self.update(cluster, 1 + (i + 1) % 3, "kept/%d" % i, "v2-%d" % i)
        self.call(cluster, 1, "DELETE", "/v1/secrets/kept/0")
        for how in ("stop", "kill9"):
            for node in cluster.nodes():
                getattr(cluster, how)(node)
            cluster.start_all()
            cluster.wait_ready()
            self.check_absent(cluster, cluster.nodes(), "kept/0")
            for i in range(1, 10):
                self.check(cluster, cluster.nodes(), "kept/%d" % i, "v2-%d" % i, 2)
                got = self.call(cluster, 1, "GET", "/v1/secrets/kept/%d?version=1" % i, None, 200)
                self.assertEqual(got["value"], "v1-%d" % i)
        self.assertEqual(self.update(cluster, 2, "kept/1", "v3")["version"], 3)

    def test_stops_on_sigterm(self):
        cluster = self.start_cluster(3)
        idle = cluster.client(1)  # an idle kept-alive connection must not hold it
        idle.request("GET", "/v1/health")
        for node in cluster.nodes():
            self.assertEqual(cluster.stop(node), 0, cluster.log(node)[-1000:])
        idle.close()

    def test_answers_that_were_begun_are_given_before_the_end(self):
        cluster = self.start_cluster(3)
        clients = [cluster.client(1) for _ in range(8)]
        for client in clients:
            client.request("GET", "/v1/health")
        results = []

        def work(i):
            results.append(clients[i].request("POST", "/v1/secrets/drain/%d" % i, {"value": "x"})[0])
        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        cluster.stop(1)
        for client in clients:
            client.close()
        self.assertEqual(results, [201] * 8)
        for i in range(8):
            self.check(cluster, (2, 3), "drain/%d" % i, "x", 1)

    def test_supervisor_restarts_its_child(self):
        cluster = self.start_cluster(3)
        cluster.stop(3)
        with open(cluster.log_path(3), "ab") as log:
            cluster.processes[3] = subprocess.Popen(
                [cluster.program, "server", "--config", cluster.config(), "--node", "n3",
                 "--supervise"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=clean_environment(), start_new_session=True)
        supervisor = cluster.processes[3]

        def children():
            found = []
            for entry in os.listdir("/proc"):
                if entry.isdigit():
                    try:
                        with open("/proc/%s/stat" % entry) as file:
                            fields = file.read().rsplit(")", 1)[1].split()
                    except OSError:
                        continue
                    if int(fields[1]) == supervisor.pid and fields[0] != "Z":
                        found.append(int(entry))
            return found
        cluster.wait_ready([3])
        for _ in range(2):
            before = children()
            self.assertEqual(len(before), 1)
            os.kill(before[0], signal.SIGKILL)
            wait_until(lambda: children() and children() != before, 15, "a new child")
            cluster.wait_ready([3])
        self.assertEqual(cluster.stop(3), 0)
        self.assertEqual(children(), [])
        self.assertFalse(cluster.ready(3))


class Misconfigured(FailureTest):
    def setUp(self):
        self.cluster = Cluster(3).create()
        self.addCleanup(self.end_cluster, self.cluster)

    def path(self, name, node=1):
        return os.path.join(self.cluster.node_directory(node), name)

    def refuses_to_start(self, *words, node=1):
        """Ends by itself, with a status that is no signal, and says why in its last words."""
        cluster = self.cluster
        begun = len(cluster.log(node)) if os.path.exists(cluster.log_path(node)) else 0
        cluster.start(node)
        try:
            status = cluster.wait_exit(node, 20)
        except subprocess.TimeoutExpired:
            self.fail("n%d goes on running: %s" % (node, cluster.log(node)[begun:][-2000:]))
        said = cluster.log(node)[begun:]
        self.assertGreater(status, 0, said)
        self.assertTrue(said.strip(), "it says nothing")
        # The clear line is among the last few; what is logged before it is short.
        for word in words:
            self.assertIn(word.lower(), said.lower())
        self.assertLess(len(said.splitlines()), 15, said)
        return said

    def start_all(self):
        self.cluster.start_all()
        self.cluster.wait_ready()

    def test_wrong_storage_key(self):
        self.start_all()
        self.create(self.cluster, 1, "safe", "v1")
        self.cluster.stop(1)
        shutil.copy(self.path("storage.key"), self.path("storage.key") + ".kept")
        with open(self.path("storage.key"), "w") as file:
            file.write("ab" * 32 + "\n")
        self.refuses_to_start("storage", "key")
        self.check(self.cluster, (2, 3), "safe", "v1", 1)
        os.replace(self.path("storage.key") + ".kept", self.path("storage.key"))
        self.cluster.start(1, wait=True)
        self.check(self.cluster, (1, 2, 3), "safe", "v1", 1)

    def test_unusable_storage_key(self):
        good = open(self.path("storage.key")).read()
        for content in ("", "short\n", good.strip()[:-1] + "x\n", good.strip() + "00\n"):
            with open(self.path("storage.key"), "w") as file:
                file.write(content)
            said = self.refuses_to_start("storage.key")
            if len(content) > 20:
                self.assertNotIn(content.strip()[:20], said)
        os.remove(self.path("storage.key"))
        self.refuses_to_start("storage.key")

    def test_storage_key_that_others_can_read(self):
        os.chmod(self.path("storage.key"), 0o644)
        self.refuses_to_start("storage.key")

    def test_missing_files(self):
        for name in ("node.crt", "node.key", "ca.crt"):
            kept = self.path(name) + ".kept"
            os.rename(self.path(name), kept)
            self.refuses_to_start(name)
            os.rename(kept, self.path(name))

    def test_certificate_of_another_node(self):
        """n1 with n2's certificate is not accepted as n1 by anybody."""
        for name in ("node.crt", "node.key"):
            shutil.copy(self.path(name, node=2), self.path(name))
        self.cluster.start(2)
        self.cluster.start(3)
        self.cluster.wait_ready([2, 3])
        self.cluster.start(1)
        time.sleep(3 * SLOW)
        if self.cluster.running(1):
            self.assertFalse(self.cluster.ready(1))
        else:
            self.assertGreater(self.cluster.processes[1].returncode, 0)

    def test_port_in_use(self):
        for port in (self.cluster.api_port(1), self.cluster.base_port + 101):
            with socket.socket() as holder:
                holder.bind(("127.0.0.1", port))
                holder.listen()
                self.refuses_to_start(str(port))

    def test_same_node_twice(self):
        self.start_all()
        done = subprocess.run([self.cluster.program, "server", "--config", self.cluster.config(),
                               "--node", "n1"], capture_output=True, text=True,
                              env=clean_environment(), timeout=30 * SLOW)
        self.assertGreater(done.returncode, 0)
        self.assertTrue(done.stderr.strip())
        self.assertTrue(self.cluster.ready(1))

    def test_other_configuration(self):
        """A node whose cluster.conf names other shares is refused by the rest, with one clear line."""
        five = Cluster(5, 3).create()
        self.addCleanup(self.end_cluster, five)
        other = os.path.join(five.directory, "other.conf")
        shutil.copy(five.config(), other)
        five.edit_config(r"^(\s*threshold\s*=\s*)\d+", r"\g<1>2", config=other)
        for node in (1, 2, 3, 4):
            five.start(node)
        five.wait_ready([1, 2, 3, 4])
        five.start(5, config=other)
        # It runs or it ended, but it takes no part.
        wait_until(lambda: any("cluster.conf differs" in line
                               for node in five.nodes() for line in five.log(node).splitlines()),
                   15, "a line that names the mismatch")
        time.sleep(2)
        mentions = sum("cluster.conf differs" in line for line in five.log(5).splitlines())
        self.assertLess(mentions, 12, "once per change, not per attempt")
        if five.running(5):
            self.assertFalse(five.ready(5))
            status = five.request(5, "POST", "/v1/secrets/a", {"value": "x"})[0]
            self.assertEqual(status, 503)
        self.create(five, 1, "b", "v1")
        self.check(five, (1, 2, 3, 4), "b", "v1", 1)

    def test_other_seal(self):
        """A node without the master key of the rest takes no part: it would store values without it."""
        three = Cluster(3, 2, seal="file").create()
        self.addCleanup(self.end_cluster, three)
        other = os.path.join(three.directory, "other.conf")
        shutil.copy(three.config(), other)
        three.edit_config(r'^(\s*)type = "?file"?\n\s*check = .*$', r'\g<1>type = "none"', config=other)
        for node in (1, 2):
            three.start(node)
        three.wait_ready([1, 2])
        three.start(3, config=other)
        for node in (1, 3):
            wait_until(lambda: "differs: seal or master key check" in three.log(node),
                       15, "a line that names the mismatch")
        self.assertFalse(three.ready(3))
        self.assertEqual(three.request(3, "POST", "/v1/secrets/a", {"value": "x"})[0], 503)
        self.create(three, 1, "b", "v1")
        self.check(three, (1, 2), "b", "v1", 1)

    def test_another_nodes_certificate(self):
        """It is refused at the start and by --check, and so is another cluster's CA."""
        three = Cluster(3).create()
        self.addCleanup(self.end_cluster, three)
        other = Cluster(3).create()
        self.addCleanup(self.end_cluster, other)

        def refused(words):
            done = subprocess.run([three.program, "server", "--config", three.config(), "--node", "n1", "--check"],
                                  capture_output=True, text=True, env=clean_environment(), timeout=20 * SLOW)
            self.assertEqual(done.returncode, 78)
            self.assertIn(words, done.stdout)
            three.start(1)
            self.assertEqual(three.wait_exit(1), 78)
            self.assertIn(words, three.log(1))

        ca = os.path.join(three.node_directory(1), "ca.crt")
        shutil.copy(ca, ca + ".own")
        shutil.copy(os.path.join(other.node_directory(1), "ca.crt"), ca)
        refused("does not verify with CA certificate")
        shutil.copy(ca + ".own", ca)
        for name in ("node.crt", "node.key"):
            shutil.copy(os.path.join(three.node_directory(2), name), os.path.join(three.node_directory(1), name))
        refused("is not this node's: it must name ostraka://")

    def test_check_and_start_agree(self):
        """What --check calls an error keeps the node from starting, and nothing else does."""
        three = Cluster(3).create()
        self.addCleanup(self.end_cluster, three)
        three.start_all()
        three.wait_ready()
        three.stop(1)

        def check():
            done = subprocess.run([three.program, "server", "--config", three.config(), "--node", "n1", "--check"],
                                  capture_output=True, text=True, env=clean_environment(), timeout=20 * SLOW)
            return done.returncode, done.stdout

        def path(name):
            return os.path.join(three.node_directory(1), name)

        def refused(words):
            status, text = check()
            self.assertEqual(status, 78, text)
            self.assertRegex(text, words)
            three.start(1)
            self.assertIn(three.wait_exit(1), (1, 78))

        self.assertEqual(check()[0], 0)
        self.assertNotIn("warning", check()[1])

        os.chmod(path("bucket.keys"), 0o644)
        refused(r"error .*bucket\.keys can be read by others")
        os.chmod(path("bucket.keys"), 0o600)

        os.rename(path("sequence"), path("kept"))
        os.mkdir(path("sequence"))
        refused(r"error .*/sequence is not a regular file")
        os.rmdir(path("sequence"))
        os.rename(path("kept"), path("sequence"))

        os.rename(path("data"), path("kept"))
        open(path("data"), "w").close()
        refused(r"error .*/data is not a directory")
        os.remove(path("data"))
        os.rename(path("kept"), path("data"))

        # A storage key that is lost, as docs/operations.md has it.
        with open(path("storage.key"), "w") as file:
            file.write("5a" * 32)
        refused(r"error .*storage\.key is not the key that the files in .* were written with")
        for name in ("birth", "share.keys", "bucket.keys", "sequence"):
            os.remove(path(name))
        os.rename(path("data"), path("data.lost"))
        status, text = check()
        self.assertEqual(status, 0, text)
        self.assertIn("warning", text)
        three.start(1)
        three.wait_ready([1])
        self.create(three, 1, "a", "v1")

    def test_check_explains_with_file_and_line(self):

        def check(node="n1"):
            return subprocess.run([self.cluster.program, "server", "--config",
                                   self.cluster.config(), "--node", node, "--check"],
                                  capture_output=True, text=True, env=clean_environment(),
                                  timeout=20 * SLOW)
        self.assertEqual(check().returncode, 0)
        self.assertGreater(check("n9").returncode, 0)
        good = open(self.cluster.config()).read()
        for pattern, replacement in ((r"^(\s*threshold\s*=\s*)\d+", r"\g<1>99"),
                                     (r"^(\s*shares\s*=\s*)\d+", r"\g<1>0"),
                                     (r"^(\s*)threshold", r"\g<1>treshold"),
                                     (r"api_port\s*=\s*\d+", "api_port = 99999"),
                                     (r"^(\s*node\b.*)$", r"\g<1> {")):
            self.cluster.edit_config(pattern, replacement)
            done = check()
            self.assertGreater(done.returncode, 0, replacement)
            self.assertRegex(done.stderr + done.stdout, r"cluster\.conf:\d+: ")
            with open(self.cluster.config(), "w") as file:
                file.write(good)

    def test_create_refuses_to_overwrite(self):
        token = self.cluster.token
        with self.assertRaises(RuntimeError):
            self.cluster.create()
        self.assertEqual(open(self.cluster.token_file()).read().strip(), token)

    def test_files_of_a_new_cluster(self):
        for path in (self.cluster.token_file(), self.path("storage.key"), self.path("node.key"),
                     self.path("share.keys"),
                     os.path.join(self.cluster.directory, "ca", "ca.key")):
            if os.path.exists(path):
                self.assertEqual(os.stat(path).st_mode & 0o077, 0, path)
        self.assertNotIn(self.cluster.token, open(self.cluster.config()).read())


class Damaged(FailureTest):
    def test_full_disk_refuses_changes_and_still_reads(self):
        free = shutil.disk_usage(tempfile.gettempdir()).free // 2**20
        if free >= 2**20 - 1:
            self.skipTest("more than 1 TiB free")
        cluster = self.start_cluster(3)
        self.create(cluster, 1, "kept", "v1")
        # What is not known chosen everywhere would have to be finished, for which there is no room.
        self.check(cluster, cluster.nodes(), "kept", "v1", 1)
        time.sleep(1)
        for node in cluster.nodes():
            cluster.stop(node)
        cluster.set_server_option("disk_free_min_mb", 2 * free)  # below the reserve, above its quarter
        cluster.start_all()

        # Whether nodes without room call themselves ready is theirs to say; they must read.
        def readable(node):
            try:
                return cluster.request(node, "GET", "/v1/secrets/kept")[0] == 200
            except Failed:
                return False
        for node in cluster.nodes():
            wait_until(lambda node=node: readable(node), 30, "a read")
        self.check(cluster, cluster.nodes(), "kept", "v1", 1)
        for node in cluster.nodes():
            status, _, answer = cluster.request(node, "POST", "/v1/secrets/more%d" % node,
                                                {"value": "x"})
            self.assertIn((status, answer["error"]["code"]),
                          ((507, "disk_full"), (503, "no_quorum")))
        for node in cluster.nodes():
            cluster.stop(node)
        cluster.set_server_option("disk_free_min_mb", 1)
        cluster.start_all()
        cluster.wait_ready()
        self.update(cluster, 1, "kept", "v2")
        self.check(cluster, cluster.nodes(), "kept", "v2", 2)

    def test_damaged_tables_never_give_a_wrong_answer(self):
        """n1's table files are damaged here and there: right answers, or none from n1."""
        cluster = self.start_cluster(3)
        for i in range(30):
            self.create(cluster, 1 + i % 3, "d/%d" % i, "value %d " % i + "x" * 2000)
        cluster.stop(1)
        data = os.path.join(cluster.node_directory(1), "data")
        for name in os.listdir(data):
            path = os.path.join(data, name)
            size = os.path.getsize(path)
            if name.endswith(".wt") and not name.startswith("WiredTiger") and size > 8192:
                with open(path, "r+b") as file:
                    for offset in range(4096 + 100, size, 4096):
                        file.seek(offset)
                        byte = file.read(1)
                        file.seek(offset)
                        file.write(bytes([byte[0] ^ 0x10]))
        cluster.start(1)
        wait_until(lambda: not cluster.running(1) or cluster.ready(1), 30, "n1 decides")
        if not cluster.running(1):
            self.assertGreater(cluster.processes[1].returncode, 0)
            self.assertTrue(cluster.log(1).strip())
        for i in range(30):
            value = "value %d " % i + "x" * 2000
            self.check(cluster, (2, 3), "d/%d" % i, value, 1)
            if cluster.running(1):
                status, _, answer = cluster.request(1, "GET", "/v1/secrets/d/%d" % i)
                self.assertIn(status, (200, 503))
                if status == 200:
                    self.assertEqual(answer["value"], value)

    def test_cut_journal_never_loses_what_was_acknowledged(self):
        """n1's newest journal is cut: it may refuse to start, but no node forgets a version."""
        cluster = self.start_cluster(3)
        self.create(cluster, 1, "journal", "v1")
        for version in range(2, 21):
            self.update(cluster, version % 3 + 1, "journal", "v%d" % version)
        cluster.kill9(1)
        journals = []
        for folder, _, names in os.walk(os.path.join(cluster.node_directory(1), "data")):
            journals += [os.path.join(folder, n) for n in names if n.startswith("WiredTigerLog")]
        self.assertTrue(journals)
        newest = max(journals, key=os.path.getmtime)
        with open(newest, "r+b") as file:
            used = len(file.read().rstrip(b"\0"))
            file.truncate(used // 2)
        cluster.start(1)
        wait_until(lambda: not cluster.running(1) or cluster.ready(1), 30, "n1 decides")
        cluster.kill9(3)  # from here on n1, if it serves, is needed for every answer
        for node in (2, 1):
            if not cluster.running(node):
                continue
            status, _, answer = cluster.request(node, "GET", "/v1/secrets/journal")
            self.assertIn(status, (200, 503), answer)
            if status == 200:
                self.assertEqual((answer["version"], answer["value"]), (20, "v20"))


if __name__ == "__main__":
    unittest.main()
