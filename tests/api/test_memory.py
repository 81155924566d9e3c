"""
What a server keeps in its memory when it has nothing to do: no value, no token, no storage key.

Reads the whole memory of the running processes, which only root may (they forbid it to their own user).
"""

import base64
import os
import socket
import struct
import tempfile
import time
import unittest

from logins import Authority, Issuer, Key, statement
from ostraka_cluster import ADMIN, SLOW, Cluster, Failed, wait_until

TAG = "cnryQ7"  # in whatever Marks makes, every ten letters
VALUE = "canary-Rk4Wz8Ny2Hv6Xc9Tb3Qm7Jd5"
BINARY = b"\x00\xffcanary-" + bytes(range(160, 190))
CHUNK = 1 << 24
EMPTY = bytes(4096)


def memory(pid):
    """All readable memory in overlapping pieces, as (name of the mapping, bytes)."""
    with open("/proc/%d/maps" % pid) as file:
        lines = file.read().splitlines()
    with open("/proc/%d/mem" % pid, "rb", 0) as file:
        for line in lines:
            bounds, _, _, _, _, *name = line.split(None, 5)
            at, end = (int(bound, 16) for bound in bounds.split("-"))
            name = name[0] if name else "anonymous"
            if name in ("[vvar]", "[vsyscall]"):
                continue
            tail = b""
            while at < end:
                try:
                    file.seek(at)
                    piece = file.read(min(CHUNK, end - at))
                except (OSError, ValueError):
                    break
                if not piece:
                    break
                yield name, tail + piece
                tail = piece[-64:]
                at += len(piece)


def used(piece):
    """Without pages that are empty, which are most of them; what is searched for is never in one."""
    pages = (piece[at:at + len(EMPTY)] for at in range(0, len(piece), len(EMPTY)))
    return b"".join(page for page in pages if page != EMPTY)


def found(pid, needles):
    return sorted({(label, name) for name, whole in memory(pid) for piece in (used(whole),)
                   for label, needle in needles.items() if needle in piece})


class Marks:
    """Texts that stand for secrets, each found by one search; and others' texts, found by their ends."""

    def __init__(self):
        self.texts = {}

    def make(self, label):
        random = base64.b32encode(os.urandom(10)).decode().lower()
        return self.note(label, "".join(TAG + random[at:at + 4] for at in range(0, 16, 4)))

    def note(self, label, text):
        self.texts[label] = text.encode()
        return text

    def needles(self):
        tag = TAG.encode()
        needles = {"a mark": tag, "a mark in base64": base64.b64encode(tag),
                   "a mark in base64, one byte on": base64.b64encode(b"\0" + tag)[2:9],
                   "a mark in base64, two bytes on": base64.b64encode(b"\0\0" + tag)[3:10]}
        for label, text in self.texts.items():
            if tag not in text:
                needles.update({label: text[:20], "end of " + label: text[-20:]})
        return needles

    def of(self, pid):
        """What is left in the memory of that process: a mark with the bytes around it, which say whose it is."""
        left = found(pid, self.needles())
        if not any(label.startswith("a mark") for label, _ in left):
            return left
        around = [piece[max(0, piece.find(TAG.encode()) - 20):][:60] for _, piece in memory(pid)
                  if TAG.encode() in piece]
        return left + [(label, part) for part in around for label, text in self.texts.items()
                       if any(text[at:at + 10] in part for at in range(0, len(text), 10))] + around


@unittest.skipUnless(os.geteuid() == 0, "only root may read the memory of the servers")
class Memory(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(3).create()
        self.addCleanup(self.cluster.close)
        with open(os.path.join(self.cluster.node_directory(1), "storage.key")) as file:
            self.storage_key = file.read().strip()

    def needles(self):
        raw, token = VALUE.encode(), self.cluster.token.encode()
        # Pieces too: memory that is used again loses its beginning first.
        return {"value": raw[:14], "end of value": raw[-14:], "binary": BINARY[2:20],
                "base64": base64.b64encode(BINARY)[8:28], "token": token[:20],
                "end of token": token[-20:], "storage key in hex": self.storage_key[:32].encode(),
                "end of storage key in hex": self.storage_key[-32:].encode(),
                "storage key": bytes.fromhex(self.storage_key)}

    def test_the_search_finds_what_is_there(self):
        here = b"canary-" + os.urandom(16)
        self.assertTrue(found(os.getpid(), {"here": here}))
        self.cluster.start(1)
        wait_until(lambda: found(self.cluster.processes[1].pid, {"its name": b"ostraka"}), 20, "its name")

    def test_an_idle_server_knows_no_secret(self):
        os.unlink(os.path.join(self.cluster.node_directory(1), "storage.key"))
        self.cluster.start(1, environment={"OSTRAKA_STORAGE_KEY": self.storage_key})
        self.cluster.start_all()
        self.cluster.wait_ready()
        self.work()
        self.broken_off()
        needles = self.needles()

        deadline = time.monotonic() + 20 * SLOW
        while True:
            left = {node: found(self.cluster.processes[node].pid, needles)
                    for node in self.cluster.nodes()}
            if not any(left.values()) or time.monotonic() > deadline:
                break
            time.sleep(1)
        self.assertEqual(left, {node: [] for node in self.cluster.nodes()})
        with open("/proc/%d/environ" % self.cluster.processes[1].pid, "rb") as file:
            self.assertNotIn(self.storage_key.encode(), file.read())

    # ---- what else brings values and tokens ----

    def test_nor_what_other_requests_brought(self):
        self.cluster.start_all()
        self.cluster.wait_ready()
        self.marks = Marks()
        self.clients = [self.cluster.client(node) for node in self.cluster.nodes()]
        with tempfile.TemporaryDirectory() as folder:
            self.prepare_logins(folder)
            for node in self.cluster.nodes():
                with self.subTest(node=node):
                    self.several(node)
                    self.texts(node)
                    self.refused(node)
                    self.tokens(node)
                    self.logins(node)
            deadline = time.monotonic() + 20 * SLOW
            while True:
                left = {node: self.marks.of(self.cluster.processes[node].pid)
                        for node in self.cluster.nodes()}
                if not any(left.values()) or time.monotonic() > deadline:
                    break
                time.sleep(1)
        self.assertFalse(any(left.values()), left)
        # The connections were open all the time: what they brought is not kept for the next request.
        self.assertTrue(all(client.connection for client in self.clients))
        for client in self.clients:
            client.close()

    def call(self, expect, node, method, path, body=None, token=ADMIN, **headers):
        """By the kept connection to that node, where it is the administrator's."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is ADMIN:
            status, _, answer = self.clients[node - 1].request(method, path, body, names)
        else:
            status, _, answer = self.cluster.request(node, method, path, body, names, token)
        self.assertEqual(status, expect, (method, path, answer))
        return answer

    def several(self, node):
        make, at = self.marks.make, "m%d/" % node
        created = [{"name": at + "b%d" % i, "value": make("batch %d of n%d" % (i, node))} for i in range(3)]
        self.call(201, node, "POST", "/v1/batch", {"create": created})
        self.call(200, node, "POST", "/v1/batch", {"read": [{"name": one["name"]} for one in created]})
        self.call(409, node, "POST", "/v1/batch", {"create": created})
        self.call(200, node, "POST", "/v1/copy", {"from": at[:-1], "to": "c%d" % node, "recursive": True})
        once = {"value": make("once at n%d" % node)}
        for asked in (node, node % 3 + 1):
            self.call(201, asked, "POST", "/v1/secrets/%sonce" % at, once, Idempotency_Key="k%d" % node)
        escaped = "".join("\\u%04x" % ord(letter) for letter in make("escaped at n%d" % node))
        self.call(201, node, "POST", "/v1/secrets/%se" % at, b'{"value": "%s\\n"}' % escaped.encode())

    def texts(self, node):
        make, prefix = self.marks.make, "env%d/" % node
        text = ("A=enc('%s')\nB=enc(%sB)\n# %s\nC=x-secret(m%d/b0)\n" % (
            make("literal at n%d" % node), prefix, make("comment at n%d" % node), node))
        body = {"content": text, "prefix": prefix,
                "values": {prefix + "B": make("value of env at n%d" % node)}}
        self.call(200, node, "POST", "/v1/env", body)
        self.call(409, node, "POST", "/v1/env", body)
        for status, plain in ((200, "D='%s'\nE=secret(%sA)\n" % (make("plain at n%d" % node), prefix)),
                              (422, "A=enc('%s)\n" % make("open quote at n%d" % node)),
                              (404, "A=enc('%s')\nB=secret(none)\n" % make("no reference at n%d" % node))):
            self.call(status, node, "POST", "/v1/env", plain.encode(), Content_Type="text/plain")

    def refused(self, node):
        make, path = self.marks.make, "/v1/secrets/m%d/refused" % node
        self.call(404, node, "PUT", path, {"value": make("404 at n%d" % node)})
        self.call(409, node, "POST", path.replace("refused", "b0"), {"value": make("409 at n%d" % node)})
        self.call(400, node, "POST", path, ('{"value": "%s' % make("cut at n%d" % node)).encode())
        self.call(400, node, "POST", path, {make("member at n%d" % node): 1})
        self.call(400, node, "GET", path + "?token=" + make("query at n%d" % node))
        self.call(401, node, "POST", path, {"value": make("401 at n%d" % node)}, None)
        self.call(401, node, "GET", path, None, "ost_" + make("wrong token at n%d" % node))
        self.call(413, node, "POST", path, ('{"value": "%s"}' % (make("413 at n%d" % node) * 30000)).encode())

    def prepare_logins(self, folder):
        self.issuer, self.authority, self.key = Issuer(folder), Authority(folder), Key(folder, "client")
        with open(self.cluster.config()) as file:
            self.cluster_id = bytes.fromhex(file.read().split('cluster_id = "')[1].split('"')[0])
        self.call(200, 1, "PUT", "/v1/policies/all", {"rules": [{"path": "**", "capabilities": ["read"]}]})
        self.identity = self.call(201, 1, "POST", "/v1/identities", {
            "name": "somebody", "kind": "service", "policies": ["all"]})["id"]
        self.call(200, 1, "PUT", "/v1/auth/issuers", self.issuer.body(["all"]))
        self.call(200, 1, "PUT", "/v1/auth/ca", {"certificate": self.authority.pem})
        self.role = self.call(201, 1, "POST", "/v1/auth/roles", {"identity": self.identity, "ttl": 600})["role_id"]

    def works_everywhere(self, label, token):
        self.marks.note(label, token)
        for node in self.cluster.nodes():
            self.call(200, node, "GET", "/v1/secrets/m1/b0", None, token)

    def tokens(self, node):
        made = self.call(201, node, "POST", "/v1/tokens", {"identity": self.identity, "renewable": True})
        self.works_everywhere("token of n%d" % node, made["token"])
        child = self.call(201, node, "POST", "/v1/tokens", {}, made["token"])
        self.works_everywhere("child of n%d" % node, child["token"])
        self.call(200, node, "POST", "/v1/tokens/self:renew", None, made["token"])
        self.call(200, node, "POST", "/v1/tokens/self:revoke", None, child["token"])
        self.call(401, node % 3 + 1, "GET", "/v1/secrets/m1/b0", None, child["token"])

    def logins(self, node):
        note, login = self.marks.note, "/v1/auth/%s:login"
        secret = self.call(201, node, "POST", "/v1/auth/roles/%s/secret-ids" % self.role, {})
        note("secret id of n%d" % node, secret["secret_id"])
        signed = statement(self.key, self.authority.certificate(self.key, self.identity, node + 1), self.cluster_id)
        bodies = {"approle": {"role_id": self.role, "secret_id": secret["secret_id"]},
                  "jwt": {"jwt": self.issuer.jwt(jti=os.urandom(20).hex())},
                  "cert": {"statement": signed}}
        note("statement of n%d" % node, signed[-80:])  # its signature
        note("jwt of n%d" % node, bodies["jwt"]["jwt"][-80:])
        for kind, body in bodies.items():
            made = self.call(200, node, "POST", login % kind, body, None)
            self.works_everywhere("%s token of n%d" % (kind, node), made["token"])
        self.works_everywhere("bearer of n%d" % node, self.issuer.jwt(jti=os.urandom(20).hex()))
        self.call(200, node, "POST", "/v1/auth/roles/%s/secret-ids:revoke" % self.role,
                  {"accessor": secret["accessor"]})
        self.call(401, node, "POST", login % "approle", bodies["approle"], None)

    # ---- values, tokens, keys ----

    def work(self):
        encoded = base64.b64encode(BINARY).decode()
        for node in self.cluster.nodes():
            with self.subTest(node=node):
                client = self.cluster.client(node)
                for method, path, body in (
                        ("POST", "/v1/secrets/t%d" % node, {"value": VALUE}),
                        ("PUT", "/v1/secrets/t%d" % node, {"value": VALUE * 1000}),
                        ("POST", "/v1/secrets/b%d" % node, {"value": encoded,
                                                            "encoding": "base64"}),
                        ("GET", "/v1/secrets/t%d" % node, None),
                        ("GET", "/v1/secrets/b%d" % node, None)):
                    self.assertIn(client.request(method, path, body)[0], (200, 201))
                for body in (b'{"value":"%s"' % VALUE.encode(),
                             b'{"value":"%s","value":"x"}' % VALUE.encode(),
                             b'{"value":"%s","other":1}' % VALUE.encode()):
                    self.assertEqual(client.request("POST", "/v1/secrets/x", body)[0], 400)
                client.close()

    def broken_off(self):
        """Connections that end wherever a value or a token may be on its way."""
        head = ("POST /v1/secrets/y HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n"
                "Content-Type: application/json\r\n" % self.cluster.token)
        for data in (head, head + "Content-Length: 9000\r\n\r\n{\"value\":\"" + VALUE,
                     head + "Transfer-Encoding: chunked\r\n\r\n40\r\n{\"value\":\"" + VALUE,
                     head + "X-Bad Header: " + VALUE + "\r\n\r\n",
                     head.replace("POST", "GET").replace("/y", "/t1") + "\r\n" + head):
            self.reset_after(data.encode())
        self.cluster.pause(2)
        self.cluster.pause(3)
        try:
            self.cluster.request(1, "POST", "/v1/secrets/z", {"value": VALUE}, timeout=2)
        except Failed:
            pass
        self.cluster.resume(2)
        self.cluster.resume(3)

    def reset_after(self, data):
        plain = socket.create_connection(("127.0.0.1", self.cluster.api_port(1)), 10 * SLOW)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with self.cluster.tls().wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            connection.sendall(data)
            time.sleep(0.1)


if __name__ == "__main__":
    unittest.main()
