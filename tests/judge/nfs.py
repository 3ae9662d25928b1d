# SPDX-License-Identifier: BSD-2-Clause
"""The NFs that are judged: Debian's stock binaries and two samples of our own, how each is run over a file in
a folder of its own, and what their output is.

at_once   files that are written as packets are processed: what stands there was printed in a packet's callback
exact     the output about a packet depends on that packet alone
varies    (pattern, replacement): what differs from run to run without the shim; CLCK stands for the clock's seconds
counts    (pattern, replacement): what counts the packets of the whole trace
known     why it is judged only when it is named: what the shim is known to lack
note      what else is to be known about when it prints
"""
import contextlib
import os
import re
import select
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass, field


@dataclass
class Nf:
    name: str
    argv: list
    at_once: list = field(default_factory=list)
    exact: bool = False
    varies: list = field(default_factory=list)
    counts: list = field(default_factory=list)
    note: str = ""
    known: str = ""


# p0f compares HTTP dates by a structure that it leaves partly uninitialised: what it says of two hosts varies.
P0F_CLOCKS = [(rb"\[[^\n]*mod=(host change|ip sharing)[^\n]*\n", b""),
              (rb"(?s)\.-\[[^\n]*\((host change|ip sharing)\) \]-.*?`----\n\n?", b"")]

# softflowd -r takes a poll for a connection to its control socket that it has not made, and may wait for ever: it gets none.

# The status record at the end, the times of the one at the beginning, and warnings carry the time of day.
ARGUS_CLOCKS = [(rb"(?s)\x830\0 .{124}\Z", b"(status)"), (rb"(?s)CLCK....", b"(time)"),
                (rb"ArgusWarning: \d+ \w+ \d+ [\d:.]+", b"ArgusWarning: (time)")]

NFS = [
    Nf("prads", ["prads", "-r", "{trace}", "-l", "assets"], ["assets"]),
    Nf("prads-x", ["prads", "-r", "{trace}", "-x", "-l", "assets"], ["assets"],
       note="prints the connections that are left when the input ends"),
    Nf("tcpdump", ["tcpdump", "-S", "-n", "-r", "{trace}"], ["stdout"], exact=True),
    Nf("tcpdump-w", ["tcpdump", "-r", "{trace}", "-w", "out.pcap"], ["out.pcap"], exact=True),
    Nf("p0f", ["p0f", "-r", "{trace}", "-o", "log"], ["stdout", "log"], varies=P0F_CLOCKS),
    Nf("softflowd", ["softflowd", "-r", "{trace}", "-D", "-v", "10", "-A", "milli", "-n", "127.0.0.1:{port}", "-p", "pid", "-c", "none"],
       varies=[(rb"\(0x[0-9a-f]+\)", b"(pointer)"), (rb"(?s).{4}\0\0\x01[\x98-\xff].{5}", b"(pid, start in ms)")],
       note="exports flows between packets and at the end"),
    Nf("ngrep", ["ngrep", "-q", "-I", "{trace}"], ["stdout"], exact=True, counts=[(rb" #\d+\n", b"\n"), (rb"^input: .*", b"")]),
    Nf("darkstat", ["darkstat", "-r", "{trace}", "--no-dns", "--chroot", "{dir}", "--export", "db", "--verbose"],
       varies=[(rb"darkstat \(\d+\)", b"darkstat (pid)")], note="writes its database at the end"),
    Nf("ndpiReader", ["ndpiReader", "-i", "{trace}", "-v", "2", "-C", "flows.csv"],
       varies=[(rb"(Setup Time|Packet Processing Time|nDPI throughput):.*", rb"\1")],
       note="the main thread prints all at the end"),
    Nf("argus", ["argus", "-r", "{trace}", "-w", "out.argus"], varies=ARGUS_CLOCKS,
       note="a thread of its own writes the records, later"),
]
SAMPLES = [
    Nf("c++", ["{build}/tests/judge/sample_cxx", "{trace}"], ["flushed", "buffered", "inlined", "wide", "stdout"],
       exact=True),
    Nf("pull", ["{build}/tests/judge/sample_pull", "{trace}"], ["stdout", "written"], exact=True),
    Nf("threads", ["{build}/tests/judge/sample_threads", "{trace}"], ["now"], exact=True,
       note="a thread of its own writes the file 'later', marked packets too"),
]


def find(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


class Collector:
    """Where flow exporters send: a UDP port on loopback."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def take(self):
        """All that came. An exporter that has ended has put it there."""
        got = []
        while select.select([self.socket], [], [], 0)[0]:
            got.append(self.socket.recv(65536))
        return b"".join(b"%d\n" % len(g) + g for g in got)

    def close(self):
        self.socket.close()


@contextlib.contextmanager
def workplace():
    """(a folder that NFs without privileges can reach, a collector)."""
    with tempfile.TemporaryDirectory() as work, contextlib.closing(Collector()) as collector:
        os.chmod(work, 0o755)
        yield work, collector


def tidy(text, rules):
    for pattern, replacement in rules:
        text = re.sub(pattern, replacement, text)
    return text


def run(nf, trace, folder, collector, build, env=None, before=(), timeout=600):
    """Run @nf over @trace in the new folder @folder; its exit status. Output stays in the folder."""
    os.mkdir(folder)
    os.chmod(folder, 0o777)  # for those that drop privileges
    places = {"trace": trace, "dir": folder, "port": collector.port, "build": build}
    argv = [a.format(**places) for a in nf.argv]
    argv[0] = find(argv[0])
    with open(os.path.join(folder, "stdout"), "wb") as out, open(os.path.join(folder, "stderr"), "wb") as err:
        code = subprocess.run([*before, *argv], cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                              env=env, timeout=timeout, check=False).returncode
    sent = collector.take()
    if sent:
        with open(os.path.join(folder, "sent"), "wb") as f:
            f.write(sent)
    return code


def outputs(folder):
    """{file: content} of what a run left."""
    result = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            with open(path, "rb") as f:
                result[name] = f.read()
        else:
            result[name] = b"not a file"
    return result
