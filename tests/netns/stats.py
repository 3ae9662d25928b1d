#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What was dropped, as `nfctl stats` and the trace of dropped calls tell it, in a live move of seqhash.

    stats.py [--build DIR] [--full] [--seed N] [--case PATTERN] [--list]

seqhash puts out one line a packet. So after a move the destination has dropped one line for each packet that it
reprocessed: the counters, the trace, and what the move counts must agree, and each line of the trace must name the
packet whose line it is. "policy": with stdio = pass at the destination all of these lines get out instead.
"""
import os
import re
import signal
import sys
import tempfile

from cases import judge, options
from harness import CAMPUS, POD, Failure, Lab, run, wait_for

PPS = 1500
TRACED = re.compile(r'(\w+) fd (\d+) (\S+) (\d+) bytes "(.*?)(\.\.\.)?" packet (\d+) at (\d+\.\d{9}) (\w.*)')


class StatsLab(Lab):
    """Each NF has a trace of its own; @policy is the output policy of ids2."""

    def __init__(self, build, seed, policy=""):
        super().__init__(build, "seqhash", seed=seed, evlog=False)
        self.policy = policy

    def spawn(self, name, argv, env=None):
        if name in ("ids1", "ids2", "ref"):
            env = dict(env or {}, NFSHIM_TRACE_DROPS=self.path(name + ".trace"))
        if name == "ids2" and self.policy:
            env["NFSHIM_OUTPUT"] = self.path("policy")
            with open(env["NFSHIM_OUTPUT"], "w", encoding="ascii") as f:
                f.write(self.policy)
        return super().spawn(name, argv, env)

    def stats(self, *name):
        """Of each instance: what nfctl tells, with the families by name."""
        code, r = self.nfctl("stats", *name)
        check(code == 0 and r["ok"], "stats: %s" % r)
        return {i["name"]: dict(i, families={f["family"]: f for f in i["families"]}) for i in r["instances"]}

    def refused(self, want, words, *argv):
        code, r = self.nfctl(*argv)
        check(code == want and re.search(words, r["error"]), "%s: exit %d: %s" % (" ".join(argv), code, r))


def check(ok, what):
    if not ok:
        raise Failure(what)


def total(instance, what):
    return sum(f[what] for f in instance["families"].values())


def traced(lab, name):
    with open(lab.path(name + ".trace"), encoding="ascii") as f:
        return [TRACED.fullmatch(line.rstrip("\n")) or line for line in f]


# ---- cases ----

def move(lab, trace):
    """Flows that live, a move of half of them; the counters before it and after it."""
    replay = lab.replay(trace, PPS)
    try:
        wait_for("packets at ids1", lambda: lab.stats("ids1")["ids1"]["packets"] > 1000)
        before = lab.stats()
        result = lab.move("ids1", "ids2", POD, "--slice-flows", "1")
        wait_for("packets at ids2 afterwards", lambda: lab.stats("ids2")["ids2"]["packets"] > 500)
    finally:
        replay.terminate()
        replay.wait()
    return before, lab.wait_over(result["id"]), lab.stats()


def dropped(lab, trace):
    before, result, after = move(lab, trace)
    clones = result["clones"]
    check(clones > 0, "no packet was reprocessed: %s" % result)
    for i in list(before.values()) + [after["ids1"]]:
        check(i["fresh"] and i["pid"] and total(i, "calls") == 0, "calls in a window without one: %s" % i)
    ids2 = after["ids2"]
    lines = traced(lab, "ids2")
    check(all(isinstance(m, re.Match) for m in lines), "not a line of the trace: %s" % [m for m in lines if isinstance(m, str)][:1])
    check(total(ids2, "calls") == total(ids2, "dropped") == len(lines), "%d lines of the trace: %s" % (len(lines), ids2))
    check(total(ids2, "bytes") == sum(int(m[4]) for m in lines), "bytes of the trace and of %s" % ids2)
    check(ids2["families"]["stdio"]["dropped"] == len(lines), "not only stdio: %s" % ids2)
    check(len({m[7] for m in lines}) == clones, "%d clones, %d packets in the trace" % (clones, len({m[7] for m in lines})))
    begun = [m for m in lines if m[1] != "putchar"]
    check(len(begun) >= clones, "%d clones, %d lines" % (clones, len(begun)))
    for m in lines:
        check(m[3] == lab.path("ids2.out"), "another file: %s" % m[0])
    for m in (m for m in begun if int(m[4]) > 20):
        check(m[5].startswith((m[9] + " ")[:64]), "a line of another packet: %s" % m[0])
    check(os.path.getsize(lab.path("ids1.trace")) == 0, "the source has dropped something")
    return "%d clones, %d calls, %d bytes" % (clones, len(lines), total(ids2, "bytes"))


def answers(lab):
    """Questions that are wrong, and instances that cannot answer."""
    nfctl = [os.path.join(lab.build, "ctrl/nfctl"), "--dir", lab.run_dir]
    table = run(*nfctl, "stats", "ids2").splitlines()
    check(re.fullmatch(r"NAME +FAMILY +CALLS +DROPPED +BYTES", table[0]), "the table begins with %s" % table[0])
    row = next(line.split() for line in table if line.split()[:2] == ["ids2", "stdio"])
    want = lab.stats("ids2")["ids2"]["families"]["stdio"]
    check([int(n) for n in row[2:]] == [want["calls"], want["dropped"], want["bytes"]], "the table has %s" % row)
    lab.refused(3, "no instance 'ids9'; known: ids1, ids2", "stats", "ids9")
    lab.refused(2, "at most one instance", "stats", "ids1", "ids2")
    lab.procs["ids1"].send_signal(signal.SIGSTOP)
    # Its answer to an earlier question of nfxfer's may still be on its way.
    late = wait_for("no answer of a stopped NF", lambda: (r := lab.stats()) and not r["ids1"]["fresh"] and r)
    lab.procs["ids1"].send_signal(signal.SIGCONT)
    check(late["ids2"]["fresh"], "with a stopped NF: %s" % late)
    wait_for("ids1 to answer again", lambda: lab.stats("ids1")["ids1"]["fresh"])
    lab.kill("xfer.ids1")
    wait_for("the controller to miss a helper",
             lambda: "no helper speaks for ids1" in lab.stats("ids1")["ids1"]["reason"])


def case_drops(build, seed, trace):
    with StatsLab(build, seed) as lab:
        said = dropped(lab, trace)
        answers(lab)
    return said


def case_policy(build, seed, trace):
    with StatsLab(build, seed, "[function]\nstdio = pass\n") as lab:
        _, result, after = move(lab, trace)
        stdio = after["ids2"]["families"]["stdio"]
        check(result["clones"] > 0 and stdio["calls"] >= result["clones"], "%s: %s" % (result["clones"], stdio))
        check(total(after["ids2"], "dropped") == 0 and os.path.getsize(lab.path("ids2.trace")) == 0, "dropped: %s" % after["ids2"])
        return "%d clones, %d calls passed" % (result["clones"], stdio["calls"])


CASES = {"drops": case_drops, "policy": case_policy}


def case(args, name):
    with tempfile.TemporaryDirectory() as tmp:
        trace = os.path.join(tmp, "trace.pcap")
        run(os.path.join(args.build, "tests/tools/trace_copies"), "--seconds", "60", "--pps", str(PPS), CAMPUS, trace)
        return CASES[name](args.build, args.seed, trace)


def main():
    args = options(__doc__).parse_args()
    names = [n for n in CASES if re.search(args.case, n)]
    if not (args.full or args.case):
        names = ["drops"]
    if args.list:
        print("\n".join(names))
        return 0
    print("seed %d" % args.seed, flush=True)
    return 1 if judge(names, lambda name: case(args, name)) else 0


if __name__ == "__main__":
    sys.exit(main())
