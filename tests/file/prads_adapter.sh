#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The PRADS adapter in Debian's own prads, by tests/file/prads_adapter_loop.c.
#
#   prads_adapter.sh LIB all|flows|assets EVERY [SPACE]   state out and in again: same output?
#   prads_adapter.sh LIB measure PACKET [SPACE]
#   prads_adapter.sh LIB checks                           what it refuses at the start
#   prads_adapter.sh LIB builds                           what it refuses as another build
set -euo pipefail
export LC_ALL=C

lib=$1 mode=$2 every=${3:-1000}
space=${4:-net 10.20.0.0/21 or net 2001:db8:20::/61}
here=$(cd "$(dirname "$0")" && pwd)
trace=${TRACE:-$here/../../../shared/traces/campus800.pcap}
[ -e "$trace" ] || { echo "skip: no $trace"; exit 77; }
command -v prads >/dev/null || { echo "skip: no prads"; exit 77; }

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# $CONF: everything that PRADS can look for, or only what it does by itself
: >"$dir/conf"
if [ "${CONF:-}" = full ]; then
	printf '%s=1\n' arp icmp os_icmp os_udp os_syn_fingerprint os_synack_fingerprint \
		os_ack_fingerprint os_rst_fingerprint os_fin_fingerprint service_tcp client_tcp \
		service_udp >"$dir/conf"
fi

# adapted PROGRAM NAME: run it with the adapter, its exit code is ours
adapted()
{
	PRADS_ADAPTER="$mode $every $space" LD_PRELOAD="$lib" "$1" -r "$trace" -x \
		-c "$dir/conf" -l "$dir/$2.log" </dev/null >"$dir/$2.out" 2>"$dir/$2.err"
}

lines() { grep -aE '\[(New|ended|expired)\]' "$1" | cut -d'|' -f2- | sort; }
assets() { grep -av '^asset,vlan' "$1" | sort; }

compare()
{
	prads -r "$trace" -x -c "$dir/conf" -l "$dir/ref.log" </dev/null >"$dir/ref.out" 2>/dev/null
	adapted prads it || { cat "$dir/it.err"; exit 1; }
	grep -a 'prads_adapter: [1-9][0-9]* rounds, [1-9]' "$dir/it.err"
	for what in lines:out assets:log; do
		"${what%:*}" "$dir/ref.${what#*:}" >"$dir/ref.${what%:*}"
		"${what%:*}" "$dir/it.${what#*:}" >"$dir/it.${what%:*}"
		comm -3 "$dir/ref.${what%:*}" "$dir/it.${what%:*}" >"$dir/diff.${what%:*}"
		echo "${what%:*}: $(wc -l <"$dir/ref.${what%:*}"), different: $(wc -l <"$dir/diff.${what%:*}")"
	done
	[ -s "$dir/ref.lines" ]
}

# patch OFFSET BYTE: a copy of prads with another byte
patch()
{
	mkdir -p "$dir/bin"
	cp "$(command -v prads)" "$dir/bin/prads"
	printf '%b' "$2" |
		dd of="$dir/bin/prads" bs=1 seek=$(($1)) conv=notrunc status=none
	! cmp -s "$(command -v prads)" "$dir/bin/prads"
}

# refused WORDS: the patched copy is, with these words
refused()
{
	local rc=0
	adapted "$dir/bin/prads" it || rc=$?
	grep -a 'prads_adapter: refused' "$dir/it.err" || { cat "$dir/it.err"; exit 1; }
	[ $rc -eq 98 ]
	grep -qa "$1" "$dir/it.err"
}

case $mode in
all)
	compare
	[ ! -s "$dir/diff.lines" ] && [ ! -s "$dir/diff.assets" ]
	;;
flows) # the assets are lost: the oracle must see it
	compare
	[ ! -s "$dir/diff.lines" ] && [ -s "$dir/diff.assets" ]
	;;
assets) # the flows are lost
	compare
	[ -s "$dir/diff.lines" ]
	;;
measure | checks)
	adapted prads it || { cat "$dir/it.err"; exit 1; }
	grep -a prads_adapter "$dir/it.err"
	;;
builds)
	# One digit of the build-id; a note of another type; code of cxt_new and of match_mac's caller.
	id=$(readelf -SW "$(command -v prads)" | awk '$2 == ".note.gnu.build-id" || $3 == ".note.gnu.build-id" { for (i = 1; i <= NF; i++) if ($i == "NOTE") print $(i + 2) }')
	patch "0x$id + 16" '\xd3'
	refused 'not a build that the adapter knows'
	patch "0x$id + 8" '\x07'
	refused 'build-id none'
	patch 0x1ada2 '\x98'
	refused 'code differs (at 0x1ada1)'
	patch 0x11ff3 '\x00'
	refused 'code differs (at 0x11ff0)'
	;;
*) exit 2 ;;
esac
