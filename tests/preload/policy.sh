#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# policy.sh PROGRAM LIBRARY NFCTL: what gets out of the window is what the policy says; the trace.
set -euo pipefail

program=$1
library=$2
nfctl=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0
flood=() # arguments of the program

fail() {
	printf 'not so: %s\n' "$*" >&2
	failed=1
}

# run [NAME=VALUE…]: in a fresh folder; what got out is left in $out, and in $served if the shim is not inert
run() {
	rm -rf "$dir/work" "$dir/run"
	mkdir "$dir/work"
	out=$(env NFSHIM_LOG=warn NFSHIM_DIR="$dir/run" NFSHIM_NAME=policied "$@" LD_PRELOAD="$library" \
		"$program" "$dir/work" "${flood[@]}" </dev/null 2>"$dir/err") || fail "the program failed: $(cat "$dir/err")"
	out=${out% }
	served=false
	if [ "${out%% *}" = served ]; then
		served=true out=${out#served} out=${out# }
	fi
}

# says RULES WANT: RULES is what printf makes of it; DIR stands for the folder
says() {
	printf '%b\n' "${1//DIR/$dir/work}" >"$dir/policy"
	run NFSHIM_OUTPUT="$dir/policy"
	[ "$out" = "$2" ] || fail "with '$1': got out: '$out', not '$2'"
	$served || fail "with '$1' the shim is inert"
	[ ! -s "$dir/err" ] || fail "with '$1': $(cat "$dir/err")"
}

refuses() {
	printf '%b' "[kind]\npipe = drop\n$1\n" >"$dir/policy"
	run NFSHIM_OUTPUT="$dir/policy"
	[ "$out" = 'mem pipe' ] || fail "half of '$1' is in force: $out"
	! $served || fail "with half of '$1' the shim can be asked to take part"
	grep -q "error: inert: $dir/policy:$2" "$dir/err" || fail "for '$1' it says: $(cat "$dir/err")"
	"$nfctl" policy "$dir/policy" 2>"$dir/err2" && fail "nfctl takes '$1'"
	grep -q "^nfctl: error: $dir/policy:$2" "$dir/err2" || fail "for '$1' nfctl says: $(cat "$dir/err2")"
}

# ---- what each rule does, and which goes first ----

run
[ "$out" = 'mem pipe' ] || fail "without a policy: '$out'"
says '' 'mem pipe'
says '[kind]\nregular = pass' 'a b c gone mem pipe dump'
says '[kind]\npipe = drop\nmemfd = drop\ninet = pass' 'udp'
says '[kind]\nname = pass' 'mem pipe rename unlink truncate'
says '[path]\nDIR/sub/* = pass' 'b mem pipe unlink'
says '[path]\n*/b.log = drop\nDIR/* = pass' 'a c gone mem pipe dump rename unlink truncate'
says '[path]\nDIR/* = pass\n*/b.log = drop' 'a b c gone mem pipe dump rename unlink truncate'
says '[path]\nDIR/gone = pass\nDIR/r = pass' 'gone mem pipe'
says '[path]\nDIR/r* = pass\nDIR/t = pass' 'mem pipe rename truncate'
says '[path]\n/memfd?m* = drop' 'pipe'
says '[path]\nDIR/* = pass\n[function]\nwrite = drop' 'c dump rename unlink truncate'
says '[function]\nstdio = pass' 'c mem pipe'
says '[function]\nwrite = pass\nfd = drop' 'a b gone mem pipe'
says '[function]\nfd = pass\nwrite = drop' ''
says '[function]\npcap_dump = pass\nsend = pass' 'mem pipe udp dump'
says '[function]\nfile = pass\nrename = drop' 'mem pipe unlink truncate'
"$nfctl" policy >"$dir/default"
says "$(cat "$dir/default")" 'mem pipe'
printf '[kind]\npipe = drop\n[path]\n/x/* = pass\n[function]\nputs = pass\nfd = drop\n' >"$dir/policy"
"$nfctl" policy "$dir/policy" >"$dir/once"
"$nfctl" policy "$dir/once" | cmp - "$dir/once" || fail 'a policy that was printed is another one'
"$nfctl" --json policy "$dir/once" | python3 -c '
import json, sys
p = json.load(sys.stdin)
assert p["ok"] and p["kind"]["pipe"] == "drop" and p["kind"]["memfd"] == "pass", p
assert p["path"] == [{"glob": "/x/*", "verdict": "pass"}] and p["function"] == {"fd": "drop", "puts": "pass"}, p'

# ---- never half a policy ----

refuses 'frob = drop' "3: there is no kind 'frob'; 'nfctl policy' prints"
refuses 'tty = never' "3: 'never' is neither drop nor pass: write"
refuses 'pipe = pass' "3: 'pipe' is there twice: take one out"
refuses '\n[function]\nfrob = pass' "5: 'frob' is neither an output function nor a family"
refuses '[path]\na/* = drop' "4: 'a/\*' matches no path: start it with"
refuses '[paths]\n/a = drop' "4: section \[paths\] is neither \[kind\]"
refuses 'regular' "3: neither '\[section\]' nor 'what = drop'"
refuses "[path]\n/$(printf '%0300d' 0) = drop" '4: the line is longer than'
refuses 'tty\0 = drop' '3: the line has a zero byte'
run NFSHIM_OUTPUT="$dir/missing"
grep -q "error: inert: cannot read the output policy $dir/missing: No such file" "$dir/err" ||
	fail "a missing policy: $(cat "$dir/err")"
! $served || fail 'an inert shim has a socket'

# ---- the trace ----

run NFSHIM_TRACE_DROPS="$dir/trace"
expect() {
	grep -Eqx "$1" "$dir/trace" || fail "the trace has no '$1'"
}
w=$dir/work
expect "write fd [0-9]+ $w/a.log 8 bytes \"line\\\\n\\\\\"1\\\\\"\" packet -"
expect "write fd [0-9]+ $w/sub/b.log 1 bytes \"b\" packet -"
expect "fputs fd [0-9]+ $w/c.log 1 bytes \"c\" packet -"
expect "send fd [0-9]+ socket:\[[0-9]+\] 1 bytes \"u\" packet -"
expect "pcap_dump fd [0-9]+ $w/d.pcap 60 bytes \"(\\\\x00){60}\" packet -"
expect 'rename name r 0 bytes packet -'
expect 'unlink name link/u 0 bytes packet -'
expect 'open name t 0 bytes packet -'
[ "$(wc -l <"$dir/trace")" -eq 9 ] || fail "lines of the trace: $(cat "$dir/trace")"
[ "$(stat -c %a "$dir/trace")" = 600 ] || fail 'others can read the trace'
run NFSHIM_TRACE_DROPS="$dir/trace"
[ "$(wc -l <"$dir/trace")" -eq 18 ] || fail 'a second run does not append to the trace'
run NFSHIM_TRACE_DROPS="$dir/missing/trace"
grep -q "warning: no trace of dropped output: $dir/missing/trace: No such file" "$dir/err" || fail "no trace: $(cat "$dir/err")"
rm "$dir/trace"
flood=(flood)
run NFSHIM_TRACE_DROPS="$dir/trace" NFSHIM_TRACE_MB=1
[ "$(stat -c %s "$dir/trace")" -lt $((1 << 20 | 100)) ] || fail 'the trace grows for ever'
[ "$(tail -n 1 "$dir/trace")" = 'the trace is full: dropped calls are not traced any more' ] || fail 'a full trace does not say so'
[ "$(grep -c . "$dir/trace")" -gt 3000 ] || fail 'the trace is full too early'
exit $failed
