"""Clients that take their time. The server has a deadline for each phase; these run beside all others."""

import socket
import ssl
import time

from item import Item, http
from lab import ANSWER_SECONDS, SLOW, must, parse_answers

WAIT = ANSWER_SECONDS + 20


def drip(lab, connection, pieces, pause=0.25):
    """Sends piece after piece until the server has enough; what it said."""
    connection.settimeout(pause)
    received = b""
    for piece in pieces:
        try:
            connection.sendall(piece)
            chunk = connection.recv(65536)
        except TimeoutError:
            continue
        except (ConnectionError, ssl.SSLError):
            break
        if not chunk:
            return lab.note(received)
        received += chunk
    connection.settimeout(WAIT * SLOW)
    return received + lab.read_to_end(connection, WAIT)


def endless(piece, seconds=WAIT):
    end = time.monotonic() + seconds * SLOW
    while time.monotonic() < end:
        yield piece


def dripping(first, piece, status):
    def attack(lab):
        with lab.connect() as connection:
            connection.sendall(lab.fill(first))
            answers = parse_answers(drip(lab, connection, endless(piece)))
        must([a.status for a in answers] == [status], "%r", answers)
    return attack


def no_handshake(link):
    def attack(lab):
        with lab.plain(lab.link_port() if link else None) as connection:
            received = lab.read_to_end(connection, WAIT)
            must(received[:1] in (b"", b"\x15"), "%r to nobody", received)  # an alert, at most
    return attack


def slow_handshake(lab):
    with lab.plain() as connection:
        drip(lab, connection, endless(b"\x16", WAIT))


def never_reads(lab):
    """Asks for what does not fit the sockets' buffers, many times, and takes none of it."""
    request = lab.fill(http("/v1/secrets/none/" + "n" * 400, close=False))
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.settimeout(1)
        plain.connect(("127.0.0.1", lab.cluster.api_port(1)))
        with lab.cluster.tls().wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            end = time.monotonic() + WAIT * SLOW
            while time.monotonic() < end:
                try:
                    connection.sendall(request * 50)
                except TimeoutError:
                    time.sleep(0.5)
                except (ConnectionError, ssl.SSLError):
                    return
            must(False, "the server kept a client that never reads")


HEAD = http("/v1/secrets/known/name", close=False)[:-2]
BODY = http("/v1/batch", "POST", ["Content-Type: application/json", "Content-Length: 100000"])

ITEMS = [
    Item("slow", "a header that never ends", "408", dripping(HEAD + b"X-Slow: ", b"a", 408), slow=True),
    Item("slow", "headers that never end", "408", dripping(HEAD, b"X: y\r\n", 408), slow=True),
    Item("slow", "a request line that never ends", "408", dripping(b"GET /v1/", b"a", 408), slow=True),
    Item("slow", "a body that never ends", "408", dripping(BODY, b" ", 408), slow=True),
    Item("slow", "a body that never comes", "408", dripping(BODY, b"", 408), slow=True),
    Item("slow", "chunks that never end", "408", dripping(
        http("/v1/batch", "POST", ["Content-Type: application/json", "Transfer-Encoding: chunked"]),
        b"1\r\n \r\n", 408), slow=True),
    Item("slow", "a body of a stranger", "401", dripping(
        http("/v1/batch", "POST", ["Content-Length: 100000"], token=False), b" ", 401), slow=True),
    Item("slow", "no handshake", "closed", no_handshake(False), slow=True),
    Item("slow", "a handshake byte by byte", "closed", slow_handshake, slow=True),
    Item("slow", "no handshake between nodes", "closed", no_handshake(True), slow=True),
    Item("slow", "answers that nobody reads", "closed", never_reads, slow=True),
]
