#!/usr/bin/python3
"""Runs the tests of this folder: run.py [PATTERN...], each a module (kill: test_kill.py) or part of a test's name.

    tests/api/run.py                    everything
    tests/api/run.py kill               test_kill.py
    tests/api/run.py -v delete_while    the tests whose name contains it
    tests/api/run.py --list             names only
    tests/api/run.py --jobs 3           three classes at a time, each in a process of its own

Exit status 0 when everything passed. OSTRAKA_BINARY names the program, see ostraka_cluster.py.
"""

import concurrent.futures
import faulthandler
import glob
import os
import re
import signal
import subprocess
import sys
import time
import unittest

TEST_SECONDS_MAX = 600  # a test that takes longer hangs: it ends the run, and says where it stands

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import ostraka_cluster  # noqa: E402


# Classes that take long, begun first; and those that measure durations, and so have the machine to themselves.
LONG = ("test_kill.Kill", "test_disks.Stores", "test_disks.Keys", "test_failures.NodesAway",
        "test_processes.Supervisor")
ALONE = ("test_torture.Torture", "test_torture.Gap", "test_disks.Devices", "test_memory.Memory",
         "test_processes.Machines")


def all_tests(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from all_tests(item)
        else:
            yield item


class TimedResult(unittest.TextTestResult):
    """Names the tests that took long, so that the suite stays quick."""

    def startTest(self, test):
        faulthandler.dump_traceback_later(TEST_SECONDS_MAX * ostraka_cluster.SLOW, exit=True)
        self.begun = time.monotonic()
        super().startTest(test)

    def stopTest(self, test):
        faulthandler.cancel_dump_traceback_later()
        super().stopTest(test)
        self.times = getattr(self, "times", [])
        self.times.append((time.monotonic() - self.begun, test.id()))


def matches(test, patterns, modules):
    """A pattern that names a module means this module and nothing else."""
    name = test.id()
    for pattern in patterns:
        module = "test_" + pattern
        if name.startswith(module + ".") if module in modules else pattern in name:
            return True
    return not patterns


def default_signals():
    """In the background, or under nohup, some are ignored, and the programs under test inherit that."""
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def run_class(ids, slot, slots):
    """Tests of a class, in a process of their own; what it printed, and whether all passed."""
    done = subprocess.run(
        [sys.executable, os.path.abspath(__file__), "--exact", *ids], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace",
        env=dict(os.environ, OSTRAKA_TEST_PORTS="%d/%d" % (slot, slots)))
    return done.stdout, done.returncode == 0


def run_classes(tests, jobs):
    """Several classes at a time; prints what each printed when it has ended. True when all passed."""
    classes = {}
    for test in tests:
        classes.setdefault(test.id().rpartition(".")[0], []).append(test.id())
    order = sorted(classes, key=lambda name: LONG.index(name) if name in LONG else len(LONG))
    free, passed, times = list(range(jobs)), True, []

    def one(name):
        slot, begun = free.pop(), time.monotonic()
        try:
            text, good = run_class(classes[name], slot, jobs)
        finally:
            free.append(slot)
        return name, text, good, time.monotonic() - begun

    for together, names in ((jobs, [name for name in order if name not in ALONE]),
                            (1, [name for name in order if name in ALONE])):
        with concurrent.futures.ThreadPoolExecutor(together) as pool:
            for done in concurrent.futures.as_completed([pool.submit(one, name) for name in names]):
                name, text, good, seconds = done.result()
                print("--- %s: %s in %.1f s\n%s" % (name, "passed" if good else "FAILED", seconds, text),
                      flush=True)
                passed = passed and good
                times += re.findall(r"^ *([0-9.]+) s  (test_\S+)$", text, re.M)
    for seconds, name in sorted(((float(s), n) for s, n in times), reverse=True)[:10]:
        print("%6.1f s  %s" % (seconds, name))
    return passed


def main(arguments):
    default_signals()
    verbose = 2 if "-v" in arguments else 1
    jobs = 1
    if "--jobs" in arguments:
        at = arguments.index("--jobs")
        jobs = int(arguments[at + 1])
        arguments = arguments[:at] + arguments[at + 2:]
    patterns = [a for a in arguments if not a.startswith("-")]
    loader = unittest.TestLoader()
    chosen = unittest.TestSuite()
    modules = [os.path.splitext(os.path.basename(path))[0]
               for path in sorted(glob.glob(os.path.join(HERE, "test_*.py")))]
    for name in modules:
        for test in all_tests(loader.loadTestsFromName(name)):
            if test.id() in patterns if "--exact" in arguments else matches(test, patterns, modules):
                chosen.addTest(test)
    if "--list" in arguments:
        print("\n".join(test.id() for test in all_tests(chosen)))
        return 0
    if not chosen.countTestCases():
        print("no test matches", " ".join(patterns), file=sys.stderr)
        return 2
    if not os.access(ostraka_cluster.binary(), os.X_OK):
        print("there is no program %s; build it, or set OSTRAKA_BINARY" %
              ostraka_cluster.binary(), file=sys.stderr)
        return 2
    if jobs > 1:
        print("testing", ostraka_cluster.binary(), "with", jobs, "jobs")
        return 0 if run_classes(all_tests(chosen), jobs) else 1
    if "--exact" not in arguments:
        print("testing", ostraka_cluster.binary())
    result = unittest.TextTestRunner(verbosity=verbose, resultclass=TimedResult).run(chosen)
    for seconds, name in sorted(getattr(result, "times", []), reverse=True)[:5]:
        print("%6.1f s  %s" % (seconds, name))
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
