#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Live moves between two stock NFs, judged against a reference that never moved.

    move.py BUILD [--nf seqhash|prads] [--pps N] [--space SPACE] [--seconds N] [--runs N]
            [--seed N] [--pair] [--moves N] [--hosts] [-- MOVE-OPTIONS]

Each run replays campus800 (or, with --seconds, re-addressed copies of it that last so long), moves
SPACE from ids1 to ids2 and back at random times, and compares line for line. A run in which the
machine itself lost packets is invalid and repeated, at most 4 times in all; with --pair each run is
paired with one without a move, and drops that only the move's run has are its fault.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

from harness import CAMPUS, POD, Failure, Invalid, Lab, run

MOST_INVALID = 4


def count(trace):
    """Packets of a classic pcap file."""
    n, size = 0, os.path.getsize(trace)
    with open(trace, "rb") as f:
        magic = f.read(24)[:4]
        order = "little" if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else "big"
        at = 24
        while at < size:
            f.seek(at + 8)
            at += 16 + int.from_bytes(f.read(4), order)
            n += 1
    return n


def longer(build, seconds, pps, out):
    run(os.path.join(build, "tests/tools/trace_copies"), "--seconds", str(seconds), "--pps", str(pps), CAMPUS, out)
    return out


def one(args, trace, sent, seed, moves):
    nf_args = ["--hosts"] if args.hosts else []
    with Lab(args.build, args.nf, nf_args, seed=seed, keep=args.keep) as lab:
        duration = sent / args.pps
        replay = lab.replay(trace, args.pps)
        begin = time.monotonic()
        results, src, dst = [], "ids1", "ids2"
        for i in range(moves):
            # Somewhere in its share of the run, so that both directions happen under traffic.
            share = duration / (moves + 0.5)
            at = begin + share * (i + lab.random.uniform(0.2, 0.8))
            time.sleep(max(0, at - time.monotonic()))
            results.append(lab.move(src, dst, args.space, *args.options))
            src, dst = dst, src
        if replay.wait():
            raise Invalid("tcpreplay failed")
        texts = lab.finish(sent)
        return results, texts


def attempt(args, trace, sent, seed):
    """One valid run, or Invalid."""
    if args.pair:
        one(args, trace, sent, seed, 0)
    try:
        return one(args, trace, sent, seed, args.moves)
    except Invalid as e:
        if args.pair:
            raise Failure("the run without a move was valid, this one lost packets: %s" % e) from e
        raise


def summary(r):
    keys = ("flows", "records", "shared", "state_bytes", "clones", "new_flows", "held_max", "buffered_max",
            "downgraded", "fwd", "total_ms")
    return " ".join("%s=%s" % (k, r.get(k)) for k in keys)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("build")
    p.add_argument("--nf", default="seqhash", choices=("seqhash", "prads"))
    p.add_argument("--hosts", action="store_true", help="seqhash with records per host")
    p.add_argument("--pps", type=int, default=2000)
    p.add_argument("--space", default=POD)
    p.add_argument("--seconds", type=int, default=0)
    p.add_argument("--runs", type=int, default=1)
    p.add_argument("--moves", type=int, default=2)
    p.add_argument("--seed", type=int, default=int(time.time()))
    p.add_argument("--pair", action="store_true")
    p.add_argument("--keep")
    p.add_argument("--json", action="store_true", help="a line of figures per move")
    p.add_argument("options", nargs="*", help="of nfctl move")
    args = p.parse_args()
    if not os.path.exists(CAMPUS):
        print("skip: no %s" % CAMPUS)
        return 77
    with tempfile.TemporaryDirectory() as tmp:
        trace = longer(args.build, args.seconds, args.pps, os.path.join(tmp, "long.pcap")) if args.seconds else CAMPUS
        sent = count(trace)
        valid = invalid = 0
        while valid < args.runs:
            seed = args.seed + valid + 1000 * invalid
            try:
                results, texts = attempt(args, trace, sent, seed)
            except Invalid as e:
                invalid += 1
                print("invalid run (seed %d): %s" % (seed, e), flush=True)
                if invalid > MOST_INVALID:
                    print("more than %d invalid runs" % MOST_INVALID)
                    return 1
                continue
            except (Failure, subprocess.CalledProcessError) as e:
                print("FAILED (seed %d): %s" % (seed, e), flush=True)
                return 1
            valid += 1
            for r in results:
                print(json.dumps(r) if args.json else "  move: " + summary(r))
            print("run %d of %d (seed %d, %d packets, %d pps): %s" % (valid, args.runs, seed, sent, args.pps, "; ".join(texts)),
                  flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
