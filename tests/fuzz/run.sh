#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# run.sh [options] [TARGET...]: fuzz with libFuzzer, one target after the other
#
# Builds the targets of this folder (default: all) with clang, libFuzzer and the
# sanitizers in build-fuzz, starts each from its seeds and the files of
# corpus/TARGET, and prints a table: executions, edges covered, findings.
#
#   --seconds N   of each target (default 600)
#   --out DIR     corpora, findings and logs (default: build-fuzz/fuzz)
#   --list        only list the targets
#
# A finding is a file in DIR/TARGET.findings; 'fuzz_TARGET FILE' of any build runs
# it again. Exit code 0 if there is none, 1 if there is, 2 on bad options.
set -euo pipefail

ROOT=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
# shellcheck source=scripts/lib/common.sh
. "$ROOT/scripts/lib/common.sh"

BUILD=$ROOT/build-fuzz
LONGEST=4096 # bytes of an input
seconds=600 out=$BUILD/fuzz list=false targets=()

all_targets() {
	find "$ROOT/tests/fuzz" -name 'fuzz_*.c' -printf '%f\n' | sed 's/^fuzz_\(.*\)\.c$/\1/' | sort
}

parse_options() {
	while [ $# -gt 0 ]; do
		case $1 in
		--seconds) needs 'a number' "$@" && seconds=$2 && shift ;;
		--out) needs 'a folder' "$@" && out=$2 && shift ;;
		--list) list=true ;;
		-h | --help) print_help && exit 0 ;;
		-*) usage_error "unknown option '$1'" ;;
		*)
			all_targets | grep -qxF -- "$1" || usage_error "there is no target '$1'"
			targets+=("$1")
			;;
		esac
		shift
	done
	[[ $seconds =~ ^[1-9][0-9]*$ ]] || usage_error "--seconds takes a number"
	[ "${#targets[@]}" -gt 0 ] || mapfile -t targets < <(all_targets)
}

build() {
	command -v clang >/dev/null || die "needs clang: apt-get install clang"
	{
		CC=clang CXX=clang++ cmake -S "$ROOT" -B "$BUILD" -DNFSHIM_FUZZ=ON &&
			cmake --build "$BUILD" -j "$(nproc)" --target "${targets[@]/#/fuzz_}" "${targets[@]/#/libfuzz_}"
	} >"$out/build.log" 2>&1 || die "the build failed: see $out/build.log"
}

# The number of that statistic in a target's log, 0 if there is none.
stat_of() { sed -n "s/^stat::$2: *//p" "$1" | tail -n 1 | grep . || echo 0; }
edges_of() { grep -o 'cov: [0-9]*' "$1" | tail -n 1 | grep -o '[0-9]*' || echo 0; }

fuzz() {
	local t=$1 log=$out/$1.log own=$ROOT/tests/fuzz/corpus/$1 from=() found code=0
	mkdir -p "$out/$t" "$out/$t.findings"
	"$BUILD/tests/fuzz/fuzz_$t" --write "$out/$t.seeds"
	[ ! -d "$own" ] || from=("$own")
	"$BUILD/tests/fuzz/libfuzz_$t" -max_total_time="$seconds" -max_len="$LONGEST" -timeout=20 -rss_limit_mb=2048 \
		-print_final_stats=1 -artifact_prefix="$out/$t.findings/" "$out/$t" "$out/$t.seeds" "${from[@]}" \
		>"$log" 2>&1 || code=$?
	found=$(find "$out/$t.findings" -type f | wc -l)
	[ "$code" = 0 ] || [ "$found" -gt 0 ] || die "$t ended with code $code: see $log"
	printf '%-12s %12s %8s %9s\n' "$t" "$(stat_of "$log" number_of_executed_units)" "$(edges_of "$log")" "$found"
	[ "$found" = 0 ] || failed=1
}

parse_options "$@"
if $list; then
	printf '%s\n' "${targets[@]}"
	exit 0
fi
mkdir -p "$out"
build
failed=0
printf '%-12s %12s %8s %9s\n' target executions edges findings
for target in "${targets[@]}"; do
	fuzz "$target"
done
exit "$failed"
