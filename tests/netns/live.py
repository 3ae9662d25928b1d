#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Live moves between two stock NFs under traffic, judged against a reference that never moved.

    live.py [--build DIR] [--full | --runs N] [--seed N] [--case PATTERN] [--list]

Each run replays campus800, or re-addressed copies of it that last 20 s, moves the space from ids1 to
ids2 and back at random times and is paired with a run without a move. With --full each case must be
exact in 20 of 20 valid runs; else a sample drawn by the seed is run once.

In the cases *-nothing-moved the route of campus800's one pod changes midway and no state is moved:
the same judges must object.
"""
import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
from copy import copy

from harness import CAMPUS, POD, Failure, Invalid
from move_run import MOST_INVALID, Case, count, many, unmoved

VETH = "-veth"  # clones come through a bridge
CASES = {
    "seqhash-pod-2000": Case("seqhash", POD, 2000, 20),
    "seqhash-all-2000": Case("seqhash", "all", 2000, 20),
    "prads-pod-2000": Case("prads", POD, 2000),
    "prads-all-2000": Case("prads", "all", 2000),
    "seqhash-pod-20000": Case("seqhash", POD, 20000, 20),
    "seqhash-all-20000": Case("seqhash", "all", 20000, 20),
    "prads-pod-20000": Case("prads", POD, 20000, 20),
    "prads-all-20000": Case("prads", "all", 20000, 20),
    "seqhash-hosts-20000": Case("seqhash", POD, 20000, 20, hosts=True),
}
# The other ways to read packets.
INPUTS = ("dispatch", "next", "next_ex", "select+next", "epoll+next_ex")
CASES.update({"seqhash-%s-2000" % i: Case("seqhash", POD, 2000, nf_args=("--input", i)) for i in INPUTS})
# Without libpcap, one with a filter.
SOCKETS = ("socket-recvfrom", "socket-read", "socket-recvmmsg", "socket-dgram")
for name, case in list(CASES.items()):
    CASES[name + VETH] = copy(case)
    CASES[name + VETH].inject = "veth"
for i in SOCKETS:
    filtered = ("-f", "ip or ip6 or arp") * (i == "socket-read")
    CASES["seqhash-%s-2000" % i] = Case("seqhash", POD, 2000, nf_args=("--input", i, *filtered))
UNMOVED = {nf + "-nothing-moved": Case(nf, POD, 4000) for nf in ("seqhash", "prads")}
FIGURES = ("flows", "records", "bytes_per_flow", "clones", "held_max", "buffered_max", "reserve_max", "total_ms")
PHASES = ("begin_ms", "export_ms", "prepare_ms", "route_ms", "mark_ms", "commit_ms")


def figure(move, key):
    if key == "bytes_per_flow":  # records of hosts included
        return move["state_bytes"] / max(1, move["flows"])
    return move["phases"][key] if key in PHASES else move[key]


def spread(results, key):
    """min/median/max over all moves of all runs."""
    v = sorted(figure(move, key) for moves in results for move in moves)
    return "%s=%s" % (key, "/".join("%.4g" % x for x in (v[0], v[len(v) // 2], v[-1])))


def chosen(args):
    names = [n for n in CASES if re.search(args.case, n)]
    if args.full or args.runs or args.case:
        return names
    # One of each NF and of each rate and another way to read, one of them by veth, the rest is chance.
    # Clones do not come to packet sockets by veth.
    r = random.Random(args.seed)
    pick = [r.choice([n for n in names if n.startswith("seqhash") and n.endswith("-20000")]),
            r.choice([n for n in names if n.startswith("prads") and n.endswith("-2000")]),
            r.choice([n for n in names if n.startswith("prads") and n.endswith("-20000")]),
            "seqhash-%s-2000" % (way := r.choice(INPUTS + SOCKETS))]
    pick[r.randrange(len(pick) - (way in SOCKETS))] += VETH
    return [n for n in names if n in pick]


def objections(build, case, seed):
    """What the judges said of a run in which only the route changed. Failure if one was content."""
    for attempt in range(MOST_INVALID + 1):
        try:
            said = unmoved(build, case, CAMPUS, count(CAMPUS), seed + 1000 * attempt)
            break
        except Invalid as e:
            print("  invalid: %s" % e, flush=True)
    else:
        raise Failure("%d invalid runs" % (MOST_INVALID + 1))
    text = "; ".join("%s: exit %d, %s" % (program, code, counts) for program, code, counts in said)
    if any(code != 1 for _, code, _ in said):
        raise Failure("a judge did not object: " + text)
    if any(not (counts["missing"] and counts["extra"]) for program, _, counts in said if program != "evcheck"):
        raise Failure("nothing missing, or nothing extra: " + text)
    return text


def check_unmoved(args):
    failed = 0
    for name in [n for n in UNMOVED if re.search(args.case, n)]:
        if not os.path.exists(CAMPUS):
            print("skip %s: no %s" % (name, CAMPUS))
            continue
        try:
            print("ok %s: %s" % (name, objections(args.build, UNMOVED[name], args.seed)), flush=True)
        except (Failure, subprocess.SubprocessError) as e:
            failed += 1
            print("not ok %s: %s" % (name, str(e).replace("\n", " | ")[:500]), flush=True)
    return failed


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--build", default=os.environ.get("NFSHIM_BUILD", "build"))
    p.add_argument("--full", action="store_true")
    p.add_argument("--runs", type=int, default=0)
    p.add_argument("--seed", type=int, default=random.randrange(1 << 20))
    p.add_argument("--case", default="")
    p.add_argument("--list", action="store_true")
    args = p.parse_args()
    names = chosen(args)
    if args.list:
        print("\n".join(names + [n for n in UNMOVED if re.search(args.case, n)]))
        return 0
    print("seed %d" % args.seed, flush=True)
    failed = check_unmoved(args)
    for name in names:
        if not os.path.exists(CAMPUS):
            print("skip %s: no %s" % (name, CAMPUS))
            continue
        runs = args.runs or (20 if args.full else 1)
        with tempfile.TemporaryDirectory() as tmp:
            try:
                results, invalid = many(args.build, CASES[name], runs, args.seed, tmp, lambda t: print(t, flush=True))
            except Failure as e:
                failed += 1
                print("not ok %s: %s" % (name, str(e).replace("\n", " | ")[:500]), flush=True)
                continue
        print("ok %s: %d of %d runs exact, %d invalid; min/median/max %s" %
              (name, runs, runs, invalid, " ".join(spread(results, k) for k in FIGURES + PHASES)), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
