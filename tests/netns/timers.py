#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""SIGALRM, the timer of stock PRADS, fired at every step of a move and of the move back.

    timers.py [--build DIR] [--full | --runs N] [--seed N] [--pps N] [--case PATTERN] [--list]

No two connections of the traces share a bucket, so PRADS itself forgets none, and the output of the
two must be that of the reference, line by line. Two more of its own differences are kept out:
  - its sweep ends a closed connection after five silent seconds; a packet after that would begin
    another one, at one instance and perhaps not at the other. Connections with a longer silence
    after their close are left out of the trace.
  - no SIGALRM comes before one of three points of the first move: the source is armed, exports, has
    exported. So at the first one there are connections of the space that every sweep ends. They must
    move nevertheless, and are counted.
"points" holds a party of the move at each pause point and fires then; "storm" fires all the time.
"""
import os
import re
import signal
import sys
import tempfile
import threading
import time

from cases import FULL_RUNS, judge, options, repeat
from harness import CAMPUS, POD, Failure, Invalid, Lab, run, wait_for
from pcap import Closing, Trace, connection

CASES = {"%s-%s" % (how, n): (how, copies) for how in ("points", "storm") for n, copies in (("one", 1), ("two", 2))}
LATE_RATE = 300  # packets a second while the moves happen
LATE = 2300      # packets while they happen: many connections of campus800 close only shortly before its end
QUIET = 6.0      # seconds after which every sweep ends a closed connection, whatever the fractions are
SILENCE = 4.0    # most that a closed connection may be silent between two packets

# What is held, in a move from {s} to {d}. The first ones come before the source is armed.
UNARMED = ["ctrl.begin-dst", "xfer.{d}.begin-dst", "shim.{d}.begin-dst", "ctrl.begin-src", "xfer.{s}.dial",
           "xfer.{s}.begin-src"]
ARMED = (["shim.{s}." + p for p in ("begin-src", "export", "exported", "prepare", "barrier", "mark", "fin", "finall",
                               "done", "released", "delete")] +
         ["shim.{d}." + p for p in ("prepare", "ready", "finall", "done", "committed")] +
         ["xfer.{s}." + p for p in ("export", "exported", "prepare", "barrier", "mark", "fin", "finall",
                                    "done", "release", "delete")] +
         ["xfer.{d}." + p for p in ("export", "prepare", "barrier", "ready", "fin", "finall", "done", "committed",
                                    "delete")] +
         ["ctrl." + p for p in ("prepare-dst", "prepare-src", "intent", "route", "grace", "mark", "committed", "end")])
# Where the first alarm of a run is fired, and what comes before it.
STARTS = [("shim.{s}.begin-src", []),
          ("shim.{s}.export", ["shim.{s}.begin-src"]),
          ("shim.{s}.exported", ["shim.{s}.begin-src", "shim.{s}.export", "xfer.{s}.export", "xfer.{d}.export"])]


# ---- the trace, in two parts: before the silence that makes closed connections old, and after ----

def parts(build, copies, pps, tmp):
    path = os.path.join(tmp, "distinct.pcap")
    run(os.path.join(build, "tests/tools/trace_copies"), "--bucket-distinct", "--copies", str(copies), CAMPUS, path)
    trace = Trace(path)
    split = len(trace.records) - LATE
    closing = Closing()
    for i, r in enumerate(trace.records):
        closing.add(r, i / pps if i < split else split / pps + QUIET + 2 + (i - split) / LATE_RATE)
    bad = {k for k, s in closing.silence.items() if s > SILENCE}
    kept = [[r for r in part if not is_one_of(r, bad)] for part in (trace.records[:split], trace.records[split:])]
    files = [trace.write(os.path.join(tmp, "part%d.pcap" % i), part) for i, part in enumerate(kept)]
    return files, sum(map(len, kept))


def is_one_of(record, keys):
    c = connection(record)
    return c is not None and c[0] in keys


# ---- the alarms ----

def is_pending(pid, sig):
    text = open("/proc/%d/status" % pid).read()
    masks = re.findall(r"^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)", text, re.M)
    return any(int(m, 16) >> (sig - 1) & 1 for m in masks)


class Alarms(threading.Thread):
    """Fires from start() to finish(), each time at all three NFs."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.lab, self.fired, self.over, self.error = lab, 0, threading.Event(), None

    def fire(self):
        for name in self.lab.names():
            self.lab.procs[name].send_signal(signal.SIGALRM)
        for name in self.lab.names():
            wait_for("SIGALRM to reach " + name, lambda p=self.lab.procs[name].pid: not is_pending(p, signal.SIGALRM))
        self.fired += 1

    def run(self):
        try:
            self.work()
        except Exception as e:  # told by finish()
            self.error = e

    def finish(self):
        self.over.set()
        self.join()
        if self.error:
            raise self.error


class Storm(Alarms):
    def __init__(self, lab, src, dst, start):
        super().__init__(lab)
        self.first = start[0].format(s=src, d=dst) if start else None
        if start:
            lab.arm(self.first)

    def work(self):
        if self.first:
            self.lab.wait_held(self.first)
        while not self.over.is_set():
            self.fire()
            if self.fired == 1 and self.first:
                self.lab.release(self.first)
            time.sleep(self.lab.random.uniform(0.001, 0.02))


class AtPoints(Alarms):
    """Once at each point, while somebody is held there."""

    def __init__(self, lab, src, dst, start):
        super().__init__(lab)
        points = [p for p in ARMED if p not in start[1]] if start else UNARMED + ARMED
        self.left = [p.format(s=src, d=dst) for p in points]
        for p in self.left:
            lab.arm(p)

    def work(self):
        while not self.over.is_set():
            for p in [p for p in self.left if self.lab.is_held(p)]:
                self.fire()
                self.lab.release(p)
                self.left.remove(p)
            time.sleep(0.002)

    def finish(self):
        super().finish()
        if self.left:
            raise Failure("nobody came to " + ", ".join(self.left))


# ---- a run ----

def final_lines(path):
    """End, in seconds, of the connections that a PRADS reported as over, by their key."""
    ends = {}
    for line in open(path, encoding="latin-1"):
        f = line.rstrip("\n").split("|")
        if len(f) == 16 and f[-1] in ("[ended]", "[expired]"):
            ends[tuple(f[4:9])] = time.mktime(time.strptime(f[2], "%Y-%m-%d %H:%M:%S"))
    return ends


def new_lines(path):
    lines = (line.rstrip("\n").split("|") for line in open(path, encoding="latin-1"))
    return {tuple(f[4:9]) for f in lines if len(f) == 16 and f[-1] == "[New]"}


def moved_though_old(lab, when):
    """Connections that began at the source and were reported by the destination, old enough for any sweep at @when."""
    began, ended = new_lines(lab.path("ids1.out")), final_lines(lab.path("ids2.out"))
    return sum(1 for key in began if ended.get(key, when) <= when - QUIET)


def move(lab, alarms, src, dst):
    alarms.start()
    try:
        result = lab.move(src, dst, POD, "--linger", "500", "--deadline", "20000", "--slice-flows", "1")
        lab.wait_over(result["id"])
    finally:
        alarms.finish()
    return result


def one(build, how, files, sent, pps, seed, start):
    kind = {"points": AtPoints, "storm": Storm}[how]
    with Lab(build, "prads", seed=seed, pause=True, distinct=True) as lab:
        lab.replay(files[0], pps).wait()
        time.sleep(QUIET)
        replay = lab.replay(files[1], LATE_RATE)
        begin = time.time()
        results, fired = [], 0
        for first, src, dst in ((start, "ids1", "ids2"), (None, "ids2", "ids1")):
            if replay.poll() is not None:
                raise Invalid("the traffic was over before the move to " + dst)
            alarms = kind(lab, src, dst, first)
            results.append(move(lab, alarms, src, dst))
            fired += alarms.fired
        if replay.wait():
            raise Invalid("tcpreplay failed")
        texts = lab.finish(sent)
        old = moved_though_old(lab, begin)
        if not old:
            raise Failure("no connection moved that every sweep ends: one has swept the source's during the move")
        return "%d alarms from %s on, clones %s, %d moved though old; %s" % (
            fired, start[0].format(s="ids1"), "+".join(str(r["clones"]) for r in results), old, "; ".join(texts))


def case(build, name, seed, runs, pps):
    how, copies = CASES[name]

    def run_of(files, sent, i, n):
        start = STARTS[(seed + i + (how == "storm")) % len(STARTS)]
        said = one(build, how, files, sent, pps, n, start)
        print("  run %d: %s" % (i + 1, said), flush=True)
        return said

    with tempfile.TemporaryDirectory() as tmp:
        files, sent = parts(build, copies, pps, tmp)
        said, invalid = repeat(runs, seed, lambda i, n: run_of(files, sent, i, n))
    return "%d of %d runs exact, %d invalid; %s" % (runs, runs, invalid, said[-1])


def main():
    p = options(__doc__)
    p.add_argument("--pps", type=int, default=2500, help="rate before the moves")
    args = p.parse_args()
    names = [n for n in CASES if re.search(args.case, n)]
    if not (args.full or args.runs or args.case):
        names = [n for n in names if n.endswith("-one")]
    if args.list:
        print("\n".join(names))
        return 0
    print("seed %d" % args.seed, flush=True)
    runs = args.runs or (FULL_RUNS if args.full else 1)
    return 1 if judge(names, lambda name: case(args.build, name, args.seed, runs, args.pps)) else 0


if __name__ == "__main__":
    sys.exit(main())
