#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A move between two NFs that read files; no switch. tests/file/roundtrip plays both helpers, or,
# with VIA=nfxfer, two nfxfer carry it and tests/file/play_controller plays the controller.
#
#   roundtrip.sh BUILD NF START% MARK% SLICE [SPACE]      NF: seqhash, seqhash-hosts, prads
#   roundtrip.sh BUILD NF … nothing-moved                 no transfer: the oracle must object
#
# S reads the trace up to MARK%, then what is not of the space; D the rest of the space. The union
# must equal what one instance prints, line for line.
set -euo pipefail
export LC_ALL=C

build=$1 nf=$2 start=$3 mark=$4 slice=$5
space=${6:-net 10.20.0.0/21 or net 2001:db8:20::/61}
mode=${7:-move}
here=$(cd "$(dirname "$0")" && pwd)
trace=${TRACE:-$here/../../../shared/traces/campus800.pcap}
secret=00112233445566778899aabbccddeeff
[ -e "$trace" ] || { echo "skip: no $trace"; exit 77; }

dir=$(mktemp -d)
pids=() helpers=()
cleanup()
{
	for p in "${pids[@]}" "${helpers[@]}"; do kill -9 "$p" 2>/dev/null || true; done
	rm -rf "$dir"
}
trap cleanup EXIT

total=$(tcpdump -nr "$trace" 2>/dev/null | wc -l)
at_start=$((total * start / 100)) at_mark=$((total * mark / 100))
"$build/tests/tools/split_at" "$trace" "$at_mark" "$space" "$dir/s.pcap" "$dir/d.pcap" 7 $secret

# run NAME FILE PAUSE_AT: start the NF under the shim
run()
{
	local name=$1 file=$2 at=$3 args
	case $nf in
	prads)
		env LD_PRELOAD="$build/shim/libnfshim.so" NFSHIM_DIR="$dir" NFSHIM_NAME="$name" \
			NFSHIM_PAUSE_DIR="$dir" NFSHIM_PAUSE_AT="$at" \
			prads -r "$file" -x -l "$dir/$name.log" </dev/null \
			>"$dir/$name.out" 2>"$dir/$name.err" & ;;
	*)
		args=${nf#seqhash}
		# It stands before its first packet while all clones come: too many for calls that count.
		[ "$name" != d ] || args=${args%--input *}
		# shellcheck disable=SC2086
		env LD_PRELOAD="$build/shim/libnfshim.so" NFSHIM_DIR="$dir" NFSHIM_NAME="$name" \
			NFSHIM_PAUSE_DIR="$dir" NFSHIM_PAUSE_AT="$at" NFSHIM_EVLOG="$dir/%n.ev" \
			"$build/tests/nf/seqhash" $args -r "$file" </dev/null \
			>"$dir/$name.out" 2>"$dir/$name.err" & ;;
	esac
	pids+=($!)
}

case $nf in
seqhash-hosts) nf=seqhash--hosts ;;
esac
chmod 755 "$dir"
chmod 644 "$dir"/*.pcap
if [ "$mode" = move ]; then
	touch "$dir/shim.s.at.$at_start" "$dir/shim.s.at.$at_mark" "$dir/shim.d.at.0"
fi
run s "$dir/s.pcap" "$at_start,$at_mark"
run d "$dir/d.pcap" 0
if [ "$mode" = move ]; then
	driver=roundtrip
	if [ "${VIA:-}" = nfxfer ]; then
		driver=play_controller
		for n in s d; do
			NFSHIM_DIR="$dir" "$build/xfer/nfxfer" --name $n --dir "$dir" 2>"$dir/xfer.$n.err" &
			helpers+=($!)
		done
	fi
	"$build/tests/file/$driver" "$dir" s d "$space" "$slice" 7 $secret \
		"$dir/shim.s.at.$at_start" "$dir/shim.s.at.$at_mark" "$dir/shim.d.at.0" ||
		{ cat "$dir"/*.err; exit 1; }
fi
for p in "${pids[@]}"; do wait "$p"; done
pids=()

oracle=$here/../oracle
rc=0
case $nf in
prads)
	prads -r "$trace" -x -l "$dir/ref.log" </dev/null >"$dir/ref.out" 2>/dev/null
	"$oracle/compare_prads.py" "$dir/ref.out" "$dir/s.out" "$dir/d.out" || rc=$?
	"$oracle/compare_prads.py" "$dir/ref.log" "$dir/s.log" "$dir/d.log" || rc=$?
	;;
*)
	# shellcheck disable=SC2086
	NFSHIM_DIR="$dir" NFSHIM_NAME=ref NFSHIM_EVLOG="$dir/%n.ev" LD_PRELOAD="$build/shim/libnfshim.so" \
		"$build/tests/nf/seqhash" ${nf#seqhash} -r "$trace" >"$dir/ref.out" 2>/dev/null
	"$oracle/compare_seqhash.py" "$dir/ref.out" "$dir/s.out" "$dir/d.out" || rc=$?
	"$build/tests/oracle/evcheck" "$dir/ref.ev" "$dir/s.ev" "$dir/d.ev" || rc=$?
	;;
esac
if [ -n "${KEEP:-}" ]; then rm -rf "$KEEP"; cp -r "$dir" "$KEEP"; fi
if [ "$mode" = move ]; then exit $rc; fi
[ $rc -eq 1 ] # nothing moved: the oracle must have objected
