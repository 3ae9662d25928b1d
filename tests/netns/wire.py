# SPDX-License-Identifier: BSD-2-Clause
"""Just enough of proto/nfshim.proto to say hello in another version, and to hear why not.

Written by hand, not generated: a peer of another version is not ours.
"""
import os
import re
import socket
import struct
import threading

SHIM, HELPER, CONTROLLER, PEER = 1, 2, 3, 4  # enum nf_role
MSG_H = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../proto/msg.h")
with open(MSG_H, encoding="utf-8") as f:
    OURS = int(re.search(r"NF_PROTO_VERSION (\d+)", f.read()).group(1))
PATIENCE = 10.0  # seconds


def varint(n):
    out = b""
    while n > 0x7f:
        out += bytes([n & 0x7f | 0x80])
        n >>= 7
    return out + bytes([n])


def number(field, n):
    return varint(field << 3) + varint(n)


def text(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def hello(version, role, name="", move=0, token=b"", listen=""):
    body = number(1, version) + number(2, role)
    if name:
        body += text(3, name.encode())
    if move:
        body += number(4, move)
    if token:
        body += text(5, token)
    if listen:
        body += text(6, listen.encode())
    msg = text(1, body)
    return struct.pack(">I", len(msg)) + msg


def receive(sock, size):
    data = b""
    while len(data) < size:
        try:
            more = sock.recv(size - len(data))
        except ConnectionResetError:  # hung up before it had read all
            return None
        if not more:
            return None
        data += more
    return data


def answer(sock):
    """One message: ('hello' | 'refused' | number of its kind, its bytes); (None, b'') at the end."""
    head = receive(sock, 4)
    body = receive(sock, struct.unpack(">I", head)[0]) if head else None
    if not body:
        return None, b""
    at, size, shift = 1, 0, 0
    while True:
        size |= (body[at] & 0x7f) << shift
        shift, at = shift + 7, at + 1
        if not body[at - 1] & 0x80:
            break
    kind = body[0] >> 3
    return {1: "hello", 2: "refused"}.get(kind, kind), body[at:at + size]


def dial(where):
    """A path, or 'host:port' in numbers."""
    if where.startswith("/"):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(PATIENCE)
        s.connect(where)
        return s
    host, _, port = where.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), PATIENCE)


def greet(where, *args, **kw):
    """Say hello there: the kind and the text of the answer."""
    with dial(where) as s:
        s.sendall(hello(*args, **kw))
        kind, data = answer(s)
        return kind, data.decode(errors="replace")


class Server(threading.Thread):
    """Answers every hello at @path in the role and version given."""

    def __init__(self, path, version, role, name):
        super().__init__(daemon=True)
        self.path, self.reply = path, hello(version, role, name)
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(path)
        self.sock.listen(8)
        self.sock.settimeout(0.2)
        self.greeted = 0
        self.over = False

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.join()
        self.sock.close()
        os.unlink(self.path)

    def one(self):
        try:
            c, _ = self.sock.accept()
        except socket.timeout:
            return
        with c:
            c.settimeout(PATIENCE)
            try:
                if answer(c)[0] == "hello":
                    self.greeted += 1
                    c.sendall(self.reply)
                    c.recv(1)  # it hangs up
            except OSError:
                pass

    def run(self):
        while not self.over:
            self.one()
