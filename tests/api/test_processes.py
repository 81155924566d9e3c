"""Processes and machines: the supervisor, `ostraka dev`, and nodes that have addresses of their own.

The machines are network namespaces that hang on a bridge in one more namespace, so nothing of the host's
network is touched. They need root and are skipped without it.
"""

import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from ostraka_cluster import (SLOW, Cluster, binary, clean_environment, free_base_port,
                             port_is_free, wait_until)
from ostraka_network import Network, why_no_namespaces

NOT_FOUND, UNAVAILABLE, CONFIGURATION = 3, 6, 78  # exit statuses


def process_state(pid):
    """(state, parent) of a process, or None."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return fields[0], int(fields[1])


def children(parent):
    found = []
    for entry in os.listdir("/proc"):
        state = process_state(int(entry)) if entry.isdigit() else None
        if state and state[0] != "Z" and state[1] == parent:
            found.append(int(entry))
    return sorted(found)


def lives(pid):
    state = process_state(pid)
    return state is not None and state[0] != "Z"


class Supervisor(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(1).create()
        self.addCleanup(self.cluster.close)

    def start(self):
        cluster = self.cluster
        with open(cluster.log_path(1), "ab") as log:
            cluster.processes[1] = subprocess.Popen(
                [cluster.program, "server", "--config", cluster.config(), "--node", "n1",
                 "--supervise"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=clean_environment(), start_new_session=True)
        return cluster.processes[1].pid

    def child(self, supervisor, other_than=None):
        """The one child, as soon as there is one."""
        def new():
            found = children(supervisor)
            return found if found and found != [other_than] else None
        found = wait_until(new, 20, "a child of the supervisor", interval=0.02)
        self.assertEqual(len(found), 1)
        return found[0]

    def test_a_killed_child_is_started_again_later_each_time(self):
        supervisor = self.start()
        self.cluster.wait_ready()
        body = {"value": "kept"}
        self.assertEqual(self.cluster.request(1, "POST", "/v1/secrets/a", body)[0], 201)
        for delay in (1, 2, 4):
            old = self.child(supervisor)
            os.kill(old, signal.SIGKILL)
            begun = time.monotonic()
            self.child(supervisor, other_than=old)
            took = time.monotonic() - begun
            self.assertGreater(took, delay - 0.1)
            self.cluster.wait_ready()
            status, _, answer = self.cluster.request(1, "GET", "/v1/secrets/a")
            self.assertEqual((status, answer["value"]), (200, "kept"))
        log = self.cluster.log(1)
        self.assertEqual(re.findall(r"supervisor failed .*signal=9 restart_in_ms=(\d+)", log),
                         ["1000", "2000", "4000"])
        self.assertEqual(len(re.findall(r"supervisor restarted", log)), 3)
        self.assertEqual(self.cluster.stop(1), 0)
        self.assertEqual(children(supervisor), [])

    def test_sigterm_is_passed_on(self):
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        for number in numbers:
            supervisor = self.start()
            self.cluster.wait_ready()
            child = self.child(supervisor)
            os.kill(supervisor, number)
            self.assertEqual(self.cluster.wait_exit(1), 0, self.cluster.log(1)[-1000:])
            self.assertFalse(lives(child))
        self.assertEqual(len(re.findall(r"server stopped outcome=ok", self.cluster.log(1))),
                         len(numbers))

    def test_told_again_to_stop_it_does_not_take_longer(self):
        """A request that never comes whole is waited for, but only for four seconds from the first signal."""
        self.cluster.start(1)
        self.cluster.wait_ready()
        waits = self.cluster.connection(1, 20)
        self.addCleanup(waits.close)
        waits.sock.sendall(b"GET /v1/secrets/a HT")
        time.sleep(0.3)
        begun = time.monotonic()
        while time.monotonic() - begun < 3.8:
            self.cluster.processes[1].send_signal(signal.SIGTERM)
            time.sleep(0.1)
        self.assertEqual(self.cluster.wait_exit(1), 0)
        self.assertLess(time.monotonic() - begun, 3.8 + 2.4 * SLOW)

    def test_a_closed_terminal_stops_a_server_in_order_unless_it_is_to_be_ignored(self):
        self.cluster.start(1)
        self.cluster.wait_ready()
        os.kill(self.cluster.processes[1].pid, signal.SIGHUP)
        self.assertEqual(self.cluster.wait_exit(1), 0, self.cluster.log(1)[-1000:])
        self.assertIn("stopping signal=1\n", self.cluster.log(1))
        handler = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # inherited, as nohup's is
        try:
            for start in (lambda: self.cluster.start(1), self.start):
                begun = len(self.cluster.log(1))
                start()
                self.cluster.wait_ready()
                os.kill(self.cluster.processes[1].pid, signal.SIGHUP)
                self.assertEqual(self.cluster.stop(1), 0)
                self.assertIn("stopping signal=15\n", self.cluster.log(1)[begun:])
                self.assertNotIn("stopping signal=1\n", self.cluster.log(1)[begun:])
        finally:
            signal.signal(signal.SIGHUP, handler)

    def test_sigterm_while_it_waits_ends_it_at_once(self):
        """In less than the second that it would wait; on a busy machine not in the first attempt, perhaps."""
        took = []
        while not took or (min(took) >= 0.8 and len(took) < 5):
            supervisor = self.start()
            self.cluster.wait_ready()
            begun = len(self.cluster.log(1))
            os.kill(self.child(supervisor), signal.SIGKILL)
            wait_until(lambda: "restart_in_ms" in self.cluster.log(1)[begun:], 5, "a planned restart",
                       interval=0.02)
            begun = time.monotonic()
            self.assertEqual(self.cluster.stop(1), 0)
            took.append(time.monotonic() - begun)
            self.assertEqual(children(supervisor), [])
        self.assertLess(min(took), 0.8 * SLOW, took)

    def test_the_child_does_not_outlive_a_killed_supervisor(self):
        supervisor = self.start()
        self.cluster.wait_ready()
        child = self.child(supervisor)
        self.cluster.kill9(1)
        wait_until(lambda: not lives(child), 10, "the end of the child")
        self.assertIn("server stopped outcome=ok", self.cluster.log(1))

    def test_a_port_that_becomes_free_is_taken(self):
        with socket.socket() as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", self.cluster.api_port(1)))
            holder.listen()
            self.start()
            wait_until(lambda: "restart_in_ms" in self.cluster.log(1), 10, "a failed start")
        self.cluster.wait_ready()

    def test_what_no_restart_can_mend_ends_it(self):
        os.remove(os.path.join(self.cluster.node_directory(1), "node.crt"))
        self.start()
        self.assertEqual(self.cluster.wait_exit(1, 10), CONFIGURATION)
        self.assertIn("node.crt", self.cluster.log(1))
        self.assertNotIn("restart_in_ms", self.cluster.log(1))


class OnTerminal:
    """A program in the foreground of a terminal of its own."""

    def __init__(self, *arguments, **environment):
        self.output, self.status = b"", None
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            self.become(arguments, environment)
        wait_until(self.begun, 10, "the start of the program", interval=0.001)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def become(self, arguments, environment):
        """Whatever happens, the copy of this process does not go on."""
        try:
            for number in (signal.SIGINT, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            os.execve(binary(), [binary(), *arguments], clean_environment(**environment))
        finally:
            os._exit(127)

    def begun(self):
        return os.readlink("/proc/%d/exe" % self.pid) == os.path.realpath(binary())

    def read(self):
        while True:
            try:
                chunk = os.read(self.terminal, 65536)
            except OSError:
                return
            if not chunk:
                return
            self.output += chunk

    def text(self):
        return self.output.decode(errors="replace").replace("\r\n", "\n")

    def ended(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def wait_output(self, text, timeout=30):
        def there():
            if text not in self.text() and self.ended():
                raise AssertionError("it ended with %s:\n%s" % (self.status, self.text()))
            return text in self.text()
        wait_until(there, timeout, text)

    def press_control_c(self):
        os.write(self.terminal, b"\x03")

    def wait_end(self, timeout=10):
        wait_until(self.ended, timeout, "its end, after:\n" + self.text()[-1000:])
        return self.status

    def close(self):
        if not self.ended():
            os.kill(self.pid, signal.SIGTERM)
            try:
                self.wait_end(15)
            except AssertionError:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
        self.reader.join(5)
        os.close(self.terminal)


class Dev(unittest.TestCase):
    def setUp(self):
        # A folder whose name a shell would take apart.
        self.parent = tempfile.mkdtemp(prefix="ostraka test's ")
        self.addCleanup(shutil.rmtree, self.parent, ignore_errors=True)
        self.base_port = free_base_port(3)

    def start(self, *arguments):
        dev = OnTerminal("dev", "--base-port", str(self.base_port), *arguments,
                         TMPDIR=self.parent)
        self.addCleanup(dev.close)
        return dev

    def run_shell(self, dev, *lines):
        """The printed exports and then these lines, in a shell; $ostraka is the program."""
        exports = re.findall(r"(?m)^export .*$", dev.text())
        self.assertEqual(len(exports), 3)
        done = subprocess.run(["/bin/sh", "-ec", "\n".join([*exports, *lines])],
                              capture_output=True, text=True, timeout=30 * SLOW, cwd="/",
                              env=clean_environment(ostraka=binary()))
        self.assertEqual(done.returncode, 0, (lines, done.stdout, done.stderr))
        return done.stdout

    def check_gone(self, pids):
        self.assertEqual([pid for pid in pids if lives(pid)], [])
        for i in (1, 2, 3):
            self.assertTrue(port_is_free(self.base_port + i))
            self.assertTrue(port_is_free(self.base_port + 100 + i))

    def test_a_whole_cluster_until_control_c(self):
        dev = self.start()
        dev.wait_output("Ctrl-C ends it")
        nodes = children(dev.pid)
        self.assertEqual(len(nodes), 3)
        self.run_shell(dev, '"$ostraka" secret create dev/a "value of a"')
        self.assertEqual(self.run_shell(dev, '"$ostraka" secret get dev/a'), "value of a")
        # Every node takes connections; that each is ready may come a moment later.
        status = json.loads(self.run_shell(
            dev, 'for i in $(seq 100); do "$ostraka" status >/dev/null && break; sleep 0.2; done',
            '"$ostraka" status --json'))
        self.assertEqual([peer["node"] for peer in status["peers"]], ["n1", "n2", "n3"])

        # A node that dies comes back.
        os.kill(nodes[1], signal.SIGKILL)
        dev.wait_output("is started again")
        wait_until(lambda: len(children(dev.pid)) == 3, 10, "three nodes")
        self.assertEqual(self.run_shell(dev, '"$ostraka" secret get dev/a'), "value of a")

        # A client that is connected and silent does not hold it up.
        with socket.create_connection(("127.0.0.1", self.base_port + 1), 10):
            nodes = children(dev.pid)
            self.assertEqual(len(os.listdir(self.parent)), 1)
            dev.press_control_c()
            self.assertEqual(dev.wait_end(20), 0, dev.text()[-1000:])
        self.assertEqual(os.listdir(self.parent), [])
        self.check_gone(nodes)

    def test_a_folder_that_is_given_is_kept(self):
        folder = os.path.join(self.parent, "kept")
        for first in (True, False):
            dev = self.start("--dir", folder)
            dev.wait_output("Ctrl-C ends it")
            if first:
                self.run_shell(dev, '"$ostraka" secret create dev/kept v1')
            self.assertEqual(self.run_shell(dev, '"$ostraka" secret get dev/kept'), "v1")
            nodes = children(dev.pid)
            os.kill(dev.pid, signal.SIGINT if first else signal.SIGTERM)
            self.assertEqual(dev.wait_end(10), 0, dev.text()[-1000:])
            self.check_gone(nodes)
            self.assertEqual(os.listdir(self.parent), ["kept"])

    def test_an_interrupt_while_it_starts(self):
        for delay in (0.0, 0.02, 0.1, 0.3):
            dev = self.start()
            time.sleep(delay)
            nodes = children(dev.pid)
            dev.press_control_c()
            status = dev.wait_end(10)
            # Before it has begun to look after signals, it dies of them and has made nothing.
            self.assertIn(status, (0, -signal.SIGINT), dev.text()[-1000:])
            self.assertEqual(os.listdir(self.parent), [], "after %g s" % delay)
            self.check_gone(nodes)

    def test_a_port_in_use(self):
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", self.base_port + 2))
            holder.listen()
            dev = self.start()
            self.assertGreater(dev.wait_end(10), 0)
        self.assertIn(str(self.base_port + 2), dev.text())
        self.assertEqual(os.listdir(self.parent), [])

    def test_nodes_do_not_outlive_it(self):
        dev = self.start()
        dev.wait_output("Ctrl-C ends it")
        nodes = children(dev.pid)
        os.kill(dev.pid, signal.SIGKILL)
        dev.wait_end()
        wait_until(lambda: not any(lives(pid) for pid in nodes), 10, "the end of the nodes")


class Machines(unittest.TestCase):
    """Three machines, each with its own node's folder and nothing else of the cluster."""

    NAMES = ("berlin", "paris", "rome")
    ADDRESSES = {"berlin": "10.213.77.11", "paris": "10.213.77.12", "rome": "10.213.77.13"}
    PORTS = {"berlin": 7401, "paris": 8402, "rome": 7403}  # 7403: what is taken when none is given
    FOREIGN = "10.213.77.99"  # berlin has this address, but its certificate does not

    @classmethod
    def setUpClass(cls):
        missing = why_no_namespaces()
        if missing:
            raise unittest.SkipTest(missing)
        cls.network = Network(cls.NAMES)
        cls.addClassCleanup(cls.network.close)
        cls.parent = tempfile.mkdtemp(prefix="ostraka-test-")
        cls.addClassCleanup(shutil.rmtree, cls.parent, ignore_errors=True)
        cls.processes = {}
        cls.addClassCleanup(cls.end)
        cls.create()
        for name in cls.NAMES:
            cls.start(name)
        for name in cls.NAMES:
            cls.wait_ready(name)

    @classmethod
    def end(cls):
        for process in cls.processes.values():
            process.terminate()
        for process in cls.processes.values():
            try:
                process.wait(10 * SLOW)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @classmethod
    def create(cls):
        made = os.path.join(cls.parent, "made")
        command = [binary(), "cluster", "create", "--dir", made]
        for name in cls.NAMES:
            port = ":%d" % cls.PORTS[name] if name != "rome" else ""
            command += ["--node", "%s=%s%s" % (name, cls.ADDRESSES[name], port)]
        done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(),
                              timeout=60 * SLOW)
        if done.returncode:
            raise AssertionError(done.stderr)
        cls.said = done.stdout
        for name in cls.NAMES:
            shutil.move(os.path.join(made, name), os.path.join(cls.parent, "machine", name))
        cls.admin = os.path.join(cls.parent, "admin")
        os.mkdir(cls.admin)
        for file in ("admin.token", "ca/ca.crt"):
            shutil.copy(os.path.join(made, file), cls.admin)
        shutil.rmtree(made)
        cls.listen_everywhere("berlin")
        cls.network.run("berlin", "ip", "address", "add", cls.FOREIGN + "/24", "dev", "eth0")

    @classmethod
    def listen_everywhere(cls, name):
        """An option that may differ from node to node."""
        path = os.path.join(cls.folder(name), "cluster.conf")
        with open(path) as file:
            text = file.read()
        changed = re.sub(r'(node "%s" \{\n)' % name, r'\1    listen = "0.0.0.0"\n', text)
        assert changed != text
        with open(path, "w") as file:
            file.write(changed)

    @classmethod
    def folder(cls, name):
        return os.path.join(cls.parent, "machine", name)

    @classmethod
    def start(cls, name):
        with open(os.path.join(cls.parent, name + ".log"), "ab") as log:
            cls.processes[name] = subprocess.Popen(
                cls.network.command(name, binary(), "server", "--config",
                                    os.path.join(cls.folder(name), "cluster.conf"),
                                    "--node", name),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean_environment(),
                start_new_session=True)

    @classmethod
    def log(cls, name):
        with open(os.path.join(cls.parent, name + ".log"), errors="replace") as file:
            return file.read()

    @classmethod
    def url(cls, name):
        return "https://%s:%d" % (cls.ADDRESSES[name], cls.PORTS[name])

    @classmethod
    def ostraka(cls, address, *arguments):
        """The program on the administrator's machine; returns (status, output, errors)."""
        done = subprocess.run(
            cls.network.command(cls.network.ADMIN, binary(), *arguments), capture_output=True,
            text=True, timeout=60 * SLOW,
            env=clean_environment(OSTRAKA_ADDR=address,
                                  OSTRAKA_CACERT=os.path.join(cls.admin, "ca.crt"),
                                  OSTRAKA_TOKEN_FILE=os.path.join(cls.admin, "admin.token")))
        return done.returncode, done.stdout, done.stderr

    @classmethod
    def status(cls, name):
        """As the node sees it, or None."""
        _, output, _ = cls.ostraka(cls.url(name), "status", "--json")
        return json.loads(output) if output else None

    @classmethod
    def wait_ready(cls, name):
        def ready():
            if cls.processes[name].poll() is not None:
                raise AssertionError("%s ended: %s" % (name, cls.log(name)[-2000:]))
            return cls.ostraka(cls.url(name), "status")[0] == 0
        wait_until(ready, 30, name + " ready", interval=0.1)

    def links(self, name):
        return {peer["node"]: peer["link"] for peer in self.status(name)["peers"]}

    def backlog(self, name):
        return self.status(name)["repair"]["backlog"]

    def do(self, name, *arguments, expect=0):
        status, output, errors = self.ostraka(self.url(name), *arguments)
        self.assertEqual(status, expect, "%s at %s: %s%s" % (arguments, name, output, errors))
        return output

    def check(self, secret, value, names=NAMES):
        for name in names:
            self.assertEqual(self.do(name, "secret", "get", secret), value, "at " + name)

    def test_what_is_said_names_the_machines(self):
        for name in self.NAMES:
            self.assertIn("%s:%d" % (self.ADDRESSES[name], self.PORTS[name]), self.said)
            self.assertIn("--node " + name, self.said)
        self.assertIn("Copy each node's folder", self.said)
        self.assertEqual(sorted(os.listdir(os.path.join(self.parent, "machine"))),
                         sorted(self.NAMES))

    def test_create_and_read_through_each_address(self):
        for number, name in enumerate(self.NAMES):
            self.do(name, "secret", "create", "net/%d" % number, "by " + name)
            self.check("net/%d" % number, "by " + name)
        everywhere = ",".join(map(self.url, self.NAMES))
        self.assertEqual(self.ostraka(everywhere, "secret", "get", "net/2")[:2], (0, "by rome"))

    def test_the_name_in_the_certificate_counts(self):
        """The same server, at an address that its certificate does not have."""
        foreign = "https://%s:%d" % (self.FOREIGN, self.PORTS["berlin"])
        status, output, errors = self.ostraka(foreign, "status")
        self.assertEqual((status, output), (UNAVAILABLE, ""), errors)
        self.assertIn("certificate", errors)

    def test_one_machine_dies_and_comes_back(self):
        self.do("rome", "secret", "create", "net/dies", "v1")
        self.processes["rome"].kill()
        self.processes["rome"].wait()
        others = ("berlin", "paris")
        self.check("net/dies", "v1", others)
        self.do("paris", "secret", "update", "net/dies", "v2")
        self.do("berlin", "secret", "create", "net/meanwhile", "m")
        self.check("net/dies", "v2", others)
        for name in others:
            wait_until(lambda name=name: self.links(name)["rome"] == "disconnected", 10,
                       "rome shown as away at " + name)
        wait_until(lambda: self.backlog("berlin") > 0, 10, "a backlog for rome")
        # One address of several does not answer.
        everywhere = ",".join(map(self.url, ("rome", "berlin")))
        self.assertEqual(self.ostraka(everywhere, "secret", "get", "net/dies")[:2], (0, "v2"))
        self.start("rome")
        self.wait_ready("rome")
        self.check("net/dies", "v2")
        self.check("net/meanwhile", "m")
        self.wait_whole()

    def wait_whole(self):
        def whole():
            return all("disconnected" not in self.links(name).values() and
                       self.backlog(name) == 0 for name in self.NAMES)
        wait_until(whole, 30, "all links and nothing in the backlog")

    def test_one_link_is_cut(self):
        """paris and rome do not hear each other; everything goes on through all three."""
        self.do("paris", "secret", "create", "net/cut", "v1")
        self.network.cut("paris", self.ADDRESSES["rome"])
        try:
            begun = time.monotonic()
            self.check("net/cut", "v1")
            for version, name in enumerate(self.NAMES, 2):
                self.do(name, "secret", "update", "net/cut", "v%d" % version)
                self.do(name, "secret", "create", "net/cut/" + name, "by " + name)
                self.check("net/cut", "v%d" % version)
            self.assertLess(time.monotonic() - begun, 60 * SLOW)  # with a timeout each it would be more
            wait_until(lambda: self.links("paris")["rome"] == "disconnected" and
                       self.links("rome")["paris"] == "disconnected", 10, "the cut shown by both")
            self.assertEqual(self.links("berlin"), {"berlin": "self", "paris": "connected",
                                                    "rome": "connected"})
            for name in self.NAMES:
                status = self.status(name)
                self.assertEqual((status["status"], status["quorum"]), ("ready", True))
            # Both sides know it, and still everything works through each.
            for name in self.NAMES:
                self.check("net/cut/" + name, "by " + name)
                self.do(name, "secret", "update", "net/cut/" + name, "again by " + name)
                self.check("net/cut/" + name, "again by " + name)
            self.do("rome", "secret", "delete", "net/cut/rome")
            for name in self.NAMES:
                self.do(name, "secret", "get", "net/cut/rome", expect=NOT_FOUND)
        finally:
            self.network.mend("paris", self.ADDRESSES["rome"])
        self.wait_whole()
        self.check("net/cut", "v4")
        self.check("net/cut/paris", "again by paris")


if __name__ == "__main__":
    unittest.main()
