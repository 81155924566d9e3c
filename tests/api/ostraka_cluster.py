"""A cluster of real server processes on loopback, for the tests of this folder.

    with Cluster(3) as cluster:
        status, headers, body = cluster.request(1, "GET", "/v1/health")

Nodes are counted from 1, as their names n1..nN are. Only processes that the cluster started itself are
ever signalled. What the environment says:

    OSTRAKA_BINARY       the program (default: build/ostraka of the repository)
    OSTRAKA_TEST_SLOW    factor on all waiting times, for builds with sanitizers (default 1)
    OSTRAKA_TEST_KEEP    set to anything: keep the folders of the clusters
    OSTRAKA_TEST_PORTS   "1/3": the second of three parts of the ports, so that runs do not take each other's
"""

import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SLOW = float(os.environ.get("OSTRAKA_TEST_SLOW", "1"))
ADMIN = object()  # stands for the cluster's own token


def binary():
    return os.path.abspath(
        os.environ.get("OSTRAKA_BINARY") or os.path.join(REPOSITORY, "build", "ostraka"))


def clean_environment(**changes):
    """The environment without any OSTRAKA_ variable and stored login, so that the caller's own cluster is never met."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OSTRAKA_")}
    environment["XDG_CONFIG_HOME"] = "/nonexistent"
    environment.update(changes)
    return environment


def port_is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_base_port(count):
    """A base P so that P+1..P+count and P+101..P+100+count are free, below the ephemeral ports."""
    part, parts = map(int, os.environ.get("OSTRAKA_TEST_PORTS", "0/1").split("/"))
    width = 12000 // parts
    for _ in range(200):
        base = random.SystemRandom().randrange(20000 + part * width, 20000 + (part + 1) * width - 120, 10)
        ports = [base + i for i in range(1, count + 1)]
        ports += [base + 100 + i for i in range(1, count + 1)]
        if all(port_is_free(port) for port in ports):
            return base
    raise RuntimeError("no free range of ports")


WAIT_SECONDS_MIN = 20  # nothing is given up earlier: a machine may be busy with other things


def wait_until(condition, timeout, what, interval=0.05):
    """Waits for a true value and returns it; raises AssertionError with `what` after the timeout."""
    timeout = max(timeout, WAIT_SECONDS_MIN)
    end = time.monotonic() + timeout * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("not within %g s: %s" % (timeout * SLOW, what))
        time.sleep(interval)


class Failed(Exception):
    """The request got no answer; whether it took effect is unknown."""


class Unreachable(Failed):
    """There was no connection: the request never left."""


class Client:
    """A kept-alive connection to one node, for one thread."""

    def __init__(self, cluster, node, token=ADMIN, timeout=15):
        self.cluster, self.node, self.token = cluster, node, token
        self.timeout = timeout * SLOW
        self.connection = None

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def request(self, method, path, body=None, headers=None):
        """Returns (status, headers with lower-case names, parsed JSON or bytes). Raises Failed."""
        fields = {}
        token = self.cluster.token if self.token is ADMIN else self.token
        if token is not None:
            fields["Authorization"] = "Bearer " + token
        if body is not None:
            fields["Content-Type"] = "application/json"
        fields.update(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        try:
            return self._exchange(method, path, body, fields)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Failed("%s %s at n%d: %r" % (method, path, self.node, error)) from error

    def _exchange(self, method, path, body, fields):
        if not self.connection:
            try:
                self.connection = self.cluster.connection(self.node, self.timeout)
            except OSError as error:
                raise Unreachable("%s %s at n%d: %r" % (method, path, self.node, error)) from error
        # putrequest sends the path as it is, which tests of malformed paths need.
        self.connection.putrequest(method, path, skip_accept_encoding=True)
        if body is not None or method in ("POST", "PUT"):
            fields.setdefault("Content-Length", str(len(body or b"")))
        for name, value in fields.items():
            self.connection.putheader(name, value)
        self.connection.endheaders(body or None)
        response = self.connection.getresponse()
        content = response.read()
        answer_headers = {k.lower(): v for k, v in response.getheaders()}
        if response.will_close:
            self.close()
        if answer_headers.get("content-type", "").startswith("application/json"):
            return response.status, answer_headers, json.loads(content)
        return response.status, answer_headers, content


class Cluster:
    def __init__(self, n=3, k=None, directory=None, base_port=None, program=None, shares=None,
                 seal=None):
        self.seal = seal
        self.n, self.k, self.shares = n, k, shares or n
        self.program = program or binary()
        self.temporary = directory is None
        self.parent = tempfile.mkdtemp(prefix="ostraka-test-") if self.temporary else None
        self.directory = directory or os.path.join(self.parent, "cluster")
        self.base_port = base_port or free_base_port(n)
        self.processes = {}
        self.token = None
        self._tls = None

    # ---- making it ----

    def create(self):
        command = [self.program, "cluster", "create", "--nodes", str(self.n), "--base-port",
                   str(self.base_port), "--dir", self.directory]
        if self.shares != self.n:
            command += ["--shares", str(self.shares)]
        if self.k:
            command += ["--threshold", str(self.k)]
        if self.seal:
            command += ["--seal", self.seal]
        done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(),
                              timeout=60 * SLOW)
        if done.returncode:
            raise RuntimeError("cluster create: %s%s" % (done.stdout, done.stderr))
        with open(self.token_file()) as file:
            self.token = file.read().strip()
        self.set_server_option("slow_failed_logins", '"no"')  # all tests fail from one address
        return self

    def __enter__(self):
        try:
            self.create()
            self.start_all()
            self.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    # ---- where things are ----

    def name(self, node):
        return "n%d" % node

    def config(self):
        return os.path.join(self.directory, "cluster.conf")

    def ca_file(self):
        return os.path.join(self.directory, "ca", "ca.crt")

    def token_file(self):
        return os.path.join(self.directory, "admin.token")

    def node_directory(self, node):
        return os.path.join(self.directory, self.name(node))

    def log_path(self, node):
        return os.path.join(self.directory, self.name(node) + ".log")

    def log(self, node):
        with open(self.log_path(node), errors="replace") as file:
            return file.read()

    def api_port(self, node):
        return self.base_port + node

    def host(self, node):
        return "127.0.0.1"

    def address(self, node):
        return "https://%s:%d" % (self.host(node), self.api_port(node))

    def addresses(self, nodes=None):
        return ",".join(self.address(node) for node in nodes or range(1, self.n + 1))

    def nodes(self):
        return range(1, self.n + 1)

    def edit_config(self, pattern, replacement, config=None):
        """Replaces the first match in cluster.conf, which must be there."""
        path = config or self.config()
        with open(path) as file:
            text = file.read()
        changed, count = re.subn(pattern, replacement, text, count=1, flags=re.M)
        if not count:
            raise RuntimeError("cluster.conf has nothing like %r" % pattern)
        with open(path, "w") as file:
            file.write(changed)

    def set_server_option(self, name, value):
        """Sets an option of the `server { }` section, which need not be there yet. None: its default."""
        with open(self.config()) as file:
            text = file.read()
        text = re.sub(r"^\s*%s\s*=.*$" % name, "", text, flags=re.M)
        line = "%s = %s" % (name, value) if value is not None else ""
        if re.search(r"^\s*server\s*\{", text, flags=re.M):
            text = re.sub(r"^(\s*server\s*\{)", r"\1\n    " + line, text, count=1, flags=re.M)
        else:
            text += "\nserver {\n    %s\n}\n" % line
        with open(self.config(), "w") as file:
            file.write(text)

    # ---- processes ----

    def start(self, node, wait=False, config=None, environment=None):
        if self.running(node):
            raise RuntimeError("n%d runs already" % node)
        with open(self.log_path(node), "ab") as log:
            self.processes[node] = subprocess.Popen(
                [self.program, "server", "--config", config or self.config(), "--node",
                 self.name(node)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=clean_environment(**(environment or {})), start_new_session=True)
        if wait:
            self.wait_ready([node])

    def start_all(self):
        for node in self.nodes():
            if not self.running(node):
                self.start(node)

    def running(self, node):
        process = self.processes.get(node)
        return process is not None and process.poll() is None

    def wait_exit(self, node, timeout=10):
        """Exit status of a node that ends by itself or was told to; negative: a signal."""
        return self.processes[node].wait(max(timeout, WAIT_SECONDS_MIN) * SLOW)

    def stop(self, node, timeout=10):
        self.processes[node].send_signal(signal.SIGTERM)
        return self.wait_exit(node, timeout)

    def kill9(self, node):
        self.processes[node].kill()
        self.processes[node].wait(10 * SLOW)

    def pause(self, node):
        self.processes[node].send_signal(signal.SIGSTOP)

    def resume(self, node):
        self.processes[node].send_signal(signal.SIGCONT)

    def ready(self, node):
        try:
            status, _, body = self.request(node, "GET", "/v1/health", token=None, timeout=3)
        except Failed:
            return False
        return status == 200 and body

    def wait_ready(self, nodes=None, timeout=30):
        for node in nodes or self.nodes():
            def is_ready(node=node):
                if not self.running(node):
                    raise AssertionError("n%d ended with status %s:\n%s" % (
                        node, self.processes[node].returncode, self.log(node)[-2000:]))
                return self.ready(node)
            wait_until(is_ready, timeout, "n%d ready" % node, interval=0.1)

    def close(self):
        """Ends the processes that this cluster started, and removes its folder."""
        for node, process in self.processes.items():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(10 * SLOW)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self.temporary and not os.environ.get("OSTRAKA_TEST_KEEP"):
            shutil.rmtree(self.parent, ignore_errors=True)

    def sanitizer_reports(self):
        """Lines of the logs in which a sanitizer or an assertion speaks."""
        found = []
        for node in self.nodes():
            if os.path.exists(self.log_path(node)):
                found += ["n%d: %s" % (node, line) for line in self.log(node).splitlines()
                          if re.search(r"Sanitizer|runtime error:|Assertion .* failed", line)]
        return found

    # ---- requests ----

    def connection(self, node, timeout):
        """For Client."""
        made = http.client.HTTPSConnection(self.host(node), self.api_port(node), timeout=timeout,
                                           context=self.tls())
        made.connect()
        return made

    def tls(self):
        if self._tls is None:
            self._tls = ssl.create_default_context(cafile=self.ca_file())
            self._tls.minimum_version = ssl.TLSVersion.TLSv1_3
        return self._tls

    def client(self, node, token=ADMIN, timeout=15):
        return Client(self, node, token, timeout)

    def request(self, node, method, path, body=None, headers=None, token=ADMIN, timeout=15):
        """One request on a connection of its own; see Client.request."""
        client = self.client(node, token, timeout)
        try:
            return client.request(method, path, body, headers)
        finally:
            client.close()

    def raw(self, node, data, timeout=15, read_max=65536):
        """Sends bytes as they are through TLS and returns all that comes until the server closes."""
        received = b""
        with socket.create_connection(("127.0.0.1", self.api_port(node)), timeout * SLOW) as plain:
            with self.tls().wrap_socket(plain, server_hostname="127.0.0.1") as connection:
                connection.sendall(data)
                try:
                    while len(received) < read_max:
                        chunk = connection.recv(16384)
                        if not chunk:
                            break
                        received += chunk
                except (TimeoutError, ConnectionError, ssl.SSLError):
                    pass
        return received
