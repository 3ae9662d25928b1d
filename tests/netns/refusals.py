#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Bad input of every kind, while traffic flows: a clear error, the exit code of the manual, no change.

    refusals.py [--build DIR] [--full] [--seed N] [--case PATTERN] [--list]

Each request is made twice, with --json and without. Its error must name the cause and what to do;
the switch's rules, the routes, the instances and the list of moves must be what they were. The lab
of most cases has traffic all the time, ends with real moves, and its outputs must be the reference's.
Without --full: one of the two changed PRADS, by the seed, and "no change" is looked at once a case.
"""
import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

import wire
from harness import CAMPUS, POD, ROOT, Failure, Invalid, Lab, run, wait_for
from move_run import count

PPS = 800
NEVER = "net 203.0.113.0/24"  # no host of the traces
# Each port may be that of either side: the rules double with each.
TOO_MANY_RULES = " and ".join("port %d" % n for n in range(1, 13))

CODE = {"done": 0, "failed": 1, "usage": 2, "refused": 3, "unreachable": 4}
# What the manual calls refused. name: [(words of the error, arguments)]
REQUESTS = {
    "unknown-instance": [
        ("there is no instance 'ids9'.*known: ids1, ids2", ("move", "ids9", "ids2", POD)),
        ("there is no instance 'ids9'.*known: ids1, ids2", ("move", "ids1", "ids9", POD)),
        ("there is no instance ''.*known", ("move", "", "ids2", POD)),
        ("there is no instance 'ids9'.*known: ids1", ("flows", "ids9")),
        ("there is no instance 'x{64}'.*known", ("flows", "x" * 3000)),
    ],
    "same-instance": [("both ids1: name two", ("move", "ids1", "ids1", POD))],
    "empty-space": [
        ("flow space is empty.*write 'all'", ("move", "ids1", "ids2", "")),
        ("flow space is empty.*write 'all'", ("move", "ids1", "ids2", " ", "\t")),
        ("flow space is empty.*write 'all'", ("flows", "ids1", "")),
        ("exclude each other", ("move", "ids1", "ids2", "tcp and udp")),
    ],
    "unsupported-space": [
        ("'vlan' is not supported.*a switch can match tcp, udp", ("move", "ids1", "ids2", "vlan 5")),
        (r"'tcp\[13\]' is not supported.*can match", ("move", "ids1", "ids2", "tcp[13] = 2")),
        ("'not' is not supported", ("move", "ids1", "ids2", "not", "port", "80")),
        ("'!' is not supported", ("move", "ids1", "ids2", "!tcp")),
        ("'greater' is not supported", ("move", "ids1", "ids2", "tcp and greater 100")),
        ("'all' stands alone", ("move", "ids1", "ids2", "all or tcp")),
        ("'all' stands alone", ("move", "ids1", "ids2", "tcp and all")),
        ("'all' stands alone", ("move", "ids1", "ids2", "all all")),
        ("'vlan' is not supported", ("flows", "ids1", "vlan 5")),
    ],
    "malformed-space": [
        ("10.20.0.0/33.* from 0 to 32", ("move", "ids1", "ids2", "net 10.20.0.0/33")),
        ("2001:db8::/129.* from 0 to 128", ("move", "ids1", "ids2", "net 2001:db8::/129")),
        ("10.20.0.0/.* from 0 to 32", ("move", "ids1", "ids2", "net 10.20.0.0/")),
        ("10.20.0.0/2x.* from 0 to 32", ("move", "ids1", "ids2", "net 10.20.0.0/2x")),
        ("bits set beyond its length: clear them", ("move", "ids1", "ids2", "net 10.20.0.1/21")),
        ("'10.20.0' is not an IP address", ("move", "ids1", "ids2", "host 10.20.0")),
        ("'www.example.org' is not an IP address.*names are not looked up", ("move", "ids1", "ids2", "host www.example.org")),
        ("'70000' is not a port from 0 to 65535", ("move", "ids1", "ids2", "port 70000")),
        (r"lacks a '\)'", ("move", "ids1", "ids2", "(tcp or udp")),
        ("ends where .* should follow", ("move", "ids1", "ids2", "tcp or")),
        ("cannot go before 'port': write", ("move", "ids1", "ids2", "icmp port 80")),
    ],
    "large-space": [
        ("longer than 4095 characters: split", ("move", "ids1", "ids2", " or ".join(["host 10.20.0.1"] * 250))),
        ("longer than .* characters: split", ("move", "ids1", "ids2", "tcp or " * 17000 + "udp")),
        ("a word of the flow space is too long", ("move", "ids1", "ids2", "x" * 3000)),
        ("nested more than 32 deep", ("move", "ids1", "ids2", "(" * 40 + "tcp" + ")" * 40)),
        ("switch cannot match.*more than 4096 rules.*split", ("move", "ids1", "ids2", TOO_MANY_RULES)),
        ("more than 1024 alternatives: split",
         ("move", "ids1", "ids2", " and ".join(["(tcp or udp or icmp or sctp)"] * 6))),
    ],
    "no-adapter": [
        ("ids3 .tcpdump. has no adapter.*nfshim_register", ("move", "ids3", "ids1", POD)),
        ("ids3 .tcpdump. has no adapter.*nfshim_register", ("move", "ids1", "ids3", POD)),
        ("ids3 .tcpdump. has no adapter.*nfshim_register", ("flows", "ids3")),
    ],
    "no-helper": [
        ("no helper speaks for ids4: start 'nfxfer --name ids4'", ("move", "ids1", "ids4", POD)),
        ("no helper speaks for ids4: start 'nfxfer --name ids4'", ("flows", "ids4")),
    ],
    "unknown-move": [
        ("there is no move 77; 'nfctl moves' lists", ("show", "77")),
        ("there is no move 77; 'nfctl moves' lists", ("abort", "77")),
    ],
}

USAGE = [
    ("(no command|Usage)", ()),
    ("no command 'frobnicate'.*--help", ("frobnicate",)),
    ("no option '--frob'.*--help", ("--frob", "instances")),
    ("no option '-x'.*--help", ("instances", "-x")),
    ("'--dir' takes a value.*--help", ("instances", "--dir")),
    ("takes no arguments.*--help", ("instances", "ids1")),
    ("takes the name of an instance.*--help", ("flows",)),
    ("takes source, destination and flow space.*--help", ("move", "ids1", "ids2")),
    ("takes no options of a move", ("moves", "--wait")),
    ("takes no options of a move", ("flows", "ids1", "--linger", "5")),
    ("takes the number of a move.*--help", ("show",)),
    ("takes the number of a move.*--help", ("show", "x")),
    ("takes the number of a move.*--help", ("abort", "0")),
    ("takes the number of a move.*--help", ("abort", "1", "2")),
    ("--deadline takes a number, not 'soon'", ("move", "ids1", "ids2", POD, "--deadline", "soon")),
    ("--linger takes a number, not '-1'", ("move", "ids1", "ids2", POD, "--linger", "-1")),
    ("'--deadline' takes a value", ("move", "ids1", "ids2", POD, "--deadline")),
    ("deadline_ms is a number from 1 to", ("move", "ids1", "ids2", POD, "--deadline", "0")),
    ("hold_bytes is a number from 1 to", ("move", "ids1", "ids2", POD, "--hold-bytes", "99999999999")),
]

GOOD = "[switch]\nnetns = %s\ninput = swin\ndefault = ids1\n[port ids1]\ndev = sw1\n"
# (text, words): what is wrong with a configuration; %s is the switch's namespace
CONFIGS = [
    ("[switch]\ninput = swin\nfrob = 1\n", r":3: .*knows no 'frob': driver, netns"),
    ("[switch]\ninput swin\n", ":2: .*key = value"),
    ("[swich]\ninput = swin\n", r":2: section \[swich\] is neither \[switch\] nor \[port NAME\]"),
    ("[switch]\ninput = sw in$\n", ":2: .*'in\\$' is no possible value of 'input'"),
    ("[switch]\ninput = swin\ncpus = 0,two\n", ":3: 'two' is not the number of a CPU"),
    ("[switch]\ndefault = ids1\n", "has no 'input': the devices"),
    ("[switch]\ninput = swin\ndefault = ids1\n", r"there is no \[port NAME\]: one for each"),
    ("[switch]\ninput = swin\n[port ids1]\ndev = sw1\n", "has no 'default': the instance that"),
    ("[switch]\ninput = swin\ndefault = ids7\n[port ids1]\ndev = sw1\n", r"'ids7' has no \[port ids7\]"),
    ("[switch]\ninput = swin\n[port ids1]\ndev = sw1\n[port ids1]\ndev = sw2\n", r":6: \[port ids1\] is there twice"),
    ("[switch]\ninput = swin\n[port ids1]\nmac = 5\n", r":4: \[port ids1\] knows no 'mac', only dev"),
    (GOOD.replace("[switch]", "[switch]\ndriver = ovs"), "no switch driver 'ovs'; known: nft"),
    (GOOD.replace("%s", "nft-absent"), "cannot open network namespace 'nft-absent'.*: correct 'netns'"),
    (GOOD.replace("sw1", "sw99"), "no device 'sw99': make it, or correct"),
    (GOOD.replace("swin", "sw77"), "no device 'sw77': make it, or correct"),
]


# ---- labs ----

class RefuseLab(Lab):
    """ids1 and ids2 as ever; ids3 is an NF without an adapter, ids4 and ids5 are ports where nothing is."""

    def __init__(self, build, seed, full):
        super().__init__(build, "seqhash", seed=seed, pause=True, instances=5)
        self.full = full

    def command(self, name):
        if name == "ids3":
            return ["tcpdump", "-i", "eth0", "-Z", "root", "-w", self.path("ids3.pcap")]
        return super().command(name)

    def start_ctrl(self):
        super().start_ctrl()
        self.start_nf("ids3")
        self.start_xfer("ids3")

    def wait_ready(self):
        super().wait_ready()
        wait_for("ids3 at the controller", lambda: "adapter" in self.instance("ids3")["reason"])

    def instance(self, name):
        return next(i for i in self.nfctl("instances")[1].get("instances", []) if i["name"] == name)

    def hold(self, point):
        if os.path.exists(os.path.join(self.pause_dir, point + ".hit")):  # of an earlier time
            os.unlink(os.path.join(self.pause_dir, point + ".hit"))
        open(os.path.join(self.pause_dir, point), "w").close()

    def wait_held(self, point):
        wait_for(point, lambda: os.path.exists(os.path.join(self.pause_dir, point + ".hit")))

    def let_go(self, point):
        os.unlink(os.path.join(self.pause_dir, point))


class PradsLab(RefuseLab):
    """ids1 is a PRADS that the adapter must not touch."""

    def __init__(self, build, seed, program):
        Lab.__init__(self, build, "prads", seed=seed)
        self.program = program

    start_ctrl = Lab.start_ctrl

    def command(self, name):
        argv = super(RefuseLab, self).command(name)
        return [self.program] + argv[1:] if name == "ids1" else argv

    def wait_ready(self):
        wait_for("both instances", lambda: self.instance("ids2")["ready"] and "PRADS" in self.instance("ids1")["reason"])


# ---- no change ----

def snapshot(lab):
    """All that a refused request must leave alone; no counters."""
    instances = [{k: v for k, v in i.items() if k != "packets"} for i in lab.nfctl("instances")[1]["instances"]]
    routes = {k: v for k, v in lab.nfctl("routes")[1].items() if k != "counters"}
    moves = [(m["id"], m["state"]) for m in lab.nfctl("moves")[1]["moves"]]
    rules = lab.in_ns(lab.env["LAB_SW_NS"], "nft", "-s", "list", "table", "netdev", "nfshim")
    return {"instances": instances, "routes": routes, "moves": moves, "rules": rules}


def settled(lab):
    """The same, once no move lingers any more and the NFs have said so."""
    wait_for("the end of the moves", lambda: all(m["stage"] == "over" for m in lab.nfctl("moves")[1]["moves"]))
    wait_for("idle instances", lambda: not any(i["move"] for i in lab.nfctl("instances")[1]["instances"]))
    return snapshot(lab)


class Checker:
    """Makes requests that must fail, collects what is wrong with how they do."""

    def __init__(self, lab):
        self.lab, self.wrong, self.asked = lab, [], 0

    def expect(self, ok, what):
        self.asked += 1
        if not ok:
            self.wrong.append(what)

    def run(self, *argv):
        return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                              text=True, timeout=60, env=dict(os.environ, NFSHIM_DIR=self.lab.run_dir))

    def tool(self, name):
        return os.path.join(self.lab.build, {"nfctl": "ctrl/nfctl", "nfctrld": "ctrl/nfctrld", "nfxfer": "xfer/nfxfer"}[name])

    def plain(self, label, p, code, words):
        good = p.returncode == code and not p.stdout and re.search(words, p.stderr)
        self.expect(good, "%s: exit %d, stdout '%s', stderr '%s'" % (label, p.returncode, p.stdout[:80], p.stderr[:300]))

    def json(self, label, p, code, words):
        try:
            o = json.loads(p.stdout)
        except ValueError:
            o = {}
        good = (p.returncode == code and not p.stderr and p.stdout.count("\n") == 1 and o.get("ok") is False
                and o.get("code") == code and re.search(words, o.get("error", "")))
        self.expect(good, "%s --json: exit %d, stdout '%s', stderr '%s'" % (label, p.returncode, p.stdout[:300], p.stderr[:80]))

    def request(self, code, words, argv):
        label = ("nfctl " + " ".join(argv))[:60]
        p = self.run(self.tool("nfctl"), *argv)
        self.plain(label, p, code, words)
        if argv:
            good = p.stderr.startswith("nfctl: error: ") and p.stderr.count("\n") == 1
            self.expect(good, "%s: not one line of error: '%s'" % (label, p.stderr[:200]))
        self.json(label, self.run(self.tool("nfctl"), "--json", *argv), code, words)

    def unchanged(self, before):
        now = snapshot(self.lab)
        for k, v in before.items():
            self.expect(now[k] == v, "%s changed from %s to %s" % (k, str(v)[:200], str(now[k])[:200]))

    def verdict(self):
        if self.wrong:
            raise Failure("; ".join(self.wrong))
        return "%d checks" % self.asked


# ---- cases of the first lab ----

def requests(lab, name):
    t = Checker(lab)
    before = settled(lab)
    for words, argv in REQUESTS[name]:
        t.request(CODE["refused"], words, argv)
        if lab.full:
            t.unchanged(before)
    t.unchanged(before)
    return t.verdict()


def no_port(lab):
    """A helper whose instance the switch does not know."""
    t = Checker(lab)
    lab.spawn("xfer.ids8", [t.tool("nfxfer"), "--name", "ids8", "--dir", lab.run_dir])
    wait_for("ids8", lambda: any(i["name"] == "ids8" and i["helper"] for i in lab.nfctl("instances")[1]["instances"]))
    before = settled(lab)
    t.request(CODE["refused"], r"no port for ids8: add \[port ids8\] to the configuration", ("move", "ids1", "ids8", POD))
    t.request(CODE["refused"], "no NF is attached at ids8|has not said yet", ("flows", "ids8"))
    t.unchanged(before)
    lab.kill("xfer.ids8")
    return t.verdict()


def busy(lab):
    """A move while another runs, an abort of the one that runs, an abort after the route."""
    t = Checker(lab)
    settled(lab)
    lab.hold("xfer.ids1.dial")
    mover = lab.start_move("ids1", "ids2", POD)
    lab.wait_held("xfer.ids1.dial")
    before = snapshot(lab)
    ident = before["moves"][-1][0]
    t.expect(before["moves"][-1][1] == "running", "the held move is %s" % (before["moves"][-1],))
    for src, dst, who in (("ids1", "ids2", "ids1"), ("ids2", "ids1", "ids2")):
        t.request(CODE["refused"], "%s is busy with move %d: wait.*nfctl abort %d" % (who, ident, ident), ("move", src, dst, NEVER))
    t.request(CODE["refused"], "there is no move %d" % (ident + 1), ("abort", str(ident + 1)))
    t.unchanged(before)
    code, o = lab.nfctl("abort", str(ident))
    t.expect(code == 0 and o["ok"] and o["id"] == ident, "abort: exit %d, %s" % (code, o))
    lab.let_go("xfer.ids1.dial")
    result = json.loads(mover.communicate(timeout=30)[0])
    t.expect(mover.returncode == 1 and result["state"] == "aborted" and "aborted by nfctl" in result["reason"],
             "the aborted move: exit %d, %s" % (mover.returncode, result))
    wait_for("the end of the abort", lambda: lab.nfctl("show", str(ident))[1]["stage"] == "over")
    after = snapshot(lab)
    t.expect(after["rules"] == before["rules"] and after["routes"] == before["routes"], "the abort changed the switch")
    t.request(CODE["refused"], "move %d is over: aborted" % ident, ("abort", str(ident)))
    return t.verdict()


def abort_after_route(lab):
    t = Checker(lab)
    settled(lab)
    lab.hold("xfer.ids1.mark")
    mover = lab.start_move("ids1", "ids2", POD)
    lab.wait_held("xfer.ids1.mark")
    before = snapshot(lab)
    ident = before["moves"][-1][0]
    t.expect(any(r["to"] == "ids2" for r in before["routes"]["routes"]), "held, but the route is not set")
    t.request(CODE["refused"], "route of move %d is set: it can only go on; move the flows back" % ident, ("abort", str(ident)))
    t.unchanged(before)
    lab.let_go("xfer.ids1.mark")
    result = json.loads(mover.communicate(timeout=30)[0])
    t.expect(mover.returncode == 0 and result["flows"] > 0, "the move: exit %d, %s" % (mover.returncode, result))
    t.request(CODE["refused"], "move %d is over: done; there is nothing to abort" % ident, ("abort", str(ident)))
    lab.move("ids2", "ids1")
    return t.verdict()


def progress(lab):
    """A wait of over a second shows that it goes on, on standard error; one line of summary at the end."""
    t = Checker(lab)
    settled(lab)
    lab.hold("xfer.ids1.dial")
    p = subprocess.Popen([t.tool("nfctl"), "--dir", lab.run_dir, "move", "ids1", "ids2", POD, "--wait"],
                         stdout=subprocess.PIPE, stderr=open(lab.path("nfctl.err"), "w"), text=True)
    seen = r"^move \d+: begin-src, 0 flows \(0 B\), 0 clones, [1-9]\d*\.\d s$"
    wait_for("two lines of progress", lambda: len(re.findall(seen, err(lab, "nfctl"), re.M)) >= 2)
    lab.let_go("xfer.ids1.dial")
    out = p.communicate(timeout=30)[0]
    done = (r"move \d+ done: '%s' from ids1 to ids2 in [0-9.]+ m?s: [1-9]\d* flows, .* records \(.*\), .* clones \(.*\).*"
            r", at most \d+ packets held and \d+ buffered.*\n" % re.escape(POD))
    t.expect(p.returncode == 0 and re.fullmatch(done, out), "exit %d, said '%s'" % (p.returncode, out))
    lab.move("ids2", "ids1")
    return t.verdict()


def usage(lab):
    t = Checker(lab)
    before = settled(lab)
    for words, argv in USAGE:
        t.request(CODE["usage"], words, argv)
    good = lab.env["LAB_CONF"]
    for words, argv in (("--config FILE.*--help", ()), ("--help", ("--frob",)), ("--config.*requires", ("--config",)),
                        ("options only.*--help", ("--config", good, "more"))):
        t.plain("nfctrld", t.run(t.tool("nfctrld"), *argv), CODE["usage"], "(?s)" + words)
    for words, argv in (("--name", ()), ("--name", ("--name", "a/b")), ("--help", ("--frob",)), ("requires", ("--name",)),
                        ("not an option.*--help", ("--name", "a", "b"))):
        t.plain("nfxfer", t.run(t.tool("nfxfer"), *argv), CODE["usage"], "(?s)" + words)
    nfrun = os.path.join(ROOT, "scripts/nfrun")
    for words, argv in (("NAME.*--help", ()), ("no command.*COMMAND", ("ids1",)), ("unknown option.*--help", ("ids1", "--frob")),
                        ("--netns needs a name", ("ids1", "--netns")), ("letters, digits", ("../x", "--", "true")),
                        ("one NAME only; put --", ("ids1", "ids2", "--", "true"))):
        t.plain("nfrun", t.run(nfrun, *argv), CODE["usage"], words)
    t.unchanged(before)
    return t.verdict()


def unreachable(lab):
    t = Checker(lab)
    before = settled(lab)
    for where in (os.path.join(lab.dir, "absent"), lab.dir, "/" + "x" * 200):
        t.request(CODE["unreachable"], "no nfctrld answers at /.*: .*; start it, or say where it is with --dir",
                  ("instances", "--dir", where))
    t.unchanged(before)
    return t.verdict()


def configs(lab):
    """nfctrld with a broken configuration, or a good one where another runs already."""
    t = Checker(lab)
    before = settled(lab)
    path, other = os.path.join(lab.dir, "broken.conf"), os.path.join(lab.dir, "other")
    for text, words in CONFIGS:
        with open(path, "w") as f:
            f.write(text.replace("%s", lab.env["LAB_SW_NS"]))
        p = t.run(t.tool("nfctrld"), "--config", path, "--dir", other)
        t.plain("nfctrld with '%s'" % text.replace("\n", "|")[:70], p, 1, words)
        t.expect(p.stderr.count("\n") == 1 and p.stderr.startswith("nfctrld: error: "), "not one line: '%s'" % p.stderr[:300])
    t.plain("nfctrld", t.run(t.tool("nfctrld"), "--config", path + ".absent"), 1, "cannot read .*absent: No such file")
    p = t.run(t.tool("nfctrld"), "--config", lab.env["LAB_CONF"], "--dir", lab.run_dir)
    t.plain("a second nfctrld", p, 1, "another nfctrld answers at .*: stop it, or use another --dir")
    t.unchanged(before)
    t.expect(not os.path.exists(other), "an nfctrld that did not start left %s" % other)
    return t.verdict()


# ---- peers of another version ----

NEXT = wire.OURS + 1
VERSION_WORDS = r"speaks version %d of the protocol, this side version %d: install the same nfshim" % (NEXT, wire.OURS)


def refused(t, what, got, words):
    t.expect(got[0] == "refused" and re.search(words, got[1]), "%s: answered %s" % (what, got))


def version_controller(lab):
    """Helpers of another version at nfctrld; a real helper at a controller of another version."""
    t = Checker(lab)
    path = os.path.join(lab.run_dir, "nfctrld.sock")
    before = settled(lab)
    refused(t, "nfctrld", wire.greet(path, NEXT, wire.HELPER, "ids1", listen="127.0.0.1:1"), "nfxfer of ids1 " + VERSION_WORDS)
    refused(t, "a second helper", wire.greet(path, wire.OURS, wire.HELPER, "ids1", listen="127.0.0.1:1"),
            "another helper speaks for ids1 already")
    t.unchanged(before)
    refused(t, "nfctrld", wire.greet(path, NEXT, wire.HELPER, "ids5", listen="127.0.0.1:1"), "nfxfer of ids5 " + VERSION_WORDS)
    reason = lab.instance("ids5")["reason"]
    t.expect(re.search("helper of ids5 was refused: .*" + VERSION_WORDS, reason), "instances says of ids5: " + reason)
    t.request(CODE["refused"], VERSION_WORDS, ("move", "ids1", "ids5", POD))
    now = snapshot(lab)
    t.expect(all(now[k] == before[k] for k in ("routes", "rules", "moves")), "the switch changed")
    with wire.Server(os.path.join(lab.dir, "old.sock"), NEXT, wire.CONTROLLER, "nfctrld") as old:
        lab.spawn("xfer.old", [t.tool("nfxfer"), "--name", "ids5", "--dir", lab.run_dir, "--ctrl", old.path])
        wait_for("nfxfer to refuse a controller", lambda: re.search("no controller.*nfctrld " + VERSION_WORDS, err(lab, "xfer.old")))
        t.expect(lab.procs["xfer.old"].poll() is None, "nfxfer ended")
        lab.kill("xfer.old")
    return t.verdict()


def err(lab, name):
    return open(lab.path(name + ".err"), errors="replace").read()


def version_shim(lab):
    """Helpers of another version at a shim; a real helper at a shim of another version."""
    t = Checker(lab)
    path = os.path.join(lab.run_dir, "ids2.sock")
    refused(t, "a second helper at the shim", wire.greet(path, NEXT, wire.HELPER, "ids2"), "another nfxfer serves this NF already")
    lab.kill("xfer.ids2")
    wait_for("the helper to be gone", lambda: not lab.instance("ids2")["helper"])
    t.request(CODE["refused"], "no helper speaks for ids2: start 'nfxfer --name ids2'", ("move", "ids1", "ids2", POD))
    # The service thread may still be parting with the old helper.
    got = wait_for("the shim to be free", lambda: ask_free(path))
    refused(t, "the shim", got, "this helper " + VERSION_WORDS)
    lab.start_xfer("ids2")
    lab.wait_ready()
    with wire.Server(os.path.join(lab.run_dir, "ids5.sock"), NEXT, wire.SHIM, "ids5"):
        lab.spawn("xfer.ids5", [t.tool("nfxfer"), "--name", "ids5", "--dir", lab.run_dir])
        wait_for("ids5's reason", lambda: re.search("the shim " + VERSION_WORDS, lab.instance("ids5")["reason"]))
        before = snapshot(lab)
        t.request(CODE["refused"], "no NF is attached at ids5: .*the shim " + VERSION_WORDS, ("move", "ids1", "ids5", POD))
        t.unchanged(before)
        lab.kill("xfer.ids5")
    return t.verdict()


def ask_free(path):
    got = wire.greet(path, NEXT, wire.HELPER, "ids2")
    return None if "another nfxfer" in got[1] else got


def version_peer(lab):
    """Strangers at the port where a destination's helper waits for its source: the move goes on."""
    t = Checker(lab)
    settled(lab)
    where = lab.instance("ids2")["helper"]
    t.expect(wire.greet(where, NEXT, wire.PEER, "ids1", move=1, token=b"0" * 16)[0] is None, "no move waits, but it was answered")
    lab.hold("xfer.ids1.dial")
    mover = lab.start_move("ids1", "ids2", POD)
    lab.wait_held("xfer.ids1.dial")
    ident = lab.nfctl("moves")[1]["moves"][-1]["id"]
    before = snapshot(lab)
    for version, role, words in ((NEXT, wire.PEER, "the source helper " + VERSION_WORDS), (wire.OURS, wire.PEER, "wrong move or token"),
                                 (wire.OURS, wire.HELPER, "not a source helper")):
        refused(t, "the peer port", wire.greet(where, version, role, "ids1", move=ident, token=b"0" * 16), words)
    t.expect(re.search("refused a connection.*" + VERSION_WORDS, err(lab, "xfer.ids2")), "nfxfer logged nothing")
    t.unchanged(before)
    lab.let_go("xfer.ids1.dial")
    result = json.loads(mover.communicate(timeout=30)[0])
    t.expect(mover.returncode == 0 and result["flows"] > 0, "the move: exit %d, %s" % (mover.returncode, result))
    lab.move("ids2", "ids1")
    return t.verdict()


# ---- PRADS of another build ----

def variant(path, what):
    """A copy of PRADS: with another build-id, or with its own and an instruction changed that does no harm."""
    data = bytearray(open("/usr/bin/prads", "rb").read())
    if what == "build-id":
        at = data.index(b"\x14\0\0\0\x03\0\0\0GNU\0") + 12
        data[at] ^= 0xff
    else:
        # cxt_new: calloc(1, 144); a larger block does as well. The text segment's file offsets are its addresses.
        assert data[0x1ada1:0x1ada6] == b"\xbe\x90\0\0\0", "not the PRADS of Debian 12"
        data[0x1ada2] = 0xa0
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, 0o755)
    return path


PRADS = {
    "build-id": r"this PRADS \(build-id 2d54815d[0-9a-f]+\) is not a build that the adapter knows: install prads 0.3.3-7\+b2",
    "code": r"its code differs \(at 0x1ada1\): it was modified; reinstall",
}


def prads(build, seed, what):
    with tempfile.TemporaryDirectory() as tmp:
        os.chmod(tmp, 0o755)
        program = variant(os.path.join(tmp, "prads"), what)
        with PradsLab(build, seed, program) as lab:
            t = Checker(lab)
            replay = lab.replay(CAMPUS, 3000)
            wait_for("traffic at ids1", lambda: lab.rx("ids1") > 1000)
            before = snapshot(lab)
            t.expect(re.search(PRADS[what], lab.instance("ids1")["reason"]), "instances: " + lab.instance("ids1")["reason"])
            for argv in (("move", "ids1", "ids2", POD), ("move", "ids2", "ids1", POD), ("flows", "ids1")):
                t.request(CODE["refused"], r"ids1 \(prads\) has no adapter.*" + PRADS[what], argv)
            t.unchanged(before)
            t.expect(replay.poll() is None, "the traffic ended too early")
            if replay.wait():
                raise Invalid("tcpreplay failed")
            t.expect(all(lab.procs[n].poll() is None for n in lab.names()), "a PRADS died")
            texts = lab.finish(count(CAMPUS))
            return "%s; %s" % (t.verdict(), "; ".join(texts))


# ---- all ----

IN_LAB = dict({"request-" + n: (lambda lab, n=n: requests(lab, n)) for n in REQUESTS}, **{
    "no-port": no_port, "usage": usage, "unreachable": unreachable, "configuration": configs, "busy": busy,
    "abort-after-route": abort_after_route, "version-controller": version_controller, "version-shim": version_shim,
    "version-peer": version_peer, "progress": progress})
ALONE = {"prads-other-build": "build-id", "prads-modified": "code"}


class Report:
    def __init__(self):
        self.failed = 0

    def case(self, name, body, *args):
        """One case; an invalid run says nothing and is tried again."""
        for _ in range(4):
            try:
                print("ok %s: %s" % (name, body(*args)), flush=True)
                return
            except Invalid as e:
                print("  invalid: %s" % e, flush=True)
                why = "no valid run: %s" % e
            except (Failure, OSError, subprocess.SubprocessError, KeyError, ValueError) as e:
                why = "%s: %s" % (type(e).__name__, e)
                break
        self.failed += 1
        print("not ok %s: %s" % (name, why.replace("\n", " | ")[:1500]), flush=True)


def one_lab(args, names, trace, report):
    """All of @names under traffic, real moves at the end, exact."""
    with RefuseLab(args.build, args.seed, args.full) as lab:
        replay = lab.replay(trace, PPS)
        wait_for("traffic", lambda: lab.rx("ids1") > 500)
        for name in names:
            report.case(name, IN_LAB[name], lab)
        if replay.poll() is not None:
            raise Failure("the traffic ended before the cases did")
        lab.move("ids1", "ids2")
        lab.move("ids2", "ids1")
        replay.terminate()
        replay.wait()
        return "; ".join(lab.finish())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--build", default=os.environ.get("NFSHIM_BUILD_TEST", os.path.join(ROOT, "build-test")))
    p.add_argument("--full", action="store_true")
    p.add_argument("--seed", type=int, default=random.randrange(1 << 20))
    p.add_argument("--case", default="")
    p.add_argument("--list", action="store_true")
    args = p.parse_args()
    names = [n for n in IN_LAB if re.search(args.case, n)]
    alone = [n for n in ALONE if re.search(args.case, n)]
    if args.list:
        print("\n".join(names + alone))
        return 0
    if not args.full and not args.case:
        alone = [random.Random(args.seed).choice(alone)]
    print("seed %d" % args.seed, flush=True)
    report = Report()
    if not os.path.exists(CAMPUS):
        print("skip refusals: no %s" % CAMPUS)
        return 0
    random.Random(args.seed).shuffle(names)
    with tempfile.TemporaryDirectory() as tmp:
        trace = os.path.join(tmp, "trace.pcap")
        run(os.path.join(args.build, "tests/tools/trace_copies"), "--seconds", "200", "--pps", str(PPS), CAMPUS, trace)
        if names:
            report.case("exact", one_lab, args, names, trace, report)
    for name in alone:
        report.case(name, prads, args.build, args.seed, ALONE[name])
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
