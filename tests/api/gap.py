#!/usr/bin/python3
"""How long do the clients of the other nodes wait when a node is killed?

usage: gap.py [--rounds R] [--nodes N] [--shares S] [--clients C] [--link] [--what names|shared|read|delete]

In each round each node in turn is killed with kill -9, and started again. C clients at each other node, each a
process of its own, create unique names one after the other. Shown are the times between two successes of a client
("gaps"): the longest around each kill, and around moments at which nothing is killed, for comparison.

    --link   nodes in network namespaces; instead of the process dying, its network does
    --what   shared: all clients update the same eight secrets; read: they read them; delete: they delete what
             they have just created
"""

import argparse
import multiprocessing
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

from ostraka_cluster import SLOW, Cluster, Failed, wait_until  # noqa: E402
from ostraka_network import NetworkCluster, why_no_namespaces  # noqa: E402

WINDOW = 2.0     # seconds that belong to a kill
THINK = 0.004
SHARED = 8       # names


def operate(client, what, node, number):
    """One operation; (status, answer)."""
    if what == "names":
        name = "gap/%d/%d/%d" % (node, number, time.monotonic_ns())
        return client.request("POST", "/v1/secrets/" + name, {"value": "v"})[::2]
    if what == "delete":
        name = "gap/%d/%d/%d" % (node, number, time.monotonic_ns())
        client.request("POST", "/v1/secrets/" + name, {"value": "v"})
        return client.request("DELETE", "/v1/secrets/" + name)[::2]
    name = "shared/%d" % random.randrange(SHARED)
    if what == "shared":
        return client.request("PUT", "/v1/secrets/" + name, {"value": "v"})[::2]
    return client.request("GET", "/v1/secrets/" + name)[::2]


def work(cluster, what, node, number, until, pipe):
    """In a process of its own: sends the moments of its successes, and what else it was told."""
    random.seed(number * 100 + node)
    client = cluster.client(node, timeout=8)
    moments, failures = [time.monotonic()], []
    while time.monotonic() < until:
        begun = time.monotonic()
        try:
            status, answer = operate(client, what, node, number)
            if status < 300:
                moments.append(time.monotonic())
            else:
                failures.append((begun, "%d %s" % (status, answer)))
        except Failed as error:
            failures.append((begun, str(error)))
        time.sleep(THINK)
    pipe.send((moments, failures))
    pipe.close()


class Window:
    """Clients at these nodes for some seconds; in the middle of it something happens."""

    def __init__(self, cluster, nodes, clients, what, action=lambda: None):
        context = multiprocessing.get_context("fork")
        self.at = time.monotonic() + 0.5 + 0.03 * clients * len(nodes)
        self.until = self.at + WINDOW
        running = []
        for node in nodes:
            for number in range(clients):
                here, there = context.Pipe(False)
                process = context.Process(
                    target=work, daemon=True,
                    args=(cluster, what, node, number, self.until, there))
                process.start()
                there.close()
                running.append((process, here))
        time.sleep(max(0.0, self.at - time.monotonic()))
        self.at = time.monotonic()
        action()
        self.gaps, self.longest, self.failures, self.where = [], [], [], []
        for process, pipe in running:
            self.take(*pipe.recv())
            process.join()

    def take(self, moments, failures):
        gaps = [(b - a, a - self.at) for a, b in zip(moments, moments[1:])
                if b > self.at - 0.05]
        # What had not ended when the window did was a gap, too.
        gaps.append((max(0.0, self.until - moments[-1]), moments[-1] - self.at))
        self.gaps += [gap for gap, _ in gaps]
        longest = max(gaps)
        self.longest.append(longest[0])
        self.where.append(longest)
        self.failures += [(begun - self.at, what) for begun, what in failures]


def percentile(values, percent):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * percent / 100))] if values else 0.0


def describe(values):
    return "median %.0f, p90 %.0f, p99 %.0f, p99.9 %.0f, max %.0f ms (%d)" % (
        *(percentile(values, p) * 1000 for p in (50, 90, 99, 99.9)), max(values) * 1000,
        len(values))


class Measurement:
    def __init__(self):
        self.kills, self.controls = [], []

    def gaps(self, of):
        return [gap for window in of for gap in window.gaps]

    def longest(self, of):
        return [gap for window in of for gap in window.longest]

    def report(self):
        lines = []
        for name, of in (("kill", self.kills), ("control", self.controls)):
            lines.append("%-8s all gaps:            %s" % (name, describe(self.gaps(of))))
            lines.append("%-8s longest of a client: %s" % (name, describe(self.longest(of))))
            failures = [failure for window in of for failure in window.failures]
            lines.append("%-8s failures: %d%s" % (name, len(failures), "".join(
                "\n    %+.3f s %s" % failure for failure in failures[:5])))
        worst = sorted((place for window in self.kills for place in window.where), reverse=True)
        lines.append("the longest began, from the kill on: " + ", ".join(
            "%.0f ms at %+.0f" % (gap * 1000, at * 1000) for gap, at in worst[:8]))
        return "\n".join(lines)


def links_whole(cluster):
    for node in cluster.nodes():
        try:
            status, _, body = cluster.request(node, "GET", "/v1/status", timeout=3)
        except Failed:
            return False
        if status != 200 or body["repair"]["backlog"] or any(
                peer["link"] == "disconnected" for peer in body["peers"]):
            return False
    return True


def wait_whole(cluster):
    wait_until(lambda: links_whole(cluster), 30, "the cluster is whole again")


def measure(rounds=2, nodes=3, clients=2, link=False, what="names", shares=None):
    made = NetworkCluster(nodes, shares=shares) if link else Cluster(nodes, shares=shares)
    measurement = Measurement()
    with made as cluster:
        wait_whole(cluster)
        for i in range(SHARED):
            cluster.request(1, "POST", "/v1/secrets/shared/%d" % i, {"value": "v"})
        for _ in range(rounds):
            measurement.controls.append(Window(cluster, list(cluster.nodes())[1:], clients, what))
            for node in cluster.nodes():
                others = [other for other in cluster.nodes() if other != node]
                if link:
                    def isolate(node=node, others=others):
                        for other in others:
                            cluster.cut(node, other)
                            cluster.cut(other, node)
                    measurement.kills.append(Window(cluster, others, clients, what,
                                                    isolate))
                    cluster.mend_all()
                else:
                    process = cluster.processes[node]
                    measurement.kills.append(Window(cluster, others, clients, what,
                                                    process.kill))
                    process.wait()
                    cluster.start(node, wait=True)
                wait_whole(cluster)
    return measurement


def main(arguments):
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--shares", type=int)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--what", choices=("names", "shared", "read", "delete"), default="names")
    parser.add_argument("--link", action="store_true")
    options = parser.parse_args(arguments)
    missing = why_no_namespaces() if options.link else None
    if missing:
        print("skipped: " + missing)
        return 77
    print(measure(options.rounds, options.nodes, options.clients, options.link,
                  options.what, options.shares).report())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
