#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# netns_setup.sh: the lab comes up once, says so, carries packets in order, and goes, also after a kill.
set -euo pipefail

[ "$(id -u)" = 0 ] || { echo "skip: namespaces need root" && exit 77; }
setup=$(cd "$(dirname "$0")/../../scripts" && pwd)/netns-setup.sh
name=nfs-test-$$
tmp=$(mktemp -d)
lab=("$setup" --name "$name" --dir "$tmp/lab")
trap '"${lab[@]}" down; rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
failed=0

fail() {
	echo "not ok: $*"
	failed=1
}
spaces() { find /run/netns -maxdepth 1 -name "$name-*" | wc -l; }

"${lab[@]}" status >/dev/null && fail "status says up before up"
"${lab[@]}" up --instances 3 --reference
[ "$(spaces)" = 6 ] || fail "up made $(spaces) namespaces, not 6"
before=$(stat -c %i "/run/netns/$name-sw")
"${lab[@]}" up --instances 3 --reference
[ "$(stat -c %i "/run/netns/$name-sw")" = "$before" ] || fail "a second up made a new lab"
"${lab[@]}" status >"$tmp/status" || fail "status says not up"
[ "$(grep -c ' up ' "$tmp/status")" -ge 10 ] || fail "status: $(cat "$tmp/status")"
"${lab[@]}" status --json | python3 -c 'import json, sys
s = json.load(sys.stdin)
assert s["up"] and len(s["devices"]) == 10, s' || fail "status --json"
# shellcheck disable=SC1091
. "$tmp/lab/env"
[ "$LAB_NF3_NS" = "$name-nf3" ] && [ "$LAB_REF_NS" = "$name-ref" ] || fail "env: $(cat "$tmp/lab/env")"
grep -qx "netns = $LAB_SW_NS" "$LAB_CONF" || fail "nfctrld.conf: $(cat "$LAB_CONF")"

# All devices of a path on one CPU, offloads off, nothing of its own on the wire.
for at in "$LAB_SW_NS swin" "$LAB_NF1_NS eth0" "$LAB_REF_NS eth0"; do
	read -r ns dev <<<"$at"
	mask=$(ip netns exec "$ns" cat "/sys/class/net/$dev/queues/rx-0/rps_cpus")
	[ $((16#${mask//,/})) = $((1 << LAB_CPU)) ] || fail "$at: rps_cpus is $mask, not CPU $LAB_CPU"
	! ip netns exec "$ns" ethtool -k "$dev" | grep -Eq '^(generic-(receive|segmentation)|tcp-segmentation)-offload: on' ||
		fail "$at: offloads are on"
	[ -z "$(ip -n "$ns" addr show dev "$dev" | grep inet)" ] || fail "$at has addresses"
done

# Frames through the switch: all arrive, in order, and markers are counted apart.
ip netns exec "$LAB_SW_NS" nft -f - <<NFT
table netdev t {
	chain in {
		type filter hook ingress device "swin" priority 0; policy drop;
		dup to "swr"
		fwd to "sw1"
	}
}
NFT
cat >"$tmp/frames.py" <<'PY'
import os, socket, struct, sys, time
COUNT, MARKS = 20000, 7
def raw(dev, proto):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(proto))
    s.bind((dev, proto))
    return s
if sys.argv[1] == "send":
    s, cpus = raw("gen", 0), sorted(os.sched_getaffinity(0))
    for i in range(COUNT):
        if i % 5 == 0:
            os.sched_setaffinity(0, {cpus[i // 5 % len(cpus)]})
        if i % 100 == 0:
            time.sleep(0.001)  # a busy machine's backlog holds so many
        s.send(bytes(12) + b"\x08\x00" + struct.pack("!Q", i) + bytes(40))
    for i in range(MARKS):
        s.send(bytes(12) + b"\x88\xb5" + bytes(46))
else:
    s = raw("eth0", 3)
    s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    s.settimeout(20)
    open(sys.argv[2], "w").close()
    seen = []
    while len(seen) < COUNT:
        f = s.recv(2048)
        if f[12:14] == b"\x08\x00":
            seen.append(struct.unpack("!Q", f[14:22])[0])
    sys.exit(seen != list(range(COUNT)))
PY
ip netns exec "$LAB_NF1_NS" timeout 30 python3 "$tmp/frames.py" receive "$tmp/r1" &
one=$!
ip netns exec "$LAB_REF_NS" timeout 30 python3 "$tmp/frames.py" receive "$tmp/r2" &
two=$!
while [ ! -e "$tmp/r1" ] || [ ! -e "$tmp/r2" ]; do sleep 0.05; done
ip netns exec "$LAB_GEN_NS" python3 "$tmp/frames.py" send
wait "$one" || fail "frames to nf1 are lost or out of order"
wait "$two" || fail "frames to the reference are lost or out of order"
# The markers may still be in the backlog when the last frame has come.
marked() { ip netns exec "$LAB_NF1_NS" nft list counters | grep -q 'packets 7 '; }
for _ in $(seq 100); do marked && break || sleep 0.05; done
marked || fail "markers are not counted: $(ip netns exec "$LAB_NF1_NS" nft list counters | tr -s "\n\t" " ")"
[ "$(ip netns exec "$LAB_NF1_NS" cat /sys/class/net/eth0/statistics/rx_dropped)" = 0 ] ||
	fail "frames that were captured count as dropped"

# What is left of a kill goes by name, with the processes inside; another size makes a new lab.
ip netns exec "$LAB_NF2_NS" sleep 300 &
sleeper=$!
rm -rf "$tmp/lab"
"${lab[@]}" status >/dev/null && fail "status says up without its files"
"${lab[@]}" up --instances 1
[ "$(spaces)" = 3 ] || fail "up after a kill: $(spaces) namespaces, not 3"
! kill -0 "$sleeper" 2>/dev/null || [ "$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$sleeper/status")" = Z ] ||
	fail "a process of the old lab still runs"
"${lab[@]}" down
[ "$(spaces)" = 0 ] && [ ! -e "$tmp/lab" ] || fail "down left something"
"${lab[@]}" down || fail "a second down fails"

# A failure half-way leaves nothing: no such CPU, so no device can be pinned.
"${lab[@]}" up --cpu 4000 2>/dev/null && fail "CPU 4000 was taken"
[ "$(spaces)" = 0 ] || fail "a failed up left $(spaces) namespaces"
"${lab[@]}" up --instances 0 2>/dev/null && fail "--instances 0 was taken"

[ "$failed" = 0 ] && echo ok
exit "$failed"
