"""The audit trail through the API of three real nodes: what is done is found, and what was tampered with, too."""

import base64
import http.client
import json
import os
import random
import subprocess
import unittest

from ostraka_cluster import SLOW, Cluster, binary, clean_environment, wait_until

TRIALS = 60  # of each kind here; tests/unit/test_audit_export.c does a thousand


class AuditCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(3).__enter__()
        try:
            cls.wait_for_all_trails(cls)
        except BaseException:
            cls.cluster.close()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__()

    def cli(self, *words, environment=None):
        variables = {"OSTRAKA_ADDR": self.cluster.addresses(), "OSTRAKA_CACERT": self.cluster.ca_file(),
                     "OSTRAKA_TOKEN": self.cluster.token}
        variables.update(environment or {})
        return subprocess.run([binary(), *words], capture_output=True, text=True, timeout=60,
                              env=clean_environment(**variables))

    def search(self, node=1, **filters):
        """All records, over the pages."""
        records, after = [], None
        while True:
            query = dict(filters, **({"after": after} if after else {}))
            target = "/v1/audit?" + "&".join("%s=%s" % item for item in query.items())
            status, _, answer = self.cluster.request(node, "GET", target.rstrip("?"))
            self.assertEqual(status, 200, answer)
            self.assertEqual(answer["missing"], [])
            records += answer["records"]
            after = answer.get("next")
            if not after:
                return records

    def wait_for_all_trails(self):
        """After starts: until every node has a link to every other."""
        def complete(node):
            status, _, answer = self.cluster.request(node, "GET", "/v1/audit?limit=1")
            return status == 200 and not answer["missing"]
        for node in self.cluster.nodes():
            wait_until(lambda node=node: complete(node), 20, "n%d gets all trails" % node)

    def certificates(self):
        words = []
        for node in self.cluster.nodes():
            words += ["--certificate", os.path.join(self.cluster.node_directory(node), "node.crt")]
        return words

    def verify(self, *files):
        return self.cli("audit", "verify", *files, *self.certificates())

    def export(self, node):
        path = os.path.join(self.cluster.parent, "%s-%d.audit" % (self.id(), random.getrandbits(48)))
        done = self.cli("audit", "export", "--node", self.cluster.name(node), "--output", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        return path

    def anchored_export(self, node):
        """Of a moment at which peers keep heads of what stands in it."""
        def attempt():
            path = self.export(node)
            with open(path) as file:
                keepers = {line.split()[1] for line in file if line.startswith("head ")}
            return path if len(keepers) == self.cluster.n - 1 else None
        return wait_until(attempt, 20, "all peers keep a head")


class AuditSearch(AuditCase):
    def test_what_is_done_is_found(self):
        c = self.cluster
        for i, (method, path, body) in enumerate([
                ("POST", "/v1/secrets/audit/a", {"value": "canary-of-the-audit"}),
                ("PUT", "/v1/secrets/audit/a", {"value": "canary-of-the-audit"}),
                ("GET", "/v1/secrets/audit/a", None),
                ("GET", "/v1/history/audit/a", None),
                ("GET", "/v1/secrets/audit/none", None),
                ("DELETE", "/v1/secrets/audit/a", None)]):
            status, _, _ = c.request(1 + i % 3, method, path, body, {"X-Request-Id": "find-me-%d" % i})
            found = self.search(node=1 + (i + 1) % 3, request_id="find-me-%d" % i)
            requests = [r for r in found if r["kind"] == "request"]
            self.assertEqual(len(requests), 1, found)
            self.assertEqual(requests[0]["node"], c.name(1 + i % 3))
            self.assertEqual(requests[0]["identity"], "admin")
            self.assertEqual(requests[0]["outcome"], "not_found" if status == 404 else "ok")
            self.assertEqual(requests[0]["name"], "audit/" + ("none" if i == 4 else "a"))
            self.assertEqual(requests[0]["tenant"], "default")
            if method in ("POST", "PUT", "DELETE"):
                self.assertGreaterEqual(sum(r["kind"] == "vote" for r in found), 2, found)
        self.assertNotIn("canary", json.dumps(self.search()))

    def test_a_stranger_reads_no_trail_and_stands_in_it(self):
        for path in ("/v1/audit", "/v1/audit/export"):
            status, _, answer = self.cluster.client(1, token="ost_nobody").request(
                "GET", path, headers={"X-Request-Id": "stranger"})
            self.assertEqual((status, answer["error"]["code"]), (401, "unauthenticated"))
        found = self.search(request_id="stranger")
        self.assertEqual([r["outcome"] for r in found if r["kind"] == "request"],
                         ["unauthenticated"] * 2, found)
        self.assertTrue(all("identity" not in r for r in found), found)

    def test_auditors_are_who_has_that_policy(self):
        c = self.cluster
        tokens = {}
        for policy in ("auditor", "operator"):
            def made(path, body):
                status, _, answer = c.request(1, "POST", path, body)
                return answer if status == 201 else None
            body = {"name": "who-" + policy, "kind": "user", "policies": [policy]}
            identity = wait_until(lambda body=body: made("/v1/identities", body), 20, "an identity")["id"]
            token = {"identity": identity}
            tokens[policy] = wait_until(lambda token=token: made("/v1/tokens", token), 20, "a token")["token"]
        for node in c.nodes():
            for path in ("/v1/audit", "/v1/audit/export"):
                def answered(path=path, node=node, policy="auditor"):
                    status, _, _ = c.client(node, token=tokens[policy]).request("GET", path)
                    return status if status != 503 else None
                self.assertEqual(wait_until(answered, 20, "an answer"), 200)
                self.assertEqual(wait_until(lambda: answered(policy="operator"), 20, "an answer"), 404)
        denied = [r for r in self.search() if r.get("operation") == "audit" and r["outcome"] == "not_found"]
        self.assertEqual({r["node"] for r in denied}, {"n1", "n2", "n3"})
        self.assertTrue(all(len(r["identity"]) == 36 for r in denied))

    def test_filters_and_pages(self):
        for i in range(6):
            self.cluster.request(1 + i % 3, "GET", "/v1/secrets/page/%d" % i)
        self.cluster.request(1, "GET", "/v1/secrets/page/marker", headers={"X-Request-Id": "marker"})
        marker = [r["time"] for r in self.search(request_id="marker") if r["kind"] == "request"][0]
        whole = self.search(to=marker)  # what comes later comes while it is read
        times = [r["time"] for r in whole]
        self.assertEqual(times, sorted(times))
        self.assertGreater(len(whole), 20)
        self.assertEqual(self.search(to=marker, limit=7), whole)
        middle = whole[len(whole) // 2]["time"]
        later = self.search(**{"from": middle})
        self.assertTrue(later and all(r["time"] >= middle for r in later))
        earlier = self.search(to=middle)
        self.assertTrue(earlier and all(r["time"] < middle for r in earlier))
        self.assertEqual({r["name"] for r in self.search(name="page/3")}, {"page/3"})
        self.assertEqual({r["identity"] for r in self.search(identity="admin")}, {"admin"})
        self.assertEqual(self.search(identity="nobody"), [])

    def test_what_is_no_question(self):
        for query in ("limit=0", "limit=1001", "from=yesterday", "to=", "after=x", "after=a00", "nam=x",
                      "request_id=", "from=2026-01-01T00:00:00Z&from=2026-01-01T00:00:00Z"):
            status, _, _ = self.cluster.request(1, "GET", "/v1/audit?" + query)
            self.assertEqual(status, 400, query)
        for query in ("node=", "node=A", "after=v0", "name=x"):
            status, _, _ = self.cluster.request(1, "GET", "/v1/audit/export?" + query)
            self.assertEqual(status, 400, query)
        status, _, _ = self.cluster.request(1, "GET", "/v1/audit/export?node=none")
        self.assertEqual(status, 404)

    def test_what_never_became_a_request(self):
        """Malformed, unknown, too large, without a token: each leaves a record, and the answer is what it was."""
        c = self.cluster
        for number, (method, path, body, token, status, outcome) in enumerate([
                ("GET", "/v1/nothing", None, c.token, 404, "no_such_resource"),
                ("PATCH", "/v1/secrets/a", b"", c.token, 405, "method_not_allowed"),
                ("GET", "/v1/secrets/a//b", None, c.token, 400, "bad_name"),
                ("POST", "/v1/secrets/a", b"{", c.token, 400, "bad_json"),
                ("GET", "/v1/secrets/a?version=x", None, c.token, 400, "bad_parameter"),
                ("GET", "/v1/status", None, "wrong", 401, "unauthenticated"),
                ("GET", "/metrics", None, None, 401, "unauthenticated"),
                ("GET", "/v1/secrets/a", None, None, 401, "unauthenticated"),
                ("POST", "/v1/secrets/a", b"{}", "wrong", 401, "unauthenticated")]):
            given = "refused-%d" % number
            got, headers, _ = c.client(1 + number % 3, token=token).request(
                method, path, body, {"X-Request-Id": given})
            self.assertEqual((got, headers["x-request-id"]), (status, given), path)
            if status == 405:
                self.assertIn("GET", headers["allow"])

            def found(given=given):
                return [r for r in self.search(request_id=given) if r["kind"] in ("request", "refusal")]
            records = wait_until(found, 20, "a record of %s %s" % (method, path))
            self.assertEqual([r["outcome"] for r in records], [outcome], records)

    def request_records(self, given, count=1):
        def found():
            records = [r for r in self.search(request_id=given) if r["kind"] == "request"]
            return records if len(records) >= count else None
        return wait_until(found, 20, "%d records of %s" % (count, given))

    def test_what_no_other_node_hears_of(self):
        """Answered by one node alone, or refused before anything was asked for: one record each."""
        c = self.cluster
        nul = {"value": "AA==", "encoding": "base64"}
        self.assertEqual(c.request(1, "POST", "/v1/secrets/nul", nul)[0], 201)
        for number, (method, path, body, token, status, operation, outcome) in enumerate([
                ("GET", "/v1/status", None, c.token, 200, "status", "ok"),
                ("GET", "/metrics", None, c.token, 200, "metrics", "ok"),
                ("POST", "/v1/env", {"content": "A=b"}, c.token, 200, "env", "ok"),
                ("POST", "/v1/env", {"content": "A=secret("}, c.token, 422, "env", "bad_env"),
                ("POST", "/v1/env", {"content": "A=secret(nul)"}, c.token, 422, "env", "bad_env"),
                ("PUT", "/v1/policies/x", {"rules": 1}, c.token, 400, "policy_put", "bad_json"),
                ("POST", "/v1/auth/approle:login", {}, None, 400, "login_approle", "bad_json")]):
            given = "alone-%d" % number
            got, _, answer = c.client(1 + number % 3, token=token).request(method, path, body, {"X-Request-Id": given})
            self.assertEqual(got, status, (path, answer))
            records = wait_until(lambda: [r for r in self.search(request_id=given) if r["kind"] == "request" and
                                          r["operation"] == operation], 20, "a record of " + path)
            self.assertEqual([(r["outcome"], r["address"], r.get("identity")) for r in records],
                             [(outcome, "127.0.0.1", "admin" if token else None)], records)

    def test_logins_say_who_logged_in(self):
        c = self.cluster

        def call(expect, method, path, body, token=c.token, given="making-a-role"):
            status, _, answer = c.client(2, token=token).request(method, path, body, {"X-Request-Id": given})
            self.assertEqual(status, expect, answer)
            return answer
        identity = call(201, "POST", "/v1/identities", {"name": "robot", "kind": "device"})["id"]
        role = call(201, "POST", "/v1/auth/roles", {"identity": identity})["role_id"]
        secret = call(201, "POST", "/v1/auth/roles/%s/secret-ids" % role, {})["secret_id"]
        good, bad = {"role_id": role, "secret_id": secret}, {"role_id": role, "secret_id": "oss_wrong"}
        call(200, "POST", "/v1/auth/approle:login", good, None, "logged-in")
        record, = self.request_records("logged-in")
        self.assertEqual((record["operation"], record["outcome"], record["identity"]), ("login_approle", "ok", identity))

        def votes():
            found = [r for r in self.search(request_id="logged-in") if r["kind"] == "vote"]
            return found if len(found) >= 2 else None
        for vote in wait_until(votes, 20, "votes for the token"):
            self.assertEqual((vote["operation"], vote["identity"]), ("login", identity))
        self.assertIn("logged-in", {r.get("request_id") for r in self.search(identity=identity)})
        call(401, "POST", "/v1/auth/approle:login", bad, None, "not-logged-in")
        record, = self.request_records("not-logged-in")
        self.assertEqual((record["operation"], record["outcome"], record.get("identity")),
                         ("login_approle", "unauthenticated", None))
        self.assertTrue(record["name"].endswith(role), record)

    def test_commands(self):
        self.cluster.request(2, "GET", "/v1/secrets/cli%22%5D/x", None, {"X-Request-Id": "by-the-cli"})
        done = self.cli("audit", "search", "--request-id", "by-the-cli", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        records = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([r["name"] for r in records if r["kind"] == "request"], ['cli"]/x'])
        done = self.cli("audit", "search", "--request-id", "by-the-cli")
        self.assertIn(" n2 request read admin ", done.stdout)
        done = self.cli("audit", "export", "--format", "syslog", "--request-id", "by-the-cli")
        line = [line for line in done.stdout.splitlines() if " n2 ostraka - request [" in line]
        self.assertEqual(len(line), 1, done.stdout)
        self.assertRegex(line[0], r'^<110>1 \d{4}-\d\d-\d\dT[\d:.]+Z n2 ostraka - request \[ostraka@32473 '
                                  r'asked_by="n2" request_id="by-the-cli" identity="admin".*'
                                  r'name="cli\\"\\]/x" outcome="not_found" block="\d+" index="\d+"\]$')


class AuditLife(AuditCase):
    def test_starts_and_stops_and_what_they_started_with(self):
        c = self.cluster
        c.stop(2)
        status, _, answer = c.request(1, "GET", "/v1/audit")
        self.assertEqual((status, answer["missing"]), (200, ["n2"]))
        done = self.cli("audit", "search", environment={"OSTRAKA_ADDR": c.addresses([1, 3])})
        self.assertEqual(done.returncode, 6, done.stderr)
        self.assertIn("did not give their records: n2", done.stderr)
        c.start(2)
        c.wait_ready()
        self.wait_for_all_trails()
        records = [r for r in self.search() if r["node"] == "n2"]
        kinds = [r["kind"] for r in records if r["kind"] in ("start", "stop")]
        self.assertEqual(kinds, ["start", "stop"] * (len(kinds) // 2) + ["start"])
        self.assertGreaterEqual(len(kinds), 3)
        hashes = {r["name"] for r in self.search() if r["kind"] == "configuration"}
        self.assertEqual(len(hashes), 1, hashes)
        export = self.anchored_export(2)
        done = self.verify(export)
        self.assertEqual(done.returncode, 0, done.stdout)

    def health(self, node, source):
        connection = http.client.HTTPSConnection("127.0.0.1", self.cluster.api_port(node), timeout=15 * SLOW,
                                                 context=self.cluster.tls(), source_address=(source, 0))
        try:
            connection.request("GET", "/v1/health")
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def test_probes_are_counted(self):
        """Of an address that asks for health again and again, the first is a record, and so is their number."""
        c = self.cluster
        for source, probes in (("127.0.0.7", 9), ("127.0.0.8", 1)):
            for _ in range(probes):
                self.assertEqual(self.health(3, source), 200)
        c.stop(3)
        c.start(3)
        c.wait_ready()
        self.wait_for_all_trails()
        records = [r for r in self.search() if r.get("operation") == "health"]
        self.assertEqual({r["kind"] for r in records}, {"request"})
        for source, probes in (("127.0.0.7", 9), ("127.0.0.8", 1)):
            own = [r for r in records if r["address"] == source]
            self.assertEqual([(r["node"], r["outcome"]) for r in own], [("n3", "ok")] * len(own))
            self.assertEqual(sum(r.get("count", 1) for r in own), probes, own)
            self.assertLess(len(own), max(probes, 2))

    def test_names_as_hashes(self):
        c = self.cluster
        with open(c.config()) as file:
            text = file.read()
        with open(c.config(), "w") as file:
            file.write(text.rstrip()[:-1] + '    audit_names = "hmac"\n}\n'
                       if text.rstrip().endswith("}") and "server {" in text
                       else text + '\nserver {\n    audit_names = "hmac"\n}\n')
        for node in c.nodes():
            c.stop(node)
        for node in c.nodes():
            c.start(node)
        c.wait_ready()
        self.wait_for_all_trails()
        status, _, _ = c.request(1, "POST", "/v1/secrets/team/payroll", {"value": "x"}, {"X-Request-Id": "hashed"})
        self.assertEqual(status, 201)
        found = self.search(request_id="hashed")
        self.assertTrue(found)
        for record in found:
            self.assertRegex(record["name"], r"^[0-9a-f]{64}$")
        self.assertEqual(self.search(name="team/payroll"), found)


class AuditProof(AuditCase):
    def test_an_export_is_proven_and_tampering_is_found(self):
        for i in range(30):
            self.cluster.request(1 + i % 3, "POST", "/v1/secrets/proof/%d" % i, {"value": "x"})
        exports = [self.anchored_export(node) for node in self.cluster.nodes()]
        done = self.verify(*exports)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stdout.count("intact: "), 3, done.stdout)
        with open(exports[0]) as file:
            lines = file.read().splitlines()
        self.assertNotIn("proof/", "\n".join(lines))
        dice = random.Random(5)
        blocks = [i for i, line in enumerate(lines) if line.startswith("block ")]
        heads = [i for i, line in enumerate(lines) if line.startswith("head ")]
        anchored = blocks[:-len(blocks) // 4]
        for kind in ("change", "drop", "insert", "swap", "cut", "head"):
            for _ in range(TRIALS // 6):
                bad = list(lines)
                at = dice.choice(anchored)
                if kind == "change":
                    data = bytearray(base64.b64decode(bad[at].split()[1]))
                    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
                    bad[at] = "block " + base64.b64encode(bytes(data)).decode()
                elif kind == "drop":
                    del bad[at]
                elif kind == "insert":
                    bad.insert(at, bad[dice.choice(anchored)])
                elif kind == "swap":
                    bad[at], bad[at + 1] = bad[at + 1], bad[at]
                elif kind == "cut":
                    del bad[at:]
                else:
                    at = dice.choice(heads)
                    words = bad[at].split()
                    data = bytearray(base64.b64decode(words[2]))
                    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
                    bad[at] = "head %s %s" % (words[1], base64.b64encode(bytes(data)).decode())
                path = os.path.join(self.cluster.parent, "tampered.audit")
                with open(path, "w") as file:
                    file.write("\n".join(bad) + "\n")
                done = self.verify(path)
                self.assertEqual(done.returncode, 1, (kind, at, done.stdout, done.stderr))
                self.assertRegex(done.stdout, r"block \d+, record \d+|unproven", (kind, done.stdout))
                if kind == "cut":
                    self.assertRegex(done.stdout, r"contradicts the head of \d+ records, signed at 20[0-9TZ:.-]+, "
                                                  r"that the node of number \d keeps")

    def test_keys_are_proven_by_certificates_alone(self):
        export = self.anchored_export(1)
        done = self.cli("audit", "verify", export, "--certificate",
                        os.path.join(self.cluster.node_directory(2), "node.crt"))
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("not signed by a key that a certificate proves", done.stdout)
        # The wrong certificate tells nothing of the trail, and least of all that it was changed.
        self.assertRegex(done.stdout, r"^unproven: n1: ")
        self.assertIn("no certificate given here proves a key of node n1", done.stdout)
        with Cluster(1) as other:
            done = self.cli("audit", "verify", export, *self.certificates(),
                            environment={"OSTRAKA_CACERT": other.ca_file()})
        self.assertEqual(done.returncode, 78, done.stdout)
        done = self.cli("audit", "verify", os.path.join(self.cluster.parent, "none"), *self.certificates())
        self.assertEqual(done.returncode, 1, done.stdout)

    def test_what_comes_out_of_a_pipe_is_no_cut_trail(self):
        """A trail is read more than once: what comes out of a pipe is refused, and not called truncated."""
        for node in self.cluster.nodes():
            self.cluster.request(node, "GET", "/v1/secrets/nothing")
        export = self.anchored_export(1)
        for name in ("-", "/dev/stdin"):
            with subprocess.Popen(["cat", export], stdout=subprocess.PIPE) as pipe:
                done = subprocess.run([binary(), "audit", "verify", name, *self.certificates()],
                                      stdin=pipe.stdout, capture_output=True, text=True, check=False,
                                      env=clean_environment(OSTRAKA_CACERT=self.cluster.ca_file()))
            self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
            self.assertIn("must be a file", done.stderr)

    def test_the_next_node_exports_for_another(self):
        path = os.path.join(self.cluster.parent, "other.audit")
        done = self.cli("audit", "export", "--node", "n3", "--output", path,
                        environment={"OSTRAKA_ADDR": self.cluster.address(1)})
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(path) as file:
            self.assertEqual(file.read().splitlines()[2], "node 2 n3")
        done = self.cli("audit", "export", "--node", "n3", "--output", path)
        self.assertEqual(done.returncode, 1)  # it is there

    def test_an_export_that_fails_leaves_no_empty_file(self):
        path = os.path.join(self.cluster.parent, "typo.audit")
        for _ in range(2):
            done = self.cli("audit", "export", "--node", "n9", "--output", path)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("there is no node of that name", done.stderr)
            self.assertFalse(os.path.exists(path))

    def test_heads_that_are_lacking_are_told(self):
        path = os.path.join(self.cluster.parent, "lacking.audit")
        self.cluster.stop(3)
        try:
            done = self.cli("audit", "export", "--node", "n1", "--output", path)
            self.assertEqual(done.returncode, 6, done.stderr)
            self.assertIn("did not give the heads", done.stderr)
            with open(path) as file:
                lines = file.read().splitlines()
            self.assertIn("missing 2", lines)
            self.assertTrue(lines[-1].startswith("end"), lines[-1])
        finally:
            self.cluster.start(3)
            self.wait_for_all_trails()


if __name__ == "__main__":
    unittest.main()
