#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# trace_copies.sh BINDIR: copies of a trace are what the tool says they are.
set -euo pipefail

bin=$1
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
space='net 10.20.0.0/21 or net 2001:db8:20::/61'
failed=0

fail() {
	echo "not ok: $*"
	failed=1
}

# value NAME TEXT
value() { sed -n "s/.*\b$1=\([^ ]*\).*/\1/p" <<<"$2"; }

# expect WHAT NAME VALUE TEXT
expect() {
	[ "$(value "$2" "$4")" = "$3" ] || fail "$1: $2 is $(value "$2" "$4"), not $3"
}

# copies FILE N OPTION...: N times the packets and flows, no host shared, good sums, same pods
copies() {
	local in=$1 n=$2 made before after once
	shift 2
	made=$("$bin/trace_copies" --copies "$n" "$@" "$in" "$tmp/out")
	before=$("$bin/trace_check" "$in" "$space")
	after=$("$bin/trace_check" "$tmp/out" "$space")
	once=$(value kept_once "$made")
	expect "$n copies" packets $((n * $(value packets "$before") - (n - 1) * once)) "$after"
	expect "$n copies" hosts $((n * $(value hosts "$before"))) "$after"
	expect "$n copies" flows $((n * $(value flows "$before") - (n - 1) * once)) "$after"
	expect "$n copies" bad_sums 0 "$after"
	expect "$n copies" shared_hosts 0 "$after"
	expect "$n copies" space_packets $((n * $(value space_packets "$before"))) "$after"
	expect "$n copies" space_flows $((n * $(value space_flows "$before"))) "$after"
	expect "$n copies" addresses_again 0 "$made"
}

python3 "$here/make_trace.py" "$tmp/small"
small=$("$bin/trace_check" "$tmp/small" "$space")
expect small flows 42 "$small"
expect small bad_sums 0 "$small"
expect small shared_hosts 0 "$small"
copies "$tmp/small" 1
copies "$tmp/small" 7
copies "$tmp/small" 2 --overlap 0

# A checksum that the tool should keep bad, and the checker must see.
python3 - "$tmp/small" "$tmp/bad" <<'PY'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[-1] ^= 1
open(sys.argv[2], "wb").write(data)
PY
"$bin/trace_copies" --copies 3 "$tmp/bad" "$tmp/out" >/dev/null
expect "bad sum" bad_sums 3 "$("$bin/trace_check" "$tmp/out")"
# Pods that share a host must be seen.
[ "$(value shared_hosts "$("$bin/trace_check" "$tmp/small" 'tcp')")" -gt 0 ] || fail "shared hosts not seen"

# Buckets: shared without the option, none with it; a trace long enough for a rate and a time.
"$bin/trace_copies" --copies 150 "$tmp/small" "$tmp/out" >/dev/null
[ "$(value shared_buckets "$("$bin/trace_check" "$tmp/out")")" -gt 0 ] || fail "no bucket shared in 6,000 flows"
made=$("$bin/trace_copies" --copies 150 --bucket-distinct "$tmp/small" "$tmp/out")
after=$("$bin/trace_check" "$tmp/out" "$space")
expect distinct shared_buckets 0 "$after"
expect distinct bad_sums 0 "$after"
[ "$(value ports_changed "$made")" -gt 0 ] || fail "no port was changed"
made=$("$bin/trace_copies" --seconds 5 --pps 1000 "$tmp/small" "$tmp/out")
[ "$(value packets "$made")" -ge 5000 ] || fail "less than 5 s at 1,000 pps: $made"

# More hosts than a pool has: addresses come again, flows stay distinct.
made=$("$bin/trace_copies" --copies 40 --pool 10.20.0.0/27 --pool 10.20.8.0/27 --pool 198.18.0.0/19 \
	--pool 198.18.32.0/19 "$tmp/small" "$tmp/out")
[ "$(value addresses_again "$made")" -gt 0 ] || fail "no address came again"
expect wrapped bad_sums 0 "$("$bin/trace_check" "$tmp/out")"

"$bin/trace_copies" --copies 2 --pool 192.0.2.0/24 "$tmp/small" "$tmp/out" 2>/dev/null &&
	fail "a trace without hosts in the pools was copied"
"$bin/trace_copies" --copies x "$tmp/small" "$tmp/out" 2>/dev/null && fail "--copies x was taken"

campus=${NFSHIM_SHARED:-$here/../../../shared}/traces/campus800.pcap
if [ -e "$campus" ]; then
	copies "$campus" 10
	made=$("$bin/trace_copies" --seconds 20 --pps 20000 "$campus" "$tmp/out")
	after=$("$bin/trace_check" "$tmp/out" "$space")
	[ "$(value packets "$after")" -ge 400000 ] || fail "20 s at 20,000 pps: $made"
	expect campus bad_sums 0 "$after"
	expect campus shared_hosts 0 "$after"
	expect campus flows "$(value flows "$made")" "$after"
	[ "$(value live_middle "$after")" -ge 1000 ] || fail "less live flows than the original: $after"
fi
[ "$failed" = 0 ] && echo "ok"
exit "$failed"
