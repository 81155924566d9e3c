"""Logins by three real processes: roles of machines, JSON web tokens, client certificates."""

import os
import re
import tempfile
import time
import unittest

from identity_cluster import DEADLINE, NODES, NOWHERE, IdentityCluster
from logins import Authority, Issuer, Key, base64url, make_jwt, statement
from ostraka_cluster import SLOW, Cluster, wait_until

APPROLE, JWT, CERT = "/v1/auth/approle:login", "/v1/auth/jwt:login", "/v1/auth/cert:login"


class Logins(IdentityCluster):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.TemporaryDirectory()
        cls.issuer = Issuer(cls.folder.name)
        cls.authority = Authority(cls.folder.name)
        with open(cls.cluster.config()) as file:
            cls.cluster_id = bytes.fromhex(re.search(r'cluster_id = "(\w+)"', file.read()).group(1))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()
        super().tearDownClass()

    def login(self, expect, node, path, body, tenant=None):
        return self.call(expect, node, "POST", path, body, token=None, tenant=tenant)

    def make_caller(self, name, tenant=None):
        """An identity with a policy on what is below its name."""
        self.make_policy(name, (name + "/**", ["create", "read"]), tenant=tenant)
        return self.make_identity(name, name, tenant=tenant)

    def works(self, token, prefix):
        """At every node; what is not below the prefix is not there."""
        for node in self.cluster.nodes():
            self.call(201, node, "POST", "/v1/secrets/%s/%s-%d" % (prefix, token[-6:].replace("_", "x"), node),
                      {"value": "x"}, token=token)
            self.call(404, node, "POST", "/v1/secrets/elsewhere/x", {"value": "x"}, token=token)
            self.call(404, node, "GET", "/v1/policies", token=token)

    # ---- roles of machines ----

    def make_role(self, name, tenant=None, **secret):
        identity = self.make_caller(name, tenant)
        role = self.call(201, 1, "POST", "/v1/auth/roles", {"identity": identity, "ttl": 600}, tenant=tenant)
        made = self.call(201, 3, "POST", "/v1/auth/roles/%s/secret-ids" % role["role_id"], secret, tenant=tenant)
        self.assertTrue(made["secret_id"].startswith("oss_"))
        return identity, role["role_id"], made

    def test_a_role_logs_in_at_every_node(self):
        identity, role, made = self.make_role("machine")
        body = {"role_id": role, "secret_id": made["secret_id"]}
        for node in self.cluster.nodes():
            token = self.login(200, node, APPROLE, body)
            self.assertEqual((token["identity"], token["tenant"], token["renewable"]), (identity, "default", False))
            self.works(token["token"], "machine")
            self.call(200, node, "GET", "/v1/tokens/self", token=token["token"])
        self.call(200, 2, "POST", "/v1/tokens:revoke", {"accessor": token["accessor"]})
        for node in self.cluster.nodes():
            self.call(401, node, "GET", "/v1/secrets/machine/x", token=token["token"])

    def test_what_is_wrong_with_a_role_is_not_told(self):
        identity, role, made = self.make_role("wrong")
        good = {"role_id": role, "secret_id": made["secret_id"]}
        self.login(200, 1, APPROLE, good)
        wrong = [{**good, "role_id": NOWHERE}, {**good, "role_id": "x"}, {**good, "secret_id": ""},
                 {**good, "secret_id": made["secret_id"][:-1]}, {**good, "role_id": role.upper()},
                 {**good, "secret_id": "oss_" + "A" * 48}]
        answers = []
        for node in self.cluster.nodes():
            for body in wrong:
                answers.append(self.login(401, node, APPROLE, body))
            answers.append(self.login(401, node, APPROLE, good, tenant="nowhere"))
        self.call(200, 1, "PATCH", "/v1/identities/" + identity, {"disabled": True})
        answers += [self.login(401, node, APPROLE, good) for node in self.cluster.nodes()]
        faces = {(a["error"]["code"], a["error"]["message"]) for a in answers}
        self.assertEqual(len(faces), 1, faces)
        self.login(400, 1, APPROLE, {"role_id": role})
        self.login(400, 1, APPROLE, {**good, "more": 1})
        self.call(405, 1, "GET", APPROLE)

    def test_secret_ids_end_and_are_revoked(self):
        _, role, made = self.make_role("ending", ttl=600)
        path = "/v1/auth/roles/" + role
        good = {"role_id": role, "secret_id": made["secret_id"]}
        self.login(200, 1, APPROLE, good)
        for _ in range(3):
            self.call(201, 2, "POST", path + "/secret-ids", {})
        self.call(403, 3, "POST", path + "/secret-ids", {})
        self.assertEqual(len(self.call(200, 3, "GET", path)["secret_ids"]), 4)
        left = self.call(200, 1, "POST", path + "/secret-ids:revoke", {"accessor": made["accessor"]})
        self.assertEqual(len(left["secret_ids"]), 3)
        self.call(404, 1, "POST", path + "/secret-ids:revoke", {"accessor": made["accessor"]})
        for node in self.cluster.nodes():
            self.login(401, node, APPROLE, good)
        soon = self.call(201, 2, "POST", path + "/secret-ids", {"ttl": 1})
        until = time.monotonic() + DEADLINE * SLOW
        while self.ask(1, "POST", APPROLE, {"role_id": role, "secret_id": soon["secret_id"]}, token=None)[0] != 401:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.2)
        self.call(200, 2, "DELETE", path)
        self.call(404, 3, "GET", path)

    def test_roles_are_of_one_tenant(self):
        self.call(201, 1, "POST", "/v1/tenants", {"name": "blue"})
        _, role, made = self.make_role("of-blue", tenant="blue")
        good = {"role_id": role, "secret_id": made["secret_id"]}
        self.assertEqual(self.login(200, 2, APPROLE, good, tenant="blue")["tenant"], "blue")
        self.login(401, 2, APPROLE, good)
        path = "/v1/auth/roles/" + role
        self.call(404, 1, "GET", path)
        self.call(404, 1, "DELETE", path)
        self.call(404, 1, "POST", path + "/secret-ids", {})
        shown = [one["role_id"] for one in self.call(200, 3, "GET", "/v1/auth/roles", tenant="blue")["roles"]]
        self.assertEqual(shown, [role])
        self.assertNotIn(role, [one["role_id"] for one in self.call(200, 3, "GET", "/v1/auth/roles")["roles"]])

    def test_a_page_of_roles_is_of_one_tenant(self):
        self.call(201, 1, "POST", "/v1/tenants", {"name": "green"})
        own = set()
        for number in range(4):  # among roles of another tenant
            identity = self.make_identity("green-%d" % number, tenant="green")
            own.add(self.call(201, 1, "POST", "/v1/auth/roles", {"identity": identity}, tenant="green")["role_id"])
            self.make_role("not-green-%d" % number)
        shown, after = [], ""
        while True:
            page = self.call(200, 2, "GET", "/v1/auth/roles?limit=1" + after, tenant="green")
            self.assertEqual(len(page["roles"]), 1)
            shown.append(page["roles"][0]["role_id"])
            if "next" not in page:
                break
            after = "&after=" + page["next"]
        self.assertEqual(shown, sorted(own))

    def test_none_but_operators_say_who_may_log_in(self):
        _, role, made = self.make_role("plain")
        token = self.login(200, 1, APPROLE, {"role_id": role, "secret_id": made["secret_id"]})["token"]
        for method, path, body in (("GET", "/v1/auth/roles", None), ("GET", "/v1/auth/issuers", None),
                                   ("PUT", "/v1/auth/issuers", self.issuer.body(["operator"])),
                                   ("GET", "/v1/auth/ca", None),
                                   ("PUT", "/v1/auth/ca", {"certificate": self.authority.pem}),
                                   ("POST", "/v1/auth/roles/%s/secret-ids" % role, {})):
            self.call(404, 2, method, path, body, token=token)

    # ---- JSON web tokens ----

    def trust(self, tenant, **more):
        self.call(201, 1, "POST", "/v1/tenants", {"name": tenant})
        self.make_policy("builds", ("builds/**", ["create", "read"]), tenant=tenant)
        return self.call(200, 2, "PUT", "/v1/auth/issuers", self.issuer.body(["builds"], **more), tenant=tenant)

    def test_a_jwt_logs_in_for_no_longer_than_it_says(self):
        made = self.trust("jwt")
        self.assertEqual(made["keys"], [{"kid": "first", "alg": "ES256"}])
        path = "/v1/auth/issuers/" + made["id"]
        self.assertEqual(self.call(200, 3, "GET", path, tenant="jwt"), made)
        jwt = self.issuer.jwt()
        for node in self.cluster.nodes():
            token = self.login(200, node, JWT, {"jwt": jwt}, tenant="jwt")
            self.assertEqual((token["policies"], token["tenant"]), (["builds"], "jwt"))
            self.works(token["token"], "builds")
        child = self.call(201, 1, "POST", "/v1/tokens", {}, token=token["token"])
        self.works(child["token"], "builds")
        self.call(403, 1, "POST", "/v1/tokens/self:renew", token=token["token"])
        short = self.login(200, 1, JWT, {"jwt": self.issuer.jwt(exp=int(time.time()) + 60)}, tenant="jwt")
        self.assertLess(short["expires_at"], token["expires_at"])
        self.assertEqual(short["identity"], token["identity"])
        self.call(200, 1, "DELETE", path, tenant="jwt")
        for node in self.cluster.nodes():
            self.login(401, node, JWT, {"jwt": jwt}, tenant="jwt")

    def test_what_is_wrong_with_a_jwt_is_not_told(self):
        self.trust("strict")
        now = int(time.time())
        other = Key(self.folder.name, "other")
        claims = self.issuer.claims()
        wrong = {
            "expired": self.issuer.jwt(iat=now - 700, exp=now - 100),
            "no end": self.issuer.jwt(exp=None),
            "too long": self.issuer.jwt(exp=now + 7200),
            "later": self.issuer.jwt(nbf=now + 600),
            "for others": self.issuer.jwt(aud="elsewhere"),
            "for nobody": self.issuer.jwt(aud=None),
            "of others": self.issuer.jwt(iss="https://other.example"),
            "nobody": self.issuer.jwt(sub=None),
            "no role": self.issuer.jwt(team="visitors"),
            "no such key": self.issuer.jwt({"kid": "second"}),
            "another's key": make_jwt({"alg": "ES256", "kid": "first"}, claims, other.sign),
            "unsigned": make_jwt({"alg": "none"}, claims, lambda data: b""),
            "a bearer of nothing": "x", "empty": ""}
        faces = set()
        for what, jwt in wrong.items():
            answer = self.login(401, len(faces) % NODES + 1, JWT, {"jwt": jwt}, tenant="strict")
            faces.add((answer["error"]["code"], answer["error"]["message"]))
        answer = self.login(401, 1, JWT, {"jwt": self.issuer.jwt()}, tenant="default")
        faces.add((answer["error"]["code"], answer["error"]["message"]))
        self.assertEqual(len(faces), 1, faces)
        self.login(200, 1, JWT, {"jwt": self.issuer.jwt()}, tenant="strict")

    def test_issuers_are_checked(self):
        good = self.issuer.body(["p"])
        for change in ({"audiences": []}, {"ttl_max": 0}, {"jwks": {"keys": []}}, {"issuer": ""}, {"more": 1},
                       {"roles": [{"claim": "a", "value": "b", "policies": []}]},
                       {"jwks": {"keys": [{"kty": "oct", "k": base64url(b"x" * 32), "alg": "HS256"}]}}):
            self.call(400, 1, "PUT", "/v1/auth/issuers", {**good, **change})
        for policy in ("operator", "auditor"):
            body = self.issuer.body(["p", policy])
            self.call(403, 1, "PUT", "/v1/auth/issuers", body, tenant="jwt")
        made = self.call(200, 1, "PUT", "/v1/auth/issuers", good)
        self.call(409, 1, "PUT", "/v1/auth/issuers", {**good, "expected_version": made["version"] + 1})
        again = self.call(200, 1, "PUT", "/v1/auth/issuers", {**good, "expected_version": made["version"]})
        self.assertEqual(again, {**made, "version": made["version"] + 1})
        self.assertIn(again, self.call(200, 2, "GET", "/v1/auth/issuers")["issuers"])
        self.call(200, 3, "DELETE", "/v1/auth/issuers/" + made["id"])
        self.call(404, 3, "GET", "/v1/auth/issuers/" + made["id"])
        self.call(400, 3, "GET", "/v1/auth/issuers/x")

    # ---- certificates ----

    def test_a_certificate_logs_in_until_it_is_revoked(self):
        tenant = "certificates"
        self.call(201, 1, "POST", "/v1/tenants", {"name": tenant})
        identity = self.make_caller("device", tenant)
        key = Key(self.folder.name, "device")
        certificate = self.authority.certificate(key, identity, 0x77)

        def sign(**more):
            return {"statement": statement(key, certificate, self.cluster_id, **{"tenant": tenant, **more})}

        self.login(401, 1, CERT, sign(), tenant=tenant)
        self.call(404, 1, "GET", "/v1/auth/ca", tenant=tenant)
        self.call(400, 1, "PUT", "/v1/auth/ca", {"certificate": "x"}, tenant=tenant)
        made = self.call(200, 1, "PUT", "/v1/auth/ca", {"certificate": self.authority.pem}, tenant=tenant)
        self.assertEqual(made, {"version": 1, "certificate": self.authority.pem, "revoked": []})
        for node in self.cluster.nodes():
            token = self.login(200, node, CERT, sign(), tenant=tenant)
            self.assertEqual((token["identity"], token["tenant"]), (identity, tenant))
        self.works(token["token"], "device")
        now = time.time()
        other = Key(self.folder.name, "thief")
        for node, body in ((1, sign(at=now - 100)), (2, sign(at=now + 100)), (3, sign(tenant="default")),
                           (1, {"statement": statement(other, certificate, self.cluster_id, tenant)}),
                           (2, {"statement": statement(key, certificate, b"\0" * 16, tenant)}),
                           (3, {"statement": self.issuer.jwt()}), (1, {"statement": ""})):
            self.login(401, node, CERT, body, tenant=tenant)
        self.login(401, 1, JWT, {"jwt": sign()["statement"]}, tenant=tenant)
        self.call(401, 1, "GET", "/v1/secrets/device/x", token=sign()["statement"], tenant=tenant)
        revoked = self.call(200, 2, "PUT", "/v1/auth/ca",
                            {"certificate": self.authority.pem, "revoked": ["77"]}, tenant=tenant)
        self.assertEqual(revoked["revoked"], ["77"])
        for node in self.cluster.nodes():
            self.login(401, node, CERT, sign(), tenant=tenant)
        self.call(200, 2, "DELETE", "/v1/auth/ca", tenant=tenant)
        self.call(404, 2, "GET", "/v1/auth/ca", tenant=tenant)

    def trust_certificates(self, tenant):
        """The tenant's authority, and a function that makes the body of a login with that serial number."""
        self.call(201, 1, "POST", "/v1/tenants", {"name": tenant})
        identity = self.make_caller("device", tenant)
        folder = os.path.join(self.folder.name, tenant)
        os.mkdir(folder)
        authority, key = Authority(folder), Key(folder, "device")
        self.call(200, 1, "PUT", "/v1/auth/ca", {"certificate": authority.pem}, tenant=tenant)

        def sign(serial, by=authority):
            certificate = by.certificate(key, identity, serial)
            return {"statement": statement(key, certificate, self.cluster_id, tenant)}
        return authority, sign

    def test_lists_of_revoked_certificates(self):
        tenant, path = "revocations", "/v1/auth/ca/crl"
        authority, sign = self.trust_certificates(tenant)

        def login(expect, serial, **by):
            for node in self.cluster.nodes():
                self.login(expect, node, CERT, sign(serial, **by), tenant=tenant)

        def put(expect, crl, **more):
            return self.call(expect, 2, "PUT", path, {"crl": crl, **more}, tenant=tenant)

        self.call(404, 1, "GET", path, tenant=tenant)
        self.call(404, 1, "DELETE", path, tenant=tenant)
        first = authority.revocations([0x80, 0x1092], 0x101)
        made = put(200, first)
        self.assertEqual((made["number"], made["revoked"]), ("0101", 2))
        for node in self.cluster.nodes():
            self.assertEqual(self.call(200, node, "GET", path, tenant=tenant), made)
        login(401, 0x80)
        login(401, 0x1092)
        login(200, 0x81)
        self.assertEqual(put(200, first), made)
        self.assertEqual(put(409, authority.revocations([], 0x100))["error"]["code"], "version_mismatch")
        put(409, authority.revocations([], 0x101))
        for bad in (first.replace("A", "B", 20), "x", "", authority.pem, self.authority.revocations([], 0x999),
                    authority.revocations([], 0x102, times=("200101000000Z", "200201000000Z")),
                    authority.revocations([], 0x102, times=("490101000000Z", "490201000000Z"))):
            put(400, bad)
        put(400, first, more=1)
        self.call(404, 2, "PUT", path, {"crl": first}, tenant="default")
        login(401, 0x80)
        self.assertEqual(put(200, authority.revocations([0x81], 0x102))["revoked"], 1)
        login(200, 0x80)
        login(401, 0x81)
        self.assertEqual(put(413, authority.revocations(range(1, 963), 0x103))["error"]["code"], "too_large")
        # Of another authority that the tenant trusts, lists begin anew.
        self.call(200, 1, "PUT", "/v1/auth/ca", {"certificate": self.authority.pem}, tenant=tenant)
        login(401, 0x80)
        login(200, 0x81, by=self.authority)
        put(200, self.authority.revocations([0x82], 1))
        login(401, 0x82, by=self.authority)
        self.call(200, 3, "DELETE", path, tenant=tenant)
        login(200, 0x82, by=self.authority)

    def test_nobody_logs_in_when_the_next_list_is_due(self):
        tenant, path = "due", "/v1/auth/ca/crl"
        authority, sign = self.trust_certificates(tenant)
        self.login(200, 1, CERT, sign(0x10), tenant=tenant)
        for seconds in (2, 5, 10, 20, 40):  # a busy machine may need that long to put it
            if self.ask(1, "PUT", path, {"crl": authority.revocations([], 1, seconds)}, tenant=tenant)[0] == 200:
                break
        until = time.monotonic() + seconds + DEADLINE * SLOW
        while self.ask(1, "POST", CERT, sign(0x10), token=None, tenant=tenant)[0] != 401:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.5)
        for node in self.cluster.nodes():
            self.login(401, node, CERT, sign(0x10), tenant=tenant)
        self.call(200, 2, "PUT", path, {"crl": authority.revocations([], 2)}, tenant=tenant)
        self.login(200, 3, CERT, sign(0x10), tenant=tenant)

    def watched(self, node):
        """(lists due, of them overdue, alarms)"""
        text = self.cluster.request(node, "GET", "/metrics")[2]
        values = dict(line.rsplit(" ", 1) for line in text.decode().splitlines() if not line.startswith("#"))
        return tuple(int(values["ostraka_" + name]) for name in ("revocation_lists_due", "revocation_lists_overdue",
                                                                  "alarms_total"))

    def lines_about(self, tenant, event):
        lines = [line for node in self.cluster.nodes() for line in self.cluster.log(node).splitlines()]
        return [line for line in lines if " %s " % event in line and "tenant=" + tenant in line]

    def test_a_list_that_will_be_due_is_told_of(self):
        tenant, path = "soon", "/v1/auth/ca/crl"
        authority, _ = self.trust_certificates(tenant)
        alarms = [self.watched(node)[2] for node in self.cluster.nodes()]

        def wait(due, overdue, what):
            wait_until(lambda: all(self.watched(node)[:2] == (due, overdue) for node in self.cluster.nodes()),
                       2 * DEADLINE, what)

        def times(*seconds):
            return [time.strftime("%y%m%d%H%M%SZ", time.gmtime(time.time() + one)) for one in seconds]

        before = self.watched(1)[1]  # of other tests
        self.call(200, 1, "PUT", path, {"crl": authority.revocations([], 1, times=times(-36000, 1800))}, tenant=tenant)
        wait(before + 1, before, "it is told that a list is due soon")
        self.assertEqual(len(self.lines_about(tenant, "revocations_due_soon")), NODES)
        self.call(200, 2, "PUT", path, {"crl": authority.revocations([], 2, 3600)}, tenant=tenant)
        wait(before, before, "there is another list")
        for seconds in (2, 5, 10, 20, 40):  # a busy machine may need that long to put it
            crl = authority.revocations([], 3, seconds)
            if self.ask(3, "PUT", path, {"crl": crl}, tenant=tenant)[0] == 200:
                break
        wait(before + 1, before + 1, "a list is overdue")
        lines = self.lines_about(tenant, "alarm_revocations_overdue")
        self.assertEqual(len(lines), NODES)
        self.assertTrue(all(" error " in line for line in lines), lines)
        for node, count in zip(self.cluster.nodes(), alarms):
            self.assertGreater(self.watched(node)[2], count)
        self.call(200, 2, "DELETE", path, tenant=tenant)

    # ---- strangers ----

    def test_bodies_of_strangers_are_small(self):
        status, _, answer = self.cluster.request(1, "POST", JWT, {"jwt": "x" * 9000}, {}, None)
        self.assertEqual(status, 413, answer)
        self.login(401, 1, JWT, {"jwt": "x" * 4000})

    def test_an_old_token_does_not_hinder_a_login(self):
        _, role, made = self.make_role("again")
        self.call(200, 1, "POST", APPROLE, {"role_id": role, "secret_id": made["secret_id"]},
                  token="ost_" + "A" * 48)


class SlowLogins(unittest.TestCase):
    def test_failures_slow_a_name_down(self):
        cluster = Cluster(1)
        try:
            cluster.create()
            cluster.set_server_option("slow_failed_logins", None)  # as it is unless configured
            cluster.start_all()
            cluster.wait_ready()
            seen = []
            for _ in range(20):
                status, headers, answer = cluster.request(1, "POST", APPROLE, {"role_id": NOWHERE, "secret_id": "x"},
                                                          {}, None)
                seen.append(status)
                if status == 429:
                    self.assertGreater(int(headers["retry-after"]), 0)
                    break
            self.assertEqual(seen[:5], [401] * 5)
            self.assertEqual(seen[-1], 429)
        finally:
            cluster.close()
