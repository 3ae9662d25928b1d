# SPDX-License-Identifier: BSD-2-Clause
"""One live run with moves, judged; and many of them, with their invalid runs counted."""
import json
import os
import subprocess
import time

from harness import CAMPUS, Failure, Invalid, Lab, run, wait_for

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


def longer(build, case, out):
    """Copies of campus800. For PRADS without shared buckets: in 20 s some connections are old enough
    for end_sessions() when it stops, which then forgets others of the bucket, in each instance otherwise."""
    options = ["--bucket-distinct"] if case.distinct else []
    run(os.path.join(build, "tests/tools/trace_copies"), "--seconds", str(case.seconds), "--pps", str(case.pps),
        *options, CAMPUS, out)
    return out


class Case:
    """What is run: an NF, a rate, a flow space, how long (0: campus800 itself), and how clones come."""

    def __init__(self, nf, space, pps, seconds=0, hosts=False, moves=2, options=(), nf_args=(), inject=None):
        self.nf, self.space, self.pps, self.seconds = nf, space, pps, seconds
        self.nf_args = ["--hosts"] * hosts + list(nf_args)
        self.moves, self.options, self.inject = moves, list(options), inject
        self.distinct = nf == "prads" and seconds > 0


def one(lab, case, trace, sent, moves):
    """One run in a lab. Results of the moves, what the oracles said. Failure or Invalid."""
    replay = lab.replay(trace, case.pps)
    wait_for("the first packets", lambda: lab.counters("ref")[0] > lab.base["ref"][0])
    begin = time.monotonic()
    # Each move somewhere in its share of the run, so that all happen under traffic.
    share = sent / case.pps / (moves + 0.5)
    results, src, dst = [], "ids1", "ids2"
    for i in range(moves):
        at = begin + share * (i + lab.random.uniform(0.2, 0.8))
        time.sleep(max(0, at - time.monotonic()))
        results.append(lab.move(src, dst, case.space, *case.options))
        src, dst = dst, src
    if replay.wait():
        raise Invalid("tcpreplay failed")
    return results, lab.finish(sent)


def unmoved(build, case, trace, sent, seed):
    """The route changes and nothing else does: (command, exit code, counts) of each judge. Failure or Invalid."""
    with Lab(build, case.nf, seed=seed, distinct=case.distinct, inject=case.inject) as lab:
        replay = lab.replay(trace, case.pps)
        time.sleep(sent / case.pps * lab.random.uniform(0.4, 0.6))
        lab.divert_pod("sw2")
        if replay.wait():
            raise Invalid("tcpreplay failed")
        lab.stop_valid(sent)
        said = []
        for program, *args in lab.judges():
            p = subprocess.run([program, "--json", *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            said.append((os.path.basename(program), p.returncode, json.loads(p.stdout)))
        return said


def paired(build, case, trace, sent, seed):
    """A run without a move, then one with: packets that only the second lost are its fault, but for
    those that only the reference's capture lost, which no move touches."""
    with Lab(build, case.nf, case.nf_args, seed=seed, distinct=case.distinct, inject=case.inject) as lab:
        one(lab, case, trace, sent, 0)
        lab.again()
        try:
            return one(lab, case, trace, sent, case.moves)
        except Invalid as e:
            if not e.moved:
                raise
            raise Failure("packets were lost, but not in the run without a move: %s" % e) from e


def many(build, case, runs, seed, tmp, say):
    """@runs valid runs of a case; raises Failure. Invalid ones: at most one in six, but four."""
    trace = CAMPUS
    if case.seconds:
        trace = longer(build, case, os.path.join(tmp, "trace.pcap"))
    sent = count(trace)
    all_results, invalid = [], 0
    while len(all_results) < runs:
        n = seed + len(all_results) + 1000 * invalid
        try:
            results, texts = paired(build, case, trace, sent, n)
        except Invalid as e:
            invalid += 1
            say("  invalid (seed %d): %s" % (n, e))
            if invalid > max(MOST_INVALID, runs // 6):
                raise Failure("%d invalid runs" % invalid) from e
            continue
        except (Failure, subprocess.SubprocessError) as e:
            raise Failure("seed %d: %s" % (n, e)) from e
        all_results.append(results)
        say("  run %d (seed %d, %d packets): %s" % (len(all_results), n, sent, "; ".join(texts)))
    return all_results, invalid
