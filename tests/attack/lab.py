"""Three real nodes with a secret in them, and what must hold of them after every attack.

The secret is the canary: nobody who attacks may see it. Another text, SENT, is put by items into what must be
refused: it must come back in no answer and stand in no log.
"""

import base64
import json
import os
import re
import secrets
import socket
import ssl
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "api"))

from ostraka_cluster import SLOW, Cluster, Failed, clean_environment, wait_until  # noqa: E402,F401

CANARY_NAME = "canary/path"
KNOWN_NAME = "known/name"
KNOWN_VALUE = "an ordinary value"
SENT = "sent-" + secrets.token_hex(12)
ANSWER_SECONDS = 20  # for one attack; those that wait for a deadline of the server say so themselves


class Unmet(Exception):
    """What must happen did not."""


def must(condition, text, *values):
    if not condition:
        raise Unmet(text % values if values else text)


def forms(secret):
    """The bytes as they are, in hexadecimal, and in base64 at each alignment."""
    raw = secret.encode()
    found = {raw, raw.hex().encode(), raw.hex().upper().encode()}
    for shift in range(3):
        found.add(base64.b64encode(b"\0" * shift + raw)[4:-4])
    return found


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def code(self):
        """The error's code, or None."""
        try:
            return json.loads(self.body)["error"]["code"]
        except (ValueError, KeyError, TypeError):
            return None

    def __repr__(self):
        return "%d %s" % (self.status, self.code() or "")


def parse_answers(data, methods=()):
    """All answers of a connection; an answer to HEAD has no body, whatever its length says."""
    answers = []
    while data:
        head, mark, rest = data.partition(b"\r\n\r\n")
        must(mark, "half an answer: %r", data[:80])
        lines = head.decode("latin-1").split("\r\n")
        first = re.fullmatch(r"HTTP/1\.1 (\d{3}) [A-Za-z ]+", lines[0])
        must(first, "not an answer: %r", lines[0])
        status, headers = int(first.group(1)), {}
        for line in lines[1:]:
            name, mark, value = line.partition(": ")
            must(mark and name.lower() not in headers, "a bad header in an answer: %r", line)
            headers[name.lower()] = value
        if status == 100:
            data = rest
            continue
        method = methods[len(answers)] if len(answers) < len(methods) else "GET"
        must(re.fullmatch(r"\d+", headers.get("content-length", "")), "no length: %r", head)
        length = 0 if method == "HEAD" else int(headers["content-length"])
        must(len(rest) >= length, "a cut answer: %r", data[:80])
        answers.append(Answer(status, headers, rest[:length]))
        data = rest[length:]
    return answers


class Lab:
    """Everything an item may use."""

    def __init__(self):
        self.cluster = Cluster(3)
        self.canary = "canary-" + secrets.token_hex(12)
        self.node = 1  # which one the item attacks
        self.names = {CANARY_NAME, KNOWN_NAME}
        self.read_logs = {}
        self.clients = {}
        self.seen = []  # what came back during this item
        self.seen_lock = threading.Lock()
        self.tokens = {}   # by the name that stands for it, in <>, in what is sent
        self.hidden = [("the canary", self.canary), ("what was refused", SENT)]
        self.other = None  # the folder of another cluster, with another CA

    # ---- life ----

    def __enter__(self):
        try:
            self.cluster.create()
            self.add_token("TOKEN", self.cluster.token)
            self.cluster.set_server_option("log_level", '"debug"')
            self.cluster.start_all()
            self.cluster.wait_ready()
            self.clients = {node: self.cluster.client(node) for node in self.cluster.nodes()}
            for name, value in ((CANARY_NAME, self.canary), (KNOWN_NAME, KNOWN_VALUE)):
                status = self.clients[1].request("POST", "/v1/secrets/" + name, {"value": value})[0]
                must(status == 201, "%s was not created: %d", name, status)
            self.other = os.path.join(self.cluster.parent, "other")
            subprocess.run([self.cluster.program, "cluster", "create", "--nodes", "3",
                            "--base-port", "29000", "--dir", self.other], check=True,
                           stdout=subprocess.DEVNULL, env=clean_environment(), timeout=60 * SLOW)
            self.pids = {node: self.cluster.processes[node].pid for node in self.cluster.nodes()}
        except BaseException:
            self.cluster.close()
            raise
        return self

    def __exit__(self, *_):
        for client in self.clients.values():
            client.close()
        self.cluster.close()

    # ---- sending ----

    def add_token(self, name, token):
        """What stands for it in what is sent; it must come back nowhere."""
        self.tokens[name] = token
        self.hidden.append(("the token " + name, token))

    def fill(self, data):
        """Puts in the tokens."""
        for name, token in self.tokens.items():
            data = data.replace(b"<%s>" % name.encode(), token.encode())
        return data

    def note(self, data):
        with self.seen_lock:
            self.seen.append(data)
        return data

    def plain(self, port=None):
        return socket.create_connection(
            ("127.0.0.1", port or self.cluster.api_port(self.node)), ANSWER_SECONDS * SLOW)

    def link_port(self):
        return self.cluster.base_port + 100 + self.node

    def connect(self):
        return self.cluster.tls().wrap_socket(self.plain(), server_hostname="127.0.0.1")

    def read_to_end(self, connection, seconds=ANSWER_SECONDS):
        """All that comes until the server closes; a connection left open is a failure."""
        received, end = b"", time.monotonic() + seconds * SLOW
        while True:
            left = end - time.monotonic()
            must(left > 0, "the server left the connection open after %r", received[:300])
            connection.settimeout(left)
            try:
                chunk = connection.recv(65536)
            except TimeoutError:
                continue
            except (ConnectionError, ssl.SSLError):
                chunk = b""
            if not chunk:
                return self.note(received)
            received += chunk

    def send(self, data, pieces=()):
        """Sends bytes through TLS as they are, in one piece or several; all bytes that come back."""
        with self.connect() as connection:
            try:
                for piece in pieces or (data,):
                    connection.sendall(self.fill(piece))
            except (ConnectionError, ssl.SSLError):
                pass  # refused while it was still being sent
            return self.read_to_end(connection)

    def answers(self, data, methods=()):
        return parse_answers(self.send(data), methods)

    def request(self, method, path, body=None, headers=None, **options):
        """A well-formed request; (status, headers, body)."""
        got = self.cluster.request(self.node, method, path, body, headers, **options)
        self.note(repr(got).encode())
        return got

    # ---- what must hold ----

    def check_answer(self, answer):
        """What every answer has, whatever was asked."""
        must(re.fullmatch(r"[!-~]{1,64}", answer.headers.get("x-request-id", "")),
             "no request id: %r", answer.headers)
        must(answer.headers.get("cache-control") == "no-store", "caches may keep it: %r", answer.headers)
        for name in answer.headers:
            must(not name.startswith("access-control-") and name not in ("server", "set-cookie"),
                 "a header %s", name)
        if answer.status >= 400 and answer.body:
            error = json.loads(answer.body)["error"]
            must({"code", "message", "retry", "request_id"} <= set(error), "not an error: %r", error)

    def new_log(self, node):
        with open(self.cluster.log_path(node), "rb") as file:
            file.seek(self.read_logs.get(node, 0))
            data = file.read()
        whole = data.rfind(b"\n") + 1
        self.read_logs[node] = self.read_logs.get(node, 0) + whole
        return data[:whole]

    def check_silence(self):
        """Neither the answers nor the logs say what they must not."""
        with self.seen_lock:
            seen, self.seen = self.seen, []
        logs = {"the log of n%d" % node: self.new_log(node) for node in self.cluster.nodes()}
        for what, secret in self.hidden:
            for form in forms(secret):
                must(not any(form in data for data in seen), "%s in an answer", what)
                for where, log in logs.items():
                    must(form not in log, "%s in %s", what, where)
        for where, log in logs.items():
            for line in log.decode("utf-8", "replace").splitlines():
                must(not re.search(r"Sanitizer|runtime error:|Assertion .* failed", line), "%s: %s", where, line)

    def check_alive(self):
        for node, pid in self.pids.items():
            process = self.cluster.processes[node]
            must(process.pid == pid and process.poll() is None, "n%d ended: %s", node, process.returncode)

    def served(self, node, path):
        """What a node answers; on a busy machine nodes may lose sight of each other for a moment."""
        end = time.monotonic() + ANSWER_SECONDS * SLOW
        while True:
            try:
                status, _, got = self.clients[node].request("GET", path)
            except Failed as error:
                raise Unmet("n%d does not answer: %s" % (node, error)) from error
            if status == 200:
                return got
            must(status == 503 and time.monotonic() < end, "n%d answers %d to %s", node, status, path)
            time.sleep(0.1)

    def check_state(self):
        """All nodes serve, the canary is what it was, and nothing else is there than was before."""
        for node in self.clients:
            must(self.served(node, "/v1/health")["quorum"], "n%d has lost its peers", node)
            got = self.served(node, "/v1/secrets/" + CANARY_NAME)
            must(got["value"] == self.canary and got["version"] == 1, "n%d has another canary", node)
        got = self.served(self.node, "/v1/secrets?limit=1000")
        changed, self.names = set(got["names"]) ^ self.names, set(got["names"])
        must(not changed, "names came or went: %r", changed)
