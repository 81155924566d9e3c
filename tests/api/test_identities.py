"""Tenants, policies, identities and tokens, by three real processes: who may do what, at every node."""

import concurrent.futures
import time
import unittest

from identity_cluster import DEADLINE, NODES, NOWHERE, IdentityCluster
from ostraka_cluster import ADMIN, SLOW, Failed, wait_until


class Identities(IdentityCluster):
    def names(self):
        """A tenant, policy and prefix of this test's own."""
        return self.id().rsplit(".", 1)[-1].replace("_", "-")[5:60]

    def make_token(self, identity, tenant=None, token=ADMIN, node=1, **more):
        body = {"identity": identity, **more} if identity else more
        return self.call(201, node, "POST", "/v1/tokens", body, tenant=tenant, token=token)

    def make_caller(self, *rules, tenant=None, **more):
        """A token of an identity with one policy of these rules."""
        name = self.names()
        self.make_policy(name, *rules, tenant=tenant)
        return self.make_token(self.make_identity(name, name, tenant=tenant), tenant, **more)["token"]

    def works(self, token, path, nodes=None):
        return [self.ask(node, "GET", path, token=token)[0] for node in nodes or self.cluster.nodes()]

    # ---- records ----

    def test_policies_are_versioned(self):
        rules = [{"path": "a/**", "capabilities": ["read"], "cidrs": ["127.0.0.0/8"],
                  "not_before": "08:00"}]
        made = self.call(200, 1, "PUT", "/v1/policies/versioned", {"rules": rules})
        self.assertEqual(made, {"name": "versioned", "version": 1, "rules": rules})
        for node in self.cluster.nodes():
            self.assertEqual(self.call(200, node, "GET", "/v1/policies/versioned"), made)
        other = [{"path": "b", "capabilities": ["deny"]}]
        body = {"rules": other, "expected_version": 2}
        error = self.call(409, 2, "PUT", "/v1/policies/versioned", body)["error"]
        self.assertEqual(error["code"], "version_mismatch")
        self.assertEqual(self.call(200, 2, "PUT", "/v1/policies/versioned",
                                   {"rules": other, "expected_version": 1})["version"], 2)
        self.call(409, 3, "DELETE", "/v1/policies/versioned?expected_version=1")
        self.call(200, 3, "DELETE", "/v1/policies/versioned?expected_version=2")
        self.call(404, 1, "GET", "/v1/policies/versioned")
        self.call(404, 1, "DELETE", "/v1/policies/versioned")

    def test_bodies_are_checked(self):
        for method, path, body, word in (
                ("PUT", "/v1/policies/x", {"rules": []}, "rule"),
                ("PUT", "/v1/policies/x", {"rules": [{"path": "a", "capabilities": ["read"]},
                                                     {"path": "a*", "capabilities": ["read"]}]}, "rule 2"),
                ("PUT", "/v1/policies/operator", {"rules": []}, ""),
                ("PUT", "/v1/policies/X", {"rules": []}, "name"),
                ("POST", "/v1/identities", {"name": "x", "kind": "dog"}, "kind"),
                ("POST", "/v1/identities", {"name": "x", "kind": "user", "more": 1}, "member"),
                ("GET", "/v1/identities/" + NOWHERE.upper(), None, "name"),
                ("POST", "/v1/tokens", {"ttl": 60}, "identity"),
                ("POST", "/v1/tokens", {"identity": NOWHERE, "ttl": 0}, "ttl"),
                ("POST", "/v1/tokens:revoke", {"accessor": "12"}, "accessor"),
                ("POST", "/v1/tenants", {"name": "Bad"}, "name"),
                ("POST", "/v1/tenants", {"name": "x", "limits": {"secrets": -1}}, "limit"),
                ("POST", "/v1/tenants", b"{", "JSON"),
                ("GET", "/v1/tenants?limit=0", None, "limit"),
                ("GET", "/v1/tenants?after=x", None, "after"),
                ("GET", "/v1/tenants?prefix=x", None, ""),
                ("GET", "/v1/tenants/x?limit=1", None, "")):
            error = self.call(400, 1, method, path, body)["error"]
            self.assertIn(word, error["message"], (path, body))
        for method, path in (("POST", "/v1/policies"), ("PUT", "/v1/tenants"), ("PATCH", "/v1/policies/x"),
                             ("GET", "/v1/tokens"), ("DELETE", "/v1/tokens/self")):
            status, headers, _ = self.cluster.request(1, method, path)
            self.assertEqual(status, 405)
            self.assertNotIn(method, headers["allow"].split(", "))
        self.call(404, 1, "GET", "/v1/tokens/other")

    def test_identities_are_changed_in_parts(self):
        made = self.call(201, 1, "POST", "/v1/identities",
                         {"name": "Ann", "kind": "user", "policies": ["p"], "metadata": {"team": "a"}})
        self.assertEqual({k: made[k] for k in ("name", "kind", "disabled", "policies", "tenants", "metadata")},
                         {"name": "Ann", "kind": "user", "disabled": False, "policies": ["p"], "tenants": [],
                          "metadata": {"team": "a"}})
        path = "/v1/identities/" + made["id"]
        self.assertEqual(self.call(200, 2, "GET", path), made)
        changed = self.call(200, 3, "PATCH", path, {"policies": ["q", "p"], "disabled": True})
        self.assertEqual(changed, {**made, "policies": ["q", "p"], "disabled": True})
        self.call(400, 3, "PATCH", path, {"kind": "device"})
        self.assertEqual(self.call(200, 1, "GET", path), changed)
        self.assertEqual(self.call(200, 1, "DELETE", path), {"id": made["id"]})
        for node in self.cluster.nodes():
            self.call(404, node, "GET", path)
        self.call(404, 1, "PATCH", path, {"disabled": False})

    def test_changes_at_once_are_all_there(self):
        identity = self.make_identity("counted")
        path = "/v1/identities/" + identity

        def change(number):
            return self.call(200, number % NODES + 1, "PATCH", path, {"metadata": {"n": str(number)}})

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(change, range(8)))
        last = self.call(200, 1, "GET", path)["metadata"]["n"]
        self.assertEqual([a["metadata"]["n"] for a in answers], [str(n) for n in range(8)])
        self.assertIn(last, [str(n) for n in range(8)])

    def test_lists_are_paged(self):
        tenant = self.names()
        self.make_tenant(tenant)
        for name in ("c", "a", "b", "d", "e"):
            self.make_policy(name, ("x", ["read"]), tenant=tenant)
        found, after = [], ""
        while True:
            page = self.call(200, 2, "GET", "/v1/policies?limit=2" + after, tenant=tenant)
            found += page["policies"]
            if "next" not in page:
                break
            self.assertEqual(len(page["policies"]), 2)
            after = "&after=" + page["next"]
        self.assertEqual(found, [{"name": name, "version": 1} for name in "abcde"])
        ids = {self.make_identity("i%d" % i, tenant=tenant) for i in range(3)}
        page = self.call(200, 1, "GET", "/v1/identities", tenant=tenant)
        self.assertEqual({i["id"] for i in page["identities"]}, ids)
        self.assertIn(tenant, [t["name"] for t in self.call(200, 3, "GET", "/v1/tenants")["tenants"]])

    # ---- what a token may do ----

    def test_matrix_of_policies_and_operations(self):
        """Each capability alone allows its operation and no other; what may not even be known is 404."""
        prefix = self.names()
        everything = {"create": ("POST", "/v1/secrets/", {"value": "x"}, (201,)),
                      "read": ("GET", "/v1/secrets/", None, (200,)),
                      "update": ("PUT", "/v1/secrets/", {"value": "y"}, (200,)),
                      "history": ("GET", "/v1/history/", None, (200,)),
                      "delete": ("DELETE", "/v1/secrets/", None, (200, 202))}
        for number, given in enumerate([*everything, "list", "none"]):
            name = "matrix-" + given
            rules = [(prefix + "/**", [given])] if given != "none" else [(prefix + "-else/**", ["read"])]
            self.make_policy(name, *rules)
            token = self.make_token(self.make_identity(name, name))["token"]
            tells = given in ("read", "list", "history")
            for asked, (method, route, body, good) in everything.items():
                secret = "%s/%s-%s" % (prefix, given, asked)
                if asked != "create":
                    self.call(201, 1, "POST", "/v1/secrets/" + secret, {"value": "x"})
                status, answer = self.ask(number % NODES + 1, method, route + secret, body, token=token)
                if given == asked:
                    self.assertIn(status, good, (given, asked, answer))
                else:
                    self.assertEqual(status, 403 if tells else 404, (given, asked, answer))
            listed = self.call(200, 2, "GET", "/v1/secrets?limit=1000&prefix=" + prefix, token=token)["names"]
            self.assertEqual(len(listed) > 0, given == "list", listed)

    def test_what_may_not_be_seen_is_as_what_is_not(self):
        prefix = self.names()
        token = self.make_caller((prefix + "/own/**", ["read", "create"]))
        self.call(201, 1, "POST", "/v1/secrets/%s/hidden" % prefix, {"value": "x"})
        headers = {"X-Request-Id": "the-same"}
        answers = []
        for path in ("/v1/secrets/%s/hidden", "/v1/secrets/%s/absent", "/v1/secrets/%s/own/absent"):
            status, _, answer = self.cluster.request(2, "GET", path % prefix, None, headers, token)
            answers.append((status, answer))
        self.assertEqual(answers, [answers[0]] * 3)
        self.assertEqual(answers[0][0], 404)

        policy = self.names()
        seen = self.cluster.request(1, "GET", "/v1/policies/" + policy, None, headers, token)
        unseen = self.cluster.request(1, "GET", "/v1/policies/absent", None, headers, token)
        really = self.cluster.request(1, "GET", "/v1/policies/absent", None, headers)
        self.assertEqual(seen[0], 404)
        self.assertEqual([seen[2], unseen[2]], [really[2]] * 2)
        for method, path, body in (
                ("GET", "/v1/tenants", None), ("POST", "/v1/tenants", {"name": "mine"}),
                ("GET", "/v1/tenants/default", None), ("GET", "/v1/identities", None),
                ("POST", "/v1/identities", {"name": "x", "kind": "user", "policies": ["operator"]}),
                ("PUT", "/v1/policies/" + policy, {"rules": [{"path": "**", "capabilities": ["read"]}]}),
                ("DELETE", "/v1/policies/" + policy, None),
                ("POST", "/v1/policies:test", {"policies": [policy], "operation": "read", "name": "a"}),
                ("POST", "/v1/tokens", {"identity": NOWHERE}),
                ("POST", "/v1/tokens:revoke", {"accessor": "0" * 32})):
            self.call(404, 3, method, path, body, token=token)
        for bad in ("ost_nonsense", "ost_" + "A" * 48, None, "x"):
            self.call(401, 1, "GET", "/v1/tokens/self", token=bad)
            self.call(401, 1, "GET", "/v1/policies/" + policy, token=bad)
            self.call(401, 1, "POST", "/v1/tokens", {}, token=bad)

    def test_operators_run_the_cluster_and_read_no_secrets(self):
        tenant = self.names()
        operator = self.make_token(self.make_identity("op", "operator"))["token"]
        self.call(201, 1, "POST", "/v1/secrets/" + tenant, {"value": "x"})
        self.call(201, 2, "POST", "/v1/tenants", {"name": tenant}, token=operator)
        rules = {"rules": [{"path": "**", "capabilities": ["read"]}]}
        self.call(200, 3, "PUT", "/v1/policies/all", rules, token=operator, tenant=tenant)
        made = self.call(201, 1, "POST", "/v1/identities",
                         {"name": "x", "kind": "device", "policies": ["all"]}, token=operator, tenant=tenant)
        token = self.make_token(made["id"], tenant, token=operator)["token"]
        self.assertEqual(self.works(token, "/v1/secrets/" + tenant), [404] * NODES)
        self.call(404, 1, "GET", "/v1/secrets/" + tenant, token=operator)
        self.call(409, 1, "DELETE", "/v1/tenants/" + tenant, token=operator)
        self.call(200, 1, "DELETE", "/v1/identities/" + made["id"], token=operator, tenant=tenant)
        self.call(200, 1, "DELETE", "/v1/policies/all", token=operator, tenant=tenant)
        self.call(200, 1, "DELETE", "/v1/tenants/" + tenant, token=operator)

    def test_policies_are_asked_before_they_count(self):
        name = self.names()
        self.make_policy(name, ("a/**", ["read"]), ("a/b", ["deny"]))
        identity = self.make_identity(name, name, "absent", "operator")
        for who in ({"policies": [name]}, {"identity": identity}):
            for secret, operation, expected in (
                    ("a/c", "read", {"allowed": True, "policy": name, "rule": 1}),
                    ("a/b", "read", {"allowed": False, "policy": name, "rule": 2}),
                    ("a/c", "delete", {"allowed": False, "policy": name, "rule": 1}),
                    ("c", "read", {"allowed": False, "policy": None, "rule": None})):
                answer = self.call(200, 2, "POST", "/v1/policies:test",
                                   {**who, "operation": operation, "name": secret})
                self.assertEqual(answer, expected, (who, secret, operation))
        self.call(404, 2, "POST", "/v1/policies:test",
                  {"policies": ["absent"], "operation": "read", "name": "a"})
        self.call(404, 2, "POST", "/v1/policies:test",
                  {"identity": NOWHERE, "operation": "read", "name": "a"})

    def test_a_policy_counts_everywhere_when_it_is_answered(self):
        secret = self.names()
        token = self.make_caller((secret, ["read"]))
        self.call(201, 1, "POST", "/v1/secrets/" + secret, {"value": "x"})
        for number in range(3):
            self.assertEqual(self.works(token, "/v1/secrets/" + secret), [200] * NODES, number)
            self.make_policy(secret, ("else", ["read"]))
            self.assertEqual(self.works(token, "/v1/secrets/" + secret), [404] * NODES, number)
            self.make_policy(secret, (secret, ["read"]))
        identity = self.call(200, 1, "GET", "/v1/tokens/self", token=token)["identity"]
        self.call(200, 2, "PATCH", "/v1/identities/" + identity, {"policies": []})
        self.assertEqual(self.works(token, "/v1/secrets/" + secret), [404] * NODES)

    # ---- tokens ----

    def test_a_token_tells_of_itself(self):
        identity = self.make_identity(self.names())
        made = self.make_token(identity, ttl=600)
        self.assertRegex(made["token"], "^ost_[A-Za-z0-9_-]{48}$")
        self.assertRegex(made["accessor"], "^[0-9a-f]{32}$")
        shown = {key: value for key, value in made.items() if key != "token"}
        for node in self.cluster.nodes():
            self.assertEqual(self.call(200, node, "GET", "/v1/tokens/self", token=made["token"]), shown)
        self.assertEqual(shown["identity"], identity)
        self.assertEqual((shown["tenant"], shown["renewable"]), ("default", False))
        self.call(404, 1, "GET", "/v1/tokens/self")

    def test_revoked_when_it_is_answered(self):
        for way in ("self", "accessor", "identity", "disabled"):
            identity = self.make_identity(way)
            made = self.make_token(identity)
            token = made["token"]
            self.assertEqual(self.works(token, "/v1/tokens/self"), [200] * NODES)
            if way == "self":
                self.assertEqual(self.call(200, 2, "POST", "/v1/tokens/self:revoke", token=token),
                                 {"accessor": made["accessor"]})
            elif way == "accessor":
                body = {"accessor": made["accessor"]}
                self.assertEqual(self.call(200, 2, "POST", "/v1/tokens:revoke", body), body)
                self.call(404, 3, "POST", "/v1/tokens:revoke", body)
            elif way == "identity":
                self.call(200, 2, "DELETE", "/v1/identities/" + identity)
            else:
                self.call(200, 2, "PATCH", "/v1/identities/" + identity, {"disabled": True})
                self.call(403, 2, "POST", "/v1/tokens", {"identity": identity})
            self.assertEqual(self.works(token, "/v1/tokens/self"), [401] * NODES, way)

    def test_an_expired_token_is_none(self):
        token = self.make_token(self.make_identity(self.names()), ttl=1)["token"]
        for node in self.cluster.nodes():
            wait_until(lambda node=node: self.ask(node, "GET", "/v1/tokens/self", token=token)[0] == 401,
                       DEADLINE, "the token expires at n%d" % node)
        self.call(401, 1, "POST", "/v1/tokens/self:renew", token=token)

    def test_policies_of_a_token_narrow_it(self):
        prefix = self.names()
        for name in ("x", "y"):
            self.make_policy(prefix + name, (prefix + "/" + name, ["read"]))
            self.call(201, 1, "POST", "/v1/secrets/%s/%s" % (prefix, name), {"value": name})
        self.make_policy(prefix + "all", ("**", ["read"]))
        identity = self.make_identity(prefix, prefix + "x", prefix + "y")
        wide = self.make_token(identity)["token"]
        narrow = self.make_token(identity, policies=[prefix + "x"])["token"]
        beyond = self.make_token(identity, policies=[prefix + "all"])["token"]
        for token, x, y in ((wide, 200, 200), (narrow, 200, 404), (beyond, 200, 200)):
            self.assertEqual(self.works(token, "/v1/secrets/%s/x" % prefix), [x] * NODES)
            self.assertEqual(self.works(token, "/v1/secrets/%s/y" % prefix), [y] * NODES)
        self.call(201, 1, "POST", "/v1/secrets/%s/z" % prefix, {"value": "z"})
        self.assertEqual(self.works(beyond, "/v1/secrets/%s/z" % prefix), [404] * NODES)

    def test_children_of_an_operator_go_with_their_parent(self):
        operator = self.make_token(self.make_identity("op", "operator"))
        identity = self.make_identity(self.names())
        child = self.make_token(identity, token=operator["token"])
        self.assertEqual(self.works(child["token"], "/v1/tokens/self"), [200] * NODES)
        self.call(200, 3, "POST", "/v1/tokens:revoke", {"accessor": operator["accessor"]})
        self.assertEqual(self.works(child["token"], "/v1/tokens/self"), [401] * NODES)

    def test_children_of_any_token_go_with_their_parent(self):
        prefix = self.names()
        self.make_policy(prefix, (prefix + "/a", ["read"]), (prefix + "/b", ["read"]))
        self.make_policy(prefix + "-a", (prefix + "/a", ["read"]))
        for name in "ab":
            self.call(201, 1, "POST", "/v1/secrets/%s/%s" % (prefix, name), {"value": name})
        identity = self.make_identity(prefix, prefix)
        parent = self.make_token(identity, ttl=3000)
        child = self.make_token(None, token=parent["token"], node=2, policies=[prefix + "-a"], ttl=100000)
        self.assertEqual(child["expires_at"], parent["expires_at"])
        grandchild = self.make_token(identity, token=child["token"], node=3)
        for token in (child, grandchild):
            self.assertEqual(self.works(token["token"], "/v1/secrets/%s/a" % prefix), [200] * NODES)
            self.assertEqual(self.works(token["token"], "/v1/secrets/%s/b" % prefix), [404] * NODES)
        stranger = self.make_token(self.make_identity("stranger"))["token"]
        for token, accessor in ((stranger, child["accessor"]), (child["token"], parent["accessor"]),
                                (grandchild["token"], child["accessor"])):
            self.call(404, 1, "POST", "/v1/tokens:revoke", {"accessor": accessor}, token=token)
        self.call(200, 1, "POST", "/v1/tokens:revoke", {"accessor": child["accessor"]}, token=parent["token"])
        for token, status in ((parent, 200), (child, 401), (grandchild, 401)):
            self.assertEqual(self.works(token["token"], "/v1/tokens/self"), [status] * NODES)
        line = [parent]
        for _ in range(7):
            line.append(self.make_token(None, token=line[-1]["token"]))
        self.call(403, 1, "POST", "/v1/tokens", {}, token=line[-1]["token"])
        self.call(200, 3, "POST", "/v1/tokens/self:revoke", token=parent["token"])
        for token in line:
            self.assertEqual(self.works(token["token"], "/v1/tokens/self"), [401] * NODES)

    def test_renewal(self):
        identity = self.make_identity(self.names())
        made = self.make_token(identity, ttl=1000, renewable=True)
        fixed = self.make_token(identity, ttl=1000)
        self.call(403, 1, "POST", "/v1/tokens/self:renew", token=fixed["token"])
        ends = [made["expires_at"]]
        for node in self.cluster.nodes():
            time.sleep(0.01)
            renewed = self.call(200, node, "POST", "/v1/tokens/self:renew", token=made["token"])
            self.assertEqual(renewed["accessor"], made["accessor"])
            ends.append(renewed["expires_at"])
            for other in self.cluster.nodes():
                self.assertEqual(self.call(200, other, "GET", "/v1/tokens/self", token=made["token"]), renewed)
        self.assertEqual(ends, sorted(ends))
        self.assertGreater(ends[-1], ends[0])
        self.call(404, 1, "POST", "/v1/tokens/self:renew")

    # ---- tenants ----

    def test_tenants_do_not_meet(self):
        name = self.names()
        tokens = {}
        for tenant in (name + "-a", name + "-b"):
            self.make_tenant(tenant)
            everything = ["create", "read", "update", "delete", "list", "history"]
            self.make_policy("all", ("**", everything), tenant=tenant)
            tokens[tenant] = self.make_token(self.make_identity("i", "all", tenant=tenant), tenant)["token"]
        for tenant, token in tokens.items():
            self.call(201, 1, "POST", "/v1/secrets/shared", {"value": tenant}, token=token)
            self.call(201, 2, "POST", "/v1/secrets/only/" + tenant, {"value": tenant}, token=token)
        for tenant, token in tokens.items():
            other, = set(tokens) - {tenant}
            for node in self.cluster.nodes():
                self.assertEqual(self.call(200, node, "GET", "/v1/secrets/shared", token=token)["value"], tenant)
                self.assertEqual(self.call(200, node, "GET", "/v1/secrets/shared", token=token,
                                           tenant=tenant)["value"], tenant)
                self.call(404, node, "GET", "/v1/secrets/shared", token=token, tenant=other)
                self.call(404, node, "GET", "/v1/secrets/only/" + other, token=token)
                self.call(404, node, "GET", "/v1/secrets/shared", token=token, tenant="default")
                self.assertEqual(self.call(200, node, "GET", "/v1/secrets", token=token)["names"],
                                 ["only/" + tenant, "shared"])
                self.call(404, node, "GET", "/v1/secrets", token=token, tenant=other)
                self.assertEqual(len(self.call(200, node, "GET", "/v1/history/shared",
                                               token=token)["versions"]), 1)
                self.call(404, node, "GET", "/v1/history/shared", token=token, tenant=other)
                self.assertEqual(self.call(200, node, "GET", "/v1/secrets/shared",
                                           tenant=tenant)["value"], tenant)
            self.call(404, 1, "PUT", "/v1/secrets/shared", {"value": "stolen"}, token=token, tenant=other)
            self.call(404, 1, "DELETE", "/v1/secrets/shared", token=token, tenant=other)
        first, second = tokens
        status, _ = self.ask(1, "DELETE", "/v1/secrets/shared", token=tokens[first])
        self.assertIn(status, (200, 202))
        self.call(404, 2, "GET", "/v1/secrets/shared", token=tokens[first])
        self.assertEqual(self.call(200, 2, "GET", "/v1/secrets/shared", token=tokens[second])["value"], second)

    def test_an_identity_may_act_in_several_tenants(self):
        name = self.names()
        self.make_tenant(name)
        self.make_policy(name, ("**", ["create", "read"]), tenant=name)
        self.make_policy(name, (name, ["read"]))
        identity = self.make_identity("several", name, tenants=[name])
        token = self.make_token(identity)["token"]
        self.call(403, 1, "POST", "/v1/secrets/" + name, {"value": "x"}, token=token)
        self.call(201, 1, "POST", "/v1/secrets/" + name, {"value": "x"}, token=token, tenant=name)
        self.assertEqual(self.call(200, 2, "GET", "/v1/secrets/" + name, token=token, tenant=name)["value"], "x")
        self.call(404, 2, "GET", "/v1/secrets/" + name, token=token)

    def test_a_tenant_says_how_many_versions_are_kept_and_how_long(self):
        name = self.names()
        self.call(201, 1, "POST", "/v1/tenants", {"name": name, "limits": {"versions": 2}})
        self.call(201, 1, "POST", "/v1/secrets/a", {"value": "1"}, tenant=name)
        for value in "23":
            self.call(200, 2, "PUT", "/v1/secrets/a", {"value": value}, tenant=name)
        history = self.call(200, 3, "GET", "/v1/history/a", tenant=name)["versions"]
        self.assertEqual([row["version"] for row in history], [3, 2])
        for more in (3, None):
            self.call(400, 1, "PATCH", "/v1/metadata/a", {"max_versions": more}, tenant=name)
        self.call(200, 1, "PATCH", "/v1/metadata/a", {"max_versions": 1}, tenant=name)
        self.call(200, 1, "PATCH", "/v1/tenants/" + name, {"limits": {"expires_after": 1}})
        self.call(201, 1, "POST", "/v1/batch", {"create": [{"name": "b", "value": "1"}, {"name": "c", "value": "2"}]},
                  tenant=name)
        self.call(201, 1, "POST", "/v1/secrets/d", {"value": "1"}, tenant=name)
        for secret in "bcd":
            for path, status in (("secrets/", 404), ("deletions/", 200)):
                wait_until(lambda: self.ask(2, "GET", "/v1/" + path + secret, tenant=name)[0] == status,
                           20, "an expired secret is deleted")
        self.assertEqual(self.call(200, 3, "GET", "/v1/secrets/a", tenant=name)["value"], "3")
        self.assertEqual(self.call(200, 1, "GET", "/v1/secrets", tenant=name)["names"], ["a"])
        self.call(201, 2, "POST", "/v1/secrets/b", {"value": "again"}, tenant=name)

    def test_a_tenant_is_deleted_when_it_is_empty(self):
        name = self.names()
        made = self.make_tenant(name)
        self.assertEqual(made["limits"], {"secrets": None, "versions": None, "value_bytes": None,
                                          "requests_per_second": None, "expires_after": None})
        self.call(409, 2, "POST", "/v1/tenants", {"name": name})
        self.make_policy("p", ("**", ["create", "read"]), tenant=name)
        identity = self.make_identity("i", "p", tenant=name)
        token = self.make_token(identity, name)["token"]
        self.call(201, 1, "POST", "/v1/secrets/s", {"value": "x"}, token=token)
        for path in ("/v1/identities/" + identity, "/v1/policies/p", "/v1/secrets/s"):
            error = self.call(409, 3, "DELETE", "/v1/tenants/" + name)["error"]
            self.assertEqual(error["code"], "not_empty")
            self.assertIn(self.ask(1, "DELETE", path, tenant=name)[0], (200, 202))
        self.assertEqual(self.call(200, 3, "DELETE", "/v1/tenants/" + name), {"name": name})
        for node in self.cluster.nodes():
            self.call(404, node, "GET", "/v1/secrets/s", tenant=name)
            self.call(404, node, "GET", "/v1/tenants/" + name)
            self.call(404, node, "GET", "/v1/policies/p", tenant=name)
            self.call(401, node, "GET", "/v1/tokens/self", token=token)
        self.call(403, 1, "DELETE", "/v1/tenants/default")
        self.assertEqual(self.call(200, 1, "GET", "/v1/tenants/default")["limits"]["secrets"], None)

    def fill_tenant(self, name, secrets):
        """A token and a role's login of an identity in it."""
        self.make_tenant(name)
        self.make_policy("p", ("**", ["create", "read", "delete"]), tenant=name)
        identity = self.make_identity("i", "p", tenant=name)
        token = self.make_token(identity, name)["token"]
        for first in range(0, secrets, 50):
            items = [{"name": "s/%d" % number, "value": "x"} for number in range(first, min(first + 50, secrets))]
            self.call(201, 1, "POST", "/v1/batch", {"create": items}, tenant=name)
        role = self.call(201, 1, "POST", "/v1/auth/roles", {"identity": identity}, tenant=name)["role_id"]
        secret = self.call(201, 1, "POST", "/v1/auth/roles/%s/secret-ids" % role, {}, tenant=name)["secret_id"]
        login = {"role_id": role, "secret_id": secret}
        self.call(200, 1, "POST", "/v1/auth/approle:login", login, tenant=name, token=None)
        return token, login

    def purge(self, name, nodes):
        """At these nodes in turn, until it is done."""
        until = time.monotonic() + (DEADLINE + 20) * SLOW
        number = 0
        while True:
            status, answer = self.ask(nodes[number % len(nodes)], "DELETE", "/v1/tenants/%s?purge=true" % name)
            if status == 200:
                return answer
            self.assertEqual(status, 202, answer)
            self.assertEqual(answer["name"], name)
            self.assertLess(time.monotonic(), until)
            number += 1
            time.sleep(0.2)

    def test_a_tenant_is_purged(self):
        name = self.names()
        kept = name + "-kept"
        self.fill_tenant(kept, 3)
        token, login = self.fill_tenant(name, 120)
        self.call(409, 1, "DELETE", "/v1/tenants/" + name)
        self.call(409, 1, "DELETE", "/v1/tenants/%s?purge=false" % name)
        self.call(400, 1, "DELETE", "/v1/tenants/%s?purge=yes" % name)
        self.call(404, 1, "DELETE", "/v1/tenants/%s?purge=true" % name, token=token)
        self.call(403, 1, "DELETE", "/v1/tenants/default?purge=true")
        status, begun = self.ask(1, "DELETE", "/v1/tenants/%s?purge=true" % name)
        self.assertEqual((status, begun["name"]), (202, name))
        for node in self.cluster.nodes():  # nobody is served in it any more
            self.assertIn("purging_since", self.call(200, node, "GET", "/v1/tenants/" + name))
            self.call(401, node, "GET", "/v1/secrets/s/1", token=token)
            self.call(401, node, "POST", "/v1/auth/approle:login", login, tenant=name, token=None)
            self.call(404, node, "GET", "/v1/secrets/s/1", tenant=name)
            self.call(404, node, "POST", "/v1/secrets/new", {"value": "x"}, tenant=name)
            self.call(404, node, "POST", "/v1/batch", {"create": [{"name": "new", "value": "x"}]}, tenant=name)
            self.call(404, node, "PUT", "/v1/secrets/s/1", {"value": "x"}, tenant=name)
            rules = [{"path": "a", "capabilities": ["read"]}]
            self.call(404, node, "PUT", "/v1/policies/q", {"rules": rules}, tenant=name)
            self.call(404, node, "POST", "/v1/identities", {"name": "j", "kind": "user"}, tenant=name)
            self.call(409, node, "POST", "/v1/tenants", {"name": name})
        self.assertEqual(self.purge(name, (2, 3)), {"name": name})
        self.call(404, 1, "GET", "/v1/tenants/" + name)
        self.make_tenant(name)  # of the old one nothing is left
        for path, member in (("/v1/secrets", "names"), ("/v1/policies", "policies"), ("/v1/auth/roles", "roles"),
                             ("/v1/identities", "identities"), ("/v1/auth/issuers", "issuers")):
            self.assertEqual(self.call(200, 2, "GET", path, tenant=name)[member], [], path)
        self.call(404, 3, "GET", "/v1/secrets/s/1", tenant=name)
        self.call(401, 1, "GET", "/v1/tokens/self", token=token)
        self.call(201, 1, "POST", "/v1/secrets/s/1", {"value": "new"}, tenant=name)
        self.assertEqual(len(self.call(200, 2, "GET", "/v1/secrets", tenant=kept)["names"]), 3)
        self.assertEqual(len(self.call(200, 2, "GET", "/v1/auth/roles", tenant=kept)["roles"]), 1)

    def test_a_purge_goes_on_after_crashes(self):
        name = self.names()
        self.fill_tenant(name, 400)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            def begin():
                try:
                    return self.cluster.request(1, "DELETE", "/v1/tenants/%s?purge=true" % name)[0]
                except Failed:
                    return None
            first = pool.submit(begin)
            wait_until(lambda: "purging_since" in self.call(200, 2, "GET", "/v1/tenants/" + name), DEADLINE,
                       "the tenant is marked")
            self.cluster.kill9(1)
            self.assertIn(first.result(), (None, 202))
        self.call(404, 2, "POST", "/v1/secrets/new", {"value": "x"}, tenant=name)
        self.cluster.start_all()
        self.cluster.wait_ready()
        self.assertEqual(self.purge(name, (3, 1)), {"name": name})
        self.make_tenant(name)
        self.assertEqual(self.call(200, 2, "GET", "/v1/secrets", tenant=name)["names"], [])

    def test_every_node_is_asked_before_a_name_is_free(self):
        name = self.names()
        empty = name[:40] + "-empty"
        self.make_tenant(name)
        self.call(201, 1, "POST", "/v1/secrets/s/1", {"value": "x"}, tenant=name)
        self.make_tenant(empty)
        self.cluster.kill9(3)

        def waits():
            status, answer = self.ask(1, "DELETE", "/v1/tenants/%s?purge=true" % name)
            self.assertEqual(status, 202, answer)
            return answer["waiting_for_nodes"] and answer["secrets"] == answer["records"] == 0
        wait_until(waits, DEADLINE + 10, "only the node that is away is waited for")
        self.assertEqual(self.call(200, 2, "GET", "/v1/secrets", tenant=name)["names"], [])
        self.assertEqual(self.cluster.request(1, "DELETE", "/v1/tenants/" + empty)[0], 503)
        self.call(200, 2, "GET", "/v1/tenants/" + empty)
        self.call(409, 2, "POST", "/v1/tenants", {"name": name})
        self.cluster.start_all()
        self.cluster.wait_ready()
        self.assertEqual(self.purge(name, (2, 3)), {"name": name})
        wait_until(lambda: self.ask(3, "DELETE", "/v1/tenants/" + empty)[0] == 200, DEADLINE, "it is deleted, too")
        self.make_tenant(name)
        self.assertEqual(self.call(200, 3, "GET", "/v1/secrets", tenant=name)["names"], [])

    def test_values_are_limited_by_the_tenant(self):
        name = self.names()
        self.make_tenant(name)
        limits = {"limits": {"value_bytes": 5}}
        self.assertEqual(self.call(200, 1, "PATCH", "/v1/tenants/" + name, limits)["limits"]["value_bytes"], 5)
        for node in self.cluster.nodes():
            path = "/v1/secrets/n%d" % node
            self.call(201, node, "POST", path, {"value": "12345"}, tenant=name)
            self.call(413, node, "PUT", path, {"value": "123456"}, tenant=name)
            self.call(413, node, "POST", "/v1/batch", {"create": [{"name": "x", "value": "1"},
                                                                  {"name": "y", "value": "123456"}]}, tenant=name)
            self.call(413, node, "POST", "/v1/env", {"content": "A=enc('123456')"}, tenant=name)
            self.call(201, node, "POST", path, {"value": "123456"})
        self.call(404, 1, "GET", "/v1/secrets/x", tenant=name)
        self.call(200, 1, "PATCH", "/v1/tenants/" + name, {"limits": {"value_bytes": None}})
        self.call(201, 3, "POST", "/v1/secrets/x", {"value": "123456"}, tenant=name)

    def test_secrets_are_limited_by_the_tenant(self):
        name = self.names()
        self.call(201, 1, "POST", "/v1/tenants", {"name": name, "limits": {"secrets": 3}})

        def create(expect, node, secret):
            return self.call(expect, node, "POST", "/v1/secrets/" + secret, {"value": "x"}, tenant=name)

        create(201, 1, "a")
        items = [{"name": secret, "value": "x"} for secret in "bcd"]
        error = self.call(507, 2, "POST", "/v1/batch", {"create": items}, tenant=name)["error"]
        self.assertEqual((error["code"], error["retry"]), ("tenant_full", "no"))
        self.assertEqual(self.call(200, 3, "GET", "/v1/secrets", tenant=name)["names"], ["a"])

        def fits():
            status, answer = self.ask(2, "POST", "/v1/batch", {"create": items[:2]}, tenant=name)
            self.assertIn(status, (201, 507), answer)
            return status == 201

        wait_until(fits, DEADLINE, "what the refused batch was voted for is forgotten")
        for node in self.cluster.nodes():
            self.assertEqual(create(507, node, "d")["error"]["code"], "tenant_full")
            self.call(507, node, "POST", "/v1/env", {"content": "D=enc('x')"}, tenant=name)
            self.call(507, node, "POST", "/v1/copy", {"from": "a", "to": "d"}, tenant=name)
            self.assertEqual(create(409, node, "a")["error"]["code"], "already_exists")
            self.call(200, node, "PUT", "/v1/secrets/a", {"value": "y"}, tenant=name)
        self.assertIn(self.ask(1, "DELETE", "/v1/secrets/b", tenant=name)[0], (200, 202))
        create(201, 3, "d")
        create(507, 1, "b")
        self.call(200, 2, "PATCH", "/v1/tenants/" + name, {"limits": {"secrets": 4}})
        create(201, 1, "b")
        self.call(200, 2, "PATCH", "/v1/tenants/" + name, {"limits": {"secrets": None}})
        create(201, 1, "e")
        self.call(200, 2, "PATCH", "/v1/tenants/" + name, {"limits": {"secrets": 1}})
        create(507, 1, "f")
        self.assertEqual(self.call(200, 3, "GET", "/v1/secrets", tenant=name)["names"], ["a", "b", "c", "d", "e"])

    def test_records_outlive_the_processes(self):
        secret = self.names()
        token = self.make_caller((secret, ["read"]))
        self.call(201, 1, "POST", "/v1/secrets/" + secret, {"value": "x"})
        for node in self.cluster.nodes():
            self.cluster.kill9(node)
        self.cluster.start_all()
        self.cluster.wait_ready()
        self.assertEqual(self.works(token, "/v1/secrets/" + secret), [200] * NODES)


if __name__ == "__main__":
    unittest.main()
