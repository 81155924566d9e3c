"""What two programs could read differently, and what costs more than it should."""

import gzip
import random

from item import Item, get, http, post, raw
from lab import must, parse_answers

SECRET = "/v1/secrets/canary/path"
KNOWN = "/v1/secrets/known/name"
# The request that an attacker would like to slip in.
SLIPPED = http("/v1/secrets/slipped/in", "POST", ["Content-Type: application/json"], '{"value": "x"}')
HEAD = b"Host: localhost\r\nAuthorization: Bearer <TOKEN>\r\n"
JSON = b"Content-Type: application/json\r\n"


def smuggled(lines, body=b""):
    """A POST with these header lines, and after its body the request that is slipped in."""
    return (b"POST /v1/batch HTTP/1.1\r\n" + HEAD + JSON + b"".join(line + b"\r\n" for line in lines)
            + b"\r\n" + body + SLIPPED)


def one(line):
    """A GET with one more header line, raw."""
    return b"GET " + KNOWN.encode() + b" HTTP/1.1\r\n" + HEAD + line + b"\r\nConnection: close\r\n\r\n"


CHUNKED = b"Transfer-Encoding: chunked"

SMUGGLING = [
    ("a length and chunks", [b"Content-Length: 5", CHUNKED], b"0\r\n\r\n"),
    ("chunks and a length", [CHUNKED, b"Content-Length: 5"], b"0\r\n\r\n"),
    ("two lengths", [b"Content-Length: 0", b"Content-Length: 5"], b""),
    ("the same length twice", [b"Content-Length: 2", b"Content-Length: 2"], b"{}"),
    ("a list of lengths", [b"Content-Length: 2, 2"], b"{}"),
    ("a length with a plus", [b"Content-Length: +2"], b"{}"),
    ("a length with a minus", [b"Content-Length: -2"], b"{}"),
    ("a length in hexadecimal", [b"Content-Length: 0x2"], b"{}"),
    ("a length with a space in it", [b"Content-Length: 2 2"], b"{}"),
    ("a length of digits that are none", ["Content-Length: ٢".encode()], b"{}"),
    ("an empty length", [b"Content-Length:"], b"{}"),
    ("a length of 2^64 + 2", [b"Content-Length: 18446744073709551618"], b"{}"),
    ("chunked twice", [CHUNKED, CHUNKED], b"0\r\n\r\n"),
    ("a list of codings", [b"Transfer-Encoding: gzip, chunked"], b"0\r\n\r\n"),
    ("chunked and then none", [b"Transfer-Encoding: chunked, identity"], b"0\r\n\r\n"),
    ("no coding", [b"Transfer-Encoding: identity"], b"{}"),
    ("an unknown coding", [b"Transfer-Encoding: xchunked"], b"0\r\n\r\n"),
    ("a coding in quotes", [b'Transfer-Encoding: "chunked"'], b"0\r\n\r\n"),
    ("a coding after a vertical tab", [b"Transfer-Encoding: \x0bchunked"], b"0\r\n\r\n"),
    ("a coding and NUL", [b"Transfer-Encoding: chunked\0"], b"0\r\n\r\n"),
    ("a space before the colon", [b"Transfer-Encoding : chunked"], b"0\r\n\r\n"),
    ("a tab before the colon", [b"Content-Length\t: 2"], b"{}"),
    ("a folded coding", [b"Transfer-Encoding:", b" chunked"], b"0\r\n\r\n"),
    ("a folded line of another header", [b"X-A: b", b"\tTransfer-Encoding: chunked"], b"0\r\n\r\n"),
    ("a coding behind a bare line feed", [b"X-A: b\nTransfer-Encoding: chunked"], b"0\r\n\r\n"),
    ("a coding behind a bare return", [b"X-A: b\rTransfer-Encoding: chunked"], b"0\r\n\r\n"),
    ("an extension of a chunk", [CHUNKED], b"2;x=y\r\n{}\r\n0\r\n\r\n"),
    ("an extension and a line feed", [CHUNKED], b"2;\n{}\r\n0\r\n\r\n"),
    ("a trailer", [CHUNKED], b"2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n"),
    ("chunks with bare line feeds", [CHUNKED], b"2\n{}\n0\n\n"),
    ("a chunk with more than it says", [CHUNKED], b"1\r\n{}\r\n0\r\n\r\n"),
    ("a chunk with a minus", [CHUNKED], b"-2\r\n{}\r\n0\r\n\r\n"),
    ("a chunk with 0x", [CHUNKED], b"0x2\r\n{}\r\n0\r\n\r\n"),
    ("a chunk of 2^64 + 2", [CHUNKED], b"10000000000000002\r\n{}\r\n0\r\n\r\n"),
    ("a space before a chunk's length", [CHUNKED], b" 2\r\n{}\r\n0\r\n\r\n"),
    ("an empty chunk's length", [CHUNKED], b"\r\n{}\r\n0\r\n\r\n"),
]

LINES = [
    ("bare line feeds", b"GET / HTTP/1.1\nHost: localhost\n\n"),
    ("bare returns", b"GET / HTTP/1.1\rHost: localhost\r\r"),
    ("two returns", b"GET / HTTP/1.1\r\r\nHost: localhost\r\n\r\n"),
    ("empty lines first", b"\r\n\r\n" + http(KNOWN)),
    ("a space first", b" " + http(KNOWN)),
    ("NUL first", b"\0" + http(KNOWN)),
    ("a mark of byte order first", b"\xef\xbb\xbf" + http(KNOWN)),
    ("two spaces", http(KNOWN, version=" HTTP/1.1")),
    ("a tab for a space", b"GET\t" + KNOWN.encode() + b"\tHTTP/1.1\r\n" + HEAD + b"\r\n"),
    ("a space at the end of the line", http(KNOWN, version="HTTP/1.1 ")),
    ("no version", b"GET " + KNOWN.encode() + b"\r\n\r\n"),
    ("HTTP/0.9", http(KNOWN, version="HTTP/0.9")), ("HTTP/1.2", http(KNOWN, version="HTTP/1.2")),
    ("HTTP/1.10", http(KNOWN, version="HTTP/1.10")), ("HTTP/2.0", http(KNOWN, version="HTTP/2.0")),
    ("HTTP/01.1", http(KNOWN, version="HTTP/01.1")), ("http/1.1", http(KNOWN, version="http/1.1")),
    ("HTTPS/1.1", http(KNOWN, version="HTTPS/1.1")), ("RTSP", http(KNOWN, version="RTSP/1.0")),
    ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("a small method", http(KNOWN, method="get")), ("an unknown method of 40 letters", http(KNOWN, "X" * 40)),
    ("a method with NUL", http(KNOWN, method=b"GE\0T")), ("no method", http(KNOWN, method="")),
    ("CONNECT", http("localhost:22", method="CONNECT")), ("CONNECT with a path", http(KNOWN, "CONNECT")),
    ("OPTIONS for all", http("*", method="OPTIONS")),
    ("no host", http(KNOWN, host=None)), ("an empty host", http(KNOWN, host="")),
    ("two hosts", http(KNOWN, headers=["Host: other"])), ("a host with a user", http(KNOWN, host="a@b")),
    ("a host with a path", http(KNOWN, host="a/v1/health")), ("two hosts in one", http(KNOWN, host="a, b")),
    ("a host with a space", http(KNOWN, host="a b")), ("a host that is not ASCII", http(KNOWN, host="ä")),
    ("a header before the first line", b"Host: x\r\n" + http(KNOWN)),
    ("a folded first header", b"GET / HTTP/1.1\r\n Host: x\r\n\r\n"),
    ("a folded token", one(b"Accept: a\r\n b")), ("a header without a colon", one(b"Accept")),
    ("a header without a name", one(b": x")), ("a space in a name", one(b"X A: b")),
    ("NUL in a name", one(b"X\0A: b")), ("NUL in a value", one(b"X-A: b\0c")),
    ("a control character in a value", one(b"X-A: \x01")), ("an escape of a terminal", one(b"X-A: \x1b[2J")),
    ("DEL in a value", one(b"X-A: \x7f")), ("a name that is not ASCII", one("Xä: b".encode())),
    ("a name in brackets", one(b"X(A): b")),
    ("an upgrade to HTTP/2",
        one(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk")),
    ("an upgrade to a web socket", one(b"Upgrade: websocket\r\nSec-WebSocket-Version: 13")),
    ("an expectation of another kind", one(b"Expect: 200-ok")),
    ("two expectations", one(b"Expect: 100-continue\r\nExpect: 100-continue")),
    ("a protocol of another kind", b"EHLO x\r\nMAIL FROM:<a@b>\r\n\r\n"),
    ("random bytes", random.Random(1).randbytes(5000)),
    ("5,000 times NUL", bytes(5000)),
]

BOMBS = [
    ("65 headers", http(KNOWN, headers=["X-%d: y" % i for i in range(65)]), 431),
    ("5,000 headers", http(KNOWN, headers=["X: y"] * 5000), 431),
    ("a header of 20,000 bytes", http(KNOWN, headers=["X: " + "y" * 20000]), 431),
    ("a header of 3 MB", http(KNOWN, headers=["X: " + "y" * 3000000]), 431),
    ("a name of 20,000 bytes", http(KNOWN, headers=["X" * 20000 + ": y"]), 431),
    ("a target of 1 MB", http("/" + "a" * 1000000), 431),
    ("a method of 1 MB", http(KNOWN, method="A" * 1000000), 400),
    ("a body of 2 MiB and 1, announced", b"POST /v1/batch HTTP/1.1\r\n" + HEAD + JSON
     + b"Content-Length: 2097153\r\n\r\n", 413),
    ("a body of 10^30, announced", b"POST /v1/batch HTTP/1.1\r\n" + HEAD + JSON
     + b"Content-Length: 1" + b"0" * 30 + b"\r\n\r\n", 400),
    ("a chunk of 4 GB, announced", b"POST /v1/batch HTTP/1.1\r\n" + HEAD + JSON + CHUNKED
     + b"\r\n\r\nffffffff\r\n", 413),
    ("chunks of 3 MB in all", b"POST /v1/batch HTTP/1.1\r\n" + HEAD + JSON + CHUNKED
     + b"\r\n\r\n" + (b"8000\r\n" + b"x" * 0x8000 + b"\r\n") * 100, 413),
    ("50,000 chunks of one byte", b"POST /v1/batch HTTP/1.1\r\n" + HEAD + JSON + CHUNKED
     + b"\r\nConnection: close\r\n\r\n" + b"1\r\n[\r\n" * 50000 + b"0\r\n\r\n", 413),
]

BOMB_PLAIN = b'{"value": "' + b"a" * 30000000 + b'"}'
COMPRESSED = gzip.compress(BOMB_PLAIN, 9)

# Headers that must not matter: the request is answered as it would be without them.
IGNORED = [
    ("a method of another", "X-HTTP-Method-Override: DELETE"), ("a method of another", "X-HTTP-Method: PUT"),
    ("a method of another", "X-Method-Override: DELETE"), ("a path of another", "X-Original-URL: " + SECRET),
    ("a path of another", "X-Rewrite-URL: " + SECRET),
    ("an address of another", "X-Forwarded-For: 127.0.0.1"),
    ("an address of another", "Forwarded: for=127.0.0.1;proto=https"),
    ("a host of another", "X-Forwarded-Host: evil"),
    ("a user of another", "X-Forwarded-User: admin"), ("a certificate in a header", "X-Client-Cert: MIIB"),
    ("a range", "Range: bytes=0-3"),
    ("several ranges", "Range: bytes=" + ",".join("0-%d" % i for i in range(500))),
    ("a condition", "If-None-Match: *"), ("another origin", "Origin: https://evil.example"),
    ("a cookie", "Cookie: token=<SENT>"), ("a referrer", "Referer: javascript:alert(1)"),
    ("a coding of the answer", "Accept-Encoding: gzip, br"),
    ("a connection header of names", "Connection: authorization"),
    ("an underscore for a dash", "Content_Length: 5"),
]

METHODS = [("TRACE", "TRACE"), ("OPTIONS", "OPTIONS"), ("PATCH", "PATCH"), ("PROPFIND", "PROPFIND"),
           ("MOVE", "MOVE"), ("PURGE", "PURGE"), ("LOCK", "LOCK")]


def exact_pipeline(lab):
    """Answers come in the order of the requests, and none twice."""
    wanted = [("/v1/secrets/known/name", 200), ("/v1/secrets/none", 404), ("/v1/health", 200)] * 10
    data = b"".join(http(target, close=i == len(wanted) - 1, headers=["X-Request-Id: p%d" % i])
                    for i, (target, _) in enumerate(wanted))
    answers = parse_answers(lab.send(data))
    must([a.status for a in answers] == [status for _, status in wanted], "answers %r", answers)
    must([a.headers["x-request-id"] for a in answers] == ["p%d" % i for i in range(len(wanted))],
         "answers in another order")


def mutations(lab):
    """A good request with bytes changed, cut out, doubled: answered or refused, never more."""
    chance = random.Random(20)
    good = lab.fill(http(KNOWN, headers=["X-Request-Id: a", "Accept: */*"]))
    for _ in range(150):
        data = bytearray(good)
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(data))
            way = chance.randrange(4)
            if way == 0:
                data[at] = chance.randrange(256)
            elif way == 1:
                del data[at:at + chance.randrange(1, 20)]
            elif way == 2:
                data[at:at] = data[at:at + chance.randrange(1, 20)]
            else:
                data[at:at] = chance.choice((b"\r\n", b"\n", b"\0", b" ", b":", b"\r", b"%00", b"\xff"))
        # Whatever is left open by a mutation ends here: a request that is refused for sure.
        answers = parse_answers(lab.send(bytes(data) + b"\0\r\n\r\n"))
        must(1 <= len(answers) <= 2, "%d answers", len(answers))
        must(all(a.status in (200, 400, 401, 404, 405, 411, 413, 415, 431) for a in answers), "%r", answers)


def two_bodies(lab):
    """A body that was already sent with its Expect header is not asked for again."""
    data = lab.send(http("/v1/batch", "POST", ["Content-Type: application/json", "Expect: 100-continue"],
        "{}"))
    must(b"100 Continue" not in data, "asked for a body that was there")


ITEMS = (
    [raw("smuggling", what, smuggled(lines, body), [400])
     for what, lines, body in SMUGGLING]
    + [raw("smuggling", "HTTP/1.0 with chunks", smuggled([CHUNKED], b"0\r\n\r\n").replace(b"HTTP/1.1",
        b"HTTP/1.0", 1),
           [400]),
       raw("smuggling", "a body on GET", http(KNOWN, body=SLIPPED), [400]),
       raw("smuggling", "a request after Connection: close", http(KNOWN) + SLIPPED, [200]),
       raw("smuggling", "a request after HTTP/1.0", http(KNOWN, version="HTTP/1.0", close=False) + SLIPPED,
           [200]),
       raw("smuggling", "a good request, then a bad one", http(KNOWN,
           close=False) + b"X\r\n\r\n" + SLIPPED, [200, 400]),
       raw("smuggling", "HEAD, then a request", http(KNOWN, "HEAD", close=False) + http("/v1/health"),
           [200, 200],
           methods=("HEAD", "GET")),
       raw("smuggling", "a refused body, with a request in it",
           b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(SLIPPED) + SLIPPED,
               [401]),
       Item("smuggling", "30 requests at once", "30 answers in order", exact_pipeline),
       raw("smuggling", "a request in pieces of one byte", b"", [200],
           pieces=[bytes([b]) for b in http("/v1/health", token=False)])]
    + [raw("lines", what, data, [400]) for what, data in LINES]
    + [raw("bombs", what, data, [status]) for what, data, status in BOMBS]
    + [post("bombs", "30 MB compressed to 30 kB", "/v1/secrets/bomb", COMPRESSED, 415,
        "unsupported_media_type",
            headers=["Content-Encoding: gzip"]),
       post("bombs", "the same without saying so", "/v1/secrets/bomb", COMPRESSED, 400, "bad_json"),
       post("bombs", "a coding of a body that has none", "/v1/secrets/bomb", '{"value": "x"}', 415,
            headers=["Content-Encoding: br"]),
       post("bombs", "two codings", "/v1/secrets/bomb", '{"value": "x"}', 400,
            headers=["Content-Encoding: identity", "Content-Encoding: gzip"])]
    + [get("headers", what + ": " + line.split(":")[0], KNOWN, 200, headers=[line]) for what, line in IGNORED]
    + [get("headers", "a request id of 65", KNOWN, 200, headers=["X-Request-Id: " + "<SENT>" + "x" * 65]),
       get("headers", "a request id with a space", KNOWN, 200, headers=["X-Request-Id: <SENT> x"]),
       get("headers", "two request ids", KNOWN, 400, headers=["X-Request-Id: <SENT>",
           "X-Request-Id: <SENT>"]),
       get("headers", "a request id of quotes and tags", KNOWN, 200,
           headers=['X-Request-Id: "},"x":{"<script>alert(1)</script>']),
       get("headers", "the same in an error", "/v1/secrets/none", 404, "not_found",
           headers=['X-Request-Id: "},"x":{"<script>alert(1)</script>'])]
    + [get("methods", what, KNOWN, 405, method=method) for what, method in METHODS]
    + [get("methods", "DELETE of a list", "/v1/secrets", 405, method="DELETE"),
       get("methods", "GET of a batch", "/v1/batch", 405),
       get("methods", "PUT of health", "/v1/health", 405, method="PUT", body="")]
    + [Item("headers", "Expect with the body there", "no 100", two_bodies),
       Item("lines", "150 mutations of a request", "answered or refused", mutations)]
)
