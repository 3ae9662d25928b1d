#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""symbols.py LIST SHIM ALLOW PROGRAM...: the list of interposed functions against the facts.

 - libnfshim.so exports exactly the FN names of the list and nfshim_*;
 - each name of the list is in libc, libpcap or libstdc++;
 - each output-like function of these is in the list or, with a reason, in ALLOW;
 - each output function of the list is called by one of the test programs.
"""
import re
import subprocess
import sys

OUTPUT_LIKE = re.compile(
    r"^_*(IO_)?(v?[fdw]{0,2}w?printf(_chk)?|p?write(v|v2|64|64v2|v64)?|f?put.*|.*puts?(_unlocked)?"
    r"|f?write.*|.*_overflow|send.*|v?syslog.*|v?warnx?|v?errx?|error.*|p(error|signal|siginfo)"
    r"|.*splice|tee|copy_file_range|pcap_(inject|send|dump).*|.*overflow|.*sputn|.*do_write|msgsnd|mq_.*send"
    r"|aio_(write|fsync).*|lio_listio.*|obstack_v?printf.*|.*printf(_chk)?"
    r"|(libc_)?system|.*popen|posix_spawnp?|f?exec(ve?|l)[a-z]*|syscall)$")
# What a stream's buffer does with text; the streams themselves call these.
OUTPUT_LIKE_CXX = re.compile(r"^_Z.*(6xsputn|8xsputn_2|8overflow|4sync)E")


def symbols(paths, *options):
    out = subprocess.run(["nm", "-D", "-P", *options, *paths], check=True, capture_output=True,
                         text=True).stdout
    for line in out.splitlines():
        name, *kind = line.split()
        if kind:  # not the heading of a file
            yield name, kind[0]


def library(name):
    return subprocess.run(["gcc", "-print-file-name=" + name], check=True, capture_output=True,
                          text=True).stdout.strip()


def functions(path):
    """Functions of a library that programs can be linked to: default versions only."""
    return {n.split("@")[0] for n, kind in symbols([path], "--defined-only")
            if kind in "TWi" and "GLIBC_PRIVATE" not in n}


def read_list(path):
    """FN and RF names, FN by section."""
    fn, rf, section = {}, set(), ""
    with open(path, encoding="ascii") as f:
        for line in f:
            m = re.match(r"/\* ---- (.*) ---- \*/", line)
            section = m[1] if m else section
            m = re.match(r"(FN|RF|OUT)\((?:(?<=OUT\()[A-Z]+, )?[^,]+, (\w+), \(", line)
            if m and m[1] != "RF":
                fn[m[2]] = section
            elif m:
                rf.add(m[2])
    return fn, rf


def read_allow(path):
    with open(path, encoding="ascii") as f:
        entries = dict(line.split(None, 1) for line in f if line.strip() and line[0] != "#")
    return entries


def main():
    listing, shim, allow_file, *programs = sys.argv[1:]
    fn, rf = read_list(listing)
    allow = read_allow(allow_file)
    cxx = functions(library("libstdc++.so.6"))
    c = functions(library("libc.so.6")) | functions(library("libpcap.so"))
    there = c | cxx
    exported = {n.split("@")[0] for n, k in symbols([shim], "--defined-only") if k != "A"}
    own = {n for n in exported if n.startswith("nfshim_")}
    bad = []

    bad += [f"in the list but not exported: {n}" for n in fn.keys() - exported]
    bad += [f"exported but not in the list: {n}" for n in exported - fn.keys() - own]
    bad += [f"in the list but in no library: {n}" for n in (fn.keys() | rf) - there]
    like = {n for n in c if OUTPUT_LIKE.match(n)} | {n for n in cxx if OUTPUT_LIKE_CXX.match(n)}
    bad += [f"looks like output, neither in the list nor allowed: {n}"
            for n in like - fn.keys() - allow.keys()]
    bad += [f"allowed, but there is no such function: {n}" for n in allow.keys() - there]
    bad += [f"allowed and in the list: {n}" for n in allow.keys() & fn.keys()]
    used = {n.split("@")[0] for n, _ in symbols(programs, "--undefined-only")}
    bad += [f"no test calls it: {n}" for n, section in fn.items()
            if section.startswith("output") and n not in used]
    for line in sorted(bad):
        print(line)
    return 1 if bad or not own or not fn else 0


if __name__ == "__main__":
    sys.exit(main())
