#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What comes late, or too early, or again: stragglers, reused ports, a hold that is too small.

    late.py [--build DIR] [--full | --runs N] [--seed N] [--case PATTERN] [--list]

forwarded     packets on the old path during the linger: FWD, processed once, by the destination
forgotten     packets on the old path after it: new flows at the source, the destination undisturbed
reuse-*       connections that have ended begin anew during the linger; the source's deletion at its
              end touches them neither there nor in the way of a move back
downgraded    the hold fills while the commit is held up: order is given up, nothing is lost
too-early     the hold fills before the route has changed: the move is aborted, nothing has happened
All are judged by seqhash, reuse-prads by stock PRADS.
"""
import os
import sys
import time
from collections import Counter

from harness import CAMPUS, POD, Invalid, run, wait_for
from job import expect, lines, main
from pcap import Closing, Trace, connection

PPS = 1500
FOR_EVER = "600000"  # a linger that only the next move ends


def send_beside(lab, job, path, name, dev):
    """Packets past the switch and the reference, at a moment when @name gets no others. What it must and does print."""
    want, before = job.fresh(path), len(lines(lab, name))
    lab.replay(path, PPS, dev=dev).wait()
    wait_for("%s to print %d lines" % (name, len(want)), lambda: len(lines(lab, name)) >= before + len(want))
    return want, before


def cut_beside(lab, name, want, before):
    """Once the NFs have ended: those lines are as they must be, and are taken away from the judges."""
    got = lines(lab, name)
    expect("%s printed for the packets sent past the switch what a fresh NF prints" % name,
           got[before:before + len(want)] == want)
    with open(lab.path(name + ".out"), "w", encoding="latin-1") as f:
        f.writelines(line + "\n" for line in got[:before] + got[before + len(want):])


def move_amid(lab, replay, seconds, *move):
    """A move at a random time of a replay of @seconds, and the replay's end."""
    time.sleep(seconds * lab.random.uniform(0.2, 0.7))
    result = lab.move(*move)
    if replay.wait():
        raise Invalid("tcpreplay failed")
    return result


# ---- stragglers ----

def forwarded(job):
    a, b, c = job.campus.records[:3000], job.campus.records[3000:3600], job.campus.records[3600:6600]
    late = job.file("b", b)
    fwd = len(Trace(job.of_space(late)).records)
    with job.lab() as lab:
        replay = lab.replay(job.file("a", a), PPS)
        there = move_amid(lab, replay, len(a) / PPS, "ids1", "ids2", POD, "--linger", FOR_EVER)
        for dev in ("swr", "sw1"):
            lab.replay(late, PPS, dev=dev).wait()
        wait_for("%d forwarded packets in nfctl show" % fwd, lambda: lab.show(there["id"])["fwd"] == fwd)
        replay = lab.replay(job.file("c", c), PPS)
        back = move_amid(lab, replay, len(c) / PPS, "ids2", "ids1", POD, "--linger", "100")
        expect("the first move has ended", lab.wait_over(there["id"])["fwd"] == fwd)
        lab.wait_over(back["id"])
        return "%d packets forwarded; %s" % (fwd, "; ".join(lab.finish(len(a + b + c))))


def forgotten(job):
    a, b, c = (job.campus.records[i:i + 2500] for i in (0, 2500, 5000))
    space = Trace(job.of_space(job.file("a", a))).records
    strays = job.file("strays", [space[i] for i in sorted(job.random.sample(range(len(space)), 300))])
    with job.lab(nf_args=["--line-buffered"], evlog=False) as lab:
        replay = lab.replay(job.file("a", a), PPS)
        there = move_amid(lab, replay, len(a) / PPS, "ids1", "ids2", POD, "--linger", "100")
        lab.wait_over(there["id"])
        want, before = send_beside(lab, job, strays, "ids1", "sw1")
        lab.replay(job.file("b", b), PPS).wait()
        # What the source made of them is its own now: it stands in the way of a move back, and says so.
        replay = lab.replay(job.file("c", c), PPS)
        code, back = lab.nfctl("move", "ids2", "ids1", POD, "--wait")
        expect("the move back was aborted for flows of ids1's own: %s" % back,
               code == 1 and back["state"] == "aborted" and "of its own" in back["reason"])
        if replay.wait():
            raise Invalid("tcpreplay failed")
        lab.stop_valid(len(a + b + c), beside=len(want))
        cut_beside(lab, "ids1", want, before)
        return "%d packets came too late; %s" % (len(want), "; ".join(lab.compare()))


# ---- the same ports again ----

def closed_connections(job, nf):
    """A trace of some connections of both pods, all of them closed at its end."""
    path = CAMPUS
    if nf == "prads":
        path = os.path.join(job.tmp, "distinct.pcap")
        run(os.path.join(job.build, "tests/tools/trace_copies"), "--bucket-distinct", CAMPUS, path)
    trace, closing, size = Trace(path), Closing(), Counter()
    for i, r in enumerate(trace.records):
        closing.add(r, i)
        c = connection(r)
        size[c[0] if c else None] += 1
    chosen = set(sorted(closing.closed, key=lambda k: (size[k], k))[:200])
    return [r for r in trace.records if (c := connection(r)) and c[0] in chosen]


def reuse(job, nf):
    records = closed_connections(job, nf)
    path, n = job.file("closed", records), len(records)
    with job.lab(nf=nf, distinct=nf == "prads") as lab:
        lab.arm("shim.ids1.delete")
        there = move_amid(lab, lab.replay(path, PPS), n / PPS, "ids1", "ids2", "all", "--linger", "10")
        lab.wait_held("shim.ids1.delete")
        expect("the source still has them", lab.show(there["id"])["stage"] == "linger")
        replay, before = lab.replay(path, PPS // 2), lab.rx("ids2")
        wait_for("connections to begin anew", lambda: lab.rx("ids2") - before > n // 3)
        lab.release("shim.ids1.delete")
        lab.wait_over(there["id"])
        if replay.poll() is not None:
            raise Invalid("the traffic was over before the source deleted its flows")
        replay.wait()
        back = move_amid(lab, lab.replay(path, PPS), n / PPS, "ids2", "ids1", "all", "--linger", "10")
        lab.wait_over(back["id"])
        texts = lab.finish(3 * n)
        return "%d+%d flows moved; %s" % (there["flows"], back["flows"], "; ".join(texts))


# ---- a hold that is too small ----

def totals(path):
    """Lines and the last count of each flow."""
    n, last = Counter(), Counter()
    for line in open(path, encoding="latin-1"):
        flow, count, _ = line.rsplit(" ", 2)
        n[flow] += 1
        last[flow] = max(last[flow], int(count))
    return n, last


def same_totals(lab):
    n, last = totals(lab.path("ref.out"))
    got, got_last = Counter(), Counter()
    for name in ("ids1", "ids2"):
        m, l = totals(lab.path(name + ".out"))
        got += m
        got_last |= l
    expect("each packet was printed once", n == got)
    expect("each flow's counter ends where the reference's does", last == got_last)


def downgraded(job):
    records = job.campus.records[:6000]
    point = job.random.choice(["shim.ids1.mark", "shim.ids1.fin", "xfer.ids1.finall", "xfer.ids2.fin"])
    with job.lab() as lab:
        lab.arm(point)
        replay = lab.replay(job.file("a", records), PPS)
        time.sleep(len(records) / PPS * lab.random.uniform(0.2, 0.5))
        p = lab.start_move("ids1", "ids2", POD, "--hold-packets", "8", "--linger", "100")
        lab.wait_held(point)
        before = lab.rx("ids2")
        wait_for("packets of the space at ids2", lambda: lab.rx("ids2") - before > 60)
        lab.release(point)
        text = p.communicate(timeout=60)[0]
        code, result = lab.nfctl("show", "1")
        expect("the move is done: %s" % text, p.returncode == 0 and code == 0 and result["state"] == "done")
        expect("flows were downgraded: %s" % result, result["downgraded"] > 0)
        expect("there is a warning: %s" % result, any("the hold was full" in w for w in result["warnings"]))
        expect("the hold kept to its limit: %s" % result, result["held_max"] <= 8)
        lab.wait_over(result["id"])
        if replay.wait():
            raise Invalid("tcpreplay failed")
        texts = lab.finish(len(records), ordered=False)
        same_totals(lab)
        return "%d flows downgraded at %s; %s" % (result["downgraded"], point, "; ".join(texts))


def too_early(job):
    records = job.campus.records[:6000]
    early = job.file("early", Trace(job.of_space(job.file("a", records[:2000]))).records[-200:])
    with job.lab(nf_args=["--line-buffered"], evlog=False) as lab:
        lab.arm("ctrl.prepare-dst")
        replay = lab.replay(job.file("all", records), PPS)
        time.sleep(2000 / PPS)
        p = lab.start_move("ids1", "ids2", POD, "--hold-packets", "8", "--deadline", "20000")
        lab.wait_held("ctrl.prepare-dst")
        want, before = send_beside(lab, job, early, "ids2", "sw2")
        lab.release("ctrl.prepare-dst")
        text = p.communicate(timeout=60)[0]
        code, result = lab.nfctl("show", "1")
        expect("the move was aborted for its hold: %s" % text, p.returncode == 1 and code == 0 and
               result["state"] == "aborted" and "the hold was full before the route changed" in result["reason"])
        lab.wait_over(result["id"])
        if replay.wait():
            raise Invalid("tcpreplay failed")
        lab.stop_valid(len(records), beside=len(want))
        cut_beside(lab, "ids2", want, before)
        expect("nothing else came out of ids2", not lines(lab, "ids2"))
        return "aborted; " + "; ".join(lab.compare())


# ---- all of them ----

CASES = {
    "forwarded": forwarded,
    "forgotten": forgotten,
    "reuse-seqhash": lambda job: reuse(job, "seqhash"),
    "reuse-prads": lambda job: reuse(job, "prads"),
    "downgraded": downgraded,
    "too-early": too_early,
}


def sample(draw):
    return ["forwarded", "forgotten", draw.choice(["reuse-seqhash", "reuse-prads"]), draw.choice(["downgraded", "too-early"])]


if __name__ == "__main__":
    sys.exit(main(__doc__, CASES, sample))
