"""POST /v1/env: .env texts are expanded and stored, all or nothing, and other parsers read them back."""

import io
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

import dotenv

from ostraka_cluster import Cluster, wait_until
from specification import SPEC

TEXT = {"Content-Type": "text/plain"}
NASTY = ["", " ", "x", "two words", " edge ", "it's", 'say "x"', "a'b\"c", "two\nlines", "a\r\nb", "\r",
         "end\\", "\\", "\\n", "C:\\dir\\new", "a\\\\b", "#", "a #b", "a#b", "$HOME", "${HOME}", "$(id)",
         "`id`", "a`b", "tab\there", "=", "a=b", "export A=1", "grüße ☃ 日本", "'", '"', "''", '""',
         "'x'", '"x"', "enc(x)", "secret(x)", "secret(x", "x)", "\n", "\n\n#\n", "{\"json\": [1, \"a\"]}",
         "-----BEGIN KEY-----\nabc/+=\n-----END KEY-----\n", "a;b|c&d", "!x", "~", "*", "\x07", "%s"]


def has_a_form_for_python(value):
    """Python's dotenv takes a backslash before a quote for an escape of it, whatever is before it."""
    return not (value.endswith("\\") and re.search(r"[\r\n#]|secret\(|^[\s'\"`]|^enc\(", value))


def has_a_form_for_node(value):
    """Node's dotenv undoes no escape but those of line ends."""
    if not value or value.endswith("\\") or "\\\\" in value or ("'" in value and '"' in value):
        return False
    return not ("\\" in value and "'" in value) and not (
        "\r" in value and ("\\" in value or '"' in value))


def random_values(count):
    dice = random.Random(6)
    alphabet = "ab \t\n\r'\"`\\#$={(né"
    return ["".join(dice.choice(alphabet) for _ in range(dice.randint(1, 12))) for _ in range(count)]


class Env(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(3)
        cls.addClassCleanup(cls.cluster.close)
        cls.cluster.create()
        cls.cluster.set_server_option("log_level", '"debug"')
        cls.cluster.start_all()
        cls.cluster.wait_ready()

    def post(self, body, query="", node=1, **fields):
        if isinstance(body, dict):
            return self.cluster.request(node, "POST", "/v1/env" + query, body, fields)
        return self.cluster.request(node, "POST", "/v1/env" + query, body, {**TEXT, **fields})

    def expand(self, text, node=1, query="?mode=expand"):
        status, _, got = self.post(text, query, node)
        self.assertEqual(status, 200, got)
        return got

    def create(self, name, value):
        status, _, got = self.cluster.request(1, "POST", "/v1/secrets/" + name, {"value": value})
        self.assertEqual(status, 201, got)

    def read(self, name):
        status, _, got = self.cluster.request(2, "GET", "/v1/secrets/" + name)
        return got["value"] if status == 200 else None

    def refused(self, wanted, code, details, body, query="", **fields):
        status, _, got = self.post(body, query, **fields)
        self.assertEqual(status, wanted, got)
        self.assertEqual(got["error"]["code"], code)
        found = [(one.get("line"), one["name"], one["code"]) for one in got["error"]["details"]]
        self.assertEqual(found, details)

    # ---- what becomes of a text ----

    def test_a_text_is_stored_and_expanded(self):
        text = (b"\xef\xbb\xbf# comment\r\nPASS=enc(\"p \\\"x\\\" # \\n y\")\r\n"
                b"export URL = \"x://secret(t/PASS)@h\" # c\r\n\r\nRAW=\xff\xfe  # c\nKEY=enc(t/key)\n"
                b"OLD='old value' # was here\nNEW=enc(OLD)\nLAST=1")
        status, headers, got = self.post(text, "?prefix=t/&mode=encrypt")
        self.assertEqual(status, 422, got)  # t/key
        self.assertIsNone(self.read("t/PASS"))
        text = text.replace(b"KEY=enc(t/key)\n", b"")
        status, headers, got = self.post(text, "?prefix=t/&mode=encrypt")
        self.assertEqual((status, headers["content-type"]), (200, "text/plain; charset=utf-8"), got)
        stored = (text.replace(b'enc("p \\"x\\" # \\n y")', b"secret(t/PASS)")
                  .replace(b"'old value'", b"secret(OLD)").replace(b"enc(OLD)", b"secret(OLD)"))
        self.assertEqual(got, stored)
        self.assertEqual(self.read("t/PASS"), 'p "x" # \n y')
        self.assertEqual(self.read("OLD"), "old value")
        for node in (1, 2, 3):
            self.assertEqual(self.expand(stored, node), self.expand(stored, 1))
            self.assertEqual(self.expand(stored, node, ""), self.expand(stored, 1))
            self.assertEqual(self.expand(stored, node, "?mode=encrypt"), stored)
        got = self.expand(stored)
        self.assertIn(b"RAW=\xff\xfe  # c\n", got)
        self.assertTrue(got.startswith(b"\xef\xbb\xbf# comment\r\n") and got.endswith(b"LAST=1"))
        values = dotenv.dotenv_values(stream=io.StringIO(got[3:].decode(errors="replace")),
                                      interpolate=False)
        self.assertEqual(values["URL"], 'x://p "x" # \n y@h')
        self.assertEqual((values["OLD"], values["NEW"]), ("old value", "old value"))

    def test_json_and_text(self):
        body = {"content": "KEY=enc(j/key)\r\n", "values": {"j/key": "v w", "unused": "x"},
                "mode": "encrypt"}
        self.assertEqual(self.post(body)[2], {"content": "KEY=secret(j/key)\r\n"})
        body = {"content": "KEY=secret(j/key)\r\n"}
        self.assertEqual(self.post(body)[2], {"content": "KEY='v w'\r\n"})
        for accept, media in (("text/plain", "text/plain"), ("application/json", "application/json"),
                              ("*/*", "application/json"), ("text/html", "application/json"),
                              ("text/plain;q=0.5, application/json", "application/json")):
            status, headers, _ = self.post(body, Accept=accept)
            self.assertEqual((status, headers["content-type"].split(";")[0]), (200, media))
        got = self.post(b"KEY=secret(j/key)", Accept="text/html, application/json")[2]
        self.assertEqual(got, {"content": "KEY='v w'"})
        self.assertEqual(self.post({"content": "", "prefix": "a"}, "?prefix=b")[0], 400)
        self.assertEqual(self.post({"content": "", "mode": "both"}, "?mode=both")[0], 400)
        self.assertEqual(self.post(b"A=\xff", Accept="application/json")[0], 400)

    def test_bodies_are_taken_as_the_schema_says(self):
        schema = SPEC.operation("/v1/env", "POST")["requestBody"]["content"]["application/json"][
            "schema"]
        for body in ({"content": "A=1"}, {"content": ""}, {}, [], {"content": 1},
                     {"content": "", "mode": "expand"}, {"content": "", "mode": "Expand"},
                     {"content": "", "mode": None}, {"content": "", "prefix": ""},
                     {"content": "", "prefix": "x" * 513}, {"content": "", "prefix": 1},
                     {"content": "", "values": {}}, {"content": "", "values": {"a": "b"}},
                     {"content": "", "values": {"a": 1}}, {"content": "", "values": []},
                     {"content": "", "more": 1}, {"value": "x"}):
            status = self.cluster.request(1, "POST", "/v1/env", json.dumps(body).encode())[0]
            self.assertEqual(status, 400 if list(SPEC.faults(body, schema)) else 200, body)

    def test_versions_are_pinned(self):
        self.create("v/a", "one")
        self.cluster.request(1, "PUT", "/v1/secrets/v/a", {"value": "two"})
        self.assertEqual(self.expand(b"A=secret(v/a@1)secret(v/a)secret(v/a@2)"), b"A=onetwotwo")
        self.refused(404, "not_found", [(2, "v/a", "not_found")], b"\nA=secret(v/a@3)")

    # ---- refusals ----

    def test_all_faults_are_told_and_nothing_is_created(self):
        self.refused(422, "bad_env", [(2, "B", "bad_quote"), (3, "C", "bad_reference"),
                                      (4, "D", "unresolved"), (5, "E", "repeated"),
                                      (6, "F", "bad_name")],
                     b"E=enc('f')\nB='x\nC=secret(\nD=enc(Q)\nE=enc('g')\nF=secret(a//b)\n"
                     .replace(b"B='x\n", b"B='x'y\n"), "?prefix=f/")
        self.refused(422, "bad_env", [(1, "A", "unexpected_enc")], b"A=enc('x')", "?mode=expand")
        self.refused(422, "bad_env", [(2, "B", "nul")], b"A=enc('x')\nB=a\0b\n", "?prefix=f/")
        self.create("f/there", "x")
        self.refused(409, "already_exists", [(2, "f/there", "already_exists")],
                     b"A=enc('x')\nthere=enc('y')\nB=enc('z')\n", "?prefix=f/")
        self.refused(404, "not_found", [(2, "f/no", "not_found"), (3, "f/none", "not_found")],
                     b"A=enc('x')\nB=secret(f/no)\nC=secret(f/none)\n", "?prefix=f/")
        for name in ("A", "B", "E"):
            self.assertIsNone(self.read("f/" + name))
        self.assertEqual(self.read("f/there"), "x")

    def test_values_that_cannot_be_written(self):
        status, _, got = self.cluster.request(
            1, "POST", "/v1/secrets/w/nul", {"value": "YQBi", "encoding": "base64"})
        self.assertEqual(status, 201, got)
        self.refused(422, "bad_env", [(2, "B", "nul")], b"A=enc('x')\nB=secret(w/nul)\n",
                     "?prefix=w/")
        self.assertIsNone(self.read("w/A"))
        self.cluster.request(1, "POST", "/v1/secrets/w/raw", {"value": "/w==", "encoding": "base64"})
        self.assertEqual(self.expand(b"A=secret(w/raw)"), b"A='\xff'")
        self.refused(422, "bad_env", [(1, "A", "not_text")], {"content": "A=secret(w/raw)"})

    def test_limits(self):
        def lines(count, form):
            return "".join(form % (i, i) + "\n" for i in range(count)).encode()
        self.assertEqual(self.post(lines(256, "L%d=enc('v%d')"), "?prefix=l/")[0], 200)
        text = lines(256, "L%d=secret(l/L%d)")
        # What follows a large batch in the background may leave no room for another at once.
        wait_until(lambda: self.post(text)[0] != 503, 10, "not busy")
        self.assertEqual(self.expand(text), lines(256, "L%d=v%d"))
        self.refused(422, "bad_env", [(257, "L256", "too_many")], lines(300, "L%d=secret(l/L%d)"))
        self.refused(422, "bad_env", [(257, "M256", "too_many")], lines(257, "M%d=enc('v%d')"))
        self.assertEqual(self.post(b"#" * 2**20)[2], b"#" * 2**20)
        self.assertEqual(self.post(b"#" * (2**20 + 1))[0], 413)
        self.create("l/big", "x" * (3 * 2**18))
        self.assertEqual(len(self.expand(b"A=secret(l/big)" + b"secret(l/big)" * 4)), 15 * 2**18 + 2)
        self.assertEqual(self.post(b"A=secret(l/big)" + b"secret(l/big)" * 5)[0], 413)
        self.create("l/other", "x" * (3 * 2**18))
        self.assertEqual(self.post(b"A=secret(l/big)secret(l/other)")[0], 413)

    # ---- at once, and again ----

    def test_two_at_once_never_leave_half(self):
        for turn in range(8):
            text = "".join("A%d=enc('%%s')\n" % i for i in range(12))
            results = {}

            def run(who, text=text, turn=turn, results=results):
                # From both ends, so that each meets the other's.
                mine = (text % ((who,) * 12)).splitlines(True)
                body = "".join(mine if who == "a" else reversed(mine)).encode()
                results[who] = self.post(body, "?prefix=r%d/" % turn, 1 if who == "a" else 2)[0]
            threads = [threading.Thread(target=run, args=(who,)) for who in "ab"]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            values = {self.read("r%d/A%d" % (turn, i)) for i in range(12)}
            winners = {who for who, status in results.items() if status == 200}
            self.assertLessEqual(set(results.values()), {200, 409}, results)
            self.assertLessEqual(len(winners), 1)
            self.assertEqual(values, winners or {None}, results)

    def test_the_same_key_gives_the_same_answer(self):
        for _ in range(2):
            for node in (1, 2, 3):
                status, _, got = self.post(b"A=enc('x')\nB=secret(k/A)", "?prefix=k/", node,
                                           **{"Idempotency-Key": "env-key"})
                self.assertEqual((status, got), (200, b"A=secret(k/A)\nB=x"))
        self.assertEqual(self.post(b"A=enc('y')", "?prefix=k/", 2,
                                   **{"Idempotency-Key": "env-key"})[0], 422)

    def test_the_same_key_gives_the_same_bytes(self):
        """Whatever becomes of the references between the first answer and the next."""
        self.create("idem/r", "first")
        text = b"A=enc('x')\nB=secret(idem/r)\nC=secret(idem/r@1)\nD=secret(idem/A)\n"
        asked = {"query": "?prefix=idem/", "Idempotency-Key": "bytes"}
        status, _, first = self.post(text, **asked)
        self.assertEqual((status, first),
                         (200, b"A=secret(idem/A)\nB=first\nC=first\nD=x\n"))
        for node in (2, 3, 1):
            for _ in range(3):
                status, _, body = self.cluster.request(node, "PUT", "/v1/secrets/idem/r",
                                                       {"value": "later"})
                self.assertEqual(status, 200, body)
            self.assertEqual(self.post(text, node=node, **asked)[::2], (200, first))
        # Under another key it is another request, whose names exist.
        self.assertEqual(self.post(text, query="?prefix=idem/", **{"Idempotency-Key": "o"})[0], 409)
        # The values of that moment are gone: never others in their place.
        self.assertIn(self.cluster.request(1, "DELETE", "/v1/secrets/idem/r")[0], (200, 202))
        self.assertEqual(self.post(text, **asked)[0], 404)
        self.create("idem/r", "another")
        status, _, body = self.post(text.replace(b"C=secret(idem/r@1)\n", b""), **asked)
        self.assertEqual((status, body["error"]["code"]), (409, "result_gone"))

    def test_references_are_read_at_one_moment(self):
        """A writer changes a, then b, to the same number: b is never ahead of a."""
        for name in "ab":
            self.create("m/" + name, "0")
        stop = threading.Event()

        def write():
            for number in range(1, 400):
                for name in "ab":
                    if stop.is_set():
                        return
                    self.cluster.request(2, "PUT", "/v1/secrets/m/" + name, {"value": str(number)})
        writer = threading.Thread(target=write)
        writer.start()
        try:
            seen = set()
            for _ in range(60):
                status, _, got = self.post(b"B=secret(m/b)\nA=secret(m/a)\n", "?mode=expand")
                if status == 409:
                    continue
                values = dotenv.dotenv_values(stream=io.StringIO(got.decode()))
                self.assertIn(int(values["A"]) - int(values["B"]), (0, 1))
                seen.add(values["A"])
        finally:
            stop.set()
            writer.join()
        self.assertGreater(len(seen), 3)

    # ---- other parsers ----

    def nasty_text(self, prefix, values):
        names = ["%s/%d" % (prefix, i) for i in range(len(values))]
        for name, value in zip(names, values):
            self.create(name, value)
        lines = ["V%d=secret(%s) # c\n" % pair for pair in enumerate(names)]
        return "".join(self.expand("".join(lines[i:i + 200]).encode()).decode()
                       for i in range(0, len(lines), 200))

    def test_pythons_dotenv_reads_the_values_back(self):
        values = [v for v in NASTY + random_values(400) if has_a_form_for_python(v)]
        self.assertGreater(len(values), 380)
        text = self.nasty_text("py", values)
        got = dotenv.dotenv_values(stream=io.StringIO(text, newline=""), interpolate=False)
        self.assertEqual(list(got.values()), values)

    def test_nodes_dotenv_reads_the_values_back(self):
        node = shutil.which("node")
        if not node or subprocess.run([node, "-e", "require('dotenv')"], capture_output=True,
                                      check=False).returncode:
            self.skipTest("node or its module dotenv is not there (NODE_PATH tells where)")
        values = [v for v in NASTY + random_values(400) if has_a_form_for_node(v)]
        self.assertGreater(len(values), 200)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, ".env")
            with open(path, "w", newline="") as file:
                file.write(self.nasty_text("node", values))
            done = subprocess.run(
                [node, "-e", "console.log(JSON.stringify(require('dotenv').parse("
                 "require('fs').readFileSync(process.argv[1]))))", path],
                capture_output=True, check=True, timeout=60)
        self.assertEqual(list(json.loads(done.stdout).values()), values)

    def test_z_no_value_is_in_a_log(self):
        value = "canary-Zq7Xw3Vt9Kp2Lm5"
        self.post(("A=enc('%s')\nB=%s'\n" % (value, value)).encode(), "?prefix=z/")
        self.post(("A=enc('%s')\n" % value).encode(), "?prefix=z/")
        self.post(b"A=secret(z/A)")
        self.post(("A=enc(%s)" % value).encode())
        for node in self.cluster.nodes():
            log = self.cluster.log(node)
            self.assertIn("env", log)
            self.assertNotIn(value, log)
        self.assertEqual(self.cluster.sanitizer_reports(), [])


if __name__ == "__main__":
    unittest.main()
