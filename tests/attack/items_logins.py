"""Logins by whoever has no business here, at a tenant that trusts an issuer and has roles: every one is 401.

prepare() makes the tenant "logins", with an issuer whose keys are known here, so that what is wrong with a token is
that one thing alone.
"""

import hashlib
import hmac
import json
import tempfile
import time

from item import Item
from items_identity import ask
from lab import must
from logins import Issuer, Key, base64url, make_jwt, openssl

TENANT = {"X-Ostraka-Tenant": "logins"}
LOGIN = "/v1/auth/jwt:login"
NOBODY = "01234567-89ab-4cde-8f01-23456789abcd"


class RsaKey:
    def __init__(self, folder):
        self.path = folder + "/rsa.key"
        openssl("genrsa", "-out", self.path, "2048")
        modulus = openssl("rsa", "-in", self.path, "-noout", "-modulus").decode().strip().partition("=")[2]
        self.modulus = bytes.fromhex(modulus)
        self.pem = openssl("rsa", "-in", self.path, "-pubout")
        self.der = openssl("rsa", "-in", self.path, "-pubout", "-outform", "DER")

    def jwk(self):
        return {"kty": "RSA", "alg": "RS256", "kid": "rsa", "n": base64url(self.modulus), "e": "AQAB"}

    def sign(self, data):
        return openssl("dgst", "-sha256", "-sign", self.path, data=data)


def prepare(lab):
    ask(lab, 201, "POST", "/v1/tenants", {"name": "logins"})
    lab.login_folder = tempfile.TemporaryDirectory()
    lab.issuer, lab.rsa = Issuer(lab.login_folder.name), RsaKey(lab.login_folder.name)
    lab.thief = Key(lab.login_folder.name, "thief")
    body = lab.issuer.body(["readers"])
    body["jwks"]["keys"].append(lab.rsa.jwk())
    ask(lab, 200, "PUT", "/v1/policies/readers", {"rules": [{"path": "a/**", "capabilities": ["read"]}]},
        tenant="logins")
    ask(lab, 200, "PUT", "/v1/auth/issuers", body, tenant="logins")


def login(lab, jwt, path=LOGIN, member="jwt"):
    return lab.request("POST", path, {member: jwt}, TENANT, token=None)


def hmac_of(key):
    return lambda data: hmac.new(key, data, hashlib.sha256).digest()


def good_ones(lab):
    """So that the others are refused for what they are."""
    for jwt in (lab.issuer.jwt(), make_jwt({"alg": "RS256", "kid": "rsa"}, lab.issuer.claims(), lab.rsa.sign)):
        status, _, made = lab.cluster.request(lab.node, "POST", LOGIN, {"jwt": jwt}, TENANT, None)
        must(status == 200, "a good one: %d", status)
        lab.add_token("LOGIN", made["token"])


def refused(make, bearer=True):
    def attack(lab):
        for jwt in make(lab):
            status = login(lab, jwt)[0]
            must(status == 401, "%s...: %d", jwt[:60], status)
            if not bearer or jwt != jwt.strip():  # space around a header's value is no part of it
                continue
            status = lab.request("GET", "/v1/secrets", None, TENANT, token=jwt or "x")[0]
            must(status == 401, "as a bearer: %d", status)
    return attack


def times(lab):
    now = int(time.time())
    return [lab.issuer.jwt(iat=now - 600, exp=now - 1), lab.issuer.jwt(exp=0), lab.issuer.jwt(exp=-1),
            lab.issuer.jwt(exp=None), lab.issuer.jwt(exp=str(now + 60)), lab.issuer.jwt(exp=now + 60.5),
            lab.issuer.jwt(exp=True), lab.issuer.jwt(nbf=now + 300), lab.issuer.jwt(iat=now + 300),
            lab.issuer.jwt(exp=now + 100 * 3600), lab.issuer.jwt(nbf="x")]


def audiences(lab):
    return [lab.issuer.jwt(aud=aud) for aud in (None, "", "Ostraka", "ostraka ", "elsewhere", [], ["x"],
                                                ["ostraka", 1], {"ostraka": 1}, ["ostraka"] * 17)]


def nobody(lab):
    return [lab.issuer.jwt(**claims) for claims in (
        {"sub": None}, {"sub": ""}, {"sub": 1}, {"iss": None}, {"iss": "https://issuer.example/"},
        {"iss": "HTTPS://issuer.example"}, {"iss": ["https://issuer.example"]})]


def without_a_role(lab):
    """As a bearer it is somebody, who may do nothing."""
    return [lab.issuer.jwt(team=team) for team in (None, "Build", ["buil", "d"], {"build": "build"})]


def unsigned(lab):
    claims = lab.issuer.claims()
    return [make_jwt({"alg": alg, "kid": "first"}, claims, sign)
            for alg in ("none", "None", "NONE", "", None, ["ES256"], "es256")
            for sign in (lambda data: b"", lambda data: b"\0" * 64, lab.issuer.key.sign)]


def hmac_with_public_keys(lab):
    """The key that verifies is known to everybody: it must be no secret of HMAC."""
    claims, secrets = lab.issuer.claims(), (lab.rsa.pem, lab.rsa.pem.strip(), lab.rsa.der, lab.rsa.modulus,
                                            lab.issuer.key.point, json.dumps(lab.rsa.jwk()).encode(), b"")
    return [make_jwt({"alg": alg, "kid": kid}, claims, hmac_of(secret))
            for secret in secrets for alg in ("HS256", "RS256", "ES256") for kid in ("rsa", "first")]


def keys_confused(lab):
    """One key's signature under another's name or algorithm."""
    claims = lab.issuer.claims()
    return [make_jwt({"alg": alg, "kid": kid}, claims, sign) for alg, kid, sign in (
        ("RS256", "first", lab.rsa.sign), ("ES256", "rsa", lab.issuer.key.sign), ("PS256", "rsa", lab.rsa.sign),
        ("RS384", "rsa", lab.rsa.sign), ("RS256", "rsa", lab.issuer.key.sign), ("EdDSA", "first", lab.issuer.key.sign),
        ("ES256", "first", lab.thief.sign), ("ES256", "first", lambda data: b"\0" * 64))]


def key_ids(lab):
    claims = lab.issuer.claims()
    return [make_jwt({"alg": "ES256", "kid": kid}, claims, lab.issuer.key.sign)
            for kid in ("", "FIRST", "first ", "first\0", "../first", "x" * 129, 1, None, ["first"],
                        "' OR '1'='1")]


def brought_along(lab):
    """A key, or where there is one, in the token's own header."""
    claims = lab.issuer.claims()
    return [make_jwt({"alg": "ES256", "kid": "first", **more}, claims, sign)
            for sign in (lab.thief.sign, lab.issuer.key.sign)
            for more in ({"jwk": lab.thief.jwk("first")}, {"jku": "https://127.0.0.1:1/"}, {"x5u": "file:///x"},
                         {"x5c": ["MIIB"]}, {"crit": ["exp"]}, {"b64": False, "crit": ["b64"]})]


def changed(lab):
    head, payload, signature = lab.issuer.jwt().split(".")
    claims = base64url(json.dumps(lab.issuer.claims(sub="admin")).encode())
    return ["%s.%s.%s" % (head, claims, signature), "%s.%s.%s" % (head, payload, signature[:-2]),
            "%s.%s.%sAA" % (head, payload, signature), "%s.%s." % (head, payload), "%s.%s" % (head, payload),
            "%s.%s.%s." % (head, payload, signature), ".%s.%s" % (payload, signature),
            "%s=.%s.%s" % (head, payload, signature), " %s.%s.%s" % (head, payload, signature)]


def roles(lab):
    secret = "oss_" + "A" * 48
    for body in ({"role_id": NOBODY, "secret_id": secret}, {"role_id": "", "secret_id": ""},
                 {"role_id": NOBODY.upper(), "secret_id": secret}, {"role_id": NOBODY + ".x", "secret_id": secret},
                 {"role_id": "../" + NOBODY, "secret_id": secret}, {"role_id": "admin", "secret_id": "x" * 4000}):
        status = lab.request("POST", "/v1/auth/approle:login", body, TENANT, token=None)[0]
        must(status == 401, "%r: %d", body, status)


def statements(lab):
    for text in ("", "ostst1.", "ostst1..", "ostst1.AA.AA", "ostst1." + "A" * 4000, lab.issuer.jwt(),
                 "ostlg1.%s.x" % NOBODY):
        status = login(lab, text, "/v1/auth/cert:login", "statement")[0]
        must(status == 401, "%s: %d", text[:20], status)


def wrong_door(lab):
    """What one login takes is nothing to another, nor a bearer."""
    good = lab.issuer.jwt()
    must(login(lab, good, "/v1/auth/cert:login", "statement")[0] == 401, "a JWT as a statement")
    for text in ("ostlg1.%s.x" % NOBODY, "ostst1.AA.AA"):
        must(login(lab, text)[0] == 401, "%s as a JWT", text)
        must(lab.request("GET", "/v1/secrets", token=text)[0] == 401, "%s as a bearer", text)


ITEMS = [
    Item("logins", "what is good", "200", good_ones),
    Item("logins", "times that have passed, or are none", "401", refused(times)),
    Item("logins", "tokens for others", "401", refused(audiences)),
    Item("logins", "tokens of nobody", "401", refused(nobody)),
    Item("logins", "tokens of no role", "401", refused(without_a_role, bearer=False)),
    Item("logins", "no algorithm", "401", refused(unsigned)),
    Item("logins", "HMAC with the issuer's public keys", "401", refused(hmac_with_public_keys)),
    Item("logins", "one key for another", "401", refused(keys_confused)),
    Item("logins", "names of keys", "401", refused(key_ids)),
    Item("logins", "keys that tokens bring along", "401", refused(brought_along)),
    Item("logins", "tokens that were changed", "401", refused(changed)),
    Item("logins", "roles that are none", "401", roles),
    Item("logins", "statements that are none", "401", statements),
    Item("logins", "one kind of login for another", "401", wrong_door),
]
