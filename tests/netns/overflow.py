#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Moves with less room for clones than they need: still exact, by exporting flows again.

    overflow.py [--build DIR] [--full | --runs N] [--seed N] [--case PATTERN] [--list]

caps*     The import is slow (seqhash --put-us). A move without a cap tells what room it wants, more than
          2,000 packets; then the caps are 100 %, 10 %, 1 % of that and 8 packets (one of the last three
          without --full). All must be exact, all but the first export flows again, no cap is exceeded.
          hosts: flows share records; veth: clones come through a bridge; prads: stock PRADS and its own
          speed, 8 packets only.
gap*      The helper of the source stands still before PREPARE, and the shim's ring is full: the NF goes on,
          and what it could not clone is exported again.
"""
import os
import random
import re
import signal
import sys
import tempfile
import time

from cases import FULL_RUNS, judge, options, repeat
from harness import Invalid, Lab, wait_for
from job import expect
from move_run import Case, count, longer

SECONDS, PPS = 6, 20000
LARGE = ("--hold-packets", "1000000", "--hold-bytes", "1000000000", "--reserve-bytes", "1000000000",
         "--deadline", "30000", "--buffer-bytes", "1000000000")
SLOW = ("--put-us", "120")
WANTED = 2000  # packets of room, at least
CAPS = {"100%": 1, "10%": 0.1, "1%": 0.01, "8": 0}
CASES = {
    "caps": Case("seqhash", "all", PPS, SECONDS, nf_args=SLOW),
    "caps-hosts": Case("seqhash", "all", PPS, SECONDS, hosts=True, nf_args=SLOW),
    "caps-veth": Case("seqhash", "all", PPS, SECONDS, nf_args=SLOW, inject="veth"),
    "caps-prads": Case("prads", "all", PPS, SECONDS),
    "gap": Case("seqhash", "all", PPS, SECONDS),
    "gap-hosts": Case("seqhash", "all", PPS, SECONDS, hosts=True),
}


def under_traffic(build, case, trace, seed, body):
    """body(lab) in the middle of a replay: what it returned, and the oracle's words."""
    with Lab(build, case.nf, case.nf_args, seed=seed, pause=True, distinct=case.distinct, inject=case.inject) as lab:
        replay = lab.replay(trace, PPS)
        wait_for("the first packets", lambda: lab.counters("ref")[0] > lab.base["ref"][0])
        time.sleep(SECONDS * lab.random.uniform(0.1, 0.3))
        got = body(lab)
        if replay.wait():
            raise Invalid("tcpreplay failed")
        return got, lab.finish(count(trace))


def capped(build, case, trace, seed, packets):
    result, texts = under_traffic(build, case, trace, seed, lambda lab: lab.move(
        "ids1", "ids2", case.space, "--buffer-packets", str(packets), *LARGE))
    expect("the cap of %d held: %s" % (packets, result), result["buffered_max"] <= packets)
    return result, texts


def figures(name, result):
    return "%s: %d buffered, %d dropped, %d exported again (%d bytes), %.0f ms" % (
        name, result["buffered_max"], result["dropped"], result["exported_again"], result["exported_again_bytes"],
        result["total_ms"])


def again(build, case, trace, seed, cap, packets):
    result, texts = capped(build, case, trace, seed, packets)
    if cap != "100%":
        expect("flows were exported again with %s: %s" % (cap, result),
               result["exported_again"] > 0 and result["exported_again_bytes"] > 0 and result["dropped"] > 0)
    print("  %s; %s" % (figures(cap, result), "; ".join(texts)), flush=True)
    return figures(cap, result)


def caps(args, case, trace, seed, draw):
    """One run of each cap."""
    if case.nf == "prads":
        return again(args.build, case, trace, seed, "8", 8)
    room, _ = capped(args.build, case, trace, seed, 1 << 30)
    wanted = room["buffered_max"]
    expect("without a cap %d packets are buffered: %d" % (WANTED, wanted), wanted > WANTED)
    expect("nothing was exported again: %s" % room, room["exported_again"] == 0)
    names = list(CAPS) if args.full or args.runs else [draw.choice(list(CAPS)[1:])]
    said = [again(args.build, case, trace, seed, cap, int(wanted * CAPS[cap]) or 8) for cap in names]
    return "; ".join([figures("no cap", room), *said])


def gap(args, case, trace, seed, _draw):
    def stand_still(lab):
        lab.arm("ctrl.prepare-dst")
        p = lab.start_move("ids1", "ids2", case.space, *LARGE)
        lab.wait_held("ctrl.prepare-dst")
        helper = lab.procs["xfer.ids1"]
        helper.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        helper.send_signal(signal.SIGCONT)
        lab.release("ctrl.prepare-dst")
        p.communicate(timeout=60)
        return lab.show(1)
    result, texts = under_traffic(args.build, case, trace, seed, stand_still)
    expect("the move is done: %s" % result, result["state"] == "done")
    if not result["gaps"]:
        raise Invalid("the ring was never full")
    expect("flows were exported again: %s" % result, result["exported_again"] > 0)
    return "%d clones found no room, %d flows exported again; %s" % (
        result["gaps"], result["exported_again"], "; ".join(texts))


def main():
    args = options(__doc__).parse_args()
    names = [n for n in CASES if re.search(args.case, n)]
    draw = random.Random(args.seed)
    if not (args.full or args.runs or args.case):
        names = [draw.choice(names)]
    if args.list:
        print("\n".join(names))
        return 0
    print("seed %d" % args.seed, flush=True)

    def runs(name):
        case = CASES[name]
        with tempfile.TemporaryDirectory() as tmp:
            trace = longer(args.build, case, os.path.join(tmp, "trace.pcap"))
            body = gap if name.startswith("gap") else caps
            said, invalid = repeat(args.runs or (FULL_RUNS if args.full else 1), args.seed,
                                   lambda i, n: body(args, case, trace, n, draw))
        return "%d invalid; %s" % (invalid, " | ".join(said))
    return 1 if judge(names, runs) else 0


if __name__ == "__main__":
    sys.exit(main())
