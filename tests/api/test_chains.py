"""Nodes with certificates of a CA below the one that is trusted, as large ones as people have."""

import os
import re
import subprocess
import unittest

from ostraka_cluster import SLOW, Cluster, clean_environment, wait_until

CA_USES = "keyUsage=critical,keyCertSign,cRLSign\n"
NAMES = "".join(",DNS:service-%d.of-a-department.example.com" % number for number in range(100))


class Authority:
    """A root and two CAs below it."""

    def __init__(self, cluster, kind="rsa:4096", below_uses=CA_USES):
        self.cluster, self.kind = cluster, kind
        self.folder = os.path.join(cluster.parent, "pki")
        os.makedirs(self.folder, exist_ok=True)
        self.make("root", None, "basicConstraints=critical,CA:TRUE\n" + CA_USES)
        self.make("middle", "root", "basicConstraints=critical,CA:TRUE\n" + CA_USES)
        self.make("below", "middle", "basicConstraints=critical,CA:TRUE,pathlen:0\n" + below_uses)
        with open(cluster.config()) as file:
            self.cluster_id = re.search(r'^cluster_id = "(\w+)"', file.read(), flags=re.M).group(1)

    def path(self, name):
        return os.path.join(self.folder, name)

    def text(self, name):
        with open(self.path(name)) as file:
            return file.read()

    def run(self, *words):
        subprocess.run(["openssl", *words], check=True, capture_output=True)

    def make(self, name, issuer, extensions):
        with open(self.path(name + ".ext"), "w") as file:
            file.write(extensions + "subjectKeyIdentifier=hash\n" +
                       ("authorityKeyIdentifier=keyid\n" if issuer else ""))
        kind = self.kind if name.startswith("n") or self.kind == "ec" else "rsa:2048"  # larger ones take long to find
        curve = ["-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else []
        self.run("req", "-new", "-newkey", kind, *curve, "-nodes", "-keyout", self.path(name + ".key"), "-out",
                 self.path(name + ".csr"), "-subj", "/CN=" + name)
        signer = ["-CA", self.path(issuer + ".crt"), "-CAkey", self.path(issuer + ".key"), "-CAcreateserial"] \
            if issuer else ["-signkey", self.path(name + ".key")]
        self.run("x509", "-req", "-in", self.path(name + ".csr"), *signer, "-days", "900", "-sha256", "-extfile",
                 self.path(name + ".ext"), "-out", self.path(name + ".crt"))

    def issue(self, node, names=""):
        self.make("n%d" % node, "below",
                  "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
                  "extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=URI:ostraka://%s/n%d,IP:127.0.0.1%s\n" %
                  (self.cluster_id, node, names))

    def install(self, node, chain):
        files = {"node.crt": "".join(self.text(name) for name in chain), "ca.crt": self.text("root.crt"),
                 "node.key": self.text("n%d.key" % node)}
        for name, content in files.items():
            with open(os.path.join(self.cluster.node_directory(node), name), "w") as file:
                file.write(content)


class Chains(unittest.TestCase):
    def cli(self, *words, expect=0):
        done = subprocess.run([self.cluster.program, *words], capture_output=True, text=True, timeout=60 * SLOW,
                              env=clean_environment(OSTRAKA_ADDR=self.cluster.addresses(),
                                                    OSTRAKA_CACERT=self.authority.path("root.crt"),
                                                    OSTRAKA_TOKEN=self.cluster.token))
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_links_and_clients(self):
        self.cluster = Cluster(3).create()
        self.addCleanup(self.cluster.close)
        self.authority = Authority(self.cluster)
        self.cluster.ca_file = lambda: self.authority.path("root.crt")
        for node in self.cluster.nodes():
            self.authority.issue(node, NAMES)
            self.authority.install(node, ("n%d.crt" % node, "below.crt", "middle.crt"))
            der = subprocess.run(["openssl", "x509", "-in", self.authority.path("n%d.crt" % node), "-outform", "DER"],
                                 capture_output=True, check=True).stdout
            self.assertGreater(len(der), 4096)
        self.cluster.start_all()
        self.cluster.wait_ready()
        for node in self.cluster.nodes():
            peers = self.cluster.request(node, "GET", "/v1/status")[2]["peers"]
            self.assertEqual([peer["link"] for peer in peers if peer["link"] != "self"], ["connected"] * 2)
            status = self.cluster.request(node, "POST", "/v1/secrets/a/%d" % node, {"value": "v"})[0]
            self.assertEqual(status, 201)
            metrics = self.cluster.request(node, "GET", "/metrics")[2].decode()
            for which in ("node", "ca"):
                left = re.search(r'^ostraka_certificate_seconds_left\{certificate="%s"\} (\d+)$' % which, metrics, re.M)
                self.assertLess(abs(int(left.group(1)) - 900 * 86400), 86400)
        self.assertIn("a majority is connected", self.cli("status"))
        export = os.path.join(self.cluster.parent, "n1.audit")
        wait_until(lambda: re.search(r"(?m)^head ", self.cli("audit", "export", "--node", "n1")), 20, "a head is kept")
        self.cli("audit", "export", "--node", "n1", "--output", export)
        said = self.cli("audit", "verify", export, "--certificate", os.path.join(self.cluster.node_directory(1),
                                                                                "node.crt"))
        self.assertIn("intact: n1", said)
        # Without the CA in between nothing says that it is of the trusted one.
        self.cli("audit", "verify", export, "--certificate", self.authority.path("n1.crt"), expect=78)

    def refused(self, words):
        done = subprocess.run([self.cluster.program, "server", "--config", self.cluster.config(), "--node", "n1",
                               "--check"], capture_output=True, text=True, env=clean_environment(), timeout=20 * SLOW)
        self.assertEqual(done.returncode, 78)
        self.assertIn(words, done.stdout)
        self.cluster.start(1)
        self.assertEqual(self.cluster.wait_exit(1), 78)
        self.assertIn(words, self.cluster.log(1))

    def test_what_is_wrong_is_told(self):
        self.cluster = Cluster(3).create()
        self.addCleanup(self.cluster.close)
        self.authority = Authority(self.cluster, "ec")
        self.authority.issue(1)
        self.authority.install(1, ("n1.crt",))
        self.refused("does not verify with CA certificate")
        self.authority.install(1, ("n1.crt", "middle.crt", "below.crt"))
        self.refused("are not in order: behind each must stand that of who signed it")
        self.authority = Authority(self.cluster, "ec", below_uses="")
        self.authority.issue(1)
        self.authority.install(1, ("n1.crt", "below.crt", "middle.crt"))
        self.refused("is no CA's: it needs the basicConstraints CA:TRUE and the keyUsage keyCertSign")


if __name__ == "__main__":
    unittest.main()
