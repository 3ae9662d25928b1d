#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The README's first command, for real: it shows exact moves, says FAULT when they are not, leaves nothing behind.

    demo.py [--full] [--seed N] [--case PATTERN] [--list]

Without --full: wrong options, one plain run and one --live, and one of each that is ended by a signal at a moment drawn
by the seed. With it also a given trace, and runs that are broken from outside, each of which must be found out.
"""
import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from harness import CAMPUS, POD, ROOT, Failure, Invalid, wait_for

DEMO = os.path.join(ROOT, "scripts/demo.sh")
MARKER = "NFSHIM_TEST_MARKER"
# Packets that the machine lost say nothing about the demo.
LOST = re.compile(r"lost [\d,]+ packets? before|the capture of \w+ got|the recording lost packets|INVALID \(seed")
LIVE = ("--live", "--clients", "100", "--seconds", "6")


class Run:
    """One demo.sh, recognised in all that it starts by a variable of its environment."""

    def __init__(self, *options, first_in_path=None):
        self.tmp = tempfile.mkdtemp(prefix="nfshim-demo-test-")
        os.chmod(self.tmp, 0o755)
        self.marker = "%d-%d" % (os.getpid(), random.randrange(1 << 30))
        env = dict(os.environ, TMPDIR=os.path.join(self.tmp, "tmp"), **{MARKER: self.marker})
        os.mkdir(env["TMPDIR"])
        os.chmod(env["TMPDIR"], 0o755)
        if first_in_path:
            env["PATH"] = first_in_path + ":" + env["PATH"]
        self.out, self.err = (open(os.path.join(self.tmp, n), "w+") for n in ("out", "err"))
        self.seen = set()
        self.p = subprocess.Popen([DEMO, *options], stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err,
                                  env=env, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.p.poll() is None:
            self.p.terminate()
            try:
                self.p.wait(60)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()
        shutil.rmtree(self.tmp, ignore_errors=True)

    def text(self, f):
        with open(f.name, errors="replace") as again:
            return again.read()

    def processes(self):
        """{pid: command line} of all that carry the marker."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/environ" % pid, "rb") as f:
                    ours = ("%s=%s" % (MARKER, self.marker)).encode() in f.read().split(b"\0")
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    line = f.read().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if line and (ours or line.startswith("nginx: ") and self.is_open_in(pid)):
                found[int(pid)] = line
        self.seen |= set(found)
        return found

    def is_open_in(self, pid):
        """Our files, in a process whose title took the place of its environment."""
        try:
            return any(os.readlink("/proc/%s/fd/%s" % (pid, fd)).startswith(self.tmp) for fd in os.listdir("/proc/%s/fd" % pid))
        except OSError:
            return False

    def namespaces(self):
        """Those whose name has the process id of one of ours."""
        self.processes()
        names = os.listdir("/run/netns") if os.path.isdir("/run/netns") else []
        return [n for n in names if any(int(d) in self.seen for d in re.findall(r"^(?:nft|nfs-rec)-(\d+)", n))]

    def find(self, pattern):
        """The process whose command line matches, else None."""
        return next((pid for pid, line in self.processes().items() if re.search(pattern, line)), None)

    def when(self, what, condition):
        def so_far():
            if self.p.poll() is not None:
                raise Failure("demo.sh ended before %s: %s" % (what, self.text(self.err)[-400:]))
            self.processes()
            return condition()
        return wait_for(what, so_far, 300)

    def wait(self):
        # Looking on: what it starts has to be known to be looked for at the end.
        while self.p.poll() is None:
            self.processes()
            time.sleep(0.1)
        return self.p.returncode

    def report(self):
        try:
            return json.loads(self.text(self.out))
        except ValueError:
            raise Failure("no JSON: '%s', said %s" % (self.text(self.out)[:200], self.text(self.err)[-600:])) from None

    def check_left(self):
        left = list(self.processes().values()) + self.namespaces() + os.listdir(os.path.join(self.tmp, "tmp"))
        if left:
            raise Failure("left behind: %s" % ", ".join(left)[:600])


def invalid_if_lost(report):
    if report.get("invalid") or any(LOST.search(f) for f in report["faults"]):
        raise Invalid("; ".join(report["faults"])[:400])


def exact(*options, more=None):
    """Exit 0, two moves with flows, nothing missing or extra; what @more wants of report and screen."""
    with Run("--json", *options) as r:
        code, said = r.wait(), r.text(r.err)
        if LOST.search(said) and code:
            raise Invalid(said[-400:])
        o = r.report()
        invalid_if_lost(o)
        moves = o["moves"]
        good = (code == 0 and o["ok"] is True and not o["faults"] and len(moves) == 2
                and all(m["flows"] > 0 and m["state"] == "done" for m in moves)
                and all(o[k]["missing"] == 0 and o[k]["extra"] == 0 and o[k]["lines"] > 0 for k in ("connections", "assets")))
        if not good:
            raise Failure("exit %d: %s" % (code, json.dumps(o)[:1200]))
        if len(re.findall("^OK: 2 moves of [0-9,]+ and [0-9,]+ flows", said, re.M)) != 1 or "FAULT" in said:
            raise Failure("the last line is not one summary: %s" % said[-400:])
        for words in ("moved ids1 -> ids2", "moved ids2 -> ids1", "bytes of state, [0-9]+ a flow", "phases in ms: begin",
                      "held and [0-9,]+ buffered"):
            if not re.search(words, said):
                raise Failure("the screen does not show '%s'" % words)
        if more:
            more(o, said)
        r.check_left()
        return "%s flows in %s ms, %d and %d lines exact" % (
            [m["flows"] for m in moves], [round(m["total_ms"]) for m in moves], o["connections"]["lines"], o["assets"]["lines"])


def live(*options):
    """Exact, and several connections of every client lived on without an error."""
    def no_client_noticed(o, said):
        c = o["clients"]
        steady = [int(n) for n in re.findall(r"meanwhile ([0-9]+) connections open, .* 0 client errors$", said, re.M)]
        if c["errors"] or not c["done"] or c["requests"] < c["count"] or not c["ipv6"]:
            raise Failure("clients: %s" % c)
        if len(steady) != 2 or min(steady) < c["count"] * 0.7:
            raise Failure("%s connections open at the moves: %s" % (steady, said[-1200:]))
        if o["packets"]["ids2"] == 0:
            raise Failure("ids2 got nothing: %s" % o["packets"])
    return exact(*LIVE, *options, more=no_client_noticed)


# ---- ended by a signal ----

def traffic_flows(r):
    return r.find("^tcpreplay ")


MOMENTS = {
    "recording": lambda r: r.find(r"clients\.py run"),
    "lab": lambda r: r.find(r"netns-setup\.sh up"),
    "traffic": traffic_flows,
    "moving": lambda r: r.find(r"nfctl .*move"),
    "judging": lambda r: "judgement" in r.text(r.err),
}


LIVE_MOMENTS = {
    "hosts": lambda r: r.find(r"live-hosts\.sh up"),
    "servers": lambda r: r.find(r"^nginx"),
    "clients": lambda r: r.find(r"live_clients\.py"),
    "moving": MOMENTS["moving"],
    "judging": MOMENTS["judging"],
}


def ended(name, sig, group=False, moments=MOMENTS, options=()):
    with Run("--json", "--seed", "1", *options) as r:
        r.when(name, lambda: moments[name](r))
        (os.killpg if group else os.kill)(r.p.pid, sig)
        code = r.wait()
        if code != 130:
            raise Failure("exit %d after %s: %s" % (code, sig.name, r.text(r.err)[-300:]))
        r.check_left()
        return "%s while %s, exit 130, %d processes seen, none left" % (sig.name, name, len(r.seen))


# ---- broken from outside ----

def fault(r, words):
    """Exit 1, and FAULT says what."""
    code, said, o = r.wait(), r.text(r.err), r.report()
    if code != 1 or o["ok"] or not re.search("^FAULT .*" + words, said, re.M) or not re.search("^FAILED", said, re.M):
        raise Failure("exit %d, faults %s, not '%s'" % (code, o["faults"], words))
    if not any(re.search(words, f) for f in o["faults"]):
        raise Failure("'%s' is not among %s" % (words, o["faults"]))
    r.check_left()
    return "exit 1: " + "; ".join(o["faults"])[:160]


def packets_lost():
    """A tcpreplay, first in PATH, that leaves out the end of the trace."""
    with tempfile.TemporaryDirectory() as tmp:
        os.chmod(tmp, 0o755)
        path = os.path.join(tmp, "tcpreplay")
        with open(path, "w") as f:
            f.write("#!/bin/sh\nexec %s --limit=7000 \"$@\"\n" % shutil.which("tcpreplay"))
        os.chmod(path, 0o755)
        with Run("--json", "--seed", "1", first_in_path=tmp) as r:
            return fault(r, "packets: trace [0-9]+, but sent 7000")


def helper_killed():
    with Run("--json", "--seed", "1") as r:
        r.when("traffic", lambda: traffic_flows(r))
        os.kill(r.find("nfxfer --name ids1"), signal.SIGKILL)
        return fault(r, "the move ids1 to ids2 did not succeed: .*helper")


def nf_killed():
    """The destination dies once it has the flows: their output is missing."""
    with Run("--json", "--seed", "1") as r:
        r.when("the first move", lambda: "moved ids1 -> ids2" in r.text(r.err))
        os.kill(r.find("prads .*ids2.log"), signal.SIGKILL)
        return fault(r, "connections differ from the reference")


def divert(r, where):
    """Until the controller writes its rules anew."""
    ns = next(n for n in r.namespaces() if n.endswith("-sw"))
    subprocess.run(["ip", "netns", "exec", ns, "nft", "insert", "rule", "netdev", "nfshim", "classify",
                    "ip saddr 10.20.0.0/21 " + where], check=True)


def state_left_behind():
    """Somebody routes a pod to ids2 in the switch, so that its flows arrive there without their state."""
    with Run("--json", "--seed", "1") as r:
        r.when("traffic", lambda: traffic_flows(r))
        divert(r, "dup to swr fwd to sw2")
        return fault(r, "(connections|assets) differ from the reference")


def traffic_moves(r):
    """A live demo whose first move has been."""
    r.when("the first move", lambda: "moved ids1 -> ids2" in r.text(r.err))


def live_server_killed():
    """What clients notice is a fault, whatever the NFs print."""
    with Run("--json", "--seed", "1", *LIVE) as r:
        traffic_moves(r)
        for process in ("master", "worker"):
            os.kill(r.find("^nginx: " + process), signal.SIGKILL)
        return fault(r, "client errors: ")


def live_state_left_behind():
    with Run("--json", "--seed", "1", *LIVE) as r:
        traffic_moves(r)
        divert(r, "dup to swr fwd to sw1")  # while the state is at ids2
        return fault(r, "(connections|assets) differ from the reference")


def live_copies_lost():
    """The reference misses what the others got: the run says nothing, and that is not OK."""
    with Run("--json", "--seed", "1", *LIVE) as r:
        r.when("clients", lambda: LIVE_MOMENTS["clients"](r))
        divert(r, "tcp dport 80 limit rate 1/second fwd to sw1")
        code, said, o = r.wait(), r.text(r.err), r.report()
        if code != 1 or o["ok"] or not o["invalid"] or not re.search(r"^INVALID \(seed 1\): the machine lost packets", said, re.M):
            raise Failure("exit %d, invalid %s: %s" % (code, o.get("invalid"), said[-400:]))
        r.check_left()
        return "exit 1: " + "; ".join(o["invalid"])[:160]


# ---- options ----

def options():
    wrong = [(("--frob",), "unknown argument '--frob'.*--help"), (("--pps", "many"), "number from 1"), (("--pps", "0"), "number from 1"),
             (("--seed", "x"), "takes a number"), (("--trace",), "needs a file"), (("--space", ""), "needs a flow space"),
             (("--trace", "/absent.pcap"), "no such file"), (("--trace", "/bin/true"), "Say --space"),
             (("--live", "--trace", CAMPUS), "no --trace"), (("--live", "--pps", "9"), "no --pps"), (("--clients", "30"), "go with --live"),
             (("--live", "--clients", "19"), "from 20"), (("--live", "--seconds", "41"), "from 4 to 40")]
    for argv, words in wrong:
        with Run(*argv) as r:
            code, said = r.wait(), r.text(r.err)
            if code != 2 or not re.search(words, said) or r.text(r.out):
                raise Failure("%s: exit %d, said '%s'" % (" ".join(argv), code, said[:200]))
            r.check_left()
    return "%d wrong uses, exit 2" % len(wrong)


# ---- all ----

def campus():
    if not os.path.exists(CAMPUS):
        return None
    return exact("--trace", CAMPUS, "--space", POD, "--seed", "3", "--pps", "2000")


def cases(seed):
    all_cases = {"plain": lambda: exact("--seed", str(seed)), "options": options}
    for name in MOMENTS:
        all_cases["term-" + name] = lambda name=name: ended(name, signal.SIGTERM)
    all_cases["live"] = lambda: live("--seed", str(seed))
    for name in LIVE_MOMENTS:
        all_cases["live-term-" + name] = lambda name=name: ended(name, signal.SIGTERM, False, LIVE_MOMENTS, LIVE)
    all_cases["live-interrupt"] = lambda: ended("clients", signal.SIGINT, True, LIVE_MOMENTS, LIVE)
    all_cases.update({"live-server-killed": live_server_killed, "live-state-left-behind": live_state_left_behind,
                      "live-copies-lost": live_copies_lost})
    all_cases["interrupt-traffic"] = lambda: ended("traffic", signal.SIGINT, True)
    all_cases["hangup-recording"] = lambda: ended("recording", signal.SIGHUP, True)
    all_cases.update({"campus800": campus, "packets-lost": packets_lost, "helper-killed": helper_killed, "nf-killed": nf_killed,
                      "state-left-behind": state_left_behind})
    return all_cases


def judge(name, body):
    """True unless it failed; invalid runs are made again."""
    why = ""
    for _ in range(4):
        try:
            text = body()
            print("skip %s: no %s" % (name, CAMPUS) if text is None else "ok %s: %s" % (name, text), flush=True)
            return True
        except Invalid as e:
            why = "no valid run: %s" % e
            print("  invalid: " + str(e).replace("\n", " | "), flush=True)
        except (Failure, OSError, subprocess.SubprocessError, KeyError, ValueError, TypeError) as e:
            why = "%s: %s" % (type(e).__name__, e)
            break
    print("not ok %s: %s" % (name, why.replace("\n", " | ")[:1500]), flush=True)
    return False


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--full", action="store_true")
    p.add_argument("--seed", type=int, default=random.randrange(1 << 20))
    p.add_argument("--case", default="")
    p.add_argument("--list", action="store_true")
    args = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    every = cases(args.seed)
    names = [n for n in every if re.search(args.case, n)]
    if not args.full and not args.case:
        draw = random.Random(args.seed)
        names = ["plain", "live", "options", "term-" + draw.choice(list(MOMENTS)), "live-term-" + draw.choice(list(LIVE_MOMENTS))]
    if args.list:
        print("\n".join(names))
        return 0
    print("seed %d" % args.seed, flush=True)
    return 0 if all([judge(n, every[n]) for n in names]) else 1


if __name__ == "__main__":
    sys.exit(main())
