#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""make_trace.py OUT: a small trace of two pods with what real traces have and is easy to get wrong.

Pod A: 10.20.0.0/21, 198.18.0.0/19, 2001:db8:20::/61; pod B: 10.20.8.0/21, 198.18.32.0/19. TCP and UDP over
IPv4 and IPv6, with and without VLAN tag, UDP without checksum, ICMP, odd lengths, ARP, and one
frame that is no IP. 40 flows with IP addresses, all checksums good.
"""
import ipaddress
import struct
import sys


def add(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def l4(src, dst, proto, header, at, payload, summed=True):
    whole = header + payload
    if not summed:
        return whole
    pseudo = src + dst + struct.pack("!II", len(whole), proto) if proto != 1 else b""
    value = add(pseudo + whole)
    if proto == 17 and value == 0:
        value = 0xFFFF
    return whole[:at] + struct.pack("!H", value) + whole[at + 2:]


def tcp(a, b, sport, dport, seq, flags, payload):
    return l4(a, b, 6, struct.pack("!HHIIBBHHH", sport, dport, seq, 0, 80, flags, 8192, 0, 0), 16, payload)


def udp(a, b, sport, dport, payload, summed):
    return l4(a, b, 17, struct.pack("!HHHH", sport, dport, 8 + len(payload), 0), 6, payload, summed)


def icmp(a, b, kind, ident, payload):
    return l4(a, b, 1, struct.pack("!BBHHH", kind, 0, 0, ident, 1), 2, payload)


def ip(a, b, proto, body):
    if len(a) == 16:
        return struct.pack("!IHBB", 6 << 28, len(body), proto, 64) + a + b + body
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 7, 0x4000, 64, proto, 0) + a + b
    return head[:10] + struct.pack("!H", add(head)) + head[12:] + body


def frame(payload, kind, vlan=0):
    tag = struct.pack("!HH", 0x8100, vlan) if vlan else b""
    return bytes.fromhex("020000000001020000000002") + tag + struct.pack("!H", kind) + payload


def address(text, n):
    return (ipaddress.ip_address(text) + n).packed


def flow(n):
    """Frames of flow n, and whether it is IPv6."""
    pod = n % 2
    six = n % 10 == 4
    client = address(["10.20.0.1", "10.20.8.1"][pod] if not six else "2001:db8:20::1", n // 4)
    server = address(["198.18.0.1", "198.18.32.1"][pod] if not six else "2001:db8:c10d::1", n // 6)
    sport, vlan, kind = 40000 + n, 5 if n % 7 == 3 else 0, 0x86DD if six else 0x0800
    for i in range(6):
        a, b, sp, dp = (client, server, sport, 80) if i % 2 == 0 else (server, client, 80, sport)
        body = b"x" * (n + 3 * i)
        if n % 5 == 1:
            yield frame(ip(a, b, 17, udp(a, b, sp, dp, body, n % 2 or six)), kind, vlan)
        elif n % 10 == 8 and not six:
            yield frame(ip(a, b, 1, icmp(a, b, 8 if i % 2 == 0 else 0, n, body)), kind, vlan)
        else:
            yield frame(ip(a, b, 6, tcp(a, b, sp, dp, i, 2 if i == 0 else 16, body)), kind, vlan)


def main():
    flows = [list(flow(n)) for n in range(40)]
    arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + b"\2" * 6 + address("10.20.0.1", 0) + b"\0" * 6
    frames = [frame(arp + address("198.18.0.1", 0), 0x0806), frame(b"\0" * 46, 0x88CC)]
    for i in range(6):
        frames += [f[i] for f in flows]
    with open(sys.argv[1], "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for i, f in enumerate(frames):
            out.write(struct.pack("<IIII", 1000 + i // 100, i % 100 * 10000, len(f), len(f)) + f)


if __name__ == "__main__":
    main()
