"""The program is built with the hardening that the build asks for, and links nothing that it must not."""

import re
import subprocess
import unittest

from ostraka_cluster import binary


def readelf(*options):
    return subprocess.run(["readelf", "-W", *options, binary()], capture_output=True, text=True,
                          check=True).stdout


class Hardening(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.symbols = set(re.findall(r"(\S+?)(?:@\S+)?(?: \(\d+\))?$",
                                     readelf("--dyn-syms", "--symbols"), flags=re.M))
        cls.dynamic = readelf("--dynamic")
        cls.segments = readelf("--segments")
        cls.sanitized = any(s.startswith(("__asan_init", "__tsan_init", "__ubsan_handle"))
                            for s in cls.symbols)

    def test_position_independent(self):
        self.assertRegex(readelf("--file-header"), r"Type:\s+DYN")
        self.assertRegex(self.dynamic, r"FLAGS_1\).*\bPIE\b")

    def test_full_relro(self):
        self.assertIn("GNU_RELRO", self.segments)
        self.assertRegex(self.dynamic, r"\(FLAGS(_1)?\).*(BIND_NOW|NOW)")

    def test_stack_is_not_executable(self):
        stack = re.search(r"GNU_STACK\s+(?:0x\w+\s+){5}([RWE ]+?)\s+0x", self.segments)
        self.assertEqual(stack.group(1).strip(), "RW")
        for line in self.segments.splitlines():
            if line.strip().startswith("LOAD"):
                self.assertNotRegex(line, r" RWE |WE ")

    def test_stack_protector(self):
        self.assertIn("__stack_chk_fail", self.symbols)

    def test_fortified(self):
        if self.sanitized:
            self.skipTest("sanitizers replace it")
        self.assertTrue([s for s in self.symbols if re.fullmatch(r"__\w+_chk", s)
                         and s != "__stack_chk_fail"])

    def test_no_text_relocations_and_no_search_path(self):
        self.assertNotIn("TEXTREL", self.dynamic)
        if not self.sanitized:
            self.assertNotRegex(self.dynamic, r"\((RPATH|RUNPATH)\)")

    def test_control_flow_protection(self):
        if self.sanitized or "X86-64" not in readelf("--file-header"):
            self.skipTest("not for this build")
        code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", "--section=.text", binary()],
                              capture_output=True, text=True, check=True).stdout
        self.assertGreater(code.count("endbr64"), 100)

    def test_libraries(self):
        needed = re.findall(r"\(NEEDED\).*\[(.*?)\]", self.dynamic)
        self.assertFalse([n for n in needed if re.match(r"lib(ssl|crypto|cbor|cjson)\b", n)],
                         "wolfSSL and OpenSSL share names; libcbor is the tests' alone")

    def test_heap(self):
        if self.sanitized:
            self.skipTest("sanitizers have a heap of their own")
        self.assertRegex(self.dynamic, r"\(NEEDED\).*\[libjemalloc\.so")
        done = subprocess.run([binary(), "--version"], capture_output=True, text=True, check=True,
                              env={"MALLOC_CONF": "stats_print:true,stats_print_opts:mda"})
        # A setting that the library does not know is complained of at each start.
        self.assertNotIn("Invalid", done.stderr)
        self.assertIn("opt.narenas: 2\n", done.stderr)
        self.assertIn("opt.dirty_decay_ms: 2000 ", done.stderr)

    def test_no_unsafe_functions(self):
        unsafe = {"gets", "strcpy", "strcat", "sprintf", "vsprintf", "rand", "random", "drand48",
                  "mktemp", "tmpnam", "system", "popen"}
        imported = {s for line in readelf("--dyn-syms").splitlines() if " UND " in line
                    for s in re.findall(r"UND (\w+)", line)}
        self.assertEqual(imported & unsafe, set())


if __name__ == "__main__":
    unittest.main()
