"""ostraka login and logout against three real nodes: where secrets come from, where the token goes, who finds it."""

import json
import os
import re
import stat
import subprocess
import tempfile
import unittest

from cluster_case import ClusterCase
from logins import Authority, Issuer, Key, openssl
from ostraka_cluster import SLOW, clean_environment

OK, FAILED, USAGE, NOT_FOUND, CONFLICT, UNAUTHORIZED, UNAVAILABLE = range(7)
CONFIGURATION = 78
TOKEN = r"ost_[A-Za-z0-9_-]{48}"


class Login(ClusterCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.TemporaryDirectory()
        cls.issuer = Issuer(cls.folder.name)
        cls.authority = Authority(cls.folder.name)
        rules = [{"path": "app/**", "capabilities": ["create", "read"]}]
        cls.call(200, "PUT", "/v1/policies/app", {"rules": rules})
        cls.identity = cls.call(201, "POST", "/v1/identities",
                                {"name": "app", "kind": "service", "policies": ["app"]})["id"]
        cls.role = cls.call(201, "POST", "/v1/auth/roles", {"identity": cls.identity, "ttl": 600})["role_id"]
        cls.secret = cls.call(201, "POST", "/v1/auth/roles/%s/secret-ids" % cls.role, {})["secret_id"]
        cls.call(200, "PUT", "/v1/auth/issuers", cls.issuer.body(["app"]))
        cls.call(200, "PUT", "/v1/auth/ca", {"certificate": cls.authority.pem})

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()
        super().tearDownClass()

    @classmethod
    def call(cls, expect, *request, **options):
        status, _, answer = cls.cluster.request(1, *request, **options)
        assert status == expect, (request, status, answer)
        return answer

    def setUp(self):
        self.home = tempfile.TemporaryDirectory(dir=self.folder.name)
        self.addCleanup(self.home.cleanup)

    def write(self, name, content):
        path = os.path.join(self.home.name, name)
        with open(path, "w") as file:
            file.write(content)
        return path

    def run_cli(self, *arguments, expect=OK, stdin="", **environment):
        changes = {"OSTRAKA_ADDR": self.cluster.addresses(), "OSTRAKA_CACERT": self.cluster.ca_file(),
                   "XDG_CONFIG_HOME": os.path.join(self.home.name, "config"), **environment}
        changes = {key: value for key, value in clean_environment(**changes).items() if value is not None}
        done = subprocess.run([self.cluster.program, *arguments], input=stdin, capture_output=True, text=True,
                              env=changes, timeout=60 * SLOW, check=False)
        self.assertEqual(done.returncode, expect, (arguments, done.stdout, done.stderr))
        for secret in (self.secret, self.cluster.token):
            self.assertNotIn(secret, done.stdout + done.stderr)
        return done

    def approle(self, *more, **options):
        return self.run_cli("login", "approle", "--role-id", self.role, *more, **{"stdin": self.secret + "\n", **options})

    def stored(self):
        folder = os.path.join(self.home.name, "config", "ostraka")
        return [os.path.join(folder, name) for name in os.listdir(folder)] if os.path.isdir(folder) else []

    def is_good(self, token):
        return self.cluster.request(2, "GET", "/v1/tokens/self", token=token)[0] == 200

    # ---- where the token goes ----

    def test_login_is_found_by_the_commands_that_follow(self):
        self.run_cli("token", "show", expect=UNAUTHORIZED)
        done = self.approle()
        self.assertIn(self.identity, done.stdout)
        self.assertNotRegex(done.stdout + done.stderr, TOKEN)
        [path] = self.stored()
        self.assertIn(path, done.stdout)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode), 0o700)
        with open(path) as file:
            token = file.read().strip()
        self.assertEqual(json.loads(self.run_cli("token", "show").stdout)["identity"], self.identity)
        self.run_cli("secret", "create", "app/" + self.role, "-", stdin="value")
        self.assertEqual(self.run_cli("secret", "get", "app/" + self.role).stdout, "value")
        self.approle()
        self.assertEqual(self.stored(), [path])
        with open(path) as file:
            second = file.read().strip()
        self.assertNotEqual(second, token)
        self.assertTrue(self.is_good(token))
        self.run_cli("logout")
        self.assertEqual(self.stored(), [])
        self.assertFalse(self.is_good(second))
        self.run_cli("token", "show", expect=UNAUTHORIZED)
        self.run_cli("logout", expect=UNAUTHORIZED)

    def test_the_token_is_shown_on_request_alone(self):
        answer = json.loads(self.approle("--json").stdout)
        self.assertEqual((answer["identity"], answer["tenant"]), (self.identity, "default"))
        self.assertNotIn("token", answer)
        [path] = self.stored()
        os.unlink(path)
        self.assertRegex(self.approle("--token-only").stdout, "^" + TOKEN + "\n$")
        answer = json.loads(self.approle("--no-store").stdout)
        self.assertRegex(answer["token"], "^" + TOKEN + "$")
        self.assertEqual(json.loads(self.approle("--no-store", "--json").stdout)["identity"], self.identity)
        self.assertEqual(self.stored(), [])
        self.assertTrue(self.is_good(answer["token"]))
        for wrong in (("--json", "--token-only"), ("--no-store", "--token-file", "x"), ("--token-only", "--token-file", "x")):
            self.approle(*wrong, expect=USAGE)

    def test_a_token_file_of_ones_own(self):
        path = os.path.join(self.home.name, "mine")
        self.approle("--token-file", path)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(self.stored(), [])
        self.run_cli("token", "show", "--token-file", path)
        self.run_cli("token", "show", OSTRAKA_TOKEN_FILE=path)
        with open(path) as file:
            token = file.read().strip()
        self.call(200, "POST", "/v1/tokens/self:revoke", token=token)
        self.run_cli("logout", "--token-file", path, expect=UNAUTHORIZED)
        self.assertTrue(os.path.exists(path))
        self.run_cli("logout", "--local", "--token-file", path)
        self.assertFalse(os.path.exists(path))

    def test_what_is_set_counts_before_what_is_stored(self):
        done = self.approle(OSTRAKA_TOKEN_FILE=self.cluster.token_file())
        self.assertIn("OSTRAKA_TOKEN_FILE is set", done.stderr)
        self.assertNotRegex(done.stdout + done.stderr, TOKEN)
        self.run_cli("policy", "list", OSTRAKA_TOKEN_FILE=self.cluster.token_file())
        self.run_cli("policy", "list", expect=NOT_FOUND)
        self.run_cli("token", "show", OSTRAKA_TOKEN="ost_" + "A" * 48, expect=UNAUTHORIZED)
        self.assertIn("OSTRAKA_TOKEN is set", self.approle(OSTRAKA_TOKEN="x").stderr)

    def test_a_token_is_not_sent_to_another_cluster(self):
        self.approle()
        other = os.path.join(self.home.name, "other.crt")
        openssl("req", "-x509", "-new", "-key", self.authority.key.path, "-subj", "/CN=other", "-out", other)
        done = self.run_cli("token", "show", OSTRAKA_CACERT=other, expect=UNAUTHORIZED)
        self.assertIn("no access token", done.stderr)
        self.run_cli("token", "show", OSTRAKA_CACERT=None, expect=UNAUTHORIZED)
        self.run_cli("token", "show", OSTRAKA_CACERT=self.write("x", "nothing"), expect=CONFIGURATION)

    def test_folders(self):
        self.approle(XDG_CONFIG_HOME=None, HOME=os.path.join(self.home.name, "home"))
        self.assertEqual(len(os.listdir(os.path.join(self.home.name, "home", ".config", "ostraka"))), 1)
        self.approle(XDG_CONFIG_HOME="relative", HOME=os.path.join(self.home.name, "second"))
        self.assertTrue(os.path.isdir(os.path.join(self.home.name, "second", ".config", "ostraka")))
        self.approle(XDG_CONFIG_HOME=None, HOME=None, expect=CONFIGURATION)
        self.approle("--token-only", XDG_CONFIG_HOME=None, HOME=None)
        self.write("file", "")
        self.approle(XDG_CONFIG_HOME=os.path.join(self.home.name, "file"), expect=FAILED)

    def test_a_file_that_others_can_read_is_refused(self):
        self.approle()
        [path] = self.stored()
        os.chmod(path, 0o644)
        self.assertIn("chmod 600", self.run_cli("token", "show", expect=UNAUTHORIZED).stderr)
        os.chmod(path, 0o600)
        self.run_cli("token", "show")
        with open(path, "w") as file:
            file.write("two words")
        self.assertNotIn("two words", self.run_cli("token", "show", expect=UNAUTHORIZED).stderr)

    def test_logout_when_the_token_has_ended_and_when_no_node_answers(self):
        self.approle()
        [path] = self.stored()
        done = self.run_cli("logout", OSTRAKA_ADDR="https://127.0.0.1:1", expect=UNAVAILABLE)
        self.assertIn("stays", done.stderr)
        self.assertTrue(os.path.exists(path))
        with open(path) as file:
            self.call(200, "POST", "/v1/tokens/self:revoke", token=file.read().strip())
        self.run_cli("logout")
        self.assertEqual(self.stored(), [])
        self.approle()
        with open(path) as file:
            token = file.read().strip()
        self.run_cli("logout", "--local", OSTRAKA_ADDR="https://127.0.0.1:1")
        self.assertEqual(self.stored(), [])
        self.assertTrue(self.is_good(token))

    # ---- where secrets come from ----

    def test_secrets_come_from_input_files_and_the_environment(self):
        file = self.write("secret-id", self.secret + "\n")
        role = ("login", "approle", "--role-id", self.role)
        for arguments, options in ((role, {"stdin": self.secret}), ((*role, "-"), {"stdin": self.secret + "\n"}),
                                   ((*role, "@" + file), {}), (role, {"OSTRAKA_SECRET_ID": self.secret}),
                                   (role[:2], {"OSTRAKA_ROLE_ID": self.role, "stdin": self.secret}),
                                   ((*role, "-"), {"stdin": self.secret, "OSTRAKA_SECRET_ID": "other"})):
            self.run_cli(*arguments, **options)
        self.assertNotIn("oss_", self.run_cli(*role, "oss_" + "A" * 48, expect=USAGE).stderr)
        self.run_cli(*role, "@/does/not/exist", expect=FAILED)
        self.run_cli(*role, stdin="", expect=FAILED)
        self.run_cli(*role, stdin="x" * 5000, expect=FAILED)
        self.run_cli(*role[:2], stdin=self.secret, expect=USAGE)

    def test_what_is_wrong_is_not_told(self):
        done = self.run_cli("login", "approle", "--role-id", self.role, stdin="oss_" + "A" * 48, expect=UNAUTHORIZED)
        self.assertIn("unauthenticated", done.stderr)
        self.assertIn("role id", done.stderr)
        self.assertNotIn("OSTRAKA_TOKEN", done.stderr)
        self.assertEqual(self.stored(), [])
        self.approle("--tenant", "nowhere", expect=UNAUTHORIZED)
        self.run_cli("login", expect=USAGE)

    def test_jwt(self):
        jwt = self.issuer.jwt()
        for arguments, options in (((), {"stdin": jwt}), (("@" + self.write("jwt", jwt + "\n"),), {}),
                                   ((), {"OSTRAKA_JWT": jwt})):
            answer = json.loads(self.run_cli("login", "jwt", *arguments, "--json", **options).stdout)
            self.assertEqual(answer["policies"], ["app"])
        self.run_cli("secret", "create", "app/jwt", "-", stdin="value")
        self.run_cli("logout")
        done = self.run_cli("login", "jwt", stdin=self.issuer.jwt(aud="elsewhere"), expect=UNAUTHORIZED)
        self.assertIn("audience", done.stderr)

    # ---- certificates ----

    def make_certificate(self, name, serial, identity=None, make_key=None):
        key = Key(self.home.name, name)
        if make_key:
            openssl(*make_key, "-out", key.path)
        path = os.path.join(self.home.name, name + ".crt")
        der = self.authority.certificate(key, identity or self.identity, serial)
        with open(path, "wb") as file:
            file.write(openssl("x509", "-inform", "DER", data=der))
        return path, key.path

    def cert(self, certificate, key, *more, **options):
        return self.run_cli("login", "cert", "--certificate", certificate, "--key", key, *more, **options)

    def test_certificates_with_each_sort_of_key(self):
        for serial, (name, make_key) in enumerate((
                ("p256", None), ("ed25519", ("genpkey", "-algorithm", "ed25519")),
                ("rsa", ("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")))):
            certificate, key = self.make_certificate(name, 0x100 + serial, make_key=make_key)
            answer = json.loads(self.cert(certificate, key, "--json").stdout)
            self.assertEqual(answer["identity"], self.identity, name)
        self.assertEqual(json.loads(self.run_cli("token", "show").stdout)["identity"], self.identity)
        environment = {"OSTRAKA_CLIENT_CERTIFICATE": certificate, "OSTRAKA_CLIENT_KEY": key}
        self.run_cli("login", "cert", **environment)
        self.run_cli("logout")

    def test_a_statement_is_for_one_cluster_and_tenant(self):
        certificate, key = self.make_certificate("one", 0x200)
        self.cert(certificate, key, "--tenant", "elsewhere", expect=UNAUTHORIZED)
        self.cert(certificate, key, "--cluster-id", "0" * 32, expect=UNAUTHORIZED)
        self.cert(certificate, key, "--cluster-id", "0", expect=USAGE)
        with open(self.cluster.config()) as file:
            cluster_id = re.search(r'cluster_id = "(\w+)"', file.read()).group(1)
        self.cert(certificate, key, OSTRAKA_CLUSTER_ID=cluster_id)
        done = self.cert(certificate, key, OSTRAKA_CACERT=self.authority.path, expect=USAGE)
        self.assertIn("--cluster-id", done.stderr)

    def test_files_that_do_not_fit_are_told(self):
        certificate, key = self.make_certificate("fits", 0x300)
        _, other = self.make_certificate("other", 0x301)
        for pair in ((certificate, other), (key, key), (certificate, certificate), ("/does/not/exist", key),
                     (self.authority.path, self.authority.key.path)):
            self.cert(*pair, expect=CONFIGURATION)
        locked = os.path.join(self.home.name, "locked.key")
        openssl("pkcs8", "-topk8", "-in", key, "-out", locked, "-passout", "pass:secret")
        self.assertIn("not encrypted", self.cert(certificate, locked, expect=CONFIGURATION).stderr)
        self.run_cli("login", "cert", "--certificate", certificate, expect=USAGE)

    # ---- tokens ----

    def test_a_token_for_a_number_of_uses(self):
        admin = {"OSTRAKA_TOKEN_FILE": self.cluster.token_file()}
        made = json.loads(self.run_cli("token", "create", "--identity", self.identity, "--uses", "2", **admin).stdout)
        self.assertEqual(made["uses_left"], 2)
        self.run_cli("secret", "create", "app/uses", "-", stdin="value", OSTRAKA_TOKEN=made["token"])
        self.run_cli("secret", "get", "app/uses", OSTRAKA_TOKEN=made["token"])
        self.run_cli("secret", "get", "app/uses", OSTRAKA_TOKEN=made["token"], expect=UNAUTHORIZED)

    def test_hints_are_about_what_was_asked_for(self):
        admin = {"OSTRAKA_TOKEN_FILE": self.cluster.token_file()}
        self.assertIn("bootstrap token", self.run_cli("token", "show", expect=NOT_FOUND, **admin).stderr)
        for arguments in (("policy", "get", "absent"), ("tenant", "show", "absent"),
                          ("identity", "show", "01234567-89ab-4cde-8f01-23456789abcd"),
                          ("token", "revoke", "0" * 32)):
            error = self.run_cli(*arguments, expect=NOT_FOUND, **admin).stderr
            self.assertIn("hint: check", error)
            self.assertNotIn("secret", error)
        self.assertIn("ostraka secret create",
                      self.run_cli("secret", "update", "absent", "v", expect=NOT_FOUND, **admin).stderr)

    def test_what_is_not_there_is_not_to_be_created_anew(self):
        """Another version of a secret, a name that may not be created, a trail: each has a hint of its own."""
        admin = {"OSTRAKA_TOKEN_FILE": self.cluster.token_file()}
        token = json.loads(self.run_cli("token", "create", "--identity", self.identity, **admin).stdout)["token"]
        self.run_cli("secret", "create", "hints/one", "v", **admin)
        for arguments, hint, variables in (
                (("secret", "get", "hints/one", "--version", "9"), "ostraka secret history NAME", admin),
                (("secret", "get", "hints/one", "--at", "2020-01-01T00:00:00Z"), "ostraka secret history NAME", admin),
                (("secret", "diff", "hints/one", "1", "9"), "ostraka secret history NAME", admin),
                (("versions", "delete", "hints/one", "9"), "ostraka secret history NAME", admin),
                (("secret", "get", "hints/none"), "ostraka secret history NAME", admin),
                (("secret", "create", "hints/two", "v", "--tenant", "nobody"), "you may not create", admin),
                (("audit", "search"), "none but auditors", {"OSTRAKA_TOKEN": token})):
            error = self.run_cli(*arguments, expect=NOT_FOUND, **variables).stderr
            self.assertIn(hint, error)
            self.assertNotIn("ostraka secret create", error)


if __name__ == "__main__":
    unittest.main()
