#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The run of demo.sh: lab, traffic, two moves, judgement. Exit status 0 only if all is exact."""
import argparse
import json
import os
import random
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "netns"))
from harness import Failure, Lab, run  # noqa: E402

SHORTEST, LONGEST = 3.0, 45.0  # seconds; PRADS sweeps its table 60 s after its start
EVENT_BYTES = 88  # struct nf_ev_rec
NAMES = ("ids1", "ids2", "ref")


class Screen:
    """Where the person looks: standard error, colours and a moving line only on a terminal."""

    def __init__(self):
        self.tty = sys.stderr.isatty()
        self.line_open = False

    def put(self, text, colour=None):
        self.clear()
        if colour and self.tty:
            text = "\x1b[%dm%s\x1b[0m" % ({"bold": 1, "red": 31, "green": 32}[colour], text)
        print(text, file=sys.stderr, flush=True)

    def step(self, name, text):
        self.clear()
        name = "%-9s" % name
        print(("\x1b[1m%s\x1b[0m" % name if self.tty else name), text, file=sys.stderr, flush=True)

    def progress(self, text):
        if self.tty:
            print("\r\x1b[K" + text, end="", file=sys.stderr, flush=True)
            self.line_open = True

    def clear(self):
        if self.line_open:
            print("\r\x1b[K", end="", file=sys.stderr)
            self.line_open = False


def count_packets(trace):
    out = run("tcpdump", "-r", trace, "--count", stderr=subprocess.DEVNULL)
    return int(re.search(r"(\d+) packet", out).group(1))


def plural(n, what):
    return "%s %s%s" % (format(n, ","), what, "" if n == 1 else "s")


class Demo:
    rules = ()  # more options of compare_prads.py
    equal = (("trace", "sent"), ("sent", "switch"), ("switch", "ref"))  # counts

    def __init__(self, args, screen):
        self.args, self.screen = args, screen
        self.random = random.Random(args.seed)
        self.report = {"ok": False, "space": args.space, "seed": args.seed, "moves": [], "faults": []}
        self.report.update(self.traffic_is())

    def traffic_is(self):
        return {"trace": self.args.trace, "pps": self.args.pps}

    def fault(self, text):
        self.report["faults"].append(text)

    # ---- traffic and moves ----

    def device(self, lab, ns, dev, what):
        path = "/sys/class/net/%s/statistics/%s" % (dev, what)
        return int(lab.in_ns(lab.env[ns], "cat", path))

    def watch(self, lab, until, sent):
        """Show how far the replay is until that moment of it."""
        while True:
            now = time.monotonic() - self.start
            if now >= until or self.replay.poll() is not None:
                return
            self.show_traffic(lab, sent)
            time.sleep(min(0.2, max(0.01, until - now)))

    def show_traffic(self, lab, sent, doing=""):
        now = time.monotonic() - self.start
        bar = "#" * (self.device(lab, "LAB_GEN_NS", "gen", "tx_packets") * 30 // max(sent, 1))
        self.screen.progress("          [%-30s] %5.1f s  ids1 %s  ids2 %s packets%s" % (
            bar, now, format(lab.rx("ids1"), ","), format(lab.rx("ids2"), ","), doing))

    def wait_for_move(self, lab, src, dst, sent):
        """Exit code and result; over a second the person sees that it goes on."""
        nfctl = lab.start_move(src, dst, self.args.space)
        begin = time.monotonic()
        while True:
            try:
                out = nfctl.communicate(timeout=0.2)[0]
                break
            except subprocess.TimeoutExpired:
                took = time.monotonic() - begin
                if took > 120:
                    nfctl.kill()
                elif took > 1:
                    self.show_traffic(lab, sent, ", moving for %.1f s" % took)
        try:
            return nfctl.returncode, json.loads(out)
        except ValueError:
            return nfctl.returncode or 1, {"error": "nfctl gave no result"}

    def move(self, lab, src, dst, sent):
        when = time.monotonic() - self.start
        code, r = self.wait_for_move(lab, src, dst, sent)
        if self.replay.poll() is not None:
            self.fault("the traffic ended before the move %s to %s did" % (src, dst))
        self.report["moves"].append(dict(r, at_s=round(when, 3), exit_code=code))
        if code:
            why = r.get("reason") or r.get("error") or "exit code %d" % code
            self.fault("the move %s to %s did not succeed: %s" % (src, dst, why))
            return
        if not r.get("flows"):
            self.fault("no flow of the space was alive, so the move %s to %s shows nothing" % (src, dst))
        self.show_move(when, src, dst, r)

    def show_move(self, when, src, dst, r):
        get = lambda name: r.get(name) or 0  # noqa: E731
        self.screen.put("%8.1f s  moved %s -> %s in %.1f ms" % (when, src, dst, get("total_ms")), "bold")
        self.screen.put("            %s and %s that flows share: %s bytes of state, %d a flow" % (
            plural(get("flows"), "live flow"), plural(get("records"), "record"), format(get("state_bytes"), ","),
            get("state_bytes") // max(get("flows"), 1)))
        self.screen.put("            %s reprocessed without output, at most %s held and %s buffered, %s new during the move" % (
            plural(get("clones"), "packet"), format(get("held_max"), ","), format(get("buffered_max"), ","),
            plural(get("new_flows"), "flow")))
        phases = ["%s %.1f" % (k[:-3], v) for k, v in (r.get("phases") or {}).items() if k.endswith("_ms")]
        if phases:
            self.screen.put("            phases in ms: " + ", ".join(phases))

    def traffic(self, lab, packets):
        seconds = packets / self.args.pps
        first = self.random.uniform(0.35, 0.45) * seconds
        second = self.random.uniform(0.60, 0.70) * seconds
        self.screen.step("traffic", "%s at %s packets per second (%.0f s), all to ids1" % (
            plural(packets, "packet"), format(self.args.pps, ","), seconds))
        self.replay = lab.replay(self.args.trace, self.args.pps)
        try:
            while not self.device(lab, "LAB_GEN_NS", "gen", "tx_packets") and self.replay.poll() is None:
                time.sleep(0.005)
            self.start = time.monotonic()
            self.watch(lab, first, packets)
            self.move(lab, "ids1", "ids2", packets)
            self.watch(lab, second, packets)
            self.move(lab, "ids2", "ids1", packets)
            self.watch(lab, float("inf"), packets)
        finally:
            self.screen.clear()
            if self.replay.poll() is None:
                self.replay.terminate()
            self.replay.wait()

    # ---- judgement ----

    def count(self, lab, packets):
        time.sleep(0.3)
        c = {"trace": packets, "sent": self.device(lab, "LAB_GEN_NS", "gen", "tx_packets"),
             "switch": self.device(lab, "LAB_SW_NS", "swin", "rx_packets")}
        self.count_instances(lab, c)

    def count_instances(self, lab, c):
        for n in NAMES:
            c[n] = lab.rx(n) - lab.marks(n)
            c["dropped_" + n] = lab.rx_drops(n)
        self.report["packets"] = c

    def check_counts(self, lab):
        c = self.report["packets"]
        for n in NAMES:
            received, dropped = capture_counts(lab, n)
            c["captured_" + n] = received
            c["dropped_" + n] += dropped
            if dropped or c["dropped_" + n]:
                self.fault("%s lost %s before it could read them" % (n, plural(c["dropped_" + n], "packet")))
            elif received is None or received < c[n]:
                self.fault("the capture of %s got %s of %d packets" % (n, received, c[n]))
        for a, b in self.equal:
            if c[a] != c[b]:
                self.fault("packets: %s %d, but %s %d" % (a, c[a], b, c[b]))
        if c["ids1"] + c["ids2"] != c["switch"]:
            self.fault("packets: switch %d, but ids1 %d + ids2 %d" % (c["switch"], c["ids1"], c["ids2"]))
        self.screen.put("          packets: sent %s, reference %s, ids1 %s + ids2 %s, lost %d" % (
            *(format(c[k], ",") for k in ("sent", "ref", "ids1", "ids2")),
            max(0, c["sent"] - c["ids1"] - c["ids2"])))

    def compare(self, lab, what, suffix, *options):
        files = [lab.path(n + suffix) for n in ("ref", "ids1", "ids2")]
        p = subprocess.run([sys.executable, os.path.join(ROOT, "tests", "oracle", "compare_prads.py"), *options,
                            "--json", *files], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            verdict = json.loads(p.stdout)
        except ValueError:
            verdict = {"text": p.stdout.strip()}
        self.report[what] = verdict
        if p.returncode:
            self.fault("%s differ from the reference: %s" % (what, p.stdout.strip()[:2000] or "no output"))
            if what == "connections" and not self.rules:
                self.screen.put("          note: if all else is exact, PRADS itself may be the reason: where connections "
                                "share a bucket of its\n          table it forgets live ones with an ended one; "
                                "tests/tools/trace_copies --bucket-distinct makes traces without")
        self.screen.put("          %s: %s of the reference, %s missing, %s extra" % (
            what, plural(verdict.get("lines", 0), "line"), verdict.get("missing", "?"), verdict.get("extra", "?")))

    def check_order(self, lab):
        p = subprocess.run([os.path.join(self.args.build, "tests", "oracle", "evcheck"),
                            *(lab.path(n + ".ev") for n in ("ref", "ids1", "ids2"))],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        text = p.stdout.strip()
        self.report["events"] = text
        if p.returncode:
            self.fault("event logs: " + text[:2000])
        self.screen.put("          event logs: " + (text.splitlines() or ["empty"])[-1])

    def check(self, lab):
        lab.stop_nfs()
        self.screen.step("judgement", "what ids1 and ids2 printed together, against one that never moved")
        self.check_counts(lab)
        self.compare(lab, "connections", ".out", "--live", *self.rules)
        self.compare(lab, "assets", ".log")
        self.check_order(lab)

    def run_in(self, lab, packets):
        """@packets: so many, or at most so many, as room in the event logs."""
        # Each packet applied once and in order is what PRADS' own output cannot show.
        lab.evlog = True
        os.environ["NFSHIM_EVLOG_MB"] = str(8 + 2 * packets * EVENT_BYTES // 2**20)
        with lab:
            try:
                self.traffic(lab, packets)
                self.count(lab, packets)
                self.check(lab)
            except Failure as e:
                self.fault(str(e))

    def run(self):
        packets = count_packets(self.args.trace)
        seconds = packets / self.args.pps
        if seconds < SHORTEST:
            raise Failure("%s lasts %.1f s at %d packets per second, too short for two moves: use --pps %d or less" %
                          (plural(packets, "packet"), seconds, self.args.pps, int(packets / SHORTEST) or 1))
        if seconds > LONGEST:
            self.screen.put("          note: %.0f s; in runs of over a minute PRADS itself forgets connections" % seconds)
        self.screen.step("lab", "a switch, ids1, ids2, and a reference that sees everything and never moves")
        self.run_in(Lab(self.args.build, nf="prads", seed=self.args.seed, keep=self.args.keep), packets)

    def summary(self):
        """The one line at the end."""
        if not self.report["ok"]:
            return "FAILED (seed %d)" % self.report["seed"]
        return "OK: %s under %s packets: nothing missing, extra, doubled or reordered, no packet lost" % (
            moves_done(self.report["moves"]), format(self.report["packets"]["sent"], ","))


def moves_done(moves):
    return "%s of %s flows in %s ms" % (plural(len(moves), "move"), " and ".join(format(m["flows"], ",") for m in moves),
                                        " and ".join("%.1f" % m["total_ms"] for m in moves))


def capture_counts(lab, name):
    """What PRADS' own last words say that libpcap received and dropped."""
    text = "".join(open(lab.path(name + s), errors="replace").read() for s in (".err", ".out"))
    received = re.search(r"Total packets received +: +(\d+)", text)
    dropped = sum(int(n) for n in re.findall(r"Total packets dropped[^:]*: +(\d+)", text))
    return int(received.group(1)) if received else None, dropped


def arguments(p):
    """Those of every demo."""
    p.add_argument("--build", required=True)
    p.add_argument("--space", required=True)
    p.add_argument("--seed", type=int, required=True)
    p.add_argument("--keep")
    p.add_argument("--json", action="store_true")
    return p.parse_args()


def main(demo):
    screen, args = demo.screen, demo.args
    try:
        demo.run()
    except Failure as e:
        demo.fault(str(e))
    except subprocess.CalledProcessError as e:
        demo.fault("%s failed with %d" % (" ".join(e.cmd), e.returncode))
    except KeyboardInterrupt:
        demo.fault("interrupted")
    report = demo.report
    report["ok"] = not report["faults"]
    for fault in report["faults"]:
        screen.put("FAULT     " + fault, "red")
    screen.put(demo.summary(), "green" if report["ok"] else "red")
    if args.json:
        print(json.dumps(report))
    return 0 if report["ok"] else 1


def trace_demo():
    p = argparse.ArgumentParser()
    p.add_argument("--trace", required=True)
    p.add_argument("--pps", type=int, required=True)
    return Demo(arguments(p), Screen())


if __name__ == "__main__":
    sys.exit(main(trace_demo()))
