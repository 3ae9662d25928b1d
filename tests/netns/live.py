#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Live moves between two stock NFs under traffic, judged against a reference that never moved.

    live.py [--build DIR] [--full | --runs N] [--seed N] [--case PATTERN] [--list]

Each run replays campus800, or re-addressed copies of it that last 20 s, moves the space from ids1 to
ids2 and back at random times and is paired with a run without a move. With --full each case must be
exact in all of its valid runs, with --runs N in N of N; else a sample drawn by the seed is run once.

In the cases *-nothing-moved the route of campus800's one pod changes midway and no state is moved:
the same judges must object.
"""
import random
import re
import sys
import tempfile
from copy import copy

from cases import FULL_RUNS, judge, options, repeat
from harness import CAMPUS, POD, Failure
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
# Two packet threads, each with its own part of a move; clones come through the ring only.
THREADS = ["seqhash-threads-2000", "seqhash-threads-20000"]
CASES[THREADS[0]] = Case("seqhash", POD, 2000, nf_args=("--threads",))
CASES[THREADS[1]] = Case("seqhash", "all", 20000, 20, nf_args=("--threads",))
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
    # One of each NF and of each rate and another way to read or two threads, one by veth, the rest is chance.
    # Clones do not come to packet sockets by veth, nor to several threads.
    r = random.Random(args.seed)
    pick = [r.choice([n for n in names if n.startswith("seqhash") and n.endswith("-20000") and n not in THREADS]),
            r.choice([n for n in names if n.startswith("prads") and n.endswith("-2000")]),
            r.choice([n for n in names if n.startswith("prads") and n.endswith("-20000")]),
            "seqhash-%s-2000" % (way := r.choice(INPUTS + SOCKETS))]
    pick[r.randrange(len(pick) - (way in SOCKETS))] += VETH
    if r.randrange(3) == 0:
        pick[-1] = THREADS[0]
    return [n for n in names if n in pick]


def objections(build, case, seed):
    """What the judges said of a run in which only the route changed. Failure if one was content."""
    said = repeat(1, seed, lambda i, n: unmoved(build, case, CAMPUS, count(CAMPUS), n), MOST_INVALID)[0][0]
    text = "; ".join("%s: exit %d, %s" % (program, code, counts) for program, code, counts in said)
    if any(code != 1 for _, code, _ in said):
        raise Failure("a judge did not object: " + text)
    if any(not (counts["missing"] and counts["extra"]) for program, _, counts in said if program != "evcheck"):
        raise Failure("nothing missing, or nothing extra: " + text)
    return text


def exact(args, name):
    runs = args.runs or (FULL_RUNS if args.full else 1)
    with tempfile.TemporaryDirectory() as tmp:
        results, invalid = many(args.build, CASES[name], runs, args.seed, tmp, lambda t: print(t, flush=True))
    return "%d of %d runs exact, %d invalid; min/median/max %s" % (
        runs, runs, invalid, " ".join(spread(results, k) for k in FIGURES + PHASES))


def main():
    args = options(__doc__, "build").parse_args()
    names = chosen(args)
    unmoved_names = [n for n in UNMOVED if re.search(args.case, n)]
    if args.list:
        print("\n".join(names + unmoved_names))
        return 0
    print("seed %d" % args.seed, flush=True)
    failed = judge(unmoved_names, lambda name: objections(args.build, UNMOVED[name], args.seed))
    failed += judge(names, lambda name: exact(args, name))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
