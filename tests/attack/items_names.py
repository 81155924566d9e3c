"""One name has one spelling; what is not that spelling is refused, or is another name."""

from item import get, post

GROUP = "names"

# What follows /v1/secrets/, and what must happen. The name canary/path is there; no other is.
SPELLINGS = [
    ("a dot segment before", "./canary/path", 400),
    ("a dot segment within", "canary/./path", 400),
    ("up and down again", "canary/x/../path", 400),
    ("up over the root", "../../secrets/canary/path", 400),
    ("up at the end", "canary/path/..", 400),
    ("escaped dots", "canary/%2e%2e/canary/path", 400),
    ("one escaped dot", "canary/.%2e/path", 400),
    ("dots escaped twice", "canary/%252e%252e/path", 404),
    ("an escaped slash", "canary%2Fpath", 400),
    ("an escaped slash, small", "canary%2fpath", 400),
    ("a slash escaped twice", "canary%252Fpath", 404),
    ("an escaped letter", "%63anary/path", 400),
    ("an escaped letter, %u", "%u0063anary/path", 400),
    ("an empty segment", "canary//path", 400),
    ("a slash before", "/canary/path", 400),
    ("a slash at the end", "canary/path/", 400),
    ("nothing", "", 400),
    ("a backslash, raw", "canary\\path", 400),
    ("a backslash, escaped", "canary%5Cpath", 404),
    ("capital letters", "Canary/Path", 404),
    ("a dot at the end", "canary/path.", 404),
    ("a space at the end", "canary/path%20", 404),
    ("a plus for a space", "canary/path+", 404),
    ("a parameter of the path", "canary/path;v=1", 404),
    ("a matrix parameter within", "canary;x/path", 404),
    ("an extension", "canary/path.json", 404),
    ("NUL at the end", "canary/path%00", 400),
    ("NUL and an extension", "canary/path%00.json", 400),
    ("a tab", "canary/path%09", 400),
    ("CR LF", "canary/path%0d%0aX-Injected:%20yes", 400),
    ("DEL", "canary/path%7F", 400),
    ("a control character of C1", "canary/path%C2%85", 400),
    ("half an escape", "canary/path%2", 400),
    ("a bare percent", "canary/path%", 400),
    ("an escape that is none", "canary/path%GG", 400),
    ("a slash too long in UTF-8", "canary%C0%AFpath", 400),
    ("a dot too long in UTF-8", "canary/%C0%AE%C0%AE/path", 400),
    ("NUL too long in UTF-8", "canary/path%C0%80", 400),
    ("a surrogate in UTF-8", "canary/path%ED%A0%80", 400),
    ("beyond Unicode", "canary/path%F4%90%80%80", 400),
    ("half a character", "canary/path%E2%82", 400),
    ("a lone continuation", "canary/path%80", 400),
    ("Latin-1", "canary/p%E4th", 400),
    ("a wide letter", "%EF%BD%83anary/path", 404),
    ("a Cyrillic letter", "c%D0%B0nary/path", 404),
    ("a slash that only looks so", "canary%E2%81%84path", 404),
    ("a wide slash", "canary%EF%BC%8Fpath", 404),
    ("a wide dot, twice", "canary/%EF%BC%8E%EF%BC%8E/path", 404),
    ("nothing of no width", "canary/%E2%80%8Bpath", 404),
    ("written from right to left", "%E2%80%AEcanary/path", 404),
    ("a mark of byte order", "%EF%BB%BFcanary/path", 404),
    ("a combining mark", "canary/pa%CC%81th", 404),
    ("the letter that it composes to", "canary/p%C3%A1th", 404),
    ("a sign of Kelvin, a capital of k", "%E2%84%AAnown/name", 404),
    ("a Turkish i", "canary/path%C4%B1", 404),
    ("a name of the system", "_auth/token/x", 400),
    ("a name of the system, escaped", "%5Fauth/token/x", 400),
    ("a name of the system after a dot", "./_auth/token/x", 400),
    ("512 bytes", "n" * 512, 404),
    ("513 bytes", "n" * 513, 400),
    ("513 bytes of escapes", "%20" * 513, 400),
    ("2,000 segments", "a/" * 1000 + "a", 400),
]

# Whole targets.
TARGETS = [
    ("the version in capitals", "/V1/secrets/canary/path", 404, "no_such_resource"),
    ("another version", "/v2/secrets/canary/path", 404, "no_such_resource"),
    ("two slashes first", "//v1/secrets/canary/path", 404, "no_such_resource"),
    ("two slashes in the route", "/v1//secrets/canary/path", 404, "no_such_resource"),
    ("a dot in the route", "/v1/./secrets/canary/path", 404, "no_such_resource"),
    ("up out of a route", "/v1/history/../secrets/canary/path", 400, "bad_name"),
    ("up out of health", "/v1/health/../secrets/canary/path", 404, "no_such_resource"),
    ("an escaped route", "/v1/%73ecrets/canary/path", 404, "no_such_resource"),
    ("an escaped slash in the route", "/v1%2Fsecrets/canary/path", 404, "no_such_resource"),
    ("backslashes", "\\v1\\secrets\\canary\\path", 400, "bad_request"),
    ("a route that begins alike", "/v1/secretsx/canary/path", 404, "no_such_resource"),
    ("health with more behind it", "/v1/health/x", 404, "no_such_resource"),
    ("a scheme", "https://localhost/v1/secrets/canary/path", 400, "bad_request"),
    ("a scheme and another host", "http://169.254.169.254/latest/meta-data/", 400, "bad_request"),
    ("a file", "file:///etc/passwd", 400, "bad_request"),
    ("a file below the root", "/../../../../etc/passwd", 404, "no_such_resource"),
    ("an asterisk", "*", 400, "bad_request"),
    ("only a query", "?x=1", 400, "bad_request"),
    ("a fragment", "/v1/secrets/canary/path#x", 400, "bad_request"),
    ("a query in an escape", "/v1/secrets/canary/path%3Fversion=1", 404, "not_found"),
    ("a byte that is not ASCII", b"/v1/secrets/canary/p\xc3\xa4th", 400, "bad_request"),
    ("NUL, raw", b"/v1/secrets/canary/path\0", 400, "bad_request"),
    ("a tab, raw", b"/v1/secrets/canary\t/path", 400, "bad_request"),
    ("a space, raw", b"/v1/secrets/canary /path", 400, "bad_request"),
    ("5,000 bytes", "/v1/secrets/" + "a" * 5000, 431, None),
]

# Queries of a read.
QUERIES = [
    ("a version twice", "version=1&version=1"), ("another second version", "version=1&version=2"),
    ("an unknown parameter", "admin=true"), ("a method", "_method=DELETE"),
    ("a parameter in capitals", "Version=1"), ("an escaped parameter", "%76ersion=1"),
    ("version 0", "version=0"), ("version -1", "version=-1"), ("version +1", "version=%2B1"),
    ("version 01", "version=01"), ("version 1.0", "version=1.0"), ("version 1e0", "version=1e0"),
    ("version 0x1", "version=0x1"), ("version 1 and a space", "version=1%20"),
    ("version 2^63", "version=9223372036854775808"), ("version 2^64 + 1", "version=18446744073709551617"),
    ("an Arabic 1", "version=%D9%A1"), ("a wide 1", "version=%EF%BC%91"),
    ("no value", "version"), ("an empty value", "version="), ("NUL", "version=1%00"),
    ("an ampersand at the end", "version=1&"), ("a semicolon", "version=1;version=2"),
    ("brackets", "version[]=1"), ("a moment and a version", "version=1&at=2026-01-01T00:00:00Z"),
    ("a moment without a zone", "at=2026-01-01T00:00:00"),
    ("the 30th of February", "at=2026-02-30T00:00:00Z"),
    ("a moment long ago", "at=-0001-01-01T00:00:00Z"), ("a consistency of no kind", "consistency=none"),
    ("1,000 parameters", "&".join("p%d=1" % i for i in range(400))),
]

# Names in bodies, where no escapes are needed: refused likewise. (target, body)
BODIES = [
    ("a batch with dots", "/v1/batch", '{"read": [{"name": "canary/../canary/path"}]}'),
    ("a batch with NUL", "/v1/batch", '{"read": [{"name": "canary/path\\u0000"}]}'),
    ("a batch with an empty segment", "/v1/batch", '{"read": [{"name": "canary//path"}]}'),
    ("a batch of the system's", "/v1/batch", '{"read": [{"name": "_auth/token/x"}]}'),
    ("a batch that makes the system's", "/v1/batch",
     '{"create": [{"name": "_auth/policy/p", "value": "{}"}]}'),
    ("a batch with half a surrogate", "/v1/batch", '{"read": [{"name": "canary/path\\ud800"}]}'),
    ("a copy with dots", "/v1/copy", '{"from": "canary/./path", "to": "b"}'),
    ("a copy to the system's", "/v1/copy", '{"from": "known/name", "to": "_auth/policy/p"}'),
    ("a copy from the system's", "/v1/copy", '{"from": "_auth", "to": "x", "recursive": true}'),
    ("a copy into a segment with dots", "/v1/copy", '{"from": "known/name", "to": "../x"}'),
]

ITEMS = (
    [get(GROUP, what, "/v1/secrets/" + path, status, {400: "bad_name", 404: "not_found"}[status]
         if path != "canary\\path" else None)
     for what, path, status in SPELLINGS]
    + [post(GROUP, "creates: " + what, "/v1/secrets/" + path, '{"value": "<SENT>"}', 400)
       for what, path, status in SPELLINGS if status == 400][::3]
    + [get(GROUP, "history: " + what, "/v1/history/" + path, status)
       for what, path, status in SPELLINGS][::5]
    + [get(GROUP, what, target, status, code) for what, target, status, code in TARGETS]
    + [get("queries", what, "/v1/secrets/canary/path?" + query, 400, "bad_parameter")
       for what, query in QUERIES]
    + [post(GROUP, what, target, body, 400) for what, target, body in BODIES]
)
