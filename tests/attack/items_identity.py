"""Callers with a token of their own who want more than it allows: other names, tenants, identities, another life.

prepare() makes them:

    NARROW    of the default tenant; may do everything below known/, and deny is on known/closed
    BLUE      of the tenant blue; may do everything there. The tenant red has a canary of its own
    OPERATOR  may run the cluster, and read no secret
    REVOKED, EXPIRED, ORPHAN, DISABLED, DELETED   were like NARROW once
"""

import base64
import concurrent.futures
import hashlib
import hmac
import json
import threading
import time

from item import Item, get, http, post, raw
from items_access import medians
from items_names import SPELLINGS
from lab import ANSWER_SECONDS, SLOW, must, parse_answers, wait_until

ALL = ["create", "read", "update", "delete", "list", "history"]
SECRET = "/v1/secrets/canary/path"
NOBODY = "01234567-89ab-4cde-8f01-23456789abcd"
DEAD = ("REVOKED", "EXPIRED", "ORPHAN", "DISABLED", "DELETED")


# ---- making them ----

def ask(lab, status, method, path, body=None, token=None, tenant=None, node=1):
    """As the administrator unless told otherwise; what is answered must have that status."""
    headers = {"X-Ostraka-Tenant": tenant} if tenant else {}
    end = time.monotonic() + ANSWER_SECONDS * SLOW
    while True:
        got, _, answer = lab.cluster.request(node, method, path, body, headers, token or lab.cluster.token)
        if got != 503 or answer["error"]["retry"] != "safe" or time.monotonic() > end:
            break
        time.sleep(0.1)
    must(got == status, "%s %s: %d %r", method, path, got, answer)
    return answer


def make_identity(lab, name, *policies, tenant=None):
    return ask(lab, 201, "POST", "/v1/identities",
               {"name": name, "kind": "service", "policies": list(policies)}, tenant=tenant)["id"]


def make_token(lab, name, identity, tenant=None, token=None, **more):
    """Makes a token, known to the lab by this name; its accessor."""
    made = ask(lab, 201, "POST", "/v1/tokens", {"identity": identity, **more}, tenant=tenant, token=token)
    lab.add_token(name, made["token"])
    return made["accessor"]


def make_dead(lab):
    """Tokens that were good once."""
    accessor = make_token(lab, "REVOKED", lab.narrow)
    ask(lab, 200, "POST", "/v1/tokens:revoke", {"accessor": accessor})
    make_token(lab, "EXPIRED", lab.narrow, ttl=1)
    parent = make_token(lab, "PARENT", make_identity(lab, "parent", "operator"))
    make_token(lab, "ORPHAN", lab.narrow, token=lab.tokens["PARENT"])
    ask(lab, 200, "POST", "/v1/tokens:revoke", {"accessor": parent})
    for name, method, body in (("DISABLED", "PATCH", {"disabled": True}), ("DELETED", "DELETE", None)):
        identity = make_identity(lab, name.lower(), "narrow")
        make_token(lab, name, identity)
        ask(lab, 200, method, "/v1/identities/" + identity, body)


def prepare(lab):
    ask(lab, 200, "PUT", "/v1/policies/narrow", {"rules": [
        {"path": "known/**", "capabilities": ALL}, {"path": "known/closed", "capabilities": ["deny"]}]})
    lab.narrow = make_identity(lab, "narrow", "narrow")
    lab.accessor = make_token(lab, "NARROW", lab.narrow)
    for tenant in ("blue", "red"):
        ask(lab, 201, "POST", "/v1/tenants", {"name": tenant})
        ask(lab, 200, "PUT", "/v1/policies/all", {"rules": [{"path": "**", "capabilities": ALL}]}, tenant=tenant)
    lab.blue = make_identity(lab, "blue", "all", tenant="blue")
    make_token(lab, "BLUE", lab.blue, tenant="blue")
    lab.red = make_identity(lab, "red", "all", tenant="red")
    lab.red_accessor = make_token(lab, "RED", lab.red, tenant="red")
    ask(lab, 201, "POST", SECRET, {"value": lab.canary}, token=lab.tokens["RED"])
    ask(lab, 201, "POST", "/v1/secrets/known/closed", {"value": lab.canary})
    lab.names.add("known/closed")
    make_token(lab, "OPERATOR", make_identity(lab, "operator", "operator"))
    make_dead(lab)
    for node in lab.cluster.nodes():
        wait_until(lambda node=node: lab.cluster.request(
            node, "GET", "/v1/tokens/self", token=lab.tokens["EXPIRED"])[0] == 401, 20, "it expires")


# ---- more than a policy allows ----

# (method, target, body): nothing of it may be known to who may not see it.
HIDDEN = [
    ("GET", SECRET, None), ("HEAD", SECRET, None), ("GET", SECRET + "?version=1", None),
    ("GET", SECRET + "?consistency=stale", None), ("GET", SECRET + "?at=2040-01-01T00:00:00Z", None),
    ("POST", SECRET, '{"value": "x"}'), ("PUT", SECRET, '{"value": "x"}'),
    ("PUT", SECRET, '{"value": "x", "expected_version": 1}'), ("DELETE", SECRET, None),
    ("DELETE", SECRET + "?expected_version=1", None), ("GET", "/v1/history/canary/path", None),
    ("GET", "/v1/deletions/canary/path", None),
    ("POST", "/v1/batch", '{"read": [{"name": "canary/path"}]}'),
    ("POST", "/v1/batch", '{"read": [{"name": "known/name"}, {"name": "canary/path"}]}'),
    ("POST", "/v1/batch", '{"create": [{"name": "canary/path", "value": "x"}]}'),
    ("POST", "/v1/batch", '{"create": [{"name": "known/b", "value": "x"}, {"name": "canary/new", "value": "x"}]}'),
    ("POST", "/v1/copy", '{"from": "canary/path", "to": "known/c"}'),
    ("POST", "/v1/copy", '{"from": "known/name", "to": "canary/c"}'),
    ("POST", "/v1/copy", '{"from": "canary", "to": "known/c", "recursive": true}'),
    ("POST", "/v1/copy", '{"from": "canary", "to": "known/c", "recursive": true, "move": true}'),
    ("POST", "/v1/env", '{"content": "A=secret(canary/path)"}'),
    ("POST", "/v1/env", '{"content": "A=secret(known/name)secret(canary/path@1)"}'),
]

# What only operators may do.
OPERATORS = [
    ("GET", "/v1/tenants", None), ("POST", "/v1/tenants", '{"name": "mine"}'), ("GET", "/v1/tenants/red", None),
    ("PATCH", "/v1/tenants/blue", '{"limits": {"secrets": 1}}'), ("DELETE", "/v1/tenants/blue", None),
    ("DELETE", "/v1/tenants/red", None),
    ("GET", "/v1/policies", None), ("GET", "/v1/policies/narrow", None),
    ("PUT", "/v1/policies/narrow", '{"rules": [{"path": "**", "capabilities": ["read"]}]}'),
    ("DELETE", "/v1/policies/narrow", None),
    ("POST", "/v1/policies:test", '{"policies": ["narrow"], "operation": "read", "name": "canary/path"}'),
    ("GET", "/v1/identities", None), ("GET", "/v1/identities/" + NOBODY, None),
    ("POST", "/v1/identities", '{"name": "x", "kind": "user", "policies": ["operator"]}'),
    ("PATCH", "/v1/identities/" + NOBODY, '{"policies": ["operator"]}'),
    ("DELETE", "/v1/identities/" + NOBODY, None),
    ("POST", "/v1/tokens", '{"identity": "%s"}' % NOBODY),
    ("POST", "/v1/tokens:revoke", '{"accessor": "%s"}' % ("0" * 32)),
]



def sent(group, what, method, target, body, statuses, **options):
    """An item that is content with any of these statuses."""
    headers = list(options.pop("headers", ())) + (["Content-Type: application/json"] if body else [])
    data = http(target, method, headers=headers, body=body, **options)

    def attack(lab):
        answers = parse_answers(lab.send(data), (method,))
        for answer in answers:
            lab.check_answer(answer)
        must(len(answers) == 1 and answers[0].status in statuses, "%r instead of %r", answers, statuses)
    return Item(group, what, " or ".join(map(str, statuses)), attack)


def shown(method, target, body):
    return "%s %s %s" % (method, target, body or "")


def same_bytes(lab):
    """What is hidden and what is not there: the same bytes, whatever is asked."""
    for method, path, body in (
            ("GET", "/v1/secrets/%s", None), ("GET", "/v1/secrets/%s?version=1", None),
            ("GET", "/v1/secrets/%s?version=7", None), ("PUT", "/v1/secrets/%s", {"value": "x"}),
            ("PUT", "/v1/secrets/%s", {"value": "x", "expected_version": 1}),
            ("POST", "/v1/secrets/%s", {"value": "x"}),
            ("DELETE", "/v1/secrets/%s", None), ("GET", "/v1/history/%s", None), ("GET", "/v1/deletions/%s", None)):
        answers = []
        for name in ("canary/path", "canary/none"):
            status, headers, got = lab.request(method, path % name, body, {"X-Request-Id": "same"},
                                               token=lab.tokens["NARROW"])
            answers.append((status, sorted(headers.items()), got))
        must(answers[0] == answers[1], "%s %s: %r", method, path, answers)


def lists_only_own(lab):
    for query, names in (("", ["known/name"]), ("?prefix=canary", []), ("?prefix=canary/path", []),
                         ("?after=n%s" % b"canary/pat".hex(), ["known/name"]), ("?prefix=known/cl", [])):
        status, _, got = lab.request("GET", "/v1/secrets" + query, token=lab.tokens["NARROW"])
        must(status == 200 and got["names"] == names and "next" not in got, "%s: %r", query, got)


def pages_tell_nothing(lab):
    """Pages of one name: neither a name nor the mark of the next page is that of a hidden secret."""
    after, seen = "", []
    for _ in range(20):
        _, _, got = lab.request("GET", "/v1/secrets?limit=1" + after, token=lab.tokens["NARROW"])
        seen += got["names"]
        if "next" not in got:
            break
        after = "&after=" + got["next"]
    must(seen == ["known/name"], "%r", seen)


# ---- other tenants ----

HOPS = [
    ("GET", SECRET, None), ("PUT", SECRET, '{"value": "x"}'), ("DELETE", SECRET, None),
    ("GET", "/v1/secrets", None), ("GET", "/v1/history/canary/path", None),
    ("POST", "/v1/batch", '{"read": [{"name": "canary/path"}]}'),
    ("POST", "/v1/secrets/blue/was/here", '{"value": "x"}'),
    ("POST", "/v1/copy", '{"from": "canary/path", "to": "x"}'),
    ("POST", "/v1/env", '{"content": "A=secret(canary/path)"}'),
    ("GET", "/v1/policies", None), ("GET", "/v1/policies/all", None),
    ("PUT", "/v1/policies/all", '{"rules": [{"path": "a", "capabilities": ["read"]}]}'),
    ("GET", "/v1/identities", None),
]


def hop_by_identity(lab):
    """Neither a token for another tenant's identity nor its policies, nor its revocation."""
    for method, path, body in (
            ("POST", "/v1/tokens", {"identity": lab.red}), ("GET", "/v1/identities/" + lab.red, None), ("DELETE", "/v1/identities/" + lab.red, None),
            ("PATCH", "/v1/identities/" + lab.red, {"tenants": ["blue"]}),
            ("PATCH", "/v1/identities/" + lab.blue, {"tenants": ["red"]}),
            ("POST", "/v1/tokens:revoke", {"accessor": lab.red_accessor})):
        for tenant in (None, "red", "blue", "default"):
            headers = {"X-Ostraka-Tenant": tenant} if tenant else {}
            status = lab.request(method, path, body, headers, token=lab.tokens["BLUE"])[0]
            # Whose own tenant it is may know that there is such a thing, and be refused.
            must(status in (403, 404), "%s %s in %s: %d", method, path, tenant, status)
    must(lab.request("GET", "/v1/tokens/self", token=lab.tokens["RED"])[0] == 200, "red's token is gone")


# ---- tokens ----

def spellings_of_token(lab):
    token = lab.tokens["NARROW"]
    hashed = hashlib.blake2b(token.encode(), digest_size=32)
    wrong = {token[4:], token.upper(), token.lower(), token.swapcase(), token[:-1], token + "A",
             "OST_" + token[4:], "ost-" + token[4:], token[:4] + token[:3:-1], token + "=", "ost_" + token,
             lab.accessor, hashed.hexdigest(),
             "ost_" + base64.urlsafe_b64encode(hashed.digest() + b"abcd").decode()}
    for i in range(4, len(token), 6):
        wrong.add(token[:i] + ("A" if token[i] != "A" else "B") + token[i + 1:])
    for text in wrong - {token}:
        must(lab.request("GET", "/v1/tokens/self", token=text)[0] == 401, "%d letters are taken", len(text))


def revoked_in_use(lab):
    """Six clients read at all nodes without a pause: once the revocation is answered, no read begun is answered."""
    accessor = make_token(lab, "INUSE", lab.narrow)
    token, revoked, stop, wrong, good = lab.tokens["INUSE"], threading.Event(), threading.Event(), [], []

    def use(number):
        client = lab.cluster.client(1 + number % 3, token=token)
        while not stop.is_set():
            late = revoked.is_set()
            status = client.request("GET", "/v1/secrets/known/name")[0]
            if status == 200 and late:
                wrong.append(number)
            good.append(status == 200)
        client.close()

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        users = [pool.submit(use, number) for number in range(6)]
        try:
            wait_until(lambda: sum(good) > 30, 20, "reads")
            ask(lab, 200, "POST", "/v1/tokens:revoke", {"accessor": accessor}, node=lab.node)
            revoked.set()
            before = len(good)
            wait_until(lambda: len(good) > before + 60, 20, "reads after it")
        finally:
            stop.set()
        for user in users:
            user.result()
    must(not wrong, "%d reads after the revocation", len(wrong))


def used_once(lab):
    """A token for one use, by twelve clients at three nodes at once."""
    made = ask(lab, 201, "POST", "/v1/tokens", {"identity": lab.narrow, "uses": 1})
    lab.add_token("ONCE", made["token"])

    def use(number):
        return lab.cluster.request(1 + number % 3, "GET", "/v1/secrets/known/name", token=made["token"])[0]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        statuses = list(pool.map(use, range(12)))
    must(statuses.count(200) <= 1, "%r", statuses)
    must(lab.request("GET", "/v1/secrets/known/name", token=made["token"])[0] == 401, "used again")


def no_way_up(lab):
    """A token for oneself with more policies, time or uses is no more than oneself; one for another is refused."""
    narrow = lab.tokens["NARROW"]
    for identity in (lab.blue, lab.red, NOBODY):
        status = lab.request("POST", "/v1/tokens", {"identity": identity}, token=narrow)[0]
        must(status in (403, 404), "a token for another: %d", status)
    for more in ({"policies": ["operator"]}, {"identity": lab.narrow, "policies": ["operator", "all"]},
                 {"identity": lab.narrow, "ttl": 10 ** 9}, {"identity": lab.narrow, "uses": 100}):
        # Not by lab.request: the answer may show a token, this one time.
        status, _, made = lab.cluster.request(lab.node, "POST", "/v1/tokens", more, token=narrow)
        must(status in (201, 400, 403, 404), "%r: %d", more, status)
        if status == 201:
            lab.add_token("CHILD", made["token"])
            must(lab.request("GET", SECRET, token=made["token"])[0] == 404, "a child reads more")
            must(lab.request("GET", "/v1/tenants", token=made["token"])[0] in (403, 404), "a child is an operator")
            must(lab.request("GET", SECRET, None, {"X-Ostraka-Tenant": "red"}, token=made["token"])[0] == 404,
                 "a child reads elsewhere")


def dead_cannot_come_back(lab):
    for name in DEAD:
        for method, path, body in (("POST", "/v1/tokens/self:renew", {"ttl": 600}), ("POST", "/v1/tokens", {}),
                                   ("POST", "/v1/tokens/self:revoke", None), ("GET", "/v1/tokens/self", None)):
            must(lab.request(method, path, body, token=lab.tokens[name])[0] == 401, "%s: %s", name, path)


def other_callers_key(lab):
    """The Idempotency-Key of another identity, with the same request: its result is not given."""
    key, body = {"Idempotency-Key": "the-operators-key"}, {"value": "a"}
    must(lab.request("POST", "/v1/secrets/known/keyed", body, key)[0] == 201, "not created")
    status, _, got = lab.request("POST", "/v1/secrets/known/keyed", body, key, token=lab.tokens["NARROW"])
    must(status == 409 and got["error"]["code"] == "already_exists", "%d %r", status, got)
    must(lab.request("POST", "/v1/secrets/canary/path", body, key, token=lab.tokens["NARROW"])[0] == 404, "seen")


def same_class_of_time(lab):
    """Hidden and absent names take the same class of time, in one of five measurements."""
    bearer = {"Authorization": "Bearer " + lab.tokens["NARROW"]}
    seen = []
    for _ in range(5):
        found = medians(lab, [(SECRET, bearer), ("/v1/secrets/canary/none", bearer), ("/v1/secrets/zz", bearer)])
        if max(found) < 3 * min(found):
            return
        seen.append(["%.2f ms" % (1000 * m) for m in found])
    must(False, "medians %r", seen)


# ---- JSON web tokens: nobody trusts an issuer here ----

def b64(data):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


CLAIMS = {"iss": "https://idp.example", "sub": "admin", "aud": "ostraka", "exp": 4102444800, "nbf": 0, "iat": 0}


def jwt(header, claims=None, signature=b"\0" * 64):
    return "%s.%s.%s" % (b64(header), b64(CLAIMS if claims is None else claims), b64(signature))


def signed(key, header=None):
    text = "%s.%s" % (b64(header or {"alg": "HS256", "typ": "JWT"}), b64(CLAIMS))
    return "%s.%s" % (text, b64(hmac.new(key, text.encode(), hashlib.sha256).digest()))


TRICKS = [
    ("no algorithm", jwt({"alg": "none"}, signature=b"")), ("no algorithm, with a signature", jwt({"alg": "none"})),
    ("None", jwt({"alg": "None"}, signature=b"")), ("NONE", jwt({"alg": "NONE"}, signature=b"")),
    ("an empty algorithm", jwt({"alg": ""})), ("an algorithm that is null", jwt({"alg": None})),
    ("no algorithm named", jwt({"typ": "JWT"})), ("a list of algorithms", jwt({"alg": ["EdDSA"]})),
    ("HMAC with nothing", signed(b"")), ("HMAC with a word", signed(b"secret")),
    ("an algorithm twice", "%s.%s.AA" % (b64(b'{"alg":"EdDSA","alg":"none"}'), b64(CLAIMS))),
    ("a key that it brings", jwt({"alg": "EdDSA", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": b64(b"\1" * 32)}})),
    ("where its key is", jwt({"alg": "RS256", "jku": "https://127.0.0.1:1/keys"})),
    ("a certificate that it brings", jwt({"alg": "RS256", "x5c": ["MIIB"]})),
    ("where its certificate is", jwt({"alg": "RS256", "x5u": "file:///etc/passwd"})),
    ("a key that is a file", jwt({"alg": "HS256", "kid": "../../../../dev/null"})),
    ("a key that is a query", jwt({"alg": "HS256", "kid": "' UNION SELECT 'x"})),
    ("something critical", jwt({"alg": "EdDSA", "crit": ["b64"], "b64": False})),
    ("a signature of zeros", jwt({"alg": "ES256"})), ("no signature", jwt({"alg": "EdDSA"}, signature=b"")),
    ("two parts", "%s.%s" % (b64({"alg": "none"}), b64(CLAIMS))), ("four parts", jwt({"alg": "none"}) + ".AA"),
    ("only dots", ".."), ("encrypted", "%s....." % b64({"alg": "dir", "enc": "A256GCM"})),
    ("deep claims", jwt({"alg": "EdDSA"}, b"[" * 1000 + b"]" * 1000)),
    ("claims that are a list", jwt({"alg": "EdDSA"}, [])),
    ("a number too large", jwt({"alg": "EdDSA"}, b'{"exp":1e999}')), ("padding", jwt({"alg": "EdDSA"}) + "=="),
    ("4,000 letters", jwt({"alg": "EdDSA"}, {"sub": "a" * 2800})),
]


def jwt_with_public_keys(lab):
    """HMAC with what everybody knows: certificates, the hash of the token."""
    with open(lab.cluster.ca_file(), "rb") as file:
        public = file.read()
    token_hash = hashlib.blake2b(lab.cluster.token.encode(), digest_size=32)
    for key in (public, public.strip(), token_hash.digest(), token_hash.hexdigest().encode()):
        must(lab.request("GET", SECRET, token=signed(key))[0] == 401, "HMAC with a public key is taken")


ITEMS = (
    [get("policies", "narrow: " + what, "/v1/secrets/" + path, status, token="NARROW")
     for what, path, status in SPELLINGS]
    + [get("policies", "denied: %s for known/closed" % what, "/v1/secrets/" + path, status, token="NARROW")
       for what, path, status in (
           ("itself", "known/closed", 404), ("dots", "known/./closed", 400),
           ("up and down", "known/x/../closed", 400), ("capitals", "known/Closed", 404),
           ("an escape", "known/%63losed", 400), ("a slash more", "known/closed/", 400),
           ("below it", "known/closed/x", 404), ("a space", "known/closed%20", 404), ("NUL", "known/closed%00", 400))]
    + [sent("policies", "narrow: " + shown(*one), *one, (403, 404), token="NARROW") for one in HIDDEN]
    + [sent("policies", "operator: " + shown(*one), *one, (403, 404), token="OPERATOR") for one in HIDDEN]
    + [sent("policies", "narrow: " + shown(*one), *one, (403, 404), token="NARROW") for one in OPERATORS]
    + [sent("policies", "narrow: " + shown("GET", target, None), "GET", target, None, (403, 404), token="NARROW")
       for target in ("/v1/status", "/metrics")]
    + [Item("policies", "hidden and absent names", "the same bytes", same_bytes),
       Item("policies", "hidden and absent names, by timing", "medians alike", same_class_of_time),
       Item("policies", "lists with forged places", "own names alone", lists_only_own),
       Item("policies", "pages of one name", "own names alone", pages_tell_nothing)]
    + [sent("tenants", "blue to red: " + shown(*one), *one, (404,), token="BLUE", headers=["X-Ostraka-Tenant: red"])
       for one in HOPS]
    + [sent("tenants", "blue to default: " + shown(*one), *one, (404,), token="BLUE",
            headers=["X-Ostraka-Tenant: default"]) for one in HOPS]
    + [sent("tenants", "blue as an operator: " + shown(*one), *one, (403, 404), token="BLUE") for one in OPERATORS]
    + [get("tenants", "blue to red, two headers", SECRET, 400, token="BLUE",
           headers=["X-Ostraka-Tenant: blue", "X-Ostraka-Tenant: red"]),
       get("tenants", "blue to a tenant that is not there", SECRET, 404, token="BLUE",
           headers=["X-Ostraka-Tenant: green"]),
       get("tenants", "blue to the system's", SECRET, 400, token="BLUE", headers=["X-Ostraka-Tenant: _system"]),
       Item("tenants", "blue: identities and tokens of red", "404", hop_by_identity)]
    + [get("dead tokens", "%s: %s %s" % (name, method, target), target, 401, "unauthenticated", token=name,
           method=method)
       for name in DEAD for method, target in (("GET", "/v1/secrets/known/name"), ("GET", "/v1/secrets"),
                                               ("GET", "/v1/tokens/self"), ("DELETE", "/v1/secrets/known/name"))]
    + [post("dead tokens", "%s: a body" % name, "/v1/secrets/known/dead", '{"value": "<SENT>"}', 401, token=name)
       for name in DEAD]
    + [Item("dead tokens", "renewal, children, revocation", "401", dead_cannot_come_back),
       Item("tokens", "spellings of an identity's token", "401", spellings_of_token),
       Item("tokens", "revoked while six clients use it", "401 once it is answered", revoked_in_use),
       Item("tokens", "one use, twelve clients", "200 once at most", used_once),
       Item("tokens", "a child with more than its parent", "refused, or no more", no_way_up),
       raw("tokens", "two tokens in two headers", b"GET /v1/secrets/known/name HTTP/1.1\r\nHost: x\r\n"
           b"Authorization: Bearer <NARROW>\r\nAuthorization: Bearer <BLUE>\r\nConnection: close\r\n\r\n", [400]),
       Item("replay", "an Idempotency-Key of another identity", "409, 404", other_callers_key,
            creates=("known/keyed",))]
    + [get("web tokens", what, SECRET, 401, token=False, headers=["Authorization: Bearer " + text])
       for what, text in TRICKS]
    + [Item("web tokens", "HMAC with what is public", "401", jwt_with_public_keys)]
)
