#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What each --guarantee promises, and what it does not.

    guarantees.py [--build DIR] [--full | --runs N] [--seed N] [--case PATTERN] [--list]

loss-free   packets of the new route come while the commit is held up: none waits, none is lost or doubled, each
            flow's counter ends where the reference's does
none        packets come between the export and the route: their updates are missing, and the judge objects
"""
import subprocess
import sys
import time
from contextlib import contextmanager

from harness import POD, Invalid, wait_for
from job import expect, main
from late import same_totals

PPS = 1500


@contextmanager
def moved(job, point, guarantee, rises):
    """A move of the pod held at @point until @rises (an instance) has got 60 more packets. The lab, at its end, and the result."""
    records = job.campus.records[:6000]
    with job.lab(evlog=guarantee != "none") as lab:
        lab.arm(point)
        replay = lab.replay(job.file("a", records), PPS)
        time.sleep(len(records) / PPS * lab.random.uniform(0.2, 0.5))
        p = lab.start_move("ids1", "ids2", POD, "--guarantee", guarantee, "--linger", "100", "--deadline", "20000")
        lab.wait_held(point)
        before = lab.rx(rises)
        wait_for("packets at " + rises, lambda: lab.rx(rises) - before > 60)
        lab.release(point)
        text = p.communicate(timeout=60)[0]
        expect("the move is done: %s" % text, p.returncode == 0)
        result = lab.show(1)
        expect("it says so: %s" % result, result["guarantee"] == guarantee)
        lab.wait_over(result["id"])
        if replay.wait():
            raise Invalid("tcpreplay failed")
        lab.stop_valid(len(records))
        yield lab, result


def loss_free(job):
    point = job.random.choice(["shim.ids1.mark", "shim.ids1.fin", "xfer.ids1.finall", "xfer.ids2.fin"])
    with moved(job, point, "loss-free", "ids2") as (lab, result):
        expect("nothing was held: %s" % result, result["held"] == 0)
        expect("flows were processed at once: %s" % result, result["downgraded"] > 0)
        expect("no warning: %s" % result, not result["warnings"])
        same_totals(lab)
        return "%d flows out of order at %s; %s" % (result["downgraded"], point, "; ".join(lab.compare(ordered=False)))


def none(job):
    with moved(job, "ctrl.prepare-dst", "none", "ids1") as (lab, result):
        expect("no clones: %s" % result, result["clones"] == 0 and result["flows"] > 0)
        program, *args = lab.judges()[0]
        p = subprocess.run([program, "--json", *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        expect("the judge objects: %s" % p.stdout, p.returncode == 1 and '"missing": 0' not in p.stdout)
        return "%d flows; %s" % (result["flows"], p.stdout.strip()[:200])


CASES = {"loss-free": loss_free, "none": none}

if __name__ == "__main__":
    sys.exit(main(__doc__, CASES, lambda draw: [draw.choice(list(CASES))]))
