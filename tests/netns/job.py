# SPDX-License-Identifier: BSD-2-Clause
"""Cases that are functions of a Job: what they need, and the program around them."""
import os
import random
import re
import subprocess
import tempfile

from cases import FULL_RUNS, judge, options, repeat
from harness import CAMPUS, POD, Failure, Lab, run
from pcap import Trace


class Job:
    """What a case is given."""

    def __init__(self, build, seed, tmp):
        self.build, self.seed, self.tmp = build, seed, tmp
        self.random = random.Random(seed)
        self.campus = Trace(CAMPUS)

    def lab(self, **kw):
        return Lab(self.build, kw.pop("nf", "seqhash"), seed=self.seed, pause=True, **kw)

    def file(self, name, records):
        return self.campus.write(os.path.join(self.tmp, name + ".pcap"), records)

    def of_space(self, path, space=POD):
        out = path[:-len(".pcap")] + "-space.pcap"
        run("tcpdump", "-r", path, "-w", out, space, stderr=subprocess.DEVNULL)
        return out

    def fresh(self, path):
        """What an NF prints for these packets that has seen nothing before."""
        return run(os.path.join(self.build, "tests/nf/seqhash"), "-r", path).splitlines()


def expect(what, condition):
    if not condition:
        raise Failure("not so: " + what)


def lines(lab, name):
    with open(lab.path(name + ".out"), encoding="latin-1") as f:
        return f.read().splitlines()


def valid_runs(case, build, seed, runs):
    def one(i, n):
        with tempfile.TemporaryDirectory() as tmp:
            said = case(Job(build, n, tmp))
        print("  run %d: %s" % (i + 1, said), flush=True)
        return said

    said, invalid = repeat(runs, seed, one)
    return "%d of %d runs, %d invalid; %s" % (runs, runs, invalid, said[-1])


def main(doc, cases, sample):
    """@cases: by name; sample(Random) draws some of the names."""
    args = options(doc).parse_args()
    names = [n for n in cases if re.search(args.case, n)]
    if not (args.full or args.runs or args.case):
        names = sample(random.Random(args.seed))
    if args.list:
        print("\n".join(names))
        return 0
    print("seed %d" % args.seed, flush=True)
    runs = args.runs or (FULL_RUNS if args.full else 1)
    return 1 if judge(names, lambda name: valid_runs(cases[name], args.build, args.seed, runs)) else 0
