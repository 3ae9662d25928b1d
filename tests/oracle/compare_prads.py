#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compare what several PRADS printed together with what one that never moved printed.

    compare_prads.py [--live [--distinct]] [--json] REF OUT...

REF and OUT... are either asset logs (prads -l) or standard outputs of prads -x; which is seen from
their content. File-driven runs must be equal line for line. With --live the times of a connection
may differ by a second, since two instances stamp a packet apart, and one more rule holds: PRADS'
end_sessions() forgets live connections that share a bucket with an ended one, in each instance's
own phase, so a final line that the reference lacks is accepted if the reference printed no final
line at all for that connection. With --distinct, for traces in which no two connections share a
bucket, that cannot happen and nothing is accepted. Everything else is a failure, also a line of -x
that is not whole.

Exit status: 0 equal, 1 different, 2 usage or unreadable files.
"""
import argparse
import calendar
import json
import re
import sys
from collections import Counter, defaultdict

FINAL = {"[ended]", "[expired]"}
FIELDS = 16


def read(path):
    """Lines, byte by byte as they are: what hosts sent may be in them."""
    with open(path, encoding="latin-1", newline="\n") as f:
        return [line.rstrip("\n") for line in f]


def asset_lines(paths):
    out = Counter()
    for path in paths:
        for line in read(path):
            if line and not line.startswith("asset,vlan"):
                line = re.sub(r":uptime:[0-9]+hrs", "", line)
                out[re.sub(r",[0-9]+$", "", line)] += 1
    return out


class Connection:
    """One line of prads -x: id|start|end|seconds|proto|src|sport|dst|dport|counters…|[state]."""

    def __init__(self, fields):
        self.text = "|".join(fields[1:])
        self.start, self.end = seconds(fields[1]), seconds(fields[2])
        self.key = tuple(fields[4:9])
        self.rest = tuple(fields[9:])
        self.final = fields[-1] in FINAL

    def close_to(self, other):
        return abs(self.start - other.start) <= 1 and abs(self.end - other.end) <= 1


def seconds(text):
    m = re.match(r"(\d+)-(\d+)-(\d+) (\d+):(\d+):(\d+)$", text)
    if not m:
        raise ValueError("not a time of prads: " + text)
    return calendar.timegm(tuple(map(int, m.groups())))


def connections(paths):
    """Connections, and the lines that should be some but are not whole."""
    out, torn = [], []
    for path in paths:
        for line in read(path):
            fields = line.split("|")
            try:
                if len(fields) == FIELDS and fields[-1] in FINAL | {"[New]"}:
                    out.append(Connection(fields))
                elif len(fields) > 1:
                    torn.append(line)
            except ValueError:
                torn.append(line)
    return out, torn


def difference(ref, got, live):
    """Lines missing and extra, as lists of Connection."""
    left = defaultdict(list)
    for c in got:
        left[c.key + c.rest].append(c)

    def unmatched(wanted, fits):
        rest = []
        for c in wanted:
            same = left[c.key + c.rest]
            hit = next((g for g in same if fits(g, c)), None)
            if hit:
                same.remove(hit)
            else:
                rest.append(c)
        return rest

    # The exact ones first, so that none is taken by a neighbour in time.
    missing = unmatched(ref, lambda g, c: g.text == c.text)
    if live:
        missing = unmatched(missing, Connection.close_to)
    return missing, [c for rest in left.values() for c in rest]


def compare_connections(ref, got, live, distinct):
    (ref, torn_ref), (got, torn) = ref, got
    if torn_ref:
        raise ValueError("the reference has a line that is not whole: " + torn_ref[0])
    missing, extra = difference(ref, got, live)
    accepted = []
    if live and not distinct:
        finals = Counter(c.key for c in ref if c.final)
        news = Counter(c.key for c in ref if not c.final)
        for c in list(extra):
            if c.final and finals[c.key] < news[c.key]:
                finals[c.key] += 1
                accepted.append(c)
                extra.remove(c)
    return {
        "kind": "connections", "lines": len(ref),
        "missing": [c.text for c in missing], "extra": [c.text for c in extra] + torn,
        "accepted": [c.text for c in accepted],
    }


def compare_assets(ref, got):
    return {
        "kind": "assets", "lines": sum(ref.values()),
        "missing": sorted((ref - got).elements()), "extra": sorted((got - ref).elements()),
        "accepted": [],
    }


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--live", action="store_true", help="rules for live runs")
    p.add_argument("--distinct", action="store_true", help="no connections share a bucket: accept nothing")
    p.add_argument("--json", action="store_true", help="counts as one JSON object")
    p.add_argument("ref")
    p.add_argument("out", nargs="+")
    a = p.parse_args()
    try:
        is_assets = any(line.startswith("asset,vlan") for line in read(a.ref)[:1])
        if is_assets:
            r = compare_assets(asset_lines([a.ref]), asset_lines(a.out))
        else:
            r = compare_connections(connections([a.ref]), connections(a.out), a.live, a.distinct)
    except (OSError, ValueError) as e:
        print("compare_prads: %s" % e, file=sys.stderr)
        return 2
    if not r["lines"]:
        print("compare_prads: %s: no lines to compare" % a.ref, file=sys.stderr)
        return 2
    counts = {k: len(v) if isinstance(v, list) else v for k, v in r.items()}
    if a.json:
        print(json.dumps(counts))
    else:
        print("%(kind)s: %(lines)d lines, missing %(missing)d, extra %(extra)d, "
              "accepted %(accepted)d" % counts)
        for what in ("missing", "extra"):
            for line in r[what][:5]:
                print("  %s: %s" % (what, line))
    return 1 if r["missing"] or r["extra"] else 0


if __name__ == "__main__":
    sys.exit(main())
