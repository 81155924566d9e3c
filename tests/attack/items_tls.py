"""Below HTTP: handshakes that are none, other versions, other certificates, and the port between nodes."""

import os
import random
import socket
import ssl
import struct
import warnings

from item import Item, http
from lab import must

ALERT, HANDSHAKE = 21, 22


def hello(version=0x0303, suites=(0xc02f, 0x009c, 0x002f, 0x000a), extensions=b"", record=0x0301,
    session=b""):
    """A ClientHello, by hand: the libraries of today do not make what was usual once."""
    body = struct.pack(">H", version) + bytes(32) + bytes([len(session)]) + session
    body += struct.pack(">H", 2 * len(suites)) + b"".join(struct.pack(">H", s) for s in suites)
    body += b"\x01\x00" + struct.pack(">H", len(extensions)) + extensions
    message = b"\x01" + struct.pack(">I", len(body))[1:] + body
    return struct.pack(">BHH", HANDSHAKE, record, len(message)) + message


def extension(kind, data):
    return struct.pack(">HH", kind, len(data)) + data


TLS13 = extension(43, b"\x02\x03\x04") + extension(13, b"\x00\x02\x04\x03") + extension(10,
    b"\x00\x02\x00\x1d")
X25519 = extension(51, struct.pack(">HHH", 36, 29, 32) + random.Random(2).randbytes(32))

# Sent to a port that speaks TLS: an alert may come back, or nothing; never a handshake of the server's.
GARBAGE = [
    ("HTTP without TLS", http("/v1/secrets/canary/path")),
    ("random bytes", random.Random(3).randbytes(4000)),
    ("NUL", bytes(4000)),
    ("SSL 2", b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\x01\x00\x80" + bytes(34)),
    ("SSL 3", hello(0x0300, record=0x0300)),
    ("TLS 1.0", hello(0x0301)), ("TLS 1.1", hello(0x0302)), ("TLS 1.2", hello(0x0303)),
    ("TLS 1.2 with a fallback", hello(0x0303, suites=(0xc02f, 0x5600))),
    ("TLS 1.3 of a draft", hello(extensions=extension(43, b"\x02\x7f\x1c"), suites=(0x1301,))),
    ("TLS 1.3 without a key", hello(suites=(0x1302,), extensions=extension(43, b"\x02\x03\x04"))),
    ("TLS 1.3 of NULL suites", hello(suites=(0xc0b4, 0xc0b5, 0x0000), extensions=TLS13 + X25519)),
    ("TLS 1.3 of 128-bit suites", hello(suites=(0x1301, 0x1304, 0x1305), extensions=TLS13 + X25519)),
    ("early data for an unknown ticket", hello(
        suites=(0x1302, 0x1303), extensions=TLS13 + extension(51, struct.pack(">HHH", 36, 29, 32) + bytes(32))
        + extension(42, b"") + extension(45, b"\x01\x01")
        + extension(41, struct.pack(">HH", 10, 4) + b"tick" + bytes(4) + struct.pack(">HB", 33,
            32) + bytes(32)))),
    ("a key of zeros", hello(suites=(0x1302, 0x1303), extensions=TLS13
                            + extension(51, struct.pack(">HHH", 36, 29, 32) + bytes(32)))),
    ("an extension twice", hello(suites=(0x1302,), extensions=TLS13 + TLS13 + X25519)),
    ("an extension longer than the hello", hello(suites=(0x1302,),
        extensions=b"\x00\x2b\xff\xff\x02\x03\x04")),
    ("a hello of 16 MB, announced", b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(16380)),
    ("a record of 64 kB", b"\x16\x03\x01\xff\xff" + bytes(65535)),
    ("an empty record, 1,000 times", b"\x16\x03\x01\x00\x00" * 1000),
    ("alerts first", b"\x15\x03\x03\x00\x02\x01\x5a" * 1000),
    ("data first", b"\x17\x03\x03\x00\x10" + bytes(16)),
    ("a hello of heart beats", hello(suites=(0x1302,), extensions=extension(15, b"\x01") + TLS13)
     + b"\x18\x03\x03\x00\x03\x01\xff\xff"),
    ("the end of a handshake first",
        b"\x14\x03\x03\x00\x01\x01\x16\x03\x03\x00\x24\x14\x00\x00\x20" + bytes(32)),
    ("half a hello, and the end", hello()[:40]),
]


def server_hello(data):
    """Whether some record of the server is a ServerHello of its own (not a request for another hello)."""
    retry = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
    at = 0
    while at + 5 <= len(data):
        kind, size = data[at], struct.unpack(">H", data[at + 3:at + 5])[0]
        if kind == HANDSHAKE and data[at + 5:at + 6] == b"\x02" and retry not in data[at:at + 5 + size]:
            return True
        at += 5 + size
    return False


def garbage(data, link):
    def attack(lab):
        with lab.plain(lab.link_port() if link else None) as connection:
            try:
                connection.sendall(lab.fill(data))
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            received = lab.read_to_end(connection)
        must(not server_hello(received), "the server went on with %r", received[:20])
        must(b"HTTP/" not in received, "an answer without TLS")
    return attack


def context(**changes):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def old_version(version):
    def attack(lab):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old = context(minimum_version=version, maximum_version=version)
        old.set_ciphers("ALL:@SECLEVEL=0")
        try:
            with old.wrap_socket(lab.plain()) as connection:
                must(False, "spoken: %s", connection.version())
        except (ssl.SSLError, OSError):
            pass
    return attack


def protocols(names, good):
    """What the client says it can speak besides; no HTTP/2 comes of it."""
    def attack(lab):
        offering = context()
        if names:
            offering.set_alpn_protocols(names)
        try:
            with offering.wrap_socket(lab.plain()) as connection:
                must(connection.selected_alpn_protocol() in (None, "http/1.1"), "another protocol")
                connection.sendall(lab.fill(http("/v1/health")))
                must(lab.read_to_end(connection).startswith(b"HTTP/1.1 200 ") and good, "an answer")
        except (ssl.SSLError, ConnectionError):
            must(not good, "refused")
    return attack


def server_names(lab):
    """What host the client asks for is of no consequence, however odd."""
    for name in (None, "evil.example", "x" * 60 + ".example", "xn--a"):
        with context().wrap_socket(lab.plain(), server_hostname=name) as connection:
            connection.sendall(lab.fill(http("/v1/health")))
            must(lab.read_to_end(connection).startswith(b"HTTP/1.1 200 "), "not served as %s", name)


def plain_in_between(data):
    """Bytes that are not encrypted, within a connection that is."""
    def attack(lab):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = context().wrap_bio(incoming, outgoing)
        with lab.plain() as connection:
            while True:
                try:
                    session.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    connection.sendall(outgoing.read())
                    incoming.write(connection.recv(65536))
            connection.sendall(outgoing.read())
            session.write(lab.fill(http("/v1/secrets/known/name", close=False)))
            connection.sendall(data + outgoing.read())
            while True:
                received = lab.read_to_end(connection)
                incoming.write(received)
                break
            try:
                got = session.read(65536)
            except ssl.SSLError:
                got = b""
            must(not got.startswith(b"HTTP/1.1 200"), "served after what was not encrypted")
    return attack


def foreign_certificate_api(lab):
    """A certificate that nobody asked for gives nothing."""
    with_certificate = context()
    with_certificate.load_cert_chain(*node_files(lab.other))
    with with_certificate.wrap_socket(lab.plain()) as connection:
        connection.sendall(http("/v1/status", token=False))
        must(lab.read_to_end(connection).startswith(b"HTTP/1.1 401 "), "a certificate is taken for a token")


def own_certificate_api(lab):
    """Nor does one of a node of this cluster: nodes are not clients."""
    with_certificate = context()
    with_certificate.load_cert_chain(*node_files(lab.cluster.directory))
    with with_certificate.wrap_socket(lab.plain()) as connection:
        connection.sendall(http("/v1/secrets/canary/path", token=False))
        must(lab.read_to_end(connection).startswith(b"HTTP/1.1 401 "), "a node is taken for a client")


def node_files(directory, node=2):
    return [os.path.join(directory, "n%d" % node, name) for name in ("node.crt", "node.key")]


def link(lab, made, data):
    """Speaks TLS to the port between nodes; what comes back after `data`."""
    with lab.plain(lab.link_port()) as plain:
        try:
            with made.wrap_socket(plain) as connection:
                connection.sendall(data)
                return lab.read_to_end(connection)
        except (ssl.SSLError, ConnectionError):
            return b""


FRAME = b"\x00\x00\x00\x20" + random.Random(4).randbytes(32)


def link_stranger(files):
    """Without a certificate of this cluster's CA not even a greeting comes back."""
    def attack(lab):
        made = context()
        if files == "other":
            made.load_cert_chain(*node_files(lab.other))
        received = link(lab, made, FRAME)
        must(not received, "%d bytes for a stranger", len(received))
    return attack


def peer_of(lab):
    return 2 if lab.node != 2 else 3


def link_peer(data):
    """With a stolen key of a node: what is not a greeting closes the connection, and no more."""
    def attack(lab):
        made = context()
        made.load_cert_chain(*node_files(lab.cluster.directory, peer_of(lab)))
        link(lab, made, data)
    return attack


def link_greets(lab):
    """That the above stand at the door of a node that would talk: with a node's key a greeting comes."""
    made = context()
    made.load_cert_chain(*node_files(lab.cluster.directory, peer_of(lab)))
    with made.wrap_socket(lab.plain(lab.link_port())) as connection:
        must(lab.note(connection.recv(4096)), "no greeting")


def link_self(lab):
    """A node's own key does not make a link to itself."""
    made = context()
    made.load_cert_chain(*node_files(lab.cluster.directory, lab.node))
    must(not link(lab, made, FRAME), "a greeting for itself")


def link_http(lab):
    made = context()
    made.load_cert_chain(*node_files(lab.cluster.directory, peer_of(lab)))
    must(b"HTTP/" not in link(lab, made, lab.fill(http("/v1/secrets/canary/path"))), "HTTP between nodes")


def crowd(lab):
    """200 connections that say nothing; a client is served all the same."""
    for link_port in (False, True):
        connections = []
        try:
            for _ in range(100):
                connections.append(lab.plain(lab.link_port() if link_port else None))
            status = lab.request("GET", "/v1/secrets/known/name")[0]
            must(status == 200, "served with %d", status)
        finally:
            for connection in connections:
                connection.close()


def resets(lab):
    """200 connections that are reset in the middle of a request."""
    linger = struct.pack("ii", 1, 0)
    data = lab.fill(http("/v1/secrets/known/name", close=False))
    for i in range(60):
        with lab.connect() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.sendall(data[:len(data) * (i % 11) // 10])


ITEMS = (
    [Item("tls", what, "an alert, or the end", garbage(data, False)) for what, data in GARBAGE
     if what not in ("half a hello, and the end",)]
    + [Item("links", what, "an alert, or the end", garbage(data, True)) for what,
        data in GARBAGE[:3] + GARBAGE[7:9]
       + GARBAGE[-4:]]
    + [Item("tls", "half a hello, and the end", "the end", garbage(hello()[:40], False)),
       Item("tls", "a client of TLS 1.2 alone", "refused", old_version(ssl.TLSVersion.TLSv1_2)),
       Item("tls", "a client of TLS 1.0 alone", "refused", old_version(ssl.TLSVersion.TLSv1)),
       Item("tls", "no protocol named", "200", protocols([], True)),
       Item("tls", "HTTP/2 and HTTP/1.1", "200, HTTP/1.1", protocols(["h2", "http/1.1"], True)),
       Item("tls", "HTTP/2 alone", "refused", protocols(["h2"], False)),
       Item("tls", "protocols of no kind", "refused", protocols(["\x01\x02", "x" * 200], False)),
       Item("tls", "other server names", "200", server_names),
       Item("tls", "a second hello in the clear", "closed, not served", plain_in_between(hello())),
       Item("tls", "data in the clear", "closed, not served",
           plain_in_between(b"\x17\x03\x03\x00\x20" + bytes(32))),
       Item("tls", "a certificate of another CA", "401", foreign_certificate_api),
       Item("tls", "a certificate of a node", "401", own_certificate_api),
       Item("tls", "200 silent connections", "others are served", crowd),
       Item("tls", "60 resets within a request", "others are served", resets),
       Item("links", "no certificate", "nothing", link_stranger(None)),
       Item("links", "a certificate of another CA", "nothing", link_stranger("other")),
       Item("links", "a node's own key", "nothing", link_self),
       Item("links", "silence with a node's key", "a greeting", link_greets),
       Item("links", "HTTP with a node's key", "closed", link_http),
       Item("links",
           "a frame of 4 GB with a node's key", "closed", link_peer(b"\xff\xff\xff\xff" + bytes(1000))),
       Item("links", "a frame of nothing with a node's key", "closed", link_peer(bytes(4))),
       Item("links", "a greeting of random bytes with a node's key", "closed", link_peer(FRAME)),
       Item("links", "a greeting of 1,000 maps with a node's key", "closed",
            link_peer(b"\x00\x00\x01\x00" + b"\xa1\x00" * 128))]
)
