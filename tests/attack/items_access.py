"""Who asks: tokens that are not quite the token, other tenants, lists, and what needs no token."""

import base64
import hashlib
import re
import statistics
import time

from item import Item, get, http, post, raw
from lab import must

SECRET = "/v1/secrets/canary/path"
KNOWN = "/v1/secrets/known/name"

# Authorization headers; <TOKEN> is the good one.
REFUSED = [
    ("no token", []),
    ("an empty header", ["Authorization:"]), ("only the scheme", ["Authorization: Bearer"]),
    ("only the scheme and a space", ["Authorization: Bearer "]), ("no scheme", ["Authorization: <TOKEN>"]),
    ("no space", ["Authorization: Bearer<TOKEN>"]), ("Basic", ["Authorization: Basic <TOKEN>"]),
    ("Digest", ['Authorization: Digest username="admin"']),
    ("Negotiate", ["Authorization: Negotiate <TOKEN>"]),
    ("a scheme that begins alike", ["Authorization: Bearerx <TOKEN>"]),
    ("the token and a letter", ["Authorization: Bearer <TOKEN>x"]),
    ("a letter and the token", ["Authorization: Bearer x<TOKEN>"]),
    ("padding", ["Authorization: Bearer <TOKEN>="]),
    ("the token twice", ["Authorization: Bearer <TOKEN><TOKEN>"]),
    ("the token and another", ["Authorization: Bearer <TOKEN> x"]),
    ("a list", ["Authorization: Bearer <TOKEN>, Bearer x"]),
    ("a list, the good one last", ["Authorization: Bearer x, Bearer <TOKEN>"]),
    ("quotes", ['Authorization: Bearer "<TOKEN>"']), ("an escape", ["Authorization: Bearer %74<TOKEN>"]),
    ("a parameter", ['Authorization: Bearer token="<TOKEN>"']),
    ("a letter that is not ASCII", ["Authorization: Bearer <TOKEN>ä"]),
    ("null", ["Authorization: Bearer null"]), ("undefined", ["Authorization: Bearer undefined"]),
    ("4,097 bytes", ["Authorization: Bearer " + "a" * 4097]),
    ("15,000 bytes", ["Authorization: Bearer " + "a" * 15000]),
    ("the token in Proxy-Authorization", ["Proxy-Authorization: Bearer <TOKEN>"]),
    ("the token in a cookie", ["Cookie: Authorization=Bearer <TOKEN>"]),
    ("the token in X-Vault-Token", ["X-Vault-Token: <TOKEN>"]),
    ("the token in X-Api-Key", ["X-Api-Key: <TOKEN>"]),
    ("a name with an underscore", ["Authorization_: Bearer <TOKEN>"]),
    ("a token of the other form", ["Authorization: Bearer ost_" + "a" * 48]),
    ("a JSON web token of no algorithm", ["Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."]),
]

ROUTES = [
    ("GET", SECRET), ("GET", "/v1/secrets"), ("GET", "/v1/history/canary/path"),
    ("GET", "/v1/deletions/canary/path"), ("DELETE", SECRET), ("GET", "/v1/status"), ("GET", "/metrics"),
    ("HEAD", SECRET),
]

TENANTS = [
    ("capital letters", "DEFAULT"), ("dots", "../default"), ("a slash", "default/x"),
    ("a system's", "_system"),
    ("a list", "default, other"), ("nothing", ""), ("65 letters", "t" * 65),
    ("a letter that is not ASCII", "dåfault"),
    ("a wide letter", "ｄefault"), ("an escape", "%64efault"), ("a star", "*"), ("a quote", "default'--"),
    ("a dash first", "-x"),
]

LISTS = [
    ("a limit of 0", "limit=0"), ("a limit of 1,001", "limit=1001"), ("a limit of -1", "limit=-1"),
    ("a limit of 2^64", "limit=18446744073709551616"), ("a limit of 1e3", "limit=1e3"),
    ("two limits", "limit=1&limit=2"),
    ("a page of a history", "after=v1"), ("a page in capitals", "after=n6B"),
    ("a page of half a byte", "after=n6"),
    ("a page that is a name", "after=canary/path"), ("a page of the system's", "after=n5f61757468"),
    ("a page of dots", "after=n2e2e"), ("a page with NUL", "after=n00"),
    ("a page that is not UTF-8", "after=nff"),
    ("an empty page", "after="), ("a page of 600 bytes", "after=n" + "61" * 600),
    ("a prefix of 513", "prefix=" + "a" * 513), ("a prefix of half an escape", "prefix=%2"),
    ("two prefixes", "prefix=a&prefix=c"),
    ("a tenant in the query", "tenant=other"), ("a token in the query", "access_token=<TOKEN>"),
]


def hash_as_token(lab):
    """What cluster.conf has of the token is no token."""
    with open(lab.cluster.config()) as file:
        kept = re.search(r"[0-9a-f]{64}", file.read().split("admin_token_hash", 1)[1]).group(0)
    must(kept == hashlib.blake2b(lab.cluster.token.encode(), digest_size=32).hexdigest(), "not its hash")
    for token in (kept, kept.upper(), base64.b64encode(bytes.fromhex(kept)).decode()):
        must(lab.request("GET", SECRET, token=token)[0] == 401, "the hash is taken for the token")


def letters_of_token(lab):
    """Another case, one letter more, less, or another."""
    token = lab.cluster.token
    other = token[:-1] + ("a" if token[-1] != "a" else "b")
    for wrong in {token.upper(), token.lower(), token.swapcase(), token[:-1], token[1:], other,
        token[::-1]} - {token}:
        must(lab.request("GET", SECRET, token=wrong)[0] == 401, "a token that is not quite the token")


def alike(lab):
    """No token, a wrong one, a malformed one: the same answer but for the request's id."""
    bodies = set()
    for headers in ([], ["Authorization: Bearer x"], ["Authorization: Bearer " + "a" * 43]):
        for target in (SECRET, "/v1/secrets/none", "/v1/secrets"):
            answer = lab.answers(http(target, token=False, headers=headers + ["X-Request-Id: same"]))[0]
            bodies.add((answer.status, answer.body, tuple(sorted(answer.headers.items()))))
    must(len(bodies) == 1, "%d different answers", len(bodies))


def other_tenants(lab):
    """Another tenant has nothing of this one: no value, version, list, history, deletion or reference."""
    tenant = {"X-Ostraka-Tenant": "other"}
    for method, path, body in (
            ("GET", SECRET, None), ("GET", SECRET + "?version=1", None),
            ("GET", SECRET + "?consistency=stale", None),
            ("PUT", SECRET, {"value": "x"}), ("DELETE", SECRET, None),
            ("GET", "/v1/history/canary/path", None),
            ("GET", "/v1/deletions/canary/path", None),
            ("POST", "/v1/batch", {"read": [{"name": "canary/path"}]}),
            ("POST", "/v1/copy", {"from": "canary/path", "to": "x"}),
            ("POST", "/v1/copy", {"from": "canary", "to": "x", "recursive": True, "move": True}),
            ("POST", "/v1/env", {"content": "A=secret(canary/path)"})):
        status = lab.request(method, path, body, tenant)[0]
        must(status == 404, "%s %s: %d", method, path, status)
    status, _, got = lab.request("GET", "/v1/secrets", None, tenant)
    must(status == 200 and got["names"] == [], "a list of %r", got)


def health_alone(lab):
    """Health needs no token, and says no more than it must."""
    status, _, got = lab.request("GET", "/v1/health", token=None)
    must(status == 200 and set(got) <= {"status", "sealed", "quorum", "node", "reasons"}, "%r", got)
    must(lab.request("GET", "/v1/health", token="wrong")[0] == 200, "health with a wrong token")


def medians(lab, requests, rounds=40):
    """Median of each request's time; they take turns, so that what the machine does hits all alike."""
    times = [[] for _ in requests]
    client = lab.cluster.client(lab.node, token=None)
    try:
        for _ in range(rounds):
            for kept, (path, headers) in zip(times, requests):
                begun = time.perf_counter()
                client.request("GET", path, headers=headers)
                kept.append(time.perf_counter() - begun)
    finally:
        client.close()
    return [statistics.median(kept) for kept in times]


def same_time(requests):
    """The same class of time: not three times as long, in one of five measurements."""
    def attack(lab):
        seen = []
        for _ in range(5):
            found = medians(lab, [(path, {"Authorization": value.replace("<TOKEN>", lab.cluster.token)})
                                  for path, value in requests])
            if max(found) < 3 * min(found):
                return
            seen.append(["%.2f ms" % (1000 * m) for m in found])
        must(False, "medians %r", seen)
    return attack


WRONG = "Bearer " + "a" * 43

ITEMS = (
    [get("tokens", what, SECRET, 401, "unauthenticated", token=False, headers=headers) for what,
        headers in REFUSED]
    + [get("tokens", "two headers, the good one first", SECRET, 400, token=True,
        headers=["Authorization: Bearer x"]),
       get("tokens", "two headers, the good one last", SECRET, 400, token=False,
           headers=["Authorization: Bearer x", "Authorization: Bearer <TOKEN>"]),
       get("tokens", "the good one twice", SECRET, 400, headers=["Authorization: Bearer <TOKEN>"]),
       get("tokens", "the scheme in small letters", KNOWN, 200, token=False,
           headers=["authorization: bearer <TOKEN>"]),
       get("tokens", "the token in the query", SECRET + "?access_token=<TOKEN>", 400, token=False),
       get("tokens", "the token as a user", "https://x:<TOKEN>@localhost" + SECRET, 400, token=False),
       Item("tokens", "the hash of the token", "401", hash_as_token),
       Item("tokens", "another case, a letter more or less", "401", letters_of_token),
       Item("tokens", "none, a wrong and a malformed one, known and unknown names", "the same bytes", alike)]
    + [get("no token", "%s %s" % (method, path), path, 401, method=method, token=False) for method,
        path in ROUTES]
    + [post("no token", "%s %s" % (method, path), path, "{}", 401, method=method, token=False)
       for method, path in (("POST", SECRET), ("PUT", SECRET), ("POST", "/v1/batch"), ("POST", "/v1/copy"),
       ("POST", "/v1/env"))]
    + [Item("no token", "GET /v1/health", "200, five members at most", health_alone),
       raw("no token", "a body that is announced", http("/v1/batch", "POST", token=False,
           headers=["Content-Length: 2000000"]), [401])]
    + [get("tenants", what, SECRET, 400, headers=["X-Ostraka-Tenant: " + tenant]) for what, tenant in TENANTS]
    + [get("tenants", "two headers", SECRET, 400, headers=["X-Ostraka-Tenant: default",
        "X-Ostraka-Tenant: other"]),
       Item("tenants", "everything, from another tenant", "404, empty list", other_tenants)]
    + [get("lists", what, "/v1/secrets?" + query, 400) for what, query in LISTS]
    + [get("lists", "the system's names", "/v1/secrets?prefix=_auth", 200),
       get("lists", "a prefix with NUL", "/v1/secrets?prefix=%00", 200)]
    + [Item("timing", "known and unknown names, a wrong token", "medians alike",
            same_time([(SECRET, WRONG), ("/v1/secrets/none/at/all", WRONG)])),
       Item("timing", "tokens that begin alike, or not", "medians alike",
            same_time([(SECRET, WRONG), (SECRET, "Bearer <TOKEN>x"), (SECRET, "Basic x")])),
       Item("timing", "names that are not there: near a known one, and far", "medians alike",
            same_time([("/v1/secrets/canary/patx", "Bearer <TOKEN>"),
            ("/v1/secrets/zzzzzz/zzzz", "Bearer <TOKEN>")]))]
)
