#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Moves by --inject veth whose bridge is attacked, loses frames, or is not there.

    veth.py [--build DIR] [--full | --runs N] [--seed N] [--case PATTERN] [--list]

attacks   frames with marks that are forged, replayed, truncated, cut by fragmentation, in a VLAN or
          of the largest size come into ethIn in the move and after it: the NF's like any others
lost      each third frame on vethP2Pbr is lost: asked for again, nothing is missing
cut       all are: the move is aborted, the source is as it was; the next move is exact
capture   the NF has a filter by length and a short snaplen, which clones pass all the same
refused   no device at the helper, no room in the NF's capture: refused before anything starts
All are judged by seqhash against a reference that sees the same frames and never moves.
"""
import os
import re
import struct
import sys
import time
from collections import Counter

from harness import POD, ROOT, Invalid, wait_for
from job import expect, lines, main
from pcap import Trace

PPS = 1500
ETHER, TAG, MAGIC = 14, 48, b"NFTW"
SNAPLEN = 96
LARGEST = 9000 + ETHER  # of the lab


# ---- frames ----

def tagged(frame):
    return len(frame) >= ETHER + TAG and frame[-TAG:-TAG + 4] == MAGIC


def record(frame):
    return struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame


def flip(frame, at):
    return frame[:at] + bytes([frame[at] ^ 1]) + frame[at + 1:]


def fragments(frame):
    """Of an IPv4 frame: two that a router would make, the mark at the end of the second."""
    size = (frame[ETHER] & 15) * 4
    head, data = frame[:ETHER + size], frame[ETHER + size:]
    cut = len(data) // 2 & ~7

    def piece(part, more, offset):
        ip = bytearray(head)
        ip[ETHER + 2:ETHER + 4] = struct.pack(">H", size + len(part))
        ip[ETHER + 6:ETHER + 8] = struct.pack(">H", more << 13 | offset // 8)
        return bytes(ip) + part

    return [piece(data[:cut], 1, 0), piece(data[cut:], 0, cut)]


def numbered(mark, seq):
    return mark[:16] + struct.pack(">Q", seq) + mark[24:]


def strangers(frames):
    """IPv4 packets of flows that nobody has."""
    some = [f for f in frames if f[12:14] == b"\x08\x00" and f[ETHER + 9] in (6, 17) and len(f) < 1400][:8]
    return [f[:ETHER + 12] + bytes([203, 0, 113, i]) + f[ETHER + 16:] for i, f in enumerate(some)]


def attacks_on(real, stranger, r):
    """Frames made from @real, marked ones that were seen on the bridge, and from packets of flows that nobody has."""
    v4 = [f for f in real if f[12:14] == b"\x08\x00" and len(f) > ETHER + 20 + TAG + 32]
    some = r.sample(real, 8)
    out = list(some)  # replayed
    out += [flip(f, len(f) - 1 - r.randrange(TAG - 4)) for f in some]  # forged: mark
    out += [flip(f, r.randrange(40, len(f) - TAG)) for f in some if len(f) > 41 + TAG]  # forged: packet
    out += [p + f[-TAG:] for p, f in zip(stranger, some)]  # another packet's mark
    coming = len(real)  # numbers that the next clones would have
    out += [p + numbered(f[-TAG:], coming + i)[:-8] + r.randbytes(8) for i, (p, f) in enumerate(zip(stranger, some))]
    out += [f[:-TAG] + numbered(f[-TAG:], coming + i) for i, f in enumerate(some)]
    out += [f[:-r.randrange(1, TAG)] for f in some]  # truncated
    out += [p for f in r.sample(v4, 4) for p in fragments(f)]
    out += [f[:12] + b"\x81\x00\x00\x05" + f[12:] for f in some]
    large = stranger[0] + bytes(LARGEST - TAG - len(stranger[0]))
    out += [large + some[0][-TAG:], large + MAGIC + r.randbytes(TAG - 4)]
    r.shuffle(out)
    return out


# ---- the bridge ----

def lose(lab, name, rule):
    lab.in_ns(lab.ns(name), "nft", "add table netdev lose; add chain netdev lose in "
              "{ type filter hook ingress device \"vethP2Pbr\" priority 0; policy accept; }; add rule netdev lose in " + rule)


def lose_no_more(lab, name):
    lab.in_ns(lab.ns(name), "nft", "delete", "table", "netdev", "lose")


def veth_lab(job):
    return job.lab(nf_args=["--line-buffered"], evlog=False, inject="veth")


def wait_lines(lab, *names):
    """Until the named have printed what the reference has, and it has printed all that came to it."""
    def all_out():
        n = len(lines(lab, "ref"))
        return n == lab.counters("ref")[0] - lab.base["ref"][0] and n == sum(len(lines(lab, i)) for i in names)
    wait_for("all lines", all_out)


# ---- cases ----

def attacks(job):
    campus = job.campus.records
    first, cloned, rest = campus[:2000], campus[2000:3000], campus[3000:5000]
    clones = len(Trace(job.of_space(job.file("cloned", cloned))).records)
    stranger = strangers([r[16:] for r in rest])
    seen = os.path.join(job.tmp, "seen.pcap")
    with veth_lab(job) as lab:
        lab.replay(job.file("first", first), PPS).wait()
        wait_lines(lab, "ids1", "ids2")
        lab.spawn("sniff", ["ip", "netns", "exec", lab.ns("ids2"), "tcpdump", "-i", "vethNFin", "-U", "-Z", "root", "-w", seen])
        wait_for("tcpdump", lambda: os.path.exists(seen) and os.path.getsize(seen) >= 24)
        lab.arm("ctrl.prepare-dst")
        p = lab.start_move("ids1", "ids2", POD, "--deadline", "60000", "--linger", "600000")
        lab.wait_held("ctrl.prepare-dst")
        lab.replay(job.file("cloned", cloned), PPS).wait()
        wait_for("%d marked frames" % clones, lambda: len(marked(seen)) >= clones)
        real = marked(seen)
        expect("each clone came once as a marked frame", len(real) == clones)
        lab.kill("sniff")
        evil = attacks_on(real, stranger, lab.random)
        path = job.file("evil", [record(f) for f in evil])
        for dev in ("swr", "sw2"):  # in the move, before the route: at the destination's door
            lab.replay(path, PPS, dev=dev).wait()
        wait_for("the reference", lambda: len(lines(lab, "ref")) == len(first + cloned) + len(evil))
        lab.release("ctrl.prepare-dst")
        text = p.communicate(timeout=60)[0]
        expect("the move is done: %s" % text, p.returncode == 0)
        forged = lab.show(1)["forged"]
        expect("%d forged or replayed frames, not %d" % (sum(map(tagged, evil)), forged), forged == sum(map(tagged, evil)))
        wait_lines(lab, "ids1", "ids2")
        for dev in ("swr", "sw2"):  # in the linger
            lab.replay(path, PPS, dev=dev).wait()
        wait_lines(lab, "ids1", "ids2")
        lab.replay(job.file("rest", rest), PPS).wait()
        wait_lines(lab, "ids1", "ids2")
        texts = lab.finish(len(first + cloned + rest) + 2 * len(evil))
        return "%d frames of attack, %d of them marked, twice; %s" % (len(evil), forged, "; ".join(texts))


def marked(path):
    data = open(path, "rb").read()
    whole, at = [], 24
    while at + 16 <= len(data):  # the last may be half written
        end = at + 16 + struct.unpack_from("<I", data, at + 8)[0]
        if end <= len(data):
            whole.append(data[at + 16:end])
        at = end
    return [f for f in whole if tagged(f)]


def amid(lab, job, name, records, *options):
    """Exit code and result of a move in the midst of these packets."""
    replay = lab.replay(job.file(name, records), PPS)
    time.sleep(len(records) / PPS * lab.random.uniform(0.2, 0.5))
    p = lab.start_move("ids1", "ids2", POD, *options)
    text = p.communicate(timeout=60)[0]
    if replay.wait():
        raise Invalid("tcpreplay failed")
    expect("nfctl answered: " + text, text.strip())
    moves = lab.nfctl("moves")[1]["moves"]
    return p.returncode, moves[-1]


def lost(job):
    records = job.campus.records[:6000]
    with veth_lab(job) as lab:
        lose(lab, "ids2", "numgen inc mod 3 0 drop")
        code, result = amid(lab, job, "all", records, "--deadline", "60000")
        expect("the move is done: %s" % result, code == 0)
        expect("frames were sent again: %s" % result, result["resent"] > 0)
        return "%d of %d clones sent again; %s" % (result["resent"], result["clones"], "; ".join(lab.finish(len(records))))


def cut(job):
    records = job.campus.records[:6000]
    with veth_lab(job) as lab:
        lose(lab, "ids2", "drop")
        code, result = amid(lab, job, "first", records[:3000], "--deadline", "60000")
        expect("the move is aborted for its clones: %s" % result,
               code == 1 and result["state"] == "aborted" and "through the veth bridge did not come" in result["reason"])
        lab.wait_over(result["id"])
        expect("nothing came out of ids2", not lines(lab, "ids2"))
        lose_no_more(lab, "ids2")
        code, result = amid(lab, job, "second", records[3000:])
        expect("the next move is done: %s" % result, code == 0)
        return "aborted, then %d clones; %s" % (result["clones"], "; ".join(lab.finish(len(records))))


def capture(job):
    """A filter by length, as long as most packets of the space, and a short snaplen: marks go by both, nothing else does."""
    records = job.campus.records[:6000]
    sizes = Counter(len(r) - 16 for r in Trace(job.of_space(job.file("a", records))).records)
    size = max((n for n in sizes if n > SNAPLEN + TAG), key=lambda n: sizes[n])
    unwanted = [f.ljust(size + 1, b"x") + MAGIC + job.random.randbytes(TAG - 4) for f in strangers([r[16:] for r in records])]
    with job.lab(nf_args=["--snaplen", str(SNAPLEN), "-f", "less %d" % size], evlog=False, inject="veth") as lab:
        path = job.file("unwanted", [record(f) for f in unwanted])
        code, result = amid(lab, job, "all", records, "--deadline", "60000", "--linger", "600000")
        expect("the move is done: %s" % result, code == 0 and result["clones"] > 0)
        for dev in ("swr", "sw2"):
            lab.replay(path, PPS, dev=dev).wait()
        texts = lab.finish(len(records) + len(unwanted))
        said = open(lab.path("ids2.err")).read()
        took = int(re.search(r"received (\d+)", said).group(1))
        printed = len(lines(lab, "ids2"))
        expect("pcap_stats() counts what the NF printed (%d), not marks: %d" % (printed, took), took == printed)
        return "%d clones, %d bytes of packets up to %d; %s" % (result["clones"], SNAPLEN, size, "; ".join(texts))


def refused(job):
    """Each time the reason, nothing at the source, and a move through the ring is as ever."""
    records = job.campus.records[:1500]
    with veth_lab(job) as lab:
        lab.replay(job.file("all", records), PPS).wait()
        wait_lines(lab, "ids1", "ids2")

        def expect_refused(words):
            code, result = lab.nfctl("move", "ids1", "ids2", POD, "--wait", "--inject", "veth")
            expect("%s: %s" % (words, result), code == 1 and words in result["reason"] and not result["flows"])
            lab.wait_over(result["id"])

        lab.kill("xfer.ids2")
        lab.spawn("xfer.ids2", [os.path.join(lab.build, "xfer/nfxfer"), "--name", "ids2", "--dir", lab.run_dir])
        wait_for("the helper", lambda: lab.nfctl("instances")[1]["instances"][1]["ready"])
        expect_refused("has no device to send clones on: start it with --inject-dev")
        lab.kill("xfer.ids2")
        lab.kill("ids2")
        lab.spawn("ids2", [os.path.join(ROOT, "scripts/nfrun"), "ids2", "--netns", lab.ns("ids2"), "--dir", lab.run_dir,
                           "--lib", os.path.join(lab.build, "shim/libnfshim.so"), "--", *lab.command("ids2")])
        lab.wait_nf("ids2")
        lab.start_xfer("ids2")
        lab.wait_ready()
        expect_refused("start it with 'nfrun --veth'")
        code, result = lab.nfctl("move", "ids1", "ids2", POD, "--wait", "--inject", "ring")
        expect("a move through the ring is done: %s" % result, code == 0 and result["flows"] and result["inject"] == "ring")
        code, result = lab.nfctl("move", "ids2", "ids1", POD, "--inject", "air")
        expect("there is no --inject air: %s" % result, code == 2 and "ring or veth" in result["error"])
        return "; ".join(lab.finish(len(records)))


CASES = {"attacks": attacks, "lost": lost, "cut": cut, "capture": capture, "refused": refused}


def sample(draw):
    return ["attacks", draw.choice(["lost", "cut"]), "capture", "refused"]


if __name__ == "__main__":
    sys.exit(main(__doc__, CASES, sample))
