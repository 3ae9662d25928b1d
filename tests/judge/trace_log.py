# SPDX-License-Identifier: BSD-2-Clause
"""What a program did, as strace -ff -ttt -yy tells it: output calls, and the edges that bracket.c leaves."""
import glob
import re
from dataclasses import dataclass

FD_CALLS = ("write writev pwrite64 pwritev pwritev2 sendto sendmsg sendmmsg vmsplice ftruncate fallocate "
            "io_uring_enter io_submit mq_timedsend msgsnd").split()
TARGET_CALLS = {"sendfile": 0, "splice": 2, "tee": 1, "copy_file_range": 2}  # position of the descriptor written to
PATH_CALLS = ("rename renameat renameat2 unlink unlinkat link linkat symlink symlinkat mkdir mkdirat mknod mknodat rmdir "
              "truncate creat io_uring_setup execve execveat fork vfork").split()
FLAG_CALLS = {"open": r"O_CREAT|O_TRUNC", "openat": r"O_CREAT|O_TRUNC", "openat2": r"O_CREAT|O_TRUNC",
              "mmap": r"PROT_WRITE.*MAP_SHARED(?!.*MAP_ANONYMOUS)", "clone": r"^(?!.*CLONE_THREAD)", "clone3": r"^(?!.*CLONE_THREAD)"}
CALLS = FD_CALLS + list(TARGET_CALLS) + PATH_CALLS + list(FLAG_CALLS)
STRACE = ["strace", "-f", "-ff", "--seccomp-bpf", "-ttt", "-yy", "-s", "64", "-e", "signal=none",
          "-e", "trace=" + ",".join("?" + c for c in CALLS)]

LINE = re.compile(r"^(\d+\.\d+) (\w+)\((.*)\)\s+= (-?\d+|\?)")
EDGE = re.compile(r'^-1, "judge: (open|close) (\d+)\.(\d+)"')
FD = re.compile(r"^(\d+)<(.*?)>(?=, |$)")
NOT_OUTPUT = re.compile(r"^(anon_inode:|pipe:|/memfd:|NETLINK:|UNIX[^\"]*$)")


@dataclass
class Call:
    time: float
    thread: str
    name: str
    target: str  # what the descriptor is, or "" if there is none
    args: str
    result: int
    packet: int = 0  # time in microseconds of the packet in whose bracket it is, 0: none


def target_of(name, args):
    """What the call writes to; None: it is no output call."""
    if name in PATH_CALLS:
        return ""
    if name in FLAG_CALLS:
        return "" if re.search(FLAG_CALLS[name], args) else None
    m = FD.match(args.split(", ")[TARGET_CALLS[name]] if name in TARGET_CALLS else args)
    if not m:
        return None if args.startswith("-1,") else ""
    return None if NOT_OUTPUT.match(m.group(2)) else m.group(2)


def read_thread(path):
    thread, packet, edges, calls = path.rsplit(".", 1)[1], 0, 0, []
    with open(path, errors="replace") as f:
        for line in f:
            m = LINE.match(line)
            if not m:
                continue
            edge = EDGE.match(m.group(3))
            if edge and m.group(2) == "write":
                packet = int(edge.group(2)) * 1000000 + int(edge.group(3)) if edge.group(1) == "open" else 0
                edges += 1
                continue
            target = target_of(m.group(2), m.group(3))
            if target is not None:
                result = -1 if m.group(4) == "?" else int(m.group(4))
                calls.append(Call(float(m.group(1)), thread, m.group(2), target, m.group(3), result, packet))
    return thread, edges, calls


def read(prefix):
    """(all output calls by time, {thread: number of edges})."""
    calls, edges = [], {}
    for path in glob.glob(glob.escape(prefix) + ".*"):
        thread, n, more = read_thread(path)
        calls += more
        if n:
            edges[thread] = n
    return sorted(calls, key=lambda c: c.time), edges
