"""A known value goes through everything; afterwards it must not be found where it does not belong."""

import base64
import os
import re
import subprocess
import unittest

from ostraka_cluster import Cluster, clean_environment

VALUE = "canary-Zq7Xw3Vt9Kp2Lm5Nr8Js4Hd6"
NAME = "canaryname-Ty6Bu1Fe0Gc7"


def forms(secret):
    """The bytes as they are, in base64 at each alignment, in hexadecimal, and reversed by words."""
    raw = secret.encode()
    found = {raw, raw.hex().encode(), raw.hex().upper().encode(), raw.decode().encode("utf-16-le")}
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + raw)
        # Without the ends, which depend on what stands around it.
        found.add(text[4:-4])
        found.add(text[4:-4].replace(b"+", b"-").replace(b"/", b"_"))
    return found


def holds(data, secrets):
    return [form for secret in secrets for form in forms(secret) if form in data]


class Canary(unittest.TestCase):
    def test_the_search_finds_what_it_looks_for(self):
        raw = VALUE.encode()
        for data in (raw, b"x" + raw + b"y", base64.b64encode(raw), base64.b64encode(b"a" + raw),
                     base64.b64encode(b"ab" + raw + b"cd"), raw.hex().encode()):
            self.assertTrue(holds(data, [VALUE]), data)
        self.assertFalse(holds(b"canary", [VALUE]))

    def test_nothing_leaks(self):
        cluster = Cluster(3).create()
        self.addCleanup(cluster.close)
        cluster.set_server_option("log_level", '"debug"')
        cluster.start_all()
        cluster.wait_ready()
        replies = self.work(cluster)
        cluster.kill9(2)
        replies += self.work(cluster, "again/", nodes=(1, 3))
        cluster.start(2, wait=True)
        replies += self.errors(cluster)
        # One node ends by the signal that dumps core: there must be no core file.
        cluster.processes[3].send_signal(6)
        cluster.processes[3].wait(20)
        for node in (1, 2):
            cluster.stop(node)
        for number, reply in enumerate(replies):
            self.assertFalse(holds(reply, [VALUE, cluster.token]), "reply %d" % number)
        self.search_files(cluster)

    def work(self, cluster, prefix="", nodes=(1, 2, 3)):
        """Every operation with the canary in it; returns replies in which it must not be."""
        replies = []
        for node in nodes:
            path = "/v1/secrets/%s%s/%d" % (NAME, prefix and "/" + prefix.strip("/"), node)
            raw = base64.b64encode(b"\xff\x00" + VALUE.encode()).decode()
            for method, body in (("POST", {"value": VALUE}), ("PUT", {"value": "a " + VALUE}),
                                 ("PUT", {"value": raw, "encoding": "base64"}),
                                 ("PUT", {"value": VALUE * 500}),
                                 ("POST", {"value": VALUE}),
                                 ("PUT", {"value": VALUE, "expected_version": 77})):
                replies.append(self.reply(cluster, node, method, path, body))
            status, _, got = cluster.request(node, "GET", path + "?version=1")
            self.assertEqual((status, got["value"]), (200, VALUE))
            replies.append(self.reply(cluster, node, "GET",
                                      path.replace("/secrets/", "/history/"), None))
            replies.append(self.reply(cluster, node, "GET", "/v1/status", None))
            replies.append(self.reply(cluster, node, "GET", "/metrics", None))
            env = NAME + "/env%s%d/" % (prefix.strip("/"), node)
            replies.append(self.reply(cluster, node, "POST", "/v1/env", {
                "content": "A=enc('%s')\nB=enc(%sN)\n" % (VALUE, env), "prefix": env, "mode": "encrypt",
                "values": {env + "N": VALUE}}))
            if node == 1:
                replies.append(self.reply(cluster, node, "DELETE", path, None))
        return replies

    def reply(self, cluster, node, method, path, body, **options):
        status, headers, answer = cluster.request(node, method, path, body, **options)
        return repr((status, headers, answer)).encode()

    def errors(self, cluster):
        """Malformed requests around the canary: replies must not echo it."""
        replies = []
        path = "/v1/secrets/" + NAME
        text = VALUE.encode()
        for body in (b'{"value": "' + text, b'{"value": "' + text + b'", "value": "' + text + b'"}',
                     b'{"' + text + b'": 1}', b'{"value": "' + text + b'\xff"}', text,
                     b'{"value": "' + text + b'", "encoding": "' + text + b'"}',
                     b'{"value": "' + text + b'", "encoding": "base64"}',
                     b'{"value": "' + text * 50000 + b'"}'):
            replies.append(self.reply(cluster, 1, "POST", path, body))
        for body in (b"A='" + text + b"\n", b"A=enc(" + text + b")\n", b"A=enc('" + text + b"'\n",
                     b"A=secret(" + text + b"//)\n", b"A='" + text + b"'x\nB=secret(b\n",
                     b"A=enc('" + text + b"')\n"):
            replies.append(self.reply(cluster, 1, "POST", "/v1/env", body,
                                      headers={"Content-Type": "text/plain"}))
            replies.append(self.reply(cluster, 1, "POST", "/v1/env", {"content": body.decode()}))
        replies.append(self.reply(cluster, 1, "GET", path, None, token=VALUE))
        replies.append(self.reply(cluster, 1, "GET", path, None, token=cluster.token + "x"))
        replies.append(self.reply(cluster, 1, "GET", path + "?version=" + VALUE, None))
        replies.append(self.reply(cluster, 1, "GET", path + "?" + VALUE + "=1", None))
        replies.append(self.reply(cluster, 1, "POST", path, b'{"value": "x"}',
                                  headers={"Content-Type": VALUE}))
        replies.append(cluster.raw(1, b"GET /v1/status HTTP/1.1\r\n" + text + b"\r\n\r\n"))
        replies.append(cluster.raw(1, b"POST " + path.encode() + b" HTTP/1.1\r\nHost: x\r\n"
                                   b"Content-Length: x" + text + b"\r\n\r\n"))
        # The command line's messages.
        environment = clean_environment(OSTRAKA_ADDR=cluster.addresses(),
                                        OSTRAKA_CACERT=cluster.ca_file(),
                                        OSTRAKA_TOKEN=cluster.token)
        for arguments in (("create", NAME + "/3", VALUE), ("update", NAME + "/none", VALUE),
                          ("create", NAME + "/cli", VALUE, VALUE),
                          ("create", "../" + NAME, VALUE)):
            done = subprocess.run([cluster.program, "secret", *arguments], capture_output=True,
                                  env=environment, timeout=60)
            self.assertNotEqual(done.returncode, 0)
            replies.append(done.stdout + done.stderr)
        return replies

    def search_files(self, cluster):
        token_file = os.path.realpath(cluster.token_file())
        logs = {os.path.realpath(cluster.log_path(node)) for node in cluster.nodes()}
        storage_keys = []
        for node in cluster.nodes():
            with open(os.path.join(cluster.node_directory(node), "storage.key")) as file:
                storage_keys.append(file.read().strip())
        searched = 0
        for folder, _, names in os.walk(cluster.directory):
            for name in names:
                path = os.path.realpath(os.path.join(folder, name))
                if not os.path.isfile(path):
                    continue
                self.assertFalse(re.match(r"core(\.|$)", name), path)
                with open(path, "rb") as file:
                    data = file.read()
                searched += len(data)
                secrets = [VALUE, NAME]
                if path != token_file:
                    secrets.append(cluster.token)
                if path in logs:
                    secrets += storage_keys
                    for key in storage_keys:
                        self.assertNotIn(bytes.fromhex(key), data, path)
                self.assertFalse(holds(data, secrets), path)
        self.assertGreater(searched, 10000)
        for log in logs:
            self.assertGreater(os.path.getsize(log), 500, "debug logs were written")


if __name__ == "__main__":
    unittest.main()
