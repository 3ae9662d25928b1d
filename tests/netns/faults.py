#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Each party of a live move is killed (-9) at each step of it, under traffic.

    faults.py [--build DIR] [--full | --runs N] [--seed N] [--case PATTERN] [--list]

A case is VICTIM@HOLDER.POINT: the holder waits at its pause point, the victim is killed, the holder
goes on. ids2 has taken over another space before, which nothing may happen to as long as it lives.
Judged is what the operator is told, where the route is, whether the survivors live and know nothing
more of the move, whether a second move is possible where both NFs live, and every line of output:
a flow may differ from the reference only where the table of DESIGN ("What happens when something
dies") allows it. With --full all cases are run; else a sample that the seed draws.
"""
import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict

from harness import CAMPUS, POD, ROOT, Failure, Invalid, Lab, wait_for
from move_run import count

sys.path.insert(0, os.path.join(ROOT, "tests/oracle"))
from compare_seqhash import disorder, parts  # noqa: E402

OTHER = "net 10.20.8.0/21"  # what ids2 has before
PATIENT = ("--deadline", "20000")  # the machine may be busy; what is late is not what is tested
LINGER = ("--linger", "600") + PATIENT
INVALID_MAX = 2
LONG = 60  # seconds that nothing takes but on a machine that does something else

# Where the move can be held, in its order, and how it may end if a source, a destination or their
# helpers die there. BEFORE the route: aborted. At "intent" it is about to change.
BEFORE, ROUTE, DONE = "before", "route", "done"
POINTS = [
    ("ctrl.begin-dst", BEFORE), ("xfer.ids2.begin-dst", BEFORE), ("shim.ids2.begin-dst", BEFORE),
    ("ctrl.begin-src", BEFORE), ("xfer.ids1.dial", BEFORE), ("xfer.ids1.begin-src", BEFORE),
    ("shim.ids1.begin-src", BEFORE), ("shim.ids1.export", BEFORE), ("xfer.ids1.export", BEFORE),
    ("xfer.ids2.export", BEFORE), ("shim.ids1.exported", BEFORE), ("xfer.ids1.exported", BEFORE),
    ("ctrl.prepare-dst", BEFORE), ("xfer.ids2.prepare", BEFORE), ("shim.ids2.prepare", BEFORE),
    ("ctrl.prepare-src", BEFORE), ("xfer.ids1.prepare", BEFORE), ("shim.ids1.prepare", BEFORE),
    ("shim.ids1.barrier", BEFORE), ("xfer.ids1.barrier", BEFORE), ("xfer.ids2.barrier", BEFORE),
    ("shim.ids2.ready", BEFORE), ("xfer.ids2.ready", BEFORE), ("ctrl.abort", BEFORE),
    ("ctrl.intent", ROUTE), ("ctrl.route", ROUTE), ("ctrl.grace", ROUTE), ("ctrl.mark", ROUTE),
    ("shim.ids1.mark", ROUTE), ("xfer.ids1.mark", ROUTE), ("shim.ids1.fin", ROUTE),
    ("xfer.ids1.fin", ROUTE), ("xfer.ids2.fin", ROUTE), ("shim.ids1.finall", ROUTE),
    ("xfer.ids1.finall", ROUTE), ("xfer.ids2.finall", ROUTE), ("shim.ids2.finall", ROUTE),
    ("shim.ids2.done", ROUTE), ("xfer.ids2.done", ROUTE), ("xfer.ids1.done", ROUTE),
    ("shim.ids1.done", ROUTE), ("shim.ids2.committed", ROUTE), ("xfer.ids2.committed", ROUTE),
    ("ctrl.committed", DONE), ("shim.ids1.released", DONE), ("xfer.ids1.release", DONE),
    ("shim.ids1.delete", DONE), ("xfer.ids1.delete", DONE), ("ctrl.end", DONE),
]
PHASE = dict(POINTS)
PLACE = {point: i for i, (point, _) in enumerate(POINTS)}
VICTIMS = ("ids1", "ids2", "xfer.ids1", "xfer.ids2", "ctrl")
S_SIDE, D_SIDE = ("ids1", "xfer.ids1"), ("ids2", "xfer.ids2")
NF = ("ids1", "ids2")


def allowed_states(victim, point):
    """How the move may end."""
    if PHASE[point] == BEFORE:
        return {"aborted"}
    if PHASE[point] == DONE:
        # In the linger only the NF that has the flows matters; behind it its death is no part of the move.
        return {"failed", "done"} if victim == "ids2" else {"done"}
    # From the first FIN on each side may have said all that the other needs.
    return {"failed", "done"} if PLACE[point] >= PLACE["shim.ids1.fin"] else {"failed"}


def space_of(flow):
    """Of a flow's text: the moved space, what ids2 had before, or the rest of ids1."""
    m = re.search(r"10\.20\.(\d+)\.", flow)
    if m:
        return "pod" if int(m.group(1)) < 8 else "other"
    m = re.search(r"2001:db8:20:([0-9a-f]*):", flow)
    return "pod" if m and int(m.group(1) or "0", 16) < 8 else "rest"


class Outputs:
    """What the three NFs printed, by flow."""

    def __init__(self, lab):
        self.lines = {n: self.read(lab.path(n + ".out")) for n in ("ref", "ids1", "ids2")}

    @staticmethod
    def read(path):
        flows = defaultdict(list)
        with open(path, encoding="latin-1") as f:
            for line in f:
                flow, n = parts(line.rstrip("\n"))
                if n:
                    flows[flow].append(line.rstrip("\n"))
        return flows

    def missing(self, flow):
        return len(self.lines["ref"][flow]) - len(self.lines["ids1"].get(flow, ())) - len(self.lines["ids2"].get(flow, ()))

    def differs(self, flow):
        ids = [self.lines[n].get(flow, []) for n in ("ids1", "ids2")]
        return Counter(ids[0] + ids[1]) != Counter(self.lines["ref"][flow]) or any(disorder(i) for i in ids)

    def different(self):
        all_flows = set().union(*(self.lines[n] for n in self.lines))
        return {f for f in all_flows if self.differs(f)}


class Fault:
    """One case in one lab."""

    def __init__(self, lab, victim, point, seed):
        self.lab, self.victim, self.point = lab, victim, point
        self.holder = point.rsplit(".", 1)[0]
        self.random = random.Random("%s %s %s" % (seed, victim, point))
        self.sent = count(CAMPUS)
        self.told, self.code, self.second = {}, None, ""

    # ---- the run ----

    def hold_and_kill(self):
        lab, late = self.lab, self.random.choice((0, 0.3))
        points = ["shim.ids1.exported", self.point] if self.point == "ctrl.abort" else [self.point]
        for p in points:
            lab.arm(p)
        nfctl = lab.start_move("ids1", "ids2", POD, *LINGER)
        if len(points) > 1:
            wait_for(points[0], lambda: lab.is_held(points[0]), LONG)
            abort = subprocess.Popen([os.path.join(lab.build, "ctrl/nfctl"), "--dir", lab.run_dir, "abort", "2"],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.point, lambda: lab.is_held(self.point) or self.ended_early(nfctl), LONG)
        if PHASE[self.point] == DONE and self.holder != "ctrl":
            wait_for("the linger", lambda: lab.nfctl("show", "2")[1].get("stage") in ("linger", "end"), LONG, 0.1)
        lab.kill(self.victim)
        time.sleep(late)  # both: the others meet the death before the holder goes on, and after
        for p in points:
            lab.release(p)
        if len(points) > 1:
            abort.wait(20)
        return nfctl

    def ended_early(self, nfctl):
        if PHASE[self.point] != DONE and nfctl.poll() is not None:
            raise Failure("the move ended before it came to the point: %s" % nfctl.communicate()[0])

    def hear(self, nfctl):
        """What the operator was told, and how the move ended."""
        out = nfctl.communicate(timeout=60)[0]
        lines = [line for line in out.splitlines() if line.startswith("{")]
        self.told, self.code = json.loads(lines[-1]) if lines else {}, nfctl.returncode
        if self.victim == "ctrl":
            return
        wait_for("the end of the move", lambda: self.show().get("stage") == "over", LONG, 0.1)

    def show(self):
        self.told = self.lab.nfctl("show", "2")[1]
        return self.told

    def repair(self):
        """What an operator would do: start the helper or controller again."""
        if self.victim == "ctrl":
            self.lab.start_ctrl()
        elif self.victim.startswith("xfer."):
            self.lab.start_xfer(self.victim[5:])
        wait_for("the instances to be free again", self.free, LONG, 0.1)

    def check_alive(self):
        dead = [n for n, up in self.alive().items() if not up]
        self.expect(not dead, "%s died too" % ", ".join(dead))

    def wait_traffic(self, share):
        """Until the reference has seen that share of the trace: all flows are open from 0.3 to 0.7 of it."""
        wait_for("traffic", lambda: self.lab.events("ref") >= share * self.sent, LONG)

    def instances(self):
        code, r = self.lab.nfctl("instances")
        return {i["name"]: i for i in r.get("instances", [])} if code == 0 else {}

    def free(self):
        self.check_alive()
        up = self.instances()
        return all(n == self.victim or (n in up and up[n]["ready"] and not up[n]["move"]) for n in NF)

    def owner(self):
        """Where the switch sends the space."""
        code, r = self.lab.nfctl("routes")
        if code:
            raise Failure("nfctl routes: %s" % r)
        return next((i["to"] for i in r["routes"] if "10.20.0.0/21" in i["space"]), r["default"])

    def leftover(self, name):
        code, r = self.lab.nfctl("flows", name, POD)
        if code:
            raise Failure("nfctl flows %s: %s" % (name, r))
        return r["count"]

    def move_again(self, replay):
        src = self.owner()
        dst = "ids2" if src == "ids1" else "ids1"
        if self.keeps_copies() and src == "ids2":
            code, r = self.lab.nfctl("move", src, dst, POD, "--wait", *LINGER)
            self.expect(code == 1 and r["state"] == "aborted" and "of its own" in r["reason"], "the move back: %s" % r)
            self.second = "refused: " + r["reason"]
            return
        self.lab.move(src, dst, POD, *LINGER)
        self.second = "%s to %s%s" % (src, dst, "" if replay.poll() is None else " after the traffic")

    def keeps_copies(self):
        """A source that never saw MARK keeps its copies when a new controller ends the move, see nfctrld(8)."""
        return self.victim == "ctrl" and PLACE["ctrl.route"] <= PLACE[self.point] <= PLACE["ctrl.mark"]

    def run(self, replay):
        self.wait_traffic(0.25)
        self.lab.move("ids1", "ids2", OTHER, "--linger", "0", *PATIENT)
        self.wait_traffic(self.random.uniform(0.3, 0.45))
        before = self.lab.rx("ids2")
        self.begin = os.path.getsize(self.lab.path("ids1.out"))
        self.hear(self.hold_and_kill())
        self.repair()
        self.direct = self.lab.rx("ids2") - before
        self.check_end()
        if self.victim not in NF:
            self.move_again(replay)

    # ---- judgement ----

    def expect(self, good, text):
        if not good:
            raise Failure("%s [code %s, %s]" % (text, self.code, self.summary()))

    def summary(self):
        return "state %s, stage %s, %s unfinished, reason '%s'" % tuple(
            self.told.get(k) for k in ("state", "stage", "unfinished_count", "reason"))

    def check_end(self):
        self.state = self.told.get("state")
        owner = self.owner()
        if self.victim == "ctrl":
            self.check_ctrl(owner)
            return
        self.expect(self.state in allowed_states(self.victim, self.point), "the move ended wrongly")
        if self.state != "done":
            self.expect(self.told.get("reason"), "no reason")
        if self.state == "aborted" or (self.state == "failed" and self.victim in D_SIDE):
            self.expect(owner == "ids1", "the route is at %s" % owner)
            self.check_named()
            if self.victim != "ids2":
                self.expect(self.leftover("ids2") == 0, "ids2 still has flows of the space")
        else:
            self.expect(owner == "ids2", "the route is at %s" % owner)

    def check_named(self):
        """What ids2 has printed of flows that the source had before is lost to the source: they must be named."""
        with open(self.lab.path("ids1.out"), "rb") as f:
            old = {parts(line.decode())[0] for line in f.read(self.begin).splitlines()}
        mine = {f for f in Outputs.read(self.lab.path("ids2.out")) if space_of(f) == "pod"} & old
        # The source names what it was told of: DONE may die with ids2's helper, and after its deletion it knows nothing.
        if ".ids2." in self.point or self.point.endswith(".delete"):
            return
        left = mine - set(self.told.get("unfinished", ()))
        enough = not left or self.told["unfinished_count"] >= len(mine)
        self.expect(enough, "%d of %d flows that ids2 took over are not named" % (len(left), len(mine)))

    def check_ctrl(self, owner):
        route_set = PLACE[self.point] >= PLACE["ctrl.route"]
        reported = PLACE[self.point] > PLACE["ctrl.committed"]
        # Held back from the source, DONE does not keep ids2 from reporting that all is committed.
        either = self.point in ("shim.ids1.done", "xfer.ids1.done")
        self.expect(self.code in ((0, 4) if either else (0,) if reported else (4,)), "nfctl's exit code")
        self.expect(owner == ("ids2" if route_set else "ids1"), "the route is at %s" % owner)
        if not route_set:
            self.expect(self.leftover("ids2") == 0, "ids2 still has flows of the space")
        self.state = "done" if route_set else "aborted"

    def may_differ(self, out):
        """Function of a flow: may its lines differ from the reference's?"""
        named = set(self.told.get("unfinished", ()))
        mine = {"ids1": ("pod", "rest") if self.state == "aborted" else ("rest",), "ids2": ("other",)}.get(self.victim, ())
        lost = self.victim in D_SIDE and self.state == "failed" or self.victim == "ids2" and self.state == "done"
        some = self.victim in S_SIDE and self.state == "failed"

        # A flow that begins during the move is known to nobody else if its first clone dies with S' helper,
        # and to nobody at all if its first packets die in S' capture.
        named |= self.began_late() | (set(out.lines["ref"]) - set(out.lines["ids1"])) if some else set()

        def may(flow):
            where = space_of(flow)
            return where in mine or (where == "pod" and (lost or (some and flow in named)))
        return may

    def began_late(self):
        with open(self.lab.path("ids1.out"), "rb") as f:
            old = {parts(line.decode().rstrip("\n"))[0] for line in f.read(self.begin).splitlines()}
            return {parts(line.decode().rstrip("\n"))[0] for line in f} - old

    def check_output(self):
        out = Outputs(self.lab)
        may, bad = self.may_differ(out), out.different()
        wrong = sorted(f for f in bad if not may(f))
        self.expect(not wrong, "%d flows are not as they must be, such as %s" % (len(wrong), ", ".join(wrong[:3])))
        pod = [f for f in bad if space_of(f) == "pod"]
        lost = sum(out.missing(f) for f in pod)
        if self.victim in S_SIDE and self.state == "failed":
            self.expect(len(pod) <= self.told["unfinished_count"] + len(self.began_late()),
                        "%d flows of the space differ, but fewer are told of" % len(pod))
        if self.victim in D_SIDE and self.state == "failed":
            self.expect(lost <= self.direct, "%d lines are missing, but only %d packets went to ids2" % (lost, self.direct))
        if self.may_lose():
            self.check_log()
        else:
            self.expect(not bad, "flows differ")
            self.lab.compare()
        return "%d of %d flows differ (%d lines of the space missing)" % (len(bad), len(out.lines["ref"]), lost)

    def may_lose(self):
        return self.victim in NF or (self.state == "failed" and self.victim != "ctrl")

    def check_log(self):
        gone = "ids1" if self.victim in S_SIDE else "ids2"
        other = "ids2" if gone == "ids1" else "ids1"
        p = subprocess.run([os.path.join(self.lab.build, "tests/oracle/evcheck"), "--gone", self.lab.path(gone + ".ev"),
                            self.lab.path("ref.ev"), self.lab.path(other + ".ev")],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.expect(p.returncode == 0, p.stdout.strip())

    def check_survivors(self, alive):
        for n in alive:
            if n in NF + ("ref",):
                self.expect(self.lab.procs[n].returncode == 0, "%s ended with %s" % (n, self.lab.procs[n].returncode))
            text = open(self.lab.path(n + ".err"), errors="replace").read()
            m = re.search(r".*(inert from now on|Sanitizer|Assertion|stack smashing|malformed).*", text)
            self.expect(not m, "%s says: %s" % (n, m and m.group(0)))

    def alive(self):
        """By name, but for an NF that was killed. Helpers and controllers that were killed run again."""
        return {n: p.poll() is None for n, p in self.lab.procs.items() if n != self.victim or n not in NF}

    def finish(self):
        self.check_alive()
        alive = self.alive()
        self.lab.stop_valid(self.sent)
        self.check_survivors(alive)
        text = self.check_output()
        said = self.told.get("reason") or ("nfctl exit %d" % self.code if self.victim == "ctrl" else "nothing")
        return "%s; told: %s; %s%s" % (self.state, said, text, "; again " + self.second if self.second else "")


def one(lab, victim, point, seed):
    if "ref" not in lab.procs or lab.procs["ref"].poll() is not None:
        lab.again()
    fault = Fault(lab, victim, point, seed)
    # A controller that comes back waits 3 s before it ends what it finds.
    replay = lab.replay(CAMPUS, 3000 if victim == "ctrl" else 4000)
    try:
        fault.run(replay)
        if replay.wait():
            raise Invalid("tcpreplay failed")
        return fault.finish()
    finally:
        replay.kill()
        replay.wait()
        lab.end_all()


def valid_one(lab, victim, point, seed):
    for n in range(INVALID_MAX + 1):
        try:
            return one(lab, victim, point, seed + 1000 * n)
        except Invalid as e:
            print("  invalid: %s" % e, flush=True)
            last = e
    raise Failure("%d invalid runs: %s" % (INVALID_MAX + 1, last))


def run_cases(lab, args):
    """How many failed."""
    failed = 0
    for victim, point in chosen(args) * args.runs:
        name = "%s@%s" % (victim, point)
        try:
            text = valid_one(lab, victim, point, args.seed)
            print("ok %s: %s" % (name, text), flush=True)
        except (Failure, subprocess.SubprocessError) as e:
            failed += 1
            print("not ok %s: %s" % (name, str(e).replace("\n", " | ")[:700]), flush=True)
            if args.keep:
                shutil.copytree(lab.out, os.path.join(args.keep, name), dirs_exist_ok=True)
        args.seed += 1
    return failed


def chosen(args):
    cases = [(v, p) for p, _ in POINTS for v in VICTIMS]
    if args.case:
        return [c for c in cases if re.search(args.case, "%s@%s" % c)]
    if args.full:
        return cases
    r = random.Random(args.seed)
    pick = []
    for phase, victims in ((BEFORE, NF[1:]), (BEFORE, ("xfer.ids1", "xfer.ids2", "ids1")), (ROUTE, S_SIDE), (ROUTE, D_SIDE),
                           (DONE, VICTIMS[:4]), (None, ("ctrl",))):
        pick.append(r.choice([c for c in cases if c[0] in victims and phase in (None, PHASE[c[1]])]))
    return pick


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--build", default=os.environ.get("NFSHIM_BUILD_TEST", "build-test"))
    p.add_argument("--full", action="store_true")
    p.add_argument("--runs", type=int, default=1)
    p.add_argument("--seed", type=int, default=random.randrange(1 << 20))
    p.add_argument("--case", default="", help="regular expression")
    p.add_argument("--keep", default=None, help="folder for the output of cases that fail")
    p.add_argument("--list", action="store_true")
    args = p.parse_args()
    if args.list:
        print("\n".join("%s@%s" % c for c in chosen(args)))
        return 0
    print("seed %d" % args.seed, flush=True)
    if not os.path.exists(CAMPUS):
        print("skip faults: no %s" % CAMPUS)
        return 0
    with Lab(args.build, "seqhash", ["--line-buffered"], seed=args.seed, pause=True, nfrun=False) as lab:
        return 1 if run_cases(lab, args) else 0



if __name__ == "__main__":
    sys.exit(main())
