#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compare what several seqhash printed together with what one that never moved printed.

    compare_seqhash.py [--json] REF OUT...

Every line carries its flow's counter and order-dependent hash, so equality of the lines as a
multiset proves that no update was lost, doubled or reordered within a flow. The order in which each
OUT prints a flow's lines must be that of the counter, too; it begins anew after "FLOW expired …".

Exit status: 0 equal, 1 different, 2 usage or unreadable files.
"""
import argparse
import json
import sys
from collections import Counter


def parts(line):
    """Flow text and counter: 'tcp a-b 7 hash …'."""
    words = line.split(" ")
    for i, w in enumerate(words[:-1]):
        if i and w.isdigit() and len(words[i + 1]) == 16:
            return " ".join(words[:i]), int(w)
    return line, 0


def read(path):
    with open(path, encoding="latin-1", newline="\n") as f:
        return [line.rstrip("\n") for line in f]


def disorder(lines):
    """Lines of a flow that come after a later one of the same flow."""
    last, bad = {}, []
    for line in lines:
        flow, n = parts(line)
        if flow.endswith(" expired"):
            flow = flow[:-len(" expired")]
            if n < last.get(flow, 0):
                bad.append(line)
            last[flow] = 0
            continue
        if n <= last.get(flow, 0):
            bad.append(line)
        last[flow] = n
    return bad


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--json", action="store_true", help="counts as one JSON object")
    p.add_argument("ref")
    p.add_argument("out", nargs="+")
    a = p.parse_args()
    try:
        ref = Counter(read(a.ref))
        outs = [read(path) for path in a.out]
    except OSError as e:
        print("compare_seqhash: %s" % e, file=sys.stderr)
        return 2
    if not ref:
        print("compare_seqhash: %s: no lines to compare" % a.ref, file=sys.stderr)
        return 2
    got = Counter(line for lines in outs for line in lines)
    r = {"lines": sum(ref.values()),
         "missing": sorted((ref - got).elements()),
         "extra": sorted((got - ref).elements()),
         "doubled": sorted(line for line in got if got[line] > ref[line] > 0),
         "reordered": [line for lines in outs for line in disorder(lines)]}
    counts = {k: len(v) if isinstance(v, list) else v for k, v in r.items()}
    if a.json:
        print(json.dumps(counts))
    else:
        print("seqhash: %(lines)d lines, missing %(missing)d, extra %(extra)d, doubled "
              "%(doubled)d, reordered %(reordered)d" % counts)
        for what in ("missing", "extra", "doubled", "reordered"):
            for line in r[what][:5]:
                print("  %s: %s" % (what, line))
    return 1 if any(r[k] for k in ("missing", "extra", "doubled", "reordered")) else 0


if __name__ == "__main__":
    sys.exit(main())
