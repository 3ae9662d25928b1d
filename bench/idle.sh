#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What the idle shim costs: instructions of a stock NF over a trace, with and without it.
#
#   idle.sh BUILD [TRACE] [MAX%] [NF...]   fails if the shim adds more than MAX (default 2)
#
# Start-up cancels out: each way runs over the trace and over its first packet, and the difference
# counts. Of the trace the first PACKETS are read; with $NFSHIM_FULL=1, or where NFs are named, all
# are. PRADS is counted with nfxfer linked as well.
set -euo pipefail
build=$1
trace=${2:-$(dirname "$0")/../../shared/traces/campus800.pcap}
max=${3:-2}
nfs=("${@:4}")
[ -e "$trace" ] || { echo "skip: no $trace"; exit 77; }
PATH=$PATH:/usr/sbin
PACKETS=2000
dir=$(mktemp -d)
helper=
failed=0
trap '[ -z "$helper" ] || kill "$helper"; rm -rf "$dir"' EXIT
tcpdump -nr "$trace" -c 1 -w "$dir/one.pcap" 2>/dev/null
if [ ${#nfs[@]} = 0 ]; then
	nfs=(prads tcpdump p0f softflowd)
	if [ "${NFSHIM_FULL:-}" != 1 ]; then
		tcpdump -nr "$trace" -c "$PACKETS" -w "$dir/part.pcap" 2>/dev/null
		trace=$dir/part.pcap
	fi
fi
chmod 755 "$dir"
chmod 644 "$dir"/*.pcap

# command_of NF FILE: how the NF reads FILE
command_of()
{
	case $1 in
	prads) command=(prads -r "$2" -x -l "$dir/log") ;;
	tcpdump) command=(tcpdump -S -n -r "$2") ;;
	p0f) command=(p0f -r "$2" -o "$dir/log") ;;
	softflowd) command=(softflowd -r "$2" -d -n 127.0.0.1:9 -p "$dir/pid" -c none) ;;
	esac
}

# count NF FILE [VAR=VALUE...]: instructions of the NF reading FILE
count()
{
	local nf=$1 file=$2 command
	shift 2
	command_of "$nf" "$file"
	env "$@" valgrind --tool=callgrind --vgdb=no --callgrind-out-file=/dev/null \
		--log-file="$dir/valgrind" "${command[@]}" </dev/null >/dev/null 2>&1
	rm -f "$dir/log"
	sed -n 's/^.*Collected : //p' "$dir/valgrind"
}

# packets NF [VAR=VALUE...]: instructions but for start-up
packets()
{
	local nf=$1
	shift
	echo $(($(count "$nf" "$trace" "$@") - $(count "$nf" "$dir/one.pcap" "$@")))
}

# judge NF WHAT PLAIN COUNT: the difference in percent; noted if it is over the limit
judge()
{
	awk -v nf="$1" -v what="$2" -v a="$3" -v b="$4" -v max="$max" 'BEGIN {
		pct = 100 * (b - a) / a
		printf "%s: %d instructions, %s %d: %+.2f %%\n", nf, a, what, b, pct
		exit !(a > 0) || pct > max }' || failed=1
}

shim=(LD_PRELOAD="$build/shim/libnfshim.so" NFSHIM_DIR="$dir" NFSHIM_NAME=idle NFSHIM_LOG=err)
for nf in "${nfs[@]}"; do
	plain=$(packets "$nf")
	judge "$nf" "with the idle shim" "$plain" "$(packets "$nf" "${shim[@]}")"
	[ "$nf" = prads ] || continue
	NFSHIM_LOG=err "$build/xfer/nfxfer" --name idle --dir "$dir" &
	helper=$!
	judge "$nf" "with nfxfer linked" "$plain" "$(packets "$nf" "${shim[@]}")"
	kill "$helper"
	wait "$helper" || true
	helper=
done
exit $failed
