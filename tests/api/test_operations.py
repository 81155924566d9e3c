"""Every operation of the HTTP API and every error that it promises, through every node."""

import base64
import datetime
import json
import re
import socket
import ssl
import time
import unittest

from cluster_case import ClusterCase
from ostraka_cluster import SLOW, wait_until

VALUE_BYTES_MAX = 1024 * 1024
RFC3339 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")


def parse_time(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def format_time(moment):
    return moment.astimezone(datetime.timezone.utc).isoformat(timespec="milliseconds").replace(
        "+00:00", "Z")


class ClusterTest(ClusterCase):
    """One cluster of three for all tests of a class; each test uses names of its own."""

    def name(self, suffix=""):
        return "t/%s%s" % (self.id().split(".")[-1], suffix)

    def call(self, node, method, path, body=None, expect=None, **options):
        until = time.monotonic() + 20
        status, headers, answer = self.cluster.request(node, method, path, body, **options)
        while status == 503 and answer.get("error", {}).get("code") == "not_ready" and \
                path != "/v1/health" and time.monotonic() < until:
            time.sleep(0.05)  # on a busy machine identity records may not be compared in time
            status, headers, answer = self.cluster.request(node, method, path, body, **options)
        if expect is not None:
            self.assertEqual(status, expect, "%s %s at n%d: %s" % (method, path, node, answer))
        self.assertEqual(headers.get("cache-control"), "no-store")
        self.assertTrue(headers.get("x-request-id"))
        return headers, answer

    def refused(self, node, method, path, body=None, status=400, code=None, **options):
        """The error has the promised form; returns headers and the error."""
        headers, answer = self.call(node, method, path, body, expect=status, **options)
        self.assertEqual(headers["content-type"].split(";")[0], "application/json")
        self.assertEqual(list(answer), ["error"])
        error = answer["error"]
        self.assertLessEqual(
            set(error), {"code", "message", "phase", "retry", "request_id", "details"})
        self.assertRegex(error["code"], r"^[a-z][a-z_]*$")
        self.assertTrue(error["message"])
        self.assertEqual(error["request_id"], headers["x-request-id"])
        if "retry" in error:
            self.assertIn(error["retry"], ("safe", "same_key", "no"))
        if code:
            self.assertEqual(error["code"], code)
        return headers, error

    def create(self, name, value="v1", node=1, **options):
        return self.call(node, "POST", "/v1/secrets/" + name, {"value": value}, 201, **options)[1]

    def update(self, name, value, node=1, **members):
        body = {"value": value, **members}
        return self.call(node, "PUT", "/v1/secrets/" + name, body, 200)[1]

    def read(self, name, node=1, query="", **options):
        return self.call(node, "GET", "/v1/secrets/" + name + query, None, 200, **options)[1]

    def history(self, name, node=1, query=""):
        return self.call(node, "GET", "/v1/history/" + name + query, None, 200)[1]


class Operations(ClusterTest):
    def test_create_through_each_node_and_read_through_all(self):
        for writer in self.cluster.nodes():
            name = self.name("/%d" % writer)
            answer = self.create(name, "value %d" % writer, writer)
            self.assertEqual(set(answer), {"name", "version", "valid_from"})
            self.assertEqual((answer["name"], answer["version"]), (name, 1))
            self.assertRegex(answer["valid_from"], RFC3339)
            for reader in self.cluster.nodes():
                got = self.read(name, reader)
                self.assertEqual(got["value"], "value %d" % writer)
                self.assertEqual((got["name"], got["version"]), (name, 1))
                self.assertEqual(got["encoding"], "text")
                self.assertEqual(got["valid_from"], answer["valid_from"])
                self.assertIsNone(got.get("valid_to"))

    def test_create_existing_conflicts_at_every_node(self):
        name = self.name()
        self.create(name)
        for node in self.cluster.nodes():
            self.refused(node, "POST", "/v1/secrets/" + name, {"value": "other"}, 409,
                         "already_exists")
        self.assertEqual(self.read(name)["value"], "v1")

    def test_update_makes_versions_without_gap(self):
        name = self.name()
        self.create(name)
        for version in range(2, 8):
            node = version % self.cluster.n + 1
            answer = self.update(name, "v%d" % version, node)
            self.assertEqual(answer["version"], version)
        for node in self.cluster.nodes():
            self.assertEqual(self.read(name, node)["value"], "v7")
            for version in range(1, 8):
                got = self.read(name, node, "?version=%d" % version)
                self.assertEqual((got["version"], got["value"]), (version, "v%d" % version))

    def test_expected_version(self):
        name = self.name()
        self.create(name)
        self.assertEqual(self.update(name, "v2", 2, expected_version=1)["version"], 2)
        for node in self.cluster.nodes():
            for wrong in (1, 3, 99):
                self.refused(node, "PUT", "/v1/secrets/" + name,
                             {"value": "no", "expected_version": wrong}, 409, "version_mismatch")
        self.assertEqual(self.read(name)["value"], "v2")

    def test_what_does_not_exist(self):
        for node in self.cluster.nodes():
            path = self.name("/nothing")
            self.refused(node, "GET", "/v1/secrets/" + path, status=404, code="not_found")
            self.refused(node, "PUT", "/v1/secrets/" + path, {"value": "x"}, 404, "not_found")
            self.refused(node, "DELETE", "/v1/secrets/" + path, status=404, code="not_found")
            self.refused(node, "GET", "/v1/history/" + path, status=404, code="not_found")
            self.refused(node, "GET", "/v1/deletions/" + path, status=404, code="not_found")

    def test_version_that_does_not_exist(self):
        name = self.name()
        self.create(name)
        for node in self.cluster.nodes():
            for version in ("2", "4711", str(2**63 - 1)):
                self.refused(node, "GET", "/v1/secrets/%s?version=%s" % (name, version),
                             status=404, code="not_found")

    def test_history(self):
        name = self.name()
        self.create(name, "secret-in-history-1")
        for version in range(2, 6):
            self.update(name, "secret-in-history-%d" % version)
        for node in self.cluster.nodes():
            answer = self.history(name, node)
            self.assertEqual(answer["name"], name)
            self.assertIsNone(answer.get("next"))
            rows = answer["versions"]
            self.assertEqual([row["version"] for row in rows], [5, 4, 3, 2, 1])
            self.assertIsNone(rows[0].get("valid_to"))
            for newer, older in zip(rows, rows[1:]):
                self.assertEqual(older["valid_to"], newer["valid_from"])
                self.assertLess(parse_time(older["valid_from"]), parse_time(newer["valid_from"]))
            for row in rows:
                self.assertEqual(set(row),
                                 {"version", "valid_from", "valid_to", "author", "state"})
            self.assertNotIn("secret-in-history", json.dumps(answer))

    def test_history_in_pages(self):
        name = self.name()
        self.create(name)
        for version in range(2, 8):
            self.update(name, "v%d" % version)
        for node in self.cluster.nodes():
            for limit in (1, 2, 3, 6, 7, 8):
                seen, query = [], "?limit=%d" % limit
                for _ in range(10):
                    page = self.history(name, node, query)
                    self.assertLessEqual(len(page["versions"]), limit)
                    seen += [row["version"] for row in page["versions"]]
                    if not page.get("next"):
                        break
                    query = "?limit=%d&after=%s" % (limit, page["next"])
                self.assertEqual(seen, [7, 6, 5, 4, 3, 2, 1], "limit %d" % limit)

    def test_read_at_a_time(self):
        name = self.name()
        self.create(name)
        time.sleep(0.05)
        self.update(name, "v2")
        rows = self.history(name)["versions"]
        first, second = (parse_time(rows[1]["valid_from"]), parse_time(rows[0]["valid_from"]))
        millisecond = datetime.timedelta(milliseconds=1)
        for node in self.cluster.nodes():
            for moment, value in ((first, "v1"), (second - millisecond, "v1"), (second, "v2")):
                got = self.read(name, node, "?at=" + format_time(moment))
                self.assertEqual(got["value"], value)
            self.refused(node, "GET", "/v1/secrets/%s?at=%s" % (
                name, format_time(first - millisecond)), status=404, code="not_found")
            future = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
            self.refused(node, "GET", "/v1/secrets/%s?at=%s" % (name, format_time(future)))
        self.assertEqual(self.read(name, query="?version=1")["valid_to"], rows[0]["valid_from"])

    def test_stale_read(self):
        name = self.name()
        self.create(name)
        for node in self.cluster.nodes():
            self.assertEqual(self.read(name, node, "?consistency=stale")["value"], "v1")
            self.refused(node, "GET", "/v1/secrets/%s?consistency=perhaps" % name)

    def test_delete_and_create_again(self):
        for node in self.cluster.nodes():
            name = self.name("/%d" % node)
            self.create(name)
            self.update(name, "v2", node)
            headers, answer = self.call(node, "DELETE", "/v1/secrets/" + name)
            self.assertEqual(set(answer), {"name", "erased_on", "required", "replicas", "shredded"})
            self.assertEqual((answer["name"], answer["required"], answer["replicas"]),
                             (name, 2, 3))
            self.assertGreaterEqual(answer["erased_on"], 2)
            for other in self.cluster.nodes():
                self.refused(other, "GET", "/v1/secrets/" + name, status=404, code="not_found")
                self.refused(other, "GET", "/v1/secrets/%s?version=1" % name, status=404)
                self.refused(other, "GET", "/v1/history/" + name, status=404)
                self.refused(other, "DELETE", "/v1/secrets/" + name, status=404)

            def erased_everywhere(name=name, node=node):
                return self.call(node, "GET", "/v1/deletions/" + name, None,
                                 200)[1]["erased_on"] == 3
            wait_until(erased_everywhere, 10, "erased on all three")
            again = self.create(name, "new life", node)
            self.assertEqual(again["version"], 1)
            self.assertEqual(self.read(name)["value"], "new life")
            self.assertEqual(len(self.history(name)["versions"]), 1)

    def test_deletion_with_a_body_is_not_needed(self):
        name = self.name()
        self.create(name)
        status, _, _ = self.cluster.request(2, "DELETE", "/v1/secrets/" + name)
        self.assertEqual(status, 200)

    def test_values_of_all_kinds(self):
        texts = ["", " ", "a", "line\nline\r\n", "tab\t\"quotes\" \\ back", "ünïcödé ✓ 🗝",
                 "x" * 63, "x" * 64, "x" * 65, "\u0001\u001f\u007f", "z" * 100000]
        for number, text in enumerate(texts):
            name = self.name("/text%d" % number)
            self.create(name, text, number % 3 + 1)
            got = self.read(name, (number + 1) % 3 + 1)
            self.assertEqual((got["value"], got["encoding"]), (text, "text"))

    def test_binary_values(self):
        for number, raw in enumerate([b"", b"\0", bytes(range(256)), b"\xff" * 1000]):
            name = self.name("/%d" % number)
            text = base64.b64encode(raw).decode()
            self.call(1, "POST", "/v1/secrets/" + name, {"value": text, "encoding": "base64"}, 201)
            got = self.read(name, 2)
            self.assertEqual((got["value"], got["encoding"]), (text, "base64"))

    def test_largest_value_and_larger(self):
        name = self.name()
        raw = bytes(i * 7 % 251 for i in range(VALUE_BYTES_MAX))
        body = {"value": base64.b64encode(raw).decode(), "encoding": "base64"}
        self.call(1, "POST", "/v1/secrets/" + name, body, 201)
        for node in self.cluster.nodes():
            self.assertEqual(base64.b64decode(self.read(name, node)["value"]), raw)
        body = {"value": base64.b64encode(raw + b"1").decode(), "encoding": "base64"}
        self.refused(2, "PUT", "/v1/secrets/" + name, body, 413)
        self.refused(2, "POST", "/v1/secrets/" + name + "/text",
                     {"value": "x" * (VALUE_BYTES_MAX + 1)}, 413)
        self.assertEqual(self.read(name)["version"], 1)

    def test_names_of_all_kinds(self):
        import urllib.parse
        names = ["a", "a/b/c/d", "with space", "ünï/cödé", "a+b", "a%b", "~tilde", "a:b@c",
                 "quote\"s", "semi;colon", "sub/_ok", "dots...", "a..b", ".hidden", "🗝",
                 "n" * 512, "x/" * 255 + "yz"]
        for number, plain in enumerate(names):
            wire = urllib.parse.quote(plain, safe="/!$&'()*+,;=:@~-._")
            answer = self.create(wire, "value %d" % number, number % 3 + 1)
            self.assertEqual(answer["name"], plain)
            got = self.read(wire, (number + 1) % 3 + 1)
            self.assertEqual((got["name"], got["value"]), (plain, "value %d" % number))

    def test_names_are_not_folded_or_normalised(self):
        self.create("t/Fold", "upper")
        self.create("t/fold", "lower")
        self.create("t/%C3%BC", "composed")
        self.create("t/u%CC%88", "decomposed")
        for path, value in (("t/Fold", "upper"), ("t/fold", "lower"), ("t/%C3%BC", "composed"),
                            ("t/u%CC%88", "decomposed")):
            self.assertEqual(self.read(path, 3)["value"], value)

    def test_tenants_do_not_meet(self):
        name = self.name()
        self.refused(1, "POST", "/v1/secrets/" + name, {"value": "x"}, status=404,
                     headers={"X-Ostraka-Tenant": "other"})
        status, _, body = self.cluster.request(1, "POST", "/v1/tenants", {"name": "other"})
        self.assertEqual(status, 201, body)
        self.create(name, "default's")
        self.create(name, "other's", headers={"X-Ostraka-Tenant": "other"})
        for node in self.cluster.nodes():
            self.assertEqual(self.read(name, node)["value"], "default's")
            other = {"X-Ostraka-Tenant": "other"}
            self.assertEqual(self.read(name, node, headers=other)["value"], "other's")
            self.refused(node, "GET", "/v1/secrets/" + name, status=404,
                         headers={"X-Ostraka-Tenant": "third"})
        for bad in ("UPPER", "a b", "-x", "x" * 65, "a/b"):
            self.refused(1, "GET", "/v1/secrets/" + name, headers={"X-Ostraka-Tenant": bad})


class Surroundings(ClusterTest):
    def test_health_needs_no_token(self):
        for node in self.cluster.nodes():
            _, answer = self.call(node, "GET", "/v1/health", None, 200, token=None)
            self.assertLessEqual({"status", "sealed", "quorum", "node"}, set(answer))
            self.assertIs(answer["sealed"], False)
            self.assertIs(answer["quorum"], True)
            self.assertEqual(answer["node"], self.cluster.name(node))

    def test_status_is_for_operators(self):
        for node in self.cluster.nodes():
            self.refused(node, "GET", "/v1/status", status=401, token=None)
            _, answer = self.call(node, "GET", "/v1/status", None, 200)
            self.assertIsInstance(answer, dict)
            text = json.dumps(answer)
            for name in ("n1", "n2", "n3"):
                self.assertIn('"%s"' % name, text)
            self.assertNotIn(self.cluster.token, text)

    def test_metrics(self):
        self.create(self.name())
        for node in self.cluster.nodes():
            headers, text = self.call(node, "GET", "/metrics", None, 200)
            self.assertTrue(headers["content-type"].startswith("text/plain"))
            lines = text.decode().splitlines()
            self.assertTrue(any(line.startswith("# TYPE ostraka_") for line in lines))
            for line in lines:
                if line and not line.startswith("#"):
                    self.assertRegex(line, r'^[a-zA-Z_:][\w:]*(\{.*\})? [-+0-9.eE]+(Inf|NaN)?$')

    def test_tokens(self):
        name = self.name()
        self.create(name)
        token = self.cluster.token
        flipped = token[:-1] + ("A" if token[-1] != "A" else "B")
        bodies = set()
        for node in self.cluster.nodes():
            for wrong in (None, "x", flipped, token + "x", token[:-1], token.upper() + "x",
                          "x" * 4096):
                for method, path, body in (("GET", "/v1/secrets/", None),
                                           ("GET", "/v1/history/", None),
                                           ("POST", "/v1/secrets/", {"value": "x"}),
                                           ("PUT", "/v1/secrets/", {"value": "x"}),
                                           ("DELETE", "/v1/secrets/", None)):
                    headers, error = self.refused(node, method, path + name, body, 401,
                                                  "unauthenticated", token=wrong)
                    self.assertTrue(headers.get("www-authenticate", "").startswith("Bearer"))
                    bodies.add((error["code"], error["message"], error.get("retry")))
            self.refused(node, "GET", "/v1/secrets/" + name, status=401, token=None,
                         headers={"Authorization": "Basic " + token})
            self.refused(node, "GET", "/v1/secrets/" + name, status=401, token=None,
                         headers={"Authorization": token})
        self.assertEqual(len(bodies), 1, "one answer for every reason")
        self.assertEqual(self.read(name)["version"], 1)

    def test_what_exists_looks_like_what_does_not_to_strangers(self):
        name = self.name()
        self.create(name)
        there = self.refused(1, "GET", "/v1/secrets/" + name, status=401, token="wrong")[1]
        absent = self.refused(1, "GET", "/v1/secrets/t/none", status=401, token="wrong")[1]
        there.pop("request_id")
        absent.pop("request_id")
        self.assertEqual(there, absent)

    def test_request_id(self):
        for given in ("abc-123", "x" * 64, "!~"):
            headers, _ = self.call(1, "GET", "/v1/health", headers={"X-Request-Id": given})
            self.assertEqual(headers["x-request-id"], given)
        made = set()
        for given in ("x" * 65, "has space", "caf\xe9"):
            headers, _ = self.call(1, "GET", "/v1/health", headers={"X-Request-Id": given})
            self.assertNotEqual(headers["x-request-id"], given)
            made.add(headers["x-request-id"])
        self.assertEqual(len(made), 3)


class Refusals(ClusterTest):
    def test_bodies(self):
        path = "/v1/secrets/" + self.name()
        bodies = [
            b"", b" ", b"{", b"[]", b"null", b"1", b'"text"', b"{}", b'{"value": 1}',
            b'{"value": null}', b'{"value": ["x"]}', b'{"value": {"a": 1}}', b'{"value": true}',
            b'{"value": "a", "value": "b"}', b'{"value": "a", "unknown": 1}',
            b'{"value": "a"} trailing', b'{"value": "a",}', b"{'value': 'a'}",
            b'{"value": "\xff\xfe"}', b'{"value": "\xc0\x80"}', b'{"value": "\xed\xa0\x80"}',
            b'{"value": "\\ud800"}', b'{"value": "a\x01b"}', b'\xef\xbb\xbf{"value": "a"}',
            b'{"value": "a", "encoding": "rot13"}', b'{"value": "a", "encoding": 1}',
            b'{"value": "a", "encoding": null}',
            b'{"value": "a===", "encoding": "base64"}', b'{"value": "ab", "encoding": "base64"}',
            b'{"value": "YQ", "encoding": "base64"}', b'{"value": "YR==", "encoding": "base64"}',
            b'{"value": "Y Q==", "encoding": "base64"}', b'{"value": "YQ==\\n", '
            b'"encoding": "base64"}', b'{"value": "-_8=", "encoding": "base64"}',
            b'{"value": "a", "expected_version": 1}', b"[" * 3000, b'{"a":' * 3000,
        ]
        for number, body in enumerate(bodies):
            self.refused(number % 3 + 1, "POST", path, body)
        self.refused(1, "GET", path, status=404)

    def test_bodies_of_updates(self):
        name = self.name()
        self.create(name)
        for body in (b'{"value": "a", "expected_version": "1"}',
                     b'{"value": "a", "expected_version": -1}',
                     b'{"value": "a", "expected_version": 1.0}',
                     b'{"value": "a", "expected_version": 1e0}',
                     b'{"value": "a", "expected_version": 18446744073709551617}',
                     b'{"value": "a", "expected_version": null}',
                     b'{"value": "a", "expected_version": true}',
                     b'{"expected_version": 1}'):
            self.refused(2, "PUT", "/v1/secrets/" + name, body)
        self.assertEqual(self.read(name)["version"], 1)

    def test_names(self):
        paths = ["a//b", "a/", "/a", ".", "..", "a/../b", "a/./b", "a/..", "../a", "_reserved",
                 "_reserved/x", "a%2Fb", "a%2fb", "%61", "a%2Db", "%7E", "a%00b", "a%0Ab", "a%7F",
                 "%C2%80", "%C2%9F", "%FF", "%C0%AF", "%ED%A0%80", "%F4%90%80%80", "a%", "a%4",
                 "a%zz", "n" * 513, "%2E%2E/a", "%5Fx"]
        for number, path in enumerate(paths):
            node = number % 3 + 1
            for method, prefix, body in (("GET", "/v1/secrets/", None),
                                         ("POST", "/v1/secrets/", {"value": "x"}),
                                         ("DELETE", "/v1/secrets/", None),
                                         ("GET", "/v1/history/", None)):
                self.refused(node, method, prefix + path, body)

    def test_parameters(self):
        name = self.name()
        self.create(name)
        queries = ["version=0", "version=-1", "version=1.0", "version=abc", "version=", "version",
                   "version=01", "version=+1", "version=%201", "version=18446744073709551616",
                   "version=1&version=1", "unknown=1", "version=1&x=2", "at=yesterday",
                   "at=2026-01-01", "at=2026-13-01T00:00:00Z", "at=2026-01-01T00:00:00", "at=",
                   "at=9999-12-31T23:59:59Z", "limit=1", "&&", "=1"]
        for number, query in enumerate(queries):
            self.refused(number % 3 + 1, "GET", "/v1/secrets/%s?%s" % (name, query))
        for query in ("limit=0", "limit=1001", "limit=x", "limit=-1", "limit=1&limit=2",
                      "after=%20", "after=nonsense!", "version=1"):
            self.refused(1, "GET", "/v1/history/%s?%s" % (name, query))
        self.refused(1, "POST", "/v1/secrets/%s?version=1" % self.name("2"), {"value": "x"})

    def test_methods(self):
        for path, method in (("/v1/secrets/a", "PATCH"), ("/v1/history/a", "POST"),
                             ("/v1/history/a", "DELETE"), ("/v1/health", "POST"),
                             ("/v1/status", "DELETE"), ("/v1/deletions/a", "PUT"),
                             ("/metrics", "PUT"), ("/v1/secrets/a", "OPTIONS")):
            headers, _ = self.refused(1, method, path, status=405)
            allowed = {word.strip() for word in headers["allow"].split(",")}
            self.assertIn("POST" if path.startswith("/v1/secrets/") else "GET", allowed)
            self.assertNotIn(method, allowed)

    def test_resources(self):
        for path in ("/", "/v1", "/v1/", "/v1/nothing", "/v2/secrets/a", "/V1/secrets/a",
                     "/v1/secretsx/a", "/v1/healthz", "/v1//health", "/favicon.ico"):
            self.refused(2, "GET", path, status=404)

    def test_media_types(self):
        path = "/v1/secrets/" + self.name()
        for wrong in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx",
                      "application/json; charset=latin1"):
            self.refused(1, "POST", path, b'{"value": "x"}', 415, headers={"Content-Type": wrong})
        self.call(1, "POST", path, b'{"value": "x"}', 201,
                  headers={"Content-Type": "application/json; charset=utf-8"})

    def test_too_large(self):
        path = "/v1/secrets/" + self.name()
        self.refused(1, "GET", path, status=431, headers={"X-Long": "x" * 20000})
        many = {"X-%d" % i: "y" for i in range(80)}
        self.refused(1, "GET", path, status=431, headers=many)

        # Refused by its announced length: the body need not be sent.
        answer = self.cluster.raw(1, (
            "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: "
            "application/json\r\nContent-Length: 99999999\r\n\r\n" % (path, self.cluster.token))
            .encode())
        self.assertRegex(answer, rb"^HTTP/1\.1 413 ")


class Wire(ClusterTest):
    """Requests that are malformed below JSON, sent byte by byte."""

    def refused_raw(self, text, statuses=(400,)):
        answer = self.cluster.raw(1, text, timeout=3)
        self.assertRegex(answer, rb"^HTTP/1\.1 \d\d\d ", text[:80])
        self.assertIn(int(answer[9:12]), statuses, text[:80])
        self.assertEqual(answer.count(b"HTTP/1.1 "), 1, "the connection is closed after it")

    def test_malformed_requests(self):
        token = b"Authorization: Bearer " + self.cluster.token.encode() + b"\r\n"
        head = b"GET /v1/status HTTP/1.1\r\nHost: x\r\n" + token
        post = (b"POST /v1/secrets/wire HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
                token)
        body = b'{"value":"x"}'
        for text in (
                b"nonsense\r\n\r\n",
                b"GET /v1/status\r\n\r\n",
                head.replace(b"HTTP/1.1", b"HTTP/9.9", 1) + b"\r\n",
                head.replace(b"Host: x\r\n", b"") + b"\r\n",
                head + b"Host: y\r\n\r\n",
                head + b"X-A : b\r\n\r\n",
                head + b"X-A: b\r\n folded\r\n\r\n",
                head + b"X-A: b\nX-B: c\r\n\r\n",
                head + b"X-A: \x01\r\n\r\n",
                head + b"X A: b\r\n\r\n",
                head + b"X-A: b\x00c\r\n\r\n",
                head + b": b\r\n\r\n",
                head + token + b"\r\n",
                post + b"Content-Length: 13\r\nContent-Length: 13\r\n\r\n" + body,
                post + b"Content-Length: 13\r\nTransfer-Encoding: chunked\r\n\r\n" + body,
                post + b"Content-Length: +13\r\n\r\n" + body,
                post + b"Content-Length: 1x\r\n\r\n" + body,
                post + b"Content-Length: 99999999999999999999999\r\n\r\n" + body):
            self.refused_raw(text, (400, 413, 505))
        self.refused_raw(post + b"\r\n", (400, 411))
        self.refused_raw(post + b"Transfer-Encoding: gzip\r\n\r\n", (400, 501))
        self.refused(1, "GET", "/v1/secrets/wire", status=404)

    def test_keep_alive_and_pipelining(self):
        request = b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n"
        last = b"GET /v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = self.cluster.raw(1, request * 4 + last)
        self.assertEqual(answer.count(b"HTTP/1.1 200 "), 5)
        client = self.cluster.client(2)
        try:
            sockets = set()
            for _ in range(5):
                self.assertEqual(client.request("GET", "/v1/health")[0], 200)
                sockets.add(client.connection and client.connection.sock)
            self.assertEqual(len(sockets), 1)
        finally:
            client.close()

    def test_request_after_a_refusal_on_the_same_connection(self):
        client = self.cluster.client(1)
        try:
            self.assertEqual(client.request("GET", "/v1/secrets/t/absent")[0], 404)
            self.assertEqual(client.request("POST", "/v1/secrets/" + self.name(), b"{")[0], 400)
            self.assertEqual(client.request("GET", "/v1/health")[0], 200)
        finally:
            client.close()

    def test_slow_client_cannot_hold_a_slot(self):
        begun = time.monotonic()
        answer = self.cluster.raw(1, b"GET /v1/health HTTP/1.1\r\nHost: x\r\n", timeout=60)
        self.assertLess(time.monotonic() - begun, 50 * SLOW)
        self.assertTrue(answer == b"" or answer.startswith(b"HTTP/1.1 408 "), answer[:80])

    def test_silent_connection_is_closed(self):
        with socket.create_connection(("127.0.0.1", self.cluster.api_port(1))) as connection:
            connection.settimeout(20 * SLOW)
            self.assertEqual(connection.recv(100), b"")

    def test_old_tls_and_no_tls(self):
        context = ssl.create_default_context(cafile=self.cluster.ca_file())
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            with socket.create_connection(("127.0.0.1", self.cluster.api_port(1)), 10) as plain:
                context.wrap_socket(plain, server_hostname="127.0.0.1")
        with socket.create_connection(("127.0.0.1", self.cluster.api_port(1)), 10) as plain:
            plain.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
            try:
                answer = plain.recv(1000)
            except ConnectionError:
                answer = b""
            self.assertNotIn(b"HTTP/1.1 200", answer)

    def test_links_refuse_strangers(self):
        context = ssl.create_default_context(cafile=self.cluster.ca_file())
        context.check_hostname = False
        port = self.cluster.base_port + 100 + 2
        answer = b"none"
        try:
            with socket.create_connection(("127.0.0.1", port), 10) as plain:
                with context.wrap_socket(plain) as connection:
                    connection.settimeout(10 * SLOW)
                    connection.sendall(b"\0\0\0\1\xa0")
                    answer = connection.recv(100)
        except (ssl.SSLError, ConnectionError):
            answer = b""
        self.assertEqual(answer, b"")
        self.assertTrue(self.cluster.ready(2))


if __name__ == "__main__":
    unittest.main()
