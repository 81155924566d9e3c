#!/usr/bin/python3
"""Real processes under real faults, recorded and judged.

usage: torture.py [--minutes M | --seconds S] [--nodes 3|5] [--shares 3|5] [--seed N]
                  [--rate OPERATIONS_A_SECOND] [--clients C] [--without FAULT,...] [--only FAULT,...] [--disk]
                  [--rotate S] [--keep DIR] [--list]

Every node is a process in a network namespace of its own. A schedule of faults is drawn from the seed, while
clients at all nodes create, update, read and delete and write down what they are told. In the end everything is
healed, every secret is read at every node, and ostraka-judge looks for an order of events that explains all
answers. Exit status: 0 it found one and all came back, 1 it did not, 2 usage, 3 undecided, 77 not permitted here.

    --disk    damage of one node's disk at a time, too
    --rotate  seconds after which each node replaces its share key (5)
    --list    the kinds of faults

The schedule is the same for the same seed, nodes, duration and faults; how the processes and the clients fall in
with it is not.
"""

import argparse
import bisect
import collections
import itertools
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

from ostraka_cluster import SLOW, Failed  # noqa: E402
from ostraka_history import History, Recorder, milliseconds  # noqa: E402
from ostraka_network import NetworkCluster, why_no_namespaces  # noqa: E402
import disk_damage  # noqa: E402
import wall_clock  # noqa: E402

EPOCH_SECONDS = 12   # then new names are used, so that no path's history grows without end
EPISODE_SECONDS = 60   # then other kinds of faults are left out
HOT, COLD = 3, 40    # names of an epoch
DURATIONS = ((0.05, 1), (1, 4), (5.5, 8))   # seconds of a fault; the last outlasts a request
PROBES = 4           # of the clients write unique names only
LOSSES = ("disk", "clock_hour", "clock_step_hour")   # after which a node may have to recover: everybody is whole before the next
CALM = 25            # seconds that the schedule waits for that
HOUR = 3600          # seconds that a clock may be wrong by: far beyond what nodes follow each other
SETTLING = 2         # seconds after which what was just restarted or mended should be in use again


def refusal(answer):
    """Code of an answer that is an error, or None."""
    return answer["error"]["code"] if answer and "error" in answer else None


def why_not_whole(status):
    """What a node by itself still lacks or owes, as it says, or None."""
    if not status or status["status"] != "ready":
        return "not ready"
    repair, recovery = status["repair"], status.get("recovery", {})
    if recovery.get("missing") or recovery.get("state", "none") != "none":
        return "recovery"
    if repair["backlog"] or repair.get("lacking"):
        return "shares"
    if any(peer["link"] not in ("self", "connected") for peer in status["peers"]):
        return "links"
    if status.get("anti_entropy", {}).get("backlog") or any(
            peer["link"] == "connected" and not peer.get("in_sync", True) for peer in status["peers"]):
        return "differences"
    return None


# ---- clients ----

class Worker(threading.Thread):
    """One operation after the other, mostly such as make sense for as far as the clients know."""

    def __init__(self, torture, number):
        super().__init__(daemon=True)
        self.torture, self.number = torture, number
        self.random = random.Random("%d client %d" % (torture.seed, number))
        self.recorder = Recorder(torture.history, torture.cluster, number, on_away=self.note_away)
        self.recorder.on_change = torture.trap.spring
        self.error = None

    def note_away(self, node):
        self.torture.away[node] = time.monotonic()

    def run(self):
        try:
            while not self.torture.stop.is_set():
                self.torture.go.wait(20)
                begun = time.monotonic()
                self.one()
                pause = self.random.expovariate(1) * self.torture.think
                time.sleep(max(0.0, pause - (time.monotonic() - begun)))
        except BaseException as error:  # shown in the end
            self.error = error
            raise
        finally:
            self.recorder.close()

    def pick_path(self):
        epoch = int((time.monotonic() - self.torture.begun) / EPOCH_SECONDS)
        ticket = self.random.random()
        if ticket < 0.1 and epoch > 0:
            epoch = self.random.randrange(epoch)
            return "cold/%d/%d" % (epoch, self.random.randrange(COLD))
        if ticket < 0.5:
            return "hot/%d/%d" % (epoch, self.random.randrange(HOT))
        return "cold/%d/%d" % (epoch, self.random.randrange(COLD))

    def pick_node(self):
        """Mostly one that was there when somebody last tried."""
        nodes = list(self.torture.cluster.nodes())
        now = time.monotonic()
        here = [node for node in nodes if self.torture.away.get(node, 0) < now - 0.5]
        return self.random.choice(here or nodes)

    def batch(self):
        """Some secrets together: those that all use, or such as nobody else does, which must be whole in the end."""
        node, count = self.pick_node(), self.random.randint(2, 6)
        ticket = self.random.random()
        if ticket < 0.4:
            self.recorder.batch_read(node, sorted({self.pick_path() for _ in range(count)}))
        elif ticket < 0.7:
            self.recorder.batch_create(node, sorted({self.pick_path() for _ in range(count)}))
        else:
            number = self.torture.history.number()
            _, _, values = self.recorder.batch_create(
                node, ["batch/%d/%d" % (number, i) for i in range(count)])
            self.torture.batches.append(values)

    def one(self):
        if self.random.random() < 0.06:
            self.batch()
            return
        path, node = self.pick_path(), self.pick_node()
        size = 20 if self.random.random() < 0.97 else self.random.randrange(20, 100000)
        known = self.torture.known.get(path)   # latest version heard of; None: nothing there
        ticket = self.random.random()
        if known is None and ticket < 0.6 or ticket < 0.03:
            outcome, answer = self.recorder.create(node, path, size)
        elif ticket < 0.30:
            outcome, answer = self.recorder.update(node, path, size)
        elif ticket < 0.38:
            outcome, answer = self.recorder.update(node, path, size, known or 1)
        elif ticket < 0.78:
            outcome, answer = self.recorder.read(node, path)
        elif ticket < 0.83:
            self.recorder.read(node, path, version=self.random.randint(1, (known or 1) + 1))
            return
        elif ticket < 0.86 and self.torture.times:
            at_ms = self.random.choice(self.torture.times) + self.random.randrange(-1, 2)
            self.recorder.read(node, path, at_ms=at_ms)
            return
        elif ticket < 0.92:
            self.recorder.past(node, path, self.random.choice((1, 3, 100)))
            return
        elif ticket < 0.97:
            outcome, answer = self.recorder.delete(
                node, path, known if self.random.random() < 0.3 else None)
            if outcome == "ok":
                self.torture.known.pop(path, None)
            return
        else:
            self.recorder.deletion(node, path)
            return
        self.learn(path, outcome, answer)

    def learn(self, path, outcome, answer):
        if outcome == "ok":
            self.torture.known[path] = answer["version"]
            self.torture.times.append(milliseconds(answer["valid_from"]))
        elif refusal(answer) == "not_found":
            self.torture.known.pop(path, None)
        elif refusal(answer) == "already_exists":
            self.torture.known.setdefault(path, 1)
        elif refusal(answer) != "version_mismatch":
            time.sleep(0.05)


class Probe(Worker):
    """Creates unique names at one node: how long does it not succeed?"""

    serial = 0

    def one(self):
        self.serial += 1
        node = self.number % self.torture.cluster.n + 1
        outcome, _ = self.recorder.create(node, "own/%d/%d" % (self.number, self.serial))
        if outcome != "ok":
            time.sleep(0.05)


class Trap:
    """Waits for the moment at which a client asks a node for a change."""

    def __init__(self):
        self.node, self.sprung = None, threading.Event()

    def spring(self, node):
        if node == self.node:
            self.sprung.set()

    def wait(self, node, timeout):
        """True when it has come."""
        self.sprung.clear()
        self.node = node
        came = self.sprung.wait(timeout)
        self.node = None
        return came


class Quiet:
    """Times in which something held."""

    def __init__(self):
        self.times, self.begun = [], None

    def note(self, moment, holds):
        if holds and self.begun is None:
            self.begun = moment
        elif not holds and self.begun is not None:
            self.times.append((self.begun, moment))
            self.begun = None

    def until(self, end):
        return self.times + ([] if self.begun is None else [(self.begun, end)])


class Asked:
    """When clients waited for a change."""

    def __init__(self, waits):
        waits = sorted(waits)
        self.calls = [call for call, _ in waits]
        # The latest return of all that were called up to then.
        self.ends = list(itertools.accumulate((end for _, end in waits), max))

    def since(self, moment):
        """The first moment from this one on in which some client waits."""
        at = bisect.bisect(self.calls, moment)
        if at > 0 and self.ends[at - 1] > moment:
            return moment
        return self.calls[at] if at < len(self.calls) else moment


# ---- faults: each begins, returns how it ends (or None: it cannot strike now), and is counted ----

class Faults:
    def __init__(self, torture):
        self.torture, self.cluster = torture, torture.cluster
        self.random = torture.random
        self.counts = collections.Counter()
        self.struck = set()       # nodes that are killed, paused or damaged now
        self.clocks = {}          # node -> seconds of its clock's offset
        self.active = []          # (end time, what, function)
        self.copies = disk_damage.Copies(self.cluster)
        self.wall_clocks = wall_clock.WallClocks(self.cluster.parent)
        self.slowed = set()       # pairs whose link is slow or stalled
        self.recovering = set()   # nodes that run, and may not vote yet, because they lost something
        self.disturbed = {}       # node or pair -> when something of it was last seen not to be whole
        self.quiet = {0: Quiet(), SETTLING: Quiet()}   # by the seconds that all has been whole before

    # -- helpers --

    def minority(self):
        return (self.cluster.n - 1) // 2

    def needed(self):
        """Nodes that must work together so that each secret has a majority of its replicas."""
        return self.cluster.n - (self.cluster.shares - 1) // 2

    def victim(self, at_most=None):
        """A node that nothing has struck, unless too many are struck already."""
        free = [node for node in self.cluster.nodes() if node not in self.struck]
        if len(self.struck) >= (self.minority() if at_most is None else at_most) or not free:
            return None
        return self.random.choice(free)

    def take(self, node):
        self.struck.add(node)

    def set_clock(self, node, offset):
        """From now on the node's wall clock is so many seconds wrong, whether it runs or not."""
        self.clocks[node] = offset
        self.wall_clocks.set(node, offset)

    def start(self, node):
        self.cluster.start(node, environment=self.wall_clocks.environment(node))
        self.struck.discard(node)

    def pair(self):
        return self.random.sample(list(self.cluster.nodes()), 2)

    # -- processes --

    def fault_kill(self):
        """kill -9 of a node, started again later"""
        node = self.victim()
        if node is None:
            return None
        self.take(node)
        self.cluster.kill9(node)
        return "n%d" % node, lambda: self.start(node)

    def fault_kill_any(self):
        """kill -9 of a node, whatever has struck the others already"""
        node = self.victim(self.cluster.n)
        if node is None:
            return None
        self.take(node)
        self.cluster.kill9(node)
        return "n%d" % node, lambda: self.start(node)

    def fault_kill_all(self):
        """kill -9 of all nodes at once"""
        if self.struck:
            return None
        for node in self.cluster.nodes():
            self.take(node)
            self.cluster.processes[node].kill()
        for node in self.cluster.nodes():
            self.cluster.processes[node].wait()

        def end():
            for node in self.cluster.nodes():
                self.start(node)
        return "all", end

    def fault_term(self):
        """a node is told to stop, and started again"""
        node = self.victim()
        if node is None:
            return None
        self.take(node)
        self.cluster.processes[node].terminate()

        def end():
            self.cluster.wait_exit(node)
            self.start(node)
        return "n%d" % node, end

    def at_change(self):
        """A node that works on a change at this very moment, if one comes in time."""
        node = self.victim()
        after = self.random.uniform(0, 0.003)
        if node is None or not self.torture.trap.wait(node, 0.3):
            return None
        end = time.monotonic() + after
        while time.monotonic() < end:   # a sleep would be too long
            pass
        return node

    def fault_kill_at_change(self):
        """kill -9 of a node that has just been asked for a change"""
        node = self.at_change()
        if node is None:
            return None
        self.take(node)
        self.cluster.kill9(node)
        return "n%d" % node, lambda: self.start(node)

    def fault_pause_at_change(self):
        """SIGSTOP of a node that has just been asked for a change"""
        return self.pause(self.at_change())

    def fault_pause(self):
        """SIGSTOP, and SIGCONT later"""
        return self.pause(self.victim())

    def pause(self, node):
        if node is None:
            return None
        self.take(node)
        self.cluster.pause(node)

        def end():
            self.cluster.resume(node)
            self.struck.discard(node)
        return "n%d" % node, end

    # -- network --

    def cut(self, what, cuts):
        cuts = [cut for cut in cuts if cut not in self.cluster.cuts]
        if not cuts:
            return None
        for a, b in cuts:
            self.cluster.cut(a, b)

        def end():
            for a, b in cuts:
                self.cluster.mend(a, b)
        return what, end

    def fault_cut(self):
        """a link is cut"""
        a, b = self.pair()
        return self.cut("n%d n%d" % (a, b), [(a, b), (b, a)])

    def fault_cut_one_way(self):
        """what one node sends to another vanishes; the other direction is whole"""
        a, b = self.pair()
        return self.cut("n%d to n%d" % (a, b), [(a, b)])

    def fault_isolate(self):
        """a node is cut from all others"""
        a = self.random.choice(list(self.cluster.nodes()))
        others = [b for b in self.cluster.nodes() if b != a]
        return self.cut("n%d" % a, [(a, b) for b in others] + [(b, a) for b in others])

    def fault_mute(self):
        """a node hears all others, and nobody hears it"""
        a = self.random.choice(list(self.cluster.nodes()))
        return self.cut("n%d" % a, [(a, b) for b in self.cluster.nodes() if b != a])

    def fault_deaf(self):
        """all others hear a node, and it hears nobody"""
        a = self.random.choice(list(self.cluster.nodes()))
        return self.cut("n%d" % a, [(b, a) for b in self.cluster.nodes() if b != a])

    def slow(self, there, back):
        a, b = self.random.choice(self.cluster.proxied)
        self.cluster.slow_link(a, b, there, back)
        self.slowed.add((a, b))

        def end():
            self.cluster.slow_link(a, b)
            self.slowed.discard((a, b))
        return "n%d n%d, %s there, %s back" % (a, b, there, back), end

    def fault_delay(self):
        """a link is slow, in each direction by an amount of its own"""
        return self.slow(*(int(self.random.choice((0, 5, 40, 250)) * self.random.uniform(0.5, 1.5))
                           for _ in range(2)))

    def fault_stall(self):
        """a link carries nothing in one direction, and all of it later"""
        return self.slow(*self.random.sample(("stall", 0), 2))

    # -- clocks --

    def fault_clock(self):
        """kill -9, and the node comes back with a clock that is seconds wrong"""
        node = self.victim()
        if node is None:
            return None
        offset = self.random.choice((-1, 1)) * self.random.choice((0.2, 1, 5, 30))
        self.take(node)
        self.cluster.kill9(node)
        self.set_clock(node, offset)
        return "n%d by %+g s" % (node, offset), lambda: self.start(node)

    def step(self, node, offset):
        before = self.clocks.get(node, 0)
        self.set_clock(node, offset)
        return "n%d to %+g s" % (node, offset), lambda: self.set_clock(node, before)

    def fault_clock_step(self):
        """the clock of a node that runs jumps by seconds, and back later"""
        node = self.victim(self.cluster.n)
        if node is None:
            return None
        return self.step(node, self.random.choice((-1, 1)) * self.random.choice((0.2, 1, 5, 30)))

    def fault_clock_step_hour(self):
        """the clock of a node that runs jumps by an hour, and back later"""
        node = self.victim(1)
        if node is None or not self.torture.disk_healed():
            return None
        self.lost(node)
        return self.step(node, self.random.choice((-HOUR, HOUR)))

    def fault_clock_hour(self):
        """kill -9, the node comes back with a clock that is an hour wrong, and later with the right time"""
        node = self.victim(1)
        if node is None or not self.torture.disk_healed():
            return None
        # It may make itself a new incarnation to get rid of what the clock made it promise: that is a lost store.
        self.lost(node)
        offset = self.random.choice((-HOUR, HOUR))
        self.cluster.kill9(node)
        before = self.clocks.get(node, 0)
        self.set_clock(node, offset)
        self.start(node)
        self.take(node)

        def end():
            self.cluster.kill9(node)
            self.set_clock(node, before)
            self.start(node)
        return "n%d by %+d s" % (node, offset), end

    def fault_clock_right(self):
        """kill -9, and the node comes back with the right time"""
        wrong = [node for node, offset in sorted(self.clocks.items())
                 if offset and node not in self.struck]
        if not wrong or len(self.struck) >= self.minority():
            return None
        node = self.random.choice(wrong)
        self.take(node)
        self.cluster.kill9(node)
        self.set_clock(node, 0)
        return "n%d" % node, lambda: self.start(node)

    # -- disks: one node at a time, and only while all others are whole --

    def fault_disk(self):
        """kill -9, and the node's disk is damaged before it starts again"""
        node = self.victim(1)
        if node is None or not self.torture.disk_healed():
            return None
        self.take(node)
        self.lost(node)
        self.cluster.kill9(node)
        what = self.copies.damage(node, self.random)
        self.counts["disk: " + what] += 1
        return "n%d: %s" % (node, what), lambda: self.start(node)

    def fault_disk_copy(self):
        """kill -9, and a copy of the disk is made, which may be put back later"""
        node = self.victim()
        if node is None:
            return None
        self.take(node)
        self.cluster.kill9(node)
        self.copies.take(node)
        return "n%d" % node, lambda: self.start(node)

    def lost(self, node):
        """What the node had promised or kept may be gone: no other may lose anything before it has recovered."""
        self.torture.damaged = node
        self.recovering.add(node)

    def watch_recovering(self):
        """In a thread of its own: takes those off that are as good as any other again."""
        while not self.torture.stop.is_set():
            for node in list(self.recovering - self.struck):
                status = self.torture.status(node)
                if status and status["status"] == "ready" and node not in self.struck:
                    if status.get("recovery", {}).get("state", "none") == "none":
                        self.recovering.discard(node)
            time.sleep(0.2)

    # -- when all should go well --

    def note_quiet(self):
        """Remembers the times in which enough nodes were up and none the worse, with whole and fast links."""
        now = time.monotonic()
        for what in self.struck | self.recovering | self.cluster.cuts | self.slowed:
            self.disturbed[what] = now
        for settling, quiet in self.quiet.items():
            bad = {what for what, moment in self.disturbed.items() if now - moment <= settling}
            free = [node for node in self.cluster.nodes() if node not in bad]
            quiet.note(now, any(not any((a, b) in bad for a in group for b in group)
                                for group in itertools.combinations(free, self.needed())))

    # -- the schedule --

    def strike(self, kind, seconds):
        begun = getattr(self, "fault_" + kind)()
        if begun is None:
            return
        what, end = begun
        self.counts[kind] += 1
        self.torture.say("%s %s, for %.2f s" % (kind, what, seconds))
        self.active.append((time.monotonic() + seconds, "%s %s" % (kind, what), end))

    def end_due(self, all_of_them=False):
        for fault in list(self.active):
            if all_of_them or fault[0] <= time.monotonic():
                self.active.remove(fault)
                self.torture.say("end of " + fault[1])
                fault[2]()

    def heal(self):
        """All at once, and clocks right."""
        self.end_due(all_of_them=True)
        self.cluster.mend_all()
        for node, offset in self.clocks.items():
            if offset:
                self.cluster.kill9(node)
                self.set_clock(node, 0)
                self.start(node)


WEIGHTS = {"kill": 3, "kill_any": 1, "kill_all": 1, "term": 1, "pause": 2,
           "kill_at_change": 6, "pause_at_change": 5, "cut": 3,
           "cut_one_way": 4, "isolate": 3, "mute": 2, "deaf": 2, "delay": 3, "stall": 3,
           "clock": 2, "clock_right": 1, "clock_hour": 1,
           "clock_step": 2, "clock_step_hour": 1}
DISK_WEIGHTS = {"disk": 3, "disk_copy": 2}


# ---- the run ----

class Torture:
    """What a run needs; `run` returns the exit status, and `lines` tell the story."""

    def __init__(self, nodes=3, seconds=60.0, seed=None, rate=150, weights=None,
                 clients=12, keep=None, quiet=False, shares=None, rotate=5):
        self.seed = random.SystemRandom().randrange(10 ** 9) if seed is None else seed
        self.random = random.Random("%d faults %d" % (self.seed, nodes))
        self.seconds, self.nodes, self.keep, self.quiet = seconds, nodes, keep, quiet
        self.shares, self.rotate = shares or nodes, rotate
        self.clients, self.think = clients, clients / rate
        self.weights = dict(WEIGHTS if weights is None else weights)
        self.damaged = None          # node that lost something last
        self.pauses = []             # (begin, end): the clients were told to wait
        self.batches = []            # {path: value} of each batch of names of its own
        self.known, self.times = {}, collections.deque(maxlen=50)
        self.trap = Trap()
        self.away = {}               # node -> when a client last found nobody there
        self.stop, self.go = threading.Event(), threading.Event()
        self.go.set()
        self.begun = time.monotonic()
        self.lines, self.errors = [], []

    def say(self, text):
        line = "%8.3f s  %s" % (time.monotonic() - self.begun, text)
        self.lines.append(line)
        if not self.quiet:
            print(line, flush=True)

    def run(self):
        n = self.nodes
        pairs = [(a, b) for a in range(1, n + 1) for b in range(a + 1, n + 1)]
        proxied = self.random.sample(pairs, len(pairs) // 3)
        self.say("seed %d, %d nodes, %d shares, %g s; proxied: %s" % (
            self.seed, n, self.shares, self.seconds, proxied))
        directory = self.keep or tempfile.mkdtemp(prefix="ostraka-torture-")
        os.makedirs(directory, exist_ok=True)
        status = 1
        try:
            self.history = History(os.path.join(directory, "history.jsonl"))
            self.cluster = NetworkCluster(n, None, proxied, self.shares)
            self.cluster.create()
            self.cluster.set_server_option("log_level", '"warn"')
            self.cluster.set_server_option("share_key_rotation_s", self.rotate)
            try:
                status = self.run_with(directory)
            finally:
                self.stop.set()
                self.save_logs(directory, status)
                self.cluster.close()
        finally:
            self.history.close()
            if status == 0 and not self.keep:
                shutil.rmtree(directory, ignore_errors=True)
            else:
                self.say("kept: %s" % directory)
        return status

    def save_logs(self, directory, status):
        for node in self.cluster.nodes():
            if (status or self.keep) and os.path.exists(self.cluster.log_path(node)):
                shutil.copy(self.cluster.log_path(node), directory)

    def run_with(self, directory):
        self.faults = Faults(self)
        for node in self.cluster.nodes():
            self.faults.start(node)
        self.cluster.wait_ready()
        self.begun = time.monotonic()
        self.workers = [(Probe if i < PROBES else Worker)(self, i + 1)
                        for i in range(self.clients)]
        for worker in self.workers:
            worker.start()
        watcher = threading.Thread(target=self.faults.watch_recovering, daemon=True)
        watcher.start()
        try:
            self.strike_for(self.seconds)
        finally:
            self.stop.set()
            self.ended = time.monotonic()
        self.say("healing")
        self.faults.heal()
        for worker in self.workers:
            worker.join(20 * SLOW)
            if worker.is_alive():
                self.errors.append("client %d hangs" % worker.number)
        self.wait_whole()
        self.read_everything()
        self.check_batches()
        return self.judge()

    def strike_for(self, seconds):
        end = time.monotonic() + seconds
        next_strike = time.monotonic() + 0.5
        next_kinds = 0
        self.due, self.calm_until = None, 0   # the kind that waits until all others have ended
        while time.monotonic() < end:
            time.sleep(0.02)
            self.faults.end_due()
            self.look_after_processes()
            self.faults.note_quiet()
            if time.monotonic() >= next_kinds:
                kinds, weights = self.draw_kinds()
                next_kinds = time.monotonic() + EPISODE_SECONDS
            if time.monotonic() >= next_strike and len(self.faults.active) < self.nodes:
                self.next_fault(self.due or self.random.choices(kinds, weights)[0])
                next_strike = time.monotonic() + self.random.expovariate(1 / 0.4)

    def draw_kinds(self):
        """For each minute some kinds do not strike at all, so that others have room."""
        silent = self.random.sample(sorted(self.weights), self.random.randint(0, len(self.weights) // 4))
        self.say("from now on without: %s" % (" ".join(silent) or "nothing"))
        return zip(*sorted((kind, weight) for kind, weight in self.weights.items() if kind not in silent))

    def next_fault(self, kind):
        if kind in LOSSES and self.damaged is not None:
            if self.due is None:
                self.due, self.calm_until = kind, time.monotonic() + CALM * SLOW
            if not self.disk_healed():
                self.due = self.due if time.monotonic() < self.calm_until else None
                return
        self.due = None
        self.faults.strike(kind, self.random.uniform(*self.random.choices(DURATIONS, (7, 3, 1))[0]))

    def look_after_processes(self):
        for node in self.cluster.nodes():
            if node not in self.faults.struck and not self.cluster.running(node):
                self.errors.append("n%d ended by itself with %s: %s" % (
                    node, self.cluster.processes[node].returncode,
                    self.cluster.log(node)[-1500:]))
                self.say(self.errors[-1])
                self.faults.start(node)

    # -- after the faults --

    def status(self, node):
        try:
            status, _, body = self.cluster.request(node, "GET", "/v1/status", timeout=3)
        except Failed:
            return None
        return body if status == 200 else None

    def whole(self, reasons=None, enough=()):
        """Everybody serves, hears everybody, owes nothing and lacks nothing.

        reasons: is told {"n1 shares": until when}; enough: what nodes may say and count as whole
        """
        found = ["n%d %s" % (node, why) for node in self.cluster.nodes()
                 for why in [why_not_whole(self.status(node))] if why and why not in enough]
        if reasons is not None:
            reasons.update((why, time.monotonic()) for why in found)
        return not found

    def disk_healed(self, timeout=10):
        """Another disk may be damaged when those before have recovered, shares too; the clients wait meanwhile.

        Nodes may still differ in changes that one of them missed: a majority has those.
        """
        if self.damaged is None:
            return True
        if self.faults.active:
            return False
        self.go.clear()
        begun = time.monotonic()
        try:
            end = time.monotonic() + timeout * SLOW
            while not self.whole(enough=("differences",)):
                if time.monotonic() > end:
                    return False
                time.sleep(0.1)
            self.faults.recovering.discard(self.damaged)
            self.damaged = None
            return True
        finally:
            self.go.set()
            self.pauses.append((begun, time.monotonic()))

    def wait_whole(self, timeout=60):
        begun, reasons = time.monotonic(), {}
        while not self.whole(reasons):
            self.look_after_processes()
            if time.monotonic() - begun > timeout * SLOW:
                self.errors.append("not whole %g s after everything was healed: %s" % (
                    timeout * SLOW, [self.status(node) for node in self.cluster.nodes()]))
                break
            time.sleep(0.1)
        self.say("whole %.1f s after everything was healed%s" % (time.monotonic() - begun, "".join(
            "; %s %.1f s" % (why, until - begun) for why, until in sorted(
                reasons.items(), key=lambda item: item[1])[-4:])))

    def read_everything(self):
        """Each secret at one node or another, hot ones at all, and each hot one takes one more change."""
        work = list(enumerate(sorted(self.history.paths)))
        self.random.shuffle(work)
        threads = [threading.Thread(target=self.read_some, args=(1000 + i, work[i::4]))
                   for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.say("read %d secrets" % len(work))

    def read_some(self, number, work):
        recorder = Recorder(self.history, self.cluster, number)
        for index, path in work:
            hot = path.startswith("hot/")
            nodes = self.cluster.nodes() if hot else [index % self.cluster.n + 1]
            for node in nodes:
                self.insist(lambda node=node: recorder.read(node, path), "read %s at n%d" % (
                    path, node))
            if hot:
                self.insist(lambda: recorder.past(1, path), "history of " + path)
                self.insist(lambda: recorder.update(2, path), "update of " + path)
                self.insist(lambda: recorder.read(3, path), "read %s at n3" % path)
        recorder.close()

    def check_batches(self):
        """Of each batch all is there or nothing, whatever its client was told; the judge compares with that."""
        client, whole = self.cluster.client(1), 0
        for values in self.batches:
            found = 0
            for path, value in values.items():
                status, answer = self.settled(client, path)
                found += status == 200 and answer["value"] == value
                if status not in (200, 404):
                    self.errors.append("%s answers %d %s" % (path, status, answer))
            whole += found == len(values)
            if found not in (0, len(values)):
                self.errors.append("%d of the batch %s are there" % (found, sorted(values)))
        client.close()
        self.say("%d batches of names of their own; %d happened" % (len(self.batches), whole))

    @staticmethod
    def settled(client, path):
        """The answer to a read, once it is no longer that there is none."""
        for _ in range(20):
            status, _, answer = client.request("GET", "/v1/secrets/" + path)
            if status in (200, 404):
                break
            time.sleep(0.2)
        return status, answer

    def insist(self, operation, what):
        for _ in range(20):
            outcome, answer = operation()
            if outcome == "ok" or refusal(answer) == "not_found":
                return
            time.sleep(0.2)
        self.errors.append("%s: %s %s" % (what, outcome, answer))

    # -- the verdict --

    def gaps(self):
        """For each node: the longest time in which no change at it succeeded, while it may have been away."""
        longest, last = {}, {}
        for moment, node, _ in sorted(self.history.successes):
            if moment > self.ended:
                break
            for key in (node, 0):
                longest[key] = max(longest.get(key, 0), moment - last.get(key, self.begun))
                last[key] = moment
        return longest

    def quiet_gap(self, settling):
        """The longest that clients waited for a change anywhere while enough nodes were up, for so long already.

        Returns (seconds, when it began, seconds of such times in all). A wait begins when a client asks: while
        none does, nobody waits.
        """
        moments = sorted(moment for moment, _, _ in self.history.successes)
        asked = Asked(self.history.waits)
        times = self.faults.quiet[settling].until(self.ended)
        longest = (0.0, 0.0)
        for begin, end in times:
            inside = moments[bisect.bisect(moments, begin):bisect.bisect_left(moments, end)]
            for a, b in zip([begin] + inside, inside + [end]):
                since = asked.since(a)
                paused = sum(max(0.0, min(b, to) - max(since, of)) for of, to in self.pauses)
                longest = max(longest, (b - since - paused, since - self.begun))
        return (*longest, sum(end - begin for begin, end in times))

    def judge(self):
        status, text = self.history.judge()
        for worker in self.workers:
            if worker.error:
                self.errors.append("client %d: %r" % (worker.number, worker.error))
        self.errors += self.cluster.sanitizer_reports()
        self.say("faults: %s" % ", ".join("%s %d" % item
                                          for item in sorted(self.faults.counts.items())))
        outcomes = collections.Counter()
        for (kind, outcome), count in self.history.counts.items():
            outcomes[outcome] += count
        self.say("operations: %d; %s" % (sum(outcomes.values()), ", ".join(
            "%s %d" % item for item in outcomes.most_common())))
        gaps = self.gaps()
        self.say("longest time without a change: %s" % ", ".join(
            "%s %.0f ms" % ("n%d" % node if node else "anywhere", gap * 1000)
            for node, gap in sorted(gaps.items())))
        for settling in sorted(self.faults.quiet):
            gap, at, quiet = self.quiet_gap(settling)
            self.say("anywhere, of %.0f s in which every secret had a majority with whole links%s: "
                     "%.0f ms (at %.1f s)" % (quiet, ", for %d s already" % settling if settling else "",
                                              gap * 1000, at))
        for line in text.splitlines():
            self.say("judge: " + line)
        for error in self.errors:
            self.say("ERROR: " + error)
        return status or (1 if self.errors else 0)


def parse(arguments):
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n\n")[0])
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--nodes", type=int, choices=(3, 5), default=3)
    parser.add_argument("--shares", type=int, choices=(3, 5))
    parser.add_argument("--seed", type=int)
    parser.add_argument("--rate", type=int, default=150)
    parser.add_argument("--rotate", type=int, default=5)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--without", default="")
    parser.add_argument("--only", default="")
    parser.add_argument("--disk", action="store_true")
    parser.add_argument("--keep")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args(arguments)
    weights = dict(WEIGHTS, **(DISK_WEIGHTS if options.disk else {}))
    named = [kind for kind in (options.without + "," + options.only).split(",") if kind]
    for kind in named:
        if kind not in weights:
            parser.error("there is no fault %s; see --list" % kind)
    if options.only:
        weights = {kind: weights[kind] for kind in options.only.split(",")}
    for kind in filter(None, options.without.split(",")):
        weights.pop(kind, None)
    options.weights = weights
    return options


def end_in_order(*_):
    sys.exit(1)


def main(arguments):
    options = parse(arguments)
    signal.signal(signal.SIGTERM, end_in_order)   # so that processes and namespaces go
    if options.list:
        for kind in [*WEIGHTS, *DISK_WEIGHTS]:
            print("%-12s %s" % (kind, getattr(Faults, "fault_" + kind).__doc__))
        return 0
    missing = why_no_namespaces()
    if missing:
        print("skipped: " + missing)
        return 77
    seconds = options.minutes * 60 if options.minutes else options.seconds
    return Torture(options.nodes, seconds, options.seed, options.rate, options.weights,
                   options.clients, options.keep, shares=options.shares,
                   rotate=options.rotate).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
