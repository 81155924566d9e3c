"""The program on the command line, against one cluster for all tests of a class, in a folder of each test."""

import os
import subprocess
import tempfile

from cluster_case import ClusterCase
from ostraka_cluster import SLOW, clean_environment


class CliCase(ClusterCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def environment(self, **changes):
        return clean_environment(**{"OSTRAKA_ADDR": self.cluster.addresses(),
                                    "OSTRAKA_CACERT": self.cluster.ca_file(),
                                    "OSTRAKA_TOKEN_FILE": self.cluster.token_file(), **changes})

    def run_cli(self, *arguments, expect=0, stdin=b"", **environment):
        done = subprocess.run([self.cluster.program, *arguments], input=stdin, capture_output=True,
                              env=self.environment(**environment), cwd=self.folder,
                              timeout=60 * SLOW, check=False)
        self.assertEqual(done.returncode, expect,
                         "%r: %r %r" % (arguments, done.stdout, done.stderr))
        return done

    def write(self, content, name=".env", mode=0o640):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, mode)
        return path

    def content(self, path):
        with open(path, "rb") as file:
            return file.read()

    def get(self, name, expect=0):
        return self.run_cli("secret", "get", name, expect=expect).stdout
