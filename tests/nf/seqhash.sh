#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# seqhash is a judge, so: it says the same with and without the shim, whichever way it reads; and a
# packet lost, doubled or reordered in a real trace makes the comparisons object.
#
#   seqhash.sh BUILD
set -euo pipefail
export LC_ALL=C
build=$1
here=$(cd "$(dirname "$0")" && pwd)
traces=${TRACES:-$here/../../../shared/traces}
trace=$traces/campus800.pcap
seqhash=$build/tests/nf/seqhash
[ -e "$trace" ] || { echo "skip: no $trace"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
shim=(env LD_PRELOAD="$build/shim/libnfshim.so" NFSHIM_DIR="$dir" NFSHIM_LOG=err)
failed=0

# ok TEXT STATUS WANTED
ok()
{
	if [ "$2" = "$3" ]; then echo "ok $1"; else echo "NOT OK $1: exit $2, not $3"; failed=1; fi
}

# status COMMAND...
status()
{
	local rc=0
	"$@" >/dev/null 2>&1 || rc=$?
	echo "$rc"
}

# edit WHAT: a copy of the trace in which a packet in the middle of its flow is …
edit()
{
	python3 - "$1" "$trace" "$dir/$1.pcap" <<-'PY'
	import struct, sys
	what, src, dst = sys.argv[1:]
	b = open(src, "rb").read()
	packets, at = [], 24
	while at < len(b):
	    end = at + 16 + struct.unpack("<I", b[at + 8:at + 12])[0]
	    packets.append(b[at:end])
	    at = end
	def flow(p):
	    p = p[16:]
	    return p[12:14] == b"\x08\x00" and p[23] in (6, 17) and frozenset((p[26:30] + p[34:36], p[30:34] + p[36:38]))
	i = next(i for i in range(len(packets) // 2, len(packets)) if flow(packets[i]))
	j = next(j for j in range(i + 1, len(packets)) if flow(packets[j]) == flow(packets[i]))
	if what == "lost":
	    del packets[i]
	elif what == "doubled":
	    packets.insert(i, packets[i])
	elif what == "reordered":
	    packets[i], packets[j] = packets[j], packets[i]
	elif what == "changed":
	    packets[i] = packets[i][:-1] + bytes([packets[i][-1] ^ 1])
	elif what == "later":
	    packets = [struct.pack("<I", struct.unpack("<I", p[:4])[0] + 5) + p[4:] for p in packets]
	open(dst, "wb").write(b[:24] + b"".join(packets))
	PY
}

same_everywhere()
{
	local t name way
	for t in "$traces"/*.pcap "$traces"/*.pcapng; do
		name=${t##*/}
		"$seqhash" -r "$t" >"$dir/plain"
		[ -s "$dir/plain" ] || { echo "NOT OK $name: no lines"; failed=1; }
		"$seqhash" -r "$t" --dispatch --line-buffered -o "$dir/dispatch"
		"${shim[@]}" "$seqhash" -r "$t" >"$dir/shim"
		"${shim[@]}" "$seqhash" -r "$t" --dispatch >"$dir/shim.dispatch"
		ok "$name by pcap_dispatch" "$(status cmp "$dir/plain" "$dir/dispatch")" 0
		ok "$name under the shim" "$(status cmp "$dir/plain" "$dir/shim")" 0
		ok "$name under the shim by pcap_dispatch" "$(status cmp "$dir/plain" "$dir/shim.dispatch")" 0
		for way in next next_ex; do
			"${shim[@]}" "$seqhash" -r "$t" --input $way >"$dir/shim.$way"
			ok "$name under the shim by pcap_$way" "$(status cmp "$dir/plain" "$dir/shim.$way")" 0
		done
		"$seqhash" -r "$t" --expire-every-ms 100000 --idle-ms 500 | sort >"$dir/plain"
		"${shim[@]}" "$seqhash" -r "$t" --expire-every-ms 1 --idle-ms 500 | sort >"$dir/shim"
		ok "$name with timers" "$(status cmp "$dir/plain" "$dir/shim")" 0
	done
}

options()
{
	local way
	ok "help" "$(status "$seqhash" --help)" 0
	ok "no input" "$(status "$seqhash")" 2
	ok "two inputs" "$(status "$seqhash" -r "$trace" -i lo)" 2
	ok "no such file" "$(status "$seqhash" -r "$dir/none")" 1
	ok "no such way to read" "$(status "$seqhash" -r "$trace" --input none)" 2
	ok "bad filter" "$(status "$seqhash" -r "$trace" -f "tcp and and")" 1
	for way in "" --dispatch "--input next" "--input next_ex"; do
		# shellcheck disable=SC2086
		ok "-c $way" "$("$seqhash" -r "$trace" -c 1000 $way | wc -l)" 1000
		# shellcheck disable=SC2086
		ok "-f $way" "$("$seqhash" -r "$trace" -f udp $way | grep -vc '^udp ')" 0
	done
}

# A log of events beside the output: FILE NAME
logged()
{
	"${shim[@]}" NFSHIM_EVLOG="$dir/%n.ev" NFSHIM_NAME="$2" "$seqhash" -r "$1" >"$dir/$2.out"
}

bites()
{
	local what want
	logged "$trace" ref
	for what in later lost doubled reordered changed; do
		want=1
		[ "$what" != later ] || want=0
		edit "$what"
		logged "$dir/$what.pcap" "$what"
		ok "$what: lines" "$(status "$here/../oracle/compare_seqhash.py" "$dir/ref.out" "$dir/$what.out")" $want
		ok "$what: events" "$(status "$build/tests/oracle/evcheck" "$dir/ref.ev" "$dir/$what.ev")" $want
	done
}

same_everywhere
options
bites
exit $failed
