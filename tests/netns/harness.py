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
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SHARED = os.path.join(os.path.dirname(ROOT), "shared")
CAMPUS = os.path.join(SHARED, "traces", "campus800.pcap")
POD = "net 10.20.0.0/21 or net 2001:db8:20::/61"


class Failure(Exception):
    """The system under test did something wrong."""


class Invalid(Exception):
    """The run says nothing: the machine lost packets that the switch had."""


def run(*argv, **kw):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, **kw).stdout


def wait_for(what, condition, seconds=30.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise Failure("timed out waiting for " + what)


class Lab:
    def __init__(self, build, nf="seqhash", nf_args=(), seed=None, pause=False, keep=None, evlog=True, instances=2):
        self.build, self.nf, self.nf_args = build, nf, list(nf_args)
        self.random = random.Random(seed)
        self.pause, self.keep, self.evlog = pause, keep, evlog and nf == "seqhash"
        self.dir = tempfile.mkdtemp(prefix="nfshim-test-")
        os.chmod(self.dir, 0o755)
        self.run_dir = os.path.join(self.dir, "run")
        self.pause_dir = os.path.join(self.dir, "pause")
        self.out = os.path.join(self.dir, "out")
        for d in (self.run_dir, self.pause_dir, self.out):
            os.mkdir(d)
            os.chmod(d, 0o777)
        self.instances = instances
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
            self.start_ctrl()
            for name in ("ids1", "ids2"):
                self.start_nf(name)
                self.start_xfer(name)
            self.start_nf("ref")
            self.wait_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self.softnet = self.softnet_drops()
        return self

    def __exit__(self, *_):
        for p in list(self.procs.values()):
            if p.poll() is None:
                p.kill()
                p.wait()
        self.netns("down")
        if self.keep:
            shutil.rmtree(self.keep, ignore_errors=True)
            shutil.copytree(self.out, self.keep)
        shutil.rmtree(self.dir, ignore_errors=True)

    def netns(self, verb):
        run(os.path.join(ROOT, "scripts", "netns-setup.sh"), verb, "--instances", str(self.instances),
            "--reference", "--name", self.prefix, "--dir", os.path.join(self.dir, "lab"))

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

    def command(self, name):
        """What runs as NF; for others to override."""
        if self.nf == "prads":
            return ["prads", "-i", "eth0", "-x", "-l", self.path(name + ".log")]
        return [os.path.join(self.build, "tests/nf/seqhash"), "-i", "eth0"] + self.nf_args

    def start_nf(self, name):
        argv = [os.path.join(ROOT, "scripts/nfrun"), name, "--netns", self.ns(name), "--dir", self.run_dir,
                "--lib", os.path.join(self.build, "shim/libnfshim.so")]
        if self.evlog:
            argv += ["--evlog", self.path("%n.ev")]
        self.spawn(name, argv + ["--"] + self.command(name))
        wait_for(name + "'s capture socket", lambda: len(self.in_ns(self.ns(name), "cat", "/proc/net/packet").splitlines()) > 1)

    def start_xfer(self, name):
        self.spawn("xfer." + name, [os.path.join(self.build, "xfer/nfxfer"), "--name", name, "--dir", self.run_dir])

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
                                 src, dst, space, "--wait", *options],
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def move(self, src, dst, space=POD, *options):
        code, result = self.nfctl("move", src, dst, space, "--wait", *options)
        if code:
            raise Failure("move %s to %s: exit %d: %s" % (src, dst, code, result.get("reason") or result.get("error") or result))
        return result

    def wait_ready(self):
        def ready():
            code, r = self.nfctl("instances")
            up = [i for i in r.get("instances", []) if i.get("ready")]
            return code == 0 and len(up) == 2
        wait_for("both instances at the controller", ready)

    # ---- traffic ----

    def replay(self, trace, pps):
        # The default timer of tcpreplay spins, and takes a CPU from the three NFs.
        return subprocess.Popen(["ip", "netns", "exec", self.env["LAB_GEN_NS"], "tcpreplay", "-q", "--preload-pcap",
                                 "--timer=nano", "--pps=%d" % pps, "-i", self.env["LAB_GEN_DEV"], trace],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def rx(self, name):
        return int(self.in_ns(self.ns(name), "cat", "/sys/class/net/eth0/statistics/rx_packets"))

    def rx_drops(self, name):
        return int(self.in_ns(self.ns(name), "cat", "/sys/class/net/eth0/statistics/rx_dropped"))

    def marks(self, name):
        text = self.in_ns(self.ns(name), "nft", "list", "counters")
        return sum(int(n) for n in re.findall(r"nf_marks \{\s*packets (\d+)", text))

    @staticmethod
    def softnet_drops():
        return sum(int(line.split()[1], 16) for line in open("/proc/net/softnet_stat"))

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
        # The kernel counts MARK, of a type nobody but the capture takes, as dropped.
        marks = {n: self.marks(n) for n in self.names()}
        seen = {n: self.rx(n) - marks[n] for n in self.names()}
        drops = {n: max(0, self.rx_drops(n) - marks[n]) for n in self.names()}
        return {"seen": seen, "dropped": drops, "softnet": self.softnet_drops() - self.softnet}

    def compare(self, ordered=True):
        """Texts of the oracles; raises Failure if one objects."""
        oracle = os.path.join(ROOT, "tests/oracle")
        texts = []
        if self.nf == "prads":
            jobs = [[oracle + "/compare_prads.py", "--live"] + [self.path(n + ".out") for n in ("ref", "ids1", "ids2")],
                    [oracle + "/compare_prads.py"] + [self.path(n + ".log") for n in ("ref", "ids1", "ids2")]]
        else:
            jobs = [[oracle + "/compare_seqhash.py"] + [self.path(n + ".out") for n in ("ref", "ids1", "ids2")]]
            if self.evlog:
                jobs.append([os.path.join(self.build, "tests/oracle/evcheck")] + ([] if ordered else ["--unordered"]) +
                            [self.path(n + ".ev") for n in ("ref", "ids1", "ids2")])
        for job in jobs:
            p = subprocess.run(job, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            texts.append(p.stdout.strip())
            if p.returncode:
                raise Failure(p.stdout.strip())
        return texts

    def finish(self, sent=None, ordered=True):
        """Stop, check that the run is valid, compare. Returns what the oracles said."""
        time.sleep(0.2)
        v = self.validity()
        self.stop_nfs()
        capture = {n: self.capture_drops(n) for n in self.names()}
        lost = sum(capture.values()) + sum(v["dropped"].values()) + v["softnet"]
        s = v["seen"]
        if lost or s["ids1"] + s["ids2"] != s["ref"] or (sent and s["ref"] != sent):
            raise Invalid("seen %s of %s, veth %s, capture %s, softnet %d" % (s, sent, v["dropped"], capture, v["softnet"]))
        return self.compare(ordered)
