#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# check.sh [options] [PATTERN]: check the models of the protocol with spin
#
# Each line of the table is one exhaustive run of a model with some options: it
# must find no error, or, of the paper's algorithm and of the mutants (mutants.pml),
# it must find one. PATTERN, an extended regular expression, selects lines.
#
#   --full   larger bounds as well
#   --wrong  expect the contrary of every verdict: all must fail (to test this script)
#
# Exit code 0 if all verdicts are as expected, 1 if one is not, 2 on bad options.
# Needs spin and a C compiler.
set -euo pipefail

HERE=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
MOST_MB=3000
MOST_SECONDS=900 # for one run

# Verdict, model, options.
TABLE='
right paper   -DB=4
wrong paper   -DB=4 -DORDER
wrong paper   -DB=1
wrong paper   -DB=1 -DCLEAN
right move
right move    -DB=2
right move    -DF=2 -DN=3
right move    -DLOSSFREE
right move    -DSELECTIVE
right move    -DSTRAGGLERS
right move    -DH=1
right move    -DWITH_ABORT -DMOVES=2 -DN=3
right group   -DN=3
right group   -DN=3 -DB=2
wrong move    -DBUG_GAP_UNSEEN=1
wrong move    -DBUG_BARRIER_IN_GAP=1
wrong move    -DBUG_FIN_BEFORE_MARK=1
wrong move    -DBUG_NO_LINGER=1 -DSTRAGGLERS
wrong move    -DBUG_DROP_UNSAID=1
wrong move    -DBUG_READY_STALE=1
wrong move    -DBUG_DROP_AFTER_PREPARE=1
wrong move    -DBUG_NO_HOLD=1
wrong move    -DBUG_PASS_HELD=1
wrong move    -DBUG_DOWNGRADE_OWN=1 -DH=1
wrong move    -DBUG_NO_MOVE_ID=1 -DWITH_ABORT -DMOVES=2 -DN=3
wrong move    -DBUG_NO_BARRIER=1
wrong move    -DBUG_NO_GRACE=1
wrong move    -DBUG_LATE_ABORT=1
wrong group   -DBUG_RECORD_DIRTY=1 -DN=3
wrong group   -DBUG_GROUP_AFTER=1 -DN=3
wrong group   -DBUG_REEXP_FLOW_ONLY=1 -DN=3
wrong group   -DBUG_REEXP_OLD_IGNORED=1 -DN=3
wrong group   -DBUG_STATE_DROPS=1 -DN=3 -DB=2
'
LARGE='
right move    -DN=6 -DB=2
right move    -DF=2 -DN=4
right move    -DF=2 -DN=3 -DH=1
right move    -DWITH_ABORT -DMOVES=2 -DF=2 -DN=3
right group   -DN=4
right group   -DN=3 -DWITH_ABORT
'

fail() { echo "check.sh: error: $*" >&2 && exit 2; }

other() { [ "$1" = right ] && echo wrong || echo right; }

# spin's verdict, states and seconds; exhaustive, or it is none.
run_spin() {
	local model=$1 dir=$2 out
	shift 2
	cp "$HERE"/*.pml "$dir"
	(cd "$dir" && spin "$@" -a "$model.pml" >spin.out 2>&1) || { cat "$dir/spin.out" >&2 && fail "spin does not take $model.pml"; }
	(cd "$dir" && "${CC:-cc}" -O0 -w -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 -DMEMLIM=$MOST_MB -o pan pan.c) || fail "no C compiler?"
	out=$(cd "$dir" && timeout "$MOST_SECONDS" ./pan -m1000000 -w22 2>&1) || true
	if grep -q 'errors: 0' <<<"$out" && ! grep -Eq 'out of memory|max search depth too small|interrupted|unreached.*truncated' <<<"$out"; then
		echo "right $(awk '/states, stored/ { print $1; exit }' <<<"$out")"
	elif grep -q 'assertion violated\|invalid end state (' <<<"$out"; then
		echo "wrong $(awk '/states, stored/ { print $1; exit }' <<<"$out")"
	else
		echo "unknown 0"
		tail -n 5 <<<"$out" >&2
	fi
}

full=${NFSHIM_FULL:-0} contrary=false pattern=.
while [ $# -gt 0 ]; do
	case $1 in
	--full) full=1 ;;
	--wrong) contrary=true ;;
	-h | --help) sed -n '3,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
	-*) fail "unknown option '$1'" ;;
	*) pattern=$1 ;;
	esac
	shift
done
command -v spin >/dev/null || fail "spin is not installed: apt-get install spin"
[ "$full" != 1 ] || TABLE+=$LARGE
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0 ran=0
printf '%-8s %-8s %10s  %s\n' VERDICT EXPECTED STATES MODEL
while read -r expected model options; do
	if [ -z "$expected" ] || ! grep -Eq -- "$pattern" <<<"$model $options"; then
		continue
	fi
	! $contrary || expected=$(other "$expected")
	# shellcheck disable=SC2086
	read -r verdict states <<<"$(rm -rf "$work/run" && mkdir "$work/run" && run_spin "$model" "$work/run" $options)"
	ran=$((ran + 1))
	[ "$verdict" = "$expected" ] || bad=$((bad + 1))
	printf '%-8s %-8s %10s  %s %s\n' "$verdict" "$expected" "$states" "$model" "$options"
done <<<"$TABLE"
[ $ran -gt 0 ] || fail "no line of the table is like '$pattern'"
echo "$ran runs, $bad not as expected"
[ $bad = 0 ]
