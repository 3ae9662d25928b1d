# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of named cases share: their options, runs until enough are valid, one verdict a case."""
import argparse
import os
import random
import subprocess

from harness import CAMPUS, Failure, Invalid

MOST_INVALID = 3
FULL_RUNS = 2  # of each case with --full, which takes two hours so; --runs takes more
BUILDS = {"build": "NFSHIM_BUILD", "build-test": "NFSHIM_BUILD_TEST"}


def options(doc, build="build-test"):
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--build", default=os.environ.get(BUILDS[build], build))
    p.add_argument("--full", action="store_true")
    p.add_argument("--runs", type=int, default=0)
    p.add_argument("--seed", type=int, default=random.randrange(1 << 20))
    p.add_argument("--case", default="")
    p.add_argument("--list", action="store_true")
    return p


def repeat(runs, seed, one, most=MOST_INVALID):
    """one(i, seed of that run) until @runs were valid: what each returned, and how many were not."""
    got, invalid = [], 0
    while len(got) < runs:
        try:
            got.append(one(len(got), seed + len(got) + 1000 * invalid))
        except Invalid as e:
            invalid += 1
            print("  invalid: %s" % e, flush=True)
            if invalid > most:
                raise Failure("%d invalid runs" % invalid) from e
    return got, invalid


def judge(names, body):
    """'ok NAME: text', 'not ok NAME: why' or 'skip NAME: why' for each; how many failed."""
    failed = 0
    for name in names:
        if not os.path.exists(CAMPUS):
            print("skip %s: no %s" % (name, CAMPUS))
            continue
        try:
            print("ok %s: %s" % (name, body(name)), flush=True)
        except (Failure, subprocess.SubprocessError) as e:
            failed += 1
            print("not ok %s: %s" % (name, str(e).replace("\n", " | ")[:500]), flush=True)
    return failed
