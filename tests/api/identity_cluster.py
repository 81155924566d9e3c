"""What tests of tenants, policies, identities and tokens share: three nodes, and calls that must succeed."""

import time

from cluster_case import ClusterCase
from ostraka_cluster import ADMIN, SLOW

NODES = 3
NOWHERE = "01234567-89ab-4cde-8f01-23456789abcd"
DEADLINE = 20


class IdentityCluster(ClusterCase):
    NODES = NODES

    def ask(self, node, method, path, body=None, token=ADMIN, tenant=None, key=None):
        """(status, answer); asked again for a while where the node says that nothing happened, and to try again."""
        headers = {"X-Ostraka-Tenant": tenant} if tenant else {}
        if key is not None:
            headers["Idempotency-Key"] = key
        until = time.monotonic() + DEADLINE * SLOW
        while True:
            status, _, answer = self.cluster.request(node, method, path, body, headers, token)
            if status != 503 or answer["error"]["retry"] != "safe" or time.monotonic() > until:
                return status, answer
            time.sleep(0.1)

    def call(self, expect, *request, **options):
        status, answer = self.ask(*request, **options)
        self.assertEqual(status, expect, (request, answer))
        return answer

    def make_tenant(self, name):
        return self.call(201, 1, "POST", "/v1/tenants", {"name": name})

    def make_policy(self, name, *rules, tenant=None):
        rules = [{"path": path, "capabilities": capabilities} for path, capabilities in rules]
        return self.call(200, 2, "PUT", "/v1/policies/" + name, {"rules": rules}, tenant=tenant)

    def make_identity(self, name, *policies, tenant=None, node=3, **more):
        body = {"name": name, "kind": "service", "policies": list(policies), **more}
        return self.call(201, node, "POST", "/v1/identities", body, tenant=tenant)["id"]
