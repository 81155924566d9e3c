#!/usr/bin/python3
"""Attacks a cluster of three real nodes, item by item, and says of each whether what must happen did.

    tests/attack/run.py               everything
    tests/attack/run.py smuggling     the items whose group or text contains it
    tests/attack/run.py -q            only what failed, and the count of each group
    tests/attack/run.py --list        without doing anything

After each item all nodes must live and serve, the canary must be as it was, nothing may have been made that the
item does not name, and neither answers nor logs may have the canary, a token, or what was refused. Exit status 0
when all held. OSTRAKA_BINARY names the program, see tests/api/ostraka_cluster.py.
"""

import concurrent.futures
import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import items_access  # noqa: E402
import items_bodies  # noqa: E402
import items_http  # noqa: E402
import items_identity  # noqa: E402
import items_logins  # noqa: E402
import items_names  # noqa: E402
import items_slow  # noqa: E402
import items_tls  # noqa: E402
from lab import Lab, Unmet  # noqa: E402

ALL = (items_names.ITEMS + items_http.ITEMS + items_bodies.ITEMS + items_access.ITEMS + items_identity.ITEMS
       + items_logins.ITEMS + items_tls.ITEMS + items_slow.ITEMS)


def chosen(patterns):
    return [item for item in ALL
            if not patterns or any(p in item.group or p in item.what for p in patterns)]


ATTEMPTS = 3  # of an item that was answered 503: on a busy machine nodes may lose sight of each other


def attack_once(lab, item):
    """None, or what went wrong."""
    wrong = None
    try:
        item.attack(lab)
        lab.names |= set(item.creates)
    except Exception as error:  # of whatever kind: the run goes on
        wrong = describe(error)
    lab.check_alive()
    try:
        lab.check_silence()
        lab.check_state()
    except Unmet as error:
        wrong = "%s; %s" % (wrong, error) if wrong else str(error)
    return wrong


def run_item(lab, item, number):
    lab.node = 1 + number % 3
    for _ in range(ATTEMPTS):
        wrong = attack_once(lab, item)
        if not wrong or "503" not in wrong:
            break
    return wrong


def describe(error):
    return str(error) if isinstance(error, Unmet) else repr(error)


def run_all(lab, items):
    """Pairs of an item and what went wrong with it. The slow ones wait beside the others."""
    slow = [item for item in items if item.slow]
    with concurrent.futures.ThreadPoolExecutor(max(1, len(slow))) as pool:
        waiting = [(item, pool.submit(item.attack, lab)) for item in slow]
        for number, item in enumerate(item for item in items if not item.slow):
            yield item, run_item(lab, item, number)
        for item, future in waiting:
            error = future.exception()
            yield item, describe(error) if error else None
    lab.check_alive()
    lab.check_silence()
    lab.check_state()


def show(item, wrong, quiet):
    if wrong or not quiet:
        print("%-6s %-10s %-60s %s" % ("FAILED" if wrong else "ok", item.group, item.what[:60],
                                       wrong or item.must_happen), flush=True)


def summary(results, seconds):
    groups = {}
    for item, wrong in results:
        held, all_of_them = groups.get(item.group, (0, 0))
        groups[item.group] = (held + (wrong is None), all_of_them + 1)
    print("\n%-12s %5s %5s" % ("group", "items", "held"))
    for group, (held, all_of_them) in sorted(groups.items()):
        print("%-12s %5d %5d" % (group, all_of_them, held))
    held = sum(held for held, _ in groups.values())
    print("%-12s %5d %5d   in %.0f s" % ("all", len(results), held, seconds))
    return held == len(results)


def main(arguments):
    quiet = "-q" in arguments
    items = chosen([a for a in arguments if not a.startswith("-")])
    if "--list" in arguments:
        for item in items:
            print("%-10s %-60s %s" % (item.group, item.what[:60], item.must_happen))
        return 0
    if not items:
        print("no such item", file=sys.stderr)
        return 2
    begun, results = time.monotonic(), []
    with Lab() as lab:
        try:
            items_identity.prepare(lab)
            items_logins.prepare(lab)
            for item, wrong in run_all(lab, items):
                show(item, wrong, quiet)
                results.append((item, wrong))
        except Unmet as error:
            print("FAILED", error)
            return 1
    return 0 if summary(results, time.monotonic() - begun) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
