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
# All addresses of the prefixes are local there ("AnyIP"), so that a few
# hundred hosts need no interfaces. Clients of a pod talk to its servers only:
# the two pods share no host. Needs root, nginx, tcpdump, python3.
set -euo pipefail

HERE=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
# shellcheck source=scripts/lib/common.sh
. "$HERE/common.sh"

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

# What runs in the background is started without a function: $! must be its own process id.
in_sv() { ip netns exec "$sv" "$@"; }

# host NS DEV OWN-LINK-LOCAL PEER-LINK-LOCAL PEER-MAC: one end of the link
host() {
	local ns=$1 dev=$2 own=$3 peer=$4 mac=$5
	ip -n "$ns" link set lo up
	ip -n "$ns" link set "$dev" addrgenmode none
	ip netns exec "$ns" ethtool -K "$dev" gro off gso off tso off tx off rx off >/dev/null
	# Entries must not be probed again while the recording runs.
	ip netns exec "$ns" sysctl -qw "net.ipv4.neigh.$dev.base_reachable_time_ms=600000"
	ip netns exec "$ns" sysctl -qw net.ipv6.ip_nonlocal_bind=1
	ip -n "$ns" link set "$dev" up
	ip -n "$ns" -6 addr add "$own/64" dev "$dev" nodad
	ip -n "$ns" -6 neigh add "$peer" lladdr "$mac" dev "$dev" nud permanent
}

network() {
	ip netns add "$cl"
	ip netns add "$sv"
	ip link add cl netns "$cl" address 02:00:00:00:00:0c type veth \
		peer name sv netns "$sv" address 02:00:00:00:00:05
	host "$cl" cl fe80::c fe80::5 02:00:00:00:00:05
	host "$sv" sv fe80::5 fe80::c 02:00:00:00:00:0c
	ip -n "$cl" route add local 10.20.0.0/20 dev lo
	ip -n "$sv" route add local 198.18.0.0/18 dev lo
	ip -n "$cl" route add 198.18.0.0/18 dev cl
	ip -n "$sv" route add 10.20.0.0/20 dev sv
	ip -n "$cl" -6 route add local 2001:db8:20::/48 dev lo
	ip -n "$sv" -6 route add local 2001:db8:c10d::/48 dev lo
	ip -n "$cl" -6 route add 2001:db8:c10d::/48 via fe80::5 dev cl
	ip -n "$sv" -6 route add 2001:db8:20::/48 via fe80::c dev sv
}

servers() {
	mkdir -p "$tmp/www" "$tmp/nginx"
	chmod -R a+rX "$tmp"
	head -c 400 /dev/zero | tr '\0' 'a' >"$tmp/www/small"
	head -c 4000 /dev/zero | tr '\0' 'b' >"$tmp/www/page"
	head -c 16000 /dev/zero | tr '\0' 'c' >"$tmp/www/large"
	cat >"$tmp/nginx.conf" <<-CONF
		daemon off; worker_processes 1; pid $tmp/nginx.pid; error_log $tmp/error.log;
		events { worker_connections 4096; }
		http {
			access_log off; keepalive_timeout 60; keepalive_requests 10000;
			client_body_temp_path $tmp/nginx; proxy_temp_path $tmp/nginx;
			fastcgi_temp_path $tmp/nginx; uwsgi_temp_path $tmp/nginx; scgi_temp_path $tmp/nginx;
			server { listen 80 backlog=4096; listen [::]:80 backlog=4096; root $tmp/www; }
		}
	CONF
	ip netns exec "$sv" nginx -c "$tmp/nginx.conf" -p "$tmp" >"$tmp/nginx.out" 2>&1 &
	pids+=($!)
	ip netns exec "$sv" python3 "$HERE/clients.py" serve >"$tmp/dns.out" 2>&1 &
	pids+=($!)
	wait_until 10 listening || die "the servers did not start: $(cat "$tmp"/*.out "$tmp/error.log")"
}
listening() {
	in_sv ss -Hltn 'sport = :80' | grep -q . && in_sv ss -Hlun 'sport = :53' | grep -q .
}

capture() {
	ip netns exec "$cl" tcpdump -i cl -w "$tmp/trace" -B 65536 -s 0 --immediate-mode -U "$CAPTURE" 2>"$tmp/tcpdump.err" &
	pids+=($!)
	tcpdump_pid=$!
	wait_until 10 grep -q 'listening on' "$tmp/tcpdump.err" ||
		die "tcpdump did not start: $(cat "$tmp/tcpdump.err")"
}

network
servers
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
