"""The data model as docs/model.md tells it: each numbered sentence there has a test of that number here, through the real API."""

import base64
import os
import re
import subprocess
import unittest

from cluster_case import ClusterCase
from ostraka_cluster import REPOSITORY, SLOW, clean_environment, wait_until

NODES = 3


def sentences():
    with open(os.path.join(REPOSITORY, "docs", "model.md")) as file:
        return [int(number) for number in re.findall(r"^(\d+)\. ", file.read(), re.M)]


class Model(ClusterCase):
    NODES = NODES

    def setUp(self):
        self.name = self._testMethodName

    # -- what the tests say --

    def ask(self, method, kind, body=None, node=1, expect=200, query="", **options):
        target = "/v1/%s/%s%s" % (kind, self.name, query)
        status, _, answer = self.cluster.request(node, method, target, body, **options)
        self.assertEqual(status, expect, (method, target, answer))
        return answer

    def error(self, expect, code, *arguments, **options):
        answer = self.ask(*arguments, expect=expect, **options)
        self.assertEqual(answer["error"]["code"], code)

    def create(self, value="v1", **options):
        return self.ask("POST", "secrets", {"value": value}, expect=201, **options)

    def update(self, value, **more):
        return self.ask("PUT", "secrets", {"value": value, **more})

    def versions(self, count):
        self.create()
        return [self.update("v%d" % i) for i in range(2, count + 1)]

    def read(self, version=None, node=1):
        query = "?version=%d" % version if version else ""
        return self.ask("GET", "secrets", node=node, query=query)["value"]

    def unreadable(self, version=None):
        query = "?version=%d" % version if version else ""
        for node in range(1, NODES + 1):
            self.error(404, "not_found", "GET", "secrets", node=node, query=query)

    def states(self, node=1):
        return {row["version"]: row["state"] for row in
                self.ask("GET", "history", node=node)["versions"]}

    def alter(self, expect=200, node=1, **lists):
        return self.ask("POST", "versions", lists, node=node, expect=expect)

    def set(self, expect=200, **what):
        return self.ask("PATCH", "metadata", what, expect=expect)

    # -- a secret and its versions --

    def test_01_values_are_any_bytes(self):
        large = base64.b64encode(bytes(range(256)) * 4096).decode()
        self.ask("POST", "secrets", {"value": large, "encoding": "base64"}, expect=201)
        self.assertEqual(self.read(node=2), large)
        self.update("")
        self.assertEqual(self.read(node=3), "")
        self.error(413, "too_large", "PUT", "secrets", {"value": "x" * (2**20 + 1)})

    def test_02_create_and_update(self):
        self.error(404, "not_found", "PUT", "secrets", {"value": "x"})
        self.assertEqual(self.create()["version"], 1)
        self.error(409, "already_exists", "POST", "secrets", {"value": "x"}, node=2)
        self.assertEqual(self.update("v2")["version"], 2)

    def test_03_versions_stay_as_they_are(self):
        self.versions(4)
        for node in range(1, NODES + 1):
            self.assertEqual([self.read(i, node) for i in (1, 2, 3, 4)], ["v1", "v2", "v3", "v4"])

    def test_04_validity(self):
        first, (second,) = self.create(), [self.update("v2")]
        row = self.ask("GET", "secrets", query="?version=1")
        self.assertEqual((row["valid_from"], row["valid_to"]),
                         (first["valid_from"], second["valid_from"]))
        for moment, value in ((first, "v1"), (second, "v2")):
            answer = self.ask("GET", "secrets", query="?at=" + moment["valid_from"], node=2)
            self.assertEqual(answer["value"], value)

    def test_05_the_latest_version(self):
        self.versions(2)
        answer = self.ask("GET", "secrets", node=3)
        self.assertEqual((answer["version"], answer["value"]), (2, "v2"))

    def test_06_expected_version(self):
        self.versions(2)
        old = {"expected_version": 1}
        self.error(409, "version_mismatch", "PUT", "secrets", {"value": "x", **old})
        self.error(409, "version_mismatch", "POST", "versions", {"destroy": [1], **old})
        self.error(409, "version_mismatch", "PATCH", "metadata", {"max_versions": 1, **old})
        self.error(409, "version_mismatch", "DELETE", "secrets", query="?expected_version=1")
        self.assertEqual((self.read(), self.states()), ("v2", {1: "superseded", 2: "current"}))

    def test_07_retries(self):
        def keyed(kind):
            return {"headers": {"Idempotency-Key": self.name + kind}}
        self.versions(2)
        for method, kind, body, other in (
                ("PUT", "secrets", {"value": "v3"}, {"value": "x"}),
                ("POST", "versions", {"destroy": [1]}, {"destroy": [2]}),
                ("PATCH", "metadata", {"custom_metadata": {"a": "b"}}, {"max_versions": 1})):
            answers = [self.ask(method, kind, body, node=node, **keyed(kind)) for node in (1, 2, 3)]
            self.assertEqual([{**a, "erased_on": 0} for a in answers],
                             [{**answers[0], "erased_on": 0}] * 3)
            self.error(422, "idempotency_key_reused", method, kind, other, **keyed(kind))
        self.assertEqual(self.states(), {1: "destroyed", 2: "superseded", 3: "current"})

    def test_08_deletion(self):
        self.versions(3)
        self.ask("DELETE", "secrets")
        self.unreadable()
        self.assertEqual(self.create("new")["version"], 1)
        self.unreadable(2)
        self.assertEqual(self.states(), {1: "current"})

    # -- single versions --

    def test_09_deleted_versions(self):
        self.versions(3)
        self.alter(delete=[2])
        self.unreadable(2)
        self.assertEqual(self.states(2), {1: "superseded", 2: "deleted", 3: "current"})
        self.alter(undelete=[2], node=3)
        self.assertEqual(self.read(2), "v2")

    def test_10_deleted_latest_version(self):
        self.versions(2)
        self.alter(delete=[2])
        self.unreadable()
        self.assertEqual(self.read(1), "v1")
        self.assertEqual(self.update("v3")["version"], 3)
        self.assertEqual(self.states(), {1: "superseded", 2: "deleted", 3: "current"})

    def test_11_destroyed_versions(self):
        self.versions(2)
        self.alter(destroy=[1])
        self.unreadable(1)
        for verb in ("undelete", "delete"):
            self.error(404, "not_found", "POST", "versions", {verb: [1]})
        self.assertEqual(self.states(), {1: "destroyed", 2: "current"})

    def test_12_destroying_counts(self):
        self.versions(2)
        answer = self.alter(destroy=[1])
        self.assertGreaterEqual(answer["erased_on"], answer["required"])
        self.assertEqual(answer["replicas"], NODES)

    def test_13_away_while_destroyed(self):
        self.versions(3)
        self.cluster.kill9(3)
        try:
            status, _, answer = self.cluster.request(1, "POST", "/v1/versions/" + self.name,
                                                     {"destroy": [1, 2]})
            self.assertIn(status, (200, 202), answer)
        finally:
            self.cluster.start(3, wait=True)

        def gone():
            status, _, _ = self.cluster.request(3, "GET", "/v1/secrets/%s?version=1" % self.name)
            return status == 404
        wait_until(gone, 20 * SLOW, "n3 says that version 1 is gone")
        self.unreadable(2)
        self.cluster.kill9(1)
        try:
            for query, expected in (("", 200), ("?version=2", 404)):
                def answers(query=query, expected=expected):
                    target = "/v1/secrets/" + self.name + query
                    return self.cluster.request(3, "GET", target)[0] == expected
                wait_until(answers, 20 * SLOW, "n3 answers %s%s" % (self.name, query))
        finally:
            self.cluster.start(1, wait=True)

    def test_14_all_or_none(self):
        self.versions(2)
        self.error(404, "not_found", "POST", "versions", {"delete": [1], "destroy": [2, 3]})
        self.assertEqual(self.states(), {1: "superseded", 2: "current"})
        self.alter(delete=[1], destroy=[2])
        self.assertEqual(self.states(), {1: "deleted", 2: "destroyed"})

    # -- how many are kept --

    def test_15_max_versions(self):
        self.versions(66)
        self.assertEqual(len(self.states()), 64)
        self.unreadable(2)
        self.set(max_versions=3)
        self.assertEqual(sorted(self.states()), [64, 65, 66])
        self.unreadable(63)
        self.update("v67")
        self.assertEqual(sorted(self.states(2)), [65, 66, 67])

    def test_16_more_are_kept_again(self):
        self.versions(4)
        self.set(max_versions=2)
        self.set(max_versions=None)
        self.assertEqual(sorted(self.states()), [3, 4])
        self.update("v5")
        self.assertEqual(sorted(self.states()), [3, 4, 5])

    # -- expiry --

    def test_17_expiry(self):
        self.create()
        self.set(expires_in=1)

        def gone():
            return all(self.cluster.request(node, "GET", "/v1/secrets/" + self.name)[0] == 404
                       for node in range(1, NODES + 1))
        wait_until(gone, 20 * SLOW, "the secret has expired at every node")
        for node in range(1, NODES + 1):
            self.error(404, "not_found", "GET", "history", node=node)
            self.error(404, "not_found", "GET", "metadata", node=node)
            self.error(404, "not_found", "PUT", "secrets", {"value": "x"}, node=node)
            _, _, names = self.cluster.request(node, "GET", "/v1/secrets?prefix=" + self.name)
            self.assertEqual(names["names"], [])

    def test_18_expired_secrets_are_deleted(self):
        self.create()
        self.set(expires_in=1)

        def erased():
            status, _, answer = self.cluster.request(2, "GET", "/v1/deletions/" + self.name)
            return status == 200 and answer["erased_on"] == NODES
        wait_until(erased, 30 * SLOW, "the expired secret is erased on all nodes")
        self.assertEqual(self.create("new", node=3)["version"], 1)
        self.assertEqual(self.read(), "new")

    def test_19_no_end_any_more(self):
        self.create()
        self.set(expires_in=3600)
        self.assertIsNotNone(self.ask("GET", "metadata")["expires_at"])
        self.set(expires_at=None)
        self.assertIsNone(self.ask("GET", "metadata")["expires_at"])

    # -- metadata --

    def test_20_pairs(self):
        self.create()
        self.set(custom_metadata={"owner": "ö", "ticket": "T-1"})
        self.set(custom_metadata={"ticket": None, "team": "a \"b\""})
        self.assertEqual(self.ask("GET", "metadata", node=2)["custom_metadata"],
                         {"owner": "ö", "team": "a \"b\""})

    def test_21_limits(self):
        self.create()
        self.set(custom_metadata={"%d" % i: "" for i in range(64)})
        self.error(413, "too_large", "PATCH", "metadata", {"custom_metadata": {"one more": ""}})
        self.error(413, "too_large", "PATCH", "metadata", {"custom_metadata": {"0": "x" * 4096}})
        self.error(400, "bad_json", "PATCH", "metadata", {"custom_metadata": {"k" * 129: ""}})
        self.assertEqual(len(self.ask("GET", "metadata")["custom_metadata"]), 64)

    def test_22_no_new_version(self):
        self.versions(2)
        before = self.ask("GET", "history")
        self.set(custom_metadata={"a": "b"}, max_versions=10)
        self.alter(delete=[1])
        self.alter(undelete=[1])
        self.assertEqual(self.ask("GET", "history"), before)

    # -- this page and these tests --

    def test_every_sentence_has_its_test(self):
        tests = [int(name[5:7]) for name in dir(self) if re.match(r"test_\d\d_", name)]
        self.assertEqual(sentences(), tests)

    # -- bodies that are refused --

    def test_bad_bodies(self):
        self.versions(1)
        for body in ({}, {"delete": []}, {"delete": [0]}, {"delete": ["1"]}, {"delete": [1, 1]},
                     {"delete": [1], "destroy": [1]}, {"other": [1]}, {"delete": 1}, [],
                     {"delete": [1], "expected_version": 0}, {"delete": [-1]}, {"delete": [1.5]},
                     {"delete": list(range(1, 66))}):
            self.error(400, "bad_json", "POST", "versions", body)
        for body in ({}, {"max_versions": 0}, {"max_versions": 65}, {"expires_at": "tomorrow"},
                     {"expires_at": 1}, {"expires_in": 0}, {"expires_in": 2**40},
                     {"expires_in": 5, "expires_at": None}, {"custom_metadata": {}},
                     {"custom_metadata": {"a": 1}}, {"custom_metadata": {"": "x"}},
                     {"custom_metadata": []}, {"other": 1}, {"expected_version": 1}):
            self.error(400, "bad_json", "PATCH", "metadata", body)
        self.assertEqual(self.states(), {1: "current"})

    # -- commands --

    def run_cli(self, *arguments, expect=0):
        environment = clean_environment(OSTRAKA_ADDR=self.cluster.addresses(),
                                        OSTRAKA_CACERT=self.cluster.ca_file(),
                                        OSTRAKA_TOKEN_FILE=self.cluster.token_file())
        done = subprocess.run([self.cluster.program, *arguments], capture_output=True,
                              env=environment, timeout=60 * SLOW, check=False)
        self.assertEqual(done.returncode, expect, (done.stdout, done.stderr))
        return done.stdout.decode()

    def test_commands(self):
        self.versions(3)
        self.run_cli("versions", "delete", self.name, "1", "2")
        self.assertEqual(self.states(), {1: "deleted", 2: "deleted", 3: "current"})
        self.run_cli("versions", "undelete", self.name, "1", "--expected-version", "3")
        said = self.run_cli("versions", "destroy", self.name, "2")
        self.assertRegex(said, r"Erased on [23] of 3 nodes, 2 required")
        self.assertEqual(self.states(), {1: "superseded", 2: "destroyed", 3: "current"})
        self.run_cli("versions", "undelete", self.name, "2", expect=3)
        self.run_cli("versions", "delete", self.name, "1", "--expected-version", "2", expect=4)
        self.run_cli("versions", "delete", self.name, "x", expect=2)
        self.run_cli("versions", "delete", self.name, expect=2)
        self.run_cli("metadata", "set", self.name, "--set", "owner=a=b", "--set", "x=",
                     "--max-versions", "9", "--expires-in", "3600")
        self.run_cli("metadata", "set", self.name, "--remove", "x")
        said = self.run_cli("metadata", "get", self.name)
        self.assertIn("owner = a=b", said)
        self.assertNotIn("x =", said)
        self.assertNotIn("never", said)
        self.run_cli("metadata", "set", self.name, "--no-expiry", "--default-max-versions")
        self.assertIn("never", self.run_cli("metadata", "get", self.name))
        self.run_cli("metadata", "set", self.name, expect=2)
        self.run_cli("metadata", "set", self.name, "--no-expiry", "--expires-in", "5", expect=2)
        self.run_cli("metadata", "get", "nothing", expect=3)

    def test_diff(self):
        self.create("one\ntwo\nthree\n")
        self.update("one\n2\nthree\nfour\n")
        self.update("one\n2\nthree\nfour\n")
        said = self.run_cli("secret", "diff", self.name, "1", "2")
        self.assertEqual(said, "1 lines only in version 1, 2 lines only in version 2.\n")
        said = self.run_cli("secret", "diff", self.name, "1", "2", "--show-values")
        self.assertEqual(said.splitlines()[:3], ["- two", "+ 2", "+ four"])
        self.assertIn("the same", self.run_cli("secret", "diff", self.name, "2", "3"))
        self.run_cli("secret", "diff", self.name, "1", "9", expect=3)

    def test_names_are_completed(self):
        for name in ("c/one", "c/two", "c/$(touch x)"):
            self.name = name.replace("$", "%24").replace(" ", "%20").replace("%24", "$")
            self.create()
        script = ('source <("$0" completion bash); COMP_WORDS=("$0" secret get c/); COMP_CWORD=3; _ostraka; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        environment = clean_environment(OSTRAKA_ADDR=self.cluster.addresses(),
                                        OSTRAKA_CACERT=self.cluster.ca_file(),
                                        OSTRAKA_TOKEN_FILE=self.cluster.token_file())
        done = subprocess.run(["bash", "-c", script, self.cluster.program], capture_output=True,
                              env=environment, timeout=60 * SLOW, check=True)
        self.assertEqual(done.stdout.decode().split(), ["c/one", "c/two"])


if __name__ == "__main__":
    unittest.main()
