"""A cluster whose nodes have a network namespace, an address and a cluster.conf each, and a network that can be cut.

The namespaces hang on a bridge in one more namespace, so nothing of the host's network is touched. They need root.
"""

import contextlib
import ctypes
import os
import re
import secrets
import shutil
import subprocess
import sys

from ostraka_cluster import SLOW, Cluster, clean_environment

CLONE_NEWNET = 0x40000000
HERE = os.path.dirname(os.path.abspath(__file__))


def why_no_namespaces():
    """What is missing, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not shutil.which("ip"):
        return "network namespaces need iproute2"
    try:
        Network([]).close()
    except (OSError, subprocess.TimeoutExpired) as error:
        return "no network namespaces: %s" % error
    return None


def ip(*arguments):
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise OSError("ip %s: %s" % (" ".join(arguments), done.stderr.strip()))


class Network:
    """Namespaces on one switch: machine i has the address 10.213.77.1i; .100 is the administrator's."""

    ADMIN = "admin"

    def __init__(self, machines):
        self.prefix = "ostraka-%d-%s-" % (os.getpid(), secrets.token_hex(3))
        self.made = []
        try:
            self.add("switch")
            self.run("switch", "ip", "link", "add", "bridge", "type", "bridge")
            self.run("switch", "ip", "link", "set", "bridge", "up")
            for number, machine in enumerate([*machines, self.ADMIN]):
                self.attach(machine, number, 100 if machine == self.ADMIN else 11 + number)
        except BaseException:
            self.close()
            raise

    def namespace(self, machine):
        return self.prefix + machine

    def add(self, machine):
        ip("netns", "add", self.namespace(machine))
        self.made.append(machine)
        self.run(machine, "ip", "link", "set", "lo", "up")

    def attach(self, machine, number, address):
        self.add(machine)
        port = "port%d" % number
        ip("link", "add", "eth0", "netns", self.namespace(machine), "type", "veth",
           "peer", "name", port, "netns", self.namespace("switch"))
        self.run("switch", "ip", "link", "set", port, "master", "bridge", "up")
        self.run(machine, "ip", "address", "add", "10.213.77.%d/24" % address, "dev", "eth0")
        self.run(machine, "ip", "link", "set", "eth0", "up")

    def command(self, machine, *arguments):
        return ["ip", "netns", "exec", self.namespace(machine), *arguments]

    def run(self, machine, *arguments):
        done = subprocess.run(self.command(machine, *arguments), capture_output=True, text=True,
                              timeout=30)
        if done.returncode:
            raise OSError("%s: %s: %s" % (machine, " ".join(arguments), done.stderr.strip()))

    def cut(self, machine, address):
        """What this machine sends there vanishes, answers included."""
        self.run(machine, "ip", "route", "add", "blackhole", address + "/32")

    def mend(self, machine, address):
        self.run(machine, "ip", "route", "del", "blackhole", address + "/32")

    @contextlib.contextmanager
    def inside(self, machine):
        """This thread is on that machine: what sockets it opens stay there."""
        libc = ctypes.CDLL(None, use_errno=True)

        def enter(fd):
            if libc.setns(fd, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        with open("/proc/thread-self/ns/net") as home, \
                open("/run/netns/" + self.namespace(machine)) as there:
            enter(there.fileno())
            try:
                yield
            finally:
                enter(home.fileno())

    def close(self):
        for machine in reversed(self.made):
            subprocess.run(["ip", "netns", "delete", self.namespace(machine)],
                           capture_output=True, timeout=30)
        self.made = []


class NetworkCluster(Cluster):
    """Nodes n1..nN, each on a machine of its own; the clients are the administrator's.

    proxied   pairs (a, b), a < b, whose links go through a proxy that can delay and stall them
    """

    RELAY = "relay"

    def __init__(self, n=3, k=None, proxied=(), shares=None):
        super().__init__(n, k, base_port=7400, shares=shares)
        self.proxied = sorted(proxied)
        self.network = None
        self.proxy = None
        self.cuts = set()

    def create(self):
        self.network = Network([self.name(node) for node in self.nodes()])
        command = [self.program, "cluster", "create", "--dir", self.directory]
        for node in self.nodes():
            command += ["--node", "%s=%s:%d" % (self.name(node), self.host(node),
                                                self.api_port(node))]
        if self.shares != self.n:
            command += ["--shares", str(self.shares)]
        if self.k:
            command += ["--threshold", str(self.k)]
        done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(),
                              timeout=60 * SLOW)
        if done.returncode:
            raise RuntimeError("cluster create: %s%s" % (done.stdout, done.stderr))
        with open(self.token_file()) as file:
            self.token = file.read().strip()
        self.start_proxy()
        return self

    def close(self):
        super().close()
        if self.proxy:
            self.proxy.stdin.close()
            self.proxy.wait(10)
        if self.network:
            self.network.close()

    # ---- where things are ----

    def host(self, node):
        return "10.213.77.%d" % (10 + node)

    def link_port(self, node):
        return self.api_port(node) + 100

    def config(self, node=1):
        return os.path.join(self.node_directory(node), "cluster.conf")

    def set_server_option(self, name, value):
        for node in self.nodes():
            self.edit_config(r"^(\s*)%s\s*=\s*\S+" % name, r"\1%s = %s" % (name, value),
                             self.config(node))

    def connection(self, node, timeout):
        """A connection from the administrator's machine."""
        with self.network.inside(Network.ADMIN):
            return super().connection(node, timeout)

    def start(self, node, wait=False, config=None, environment=None):
        if self.running(node):
            raise RuntimeError("n%d runs already" % node)
        command = [self.program, "server", "--config", config or self.config(node), "--node",
                   self.name(node)]
        with open(self.log_path(node), "ab") as log:
            self.processes[node] = subprocess.Popen(
                self.network.command(self.name(node), *command), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=clean_environment(**(environment or {})),
                start_new_session=True)
        if wait:
            self.wait_ready([node])

    # ---- the network ----

    def pair_address(self, a, b):
        a, b = min(a, b), max(a, b)
        return "10.213.77.%d" % (100 + 10 * a + b)

    def start_proxy(self):
        if not self.proxied:
            return
        self.network.attach(self.RELAY, 99, 199)
        arguments = []
        for a, b in self.proxied:
            address = self.pair_address(a, b)
            self.network.run(self.RELAY, "ip", "address", "add", address + "/24", "dev", "eth0")
            arguments.append("%d-%d=%s:%d=%s:%d" % (a, b, address, self.link_port(b),
                                                    self.host(b), self.link_port(b)))
            # The node with the lower number connects: to the proxy, as its own copy says.
            self.edit_config(r'(node "%s" \{\s*host = )"[^"]*"' % self.name(b),
                             r'\1"%s"' % address, self.config(a))
        self.proxy = subprocess.Popen(
            self.network.command(self.RELAY, sys.executable, os.path.join(HERE, "link_proxy.py"),
                                 *arguments),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        if self.proxy.stdout.readline() != "ready\n":
            raise RuntimeError("the proxy of the links did not start")

    def slow_link(self, a, b, there=0, back=0):
        """Milliseconds, or "stall", from a to b and back; only a pair that is proxied."""
        if a > b:
            a, b, there, back = b, a, back, there
        self.proxy.stdin.write("%d-%d there %s back %s\n" % (a, b, there, back))
        self.proxy.stdin.flush()

    def far_address(self, a, b):
        """Where a's packets for b go."""
        pair = (min(a, b), max(a, b))
        return self.pair_address(a, b) if pair in self.proxied else self.host(b)

    def cut(self, a, b):
        """What a sends to b vanishes. The other direction is another cut."""
        if (a, b) not in self.cuts:
            self.network.cut(self.name(a), self.far_address(a, b))
            self.cuts.add((a, b))

    def mend(self, a, b):
        if (a, b) in self.cuts:
            self.network.mend(self.name(a), self.far_address(a, b))
            self.cuts.discard((a, b))

    def mend_all(self):
        for a, b in list(self.cuts):
            self.mend(a, b)
        for a, b in self.proxied:
            self.slow_link(a, b)
