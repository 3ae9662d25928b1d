#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""transparency.py BUILD [TRACE...]: nobody notices the idle shim.

Each NF runs over each trace without the shim, with it, and without it: exit status, standard output and error, files
and what is sent must be the same. What differs is tidied (nfs.py) only if runs without the shim differ in it, too.

$NFSHIM_SEED draws a sample of pairs, $NFSHIM_FULL=1 takes all. Skipped (77) without the traces.
"""
import glob
import os
import random
import shutil
import struct
import sys
import time

import nfs

TRACES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/traces")
SAMPLE = 2    # traces of each NF
ALWAYS = [("tcpdump", "ndpi-gnutella.pcap")]  # has a frame that is cut off before its type
AGAIN = 10    # runs without the shim to see whether an output varies by itself


class Run:
    def __init__(self, work, nf, trace, collector, build, env):
        folder, begin = os.path.join(work, "run"), int(time.time())  # one name: some print it
        self.code = nfs.run(nf, trace, folder, collector, build, env)
        self.files = nfs.outputs(folder)
        # A second more: coarse clocks lag, and darkstat adds up seconds that are rounded down.
        self.clock = range(begin - 1, int(time.time()) + 2)
        self.nf = nf
        shutil.rmtree(folder)

    def tidied(self, name):
        text = self.files.get(name, b"")
        for second in self.clock:
            text = text.replace(struct.pack("!I", second), b"CLCK")
        return nfs.tidy(text, self.nf.varies)


class Pair:
    def __init__(self, work, nf, trace, collector, build):
        self.name = "%s, %s" % (nf.name, os.path.basename(trace))
        self.args = (work, nf, trace, collector, build)
        shim = dict(os.environ, LD_PRELOAD=os.path.join(build, "shim/libnfshim.so"), NFSHIM_DIR=work, NFSHIM_LOG="err")
        self.plain = [self.run(None)]
        self.shim = self.run(shim)
        self.plain.append(self.run(None))

    def run(self, env):
        return Run(*self.args, env)

    def varies(self, name):
        """Does the output differ between runs without the shim?"""
        while len(self.plain) < AGAIN and all(r.files.get(name) == self.plain[0].files.get(name) for r in self.plain):
            self.plain.append(self.run(None))
        return any(r.files.get(name) != self.plain[0].files.get(name) for r in self.plain)

    def judge(self):
        faults, tidied, plain = [], [], self.plain[0]
        if self.shim.code != plain.code:
            faults.append("exit status %d, with the shim %d" % (plain.code, self.shim.code))
        if set(self.shim.files) != set(plain.files):
            faults.append("other files: %s" % sorted(set(self.shim.files) ^ set(plain.files)))
        for name in plain.files:
            if plain.files[name] == self.shim.files.get(name):
                continue
            if not self.varies(name):
                faults.append("%s differs with the shim only" % name)
            elif plain.tidied(name) != self.shim.tidied(name):
                faults.append("%s differs with the shim, tidied as well" % name)
            else:
                tidied.append(name)
        print("%s %s%s" % ("not ok" if faults else "ok", self.name, ": tidied " + ", ".join(tidied) if tidied else ""))
        for fault in faults:
            print("       " + fault)
        return not faults


def pairs(traces):
    everything = [(nf, t) for nf in nfs.NFS for t in traces]
    if os.environ.get("NFSHIM_FULL") == "1":
        return everything
    seed = int(os.environ.get("NFSHIM_SEED") or random.randrange(2**30))
    print("seed %d: %d traces for each NF" % (seed, SAMPLE))
    draw = random.Random(seed)
    drawn = [(nf, t) for nf in nfs.NFS for t in draw.sample(traces, min(SAMPLE, len(traces)))]
    return drawn + [p for p in everything if (p[0].name, os.path.basename(p[1])) in ALWAYS and p not in drawn]


def main():
    build = os.path.abspath(sys.argv[1])
    traces = [os.path.abspath(t) for t in sys.argv[2:]] or sorted(glob.glob(os.path.join(os.path.abspath(TRACES), "*.pcap*")))
    if not traces:
        print("skip: no traces in " + TRACES)
        return 77
    with nfs.workplace() as (work, collector):
        verdicts = [Pair(work, nf, t, collector, build).judge() for nf, t in pairs(traces)]
    print("%d of %d pairs are the same" % (sum(verdicts), len(verdicts)))
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
