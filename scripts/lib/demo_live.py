#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The run of demo.sh --live: web servers and clients whose traffic is copied to the NFs, two moves, judgement.

The NFs are off the path, so besides all that is exact in a demo with a trace no client may notice anything.
Exit status 0 only then. A run in which the machine lost packets says nothing: INVALID, exit status 1.
"""
import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time

from demo_run import ROOT, Demo, Screen, arguments, main, moves_done, plural
from harness import Lab, run, wait_for

HOSTS = os.path.join(ROOT, "scripts", "lib", "live-hosts.sh")
CLIENTS = os.path.join(ROOT, "scripts", "lib", "live_clients.py")
MOST_PPS = 20000  # room in the event logs
OVERTIME = 60  # seconds that the moves may take longer than the traffic was planned for


class LiveLab(Lab):
    """With namespaces for clients and servers, linked through the switch instead of the generator."""

    def netns(self, verb):
        lab = os.path.join(self.dir, "lab")
        if verb == "down":
            run(HOSTS, "down", self.prefix, lab)
        super().netns(verb)
        if verb == "up":
            run("chrt", "-o", "0", HOSTS, "up", self.prefix, lab)

    def start_clients(self, seed, count):
        # Behind NFs and switch: who is late here only waits.
        return self.spawn("clients", ["ip", "netns", "exec", self.env["LAB_CL_NS"], "chrt", "-o", "0", sys.executable, CLIENTS,
                                      "--seed", str(seed), "--clients", str(count)])

    def clients_say(self):
        """The newest whole line of theirs."""
        with open(self.path("clients.out"), "rb") as f:
            f.seek(max(0, f.seek(0, os.SEEK_END) - 8192))
            lines = f.read().split(b"\n")[:-1]
        try:
            return json.loads(lines[-1])
        except (IndexError, ValueError):
            return {"open": 0, "requests": 0, "errors": 0, "ready": False}


class LiveDemo(Demo):
    rules = ("--distinct",)  # no two connections of the clients share a bucket
    equal = (("sent", "switch"), ("switch", "delivered"), ("switch", "ref"))

    def traffic_is(self):
        return {"clients": {"count": self.args.clients}, "seconds": self.args.seconds, "invalid": []}

    def show_traffic(self, lab, _, doing=""):
        now, said = time.monotonic() - self.start, lab.clients_say()
        self.screen.progress("          [%-30s] %5.1f s  %s open, %s answered  ids1 %s  ids2 %s packets%s" % (
            "#" * min(30, int(now * 30 / self.args.seconds)), now, plural(said["open"], "connection"),
            plural(said["requests"], "request"), format(lab.rx("ids1"), ","), format(lab.rx("ids2"), ","), doing))

    def move(self, lab, src, dst, sent):
        before = lab.clients_say()
        super().move(lab, src, dst, sent)
        if self.replay.poll() is None:
            wait_for("the clients", lambda: lab.clients_say() != before)
        after = lab.clients_say()
        self.screen.put("            meanwhile %s open, %s answered, %s" % (
            plural(after["open"], "connection"), plural(after["requests"] - before["requests"], "request"),
            plural(after["errors"], "client error")))

    def begin(self, lab):
        self.screen.step("traffic", "%s of web servers and a name server in two pods, for %s s; ids1 gets copies" % (
            plural(self.args.clients, "client"), self.args.seconds))
        self.replay = lab.start_clients(self.args.seed, self.args.clients)
        self.start = time.monotonic()

        def all_there():
            said = lab.clients_say()
            self.show_traffic(lab, 0, ", more coming")
            return said["ready"] or said["errors"] or self.replay.poll() is not None
        wait_for("the clients to connect", all_there, 60, 0.1)
        said = lab.clients_say()
        self.screen.put("%8.1f s  %s open that stay open over both moves" % (
            time.monotonic() - self.start, plural(said["open"], "connection")))
        self.start = time.monotonic()

    def traffic(self, lab, packets):
        first, second = self.random.uniform(0.25, 0.4), self.random.uniform(0.6, 0.75)
        self.begin(lab)
        try:
            self.watch(lab, first * self.args.seconds, packets)
            self.move(lab, "ids1", "ids2", packets)
            self.watch(lab, second * self.args.seconds, packets)
            self.move(lab, "ids2", "ids1", packets)
            self.watch(lab, self.args.seconds, packets)
        finally:
            self.screen.clear()
            self.end(lab)

    def end(self, lab):
        """The clients finish what they began."""
        if self.replay.poll() is None:
            self.replay.send_signal(signal.SIGTERM)
        try:
            self.replay.wait(OVERTIME)
        except subprocess.TimeoutExpired:
            self.fault("the clients did not come to an end")
            return
        said = lab.clients_say()
        self.report["clients"].update(said)
        if said["errors"]:
            self.fault("%s: %s" % (plural(said["errors"], "client error"), "; ".join(said["examples"])))
        elif self.replay.returncode or not said.get("done"):
            self.fault("the clients broke off, exit code %d" % self.replay.returncode)

    # ---- judgement ----

    def counter(self, lab, name):
        text = lab.in_ns(lab.env["LAB_SW_NS"], "nft", "list", "counter", "netdev", "path", name)
        return int(re.search(r"packets (\d+)", text).group(1))

    def ends(self, lab, what):
        return self.device(lab, "LAB_CL_NS", "cl", what) + self.device(lab, "LAB_SV_NS", "sv", what)

    def quiet(self, lab):
        """Nothing came for a moment."""
        before = self.ends(lab, "rx_packets")
        time.sleep(0.3)
        return before == self.ends(lab, "rx_packets")

    def count(self, lab, _):
        wait_for("the end of the traffic", lambda: self.quiet(lab))
        self.count_instances(lab, {
            "sent": self.ends(lab, "tx_packets") - self.counter(lab, "groups"),
            "switch": self.counter(lab, "copied"), "delivered": self.ends(lab, "rx_packets")})

    def check_counts(self, lab):
        others = len(self.report["faults"])
        super().check_counts(lab)
        self.report["invalid"] = self.report["faults"][others:]

    def run(self):
        packets = (self.args.seconds + OVERTIME) * MOST_PPS
        self.screen.step("lab", "servers, a switch, ids1, ids2, and a reference that sees everything and never moves")
        self.run_in(LiveLab(self.args.build, nf="prads", seed=self.args.seed, keep=self.args.keep), packets)

    def summary(self):
        if self.report["invalid"]:
            return "INVALID (seed %d): the machine lost packets, so the run says nothing about the moves; try again" % self.report["seed"]
        if not self.report["ok"]:
            return super().summary()
        c = self.report["clients"]
        return "OK: %s while %s made %s and %s: nothing missing, extra, doubled or reordered, no packet lost, no client error" % (
            moves_done(self.report["moves"]), plural(c["count"], "client"), plural(c["made"], "connection"),
            plural(c["requests"], "request"))


def live_demo():
    p = argparse.ArgumentParser()
    p.add_argument("--clients", type=int, required=True)
    p.add_argument("--seconds", type=int, required=True)
    return LiveDemo(arguments(p), Screen())


if __name__ == "__main__":
    sys.exit(main(live_demo()))
