#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""tcpdump_suite.py BUILD: tcpdump's own regression tests over the stock binary, without and with the idle shim.

The tests come with Debian's source package of the version that is installed. It is fetched into a private folder, with
sources of apt's of its own. Both ways must give the same verdicts and the same outputs, and none may fail.

$NFSHIM_SEED draws a sample, $NFSHIM_FULL=1 takes all. Skipped (77) where the source cannot be had.
"""
import glob
import os
import random
import re
import subprocess
import sys
import tempfile

import nfs

SAMPLE = 40  # simple tests
FULL = {"4.99.3-1": (582, 0, 11)}  # passed, failed, skipped
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
VERDICT = re.compile(r"^    (\S+) *: (passed|skipped|TEST FAILED)", re.M)


def output_of(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True).stdout


def sources():
    """Lines of deb-src for where this machine has Debian's packages from."""
    places = output_of("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)",
                       "Created-By: Packages", "Origin: Debian", "Component: main")
    return "".join("deb-src [signed-by=%s] %s main\n" % (KEYRING, place) for place in sorted(set(places.splitlines())))


def fetch(folder, version):
    """The folder of tcpdump's tests, or None with a reason."""
    with open(os.path.join(folder, "sources.list"), "w") as f:
        f.write(sources())
    for d in ("lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(folder, d))
    options = {"Dir::Etc::sourcelist": folder + "/sources.list", "Dir::Etc::sourceparts": "-", "Dir::State::lists": folder + "/lists",
               "Dir::Cache": folder + "/cache", "APT::Sandbox::User": "root", "Acquire::Retries": "3"}
    apt = ["apt-get", "-q", *(x for k, v in options.items() for x in ("-o", k + "=" + v))]
    for command in (["update", "--error-on=any"], ["source", "--download-only", "tcpdump=" + version]):
        done = subprocess.run(apt + command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True)
        if done.returncode:
            return None, (done.stdout.strip().splitlines() or ["apt-get failed"])[-1]
    archive = glob.glob(folder + "/tcpdump_*.orig.tar.*z")
    if not archive:
        return None, "the source package has no archive"
    subprocess.run(["tar", "-xf", archive[0], "-C", folder], check=True)
    return glob.glob(folder + "/tcpdump-*/tests")[0], None


def draw(tests):
    """Leave a sample of the simple tests, and one file of those with conditions."""
    seed = int(os.environ.get("NFSHIM_SEED") or random.randrange(2**30))
    drawn = random.Random(seed)
    conditions = sorted(glob.glob(tests + "/*.tests"))
    kept = drawn.choice(conditions)
    for path in conditions:
        if path != kept:
            os.unlink(path)
    print("seed %d: %d of the simple tests, and %s" % (seed, SAMPLE, os.path.basename(kept)))
    path = os.path.join(tests, "TESTLIST")
    with open(path) as f:
        lines = [line for line in f if line.strip() and not line.startswith("#")]
    with open(path, "w") as f:
        f.writelines(drawn.sample(lines, SAMPLE))


def run(tests, folder, command):
    """({test: verdict}, {file: what it printed})."""
    os.mkdir(folder)
    with open(os.path.join(folder, "config.h"), "w") as f:  # what Debian's binary is built with
        f.write("#define HAVE_LIBCRYPTO 1\n")
    text = subprocess.run(["perl", os.path.join(tests, "TESTrun")], cwd=folder, env=dict(os.environ, TCPDUMP_BIN=command),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True, errors="replace").stdout
    return dict(VERDICT.findall(text)), nfs.outputs(os.path.join(folder, "tests/NEW"))


def figures(verdicts):
    return tuple(sum(1 for v in verdicts.values() if v == kind) for kind in ("passed", "TEST FAILED", "skipped"))


def judge(version, plain, shim):
    faults = ["%s: %s, with the shim %s" % (name, plain[0].get(name), shim[0].get(name))
              for name in sorted(set(plain[0]) | set(shim[0])) if plain[0].get(name) != shim[0].get(name)]
    faults += ["%s is not what it is without the shim" % name
               for name in sorted(set(plain[1]) | set(shim[1])) if plain[1].get(name) != shim[1].get(name)]
    passed, failed, _ = figures(plain[0])
    if failed or not passed:
        faults.append("without the shim %d passed, %d failed" % (passed, failed))
    if os.environ.get("NFSHIM_FULL") == "1" and figures(plain[0]) != FULL.get(version, figures(plain[0])):
        faults.append("%s passed, failed, skipped are expected of version %s" % (FULL[version], version))
    return faults


def main():
    library = os.path.join(os.path.abspath(sys.argv[1]), "shim/libnfshim.so")
    tcpdump = nfs.find("tcpdump")
    version = output_of("dpkg-query", "-W", "-f", "${Version}", "tcpdump")
    with tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o755)  # tcpdump reads keys after it has dropped privileges
        tests, why = fetch(work, version)
        if not tests:
            print("skip: no source of tcpdump %s: %s" % (version, why))
            return 77
        if os.environ.get("NFSHIM_FULL") != "1":
            draw(tests)
        plain = run(tests, work + "/plain", tcpdump)
        shim = run(tests, work + "/shim", "env LD_PRELOAD=%s NFSHIM_DIR=%s NFSHIM_LOG=err %s" % (library, work, tcpdump))
        faults = judge(version, plain, shim)
        print("tcpdump %s: %d passed, %d failed, %d skipped; with the shim %d, %d, %d" % (
            version, *figures(plain[0]), *figures(shim[0])))
    for fault in faults[:20]:
        print("not ok: " + fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
