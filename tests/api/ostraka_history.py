"""Records what clients asked of real nodes and what they were told, for ostraka-judge (docs/reliability.md).

    history = History(path)
    recorder = Recorder(history, cluster, number)
    recorder.create(1, "a/name")          # at node 1
"""

import calendar
import collections
import functools
import itertools
import json
import os
import subprocess
import threading
import time
import urllib.parse

from ostraka_cluster import Failed, Unreachable, binary

CHANGES = ("create", "update", "delete")


def judge_program():
    """Beside the program that is tested, or OSTRAKA_JUDGE."""
    return os.environ.get("OSTRAKA_JUDGE") or os.path.join(os.path.dirname(binary()),
                                                           "ostraka-judge")


@functools.lru_cache(maxsize=64)
def _second_ms(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S")) * 1000


def milliseconds(text):
    """Of "2026-11-22T03:12:31.123Z"; None of None."""
    return None if text is None else _second_ms(text[:19]) + int(text[20:23])


def timestamp(ms):
    return "%s.%03dZ" % (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)), ms % 1000)


# ---- values: the number of the write, and bytes that follow from it ----

def value_of(number, size):
    head = "w%d:" % number
    return head + (head * (size // len(head) + 1))[:max(0, size - len(head))]


def written_by(value):
    """The short form of a value, as it is recorded; a damaged one is recorded as what nobody wrote."""
    head, colon, _ = value.partition(":")
    whole = colon and head[1:].isdigit() and value == value_of(int(head[1:]), len(value))
    return head if whole else "damaged %r" % value[:80]


class History:
    """The file, and what is counted while it is written. For many threads."""

    def __init__(self, path):
        self.path = path
        self.lock = threading.Lock()
        self.file = open(path, "w")
        self.numbers = itertools.count(1)
        self.counts = collections.Counter()   # (kind, outcome or code)
        self.successes = []                   # (moment, node, client) of each change that succeeded
        self.waits = []                       # (from, to) of each change, as its client saw it
        self.paths = set()

    def number(self):
        return next(self.numbers)

    def write(self, record):
        line = json.dumps(record, separators=(",", ":")) + "\n"
        with self.lock:
            self.file.write(line)
            self.paths.add(record["path"])
            self.counts[record["kind"], record.get("code") or record["outcome"]] += 1

    def changed(self, record):
        """Of a change: how long its client waited, and whether it succeeded."""
        end = record["returned_ns"] / 1e9
        self.waits.append((record["called_ns"] / 1e9, end))
        if record["outcome"] == "ok":
            self.successes.append((end, record["node"], record["client"]))

    def close(self):
        self.file.close()

    def judge(self):
        """(exit status, what the judge says)."""
        self.file.flush()
        done = subprocess.run([judge_program(), self.path], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr


class Recorder:
    """A client, for one thread. Every operation returns (outcome, answer or None) and is in the history."""

    def __init__(self, history, cluster, number, timeout=8, on_away=lambda node: None):
        self.history, self.cluster, self.number = history, cluster, number
        self.timeout = timeout
        self.on_away = on_away   # called with a node that did not answer
        self.on_change = lambda node: None   # called with a node that is about to be asked for one
        self.clients = {}

    def close(self):
        for client in self.clients.values():
            client.close()

    def create(self, node, path, size=20):
        return self._write(node, "create", "POST", path, size, {}, {})

    def update(self, node, path, size=20, expected=None):
        fields = {} if expected is None else {"expected_version": expected}
        return self._write(node, "update", "PUT", path, size, fields, dict(fields))

    def read(self, node, path, version=None, at_ms=None):
        query, asked = "", {}
        if version is not None:
            query, asked = "?version=%d" % version, {"version_asked": version}
        elif at_ms is not None:
            query, asked = "?at=" + timestamp(at_ms), {"at_ms": at_ms}
        return self._ask(node, "read", "GET", "/v1/secrets/", path, query, None, asked)

    def past(self, node, path, limit=100):
        return self._ask(node, "history", "GET", "/v1/history/", path, "?limit=%d" % limit, None,
                         {"limit": limit})

    def delete(self, node, path, expected=None):
        query = "" if expected is None else "?expected_version=%d" % expected
        return self._ask(node, "delete", "DELETE", "/v1/secrets/", path, query, None,
                         {} if expected is None else {"expected_version": expected})

    def deletion(self, node, path):
        return self._ask(node, "deletion", "GET", "/v1/deletions/", path, "", None, {})

    # A batch is, for each of its secrets, an operation of its own: the judge takes each path by itself.

    def batch_create(self, node, paths, size=20):
        """All or none. Returns (outcome, answer, {path: value})."""
        records = [{"path": path, "kind": "create", "value": "w%d" % number, "op": number}
                   for path in paths for number in [self.history.number()]]
        items = [{"name": record["path"], "value": value_of(record["op"], size)} for record in records]
        outcome, answer = self._batch(node, {"create": items}, records, "already_exists")
        return outcome, answer, {item["name"]: item["value"] for item in items}

    def batch_read(self, node, paths):
        """All at one moment. Returns (outcome, answer)."""
        records = [{"path": path, "kind": "read", "op": self.history.number()} for path in paths]
        items = [{"name": path} for path in paths]
        return self._batch(node, {"read": items}, records, "not_found")

    def _batch(self, node, body, records, told):
        called = time.monotonic_ns()
        status, answer, outcome = 0, None, "timeout"
        if "create" in body:
            self.on_change(node)
        try:
            status, _, answer = self._client(node).request("POST", "/v1/batch", body)
        except Unreachable:
            outcome = "unreachable"
            self.on_away(node)
        except Failed:
            self.on_away(node)
        returned = time.monotonic_ns()
        for index, record in enumerate(records):
            record.update(client=self.number, node=node, called_ns=called, returned_ns=returned)
            if not status:
                record.update({"outcome": "timeout"} if outcome == "timeout" else
                              {"outcome": "refused", "code": outcome})
            elif status >= 400:
                self._note(record, status, self._of_member(answer, record["path"], told))
            else:
                self._note(record, status, answer["results"][index])
            self.history.write(record)
        return records[0]["outcome"] if status < 400 else "refused", answer

    @staticmethod
    def _of_member(answer, path, told):
        """What a refusal says of one secret: that it is there or not there, if it names it; else nothing."""
        error = dict(answer["error"])
        if error["code"] == told and path not in [one.get("name") for one in error.get("details", [])]:
            error["code"] = "batch_failed"
        return {"error": error}

    def _write(self, node, kind, method, path, size, body, asked):
        number = self.history.number()
        asked["value"] = "w%d" % number
        return self._ask(node, kind, method, "/v1/secrets/", path, "",
                         dict(body, value=value_of(number, size)), asked, number)

    def _client(self, node):
        if node not in self.clients:
            self.clients[node] = self.cluster.client(node, timeout=self.timeout)
        return self.clients[node]

    def _ask(self, node, kind, method, prefix, path, query, body, asked, number=None):
        record = {"client": self.number, "op": number or self.history.number(), "path": path,
                  "node": node, "kind": kind, "called_ns": time.monotonic_ns()}
        record.update(asked)
        answer = None
        if kind in CHANGES:
            self.on_change(node)
        try:
            status, _, answer = self._client(node).request(
                method, prefix + urllib.parse.quote(path) + query, body)
            record["returned_ns"] = time.monotonic_ns()
            self._note(record, status, answer)
        except Unreachable:
            record.update(outcome="refused", code="unreachable")
            self.on_away(node)
        except Failed:
            record["outcome"] = "timeout"
            self.on_away(node)
        record.setdefault("returned_ns", time.monotonic_ns())
        self.history.write(record)
        if kind in CHANGES:
            self.history.changed(record)
        return record["outcome"], answer

    @staticmethod
    def _note(record, status, answer):
        if status >= 400:
            error = answer["error"]
            unknown = error.get("retry") == "same_key" or status == 500
            record["outcome"] = "unknown" if unknown else "refused"
            record["code"] = error["code"]
        else:
            record["outcome"] = "ok"
            Recorder._note_answer(record, answer)

    @staticmethod
    def _note_answer(record, answer):
        kind = record["kind"]
        if kind == "history":
            record["rows"] = [[row["version"], milliseconds(row["valid_from"]),
                               milliseconds(row["valid_to"])] for row in answer["versions"]]
            record["has_next"] = answer.get("next") is not None
        elif kind == "read":
            record["value"] = written_by(answer["value"])
            record["valid_to_ms"] = milliseconds(answer["valid_to"])
        if kind in ("create", "update", "read"):
            record["version"] = answer["version"]
            record["valid_from_ms"] = milliseconds(answer["valid_from"])
