#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# veth_bridge.sh: the bridge comes up once, carries every frame of both entrances in order and nothing back.
set -euo pipefail

[ "$(id -u)" = 0 ] || { echo "skip: namespaces need root" && exit 77; }
bridge=$(cd "$(dirname "$0")/../../scripts" && pwd)/veth-bridge.sh
ns=nfs-bridge-$$
tmp=$(mktemp -d)
trap 'ip netns del "$ns" 2>/dev/null || true; rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
failed=0

fail() {
	echo "not ok: $*"
	failed=1
}
here() { ip netns exec "$ns" "$@"; }
mtu() { here cat "/sys/class/net/$1/mtu"; }

help=$("$bridge" --help)
for word in 'up|down|status' 'Figure 3' ethIn vethP2Pin vethP2Pbr vethNFbr vethNFin --netns --in --cpu --mtu; do
	[[ $help == *"$word"* ]] || fail "--help does not tell of $word"
done
for wrong in "" "sideways" "up --cpu x" "up --mtu -1" "up --netns"; do
	rc=0
	# shellcheck disable=SC2086 # words
	"$bridge" $wrong 2>/dev/null || rc=$?
	[ "$rc" = 2 ] || fail "'$wrong' gave $rc"
done
! "$bridge" up --netns "$ns-none" 2>/dev/null || fail "up in a namespace that is not there"

ip netns add "$ns"
! "$bridge" up --netns "$ns" 2>"$tmp/err" || fail "up without ethIn"
grep -q 'no device ethIn' "$tmp/err" || fail "up without ethIn: $(cat "$tmp/err")"
here ip link add ethIn mtu 9000 type veth peer name out mtu 9000
for dev in ethIn out; do
	here sh -c "[ ! -e /proc/sys/net/ipv6/conf/$dev ] || echo 1 >/proc/sys/net/ipv6/conf/$dev/disable_ipv6"
	here ip link set "$dev" arp off multicast off up
done
! "$bridge" status --netns "$ns" >/dev/null || fail "status says up before up"
"$bridge" up --netns "$ns" --cpu 0 || fail "up"
"$bridge" status --netns "$ns" >"$tmp/status" && grep -q 'is up' "$tmp/status" || fail "status says not up"
before=$(here cat /sys/class/net/nfbr/ifindex)
"$bridge" up --netns "$ns" --cpu 0
[ "$(here cat /sys/class/net/nfbr/ifindex)" = "$before" ] || fail "a second up made a new bridge"

# Room for the mark, no offloads, no filters, nothing learnt, no address for the bridge itself.
for dev in vethP2Pin vethP2Pbr vethNFbr vethNFin; do
	[ "$(mtu "$dev")" -ge 9052 ] || fail "MTU of $dev is $(mtu "$dev")"
	! here ethtool -k "$dev" | grep -Eq '^(generic-(receive|segmentation)|tcp-segmentation)-offload: on' ||
		fail "offloads of $dev are on"
done
for f in /proc/sys/net/bridge/bridge-nf-call-{ip,ip6,arp}tables /sys/class/net/nfbr/bridge/multicast_snooping; do
	[ "$(here sh -c "cat $f 2>/dev/null || echo 0")" = 0 ] || fail "$f is on"
done
for dev in ethIn vethP2Pbr vethNFbr; do
	[ "$(here cat "/sys/class/net/$dev/brport/learning")" = 0 ] || fail "$dev learns"
done
for dev in ethIn vethP2Pbr; do
	[ "$(here cat "/sys/class/net/$dev/brport/unicast_flood")" = 0 ] || fail "$dev floods"
done
! here bridge fdb show br nfbr | grep -v 'self permanent' | grep permanent || fail "addresses are left"

# Frames from both entrances, to every kind of address, of every size, and what the NF sends.
cat >"$tmp/frames.py" <<'PY'
import select, socket, struct, sys

COUNT = 2000


def raw(dev):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    s.bind((dev, 3))
    return s


def own(dev):
    return bytes.fromhex(open("/sys/class/net/%s/address" % dev).read().strip().replace(":", ""))


def frame(who, to, n, size, vlan=b""):
    """@size without the VLAN, which is not among the bytes that a socket gets."""
    head = to + b"\x02\0\0\0\0\x09" + vlan + b"\x08\x00" + who + struct.pack("!I", n)
    return head + bytes(size + len(vlan) - len(head))


def receive(s, senders, count):
    """Numbers by sender, as they came; the last may take a while."""
    got = {who: [] for who in senders}
    while sum(map(len, got.values())) < count and select.select([s], [], [], 20)[0]:
        data, meta = s.recvfrom(65535)
        if meta[2] != 4 and data[14:15] in got:  # not our own
            got[data[14:15]].append((struct.unpack("!I", data[15:19])[0], len(data)))
    return got


out, p2p, nf = raw("out"), raw("vethP2Pin"), raw("vethNFin")
to = [own("ethIn"), own("vethNFin"), own("vethNFbr"), own("nfbr"), b"\x02\0\0\0\0\x01", b"\xff" * 6,
      bytes.fromhex("01005e000001"), bytes.fromhex("333300000001"), bytes.fromhex("0180c200000e")]
for who, s, largest in ((b"e", out, 9014), (b"p", p2p, 9014 + 48)):
    want = []
    for i in range(COUNT):
        size = largest if i % 50 == 0 else 60 + i % 1400
        s.send(frame(who, to[i % len(to)], i, size, b"\x81\0\0\x05" if i % 100 == 0 else b""))
        want.append((i, size))
    got = receive(nf, [who], COUNT)[who]
    assert got == want, "from %s: %d of %d came, in order: %s" % (who, len(got), COUNT, got == sorted(got))
for i in range(100):
    nf.send(frame(b"n", to[i % len(to)], i, 60))
out.send(frame(b"e", to[0], 0, 60))
assert receive(nf, [b"e"], 1)[b"e"], "the last frame is lost"
for s in (out, p2p):  # what comes behind them has come, so nothing of the NF's has
    while select.select([s], [], [], 0)[0]:
        data, meta = s.recvfrom(65535)
        assert meta[2] == 4, "%d bytes from %s came back" % (len(data), data[14:15])
PY
here timeout 100 python3 "$tmp/frames.py" || fail "frames"

"$bridge" down --netns "$ns"
[ "$(here ls /sys/class/net | grep -c -e nfbr -e veth)" = 0 ] || fail "down left something"
here test -e /sys/class/net/ethIn || fail "down took ethIn"
"$bridge" down --netns "$ns" || fail "a second down fails"
! "$bridge" up --netns "$ns" --cpu 4000 2>/dev/null || fail "CPU 4000 was taken"
[ "$(here ls /sys/class/net | grep -c -e nfbr -e veth)" = 0 ] || fail "a failed up left something"

[ "$failed" = 0 ] && echo ok
exit "$failed"
