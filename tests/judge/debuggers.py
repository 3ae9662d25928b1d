#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""debuggers.py BUILD: stock NFs with the idle shim under valgrind and under gdb.

Valgrind may find no error that it does not find without the shim, and the NF must run to its end in gdb; the files that
it writes are what they are without any of it. $NFSHIM_FULL=1 takes more NFs. Skipped (77) without the traces.
"""
import os
import re
import sys

import nfs

TRACE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/traces/tcpreplay-test.pcap"))
SOME, ALL = ["prads-x"], ["prads-x", "tcpdump-w"]  # those that write files
ERRORS = re.compile(r"ERROR SUMMARY: (\d+) errors from (\d+) contexts")
ERROR_CODE = 99


class Debugged:
    def __init__(self, nf, work, collector, build):
        self.nf, self.work, self.collector, self.build = nf, work, collector, os.path.abspath(build)
        self.variables = {"LD_PRELOAD": os.path.join(self.build, "shim/libnfshim.so"), "NFSHIM_DIR": work, "NFSHIM_LOG": "err"}
        self.faults = []

    def run(self, name, before=(), env=None):
        """(exit status, files of the NF, what the debugger says on standard output)."""
        folder = os.path.join(self.work, "run")  # one name: some print it
        code = nfs.run(self.nf, TRACE, folder, self.collector, self.build, env, before)
        files = nfs.outputs(folder)
        os.rename(folder, os.path.join(self.work, "%s-%s" % (self.nf.name, name)))
        said = files.pop("stdout").decode(errors="replace")
        files.pop("stderr")
        return code, files, said

    def expect(self, true, what):
        if not true:
            self.faults.append("%s: %s" % (self.nf.name, what))

    def valgrind(self, name, env):
        """(exit status, files, errors, log)."""
        log = os.path.join(self.work, "%s-%s.log" % (self.nf.name, name))
        before = ["valgrind", "--error-exitcode=%d" % ERROR_CODE, "--log-file=" + log]
        code, files, _ = self.run(name, before, env)
        with open(log, errors="replace") as f:
            text = f.read()
        m = ERRORS.search(text)
        return code, files, m and (int(m.group(1)), int(m.group(2))), text

    def judge(self):
        code, plain, _ = self.run("plain")
        self.expect(code == 0 and any(plain.values()), "exit status %d, or no output, without anything" % code)
        without = self.valgrind("valgrind", None)
        with_shim = self.valgrind("valgrind-shim", dict(os.environ, **self.variables))
        self.expect(with_shim[2] is not None and with_shim[:1] + with_shim[2:3] == without[:1] + without[2:3],
                    "exit status and errors under valgrind are %s, without the shim %s" % (with_shim[::2], without[::2]))
        self.expect("libnfshim" not in with_shim[3], "valgrind complains of the shim:\n" + with_shim[3][:2000])
        self.expect(with_shim[1] == plain, "the output under valgrind is another one")
        commands = ["set exec-wrapper env " + " ".join("%s=%s" % v for v in self.variables.items()), "set breakpoint pending on",
                    "tbreak pcap_loop", "run", "info sharedlibrary", "tbreak _exit", "continue", "print (int)$rdi", "kill"]
        _, files, said = self.run("gdb", ["gdb", "-nx", "-batch", *(x for c in commands for x in ("-ex", c)), "--args"])
        # Not "exited normally": gdb loses the end of a process with threads now and then.
        self.expect(re.search(r"hit Temporary breakpoint 2\b.*_exit \(", said) and "$1 = 0" in said,
                    "does not come to its end in gdb:\n" + said[-2000:])
        self.expect("libnfshim.so" in said, "gdb does not see the shim")
        self.expect(files == plain, "the output under gdb is another one")
        print("%s %s: errors under valgrind (number, kinds) %s, without the shim %s" % (
            "not ok" if self.faults else "ok", self.nf.name, with_shim[2], without[2]))
        return self.faults


def main():
    if not os.path.exists(TRACE):
        print("skip: no " + TRACE)
        return 77
    names = ALL if os.environ.get("NFSHIM_FULL") == "1" else SOME
    with nfs.workplace() as (work, collector):
        faults = [f for nf in nfs.NFS if nf.name in names for f in Debugged(nf, work, collector, sys.argv[1]).judge()]
    for fault in faults:
        print("       " + fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
