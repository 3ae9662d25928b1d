#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What the idle shim costs: instructions of stock PRADS over a trace, with and without it.
#
#   idle.sh BUILD [TRACE] [MAX%]      fails if the shim adds more than MAX (default 2)
#
# Start-up cancels out: each way runs over the whole trace and over its first packet, and the
# difference counts.
set -euo pipefail
build=$1
trace=${2:-$(dirname "$0")/../../shared/traces/campus800.pcap}
max=${3:-2}
[ -e "$trace" ] || { echo "skip: no $trace"; exit 77; }
dir=$(mktemp -d)
helper=
trap '[ -z "$helper" ] || kill "$helper"; rm -rf "$dir"' EXIT
tcpdump -nr "$trace" -c 1 -w "$dir/one.pcap" 2>/dev/null
chmod 755 "$dir"
chmod 644 "$dir/one.pcap"

# count FILE [VAR=VALUE...]: instructions of PRADS reading FILE
count()
{
	local file=$1
	shift
	env "$@" valgrind --tool=callgrind --callgrind-out-file="$dir/cg" \
		prads -r "$file" -x -l "$dir/log" </dev/null >/dev/null 2>"$dir/err"
	rm -f "$dir/log"
	sed -n 's/^.*Collected : //p' "$dir/err"
}

# judge WHAT COUNT: the difference in percent; fails if it is over the limit
judge()
{
	awk -v a="$plain" -v b="$2" -v what="$1" -v max="$max" 'BEGIN {
		pct = 100 * (b - a) / a
		printf "prads: %d instructions, %s %d: %+.2f %%\n", a, what, b, pct
		exit pct > max }'
}

shim=(LD_PRELOAD="$build/shim/libnfshim.so" NFSHIM_DIR="$dir" NFSHIM_NAME=idle NFSHIM_LOG=err)
plain=$(($(count "$trace") - $(count "$dir/one.pcap")))
judge "with the idle shim" $(($(count "$trace" "${shim[@]}") - $(count "$dir/one.pcap" "${shim[@]}")))
NFSHIM_LOG=err "$build/xfer/nfxfer" --name idle --dir "$dir" &
helper=$!
judge "with nfxfer linked" $(($(count "$trace" "${shim[@]}") - $(count "$dir/one.pcap" "${shim[@]}")))
