"""Lost, replaced, rolled-back and damaged stores, and bad disks, on one node of three.

Clients write and read through the other nodes all the while. Each damage must be recognised and told in one
line, must never show in an answer, and must be healed: afterwards another node is killed, and everything that
was ever acknowledged is still readable and writable with the healed node in the majority.
"""

import os
import random
import re
import shutil
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from ostraka_cluster import SLOW, Cluster, Failed, wait_until

HEALED = 3  # number of the node whose disk is damaged; the clients use the other two


class Load:
    """Clients that write and read through some nodes, and know what every name must answer."""

    def __init__(self, cluster, nodes, names=6, pause=0.005):
        self.cluster, self.nodes, self.pause = cluster, nodes, pause
        self.lock = threading.Lock()
        self.acknowledged = {}  # name: (version, value)
        self.unknown = {}  # name: values of changes that may have happened
        self.wrong, self.durations, self.refused = [], [], 0
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True)
                        for i in range(names)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(30 * SLOW)

    def _run(self, number):
        name = "load/%s/%d" % (os.urandom(4).hex(), number)
        client = self.cluster.client(self.nodes[number % len(self.nodes)])
        count = 0
        while not self.stopped.is_set():
            time.sleep(self.pause)
            count += 1
            try:
                self._write(client, name, "%s value %d" % (name, count))
                self._read(client, name)
            except Failed as error:
                self.wrong.append((name, str(error)))
                break
        client.close()

    def _write(self, client, name, value):
        version = self.acknowledged[name][0] if name in self.acknowledged else 0
        begun = time.monotonic()
        status, _, answer = client.request("PUT" if version else "POST", "/v1/secrets/" + name,
                                           {"value": value})
        if status in (200, 201):
            with self.lock:
                self.durations.append(time.monotonic() - begun)
                self.acknowledged[name] = (answer["version"], value)
            if answer["version"] <= version:
                self.wrong.append((name, "written as", answer, "after", version))
        elif status == 503:
            with self.lock:
                self.refused += 1
                if answer["error"].get("phase") == "writing":
                    self.unknown.setdefault(name, set()).add(value)
        elif (status, version) != (409, 0) or name not in self.unknown:
            self.wrong.append((name, "write", status, answer))

    def _read(self, client, name):
        status, _, answer = client.request("GET", "/v1/secrets/" + name)
        if status == 503 or name not in self.acknowledged:
            return
        if status != 200 or not self.may_be(name, answer):
            self.wrong.append((name, "read", status, answer, "known", self.acknowledged[name]))

    def may_be(self, name, answer):
        """Whether that is what was acknowledged last, or a later change whose outcome is unknown."""
        version, value = self.acknowledged[name]
        return ((answer["version"], answer["value"]) == (version, value) or
                (answer["version"] > version and answer["value"] in self.unknown.get(name, ())))

    def taken(self):
        """Median and 99th percentile of the writes since the last call, in seconds."""
        with self.lock:
            taken, self.durations = sorted(self.durations), []
        return (taken[len(taken) // 2], taken[len(taken) * 99 // 100]) if taken else (0, 0)


def flip(path, offset, bit=0x10):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ bit]))


def used_bytes(path):
    with open(path, "rb") as file:
        return len(file.read().rstrip(b"\0"))


class DiskTest(unittest.TestCase):
    """One cluster for all tests of a class. Each leaves it healed and whole."""

    known = {}  # name: (version, value) that was acknowledged last

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(3).__enter__()

    @classmethod
    def tearDownClass(cls):
        reports = cls.cluster.sanitizer_reports()
        cls.cluster.close()
        assert not reports, reports

    def path(self, *names):
        return os.path.join(self.cluster.node_directory(HEALED), *names)

    def setUp(self):
        for name in self.set_aside():
            shutil.rmtree(self.path(name))

    def cut_turtle(self):
        path = self.path("data", "WiredTiger.turtle")
        os.truncate(path, os.path.getsize(path) // 3)

    def journal(self):
        data = self.path("data")
        return os.path.join(data, max(n for n in os.listdir(data)
                                      if n.startswith("WiredTigerLog.")))

    def set_aside(self):
        return sorted(n for n in os.listdir(self.path()) if n.startswith("data.damaged-"))

    def events(self, begun):
        """What the node has said of its store since then: [(event, line)]."""
        lines = self.cluster.log(HEALED)[begun:].splitlines()
        found = [(re.match(r"\S+ +\w+ +\S+ +store ([a-z_]+) ", line), line) for line in lines]
        return [(match.group(1), line) for match, line in found if match]

    def heal(self, damage, *expected, begun_by="kill9", quick=False):
        """Damages the store of the stopped node under load, starts it, and checks all that is promised.

        expected: the events with which it must say so, each in one line (patterns). Returns those lines.
        quick: for kinds of damage that are healed as another one, whose test kills another node at the end.
        """
        cluster = self.cluster
        with Load(cluster, [1, 2]) as load:
            wait_until(lambda: len(load.acknowledged) >= len(load.threads), 20, "some writes")
            getattr(cluster, begun_by)(HEALED)
            time.sleep(0.3)  # it misses something
            damage()
            begun = len(cluster.log(HEALED))
            cluster.start(HEALED)
            cluster.wait_ready([HEALED], timeout=120)
            wait_until(lambda: not self.handing_over(), 120, "everything handed over")
        self.assertEqual(load.wrong, [])
        self.known = {name: known for name, known in load.acknowledged.items()
                      if name not in load.unknown}
        self.assertGreater(len(self.known), 2)
        told = [(event, line) for event, line in self.events(begun)]
        self.assertRegex(" ".join(event for event, _ in told), "^%s$" % " ".join(expected), told)
        if not quick:
            self.wait_healed()
            self.check_with_the_healed_node()
        self.delete(load.acknowledged)
        return [line for _, line in told]

    def delete(self, names):
        """What is handed over, and the shares to be got back, take their time: the next test has its own."""
        client = self.cluster.client(2)
        for name in names:
            status, _, answer = client.request("DELETE", "/v1/secrets/" + name)
            self.assertEqual(status, 200, (name, answer))
        client.close()

    def handing_over(self):
        state = self.cluster.request(HEALED, "GET", "/v1/status")[2]["recovery"]["state"]
        return state not in ("parts", "none")

    def wait_healed(self):
        """Until it votes again and has every share of its own, though nobody reads anything."""
        self.cluster.wait_ready([HEALED])

        def states():
            return [self.cluster.request(n, "GET", "/v1/status")[2] for n in (1, 2, 3)]
        try:
            wait_until(lambda: all(map(is_whole, states())), 120, "whole", interval=0.1)
        except AssertionError as error:
            raise AssertionError("%s: %s" % (error, [
                (s["status"], s["recovery"], s["repair"]) for s in states()])) from None

    def check_with_the_healed_node(self):
        """Without n1, the healed node is needed for every answer."""
        cluster = self.cluster
        cluster.kill9(1)
        client = cluster.client(HEALED)
        try:
            for name, (version, value) in sorted(self.known.items()):
                status, _, answer = client.request("GET", "/v1/secrets/" + name)
                self.assertEqual((status, answer.get("version"), answer.get("value")),
                                 (200, version, value), (name, answer))
            name, (version, value) = sorted(self.known.items())[-1]
            for node in (HEALED, 2):
                status, _, answer = cluster.request(node, "PUT", "/v1/secrets/" + name,
                                                    {"value": value + "+"})
                self.assertEqual(status, 200, answer)
                version, value = answer["version"], value + "+"
            self.known[name] = (version, value)
        finally:
            client.close()
            cluster.start(1)
            cluster.wait_ready()


def is_whole(status):
    """This node votes, has everything of its own, and keeps nothing for others any more.

    What a read has staged is no measure of it: that is sent once, and lost if its owner is not ready just then.
    """
    repair = status["repair"]
    return (status["status"] == "ready" and status["recovery"]["state"] == "none" and
            repair["backlog"] == repair["lacking"] == 0)


def lose_storage_key(directory):
    """What docs/operations.md tells to do for a node whose storage key is lost."""
    def path(name):
        return os.path.join(directory, name)
    with open(path("storage.key"), "w") as file:
        file.write(os.urandom(32).hex() + "\n")
    for name in ("birth", "share.keys", "bucket.keys", "sequence"):
        os.remove(path(name))
    os.rename(path("data"), path("data.damaged-20200101T000000Z"))


class Stores(DiskTest):
    def test_directory_removed(self):
        line, = self.heal(lambda: shutil.rmtree(self.path("data")), "lost")
        self.assertIn("it is gone", line)

    def test_older_copy_put_back(self):
        copy = self.path("copy")

        def put_back():
            shutil.rmtree(self.path("data"))
            os.rename(copy, self.path("data"))
        self.cluster.stop(HEALED)
        subprocess.run(["cp", "-a", self.path("data"), copy], check=True)
        self.cluster.start(HEALED, wait=True)
        line, = self.heal(put_back, "behind", begun_by="stop")
        self.assertRegex(line, r"sequence \d+, and stood at \d+ before")

    def test_journal_cut_short(self):
        def cut():
            journal = self.journal()
            with open(journal, "r+b") as file:
                file.truncate(used_bytes(journal) // 2)
        line, = self.heal(cut, "behind")
        self.assertIn("sequence", line)

    def test_journal_flipped_in_the_middle(self):
        line, = self.heal(lambda: flip(self.journal(), used_bytes(self.journal()) // 2), "lost",
                          quick=True)
        self.assertIn("journal is damaged", line)

    def test_last_record_of_the_journal_flipped(self):
        """Whether it had been flushed, and so counted, is chance: the sequence file knows."""
        line, = self.heal(lambda: flip(self.journal(), used_bytes(self.journal()) - 40),
                          "(behind|journal_cut)", quick=True)
        self.assertIn("torn record", line)

    def test_table_damaged(self):
        def damage():
            path = self.path("data", "rows.wt")
            for offset in range(4096 + 100, os.path.getsize(path), 4096):
                flip(path, offset)
        before = set(self.set_aside())
        line, = self.heal(damage, "lost", begun_by="stop")
        aside = set(self.set_aside()) - before
        self.assertEqual(len(aside), 1)
        self.assertIn(self.path(aside.pop()), line)

    def test_table_truncated(self):
        path = self.path("data", "rows.wt")
        self.heal(lambda: os.truncate(path, os.path.getsize(path) // 2), "lost", begun_by="stop",
                  quick=True)

    def test_table_missing(self):
        self.heal(lambda: os.remove(self.path("data", "rows.wt")), "lost", quick=True)

    def test_turtle_damaged_and_only_two_are_kept(self):
        for name in ("data.damaged-20200101T000000Z", "data.damaged-20200102T000000Z"):
            os.mkdir(self.path(name))
        removed, _ = self.heal(self.cut_turtle, "damaged_files_removed", "lost", quick=True)
        self.assertIn("data.damaged-20200101T000000Z", removed)
        self.assertEqual(len(self.set_aside()), 2)

    def test_metadata_damaged(self):
        def damage():
            path = self.path("data", "WiredTiger.wt")
            for offset in range(4096 + 100, os.path.getsize(path), 4096):
                flip(path, offset)
        self.heal(damage, "lost", begun_by="stop", quick=True)

    def test_birth_record_and_sequence_file_lost(self):
        def damage():
            os.remove(self.path("birth"))
            os.truncate(self.path("sequence"), 100)
        lines = self.heal(damage, "birth_record_made_anew", "sequence_file_lost", quick=True)
        self.assertIn("missing", lines[0])
        self.assertIn("damaged", lines[1])

    def test_wrong_storage_key_changes_nothing(self):
        """However damaged the store is: with another key nothing is moved."""
        def start_with_the_wrong_key():
            self.cut_turtle()
            key = self.path("storage.key")
            shutil.copy(key, key + ".kept")
            with open(key, "w") as file:
                file.write("ab" * 32 + "\n")
            before, aside = sorted(os.listdir(self.path("data"))), self.set_aside()
            self.cluster.start(HEALED)
            self.assertEqual(self.cluster.wait_exit(HEALED, 20), 78)
            self.assertEqual(sorted(os.listdir(self.path("data"))), before)
            self.assertEqual(self.set_aside(), aside)
            self.assertIn("storage key is not the one", self.cluster.log(HEALED)[-1000:])
            os.replace(key + ".kept", key)
        self.heal(start_with_the_wrong_key, "lost", quick=True)


class Keys(DiskTest):
    """Boxes for the lost keys stay at the others until the shares in them have been recovered."""

    def test_share_keys_missing(self):
        line, = self.heal(lambda: os.remove(self.path("share.keys")), "share_keys_lost")
        self.assertIn("missing", line)

    def test_share_keys_damaged(self):
        line, = self.heal(lambda: flip(self.path("share.keys"), 50), "share_keys_lost", quick=True)
        self.assertIn("damaged", line)

    def test_bucket_keys_damaged(self):
        """What the node's own shares lie under: they are recovered, and it does not vote meanwhile."""
        begun = len(self.cluster.log(HEALED))
        self.heal(lambda: flip(self.path("bucket.keys"), 500), quick=True)
        said = self.cluster.log(HEALED)[begun:]
        self.assertEqual(said.count("server bucket_keys_lost reason="), 1)
        self.assertIn("shard_store new_incarnation", said)

    def test_storage_key_lost(self):
        """With a new one, and nothing of the old left, the node is one that lost its store."""
        self.heal(lambda: lose_storage_key(self.path()), "share_keys_lost", "lost", quick=True)


# Stands between a node and its disk: what it does is told by three numbers in a file that the test changes.
FAULTS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile uint32_t *faults; /* delay of syncs and reads in ms, syncs fail, reads fail */

__attribute__((constructor)) static void
begin(void)
{
    const char *path = getenv("TEST_FAULTS");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, 12, PROT_READ, MAP_SHARED, fd, 0);

    if (fd >= 0)
        close(fd);
    if (map == MAP_FAILED)
        _exit(99);
    faults = map;
}

static int
is_data(int fd)
{
    char link[64], target[4096];

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, target, sizeof(target) - 1);
    target[size > 0 ? size : 0] = 0;
    return strstr(target, "/data/") != NULL;
}

#define SYNC(name)                                                                                 \
    int name(int fd)                                                                               \
    {                                                                                              \
        int (*next)(int) = dlsym(RTLD_NEXT, #name);                                                \
        if (faults[0])                                                                             \
            usleep(faults[0] * 1000);                                                              \
        if (faults[1] && is_data(fd)) {                                                            \
            errno = EIO;                                                                           \
            return -1;                                                                             \
        }                                                                                          \
        return next(fd);                                                                           \
    }
SYNC(fsync)
SYNC(fdatasync)

#define READ(name)                                                                                 \
    ssize_t name(int fd, void *out, size_t size, off_t at)                                         \
    {                                                                                              \
        ssize_t (*next)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, #name);                     \
        if ((faults[0] || faults[2]) && is_data(fd)) {                                             \
            if (faults[0])                                                                         \
                usleep(faults[0] * 1000);                                                          \
            if (faults[2]) {                                                                       \
                errno = EIO;                                                                       \
                return -1;                                                                         \
            }                                                                                      \
        }                                                                                          \
        return next(fd, out, size, at);                                                            \
    }
READ(pread)
READ(pread64)
"""


# Its ciphertext has a row of its own, which nobody reads before it is asked for: a start looks through the path rows,
# and reads what lies beside them.
UNREAD = "x" * 2000


@unittest.skipIf(SLOW != 1, "a preloaded library and a sanitizer's do not go together")
class Devices(DiskTest):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="ostraka-test-faults-")
        source = os.path.join(cls.folder, "faults.c")
        cls.library = os.path.join(cls.folder, "faults.so")
        with open(source, "w") as file:
            file.write(FAULTS)
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", cls.library, source, "-ldl"], check=True)
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.folder)

    def faults(self, delay_ms=0, sync=0, read=0):
        with open(os.path.join(self.folder, "faults"), "r+b" if self.begun else "wb") as file:
            file.write(struct.pack("=III", delay_ms, sync, read))
        self.begun = True

    def start(self, wait=True):
        self.cluster.start(HEALED, wait=wait, environment={
            "LD_PRELOAD": self.library, "TEST_FAULTS": os.path.join(self.folder, "faults")})

    def setUp(self):
        super().setUp()
        self.begun = False
        self.faults()
        self.cluster.stop(HEALED)
        self.start()
        self.addCleanup(self.end)

    def end(self):
        self.faults()
        if self.cluster.running(HEALED):
            self.cluster.stop(HEALED)
        self.cluster.start(HEALED)
        self.cluster.wait_ready()

    def ends_with_a_marker(self):
        self.assertEqual(self.cluster.wait_exit(HEALED, 10), 70, self.cluster.log(HEALED)[-500:])
        self.assertTrue(os.path.exists(self.path("storage.failed")))

    def test_failing_sync_ends_the_node_at_once(self):
        begun = len(self.cluster.log(HEALED))
        with Load(self.cluster, [1, 2]) as load:
            time.sleep(0.5)
            self.faults(sync=1)
            self.ends_with_a_marker()
            self.faults()
            self.start()
            time.sleep(0.2)
        self.assertEqual((load.wrong, load.refused), ([], 0))
        self.assertEqual([event for event, _ in self.events(begun)], ["fatal", "verified_after_failure"])
        self.assertFalse(os.path.exists(self.path("storage.failed")))

    def test_failing_reads_end_the_node_and_are_no_damage(self):
        for i in range(200):
            status = self.cluster.request(1, "POST", "/v1/secrets/reads/%d" % i, {"value": UNREAD})[0]
            self.assertEqual(status, 201)
        self.cluster.stop(HEALED)
        self.start()
        begun = len(self.cluster.log(HEALED))
        self.faults(read=1)
        client = self.cluster.client(1)
        for i in range(200):
            status, _, answer = client.request("GET", "/v1/secrets/reads/%d" % i)
            self.assertEqual((status, answer.get("value")), (200, UNREAD))
            if not self.cluster.running(HEALED):
                break
        client.close()
        self.make_it_read("reads")
        self.ends_with_a_marker()
        # As long as it cannot be read, it does not start, and nothing is moved.
        self.start(wait=False)
        self.assertEqual(self.cluster.wait_exit(HEALED, 20), 1)
        self.assertIn("the disk gave an error", self.cluster.log(HEALED)[begun:])
        self.assertEqual(self.set_aside(), [])
        self.faults()
        self.start()
        self.assertEqual([event for event, _ in self.events(begun)], ["fatal", "verified_after_failure"])

    def test_slow_disk_does_not_slow_the_others(self):
        """A sync that takes 50 ms, a hundred times the usual, on one node of three.

        With three, a change waits for the second quickest of three disks; with one of them slow, for the slower
        of two. So the measure is what it takes while the third node is down: there nobody can wait for it.
        """
        usual, slow, down = [], [], []

        def measure(into):
            time.sleep(0.5)
            load.taken()
            time.sleep(2)
            into.append(load.taken())

        def bounds():
            """Pairs of what it took with a slow disk, and what it may take: median and 99 %."""
            # Whoever waits for the slow one takes 50 ms and more; a busy machine adds some now and then.
            return [(min(t[i] for t in slow), 2 * max(min(t[i] for t in usual), min(t[i] for t in down)) + slack)
                    for i, slack in ((0, 0.002), (1, 0.010))]
        with Load(self.cluster, [1, 2], names=4) as load:
            for round_ in range(6):
                if round_ >= 2 and all(took < allowed for took, allowed in bounds()):
                    break
                for delay_ms, into in ((0, usual), (50, slow)):
                    self.faults(delay_ms=delay_ms)
                    measure(into)
                self.cluster.kill9(HEALED)
                measure(down)
                self.faults()
                self.start()
        self.assertEqual((load.wrong, load.refused), ([], 0))
        print("median, 99 %% in ms: usual %s, one slow %s, one down %s" % tuple(
            ["%.1f %.1f" % (t[0] * 1000, t[1] * 1000) for t in of] for of in (usual, slow, down)))
        for took, allowed in bounds():
            self.assertLess(took, allowed, (usual, slow, down))

    def make_it_read(self, names):
        """The others ask who answers soonest, which it may never be: it is asked itself."""
        try:
            for i in range(200):
                self.cluster.request(HEALED, "GET", "/v1/secrets/%s/%d" % (names, i))
        except Failed:
            pass  # it has ended

    def test_damage_met_while_running_ends_the_node(self):
        """The storage engine panics; the next start finds that the table does not verify."""
        for i in range(200):
            self.cluster.request(1, "POST", "/v1/secrets/met/%d" % i, {"value": UNREAD})
        self.cluster.stop(HEALED)
        self.start()
        path = self.path("data", "rows.wt")
        for offset in range(4096 + 100, os.path.getsize(path), 4096):
            flip(path, offset)
        client = self.cluster.client(1)
        for i in range(200):
            status, _, answer = client.request("GET", "/v1/secrets/met/%d" % i)
            self.assertEqual((status, answer.get("value")), (200, UNREAD))
            if not self.cluster.running(HEALED):
                break
        client.close()
        self.make_it_read("met")
        self.ends_with_a_marker()
        begun = len(self.cluster.log(HEALED))
        self.start()
        self.wait_healed()
        self.assertEqual([event for event, _ in self.events(begun)], ["lost"])
        self.assertFalse(os.path.exists(self.path("storage.failed")))


class Alone(unittest.TestCase):
    """One node, one share: there is nobody to recover from, so nothing is thrown away or made anew."""

    def setUp(self):
        self.cluster = Cluster(1, 1).__enter__()
        self.addCleanup(self.cluster.close)
        self.node = self.cluster.node_directory(1)
        self.data = os.path.join(self.node, "data")
        self.write("first")

    def write(self, name):
        self.assertEqual(self.cluster.request(1, "POST", "/v1/secrets/" + name, {"value": name})[0], 201)

    def refused(self, *words):
        begun = len(self.cluster.log(1))
        self.cluster.start(1)
        self.assertEqual(self.cluster.wait_exit(1, 20), 78)
        said = self.cluster.log(1)[begun:]
        for word in words:
            self.assertIn(word, said)
        self.assertEqual([n for n in os.listdir(self.node) if "damaged" in n], [])

    def test_damaged_or_gone(self):
        self.cluster.stop(1)
        kept = self.data + ".kept"
        os.rename(self.data, kept)
        self.refused("it was lost", "no other node to recover from")
        shutil.rmtree(self.data)
        shutil.copytree(kept, self.data)
        os.truncate(os.path.join(self.data, "WiredTiger.turtle"), 100)
        self.refused("damaged", "no other node to recover from")
        shutil.rmtree(self.data)
        os.rename(kept, self.data)
        self.cluster.start(1, wait=True)
        self.assertEqual(self.cluster.request(1, "GET", "/v1/secrets/first")[0], 200)

    def test_without_bucket_keys(self):
        self.cluster.stop(1)
        keys = os.path.join(self.node, "bucket.keys")
        shutil.copy(keys, keys + ".copy")
        flip(keys, 500)
        with open(keys, "rb") as file:
            damaged = file.read()
        self.refused("bucket.keys", "no other node to recover from", "put a copy")
        with open(keys, "rb") as file:
            self.assertEqual(file.read(), damaged)
        os.remove(keys)
        self.refused("bucket.keys", "no other node to recover from", "put a copy")
        os.rename(keys + ".copy", keys)
        self.cluster.start(1, wait=True)
        self.assertEqual(self.cluster.request(1, "GET", "/v1/secrets/first")[0], 200)

    def test_without_share_keys(self):
        """Nothing acknowledged needs them: a new one is made, and no recovery is promised."""
        path = os.path.join(self.node, "share.keys")
        for number, harm in enumerate((lambda: flip(path, 50), lambda: os.remove(path))):
            names = ["second/%d/%d" % (number, i) for i in range(20)]
            for name in names:
                self.write(name)
            self.cluster.kill9(1)
            harm()
            begun = len(self.cluster.log(1))
            self.cluster.start(1, wait=True)
            said = self.cluster.log(1)[begun:]
            self.assertIn("share_keys_lost", said)
            self.assertIn("nothing that was acknowledged needs the old one", said)
            self.assertNotIn("recovered from the others", said)
            for name in ["first"] + names:
                status, _, answer = self.cluster.request(1, "GET", "/v1/secrets/" + name)
                self.assertEqual((status, answer.get("value")), (200, name))
            self.write("after/%d" % number)

    def test_older_copy_only_when_told(self):
        self.cluster.stop(1)
        copy = self.data + ".copy"
        shutil.copytree(self.data, copy)
        self.cluster.start(1, wait=True)
        self.write("second")
        self.cluster.stop(1)
        shutil.rmtree(self.data)
        os.rename(copy, self.data)
        self.refused("not as this node left it", "remove ")
        os.remove(os.path.join(self.node, "sequence"))
        self.cluster.start(1, wait=True)
        self.assertEqual(self.cluster.request(1, "GET", "/v1/secrets/first")[0], 200)
        self.assertEqual(self.cluster.request(1, "GET", "/v1/secrets/second")[0], 404)


class ShareKeys(unittest.TestCase):
    def test_older_file_without_anything_that_remembers(self):
        """The others know a newer key than the node: it makes a newer one still, at once."""
        cluster = Cluster(3).create()
        self.addCleanup(cluster.close)

        def path(name):
            return os.path.join(cluster.node_directory(HEALED), name)

        def key_id():
            return cluster.request(HEALED, "GET", "/v1/status")[2]["key_id"]
        shutil.copy(path("share.keys"), path("share.keys.kept"))
        cluster.set_server_option("share_key_rotation_s", 1)
        cluster.start_all()
        cluster.wait_ready()
        wait_until(lambda: key_id() >= 3, 20, "some rotations")
        newest = key_id()
        time.sleep(0.6)  # it says so in heartbeats, every 250 ms
        cluster.stop(HEALED)
        os.replace(path("share.keys.kept"), path("share.keys"))
        os.remove(path("sequence"))
        cluster.set_server_option("share_key_rotation_s", 3600)
        cluster.start(HEALED, wait=True)
        wait_until(lambda: key_id() > newest, 10, "a newer key")


class StorageKey(unittest.TestCase):
    """Half of the proofs of what n2 missed were made with the key that n3 has lost."""

    def test_lost_while_another_node_is_away(self):
        cluster = self.cluster = Cluster(3).create()
        self.addCleanup(cluster.close)
        cluster.start_all()
        cluster.wait_ready()
        values = {"kept/%d" % i: "value %d" % i for i in range(4)}
        for name in [*values, "gone"]:
            self.write("POST", name, values.get(name, "value"))
        cluster.stop(2)
        for i in range(2):
            values["kept/%d" % i] = values["missed/%d" % i] = "missed %d" % i
            self.write("PUT", "kept/%d" % i, values["kept/%d" % i])
            self.write("POST", "missed/%d" % i, values["missed/%d" % i])
        self.assertEqual(cluster.request(1, "DELETE", "/v1/secrets/gone")[0], 200)
        cluster.stop(3)
        lose_storage_key(cluster.node_directory(3))
        for node in (3, 2):
            cluster.start(node)
        cluster.wait_ready()
        wait_until(lambda: all(map(self.is_settled, cluster.nodes())), 60, "whole and in sync")
        self.check(values, cluster.nodes())
        for node in cluster.nodes():
            self.assertIn("\nostraka_proofs_refused_total 0\n", self.metrics(node), node)
        for away in cluster.nodes():
            cluster.stop(away)
            self.check(values, [n for n in cluster.nodes() if n != away])
            cluster.start(away, wait=True)

    def write(self, method, name, value):
        status, _, answer = self.cluster.request(1, method, "/v1/secrets/" + name, {"value": value})
        self.assertIn(status, (200, 201), answer)

    def metrics(self, node):
        return self.cluster.request(node, "GET", "/metrics")[2].decode()

    def is_settled(self, node):
        in_sync = re.findall(r"^ostraka_peer_in_sync\{.*\} (\d)$", self.metrics(node), flags=re.M)
        return is_whole(self.cluster.request(node, "GET", "/v1/status")[2]) and in_sync == ["1", "1"]

    def check(self, values, nodes):
        for node in nodes:
            for name, value in values.items():
                status, _, answer = self.cluster.request(node, "GET", "/v1/secrets/" + name)
                self.assertEqual((status, answer.get("value")), (200, value), (node, name, answer))
            self.assertEqual(self.cluster.request(node, "GET", "/v1/secrets/gone")[0], 404, node)


@unittest.skipIf(os.getuid() != 0, "needs to mount a file system")
class FullDisk(DiskTest):
    """The node's folder lies in a small file system of its own."""

    @classmethod
    def setUpClass(cls):
        cls.mount = tempfile.mkdtemp(prefix="ostraka-test-disk-")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=320m,mode=0700", "none", cls.mount],
                       check=True)
        try:
            cls.cluster = Cluster(3).create()
            shutil.copytree(cls.cluster.node_directory(HEALED), os.path.join(cls.mount, "node"))
            cls.cluster.edit_config(r'^(node "n%d" \{)' % HEALED,
                                    r'\1\n    directory = "%s/node"' % cls.mount)
            cls.cluster.start_all()
            cls.cluster.wait_ready()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()
        subprocess.run(["umount", "-l", cls.mount], check=True)
        os.rmdir(cls.mount)

    def path(self, *names):
        return os.path.join(self.mount, "node", *names)

    def fill(self, left_mb):
        """Takes all but so much of the room; what was taken before is given back first."""
        filler = os.path.join(self.mount, "filler")
        if os.path.exists(filler):
            os.remove(filler)
        more = shutil.disk_usage(self.mount).free - (left_mb << 20)
        if more > 0:
            with open(filler, "wb") as file:
                try:
                    os.posix_fallocate(file.fileno(), 0, more)
                except OSError:  # the node has taken some meanwhile
                    self.fill_to_the_last_byte(0)
        time.sleep(0.1)  # a node looks at its disk every 50 ms

    def fill_to_the_last_byte(self, seconds):
        """And takes what becomes free for that long."""
        with open(os.path.join(self.mount, "filler"), "ab", buffering=0) as file:
            until = time.monotonic() + seconds
            while True:
                for size in (1 << 20, 1 << 16, 1 << 12, 1):
                    try:
                        while file.write(bytes(size)) == size:
                            pass
                    except OSError:
                        pass
                if time.monotonic() >= until:
                    break
                time.sleep(0.005)

    def write(self, node, name):
        status, _, answer = self.cluster.request(node, "POST", "/v1/secrets/" + name, {"value": name})
        return status, answer

    def read(self, node, name):
        status, _, answer = self.cluster.request(node, "GET", "/v1/secrets/" + name)
        self.assertEqual((status, answer.get("value")), (200, name), answer)

    def test_full_disk(self):
        cluster = self.cluster
        self.assertEqual(self.write(HEALED, "before")[0], 201)
        self.fill(left_mb=30)
        self.assertEqual(self.write(HEALED, "others")[0], 201)  # by the others, which have room
        self.read(HEALED, "others")
        cluster.kill9(1)
        for node in (2, HEALED):
            # At first the link to the killed node may still count as there, and its silence as the reason.
            def refused(node=node):
                status, answer = self.write(node, "refused%d" % node)
                self.assertIn((status, answer["error"]["code"]), ((507, "disk_full"), (503, "no_quorum")))
                return status == 507
            wait_until(refused, 15, "n%d says that the disk is full" % node)
            quickest = 1000.0
            for _ in range(5):
                begun = time.monotonic()
                self.assertTrue(refused())
                quickest = min(quickest, time.monotonic() - begun)
            self.assertLess(quickest, 2 * SLOW, "early, not at the deadline")
            self.read(node, "before")
        self.fill(left_mb=0)  # nothing is left at all, the reserve is gone
        time.sleep(0.5)
        self.assertTrue(cluster.running(HEALED), cluster.log(HEALED)[-1500:])
        # What can no longer be recorded is not given out.
        status, _, answer = cluster.request(HEALED, "GET", "/v1/secrets/before")
        self.assertEqual((status, answer["error"]["code"]), (503, "audit_unavailable"))
        status, _, answer = cluster.request(HEALED, "GET", "/v1/health")
        self.assertEqual((status, answer["status"]), (503, "not_ready"))
        self.assertTrue(any("audit trail" in reason for reason in answer["reasons"]), answer)
        self.fill(left_mb=1000)
        for node in (2, HEALED):
            wait_until(lambda node=node: self.write(node, "after%d" % node)[0] in (201, 409), 15,
                       "n%d writes again" % node)
            self.read(node, "after%d" % node)
        cluster.start(1)
        cluster.wait_ready()

        # A node that starts while it is full says so, and changes nothing.
        cluster.kill9(HEALED)
        self.fill(left_mb=0)
        begun = len(cluster.log(HEALED))
        cluster.start(HEALED)
        self.assertEqual(cluster.wait_exit(HEALED, 20), 1)
        self.assertIn("too full", cluster.log(HEALED)[begun:])
        self.assertEqual(self.set_aside(), [])
        self.fill(left_mb=1000)
        cluster.start(HEALED, wait=True)
        self.assertEqual(self.events(begun), [])
        for name in ("before", "others", "after2", "after%d" % HEALED):
            self.read(HEALED, name)

    def test_filled_under_load(self):
        """At any moment, to the last byte, and held there: the node waits for room and goes on."""
        cluster, rng = self.cluster, random.Random()
        begun = len(cluster.log(HEALED))
        before = cluster.processes[HEALED].pid
        with Load(cluster, [1, 2], names=12, pause=0.001) as load:
            wait_until(lambda: len(load.acknowledged) >= 6, 20, "some writes")
            for _ in range(6):
                time.sleep(rng.random() / 2)
                self.fill_to_the_last_byte(rng.random())
                os.remove(os.path.join(self.mount, "filler"))
        self.assertEqual(load.wrong, [])
        self.assertTrue(cluster.running(HEALED), cluster.log(HEALED)[-1500:])
        self.assertEqual(cluster.processes[HEALED].pid, before)
        self.assertEqual(self.events(begun), [])
        wait_until(lambda: self.write(HEALED, "room%d" % rng.randrange(1 << 60))[0] == 201, 30,
                   "it writes again")
        for name in list(load.acknowledged):
            def known(name=name):
                status, _, answer = cluster.request(HEALED, "GET", "/v1/secrets/" + name)
                return status == 200 and load.may_be(name, answer)
            wait_until(known, 20, name)

    def test_no_room_for_a_new_store_changes_nothing(self):
        """A damaged store of a disk that has no room for another is left where it is."""
        cluster = self.cluster
        cluster.stop(HEALED)
        before = sorted(os.listdir(self.path("data")))
        self.cut_turtle()
        self.fill(left_mb=100)
        begun = len(cluster.log(HEALED))
        cluster.start(HEALED)
        self.assertEqual(cluster.wait_exit(HEALED, 20), 1)
        self.assertIn("no room", cluster.log(HEALED)[begun:])
        self.assertEqual(sorted(os.listdir(self.path("data"))), before)
        self.fill(left_mb=1000)
        cluster.start(HEALED)
        self.wait_healed()
        self.assertEqual(len(self.set_aside()), 1)


if __name__ == "__main__":
    unittest.main()
