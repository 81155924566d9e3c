"""Tenants, identities and roles that are made under an Idempotency-Key are made once."""

import concurrent.futures
import unittest
import uuid

from identity_cluster import NODES, IdentityCluster


class KeyedRecords(IdentityCluster):
    def make(self, expect, node, path, body, key, **more):
        return self.call(expect, node, "POST", path, body, key=key, **more)

    def count(self, path, member, field, value, **more):
        return sum(one[field] == value for one in self.call(200, 1, "GET", path + "?limit=1000", **more)[member])

    def test_an_identity_is_made_once_at_whatever_node(self):
        body = {"name": "once", "kind": "service", "policies": ["p"], "metadata": {"a": "b"}}
        made = [self.make(201, node, "/v1/identities", body, "once") for node in self.cluster.nodes()]
        self.assertEqual(made, [made[0]] * NODES)
        self.assertEqual(uuid.UUID(made[0]["id"]).version, 4)
        self.assertEqual(self.count("/v1/identities", "identities", "name", "once"), 1)
        other = self.make(201, 1, "/v1/identities", body, "another")
        self.assertNotEqual(other["id"], made[0]["id"])
        self.assertNotEqual(self.make(201, 2, "/v1/identities", body, None)["id"], made[0]["id"])
        self.assertEqual(self.count("/v1/identities", "identities", "name", "once"), 3)

    def test_another_request_under_the_key_is_refused(self):
        body = {"name": "mine", "kind": "service"}
        self.make(201, 1, "/v1/identities", body, "mine")
        for change in ({"name": "yours"}, {"kind": "user"}, {"policies": ["p"]}, {"metadata": {"a": "b"}}):
            error = self.make(422, 2, "/v1/identities", {**body, **change}, "mine")["error"]
            self.assertEqual(error["code"], "idempotency_key_reused")
        self.assertEqual(self.count("/v1/identities", "identities", "name", "yours"), 0)
        # The same key of somebody else is theirs, and does not get them what is another's.
        operator = self.make_identity("operator", "operator")
        token = self.call(201, 1, "POST", "/v1/tokens", {"identity": operator})["token"]
        self.make(422, 3, "/v1/identities", body, "mine", token=token)
        self.make(201, 3, "/v1/identities", body, "theirs", token=token)
        self.make(201, 1, "/v1/identities", body, "theirs", token=token)

    def test_the_answer_is_what_is_there_now(self):
        body = {"name": "moving", "kind": "service"}
        path = "/v1/identities/" + self.make(201, 1, "/v1/identities", body, "moving")["id"]
        changed = self.call(200, 2, "PATCH", path, {"name": "moved"})
        self.assertEqual(self.make(201, 3, "/v1/identities", body, "moving"), changed)
        self.call(200, 1, "DELETE", path)
        error = self.make(409, 2, "/v1/identities", body, "moving")["error"]
        self.assertEqual(error["code"], "result_gone")
        # Not even for somebody else: its tokens would be good again.
        operator = self.make_identity("operator", "operator")
        token = self.call(201, 1, "POST", "/v1/tokens", {"identity": operator})["token"]
        self.make(422, 3, "/v1/identities", body, "moving", token=token)
        self.call(404, 3, "GET", path)

    def test_at_once(self):
        body = {"name": "at once", "kind": "device"}
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            made = list(pool.map(lambda i: self.make(201, i % NODES + 1, "/v1/identities", body, "at-once"), range(12)))
        self.assertEqual({one["id"] for one in made}, {made[0]["id"]})
        self.assertEqual(self.count("/v1/identities", "identities", "name", "at once"), 1)

    def test_tenants_and_roles(self):
        body = {"name": "keyed", "limits": {"versions": 3}}
        made = self.make(201, 1, "/v1/tenants", body, "tenant")
        self.assertEqual(self.make(201, 2, "/v1/tenants", body, "tenant"), made)
        self.make(422, 3, "/v1/tenants", {"name": "keyed"}, "tenant")
        self.make(409, 3, "/v1/tenants", body, "other")
        self.make(201, 1, "/v1/tenants", {"name": "again"}, "again-1")
        self.call(200, 2, "DELETE", "/v1/tenants/again")
        self.make(409, 3, "/v1/tenants", {"name": "again"}, "again-1")
        self.make(201, 3, "/v1/tenants", {"name": "again"}, "again-2")
        identity = self.make_identity("role", tenant="keyed")
        body = {"identity": identity, "ttl": 60}
        role = self.make(201, 1, "/v1/auth/roles", body, "role", tenant="keyed")
        self.assertEqual(self.make(201, 2, "/v1/auth/roles", body, "role", tenant="keyed"), role)
        self.make(422, 2, "/v1/auth/roles", {**body, "ttl": 61}, "role", tenant="keyed")
        self.call(201, 3, "POST", "/v1/auth/roles/%s/secret-ids" % role["role_id"], {}, tenant="keyed")
        again = self.make(201, 3, "/v1/auth/roles", body, "role", tenant="keyed")
        self.assertEqual((again["role_id"], len(again["secret_ids"])), (role["role_id"], 1))
        self.assertEqual(len(self.call(200, 1, "GET", "/v1/auth/roles", tenant="keyed")["roles"]), 1)
        other = self.make_identity("role")
        self.assertNotEqual(self.make(201, 1, "/v1/auth/roles", {"identity": other}, "role")["role_id"], role["role_id"])

    def test_keys_are_checked_and_tokens_take_none(self):
        for key in ("", "a b", "x" * 129):
            self.make(400, 1, "/v1/identities", {"name": "x", "kind": "user"}, key)
        identity = self.make_identity("tokens")
        made = [self.make(201, node, "/v1/tokens", {"identity": identity}, "token") for node in (1, 2)]
        self.assertNotEqual(made[0]["token"], made[1]["token"])


if __name__ == "__main__":
    unittest.main()
