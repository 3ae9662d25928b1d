#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Clients of two pods that go on until SIGTERM, each with one connection at a time.

    live_clients.py --seed N --clients N

Of ten clients seven browse over a connection that stays open, one downloads slowly over such a one,
one makes a connection for each page, and one asks the name server. Prints a JSON object a line, five
a second: connections open now; made, requests and errors so far; the slowest answer. "ready" once all
that stay open are. An error is whatever a person would notice: refused, reset, cut short, other
content, or no answer for 20 seconds. The last object has "done". Exit status 0 without errors.
"""
import argparse
import asyncio
import json
import random
import signal
import sys

from clients import Pair, connect, get, query

PATIENCE = 20  # seconds
PAUSE = 1 / 300  # seconds between two requests, for each client there is: the rate does not depend on their number
PAGES = ("small",) * 12 + ("page",) * 6 + ("large",) * 3 + ("huge",)
EXAMPLES = 5


class Clients:
    def __init__(self, seed, count):
        self.random, self.count = random.Random(seed), count
        self.stop = asyncio.Event()
        self.open = self.staying = self.made = self.ipv6 = self.requests = self.errors = 0
        self.slowest, self.examples = 0.0, []
        self.stay = sum(self.kind(n) in (self.browser, self.downloader) for n in range(count))

    def kind(self, n):
        # Neighbours are in different pods, so that each pod has all kinds.
        return {0: self.visitor, 1: self.asker, 2: self.downloader}.get(n // 2 % 10, self.browser)

    # ---- what a client does ----

    async def pause(self, factor=1.0):
        """Some time, or until the end."""
        seconds = factor * self.random.uniform(0.3, 1.7) * PAUSE * self.count
        try:
            await asyncio.wait_for(self.stop.wait(), seconds)
        except asyncio.TimeoutError:
            pass

    async def timed(self, what):
        loop = asyncio.get_running_loop()
        begin = loop.time()
        result = await asyncio.wait_for(what, PATIENCE)
        self.slowest = max(self.slowest, loop.time() - begin)
        return result

    async def session(self, pair, use):
        """A connection, @use of it, its end."""
        reader, writer = await self.timed(connect(pair))
        self.open += 1
        self.made += 1
        self.ipv6 += pair.six
        try:
            await use(reader, writer, pair)
        finally:
            self.open -= 1
            writer.close()
            await asyncio.wait_for(writer.wait_closed(), PATIENCE)

    async def browser(self, n, pages=PAGES):
        async def use(reader, writer, pair):
            self.staying += 1
            while not self.stop.is_set():
                # Nobody is surprised that a slow download takes its time.
                name = self.random.choice(pages)
                answer = get(reader, writer, pair, name)
                await (asyncio.wait_for(answer, PATIENCE) if name == "slow" else self.timed(answer))
                self.requests += 1
                await self.pause()
        await self.session(Pair(self.random, n), use)

    async def downloader(self, n):
        await self.browser(n, ("slow",))

    async def visitor(self, n):
        async def use(reader, writer, pair):
            await self.timed(get(reader, writer, pair, self.random.choice(PAGES)))
            self.requests += 1
        while not self.stop.is_set():
            await self.session(Pair(self.random, n), use)
            await self.pause()

    async def asker(self, n):
        while not self.stop.is_set():
            await self.timed(query(Pair(self.random, n, 53)))
            self.requests += 1
            await self.pause()

    # ---- all of them ----

    async def client(self, n):
        await self.pause(self.random.random())
        try:
            await self.kind(n)(n)
        except (OSError, EOFError, ValueError, IndexError, asyncio.TimeoutError) as e:
            self.errors += 1
            self.examples.append("%s: %s" % (type(e).__name__, str(e) or "no answer for %d s" % PATIENCE))

    def say(self, **more):
        o = {"open": self.open, "made": self.made, "ipv6": self.ipv6, "requests": self.requests, "errors": self.errors,
             "slowest_ms": round(self.slowest * 1000, 1), "ready": self.staying == self.stay,
             "examples": self.examples[:EXAMPLES]}
        print(json.dumps(dict(o, **more)), flush=True)

    async def tell(self):
        while True:
            self.say()
            await asyncio.sleep(0.2)

    async def run(self):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.stop.set)
        teller = asyncio.create_task(self.tell())
        await asyncio.gather(*(self.client(n) for n in range(self.count)))
        teller.cancel()
        self.say(done=True)
        return 1 if self.errors else 0


async def start(args):
    return await Clients(args.seed, args.clients).run()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seed", type=int, required=True)
    p.add_argument("--clients", type=int, required=True)
    return asyncio.run(start(p.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
