# SPDX-License-Identifier: BSD-2-Clause
"""A lab of namespaces with real NFs, helpers, controller and switch, for the tests.

    with Lab(build, nf="seqhash") as lab:
        replay = lab.replay(trace, pps=20000)
        result = lab.move("ids1", "ids2", SPACE)
        replay.wait()
        verdict = lab.finish()

All names are unique, everything started here is ended here, by its process id, also when the
test is killed by a signal that Python sees. Sends only inside the namespaces it made.
"""
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SHARED = os.path.join(os.path.dirname(ROOT), "shared")
CAMPUS = os.path.join(SHARED, "traces", "campus800.pcap")
POD_NETS = {"ip": "10.20.0.0/21", "ip6": "2001:db8:20::/61"}
POD = " or ".join("net " + net for net in POD_NETS.values())


class Failure(Exception):
    """The system under test did something wrong."""


class Invalid(Exception):
    """The run says nothing: the machine lost packets that the switch had. @moved: not the reference alone."""

    def __init__(self, text, moved=True):
        super().__init__(text)
        self.moved = moved


def run(*argv, **kw):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, **kw).stdout


def wait_for(what, condition, seconds=30.0, every=0.02):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(every)
    raise Failure("timed out waiting for " + what)


class Lab:
    """@distinct: PRADS only, no two connections of the trace share a bucket, so it forgets nothing
    and nothing is accepted. @pause: the build has pause points, which arm() and release() serve.
    Without @nfrun NFs start without its checks, which are many processes. @inject: how clones reach
    the destination, else $NFSHIM_INJECT says; with 'veth' each NF but the reference is behind a bridge."""

    def __init__(self, build, nf="seqhash", nf_args=(), seed=None, pause=False, keep=None, evlog=True, distinct=False,
                 nfrun=True, instances=2, inject=None):
        self.build, self.nfrun = os.path.abspath(build), nfrun
        self.nf, self.nf_args = nf, list(nf_args)
        self.random = random.Random(seed)
        self.pause, self.keep, self.evlog = pause, keep, evlog and nf == "seqhash"
        self.distinct = distinct
        self.dir = tempfile.mkdtemp(prefix="nfshim-test-")
        os.chmod(self.dir, 0o755)
        self.run_dir = os.path.join(self.dir, "run")
        self.pause_dir = os.path.join(self.dir, "pause")
        self.out = os.path.join(self.dir, "out")
        for d in (self.run_dir, self.pause_dir, self.out):
            os.mkdir(d)
            os.chmod(d, 0o777)
        self.instances = instances
        self.inject = inject or os.environ.get("NFSHIM_INJECT", "ring")
        self.prefix = "nft-%d-%d" % (os.getpid(), random.randrange(10000))
        self.procs = {}
        self.env = {}

    # ---- life ----

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        try:
            self.netns("up")
            for line in open(os.path.join(self.dir, "lab", "env")):
                k, _, v = line.strip().partition("=")
                self.env[k] = shlex.split(v)[0] if v else ""
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def start(self):
        self.start_ctrl()
        for name in ("ids1", "ids2", "ref"):
            self.spawn_nf(name)
        for name in ("ids1", "ids2"):
            self.start_xfer(name)
        for name in ("ids1", "ids2", "ref"):
            self.wait_nf(name)
        self.wait_ready()
        self.base = {n: self.counters(n) for n in self.names()}
        self.softnet = self.softnet_drops()

    def again(self):
        """Everything but the namespaces anew, for many short runs in one lab."""
        self.end_all()
        self.procs.clear()
        self.in_ns(self.env["LAB_SW_NS"], "nft", "flush", "ruleset")
        for d in (self.run_dir, self.pause_dir, self.out):
            for f in os.listdir(d):
                os.unlink(os.path.join(d, f))
        self.start()

    def __exit__(self, *_):
        told = []  # a signal now must not end the cleaning up
        before = {s: signal.signal(s, lambda *_: told.append(True)) for s in (signal.SIGTERM, signal.SIGINT)}
        self.clean_up()
        for s, handler in before.items():
            signal.signal(s, handler)
        if told:
            raise KeyboardInterrupt

    def end_all(self):
        for p in list(self.procs.values()):
            if p.poll() is None:
                p.kill()
                p.wait()

    def clean_up(self):
        self.end_all()
        self.netns("down")
        if self.keep:
            shutil.rmtree(self.keep, ignore_errors=True)
            shutil.copytree(self.out, self.keep)
        shutil.rmtree(self.dir, ignore_errors=True)

    def netns(self, verb):
        """$NFSHIM_LAB_CPU pins the lab's devices, so that two labs can run beside each other."""
        cpu = os.environ.get("NFSHIM_LAB_CPU")
        run(os.path.join(ROOT, "scripts", "netns-setup.sh"), verb, "--instances", str(self.instances), "--reference",
            "--name", self.prefix, "--dir", os.path.join(self.dir, "lab"), *(["--cpu", cpu] if cpu else []),
            *["--veth"] * (self.inject == "veth"))

    # ---- processes ----

    def path(self, name):
        return os.path.join(self.out, name)

    def spawn(self, name, argv, env=None):
        e = dict(os.environ, NFSHIM_DIR=self.run_dir)
        if self.pause:
            e["NFSHIM_PAUSE_DIR"] = self.pause_dir
        e.update(env or {})
        with open(self.path(name + ".out"), "ab") as out, open(self.path(name + ".err"), "ab") as err:
            p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=e)
        self.procs[name] = p
        return p

    def ns(self, name):
        return self.env["LAB_REF_NS"] if name == "ref" else self.env["LAB_NF%s_NS" % name[3:]]

    def behind_bridge(self, name):
        return self.inject == "veth" and name != "ref"

    def device(self, name):
        """What an NF reads."""
        return self.env["LAB_NF_DEV"] if self.behind_bridge(name) else "eth0"

    def command(self, name):
        """What runs as NF; for others to override."""
        if self.nf == "prads":
            return ["prads", "-i", self.device(name), "-x", "-l", self.path(name + ".log")]
        return [os.path.join(self.build, "tests/nf/seqhash"), "-i", self.device(name)] + self.nf_args

    def start_nf(self, name):
        self.spawn_nf(name)
        self.wait_nf(name)

    def wait_nf(self, name):
        wait_for(name + "'s capture socket", lambda: self.captures(name), 60)

    def captures(self, name):
        """Is there a packet socket in the namespace that the NF has entered? (Without a process for each look.)"""
        proc = "/proc/%d" % self.procs[name].pid
        try:
            if os.stat(proc + "/ns/net").st_ino != os.stat("/run/netns/" + self.ns(name)).st_ino:
                return False
            return len(open(proc + "/net/packet").readlines()) > 1
        except OSError:
            return False

    def spawn_nf(self, name):
        cmd, lib = self.command(name), os.path.join(self.build, "shim/libnfshim.so")
        if not self.nfrun:
            env = ["LD_PRELOAD=" + lib, "NFSHIM_NAME=" + name, "NFSHIM_DIR=" + self.run_dir]
            env += ["NFSHIM_EVLOG=" + self.path("%n.ev")] if self.evlog else []
            env += ["NFSHIM_VETH=1"] if self.behind_bridge(name) else []
            self.spawn(name, ["ip", "netns", "exec", self.ns(name), "env"] + env + cmd)
            return
        argv = [os.path.join(ROOT, "scripts/nfrun"), name, "--netns", self.ns(name), "--dir", self.run_dir, "--lib", lib]
        if self.evlog:
            argv += ["--evlog", self.path("%n.ev")]
        if self.behind_bridge(name):
            argv += ["--veth"]
        self.spawn(name, argv + ["--"] + cmd)

    def start_xfer(self, name):
        entrance = ["--inject-dev", "vethP2Pin", "--inject-netns", self.ns(name)] if self.behind_bridge(name) else []
        self.spawn("xfer." + name, [os.path.join(self.build, "xfer/nfxfer"), "--name", name, "--dir", self.run_dir, *entrance])

    def start_ctrl(self):
        self.spawn("ctrl", [os.path.join(self.build, "ctrl/nfctrld"), "--config", self.env["LAB_CONF"],
                            "--dir", self.run_dir])

    def kill(self, name, sig=signal.SIGKILL):
        p = self.procs[name]
        p.send_signal(sig)
        p.wait(20)

    def in_ns(self, ns, *argv):
        return run("ip", "netns", "exec", ns, *argv)

    # ---- controller ----

    def nfctl(self, *argv, timeout=60):
        """Exit code and the last JSON object."""
        p = subprocess.run([os.path.join(self.build, "ctrl/nfctl"), "--dir", self.run_dir, "--json", *argv],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout)
        lines = [line for line in p.stdout.splitlines() if line.startswith("{")]
        return p.returncode, json.loads(lines[-1]) if lines else {"error": p.stderr.strip()}

    def start_move(self, src, dst, space=POD, *options):
        """nfctl in the background, for tests that interfere."""
        return subprocess.Popen([os.path.join(self.build, "ctrl/nfctl"), "--dir", self.run_dir, "--json", "move",
                                 src, dst, space, "--wait", "--inject", self.inject, *options],
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def move(self, src, dst, space=POD, *options):
        code, result = self.nfctl("move", src, dst, space, "--wait", "--inject", self.inject, *options)
        if code:
            raise Failure("move %s to %s: exit %d: %s" % (src, dst, code, result.get("reason") or result.get("error") or result))
        return result

    def wait_ready(self):
        def ready():
            code, r = self.nfctl("instances")
            up = [i for i in r.get("instances", []) if i.get("ready")]
            return code == 0 and len(up) == 2
        wait_for("both instances at the controller", ready, 60, 0.1)

    def show(self, move):
        code, r = self.nfctl("show", str(move))
        if code:
            raise Failure("show %s: exit %d: %s" % (move, code, r.get("error") or r))
        return r

    def wait_over(self, move, seconds=30.0):
        """Until the source has deleted what it gave away."""
        return wait_for("the end of move %s" % move, lambda: (r := self.show(move))["stage"] == "over" and r, seconds)

    # ---- pause points (common/pause.h): "shim.ids1.mark", "xfer.ids1.mark", "ctrl.mark" ----

    def arm(self, point):
        if self.is_held(point):  # in an earlier move
            os.unlink(os.path.join(self.pause_dir, point + ".hit"))
        open(os.path.join(self.pause_dir, point), "w").close()

    def is_held(self, point):
        return os.path.exists(os.path.join(self.pause_dir, point + ".hit"))

    def wait_held(self, point, seconds=30.0):
        wait_for("someone to come to " + point, lambda: self.is_held(point), seconds)

    def release(self, point):
        os.unlink(os.path.join(self.pause_dir, point))

    # ---- traffic ----

    def replay(self, trace, pps, dev=None):
        """From the generator, or out of a device of the switch, behind its rules."""
        ns = self.env["LAB_SW_NS"] if dev else self.env["LAB_GEN_NS"]
        # Read beforehand, or a slow disk makes bursts. The default timer spins, and takes a CPU from the NFs.
        return subprocess.Popen(["ip", "netns", "exec", ns, "tcpreplay", "-q", "--preload-pcap", "--timer=nano",
                                 "--pps=%d" % pps, "-i", dev or self.env["LAB_GEN_DEV"], trace],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def divert_pod(self, dev):
        """What a move must not be: the pod's packets go out of @dev from now on, in front of nfctrld's rules."""
        rules = ["%s %saddr %s dup to \"swr\" fwd to \"%s\"" % (ip, side, net, dev)
                 for ip, net in POD_NETS.items() for side in "sd"]
        run("ip", "netns", "exec", self.env["LAB_SW_NS"], "nft", "-f", "-", input="\n".join(
            ["table netdev diverted {", "chain in {",
             "type filter hook ingress device \"%s\" priority -100; policy accept;" % self.env["LAB_SW_IN"],
             *rules, "}", "}", ""]))

    def rx(self, name):
        return int(self.in_ns(self.ns(name), "cat", "/sys/class/net/eth0/statistics/rx_packets"))

    def rx_drops(self, name):
        """Of the device that the NF reads, and of those before it."""
        ends = ["vethP2Pbr", "vethNFbr", "vethP2Pin", "vethNFin"] * self.behind_bridge(name)
        files = ["eth0/statistics/rx_dropped"] + [d + s for d in ends for s in ("/statistics/rx_dropped", "/statistics/tx_dropped")]
        text = self.in_ns(self.ns(name), "cat", *["/sys/class/net/" + f for f in files])
        return sum(int(n) for n in text.split())

    def marks(self, name):
        text = self.in_ns(self.ns(name), "nft", "list", "counters")
        return sum(int(n) for n in re.findall(r"nf_marks \{\s*packets (\d+)", text))

    def counters(self, name):
        """Packets that came to an NF and those that its device dropped, without MARK: the kernel
        counts that, of a type nobody but the capture takes, as dropped."""
        marks = self.marks(name)
        return self.rx(name) - marks, self.rx_drops(name) - marks

    @staticmethod
    def softnet_drops():
        return sum(int(line.split()[1], 16) for line in open("/proc/net/softnet_stat"))

    def events(self, name):
        """Events in an NF's log so far, without starting a process."""
        with open(self.path(name + ".ev"), "rb") as f:
            return int.from_bytes(f.read(16)[8:], sys.byteorder)

    # ---- end and verdict ----

    def names(self):
        return [n for n in ("ids1", "ids2", "ref") if n in self.procs]

    def stop_nfs(self):
        # PRADS' rules: idle for a moment, then one TERM.
        time.sleep(1.3)
        for name in self.names():
            if self.procs[name].poll() is None:
                self.procs[name].send_signal(signal.SIGTERM)
        for name in self.names():
            self.procs[name].wait(20)

    def capture_drops(self, name):
        """What the NF itself says its capture dropped."""
        text = open(self.path(name + ".err"), errors="replace").read() + open(self.path(name + ".out"), errors="replace").read()
        m = re.search(r"dropped (\d+) ifdropped", text) or re.search(r"[Dd]ropped[^:\n]*:\s*(\d+)", text)
        return int(m.group(1)) if m else 0

    def validity(self):
        """Counters that must agree for a run to say anything. Call before stop_nfs."""
        now = {n: self.counters(n) for n in self.names()}
        seen = {n: now[n][0] - self.base[n][0] for n in now}
        drops = {n: max(0, now[n][1] - self.base[n][1]) for n in now}
        return {"seen": seen, "dropped": drops, "softnet": self.softnet_drops() - self.softnet}

    def judges(self, ordered=True):
        """Commands of the oracles. Without order only the event logs can be judged."""
        oracle = os.path.join(ROOT, "tests/oracle")

        def files(end):
            return [self.path(n + end) for n in ("ref", "ids1", "ids2")]

        if self.nf == "prads":
            return [[oracle + "/compare_prads.py", "--live"] + ["--distinct"] * self.distinct + files(".out"),
                    [oracle + "/compare_prads.py"] + files(".log")]
        jobs = [[oracle + "/compare_seqhash.py"] + files(".out")] if ordered else []
        if self.evlog:
            jobs.append([os.path.join(self.build, "tests/oracle/evcheck")] + ["--unordered"] * (not ordered) + files(".ev"))
        return jobs

    def compare(self, ordered=True):
        """Texts of the oracles; raises Failure if one objects."""
        texts = []
        for job in self.judges(ordered):
            job = [sys.executable] * job[0].endswith(".py") + job
            p = subprocess.run(job, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            texts.append(p.stdout.strip())
            if p.returncode:
                raise Failure(p.stdout.strip())
        return texts

    def stop_valid(self, sent=None, beside=0):
        """Stop; Invalid unless every packet was seen. @beside: so many were sent past the reference."""
        time.sleep(0.2)
        v = self.validity()
        self.stop_nfs()
        capture = {n: self.capture_drops(n) for n in self.names()}
        lost = sum(capture.values()) + sum(v["dropped"].values()) + v["softnet"]
        s = v["seen"]
        agree = s["ids1"] + s["ids2"] == s["ref"] + beside and (not sent or s["ref"] == sent)
        if lost or not agree:
            raise Invalid("seen %s of %s, veth %s, capture %s, softnet %d" % (s, sent, v["dropped"], capture, v["softnet"]),
                          not agree or lost != capture.get("ref"))

    def finish(self, sent=None, ordered=True):
        """Stop, check that the run is valid, compare. Returns what the oracles said."""
        self.stop_valid(sent)
        return self.compare(ordered)
