#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""judge.py BUILD [NF...]: nothing is printed in the window.

Each NF runs over a trace in which every second packet is marked, under strace and under a library that
processes marked packets in the shim's window and leaves a line in the trace at both edges. The packet
thread may make no output call between them, but for flushing text that is proved older: it is what the NF
prints that sees only the packets before. With the window left closed the judge must object.

$NFSHIM_SEED draws the part of the trace and who is run with the window closed, $NFSHIM_FULL=1 takes all. Skipped (77)
without the traces.
"""
import os
import random
import shutil
import sys

import nfs
import trace_log
from marked_trace import POOL_TEXT, Trace, doubled

TRACE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/traces/campus800.pcap")
PACKETS = 300  # of each half
BEGIN = 4000   # where connections begin, which p0f needs
BITES = 2      # NFs that are run with the window left closed


class Judge:
    def __init__(self, build, work, collector):
        self.build, self.work, self.collector = os.path.abspath(build), work, collector
        self.runs = 0
        full = os.environ.get("NFSHIM_FULL") == "1"
        seed = int(os.environ.get("NFSHIM_SEED") or random.randrange(2**30))
        self.random, self.full = random.Random(seed), full
        whole = Trace.read(TRACE)
        count = len(whole.packets) if full else PACKETS
        first = 0 if full else self.random.randrange(BEGIN)
        print("seed %d: %d packets from number %d on, and as many marked" % (seed, count, first))
        self.half, self.both = doubled(whole.part(first, count))
        self.times = {p[0]: i for i, p in enumerate(self.both.packets)}
        for name, trace in (("half", self.half), ("both", self.both)):
            trace.write(self.path(name + ".pcap"))

    def path(self, name):
        return os.path.join(self.work, name)

    def run(self, nf, trace, env=None, before=()):
        self.runs += 1
        folder = self.path("%d" % self.runs)
        code = nfs.run(nf, self.path(trace), folder, self.collector, self.build, env, before)
        result = nfs.outputs(folder)
        shutil.rmtree(folder)
        return code, folder, result

    def traced(self, nf, window):
        """Run over both halves; (exit status, output calls, edges by thread, outputs by path)."""
        log = self.path("strace-%s-%d" % (nf.name, window))
        preload = ["tests/judge/libbracket.so", "tests/preload/libnfshim_test.so"]
        variables = {"LD_PRELOAD": ":".join(os.path.join(self.build, p) for p in preload), "NFSHIM_DIR": self.work,
                     "NFSHIM_LOG": "err", "JUDGE_WINDOW": str(window)}
        before = [*trace_log.STRACE, "-o", log, *(x for k, v in variables.items() for x in ("-E", k + "=" + v))]
        code, folder, out = self.run(nf, "both.pcap", None, before)
        calls, edges = trace_log.read(log)
        return code, calls, edges, {os.path.join(folder, name): text for name, text in out.items()}

    def is_older(self, nf, call, end, outputs):
        """Is what @call flushed, up to byte @end of its file, printed by an NF that saw only what came before?"""
        content = outputs.get(call.target)
        if content is None or end > len(content) or call.name not in ("write", "writev"):
            return False
        before = self.both.part(0, self.times[call.packet])
        before.packets = before.packets[::2]
        before.write(self.path("before.pcap"))
        printed = self.run(nf, "before.pcap")[2].get(os.path.basename(call.target), b"")
        return nfs.tidy(printed, nf.counts).startswith(nfs.tidy(content[:end], nf.counts))

    def leaks(self, nf, calls, outputs):
        """(output calls inside the brackets that are not proved older, number of those that are)."""
        ends, leaks, older = {}, [], 0
        for call in calls:
            ends[call.target] = ends.get(call.target, 0) + max(call.result, 0)
            if not call.packet:
                continue
            if self.is_older(nf, call, ends[call.target], outputs):
                older += 1
            else:
                leaks.append(call)
        return leaks, older

    def check_edges(self, nf, edges):
        if sum(edges.values()) < 0.5 * len(self.both.packets) or len(edges) != 1:
            return ["the window's edges are not in the trace: %s" % edges]
        return []

    def check_text(self, nf, outputs):
        """What @nf prints at once: nothing of the marked half, and for the other what it prints without it."""
        faults, named = [], {os.path.basename(p): text for p, text in outputs.items()}
        alone = self.run(nf, "half.pcap")[2] if nf.exact else {}
        for name, text in named.items():
            m = POOL_TEXT.search(text) if nf.at_once and (not nf.note or name in nf.at_once) else None
            if m:
                faults.append("%s names the marked address %s" % (name, m.group().decode()))
        for name in nf.at_once:
            if not named.get(name):
                faults.append("%s is empty" % name)
            if nf.exact and nfs.tidy(named.get(name, b""), nf.counts) != nfs.tidy(alone.get(name, b""), nf.counts):
                faults.append("%s is not what it is without the marked half" % name)
        return faults

    def others(self, nf, calls, edges, outputs):
        """An honest row: who else writes, and where marked packets are named all the same."""
        row = [nf.note] if nf.note else []
        n = sum(1 for c in calls if c.thread not in edges and os.path.dirname(c.target) in {os.path.dirname(p) for p in outputs})
        if n:
            row.append("%d output calls of other threads" % n)
        names = [os.path.basename(p) for p, text in sorted(outputs.items()) if POOL_TEXT.search(text)]
        if names:
            row.append("marked packets are in " + ", ".join(names))
        return "".join("; " + r for r in row)

    def judge(self, nf):
        code, calls, edges, outputs = self.traced(nf, 1)
        leaks, older = self.leaks(nf, calls, outputs)
        faults = self.check_edges(nf, edges) + self.check_text(nf, outputs)
        if code:
            faults.append("exit status %d" % code)
        if leaks:
            c = leaks[0]
            faults.append("%d output calls in the window, first %s(%s)" % (len(leaks), c.name, c.args[:150]))
        print("%s %s: %d edges, %d output calls, in the window %d and %d of older text%s" % (
            "not ok" if faults else "ok", nf.name, sum(edges.values()), len(calls), len(leaks), older,
            self.others(nf, calls, edges, outputs)))
        for fault in faults:
            print("       " + fault)
        return not faults

    def bites(self, nf):
        """With the window closed the judge must see what is printed in it."""
        code, calls, edges, outputs = self.traced(nf, 0)
        leaks = self.leaks(nf, calls, outputs)[0] if nf.name != "tcpdump-w" else []
        faults = self.check_edges(nf, edges) + ([] if code == 0 else ["exit status %d" % code])
        seen = bool(leaks) or bool(self.check_text(nf, outputs))
        ok = seen and not faults
        print("%s %s, window left closed: %s" % ("ok" if ok else "not ok", nf.name,
              "%d output calls are objected to" % len(leaks) if leaks else "text objected to" if seen else "nothing is objected to"))
        return ok


def main():
    build, only = sys.argv[1], sys.argv[2:]
    if not os.path.exists(TRACE):
        print("skip: no " + TRACE)
        return 77
    with nfs.workplace() as (work, collector):
        judge = Judge(build, work, collector)
        everyone = nfs.NFS + nfs.SAMPLES
        chosen = [n for n in everyone if n.name in only] if only else [n for n in everyone if not n.known]
        for nf in everyone:
            if nf.known and nf not in chosen:
                print("not judged: %s, %s" % (nf.name, nf.known))
        verdicts = [judge.judge(nf) for nf in chosen]
        biting = [n for n in chosen if n.at_once]
        if not judge.full:
            biting = judge.random.sample(biting, min(BITES, len(biting)))
        verdicts += [judge.bites(nf) for nf in biting]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
