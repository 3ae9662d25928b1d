# SPDX-License-Identifier: BSD-2-Clause
"""Traces in which every second packet is marked.

A trace is doubled: behind each packet comes a copy of it, from a MAC of its own (the mark that bracket.c
looks for) and between addresses of a pool of their own. So the marked half is made of whole flows, and
the other half is a trace by itself.
"""
import re
import struct

MARK = b"\x02judge"
POOLS = {bytes([10, 20]): bytes([100, 120]), bytes([198, 18]): bytes([100, 118]), bytes([198, 19]): bytes([100, 119]),
         bytes.fromhex("20010db80020"): bytes.fromhex("20010db8aa20"), bytes.fromhex("20010db8c10d"): bytes.fromhex("20010db8aa0d")}
POOL_TEXT = re.compile(rb"\b100\.1(18|19|20)\.\d+\.\d+|2001:0?db8:aa(20|0d):|\b0?2:6a:75:64:67:65")


class Trace:
    def __init__(self, header, packets):
        self.header, self.packets = header, packets

    @classmethod
    def read(cls, path):
        with open(path, "rb") as f:
            data = f.read()
        if data[:4] != bytes.fromhex("d4c3b2a1") or struct.unpack("<I", data[20:24])[0] != 1:
            raise ValueError("%s: not a little-endian pcap file of Ethernet frames in microseconds" % path)
        packets, at = [], 24
        while at < len(data):
            sec, usec, caplen, length = struct.unpack_from("<IIII", data, at)
            packets.append((sec * 1000000 + usec, length, data[at + 16:at + 16 + caplen]))
            at += 16 + caplen
        return cls(data[:24], packets)

    def write(self, path):
        with open(path, "wb") as f:
            f.write(self.header)
            for us, length, frame in self.packets:
                f.write(struct.pack("<IIII", us // 1000000, us % 1000000, len(frame), length) + frame)

    def part(self, first, count):
        return Trace(self.header, self.packets[first:first + count])


def fold(value):
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return value


def fix_sum(frame, at, old, new):
    """Follow a change from @old to @new in the checksum at @at (RFC 1624)."""
    value = 0xFFFF - struct.unpack_from("!H", frame, at)[0]
    value += sum(0xFFFF - w for w, in struct.iter_unpack("!H", old)) + sum(w for w, in struct.iter_unpack("!H", new))
    struct.pack_into("!H", frame, at, 0xFFFF - fold(value))


def moved(address):
    for prefix, pool in POOLS.items():
        if address.startswith(prefix):
            return pool + address[len(prefix):]
    raise ValueError("no pool for the address %s" % address.hex())


def marked(frame):
    """@frame between addresses of the pool. Plain Ethernet, IPv4 or IPv6, TCP or UDP, as campus800 has it."""
    out = bytearray(frame)
    kind, = struct.unpack_from("!H", frame, 12)
    at, size, l4 = {0x0800: (26, 4, 14 + 4 * (frame[14] & 15)), 0x86DD: (22, 16, 54)}[kind]
    proto = frame[23] if kind == 0x0800 else frame[20]
    old = frame[at:at + 2 * size]
    new = moved(old[:size]) + moved(old[size:])
    out[at:at + 2 * size] = new
    if kind == 0x0800:
        fix_sum(out, 24, old, new)
    checksum = l4 + {6: 16, 17: 6}[proto]
    if proto == 6 or out[checksum:checksum + 2] != b"\0\0":
        fix_sum(out, checksum, old, new)
    if proto == 17 and frame[checksum:checksum + 2] != b"\0\0" == out[checksum:checksum + 2]:
        out[checksum:checksum + 2] = b"\xff\xff"
    out[6:12] = MARK
    return bytes(out)


def doubled(trace):
    """(the unmarked half, both halves). All times differ, so a time names a packet."""
    half, both, now = [], [], 0
    for us, length, frame in trace.packets:
        now = max(us, now + 2)
        half.append((now, length, frame))
        both += [(now, length, frame), (now + 1, length, marked(frame))]
    return Trace(trace.header, half), Trace(trace.header, both)
