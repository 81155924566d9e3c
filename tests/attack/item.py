"""What an attack is: what is sent, and what must happen. Most are made by the helpers below, from data."""

from lab import SENT, must, parse_answers


class Item:
    """`attack` is called with the Lab and raises Unmet when what must happen does not."""

    def __init__(self, group, what, must_happen, attack, creates=(), slow=False):
        self.group, self.what, self.must_happen = group, what, must_happen
        self.attack, self.creates, self.slow = attack, creates, slow


def as_bytes(text):
    """Bytes to send, with the text in them that must not come back."""
    return (text if isinstance(text, bytes) else text.encode()).replace(b"<SENT>", SENT.encode())


def http(target, method="GET", headers=(), body=None, token=True, close=True, version="HTTP/1.1",
         host="localhost"):
    """The bytes of one request, as wrong as the arguments are. `token`: whose, see Lab.tokens; True: the first."""
    lines = [b"%s %s %s" % (as_bytes(method), as_bytes(target), as_bytes(version))]
    if host is not None:
        lines.append(b"Host: " + as_bytes(host))
    if token:
        lines.append(b"Authorization: Bearer <%s>" % (b"TOKEN" if token is True else as_bytes(token)))
    if close:
        lines.append(b"Connection: close")
    lines += [as_bytes(header) for header in headers]
    if body is not None:
        body = as_bytes(body)
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def expectation(status, code):
    return "%d %s" % (status, code) if code else str(status)


def raw(group, what, data, statuses, codes=(), methods=(), creates=(), pieces=()):
    """Bytes through TLS; exactly these answers, and then the server closes."""
    codes = list(codes) + [None] * (len(statuses) - len(codes))

    def attack(lab):
        answers = parse_answers(lab.send(data, pieces), methods)
        for answer in answers:
            lab.check_answer(answer)
        got = [answer.status for answer in answers]
        must(got == list(statuses), "answers %r instead of %r", answers, list(statuses))
        for answer, code in zip(answers, codes):
            must(code is None or answer.code() == code, "%r instead of %s", answer, code)

    shown = ", ".join(expectation(s, c) for s, c in zip(statuses, codes)) or "nothing, and closes"
    return Item(group, what, shown, attack, creates)


def get(group, what, target, status, code=None, **options):
    """One request; one answer."""
    method = options.get("method", "GET")
    methods = (method if isinstance(method, str) else method.decode("latin-1"),)
    creates = options.pop("creates", ())
    return raw(group, what, http(target, **options), [status], [code], methods, creates)


def post(group, what, target, body, status, code=None, media="application/json", **options):
    options.setdefault("method", "POST")
    headers = list(options.pop("headers", ()))
    if media is not None:
        headers.append("Content-Type: " + media)
    return get(group, what, target, status, code, body=body, headers=headers, **options)
