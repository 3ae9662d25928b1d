#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# veth-bridge.sh up|down|status [options]: the bridge in front of an NF (Figure 3 of the paper)
#
#                         namespace of the NF
#            +-------------------------------------------------+
#  switch ===| ethIn ----+                                     |
#            |           +-- nfbr -- vethNFbr ==== vethNFin    |
#  nfxfer ===| vethP2Pbr-+                         (NF reads)  |
#     sends  +-------------------------------------------------+
#     on vethP2Pin
#
# What comes into ethIn and what nfxfer sends on vethP2Pin reaches vethNFin,
# in order, but for what no bridge forwards: MAC pause, and frames whose sender
# is 0 or a group. What the NF sends ends at the bridge. Then start the NF with
#   nfrun NAME --veth --netns NS -- COMMAND ... vethNFin
#   nfxfer --name NAME --inject-dev vethP2Pin --inject-netns NS
# and move with 'nfctl move SRC NAME SPACE --inject veth'.
#
#   --netns NS       namespace of all the devices (default: where this runs)
#   --in DEV         device that becomes the bridge's ethIn (default ethIn);
#                    it is not renamed
#   --cpu N          pin what receives to this CPU, so that nothing overtakes
#   --mtu N          largest packet without its Ethernet header (default: of ethIn)
#
# up is idempotent; a failed up removes what it made. down removes all but
# ethIn. Exit codes: 0 done (status: all is up), 1 failed (status: not up), 2 usage.
set -euo pipefail

ROOT=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
# shellcheck source=scripts/lib/common.sh
. "$ROOT/scripts/lib/common.sh"
# shellcheck source=scripts/lib/device.sh
. "$ROOT/scripts/lib/device.sh"

MARK_BYTES=48 # common/tag.h
VLAN_BYTES=4  # which devices take beyond their MTU
QUEUE=10000
BRIDGE=nfbr
PORTS=(vethP2Pbr vethNFbr) # made here; each has a peer with this end
PEERS=(vethP2Pin vethNFin)
MAC=02:6e:66:62:72:01 # of the bridge, which nobody speaks to
FORWARD_ALL=65533     # group_fwd_mask of a port: link-local groups too, but MAC pause

command='' netns='' eth_in=ethIn cpu='' mtu=''

parse_options() {
	while [ $# -gt 0 ]; do
		case $1 in
		up | down | status) command=$1 ;;
		--netns) needs 'a name' "$@" && netns=$2 && shift ;;
		--in) needs 'a device' "$@" && eth_in=$2 && shift ;;
		--cpu) needs 'a number' "$@" && cpu=$2 && shift ;;
		--mtu) needs 'a number' "$@" && mtu=$2 && shift ;;
		-h | --help) print_help && exit 0 ;;
		*) usage_error "unknown argument '$1'" ;;
		esac
		shift
	done
	[ -n "$command" ] || usage_error "say up, down or status"
	[[ $cpu =~ ^[0-9]*$ ]] || usage_error "--cpu takes a number"
	[[ $mtu =~ ^([0-9]{2,5})?$ ]] || usage_error "--mtu takes a number"
}

# ---- up ----

# All else is run there: a process less for each step.
enter_netns() {
	[ -e "/run/netns/$netns" ] || die "there is no network namespace '$netns'"
	NFSHIM_BRIDGE_NETNS=$netns exec ip netns exec "$netns" "$0" "$@"
}

exists() { [ -e "/sys/class/net/$1" ]; }
read_of() { [ ! -r "/sys/class/net/$1/$2" ] || echo "$(<"/sys/class/net/$1/$2")"; }

# What the kernel was built without needs no switching off.
set_if_there() {
	local file=$1 value=$2
	[ ! -e "$file" ] || echo "$value" >"$file" || die "cannot write $file"
}

add_bridge() {
	local attributes=/sys/class/net/$BRIDGE/bridge f
	ip link add "$BRIDGE" address "$MAC" type bridge stp_state 0 ageing_time 0
	ip link set "$BRIDGE" arp off multicast off
	for f in multicast_snooping vlan_filtering nf_call_iptables nf_call_ip6tables nf_call_arptables; do
		set_if_there "$attributes/$f" 0
	done
}

# br_netfilter, where it is loaded, drops packets with a bad checksum.
no_filters() {
	local f
	for f in /proc/sys/net/bridge/bridge-nf-call-{ip,ip6,arp}tables; do
		set_if_there "$f" 0
	done
}

# A namespace may hold devices that speak IPv6; these must not.
no_ipv6() {
	set_if_there "/proc/sys/net/ipv6/conf/$1/accept_ra" 0
	set_if_there "/proc/sys/net/ipv6/conf/$1/disable_ipv6" 1
}

set_up_end() {
	local dev=$1
	ip link set "$dev" arp off multicast off promisc on mtu "$mtu" txqueuelen "$QUEUE"
	no_ipv6 "$dev"
	offloads_off "$dev"
	[ -z "$cpu" ] || pin_device "$dev" "$cpu"
	ip link set "$dev" up
}

# A port learns nothing, floods what comes in elsewhere, and keeps no address for the bridge itself.
set_up_port() {
	local dev=$1 mac
	ip link set "$dev" promisc on master "$BRIDGE"
	bridge link set dev "$dev" learning off flood on mcast_flood on bcast_flood on
	ip link set "$dev" type bridge_slave group_fwd_mask "$FORWARD_ALL"
	mac=$(read_of "$dev" address)
	bridge fdb del "$mac" dev "$dev" master 2>/dev/null || true
}

# Nothing goes out where frames come in: neither the NF's own nor those for the other entrance.
no_way_back() {
	bridge link set dev "$1" flood off mcast_flood off bcast_flood off
}

own_addresses() { # of ports, left in the bridge's table
	bridge fdb show br "$BRIDGE" | grep -E "dev ($eth_in|vethP2Pbr|vethNFbr) .*permanent" |
		grep -v '^\(33:33\|01:00:5e\)' || true
}

is_complete() {
	local dev
	for dev in "$BRIDGE" "$eth_in" "${PORTS[@]}" "${PEERS[@]}"; do
		exists "$dev" || return 1
	done
	for dev in "$eth_in" "${PORTS[@]}"; do
		[ "$(readlink "/sys/class/net/$dev/master")" = "../$BRIDGE" ] || return 1
	done
	for dev in "${PORTS[@]}" "${PEERS[@]}"; do
		[ "$(read_of "$dev" operstate)" = up ] || return 1
	done
	[ -z "$(own_addresses)" ]
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
	local i dev
	exists "$eth_in" || die "there is no device $eth_in${netns:+ in $netns}"
	! is_complete || return 0
	remove_all
	trap undo EXIT INT TERM HUP
	mtu=$((${mtu:-$(read_of "$eth_in" mtu)} + VLAN_BYTES + MARK_BYTES))
	add_bridge
	no_filters
	no_ipv6 "$BRIDGE"
	for i in "${!PORTS[@]}"; do
		ip link add "${PORTS[i]}" numrxqueues 1 numtxqueues 1 type veth \
			peer name "${PEERS[i]}" numrxqueues 1 numtxqueues 1
		set_up_end "${PORTS[i]}"
		set_up_end "${PEERS[i]}"
	done
	for dev in "$eth_in" "${PORTS[@]}"; do
		set_up_port "$dev"
	done
	no_way_back "$eth_in"
	no_way_back vethP2Pbr
	bridge fdb del "$MAC" dev "$BRIDGE" self 2>/dev/null || true
	offloads_off "$eth_in"
	[ -z "$cpu" ] || pin_device "$eth_in" "$cpu"
	ip link set "$BRIDGE" up
	wait_until 10 is_complete || die "the bridge did not come up"
	trap - EXIT INT TERM HUP
}

# ---- down, status ----

remove_all() {
	local dev
	for dev in "${PORTS[@]}" "$BRIDGE"; do
		! exists "$dev" || ip link del "$dev"
	done
}

status() {
	local dev
	if ! is_complete; then
		echo "the bridge $BRIDGE${netns:+ in $netns} is not up"
		return 1
	fi
	echo "$BRIDGE${netns:+ in $netns} is up"
	for dev in "$eth_in" "${PORTS[@]}" "${PEERS[@]}"; do
		printf '%-10s mtu %5s  rx %10s  tx %10s  dropped %s\n' "$dev" "$(read_of "$dev" mtu)" \
			"$(read_of "$dev" statistics/rx_packets)" "$(read_of "$dev" statistics/tx_packets)" \
			"$(($(read_of "$dev" statistics/rx_dropped) + $(read_of "$dev" statistics/tx_dropped)))"
	done
}

parse_options "$@"
need_root
[ -z "$netns" ] || [ "${NFSHIM_BRIDGE_NETNS:-}" = "$netns" ] || enter_netns "$@"
case $command in
up) up ;;
down) remove_all ;;
status) status ;;
esac
