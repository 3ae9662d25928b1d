# SPDX-License-Identifier: BSD-2-Clause
"""Traces, packet by packet: classic pcap files of Ethernet, as trace_copies writes them."""
FIN, SYN, RST = 1, 2, 4


class Trace:
    """Records with their headers, as bytes."""

    def __init__(self, path):
        with open(path, "rb") as f:
            data = f.read()
        self.order = "little" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else "big"
        self.head, self.records, at = data[:24], [], 24
        while at < len(data):
            end = at + 16 + int.from_bytes(data[at + 8:at + 12], self.order)
            self.records.append(data[at:end])
            at = end

    def write(self, path, records):
        with open(path, "wb") as f:
            f.write(self.head + b"".join(records))
        return path


def connection(record):
    """Key without direction, the sender, TCP flags (0: not TCP). None for what is not IP."""
    frame = record[16:]
    kind, at = frame[12:14], 14
    if kind == b"\x81\x00":
        kind, at = frame[16:18], 18
    if kind == b"\x08\x00":
        proto, ends, l4 = frame[at + 9], (frame[at + 12:at + 16], frame[at + 16:at + 20]), at + (frame[at] & 15) * 4
    elif kind == b"\x86\xdd":
        proto, ends, l4 = frame[at + 6], (frame[at + 8:at + 24], frame[at + 24:at + 40]), at + 40
    else:
        return None
    a, b = (ends[0], frame[l4:l4 + 2]), (ends[1], frame[l4 + 2:l4 + 4])
    return (proto, min(a, b), max(a, b)), a, frame[l4 + 13] if proto == 6 else 0


class Closing:
    """Of each connection: when PRADS calls it closed, and how long it was then silent between two packets."""

    def __init__(self):
        self.flags, self.last, self.closed, self.silence = {}, {}, {}, {}

    def add(self, record, when):
        c = connection(record)
        if not c:
            return
        key, sender, flags = c
        if key in self.closed:
            self.silence[key] = max(self.silence.get(key, 0), when - self.last[key])
        self.last[key] = when
        seen = self.flags.setdefault(key, {})
        seen[sender] = seen.get(sender, 0) | flags
        fins = sum(1 for f in seen.values() if f & FIN)
        if fins == 2 or any(f & RST for f in seen.values()):
            self.closed.setdefault(key, when)
