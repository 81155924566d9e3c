"""api/openapi.yaml against the running server and against its sources.

Every request that is made here is recorded with its answer: the path, method and status must be in the
specification, the headers those that are named there, and the body valid by its schema, in which nothing
is permitted that is not named. In the end every path, method and status of the specification must have
been seen, but for those in NOT_PROVOKED, each with its reason.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

from logins import Authority
from ostraka_cluster import REPOSITORY, SLOW, Cluster, Failed, clean_environment, wait_until
from specification import SPEC, Recorder, codes_of, connect, error_codes, head

# (path and method, or None for all; status): why no test can bring it about.
NOT_PROVOKED = {
    (None, 403): "test_identities.py has them",
    (None, 429): "test_limits.py",
    (None, 500): "a fault of the server",
}
CONTENDED = [("PATCH", "/v1/identities/{identity}"),
             ("DELETE", "/v1/identities/{identity}"), ("PATCH", "/v1/tenants/{tenant}"),
             ("POST", "/v1/tokens"), ("POST", "/v1/tokens/self:renew"), ("POST", "/v1/tokens/self:revoke"),
             ("POST", "/v1/tokens:revoke"), ("POST", "/v1/auth/approle:login"), ("POST", "/v1/auth/jwt:login"),
             ("POST", "/v1/auth/cert:login"), ("DELETE", "/v1/auth/issuers/{issuer}"), ("DELETE", "/v1/auth/ca"),
             ("DELETE", "/v1/auth/ca/crl"),
             ("POST", "/v1/auth/roles"), ("DELETE", "/v1/auth/roles/{role}"),
             ("POST", "/v1/auth/roles/{role}/secret-ids"), ("POST", "/v1/auth/roles/{role}/secret-ids:revoke")]
for name in CONTENDED:
    NOT_PROVOKED[("%s %s" % name, 409)] = "needs luck"
for name in ("jwt", "cert"):
    NOT_PROVOKED[("POST /v1/auth/%s:login" % name, 200)] = "test_logins.py"
    NOT_PROVOKED[("POST /v1/auth/%s:login" % name, 507)] = "as for a role's"
CODES_NOT_PROVOKED = {
    "forbidden": "as 403",
    "rate_limited": "as 429",
    "internal": "as 500",
    "contended": "needs luck; see test_contention.py",
    "value_unavailable": "needs shares that were lost on too many nodes",
    "corrupt_value": "needs a value that was damaged on too many nodes",
    "audit_unavailable": "needs a disk without any room; see test_disks.py",
    "not_ready": "needs nodes whose clocks contradict each other",
    "audit_unavailable": "needs a disk that fills up while a node runs; see test_disks.py",
}
BODY_BYTES_MAX = 2 * 1024 * 1024
BODIES_IN_PROGRESS = 32  # whose announced sizes are all that the server admits at once


def source(path):
    with open(os.path.join(REPOSITORY, "src", path)) as file:
        return file.read()


class Document(unittest.TestCase):
    """The specification by itself, and against what can be read in the sources."""

    def test_references(self):
        used = set()
        for where, node in SPEC.walk():
            if isinstance(node.get("$ref"), str):
                self.assertTrue(SPEC.at(node), where)
                used.add(node["$ref"])
        for kind, components in SPEC.root["components"].items():
            for name in components:
                if (kind, name) not in (("securitySchemes", "bearer"),
                                        ("responses", "MethodNotAllowed")):
                    self.assertIn("#/components/%s/%s" % (kind, name), used)

    def test_objects_are_closed(self):
        for where, node in SPEC.walk():
            if node.get("type") == "object":
                if "properties" not in node:  # a map, of values that are described
                    self.assertEqual(set(node["additionalProperties"]), {"type"}, where)
                    continue
                self.assertIs(node.get("additionalProperties"), False, where)
                self.assertLessEqual(set(node["required"]), set(node["properties"]), where)

    def test_operations_are_told_apart(self):
        tags = {tag["name"] for tag in SPEC.root["tags"]}
        names = []
        for path, method, operation in SPEC.operations():
            names.append(operation["operationId"])
            self.assertLessEqual(set(operation["tags"]), tags)
            named = set(re.findall(r"\{(\w+)\}", path))
            self.assertEqual(set(SPEC.parameters(path, method, "path")), named)
            self.assertEqual("requestBody" in operation,
                             method in ("POST", "PUT", "PATCH") and "/self:" not in path)
        self.assertEqual(len(names), len(set(names)))

    def test_every_response_names_the_headers_that_all_have(self):
        for path, method, _ in SPEC.operations():
            for status, response in SPEC.responses(path, method).items():
                self.assertLessEqual({"X-Request-Id", "Cache-Control"},
                                     set(response["headers"]), (path, method, status))

    def test_examples(self):
        count = 0
        for where, node in SPEC.walk():
            if "schema" in node:
                schema = node["schema"]
                examples = [one["value"] for one in node.get("examples", {}).values()]
                examples += [node[key] for key in ("example",) if key in node]
                for example in examples:
                    self.assertEqual(list(SPEC.faults(example, schema)), [], where)
                    count += 1
        self.assertGreater(count, 4)

    def test_every_route_of_the_server(self):
        routes = {}
        for path, form, allow in re.findall(r'\{"(/[^"]*)", (ROUTE_\w+), "([^"]*)",',
                                            source("api/target.c")):
            methods = set(allow.split(", "))
            self.assertEqual("GET" in methods, "HEAD" in methods)
            routes[path + ("{name}" if form == "ROUTE_WITH_NAME" else "")] = methods - {"HEAD"}
        keys = {"tenant_name_valid": "{tenant}", "policy_key_valid": "{policy}",
                "identity_key_valid": "{identity}", "issuer_key_valid": "{issuer}", "NULL": ""}
        for path, key, allow in re.findall(r'\{"(/v1/[^"]*)", (\w+), "([^"]*)",',
                                           source("api/auth_target.c")):
            key = "" if "{" in path else "{role}" if path == "/v1/auth/roles/" else keys[key]
            routes[path + key] = set(allow.split(", ")) - {"HEAD"}
        said = {}
        for path, method, _ in SPEC.operations():
            said.setdefault(path, set()).add(method)
        self.assertTrue(routes)
        self.assertEqual(routes, said)

    def test_every_query_parameter_of_the_server(self):
        operations = {"READ": "readSecret", "HISTORY": "readHistory", "DELETE": "deleteSecret",
                      "ENV": "transformEnv", "NAMES": "listSecrets", "AUDIT": "searchAudit",
                      "AUDIT_EXPORT": "exportAudit"}
        known = set()
        for name, kinds in re.findall(r'\{"(\w+)",\s+([^,]*REQUEST_[^,]*),', source("api/query.c")):
            known |= {(operations[kind], name) for kind in re.findall(r"REQUEST_(\w+)", kinds)}
        for operation in ("listTenants", "listPolicies", "listIdentities", "listIssuers", "listRoles"):
            known |= {(operation, "limit"), (operation, "after")}
        known |= {("deletePolicy", "expected_version"), ("deleteTenant", "purge")}
        said = set()
        for path, method, operation in SPEC.operations():
            said |= {(operation["operationId"], name)
                     for name in SPEC.parameters(path, method, "query")}
        self.assertTrue(known)
        self.assertEqual(known, said)

    def faces(self):
        """What the table of statuses shows: status by the name of the code."""
        names = dict(re.findall(r'X\((\w+), "(\w+)",', source("base/err.h")))
        body = source("api/status_table.c").split("\nface(")[1].split("\n}\n")[0]
        faces, cases = {}, []
        for case, shown, status in re.findall(
                r"case (\w+):|\(struct error_face\)\{(\w+), (\d+)", body):
            if case:
                cases.append(case)
                continue
            for one in cases if shown == "err" else [shown]:
                faces.setdefault(names[one], set()).add(int(status))
            cases = []
        faces.pop("ok")
        return faces

    def test_every_error_code_of_the_server(self):
        faces = self.faces()
        self.assertEqual(set(error_codes()), set(faces))
        named = {}
        everywhere = [SPEC.responses(path, method).items() for path, method, _ in SPEC.operations()]
        everywhere.append([(405, SPEC.root["components"]["responses"]["MethodNotAllowed"])])
        for responses in everywhere:
            for status, response in responses:
                for code in codes_of(response):
                    named.setdefault(code, set()).add(status)
        self.assertEqual(named, faces)

    def test_every_status_has_a_reason_phrase(self):
        phrases = set(re.findall(r'case (\d{3}): return "', source("api/status_table.c")))
        for path, method, operation in SPEC.operations():
            self.assertLessEqual(set(operation["responses"]), phrases, (path, method))


# ---- against servers ----

SECRET = "/v1/secrets/{name}"
RESOURCES = [(method, path) for path, method, _ in SPEC.operations()]


IDENTITY = "01234567-89ab-4cde-8f01-23456789abcd"
AUTH_TAGS = ("tenants", "policies", "identities", "tokens", "logins")
LOGINS = tuple("/v1/auth/%s:login" % way for way in ("approle", "jwt", "cert"))
ISSUER = {"issuer": "https://issuer.example", "audiences": ["o"], "ttl_max": 60, "roles": [], "jwks": {"keys": [
    {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}}
AUTHORITY = {}  # made by a test, once
FIRST_LIST, SECOND_LIST = {}, {}  # of revoked certificates, likewise
AUTH_BODIES = {
    ("POST", "/v1/tenants"): {"name": "made"},
    ("PATCH", "/v1/tenants/{tenant}"): {"limits": {"secrets": 5}},
    ("PUT", "/v1/policies/{policy}"): {"rules": [{"path": "a/**", "capabilities": ["read"]}]},
    ("POST", "/v1/policies:test"): {"policies": ["p"], "operation": "read", "name": "a/b"},
    ("POST", "/v1/identities"): {"name": "made", "kind": "user"},
    ("PATCH", "/v1/identities/{identity}"): {"disabled": False},
    ("POST", "/v1/tokens"): {"identity": IDENTITY},
    ("POST", "/v1/tokens:revoke"): {"accessor": "0" * 32},
    ("POST", LOGINS[0]): {"role_id": IDENTITY, "secret_id": "x"},
    ("POST", LOGINS[1]): {"jwt": "x"},
    ("POST", LOGINS[2]): {"statement": "x"},
    ("PUT", "/v1/auth/issuers"): ISSUER,
    ("PUT", "/v1/auth/ca"): AUTHORITY,
    ("PUT", "/v1/auth/ca/crl"): SECOND_LIST,
    ("POST", "/v1/auth/roles"): {"identity": IDENTITY},
    ("POST", "/v1/auth/roles/{role}/secret-ids"): {"ttl": 60},
    ("POST", "/v1/auth/roles/{role}/secret-ids:revoke"): {"accessor": "0" * 32},
}


def target_of(path, name="o/one"):
    path = path.replace("{name}", name).replace("{identity}", IDENTITY).replace("{role}", IDENTITY)
    path = path.replace("{issuer}", "0" * 32)
    return path.replace("{tenant}", "t").replace("{policy}", "p")


def is_auth(method, path):
    return SPEC.operation(path, method)["tags"][0] in AUTH_TAGS


class Server(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            authority = Authority(folder)
            AUTHORITY["certificate"] = authority.pem
            FIRST_LIST["crl"], SECOND_LIST["crl"] = (authority.revocations([number], number) for number in (1, 2))

    def setUp(self):
        self.recorder = Recorder()

    def tearDown(self):
        if self.recorder.faults:
            self.fail("\n".join(self.recorder.faults[:20]))

    def expect(self, status, code, cluster, node, method, target, *arguments, **options):
        answer = self.recorder.send(cluster, node, method, target, *arguments, **options)
        self.assertEqual(answer.status, status, (method, target, answer.content[:300]))
        if code:
            self.assertEqual(answer.json()["error"]["code"], code, (method, target))
        return answer

    def body_of(self, method, path=SECRET):
        if is_auth(method, path):
            return AUTH_BODIES.get((method, path))
        if path == "/v1/batch":
            return {"create": [{"name": "o/batch", "value": "x"}]}
        if path == "/v1/env":
            return {"content": "A=secret(o/later)"}
        if path == "/v1/copy":
            return {"from": "o/later", "to": "o/copy"}
        if path == "/v1/versions/{name}":
            return {"undelete": [1]}
        if method == "PATCH":
            return {"custom_metadata": {"owner": "o"}}
        return {"value": "x"} if method in ("POST", "PUT") else None

    def large_body_of(self, path):
        if path == "/v1/metadata/{name}":
            return {"custom_metadata": {"k": "x" * 5000}}
        body = {"content" if path == "/v1/env" else "value": "x" * (1024 * 1024 + 1)}
        return {"create": [{"name": "o/large", **body}]} if path == "/v1/batch" else body

    # -- all nodes there --

    def life_of_a_secret(self, cluster):
        name = "/v1/secrets/o/one"
        self.expect(404, "not_found", cluster, 1, "GET", name)
        self.expect(404, "not_found", cluster, 2, "PUT", name, {"value": "x"})
        self.expect(404, "not_found", cluster, 3, "DELETE", name)
        self.expect(404, "not_found", cluster, 4, "GET", "/v1/history/o/one")
        self.expect(404, "not_found", cluster, 5, "GET", "/v1/deletions/o/one")
        self.expect(201, None, cluster, 1, "POST", name, {"value": "first"})
        self.expect(409, "already_exists", cluster, 2, "POST", name, {"value": "x"})
        self.expect(200, None, cluster, 3, "PUT", name, {"value": "AP8=", "encoding": "base64",
                                                         "expected_version": 1})
        self.expect(409, "version_mismatch", cluster, 4, "PUT", name,
                    {"value": "x", "expected_version": 1})
        self.expect(409, "version_mismatch", cluster, 5, "DELETE", name + "?expected_version=7")
        read = self.expect(200, None, cluster, 5, "GET", name).json()
        self.assertEqual(base64.b64decode(read["value"]), b"\0\xff")
        for query in ("?version=1", "?at=" + read["valid_from"], "?consistency=stale",
                      "?consistency=linearizable", "?version=2&consistency=stale"):
            answer = self.expect(200, None, cluster, 1, "GET", name + query)
            self.assertEqual("stale" in answer.json(), "stale" in query, query)
        page = self.expect(200, None, cluster, 2, "GET", "/v1/history/o/one?limit=1").json()
        self.expect(200, None, cluster, 3, "GET", "/v1/history/o/one?after=" + page["next"])
        self.expect(200, None, cluster, 4, "DELETE", name + "?expected_version=2")
        self.expect(200, None, cluster, 5, "GET", "/v1/deletions/o/one")
        self.expect(404, "not_found", cluster, 1, "GET", "/v1/history/o/one")
        self.expect(201, None, cluster, 2, "POST", name, {"value": ""},
                    fields={"Idempotency-Key": "k"})
        for method in ("POST", "PUT", "DELETE"):
            self.expect(422 if method != "POST" else 201, None, cluster, 3, method, name,
                        None if method == "DELETE" else {"value": ""},
                        fields={"Idempotency-Key": "k"})
        self.expect(422, "idempotency_key_reused", cluster, 4, "POST", name, {"value": "x"},
                    fields={"Idempotency-Key": "k"})

    def alterations(self, cluster):
        versions, metadata = "/v1/versions/a/x", "/v1/metadata/a/x"
        self.expect(404, "not_found", cluster, 1, "POST", versions, {"delete": [1]})
        self.expect(404, "not_found", cluster, 1, "GET", metadata)
        self.expect(404, "not_found", cluster, 1, "PATCH", metadata, {"max_versions": 1})
        self.expect(201, None, cluster, 1, "POST", "/v1/secrets/a/x", {"value": "x"})
        self.expect(200, None, cluster, 1, "PUT", "/v1/secrets/a/x", {"value": "y"})
        key = {"Idempotency-Key": "v"}
        first = self.expect(200, None, cluster, 2, "POST", versions, {"destroy": [1]}, fields=key)
        again = self.expect(200, None, cluster, 3, "POST", versions, {"destroy": [1]}, fields=key)
        self.assertEqual(first.json()["changed_at"], again.json()["changed_at"])
        self.expect(422, "idempotency_key_reused", cluster, 4, "POST", versions, {"delete": [2]},
                    fields=key)
        mismatch = {"expected_version": 1}
        self.expect(409, "version_mismatch", cluster, 5, "POST", versions,
                    {"delete": [2], **mismatch})
        self.expect(200, None, cluster, 5, "POST", versions, {"delete": [2]})
        states = self.expect(200, None, cluster, 1, "GET", "/v1/history/a/x").json()["versions"]
        self.assertEqual([row["state"] for row in states], ["deleted", "destroyed"])
        key = {"Idempotency-Key": "m"}
        change = {"custom_metadata": {"owner": "ö"}, "expires_in": 3600, "max_versions": 2}
        self.expect(200, None, cluster, 1, "PATCH", metadata, change, fields=key)
        self.expect(422, "idempotency_key_reused", cluster, 2, "PATCH", metadata,
                    {"max_versions": 3}, fields=key)
        self.expect(409, "version_mismatch", cluster, 3, "PATCH", metadata,
                    {"max_versions": 3, **mismatch})
        self.expect(200, None, cluster, 4, "GET", metadata)
        self.expect(200, None, cluster, 4, "PATCH", metadata,
                    {"expires_at": None, "max_versions": None, "custom_metadata": {"owner": None}})
        self.assertEqual(self.expect(200, None, cluster, 5, "GET", metadata).json(
            )["custom_metadata"], {})

    def lists(self, cluster):
        for name in ("l/1", "l/2"):
            self.expect(201, None, cluster, 1, "POST", "/v1/secrets/" + name, {"value": "x"})
        page = self.expect(200, None, cluster, 2, "GET", "/v1/secrets?prefix=l/&limit=1").json()
        self.assertEqual(page["names"], ["l/1"])
        page = self.expect(200, None, cluster, 3, "GET",
                           "/v1/secrets?prefix=l/&after=" + page["next"]).json()
        self.assertEqual(page, {"names": ["l/2"]})
        self.expect(400, "bad_parameter", cluster, 4, "GET", "/v1/secrets?after=v1")

    def copies(self, cluster):
        copy = "/v1/copy"
        body = {"from": "c/1", "to": "c/2"}
        self.expect(404, "not_found", cluster, 1, "POST", copy, body)
        self.expect(201, None, cluster, 1, "POST", "/v1/secrets/c/1", {"value": "x"})
        self.expect(200, None, cluster, 2, "POST", copy, body, fields={"Idempotency-Key": "c"})
        self.expect(200, None, cluster, 3, "POST", copy, body, fields={"Idempotency-Key": "c"})
        self.expect(409, "already_exists", cluster, 4, "POST", copy, body)
        self.expect(200, None, cluster, 1, "PUT", "/v1/secrets/c/1", {"value": "y"})
        self.expect(422, "idempotency_key_reused", cluster, 4, "POST", copy, body,
                    fields={"Idempotency-Key": "c"})
        answer = self.expect(200, None, cluster, 5, "POST", copy,
                             {"from": "c", "to": "d", "recursive": True, "move": True})
        self.assertEqual(answer.json(), {"copied": 2})
        self.expect(400, "bad_name", cluster, 1, "POST", copy, {"from": "c", "to": "c"})

    def batches(self, cluster):
        batch = "/v1/batch"
        create = {"create": [{"name": "o/b1", "value": "x"},
                             {"name": "o/b2", "value": "AP8=", "encoding": "base64"}]}
        read = {"read": [{"name": "o/b2", "version": 1}, {"name": "o/b1"}]}
        self.expect(404, "not_found", cluster, 1, "POST", batch, read)
        self.expect(201, None, cluster, 2, "POST", batch, create, fields={"Idempotency-Key": "b"})
        self.expect(201, None, cluster, 3, "POST", batch, create, fields={"Idempotency-Key": "b"})
        self.expect(409, "already_exists", cluster, 4, "POST", batch, create)
        self.expect(200, None, cluster, 5, "POST", batch, read)
        create["create"][0]["value"] = "y"
        self.expect(422, "idempotency_key_reused", cluster, 1, "POST", batch, create,
                    fields={"Idempotency-Key": "b"})
        create["create"][0]["name"] = "o/b2"
        self.expect(422, "repeated", cluster, 2, "POST", batch, create)

    def env(self, cluster):
        secret, mode = "A=secret(o/env)\n", "/v1/env?mode="
        self.expect(404, "not_found", cluster, 1, "POST", mode + "expand", {"content": secret})
        self.expect(422, "bad_env", cluster, 2, "POST", mode + "expand", {"content": "A=enc('x')"})
        for status, code in ((200, None), (409, "already_exists")):
            self.expect(status, code, cluster, 3, "POST", "/v1/env?prefix=o/",
                        {"content": "env=enc('x')\n"})
        answer = self.expect(200, None, cluster, 4, "POST", mode + "expand", {"content": secret})
        self.assertEqual(answer.json(), {"content": "A=x\n"})
        answer = self.expect(200, None, cluster, 5, "POST", "/v1/env", secret.encode(),
                             fields={"Content-Type": "text/plain"})
        self.assertEqual(answer.content, b"A=x\n")

    def tenants_and_policies(self, cluster):
        absent = {"X-Ostraka-Tenant": "absent"}
        self.expect(404, "not_found", cluster, 1, "POST", "/v1/secrets/o/one", {"value": "x"}, fields=absent)
        for method, path in RESOURCES:
            if is_auth(method, path) and (method != "POST" or "/roles" in path) and path not in (
                    "/v1/tenants", "/v1/tokens/self"):
                fields = {} if "tenant" in path else absent
                self.expect(404, "not_found", cluster, 1, method, target_of(path), self.body_of(method, path),
                            fields=fields)
        for path in ("/v1/identities", "/v1/policies:test", "/v1/tokens"):
            self.expect(404, "not_found", cluster, 2, "POST", path, self.body_of("POST", path), fields=absent)
        self.expect(404, "not_found", cluster, 3, "POST", "/v1/tokens:revoke", {"accessor": "0" * 32})
        for method, path in (("GET", ""), ("POST", ":renew"), ("POST", ":revoke")):
            self.expect(404, "not_found", cluster, 3, method, "/v1/tokens/self" + path)

        for status in (201, 409):
            self.expect(status, None, cluster, 1, "POST", "/v1/tenants", {"name": "t"})
        self.expect(200, None, cluster, 2, "GET", "/v1/tenants")
        for name in ("t", "default"):
            self.expect(200, None, cluster, 3, "GET", "/v1/tenants/" + name)
        self.expect(200, None, cluster, 4, "PATCH", "/v1/tenants/t", {"limits": {"secrets": 5}})
        there = {"X-Ostraka-Tenant": "t"}
        body = AUTH_BODIES["PUT", "/v1/policies/{policy}"]
        self.expect(200, None, cluster, 1, "PUT", "/v1/policies/p", body, fields=there)
        self.expect(409, "version_mismatch", cluster, 1, "PUT", "/v1/policies/p",
                    {**body, "expected_version": 7}, fields=there)
        self.expect(200, None, cluster, 2, "GET", "/v1/policies/p", fields=there)
        self.expect(200, None, cluster, 3, "GET", "/v1/policies", fields=there)
        self.expect(200, None, cluster, 4, "POST", "/v1/policies:test",
                    AUTH_BODIES["POST", "/v1/policies:test"], fields=there)
        self.expect(409, "not_empty", cluster, 5, "DELETE", "/v1/tenants/t")
        self.identities_and_tokens(cluster, there)
        self.expect(409, "version_mismatch", cluster, 1, "DELETE", "/v1/policies/p?expected_version=7", fields=there)
        self.expect(200, None, cluster, 1, "DELETE", "/v1/policies/p", fields=there)
        self.expect(200, None, cluster, 1, "DELETE", "/v1/tenants/t")
        self.expect(201, None, cluster, 1, "POST", "/v1/tenants", {"name": "purged"})
        self.expect(202, None, cluster, 2, "DELETE", "/v1/tenants/purged?purge=true")
        self.expect(200, None, cluster, 3, "GET", "/v1/tenants/purged")

    def identities_and_tokens(self, cluster, there):
        identity = self.expect(201, None, cluster, 1, "POST", "/v1/identities",
                               {"name": "x", "kind": "device", "policies": ["p"], "metadata": {"a": "b"}},
                               fields=there).json()["id"]
        own = "/v1/identities/" + identity
        self.expect(200, None, cluster, 2, "GET", own, fields=there)
        self.expect(200, None, cluster, 3, "GET", "/v1/identities", fields=there)
        self.expect(200, None, cluster, 4, "PATCH", own, {"name": "y"}, fields=there)
        tokens = [self.expect(201, None, cluster, 5, "POST", "/v1/tokens",
                              {"identity": identity, "renewable": True}, fields=there).json() for _ in "ab"]
        token = tokens[0]["token"]
        self.expect(404, "not_found", cluster, 1, "GET", "/v1/secrets", token=token,
                    fields={"X-Ostraka-Tenant": "absent"})
        self.expect(404, "not_found", cluster, 1, "GET", "/v1/tenants", token=token)
        self.expect(404, "not_found", cluster, 1, "POST", "/v1/tenants", {"name": "made"}, token=token)
        self.expect(200, None, cluster, 1, "GET", "/v1/tokens/self", token=token)
        self.expect(200, None, cluster, 2, "POST", "/v1/tokens/self:renew", token=token)
        self.expect(200, None, cluster, 2, "POST", "/v1/tokens/self:revoke", token=token)
        self.expect(401, "unauthenticated", cluster, 3, "GET", "/v1/tokens/self", token=token)
        self.expect(200, None, cluster, 4, "POST", "/v1/tokens:revoke", {"accessor": tokens[1]["accessor"]})
        self.logins(cluster, identity, there)
        self.made_under_keys(cluster, identity, there)
        self.expect(200, None, cluster, 5, "DELETE", own, fields=there)

    def made_under_keys(self, cluster, identity, there):
        key = {"Idempotency-Key": "record"}
        for path, body, other, fields in (
                ("/v1/tenants", {"name": "keyed"}, {"name": "keyed", "limits": {"versions": 3}}, key),
                ("/v1/identities", {"name": "keyed", "kind": "user"}, {"name": "other", "kind": "user"}, {**key, **there}),
                ("/v1/auth/roles", {"identity": identity}, {"identity": identity, "ttl": 60}, {**key, **there})):
            made = [self.expect(201, None, cluster, node, "POST", path, body, fields=fields).json() for node in (1, 2)]
            self.assertEqual(made[0], made[1])
            self.expect(422, "idempotency_key_reused", cluster, 3, "POST", path, other, fields=fields)
            if "kind" in body:
                self.expect(200, None, cluster, 1, "DELETE", "/v1/identities/" + made[0]["id"], fields=there)
                self.expect(409, "result_gone", cluster, 2, "POST", path, body, fields=fields)
            elif "identity" in body:
                self.expect(200, None, cluster, 1, "DELETE", "/v1/auth/roles/" + made[0]["role_id"], fields=there)

    def logins(self, cluster, identity, there):
        roles, issuers, ca = "/v1/auth/roles", "/v1/auth/issuers", "/v1/auth/ca"
        role = self.expect(201, None, cluster, 1, "POST", roles, {"identity": identity}, fields=there).json()["role_id"]
        own = roles + "/" + role
        made = self.expect(201, None, cluster, 2, "POST", own + "/secret-ids", {"ttl": 60}, fields=there).json()
        body = {"role_id": role, "secret_id": made["secret_id"]}
        self.expect(200, None, cluster, 3, "POST", LOGINS[0], body, fields=there, token=None)
        for path in LOGINS:
            self.expect(401, "unauthenticated", cluster, 4, "POST", path, AUTH_BODIES["POST", path], token=None)
        self.expect(200, None, cluster, 4, "GET", own, fields=there)
        self.expect(200, None, cluster, 5, "GET", roles, fields=there)
        self.expect(200, None, cluster, 1, "POST", own + "/secret-ids:revoke", {"accessor": made["accessor"]},
                    fields=there)
        self.expect(200, None, cluster, 2, "DELETE", own, fields=there)
        token = self.expect(201, None, cluster, 5, "POST", "/v1/tokens", {"identity": identity}, fields=there).json()
        self.expect(404, "not_found", cluster, 1, "GET", roles, token=token["token"])
        issuer = self.expect(200, None, cluster, 3, "PUT", issuers, ISSUER, fields=there).json()["id"]
        for path, body in ((issuers, ISSUER), (ca, AUTHORITY)):
            self.expect(409, "version_mismatch", cluster, 4, "PUT", path, {**body, "expected_version": 7}, fields=there)
        self.expect(200, None, cluster, 5, "GET", issuers, fields=there)
        self.expect(200, None, cluster, 1, "GET", issuers + "/" + issuer, fields=there)
        self.expect(200, None, cluster, 2, "DELETE", issuers + "/" + issuer, fields=there)
        self.expect(200, None, cluster, 3, "PUT", ca, AUTHORITY, fields=there)
        self.expect(200, None, cluster, 4, "GET", ca, fields=there)
        self.expect(200, None, cluster, 4, "PUT", ca + "/crl", SECOND_LIST, fields=there)
        self.expect(409, "version_mismatch", cluster, 4, "PUT", ca + "/crl", FIRST_LIST, fields=there)
        self.expect(200, None, cluster, 5, "GET", ca + "/crl", fields=there)
        self.expect(200, None, cluster, 5, "DELETE", ca + "/crl", fields=there)
        self.expect(200, None, cluster, 5, "DELETE", ca, fields=there)

    def operations_resources(self, cluster):
        for node in cluster.nodes():
            self.expect(200, None, cluster, node, "GET", "/v1/health", token=None)
            self.expect(200, None, cluster, node, "GET", "/v1/status")
            self.expect(200, None, cluster, node, "GET", "/metrics")
        for method, path in RESOURCES:
            if method == "GET":
                get = self.recorder.send(cluster, 1, "GET", target_of(path))
                answer = self.recorder.send(cluster, 1, "HEAD", target_of(path))
                self.assertEqual(answer.status, get.status)
        self.expect(404, "no_such_resource", cluster, 1, "GET", "/v1/audit/export?node=none")
        given = "an-id-of-mine"
        answer = self.expect(200, None, cluster, 1, "GET", "/v1/health",
                             fields={"X-Request-Id": given})
        self.assertEqual(answer.header["x-request-id"], given)

    def refusals(self, cluster, node, method, path):
        """What every resource refuses, whatever it is."""
        target, body = target_of(path), self.body_of(method, path)
        if SPEC.operation(path, method).get("security") != []:
            answers = {self.expect(401, "unauthenticated", cluster, node, method, target, body,
                                   token=token, fields={"X-Request-Id": "same"}).content
                       for token in (None, "wrong", "Basic")}
            self.assertEqual(len(answers), 1, "one answer for every reason")
        self.expect(400, "bad_parameter", cluster, node, method, target + "?unknown=1", body)
        self.expect(400, "bad_parameter", cluster, node, method, target, body,
                    fields={"X-Ostraka-Tenant": "No Tenant"})
        self.expect(400, "bad_request", cluster, node, method, target, body,
                    fields={"Transfer-Encoding": "gzip"})
        self.expect(413, "too_large", cluster, node, method, target,
                    fields={"Content-Length": str(BODY_BYTES_MAX + 1)})
        self.expect(431, "headers_too_large", cluster, node, method, target,
                    fields={"X-Long": "x" * 40000})
        if "{name}" in path:
            self.expect(400, "bad_name", cluster, node, method, target_of(path, "a//b"), body)
        if body:
            self.expect(400, "bad_json", cluster, node, method, target, b"{")
            self.expect(411, "length_required", cluster, node, method, target)
            # names of copies are limited by themselves
            if path not in ("/v1/copy", "/v1/versions/{name}"):
                self.expect(413, "too_large", cluster, node, method, target,
                            self.large_body_of(path))
            self.expect(415, "unsupported_media_type", cluster, node, method, target, body,
                        fields={"Content-Type": "text/html"})
        else:
            self.expect(400, "bad_request", cluster, node, method, target, {"a": 1})
        if method in ("POST", "PUT", "DELETE", "PATCH") and not is_auth(method, path):
            self.expect(400, "bad_parameter", cluster, node, method, target, body,
                        fields={"Idempotency-Key": "k" * 129})

    def other_paths_and_methods(self, cluster):
        for target in ("/", "/v1/nothing", "/v1/secretsx/a", "/v1/health/x", "/metrics/"):
            self.expect(404, "no_such_resource", cluster, 1, "GET", target)
        for path in SPEC.root["paths"]:
            for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
                if not SPEC.operation(path, method):
                    answer = self.expect(405, "method_not_allowed", cluster, 2, method,
                                         target_of(path), fields={"Content-Length": "0"})
                    allowed = set(answer.header["allow"].split(", ")) - {"HEAD"}
                    self.assertEqual(allowed, {m for m, p in RESOURCES if p == path})

    def late_requests(self, cluster):
        """All at once, since each takes as long as the server waits for a head."""
        def late(method, path):
            try:
                self.expect(408, "request_timeout", cluster, 1, method, target_of(path),
                            tail=b"\r\n")
            except (AssertionError, Failed) as error:
                self.recorder.faults.append("late %s %s: %s" % (method, path, error))
        threads = [threading.Thread(target=late, args=resource) for resource in RESOURCES]
        for thread in threads:
            thread.start()
        return threads

    def too_many_bodies(self, cluster, node):
        """Bodies that do not come fill what is admitted; whoever brings one more is told to wait."""
        held = []
        try:
            for i in range(BODIES_IN_PROGRESS):
                connection = connect(cluster, node)
                held.append(connection)
                connection.sendall(head("POST", "/v1/secrets/held/%d" % i, {
                    "Authorization": "Bearer " + cluster.token, "Content-Length": BODY_BYTES_MAX,
                    "Content-Type": "application/json"}) + b"\r\n\r\n")

            def full():
                answer = self.recorder.send(cluster, node, "GET", "/v1/health",
                                            fields={"Content-Length": "1"}, tail=b"\r\n\r\n1")
                return answer.status == 503
            wait_until(full, 10, "bodies no longer admitted")
            for method, path in RESOURCES:
                self.expect(503, "busy", cluster, node, method, target_of(path),
                            fields={"Content-Length": "1"}, tail=b"\r\n\r\n1")
        finally:
            for connection in held:
                connection.close()

    # -- nodes missing --

    def with_nodes_away(self, cluster):
        for name in ("away", "later"):
            self.expect(201, None, cluster, 1, "POST", "/v1/secrets/o/" + name, {"value": "x"})
        for node in (4, 5):
            cluster.kill9(node)
        answer = self.expect(202, None, cluster, 1, "DELETE", "/v1/secrets/o/away").json()
        self.assertLess(answer["erased_on"], answer["required"])
        self.expect(200, None, cluster, 2, "GET", "/v1/deletions/o/away")
        answer = self.expect(202, None, cluster, 1, "POST", "/v1/versions/o/later",
                             {"destroy": [1]}).json()
        self.assertLess(answer["erased_on"], answer["required"])
        self.expect(200, None, cluster, 1, "PUT", "/v1/secrets/o/later", {"value": "y"})
        cluster.kill9(3)
        name = "o/later"
        self.expect(200, None, cluster, 1, "GET", "/v1/secrets/o/later?consistency=stale")
        wait_until(lambda: not cluster.ready(1), 10, "n1 says that it is not ready")
        answer = self.expect(503, None, cluster, 1, "GET", "/v1/health").json()
        self.assertEqual((answer["status"], answer["quorum"]), ("not_ready", False))
        self.assertTrue(answer["reasons"])
        self.assertFalse(self.expect(200, None, cluster, 1, "GET", "/v1/status").json()["quorum"])

        def fails(method, path):
            try:
                error = self.expect(503, "no_quorum", cluster, 1, method, target_of(path, name),
                                    self.body_of(method, path)).json()["error"]
                self.assertEqual((error.get("phase"), error["retry"]),
                                 ("voting" if method != "GET" and path not in ("/v1/env", "/v1/copy") else None,
                                  "safe"))
            except (AssertionError, Failed) as error:
                self.recorder.faults.append("%s %s: %s" % (method, path, error))
        threads = [threading.Thread(target=fails, args=resource) for resource in RESOURCES
                   if "{name}" in resource[1] or resource[1] in ("/v1/batch", "/v1/env", "/v1/secrets", "/v1/copy")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    # -- a single node, with a master key --

    def without_the_master_key(self, cluster):
        key = os.path.join(cluster.node_directory(1), "master.key")
        with open(key) as file:
            kept = file.read()
        for content, code in ((None, "master_key_unavailable"), ("00" * 32 + "\n",
                                                                 "master_key_incorrect")):
            cluster.stop(1)
            if content is None:
                os.remove(key)
            else:
                with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                    file.write(content)
            cluster.start(1)
            wait_until(lambda: self.answers(cluster), 20, "n1 answers")
            answer = self.expect(503, None, cluster, 1, "GET", "/v1/health", token=None).json()
            self.assertTrue(answer["sealed"])
            for method in ("POST", "PUT", "GET"):
                self.expect(503, code, cluster, 1, method, "/v1/secrets/o/one",
                            self.body_of(method))
            self.expect(503, code, cluster, 1, "POST", "/v1/batch",
                        self.body_of("POST", "/v1/batch"))
            self.expect(200, None, cluster, 1, "GET", "/v1/history/o/one")
        cluster.stop(1)
        with open(key, "w") as file:
            file.write(kept)

    def answers(self, cluster):
        try:
            return cluster.request(1, "GET", "/v1/health", token=None, timeout=3)
        except Failed:
            return None

    def make_identity_records(self, cluster):
        """The id of an identity, and its token."""
        self.expect(201, None, cluster, 1, "POST", "/v1/tenants", {"name": "t"})
        self.expect(200, None, cluster, 1, "PUT", "/v1/policies/p", AUTH_BODIES["PUT", "/v1/policies/{policy}"])
        identity = self.expect(201, None, cluster, 1, "POST", "/v1/identities",
                               {"name": "x", "kind": "user", "policies": ["operator"]}).json()["id"]
        token = self.expect(201, None, cluster, 1, "POST", "/v1/tokens",
                            {"identity": identity, "renewable": True}).json()
        role = self.expect(201, None, cluster, 1, "POST", "/v1/auth/roles", {"identity": identity}).json()["role_id"]
        secret = self.expect(201, None, cluster, 1, "POST", "/v1/auth/roles/%s/secret-ids" % role, {}).json()
        issuer = self.expect(200, None, cluster, 1, "PUT", "/v1/auth/issuers", ISSUER).json()["id"]
        self.expect(200, None, cluster, 1, "PUT", "/v1/auth/ca", AUTHORITY)
        self.expect(200, None, cluster, 1, "PUT", "/v1/auth/ca/crl", FIRST_LIST)
        return identity, token, role, secret, issuer

    def identity_records_with_a_full_disk(self, cluster, identity, token, role, secret, issuer):
        for method, path in RESOURCES:
            if not is_auth(method, path) or method == "GET" or path == "/v1/policies:test" or path in LOGINS[1:]:
                continue
            body = AUTH_BODIES.get((method, path))
            if path == "/v1/tokens":
                body = {"identity": identity}
            if path == "/v1/auth/roles":
                body = {"identity": identity}
            if path == LOGINS[0]:
                body = {"role_id": role, "secret_id": secret["secret_id"]}
            if path.endswith("/secret-ids:revoke"):
                body = {"accessor": secret["accessor"]}
            if path == "/v1/tokens:revoke":
                body = {"accessor": token["accessor"]}
            options = {"token": token["token"]} if "self" in path else {}
            target = path.replace("{identity}", identity).replace("{tenant}", "t").replace("{policy}", "p")
            target = target.replace("{role}", role).replace("{issuer}", issuer)
            self.expect(507, "disk_full", cluster, 1, method, target, body, **options)

    def with_a_full_disk(self, cluster, made):
        free = shutil.disk_usage(tempfile.gettempdir()).free // 2**20
        if 2 * free >= 2**20:  # the option ends at 1 TiB
            return False
        cluster.set_server_option("disk_free_min_mb", 2 * free)  # below the reserve, above its quarter
        cluster.start(1)
        wait_until(lambda: self.answers(cluster), 20, "n1 answers")
        for method, name in (("POST", "o/full"), ("PUT", "o/one"), ("DELETE", "o/one")):
            self.expect(507, "disk_full", cluster, 1, method, "/v1/secrets/" + name,
                        self.body_of(method))
        self.expect(507, "disk_full", cluster, 1, "POST", "/v1/batch",
                    self.body_of("POST", "/v1/batch"))
        self.expect(507, "disk_full", cluster, 1, "POST", "/v1/env", {"content": "A=enc('x')"})
        self.identity_records_with_a_full_disk(cluster, *made)
        self.expect(507, "disk_full", cluster, 1, "POST", "/v1/copy", {"from": "o/one", "to": "o/c"})
        self.expect(507, "disk_full", cluster, 1, "POST", "/v1/versions/o/one", {"delete": [1]})
        self.expect(507, "disk_full", cluster, 1, "PATCH", "/v1/metadata/o/one",
                    {"max_versions": 2})
        self.expect(200, None, cluster, 1, "GET", "/v1/secrets/o/one")
        return True

    def with_one_node(self, cluster):
        cluster.start(1, wait=True)
        self.expect(201, None, cluster, 1, "POST", "/v1/secrets/o/one", {"value": "x"})
        status = self.expect(200, None, cluster, 1, "GET", "/v1/status").json()
        self.assertEqual(status["cluster"]["seal"], "file")
        made = self.make_identity_records(cluster)
        self.expect(201, None, cluster, 1, "POST", "/v1/tenants", {"name": "full", "limits": {"secrets": 1}})
        full = {"X-Ostraka-Tenant": "full"}
        self.expect(201, None, cluster, 1, "POST", "/v1/secrets/one", {"value": "x"}, fields=full)
        self.expect(507, "tenant_full", cluster, 1, "POST", "/v1/secrets/two", {"value": "x"}, fields=full)
        self.without_the_master_key(cluster)
        return self.with_a_full_disk(cluster, made)

    def test_every_response(self):
        with Cluster(5, 2) as cluster:
            threads = self.late_requests(cluster)
            try:
                self.life_of_a_secret(cluster)
                self.batches(cluster)
                self.lists(cluster)
                self.copies(cluster)
                self.alterations(cluster)
                self.env(cluster)
                self.tenants_and_policies(cluster)
                self.operations_resources(cluster)
                for number, (method, path) in enumerate(RESOURCES):
                    self.refusals(cluster, number % 5 + 1, method, path)
                self.other_paths_and_methods(cluster)
                self.too_many_bodies(cluster, 2)
            finally:
                for thread in threads:
                    thread.join()
            self.with_nodes_away(cluster)
            self.assertEqual(cluster.sanitizer_reports(), [])
        single = SealedCluster(1)
        try:
            disk = self.with_one_node(single.create())
            self.assertEqual(single.sanitizer_reports(), [])
        finally:
            single.close()
        if not self.recorder.faults:
            self.compare(disk)

    def compare(self, disk):
        """What was seen is what is written."""
        missing, needless = [], []
        for path, method, _ in SPEC.operations():
            for status in SPEC.responses(path, method):
                name = "%s %s" % (method, path)
                if status == 507 and not disk:
                    continue
                excused = (name, status) in NOT_PROVOKED or (None, status) in NOT_PROVOKED
                if ((name, status) in self.recorder.seen) == excused:
                    (needless if excused else missing).append((name, status))
        self.assertEqual(missing, [], "in the specification and never seen")
        self.assertEqual(needless, [], "seen, and yet in NOT_PROVOKED")
        codes = set(error_codes()) - set(CODES_NOT_PROVOKED)
        if not disk:
            codes -= {"disk_full", "tenant_full"}
        self.assertEqual(codes - self.recorder.codes, set())

    def test_bodies_are_taken_as_the_schema_says(self):
        """The schemas of requests and the server agree on what is a body."""
        bodies = [{"value": "x"}, {"value": ""}, {"value": "eA==", "encoding": "base64"},
                  {"value": "x", "encoding": "text"}, {}, {"value": 1}, {"value": None},
                  {"value": ["x"]}, {"value": "x", "encoding": "utf-8"},
                  {"value": "x", "encoding": None}, {"value": "x", "more": 1},
                  {"value": "x", "expected_version": 1}, {"value": "x", "expected_version": 0},
                  {"value": "x", "expected_version": -1}, {"value": "x", "expected_version": "1"},
                  {"value": "x", "expected_version": True},
                  {"value": "x", "expected_version": None},
                  {"value": "x", "expected_version": 2**63 - 1},
                  {"value": "x", "expected_version": 2**63}, [], "x", None, 1]
        with Cluster(1) as cluster:
            for method in ("POST", "PUT"):
                schema = SPEC.operation(SECRET, method)["requestBody"]["content"][
                    "application/json"]["schema"]
                for number, body in enumerate(bodies):
                    target = "/v1/secrets/o/%d" % number
                    if method == "PUT":
                        self.recorder.send(cluster, 1, "POST", target, {"value": "first"})
                    data = json.dumps(body).encode()
                    answer = self.recorder.send(cluster, 1, method, target, data)
                    valid = not list(SPEC.faults(body, schema))
                    self.assertEqual(answer.status in (200, 201, 409), valid, (method, body))
                    self.assertEqual(answer.status == 400, not valid, (method, body))
                    self.recorder.send(cluster, 1, "DELETE", target)

    def test_parameters_are_taken_as_the_schema_says(self):
        values = {"integer": ["1", "2", "1000", "1001", "0", "-1", "x", "", "01",
                              str(2**63 - 1), str(2**63)],
                  "date-time": ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678+02:00",
                                "2026-01-02", "now", ""],
                  "enum": ["linearizable", "stale", "Stale", "", "both", "expand", "Both", "true", "false", "True"],
                  "string": ["", "x", "a" * 512, "a" * 513],
                  "header": ["default", "a" * 64, "a" * 65, "-a", "A", "a b"]}
        with Cluster(1) as cluster:
            self.recorder.send(cluster, 1, "POST", "/v1/secrets/o/one", {"value": "x"})
            for path, method, _ in SPEC.operations():
                parameters = {**SPEC.parameters(path, method, "query"),
                              **SPEC.parameters(path, method, "header")}
                parameters.pop("after", None)  # opaque
                parameters.pop("X-Request-Id", None)  # never refused
                for name, parameter in parameters.items():
                    self.take_values(cluster, method, path, parameter, values)

    def take_values(self, cluster, method, path, parameter, values):
        schema = parameter["schema"]
        schema = SPEC.at(schema)
        kind = "header" if parameter["in"] == "header" else schema.get("format")
        if kind not in values:
            kind = "enum" if "enum" in schema else schema["type"]
        for text in values[kind]:
            value = text
            if kind == "integer":
                value = int(text) if re.fullmatch(r"0|-?[1-9][0-9]*", text) else text
            try:
                valid = not list(SPEC.faults(value, schema))
            except ValueError:
                valid = False
            fields, target = {}, target_of(path)
            if kind == "header":
                fields = {parameter["name"]: text}
            else:
                target += "?%s=%s" % (parameter["name"], text)
            answer = self.recorder.send(cluster, 1, method, target,
                                        self.body_of(method, path), fields)
            refused = answer.status == 400
            self.assertEqual(refused, not valid, (method, target, fields, answer.content[:200]))


class SealedCluster(Cluster):
    """With a master key in a file, in the folder of each node."""

    def create(self):
        subprocess.run([self.program, "cluster", "create", "--nodes", str(self.n), "--base-port",
                        str(self.base_port), "--dir", self.directory, "--seal", "file"],
                       check=True, capture_output=True, env=clean_environment(),
                       timeout=60 * SLOW)
        with open(self.token_file()) as file:
            self.token = file.read().strip()
        return self


if __name__ == "__main__":
    unittest.main()
