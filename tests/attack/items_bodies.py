"""Bodies: JSON, numbers, media types, the limits of batches and .env texts."""

import json

from item import Item, post
from lab import must

NEW = "/v1/secrets/new/one"
KNOWN = "/v1/secrets/known/name"
TEXT = "text/plain"

BAD_JSON = [
    ("a member twice", '{"value": "<SENT>", "value": "b"}'),
    ("a member twice, once escaped", '{"value": "<SENT>", "v\\u0061lue": "b"}'),
    ("an unknown member", '{"value": "<SENT>", "admin": true}'),
    ("a member in capitals", '{"Value": "<SENT>"}'), ("a prototype", '{"value": "a", "__proto__": {"x": 1}}'),
    ("a member with NUL", '{"value\\u0000": "a"}'), ("a member without a name", '{"": "a", "value": "b"}'),
    ("no member", "{}"), ("an empty body", ""), ("white space", " \n"), ("a list", '["value"]'),
    ("a string", '"<SENT>"'), ("a number", "1"), ("null", "null"),
    ("a value that is null", '{"value": null}'),
    ("a value that is a number", '{"value": 1}'), ("a value that is a list", '{"value": ["a"]}'),
    ("a value that is an object", '{"value": {"$gt": ""}}'), ("more behind it", '{"value": "a"} x'),
    ("two objects", '{"value": "a"}{"value": "b"}'), ("an object and NUL", '{"value": "a"}\0'),
    ("a comma at the end", '{"value": "a",}'), ("a comment", '{"value": "a" /* b */}'),
    ("single quotes", "{'value': 'a'}"), ("a name without quotes", '{value: "a"}'),
    ("a mark of byte order", b'\xef\xbb\xbf{"value": "a"}'), ("UTF-16", '{"value": "a"}'.encode("utf-16")),
    ("a raw line end in a string", '{"value": "a\nb"}'), ("a raw NUL in a string", '{"value": "a\0b"}'),
    ("an escape that is none", '{"value": "\\x41"}'), ("half a \\u", '{"value": "\\u00"}'),
    ("a lone high surrogate", '{"value": "\\ud800"}'), ("a lone low surrogate", '{"value": "\\udc00"}'),
    ("surrogates the wrong way round", '{"value": "\\udc00\\ud800"}'),
    ("a byte that is not UTF-8", b'{"value": "<SENT>\xff"}'), ("too long in UTF-8", b'{"value": "\xc0\xaf"}'),
    ("a surrogate in UTF-8", b'{"value": "\xed\xa0\x80"}'),
    ("beyond Unicode", b'{"value": "\xf4\x90\x80\x80"}'),
    ("half a string", '{"value": "<SENT>'),
    ("XML", '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'),
    ("100,000 brackets", "[" * 100000), ("100,000 objects", '{"value":' * 100000),
    ("brackets in a value", '{"value": ' + "[" * 5000 + "]" * 5000 + "}"),
    ("100,000 members", "{" + ",".join('"m%d": 1' % i for i in range(100000)) + "}"),
    ("members that fall together in a table", "{" + ",".join('"%s": 1' % ("Aa" * i) for i in range(1,
        500)) + "}"),
    ("an encoding of no kind", '{"value": "<SENT>", "encoding": "base65"}'),
    ("an encoding that is a list", '{"value": "a", "encoding": ["text"]}'),
    ("base64 without padding", '{"value": "QQ", "encoding": "base64"}'),
    ("base64 of the other alphabet", '{"value": "_-8=", "encoding": "base64"}'),
    ("base64 with a line end", '{"value": "QUJD\\nQUJD", "encoding": "base64"}'),
    ("base64 with bits left over", '{"value": "QR==", "encoding": "base64"}'),
    ("base64 with padding within", '{"value": "QQ==QQ==", "encoding": "base64"}'),
    ("an expected version of a new secret", '{"value": "a", "expected_version": 0}'),
]

NUMBERS = ["0", "-1", "1.0", "1.5", "1e0", "1E400", "-0", "01", "+1", "0x1", "NaN", "Infinity", '"1"',
    "true", "null",
           "[1]", "9223372036854775808", "18446744073709551617", "1" + "0" * 400, "0.99999999999999999999",
               "1_0"]

MEDIA = [
    ("no media type", None), ("text", "text/plain"), ("a form", "application/x-www-form-urlencoded"),
    ("parts", "multipart/form-data; boundary=x"), ("XML", "application/xml"),
    ("a patch", "application/json-patch+json"),
    ("JSON of an older name", "text/json"), ("a type that begins alike", "application/jsonx"),
    ("another character set", "application/json; charset=utf-16"),
    ("an unknown parameter", "application/json; a=b"),
    ("two types", "application/json, text/plain"), ("a type and a comment", "application/json (x)"),
    ("UTF-7", "application/json; charset=utf-7"),
    ("a type of 10,000 bytes", "application/json;" + "x" * 10000),
]


def read_batch(count):
    return json.dumps({"read": [{"name": "n%d" % i} for i in range(count)]})


def create_batch(count, size=1):
    return json.dumps({"create": [{"name": "batch/%d" % i, "value": "v" * size} for i in range(count)]})


BATCHES = [
    ("257 reads", read_batch(257), 413), ("100,000 reads", read_batch(100000), 413),
    ("257 creations", create_batch(257), 413), ("more than 1 MiB", create_batch(2, 600000), 413),
    ("nothing", '{"create": []}', 400), ("nothing to read", '{"read": []}', 400),
    ("both at once", '{"read": [{"name": "a"}], "create": [{"name": "b", "value": "c"}]}', 400),
    ("a list that is an object", '{"read": {"name": "a"}}', 400),
    ("items that are names", '{"read": ["a"]}', 400),
    ("a name twice", '{"create": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]}', 422),
    ("a list twice", '{"create": [{"name": "a", "value": "1"}], "create": [{"name": "b", "value": "2"}]}',
        400),
    ("one that exists",
        '{"create": [{"name": "new/b", "value": "1"}, {"name": "canary/path", "value": "<SENT>"}]}', 409),
    ("one that is not there", '{"read": [{"name": "canary/path"}, {"name": "none"}]}', 404),
    ("a version of no kind", '{"read": [{"name": "known/name", "version": 1.5}]}', 400),
    ("a version that never was", '{"read": [{"name": "canary/path", "version": 9}]}', 404),
    ("an unknown member", '{"read": [{"name": "known/name", "tenant": "other"}]}', 400),
    ("a deletion", '{"delete": [{"name": "known/name"}]}', 400),
]

ENVS = [
    ("more than 1 MiB", "A=" + "x" * 1050000, 413),
    ("257 references", "\n".join("A%d=secret(n%d)" % (i, i) for i in range(257)), 422),
    ("257 new secrets", "\n".join("A%d=enc('x')" % i for i in range(257)), 422),
    ("a reference with dots", "A=secret(canary/../canary/path)", 422),
    ("a reference with an escape", "A=secret(canary%2Fpath)", 404),
    ("a reference to the system's", "A=secret(_auth/token/x)", 422),
    ("a new secret of the system's", "A=enc(_auth/policy/p)\n", 422),
    ("a reference in a reference", "A=secret(secret(canary/path))", 404),
    ("a reference that does not end", "A=secret(canary/path", 422),
    ("NUL", "A=secret(canary/path)\0", 422),
    ("a quote that does not end", "A='<SENT>", 422),
    ("a new secret over one that is there", "A=enc(canary/path)\ncanary/path=x", 422),
    ("a version of no kind", "A=secret(canary/path@0)", 404),
    ("100,000 lines that are none", "=x\n" * 100000, 200),
    ("100,000 quotes", "A=" + "'a'" * 100000, 422),
]


def nested(lab):
    """What a value says is not looked up: values are not templates."""
    lab.request("POST", "/v1/secrets/nested/one", {"value": "secret(canary/path)$(id)${HOME}"})
    status, _, body = lab.request("POST", "/v1/env", b"A=secret(nested/one)\n", {"Content-Type": TEXT})
    must(status == 200 and b"secret(canary/path)$(id)${HOME}" in body, "%d %r", status, body)


def replayed(lab):
    """An Idempotency-Key of another request, secret, tenant or value gives nothing of the first."""
    key = {"Idempotency-Key": "replayed-key"}
    status, _, _ = lab.request("POST", "/v1/secrets/replay/one", {"value": "a"}, key)
    must(status == 201, "created with %d", status)
    for method, body in (("POST", {"value": "b"}), ("PUT", {"value": "a"}), ("DELETE", None)):
        status, _, got = lab.request(method, "/v1/secrets/replay/one", body, key)
        must(status == 422 and got["error"]["code"] == "idempotency_key_reused", "%s: %d", method, status)
    status, _, _ = lab.request("PUT", "/v1/secrets/replay/two", {"value": "a"}, key)
    must(status == 404, "the key of another secret: %d", status)
    other = dict(key, **{"X-Ostraka-Tenant": "other"})
    status, _, _ = lab.request("PUT", "/v1/secrets/replay/one", {"value": "a"}, other)
    must(status == 404, "the key of another tenant: %d", status)
    status, _, _ = lab.request("POST", "/v1/secrets/replay/one", {"value": "a"}, key, token="wrong")
    must(status == 401, "the key without a token: %d", status)
    status, _, _ = lab.request("POST", "/v1/secrets/replay/one", {"value": "a"}, key)
    must(status == 201, "the same once more: %d", status)


KEYS = [("an empty key", ""), ("a key of 129", "k" * 129), ("a key with a space", "a b"),
        ("a key that is not ASCII", "ä")]

ITEMS = (
    [post("json", what, NEW, body, 400) for what, body in BAD_JSON]
    + [post("numbers", "an expected version of " + number[:30], KNOWN,
        '{"value": "<SENT>", "expected_version": %s}' % number,
            400, method="PUT") for number in NUMBERS]
    + [post("numbers", "the largest number", KNOWN,
        '{"value": "a", "expected_version": 9223372036854775807}', 409,
            "version_mismatch", method="PUT")]
    + [post("media", what, NEW, '{"value": "a"}', 415, media=media) for what, media in MEDIA]
    + [post("media", "two headers of it", NEW, '{"value": "a"}', 400, headers=["Content-Type: text/plain"]),
       post("media", "JSON to where text is", "/v1/env", "A=b", 415, media="text/html"),
       post("media", "a value of 1 MiB and 1", NEW, '{"value": "%s"}' % ("v" * 1048577), 413)]
    + [post("batches", what, "/v1/batch", body, status) for what, body, status in BATCHES]
    + [post("env", what, "/v1/env", body, status, media=TEXT) for what, body, status in ENVS]
    + [post("env", "an unknown mode", "/v1/env?mode=shell", "A=b", 400, "bad_parameter", media=TEXT),
       post("env", "a prefix with dots", "/v1/env?prefix=../", "A=enc('x')", 422, media=TEXT),
       post("env", "a prefix of the system's", "/v1/env?prefix=_auth/", "A=enc('x')", 422, media=TEXT),
       Item("env", "a value that looks like a reference", "it stays as it is", nested,
           creates=("nested/one",))]
    + [post("replay", what, NEW, '{"value": "a"}', 400, headers=["Idempotency-Key: " + key]) for what,
        key in KEYS]
    + [post("replay", "two keys", NEW, '{"value": "a"}', 400, headers=["Idempotency-Key: a",
        "Idempotency-Key: b"]),
       Item("replay", "a key of another request, secret, tenant, caller",
           "422, 404, 401; then the first result",
            replayed, creates=("replay/one",))]
)
