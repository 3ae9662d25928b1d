#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Clients of two pods, and the name server that they ask. Used by record.sh; live_clients.py has others.

    clients.py run --seed N --seconds S     clients; prints how many connections and requests
    clients.py serve                        the name server on port 53

Most connections begin in the first third of the time and end in the last, so that in the middle
nearly all of them are open. The rest are short. Client ports are drawn so that no two connections
share one of PRADS' 31337 buckets: it forgets connections in chains with an ended one.
"""
import argparse
import asyncio
import ipaddress
import random
import socket
import struct

PODS = (
    {"clients": ("10.20.0.10", "2001:db8:20::10"), "servers": ("198.18.0.20", "2001:db8:c10d::20")},
    {"clients": ("10.20.8.10", "2001:db8:20:8::10"), "servers": ("198.18.32.20", "2001:db8:c10d:1::20")},
)
CLIENTS, SERVERS = 60, 25
LONG, SHORT, QUERIES = 300, 60, 60
AGENTS = ("Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
          "curl/7.88.1", "Wget/1.21.3", "apt-http/1.3 (2.6.1)")
FILES = ("small", "small", "small", "page", "page", "large")


def pick(rng, first, count):
    return str(ipaddress.ip_address(first) + rng.randrange(count))


def bucket(client, port, server, service, proto):
    """PRADS 0.3.3: the sum of all words as they lie in memory."""
    words = b"".join(ipaddress.ip_address(a).packed for a in (client, server))
    return (sum(struct.unpack("<%dI" % (len(words) // 4), words)) + socket.htons(port) + socket.htons(service) +
            proto) % 2**32 % 31337


class Pair:
    """Who asks whom, from which port, as whom."""

    used = set()

    def __init__(self, rng, number, service=80):
        pod, self.six = PODS[number % 2], rng.random() < 0.1
        self.client = pick(rng, pod["clients"][self.six], CLIENTS)
        self.server = pick(rng, pod["servers"][self.six], SERVERS)
        self.service = service
        self.port = rng.randrange(32768, 61000)
        while not self.is_alone():
            self.port = rng.randrange(32768, 61000)
        self.agent = rng.choice(AGENTS)

    def is_alone(self):
        """Neither in a bucket with another nor at a port that the system has not let go of yet."""
        proto = {80: socket.IPPROTO_TCP, 53: socket.IPPROTO_UDP}[self.service]
        places = {bucket(self.client, self.port, self.server, self.service, proto), (self.client, self.port)}
        if places & self.used:
            return False
        self.used |= places
        return True


class Job(Pair):
    """One connection or query: who, when and how, all drawn before anything starts."""

    def __init__(self, rng, number, seconds, service=80):
        super().__init__(rng, number, service)
        self.begin = rng.uniform(0, 0.3) * seconds
        self.end = rng.uniform(0.7, 1.0) * seconds
        self.requests = sorted((rng.uniform(self.begin, self.end), rng.choice(FILES))
                               for _ in range(rng.randrange(8, 16)))

    def shorten(self, rng, seconds):
        self.begin = rng.uniform(0, 0.9) * seconds
        self.end = self.begin + 0.1
        self.requests = [(self.begin, rng.choice(FILES))]
        return self


async def at(start, when):
    await asyncio.sleep(max(0.0, start + when - asyncio.get_running_loop().time()))


async def connect(pair):
    return await asyncio.open_connection(pair.server, pair.service, local_addr=(pair.client, pair.port))


async def get(reader, writer, pair, name):
    text = "GET /%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\n\r\n" % (name, "www.example", pair.agent)
    writer.write(text.encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.split("content-length:")[1].split("\r\n")[0])
    body = await reader.readexactly(length)
    if not head.startswith("http/1.1 200 ") or body != body[:1] * length:
        raise ValueError("%s of %s: not what is there: %s" % (name, pair.server, head.splitlines()[0]))


async def browse(job, start):
    await at(start, job.begin)
    reader, writer = await connect(job)
    for when, name in job.requests:
        await at(start, when)
        await get(reader, writer, job, name)
    await at(start, job.end)
    writer.close()
    await writer.wait_closed()
    return len(job.requests)


class Answer(asyncio.DatagramProtocol):
    def __init__(self):
        self.got = asyncio.get_running_loop().create_future()

    def datagram_received(self, data, addr):
        if not self.got.done():
            self.got.set_result(data)


async def query(pair):
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        Answer, local_addr=(pair.client, pair.port), remote_addr=(pair.server, pair.service))
    name = b"".join(bytes([len(p)]) + p for p in (b"www", b"example")) + b"\0"
    transport.sendto(struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + name + struct.pack("!HH", 1, 1))
    try:
        await asyncio.wait_for(protocol.got, 5)
    finally:
        transport.close()


async def ask(job, start):
    await at(start, job.begin)
    await query(job)
    return 1


async def run(seed, seconds):
    rng = random.Random(seed)
    start = asyncio.get_running_loop().time() + 0.1
    jobs = [browse(Job(rng, n, seconds), start) for n in range(LONG)]
    jobs += [browse(Job(rng, n, seconds).shorten(rng, seconds), start) for n in range(SHORT)]
    jobs += [ask(Job(rng, n, seconds, 53), start) for n in range(QUERIES)]
    done = await asyncio.gather(*jobs)
    print("connections=%d queries=%d requests=%d" % (LONG + SHORT, QUERIES, sum(done) - QUERIES))


def serve():
    # Every address is ours: the answer must leave from the one that was asked.
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    sock.bind(("::", 53))
    while True:
        query, control, _, peer = sock.recvmsg(2048, 256)
        answer = struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton("192.0.2.1")
        reply = query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + query[12:] + answer
        info = [(lv, ty, data[:16] + bytes(4)) for lv, ty, data in control if ty == socket.IPV6_PKTINFO]
        sock.sendmsg([reply], info, 0, peer)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("mode", choices=("run", "serve"))
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--seconds", type=float, default=6)
    args = p.parse_args()
    if args.mode == "serve":
        serve()
    else:
        asyncio.run(run(args.seed, args.seconds))


if __name__ == "__main__":
    main()
