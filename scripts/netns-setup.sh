#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# netns-setup.sh up|down|status [options]: the lab of namespaces
#
#  PREFIX-gen      PREFIX-sw                        PREFIX-nf1
#  +-------+      +-----------------------+        +---------------+
#  |  gen  |======| swin             sw1  |========| eth0   NF 1   |
#  +-------+      |      nftables         |        +---------------+
#                 |   (fwd, dup) of       |         PREFIX-nf2 ... nfN
#                 |      nfctrld     sw2  |========| eth0   NF 2   |
#                 |                       |         PREFIX-ref
#                 |                  swr  |========| eth0   never  |
#                 +-----------------------+        |        moves  |
#
# What the generator sends into gen reaches swin; nfctrld's rules send it to
# one NF each and, with --reference, a copy of everything to the reference.
# All links are veth pairs without IPv6, ARP, multicast and offloads. Every
# receiving device is pinned to one CPU, so that the order in which the switch
# saw the packets is defined and nothing that follows overtakes them.
#
#   --instances N   number of NFs (default 2)
#   --reference     with the reference
#   --veth          eth0 of each NF but the reference is the ethIn of a veth-bridge.sh;
#                   the NF reads vethNFin
#   --name PREFIX   of the namespaces (default nfs-lab); letters, digits, '-'
#   --dir DIR       for the files env and nfctrld.conf (default /run/nfshim-lab/PREFIX)
#   --cpu N         pin the devices to this CPU (default: the last one)
#   --json          status as JSON
#
# up is idempotent. down removes everything by name, also what is left of an
# interrupted run, and ends what still runs inside the namespaces. Exit codes:
# 0 done (status: all is up), 1 failed (status: not up), 2 usage.
set -euo pipefail

ROOT=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
# shellcheck source=scripts/lib/common.sh
. "$ROOT/scripts/lib/common.sh"
# shellcheck source=scripts/lib/device.sh
. "$ROOT/scripts/lib/device.sh"

MTU=9000
QUEUE=10000
MARK_TYPE=0x88b5

command='' instances=2 reference=false veth=false prefix=nfs-lab dir='' cpu='' json=false

parse_options() {
	while [ $# -gt 0 ]; do
		case $1 in
		up | down | status) command=$1 ;;
		--instances) needs 'a number' "$@" && instances=$2 && shift ;;
		--reference) reference=true ;;
		--veth) veth=true ;;
		--name) needs 'a prefix' "$@" && prefix=$2 && shift ;;
		--dir) needs 'a directory' "$@" && dir=$2 && shift ;;
		--cpu) needs 'a number' "$@" && cpu=$2 && shift ;;
		--json) json=true ;;
		-h | --help) print_help && exit 0 ;;
		*) usage_error "unknown argument '$1'" ;;
		esac
		shift
	done
	[ -n "$command" ] || usage_error "say up, down or status"
	[[ $prefix =~ ^[A-Za-z0-9][A-Za-z0-9-]{0,40}$ ]] || usage_error "bad prefix '$prefix'"
	[[ $instances =~ ^[1-9][0-9]?$ ]] || usage_error "--instances takes a number from 1 to 99"
	dir=${dir:-/run/nfshim-lab/$prefix}
	cpu=${cpu:-$(last_cpu)}
	[[ $cpu =~ ^[0-9]+$ ]] || usage_error "--cpu takes a number"
}

last_cpu() {
	local list
	list=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)
	echo "${list##*[,-]}"
}

# ---- names ----

namespaces() { # those that should be up, one per line
	local i
	echo "$prefix-gen"
	echo "$prefix-sw"
	for ((i = 1; i <= instances; i++)); do
		echo "$prefix-nf$i"
	done
	! $reference || echo "$prefix-ref"
}

existing() { # those of this prefix that are there
	find /run/netns -maxdepth 1 -regextype posix-extended \
		-regex "/run/netns/$prefix-(gen|sw|ref|nf[0-9]+)" -printf '%f\n' 2>/dev/null | sort
}

links() { # namespace device peer-namespace peer-device
	local i
	echo "$prefix-gen gen $prefix-sw swin"
	for ((i = 1; i <= instances; i++)); do
		echo "$prefix-sw sw$i $prefix-nf$i eth0"
	done
	! $reference || echo "$prefix-sw swr $prefix-ref eth0"
}

nf_dev() { $veth && echo vethNFin || echo eth0; }

in_ns() {
	local ns=$1
	shift
	ip netns exec "$ns" "$@"
}

# ---- up ----

add_namespace() {
	local ns=$1 f
	ip netns add "$ns"
	for f in all default; do # a kernel without IPv6 has nothing to switch off
		in_ns "$ns" sysctl -qw "net.ipv6.conf.$f.disable_ipv6=1" 2>/dev/null || true
	done
	ip -n "$ns" link set lo up
}

set_up_device() {
	local ns=$1 dev=$2
	ip -n "$ns" link set "$dev" arp off multicast off promisc on mtu "$MTU" txqueuelen "$QUEUE"
	offloads_off in_ns "$ns" "$dev"
	pin_device in_ns "$ns" "$dev" "$cpu"
	ip -n "$ns" link set "$dev" up
}

add_link() {
	local ns1=$1 dev1=$2 ns2=$3 dev2=$4
	ip link add "$dev1" netns "$ns1" numrxqueues 1 numtxqueues 1 type veth \
		peer name "$dev2" netns "$ns2" numrxqueues 1 numtxqueues 1
	set_up_device "$ns1" "$dev1"
	set_up_device "$ns2" "$dev2"
}

# Count the markers of route changes among the frames that an NF's interface got. Captures have seen
# a frame when it comes here; behind them nobody needs it, and drops that the device counts are real.
count_marks() {
	local ns=$1 dev=$2
	in_ns "$ns" nft -f - <<-NFT
		table netdev lab {
			counter nf_marks { }
			chain in {
				type filter hook ingress device "$dev" priority 0; policy drop;
				ether type $MARK_TYPE counter name "nf_marks"
			}
		}
	NFT
}

write_conf() {
	local i
	cat <<-CONF
		[switch]
		driver = nft
		netns = $prefix-sw
		input = swin
		default = ids1
	CONF
	! $reference || echo "reference = swr"
	for ((i = 1; i <= instances; i++)); do
		printf '[port ids%d]\ndev = sw%d\n' "$i" "$i"
	done
}

write_env() {
	local i
	echo "LAB_PREFIX=$prefix"
	echo "LAB_INSTANCES=$instances"
	echo "LAB_CPU=$cpu"
	echo "LAB_GEN_NS=$prefix-gen"
	echo "LAB_GEN_DEV=gen"
	echo "LAB_SW_NS=$prefix-sw"
	echo "LAB_SW_IN=swin"
	for ((i = 1; i <= instances; i++)); do
		echo "LAB_NF${i}_NS=$prefix-nf$i"
	done
	echo "LAB_NF_DEV=$(nf_dev)"
	echo "LAB_NF_IN=eth0"
	if $reference; then
		echo "LAB_REF_NS=$prefix-ref"
	fi
	printf 'LAB_CONF=%q\n' "$dir/nfctrld.conf"
}

links_are_up() {
	local ns1 dev1 ns2 dev2
	while read -r ns1 dev1 ns2 dev2; do
		[ "$(in_ns "$ns1" cat "/sys/class/net/$dev1/operstate" 2>/dev/null)" = up ] || return 1
		[ "$(in_ns "$ns2" cat "/sys/class/net/$dev2/operstate" 2>/dev/null)" = up ] || return 1
	done < <(links)
}

bridges_are_up() {
	local i
	! $veth || for ((i = 1; i <= instances; i++)); do
		"$ROOT/scripts/veth-bridge.sh" status --netns "$prefix-nf$i" --in eth0 >/dev/null || return 1
	done
	grep -qx "LAB_NF_DEV=$(nf_dev)" "$dir/env"
}

is_complete() {
	[ -e "$dir/env" ] && [ -e "$dir/nfctrld.conf" ] &&
		[ "$(existing)" = "$(namespaces | sort)" ] && links_are_up && bridges_are_up
}

undo() {
	local status=$?
	trap - EXIT INT TERM HUP
	[ "$status" -ne 0 ] || status=1
	note "${0##*/}: failed, removing what was made"
	remove_all
	exit "$status"
}

up() {
	local ns line
	if is_complete; then
		return 0
	fi
	remove_all
	trap undo EXIT INT TERM HUP
	for ns in $(namespaces); do
		add_namespace "$ns"
	done
	while read -r -a line; do
		add_link "${line[@]}"
	done < <(links)
	for ns in $(namespaces); do
		case $ns in
		*-nf[0-9]*)
			! $veth || "$ROOT/scripts/veth-bridge.sh" up --netns "$ns" --in eth0 --cpu "$cpu"
			count_marks "$ns" "$(nf_dev)"
			;;
		*-ref) count_marks "$ns" eth0 ;;
		esac
	done
	wait_until 10 links_are_up || die "the links did not come up"
	mkdir -p "$dir"
	write_conf >"$dir/nfctrld.conf"
	write_env >"$dir/env"
	trap - EXIT INT TERM HUP
}

# ---- down ----

empty_namespace() {
	local ns=$1 pid
	for pid in $(ip netns pids "$ns" 2>/dev/null); do
		[ "$pid" = $$ ] || stop_pid TERM 3 "$pid" || true
	done
}

remove_all() {
	local ns dev
	for ns in $(existing); do
		empty_namespace "$ns"
		# A device goes with its namespace only when the last reference to that is gone.
		for dev in $(ip -n "$ns" -o link show type veth 2>/dev/null | sed 's/^[0-9]*: \([^@:]*\).*/\1/'); do
			ip -n "$ns" link del "$dev" 2>/dev/null || true
		done
		ip netns del "$ns" 2>/dev/null || rm -f "/run/netns/$ns"
	done
	rm -f "$dir/env" "$dir/nfctrld.conf"
	rmdir "$dir" 2>/dev/null || true
	rmdir "${dir%/*}" 2>/dev/null || true
}

# ---- status ----

statistic() { in_ns "$1" cat "/sys/class/net/$2/statistics/$3" 2>/dev/null || echo 0; }

device_line() {
	local ns=$1 dev=$2
	printf '%s %s %s %s %s %s\n' "$ns" "$dev" \
		"$(in_ns "$ns" cat "/sys/class/net/$dev/operstate" 2>/dev/null || echo absent)" \
		"$(statistic "$ns" "$dev" rx_packets)" "$(statistic "$ns" "$dev" tx_packets)" \
		"$(($(statistic "$ns" "$dev" rx_dropped) + $(statistic "$ns" "$dev" tx_dropped)))"
}

devices() {
	local ns dev
	for ns in $(existing); do
		for dev in $(ip -n "$ns" -o link show type veth | sed 's/^[0-9]*: \([^@:]*\).*/\1/'); do
			device_line "$ns" "$dev"
		done
	done
}

status_json() {
	local up=$1 comma='' ns dev state rx tx drop
	printf '{"prefix":"%s","dir":"%s","up":%s,"devices":[' "$prefix" "$dir" "$up"
	while read -r ns dev state rx tx drop; do
		printf '%s{"netns":"%s","dev":"%s","state":"%s","rx":%s,"tx":%s,"dropped":%s}' \
			"$comma" "$ns" "$dev" "$state" "$rx" "$tx" "$drop"
		comma=,
	done < <(devices)
	printf ']}\n'
}

status() {
	local up=false
	if [ -e "$dir/env" ]; then # what was asked for when it was set up
		instances=$(sed -n 's/^LAB_INSTANCES=//p' "$dir/env")
		grep -q '^LAB_REF_NS=' "$dir/env" && reference=true
		grep -qx 'LAB_NF_DEV=vethNFin' "$dir/env" && veth=true
	fi
	! is_complete || up=true
	if $json; then
		status_json "$up"
	else
		$up && echo "$prefix is up, files in $dir" || echo "$prefix is not up"
		devices | awk 'BEGIN { f = "%-24s %-6s %-7s %10s %10s %8s\n" }
			NR == 1 { printf f, "namespace", "device", "state", "rx", "tx", "dropped" }
			{ printf f, $1, $2, $3, $4, $5, $6 }'
	fi
	$up
}

parse_options "$@"
need_root
case $command in
up) up ;;
down) remove_all ;;
status) status ;;
esac
