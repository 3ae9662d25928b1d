#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# live-hosts.sh up|down PREFIX LABDIR: real hosts for a lab, and their path through its switch
#
#  PREFIX-cl          PREFIX-sw                            PREFIX-sv
#  +---------+       +-----------------------------+      +---------+
#  | clients |=======| swc  ---- forwarded ---- sws |======| servers |
#  |      cl |       |   \                       /  |      | sv      |
#  +---------+       |    copies, to nfctrld's rules|      +---------+
#                    +-----------------------------+
#
# The NFs are off the path: what one end sends goes to the other at once, and
# a copy goes on to nfctrld's rules, as an input of its own. Both devices are
# served by the lab's one CPU, so all instances get the copies in one order.
#
# up needs the lab of netns-setup.sh, with its files in LABDIR, before nfctrld
# starts. down ends all that runs in the two namespaces, and removes them.
set -euo pipefail

HERE=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
# shellcheck source=scripts/lib/common.sh
. "$HERE/common.sh"
# shellcheck source=scripts/lib/hosts.sh
. "$HERE/hosts.sh"

[ $# -eq 3 ] || usage_error "live-hosts.sh up|down PREFIX LABDIR"
command=$1 prefix=$2 dir=$3
cl=$prefix-cl sv=$prefix-sv sw=$prefix-sw
pids=()

# switch_port DEV DEV-THAT-IS-PINNED-ALREADY
switch_port() {
	ip -n "$sw" link set "$1" arp off multicast off promisc on
	ip netns exec "$sw" ethtool -K "$1" gro off gso off tso off tx off rx off >/dev/null
	ip netns exec "$sw" sh -c "cat /sys/class/net/$2/queues/rx-0/rps_cpus >/sys/class/net/$1/queues/rx-0/rps_cpus"
	ip -n "$sw" link set "$1" up
}

path() {
	ip link add swc netns "$sw" numrxqueues 1 numtxqueues 1 type veth peer name cl netns "$cl" address "$CLIENT_MAC"
	ip link add sws netns "$sw" numrxqueues 1 numtxqueues 1 type veth peer name sv netns "$sv" address "$SERVER_MAC"
	switch_port swc swin
	switch_port sws swin
	# What the kernel of either end says to groups on the link by itself is nobody's traffic.
	ip netns exec "$sw" nft -f - <<-NFT
		table netdev path {
			counter copied { }
			counter groups { }
			chain from_clients {
				type filter hook ingress device "swc" priority -100; policy accept;
				ip6 daddr ff00::/8 counter name "groups" drop
				dup to "sws" counter name "copied"
			}
			chain from_servers {
				type filter hook ingress device "sws" priority -100; policy accept;
				ip6 daddr ff00::/8 counter name "groups" drop
				dup to "swc" counter name "copied"
			}
		}
	NFT
}

files() {
	sed -i 's/^input = .*/input = swc, sws/' "$dir/nfctrld.conf"
	printf 'LAB_CL_NS=%s\nLAB_SV_NS=%s\n' "$cl" "$sv" >>"$dir/env"
}

up() {
	ip netns add "$cl"
	ip netns add "$sv"
	path
	client_host "$cl"
	server_host "$sv"
	servers "$sv" "$dir/hosts"
	files
}

down() {
	local ns pid
	for ns in "$cl" "$sv"; do
		for pid in $(ip netns pids "$ns" 2>/dev/null); do
			stop_pid TERM 3 "$pid" || true
		done
		ip netns del "$ns" 2>/dev/null || true
	done
	rm -rf "$dir/hosts"
}

need_root
case $command in
up) up ;;
down) down ;;
*) usage_error "live-hosts.sh up|down PREFIX LABDIR" ;;
esac
