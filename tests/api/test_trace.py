"""What a cluster says about itself: logs in which a request can be followed, metrics, and the status."""

import datetime
import json
import re
import subprocess
import time
import unittest

from ostraka_cluster import SLOW, Cluster, clean_environment, wait_until

LOGFMT = re.compile(r'^(?P<time>\S+) (?P<level>debug|info|warn|error) (?P<node>n\d) '
                    r'(?P<actor>[a-z_]+) (?P<event>[a-z_]+)'
                    r'(?P<fields>( [a-z_]+=("([^"\\]|\\.)*"|[^" ]*))*)$')
SAMPLE = re.compile(r'^(?P<name>[a-z_]+)(\{(?P<labels>[^{}]*)\})? (?P<value>[0-9.]+)$')
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")


def parse_logfmt(line):
    match = LOGFMT.match(line)
    if not match:
        raise ValueError("not a line of the log: %r" % line)
    fields = re.findall(r' ([a-z_]+)=("(?:[^"\\]|\\.)*"|[^" ]*)', match["fields"])
    return {**{key: match[key] for key in ("time", "level", "node", "actor", "event")},
            **{name: value.strip('"') for name, value in fields}}


def lines_of(cluster, node, parse):
    """The whole lines of a node's log; the last may be in the making."""
    return [parse(line) for line in cluster.log(node).split("\n")[:-1]]


class Metrics:
    """One scrape: values by name and labels, as they stand in the text."""

    def __init__(self, text):
        self.text, self.values, self.types = text, {}, {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                self.types[name] = kind
            elif not line.startswith("#"):
                self.add(line)

    def add(self, line):
        match = SAMPLE.match(line)
        if not match:
            raise ValueError("not a sample: %r" % line)
        key = (match["name"].removeprefix("ostraka_"), match["labels"] or "")
        if key in self.values:
            raise ValueError("twice: %r" % line)
        self.values[key] = float(match["value"])

    def get(self, name, **labels):
        text = ",".join('%s="%s"' % label for label in labels.items())
        return self.values.get((name, text), 0)

    def labelled(self, name):
        return {labels: value for (one, labels), value in self.values.items() if one == name}


class TraceTest(unittest.TestCase):
    """A cluster of three for all tests of a class."""

    options = {"log_level": '"debug"'}

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(3).create()
        cls.addClassCleanup(cls.cluster.close)
        for name, value in cls.options.items():
            cls.cluster.set_server_option(name, value)
        cls.cluster.start_all()
        cls.cluster.wait_ready()
        for node in cls.cluster.nodes():  # ready is who hears a majority; here all are needed
            wait_until(lambda node=node: cls.acquainted(node), 10, "all links up")

    @classmethod
    def acquainted(cls, node):
        """Connected to all, and each has said which incarnation it is."""
        status, _, answer = cls.cluster.request(node, "GET", "/v1/status")
        return status == 200 and all(peer["link"] in ("self", "connected") and peer["incarnation"]
                                     for peer in answer["peers"])

    def tearDown(self):
        self.assertEqual(self.cluster.sanitizer_reports(), [])

    def call(self, node, method, path, body=None, expect=None, **options):
        status, headers, answer = self.cluster.request(node, method, path, body, **options)
        if expect is not None:
            self.assertEqual(status, expect, (method, path, answer))
        return headers, answer

    def scrape(self, node):
        return Metrics(self.call(node, "GET", "/metrics", None, 200)[1].decode())

    def status(self, node):
        return self.call(node, "GET", "/v1/status", None, 200)[1]

    def status_by_cli(self, node, *options):
        cluster = self.cluster
        done = subprocess.run([cluster.program, "status", *options], capture_output=True,
                              text=True, timeout=30 * SLOW,
                              env=clean_environment(OSTRAKA_ADDR=cluster.address(node),
                                                    OSTRAKA_CACERT=cluster.ca_file(),
                                                    OSTRAKA_TOKEN_FILE=cluster.token_file()))
        self.assertIn(done.returncode, (0, 6), done.stderr)
        return done.stdout

    # -- one request through the logs --

    def events(self, request_id):
        """By node: the (actor, event) pairs of one request, and all their lines."""
        lines = {node: [line for line in lines_of(self.cluster, node, self.parse)
                        if line.get("request_id") == request_id] for node in self.cluster.nodes()}
        return {node: [(line["actor"], line["event"]) for line in found]
                for node, found in lines.items()}, lines

    def follow(self, gateway, method, path, body, status, expected):
        """Makes a request and waits until each node's log has what is expected of it."""
        given = "trace-%s-%d" % (method.lower(), time.time_ns())
        headers, _ = self.call(gateway, method, path, body, status,
                               headers={"X-Request-Id": given})
        self.assertEqual(headers["x-request-id"], given)

        def there():
            found = self.events(given)[0]
            return all(set(expected["all"]) <= set(found[node]) for node in found) and \
                set(expected["gateway"]) <= set(found[gateway])
        try:
            wait_until(there, 5, "the events of " + given)
        except AssertionError as error:
            raise AssertionError("%s\n%s" % (error, self.events(given)[0])) from None
        found, lines = self.events(given)
        for node in found:
            if node != gateway:
                self.assertFalse(set(expected["gateway"]) & set(found[node]), found)
        return found, lines

    def follow_operations(self, gateway):
        path = "/v1/secrets/trace/of-n%d" % gateway
        votes = [("shard_store", "voted"), ("shard_store", "accepted")]
        change = {"all": votes, "gateway": [("coordinator", "chosen"), ("gateway", "request")]}
        made = {"all": votes[1:], "gateway": change["gateway"]}
        _, lines = self.follow(gateway, "POST", path, {"value": "v1"}, 201, made)
        request = [line for line in lines[gateway] if line["event"] == "request"]
        self.assertEqual(len(request), 1)
        self.assertEqual((request[0]["operation"], int(request[0]["status"]),
                          request[0]["outcome"]), ("create", 201, "ok"))
        self.assertLess(int(request[0]["duration_us"]), 60e6 * SLOW)
        found, _ = self.follow(gateway, "PUT", path, {"value": "v2"}, 200, change)
        for node in found:
            self.assertLess(found[node].index(votes[0]), found[node].index(votes[1]))
        found, _ = self.follow(gateway, "GET", path, None, 200,
                               {"all": [], "gateway": [("gateway", "request")]})
        self.assertNotIn(("shard_store", "voted"), found[gateway])
        self.follow(gateway, "DELETE", path, None, 200,
                    {"all": [*votes, ("shard_store", "erased")], "gateway": change["gateway"]})
        found, lines = self.follow(gateway, "GET", path, None, 404,
                                   {"all": [], "gateway": [("gateway", "request")]})
        self.assertEqual(lines[gateway][-1]["outcome"], "not_found")

    def check_lines(self):
        for node in self.cluster.nodes():
            before = ""
            for line in lines_of(self.cluster, node, self.parse):
                self.assertRegex(line["time"], TIME)
                self.assertGreaterEqual(line["time"], before)
                self.assertEqual(line["node"], "n%d" % node)
                self.assertIn(line["level"], ("debug", "info", "warn", "error"))
                self.assertTrue(line["actor"] and line["event"])
                before = line["time"]


class Logfmt(TraceTest):
    parse = staticmethod(parse_logfmt)

    def test_a_request_is_followed_through_all_nodes(self):
        for gateway in self.cluster.nodes():
            self.follow_operations(gateway)

    def test_what_no_route_sees_is_logged_too(self):
        """Refused before it was a request: it has an id, and that stands in the log."""
        for headers, status, outcome in (({"X-Long": "x" * 40000}, 431, "headers_too_large"),
                                         ({"Content-Length": "99999999"}, 413, "too_large")):
            answer, _ = self.call(1, "GET", "/v1/health", None, status, headers=headers)
            found, lines = self.events(answer["x-request-id"])
            self.assertEqual(found[1], [("https", "refused")])
            self.assertEqual((lines[1][0]["status"], lines[1][0]["outcome"]),
                             (str(status), outcome))

    def test_every_line_has_the_form(self):
        self.call(1, "POST", "/v1/secrets/trace/form", {"value": "x"}, 201)
        self.check_lines()

    def test_ids_that_would_need_quotes(self):
        for given in ('quote"inside', "back\\slash", "a=b", "{}", "[1]"):
            self.call(2, "GET", "/v1/secrets/trace/none", None, 404,
                      headers={"X-Request-Id": given})
        self.check_lines()


class Default(TraceTest):
    """Without a level set."""

    options = {}
    parse = staticmethod(parse_logfmt)

    def test_a_request_that_succeeds_leaves_no_line(self):
        self.call(1, "POST", "/v1/secrets/trace/quiet", {"value": "v"}, 201,
                  headers={"X-Request-Id": "quiet"})
        self.call(1, "GET", "/v1/secrets/trace/none", None, 404,
                  headers={"X-Request-Id": "quiet"})
        self.cluster.stop(2)
        self.cluster.stop(3)
        self.call(1, "GET", "/v1/secrets/trace/quiet", None, 503,
                  headers={"X-Request-Id": "loud"})
        wait_until(lambda: ("gateway", "request") in self.events("loud")[0][1], 5, "a line of it")
        self.assertEqual(self.events("quiet")[0], {1: [], 2: [], 3: []})


class Json(TraceTest):
    options = {"log_format": '"json"', "log_level": '"debug"'}
    parse = staticmethod(json.loads)

    def test_every_line_is_one_object(self):
        for given in ('quote"inside', "back\\slash", "plain"):
            self.call(1, "GET", "/v1/secrets/trace/none", None, 404,
                      headers={"X-Request-Id": given})
            lines = self.events(given)[1][1]
            self.assertEqual(lines[-1]["event"], "request", given)
        self.cluster.stop(3)
        self.cluster.start(3, wait=True)
        for node in self.cluster.nodes():
            for line in lines_of(self.cluster, node, self.strict):
                self.assertIsInstance(line, dict)
                for value in line.values():
                    self.assertIsInstance(value, (str, int))
        self.check_lines()

    @staticmethod
    def strict(line):
        def unique(pairs):
            names = [name for name, _ in pairs]
            if len(names) != len(set(names)):
                raise ValueError("a member twice: %s" % line)
            return dict(pairs)
        return json.loads(line, object_pairs_hook=unique)

    def test_a_request_is_followed_through_all_nodes(self):
        self.follow_operations(2)


class Numbers(TraceTest):
    """Counters, before and after known requests."""

    def test_the_form(self):
        metrics = self.scrape(1)
        described = set(re.findall(r"(?m)^# HELP (ostraka_\w+) \S", metrics.text))
        self.assertEqual(described, set(metrics.types))
        for name, labels in metrics.values:
            family = "ostraka_" + name
            if family not in metrics.types:
                family = re.sub(r"_(bucket|sum|count)$", "", family)
                self.assertEqual(metrics.types[family], "histogram")
            self.assertEqual(metrics.types[family] == "counter", name.endswith("_total"), name)
        for name, kind in metrics.types.items():
            if kind == "histogram":
                self.check_histogram(metrics, name.removeprefix("ostraka_"))

    def check_histogram(self, metrics, name):
        """Buckets only rise, and the last is the count."""
        series = {}
        for labels, value in metrics.labelled(name + "_bucket").items():
            rest, bound = re.fullmatch(r'(.*?),?le="([^"]+)"', labels).groups()
            series.setdefault(rest, []).append((float(bound), value))
        self.assertTrue(series)
        for rest, buckets in series.items():
            self.assertEqual(buckets, sorted(buckets))
            values = [value for _, value in buckets]
            self.assertEqual(values, sorted(values))
            self.assertEqual(buckets[-1], (float("inf"), metrics.values[(name + "_count", rest)]))

    def make_requests(self, node):
        """Known requests: what each adds, by route and status, and by cause."""
        path = "/v1/secrets/numbers/n%d" % node
        known = [("POST", path, {"value": "v1"}, 201, "create", None),
                 ("POST", path, {"value": "v1"}, 409, "create", "already_exists"),
                 ("PUT", path, {"value": "v2"}, 200, "update", None),
                 ("PUT", path, {"value": "v3", "expected_version": 9}, 409, "update",
                  "version_mismatch"),
                 ("PUT", path, b"{", 400, "update", "bad_json"),
                 ("GET", path, None, 200, "read", None),
                 ("GET", path + "?version=1", None, 200, "read", None),
                 ("GET", path + "/none", None, 404, "read", "not_found"),
                 ("GET", path + "?no=1", None, 400, "read", "bad_parameter"),
                 ("GET", path + "//", None, 400, "read", "bad_name"),
                 ("GET", path.replace("secrets", "history"), None, 200, "history", None),
                 ("DELETE", path, None, 200, "delete", None),
                 ("GET", path.replace("secrets", "deletions"), None, 200, "deletion", None),
                 ("GET", "/v1/health", None, 200, "health", None),
                 ("GET", "/v1/status", None, 200, "status", None),
                 ("PATCH", path, None, 405, "none", "method_not_allowed"),
                 ("GET", "/none", None, 404, "none", "no_such_resource")]
        routes, causes = {}, {}
        for method, target, body, status, route, cause in known:
            self.call(node, method, target, body, status)
            routes[(route, status)] = routes.get((route, status), 0) + 1
            if cause:
                causes[cause] = causes.get(cause, 0) + 1
        self.call(node, "GET", path, None, 401, token="wrong")
        routes[("read", 401)], causes["unauthenticated"] = 1, 1
        self.call(node, "GET", "/v1/health", None, 413, headers={"Content-Length": "99999999"})
        routes[("none", 413)], causes["too_large"] = 1, 1
        routes[("metrics", 200)] = 1  # the scrape before
        return routes, causes

    def test_requests_by_route_status_and_cause(self):
        for node in self.cluster.nodes():
            before = self.scrape(node)
            routes, causes = self.make_requests(node)
            after = self.scrape(node)
            moved = {labels: value - before.labelled("requests_total").get(labels, 0)
                     for labels, value in after.labelled("requests_total").items()}
            self.assertEqual({labels: value for labels, value in moved.items() if value},
                             {'route="%s",status="%d"' % key: value
                              for key, value in routes.items()})
            moved = {labels: value - before.labelled("request_errors_total").get(labels, 0)
                     for labels, value in after.labelled("request_errors_total").items()}
            self.assertEqual({labels: value for labels, value in moved.items() if value},
                             {'cause="%s"' % cause: value for cause, value in causes.items()})
            self.check_durations(before, after, routes)

    def check_durations(self, before, after, routes):
        """As many times as requests, but for those that were refused before they were requests."""
        name = "request_duration_seconds_count"
        for route in ("create", "update", "read", "history", "delete", "deletion", "health",
                      "status", "metrics"):
            count = sum(value for (one, _), value in routes.items() if one == route)
            self.assertEqual(after.get(name, route=route) - before.get(name, route=route), count,
                             route)
        name = "request_duration_seconds_sum"
        self.assertGreater(after.get(name, route="create"), before.get(name, route="create"))

    def moved(self, before, name):
        return {node: self.scrape(node).get(name) - before[node].get(name)
                for node in self.cluster.nodes()}

    def test_changes_move_the_counters_of_the_protocol(self):
        before = {node: self.scrape(node) for node in self.cluster.nodes()}
        for i in range(10):
            path = "/v1/secrets/numbers/change/%d" % i
            self.call(1, "POST", path, {"value": "x"}, 201)
            self.call(1, "PUT", path, {"value": "y"}, 200)
        wait_until(lambda: all(value >= 20 for value in
                               self.moved(before, "writes_accepted_total").values()), 10,
                   "all writes accepted by all nodes")
        for name, least in (("offers_made_total", 10), ("votes_sent_total", 20),
                            ("writes_sent_total", 40)):
            moved = self.moved(before, name)
            self.assertGreaterEqual(moved[1], least, name)
            self.assertEqual((moved[2], moved[3]), (0, 0), name)
        self.assertEqual(self.moved(before, "changes_chosen_total"), {1: 20, 2: 0, 3: 0})
        for name in ("votes_granted_total", "store_commits_total", "store_flushes_total",
                     "store_commit_duration_seconds_count", "store_commit_duration_seconds_sum",
                     "store_flushed_transactions_total", "store_sequence"):
            for node, value in self.moved(before, name).items():
                self.assertGreater(value, 0, "%s at n%d" % (name, node))
        for node in self.cluster.nodes():
            metrics = self.scrape(node)
            self.assertEqual(metrics.get("store_commit_duration_seconds_count"),
                             metrics.get("store_flushes_total"))
            self.assertGreaterEqual(metrics.get("store_flushed_transactions_total"),
                                    metrics.get("store_flushes_total"))

    def test_links(self):
        for node in self.cluster.nodes():
            # A round trip is known after the first heartbeats.
            wait_until(lambda node=node: all(
                self.scrape(node).labelled("peer_round_trip_seconds").values()), 10, "heartbeats")
            metrics = self.scrape(node)
            others = {'peer="n%d"' % other for other in self.cluster.nodes() if other != node}
            self.assertEqual(metrics.labelled("peer_connected"), dict.fromkeys(others, 1))
            self.assertEqual(set(metrics.labelled("peer_sent_messages_total")), others)
            for labels in others:
                for name in ("peer_sent_messages_total", "peer_received_messages_total",
                             "peer_round_trip_seconds", "peer_incarnation"):
                    self.assertGreater(metrics.labelled(name)[labels], 0, name)
                self.assertEqual(metrics.labelled("peer_refused_messages_total")[labels], 0)
            self.assertEqual((metrics.get("ready"), metrics.get("quorum")), (1, 1))

    def test_tls(self):
        before = self.scrape(1)
        for _ in range(3):
            self.call(1, "GET", "/v1/health", None, 200)
        after = self.scrape(1)
        self.assertEqual(after.get("tls_handshakes_total") - before.get("tls_handshakes_total"), 4)


class Agreement(TraceTest):
    """Status, metrics and the command line say the same, also while a node is away."""

    MOVES = {"uptime_ms", "since_ms", "round_trip_us", "sent_messages", "received_messages",
             "connections", "disk_free_bytes", "log_bytes", "sequence", "waiting",
             "queued_bytes", "requests_in_flight", "in_sync", "compared_ms", "anti_entropy"}

    def steady(self, value):
        """Without what changes from one look to the next."""
        if isinstance(value, dict):
            return {key: self.steady(one) for key, one in value.items() if key not in self.MOVES}
        if isinstance(value, list):
            return [self.steady(one) for one in value]
        return value

    def names(self, value):
        if isinstance(value, dict):
            return {key: self.names(one) for key, one in value.items()}
        return [self.names(one) for one in value] if isinstance(value, list) else None

    def check_agreement(self, node):
        status = self.status(node)
        shown = json.loads(self.status_by_cli(node, "--json"))
        self.assertEqual(self.names(status), self.names(shown))
        self.assertEqual(self.steady(status), self.steady(shown))
        metrics = self.scrape(node)
        self.assertEqual(metrics.get("escrow_backlog"), status["repair"]["backlog"])
        self.assertEqual(metrics.get("repairs_done_total"), status["repair"]["done"])
        self.assertEqual(metrics.get("quorum"), status["quorum"])
        self.assertEqual(metrics.get("ready"), status["status"] == "ready")
        self.assertEqual(metrics.get("sealed"), status["sealed"])
        self.assertGreaterEqual(metrics.get("store_sequence"), status["store"]["sequence"])
        table = self.status_by_cli(node)
        total = 0
        for peer in status["peers"]:
            total += peer["backlog"]
            row = re.search(r"(?m)^%s  .*$" % peer["node"], table)[0].split()
            self.assertEqual(int(row[-1]), peer["backlog"], table)
            if peer["link"] == "self":
                continue
            self.assertEqual(metrics.get("peer_connected", peer=peer["node"]),
                             peer["link"] == "connected")
            self.assertEqual(row[1], "up" if peer["link"] == "connected" else "down")
            self.assertEqual(metrics.get("peer_escrow_backlog", peer=peer["node"]),
                             peer["backlog"])
            self.assertIn(row[-2], ("yes", "no", "-"), table)
            self.assertEqual(metrics.get("peer_in_sync", peer=peer["node"]) in (0, 1), True)
            self.assertEqual(metrics.get("peer_incarnation", peer=peer["node"]),
                             peer["incarnation"])
        self.assertEqual(total, status["repair"]["backlog"])
        return status

    def is_steady(self, node):
        before = self.steady(self.status(node))
        time.sleep(0.6)  # some heartbeats
        return self.steady(self.status(node)) == before

    def backlog(self, node):
        return {peer["node"]: peer["backlog"] for peer in self.status(node)["peers"]}

    def test_in_peace(self):
        for node in self.cluster.nodes():
            wait_until(lambda node=node: self.acquainted(node), 10, "all links up")
            wait_until(lambda node=node: not any(self.backlog(node).values()), 10, "no backlog")
            wait_until(lambda node=node: '"paths": null' not in json.dumps(self.status(node)), 10,
                       "every node has counted its paths")
            status = self.check_agreement(node)
            self.assertEqual(status["node"], "n%d" % node)
            self.assertEqual([peer["link"] for peer in status["peers"]].count("connected"), 2)

    def test_while_a_node_is_away_and_after(self):
        self.cluster.kill9(3)
        for i in range(10):
            self.call(1, "POST", "/v1/secrets/away/%d" % i, {"value": "x"}, 201)
        for node in (1, 2):
            wait_until(lambda node=node: self.backlog(node)["n3"] >= 10, 10,
                       "the backlog for n3 at n%d" % node)
            wait_until(lambda node=node: self.status(node)["peers"][2]["link"] == "disconnected",
                       10, "n3 away at n%d" % node)
            backlog = self.backlog(node)
            self.assertEqual((backlog["n1"], backlog["n2"]), (0, 0))
            wait_until(lambda node=node: self.is_steady(node), 10, "what the other node holds is told")
            status = self.check_agreement(node)
            self.assertEqual((status["status"], status["quorum"]), ("ready", True))
        peers = {line["peer"] for line in lines_of(self.cluster, 1, parse_logfmt)
                 if (line["actor"], line["event"]) == ("link", "peer_down")}
        self.assertEqual(peers, {"n3"})
        before = self.scrape(1).get("shares_delivered_total") + \
            self.scrape(2).get("shares_delivered_total")
        self.cluster.start(3, wait=True)
        for node in (1, 2):
            wait_until(lambda node=node: self.backlog(node)["n3"] == 0, 20,
                       "nothing left for n3 at n%d" % node)
        self.assertGreaterEqual(self.scrape(3).get("shares_received_total"), 10)
        after = self.scrape(1).get("shares_delivered_total") + \
            self.scrape(2).get("shares_delivered_total")
        self.assertGreaterEqual(after - before, 10)
        for node in self.cluster.nodes():
            wait_until(lambda node=node: self.acquainted(node), 10, "all links up")
            self.check_agreement(node)

    def test_without_a_majority(self):
        self.cluster.kill9(2)
        self.cluster.kill9(3)
        try:
            wait_until(lambda: not self.status(1)["quorum"], 10, "n1 notices")
            status = self.check_agreement(1)
            self.assertEqual(status["status"], "not_ready")
            self.assertTrue(status["reasons"])
            for reason in status["reasons"]:
                self.assertIn(reason, self.status_by_cli(1))
        finally:
            self.cluster.start(2)
            self.cluster.start(3)
            self.cluster.wait_ready()


class UptimeAndTime(TraceTest):
    def test_times_are_plausible(self):
        first = self.status(1)
        time.sleep(0.3)
        second = self.status(1)
        passed = second["uptime_ms"] - first["uptime_ms"]
        self.assertGreaterEqual(passed, 290)
        self.assertLess(passed, 60000 * SLOW)
        line = lines_of(self.cluster, 1, parse_logfmt)[-1]
        stamp = datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00"))
        now = datetime.datetime.now(datetime.timezone.utc)
        self.assertLess(abs((now - stamp).total_seconds()), 60 * SLOW)
        self.assertEqual(line["event"], "request")


if __name__ == "__main__":
    unittest.main()
