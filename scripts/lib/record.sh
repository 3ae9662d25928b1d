#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# record.sh OUT.pcap SEED: record a trace from real servers and clients
#
#   PREFIX-cl                          PREFIX-sv
#   +----------------------+          +---------------------------+
#   | clients.py           |          | nginx, a name server      |
#   | pod A 10.20.0.0/21   | cl == sv | pod A 198.18.0.0/19       |
#   |       2001:db8:20::  |          |       2001:db8:c10d::     |
#   | pod B 10.20.8.0/21   |          | pod B 198.18.32.0/19      |
#   |       2001:db8:20:8::|          |       2001:db8:c10d:1::   |
#   +----------------------+          +---------------------------+
#
# Needs root, nginx, tcpdump, python3.
set -euo pipefail

HERE=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
# shellcheck source=scripts/lib/common.sh
. "$HERE/common.sh"
# shellcheck source=scripts/lib/hosts.sh
. "$HERE/hosts.sh"

SECONDS_OF_TRAFFIC=6
CAPTURE='net 10.20.0.0/20 or net 2001:db8:20::/48 or (arp and net 10.20.0.0/20)'

[ $# -eq 2 ] || usage_error "record.sh OUT.pcap SEED"
out=$1 seed=$2
need_root
prefix=nfs-rec-$$
cl=$prefix-cl sv=$prefix-sv
tmp=$(mktemp -d)
pids=()

cleanup() {
	local pid
	for pid in "${pids[@]}"; do
		stop_pid TERM 3 "$pid" || true
	done
	ip netns del "$cl" 2>/dev/null || true
	ip netns del "$sv" 2>/dev/null || true
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

network() {
	ip netns add "$cl"
	ip netns add "$sv"
	ip link add cl netns "$cl" address 02:00:00:00:00:0c type veth \
		peer name sv netns "$sv" address 02:00:00:00:00:05
	client_host "$cl"
	server_host "$sv"
}

capture() {
	ip netns exec "$cl" tcpdump -i cl -w "$tmp/trace" -B 65536 -s 0 --immediate-mode -U "$CAPTURE" 2>"$tmp/tcpdump.err" &
	pids+=($!)
	tcpdump_pid=$!
	wait_until 10 grep -q 'listening on' "$tmp/tcpdump.err" ||
		die "tcpdump did not start: $(cat "$tmp/tcpdump.err")"
}

network
servers "$sv" "$tmp"
capture
# In the background: a signal must not wait for their end.
ip netns exec "$cl" python3 "$HERE/clients.py" run --seed "$seed" --seconds "$SECONDS_OF_TRAFFIC" >"$tmp/clients.out" 2>&1 &
pids+=($!)
wait "$!" ||
	die "the clients failed: $(tail -n 5 "$tmp/clients.out")"
stop_pid TERM 10 "$tcpdump_pid" || die "tcpdump did not end"
grep -q '^0 packets dropped by kernel' "$tmp/tcpdump.err" || die "the recording lost packets"
install -m 644 "$tmp/trace" "$out"
cat "$tmp/clients.out"
