#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test.sh [options] [PATTERN]: build, and pass all tests
#
# Installs what is missing (apt-get), builds twice with -Werror (build: as
# released; build-test: with the pause points of the fault tests), runs the
# tests of both by ctest and then those of tests/netns, in namespaces of their
# own. PATTERN, an extended regular expression, selects by name.
#
#   --full      the full counts of runs; without it the namespace tests sample
#   --seed N    what they draw is drawn from this (default: drawn, and printed)
#   --list      only list the tests
#   --no-build  as it is built
#
# The last line is 'N passed, N failed, N skipped'. Exit code 0 if none failed,
# 1 if one did, 2 on bad options. Needs root and Debian 12.
set -euo pipefail

ROOT=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
# shellcheck source=scripts/lib/common.sh
. "$ROOT/scripts/lib/common.sh"

TEST_SECONDS=3600 # of one namespace test, then it is ended
FULL_SECONDS=14400
# What pause points make no difference to runs once, without --full.
SAME='^(unit/|preload_|oracle|fuzz/|trace_copies|nfrun|shellcheck|netns_setup|veth_bridge|xfer-'
SAME+='|nf\.seqhash$|file\.prads-adapter\.|ctrl\.(routes|nft)$)'
full=false seed='' list=false build=true pattern=''
release=$ROOT/build paused=$ROOT/build-test

parse_options() {
	while [ $# -gt 0 ]; do
		case $1 in
		--full) full=true ;;
		--seed) needs 'a number' "$@" && seed=$2 && shift ;;
		--list) list=true ;;
		--no-build) build=false ;;
		-h | --help) print_help && exit 0 ;;
		-*) usage_error "unknown option '$1'" ;;
		*)
			[ -z "$pattern" ] || usage_error "one PATTERN only"
			pattern=$1
			;;
		esac
		shift
	done
	seed=${seed:-$((RANDOM * 32768 + RANDOM))}
	[[ $seed =~ ^[0-9]+$ ]] || usage_error "--seed takes a number"
}

build_both() {
	install_packages "$work/apt.log" "${TEST_PACKAGES[@]}"
	note "building $release"
	build_tree "$release" "$work/build.log" all -DNFSHIM_WERROR=ON
	note "building $paused"
	build_tree "$paused" "$work/build-test.log" all -DNFSHIM_WERROR=ON -DNFSHIM_PAUSE=ON
}

# Every test that has run: 'ok|not ok|skip', seconds, name, why; separated by tabs.
record() { printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "${4:-}" >>"$results"; }

# ---- ctest ----

# ctest's own report, read back: one record a test.
read_junit() {
	python3 - "$1" "$2" <<'PY'
import sys
import xml.etree.ElementTree as tree

for case in tree.parse(sys.argv[1]).getroot().iter("testcase"):
    status = case.get("status", "")
    failed = case.find("failure") is not None or status == "fail"
    skipped = case.find("skipped") is not None or status in ("notrun", "disabled")
    verdict = "not ok" if failed else "skip" if skipped else "ok"
    lines = (case.findtext("system-out") or "").strip().splitlines()
    why = ""
    if failed:
        why = " | ".join(lines[-3:])[:300] or "see the output"
    elif skipped:
        why = lines[-1][:300] if lines else "not run"
    print("%s\t%.1f\t%s/%s\t%s" % (verdict, float(case.get("time") or 0), sys.argv[2], case.get("name"), why))
PY
}

run_ctest() {
	local dir=$1 name=$2 xml=$work/$2.xml select=()
	[ -z "$pattern" ] || select=(-R "$pattern")
	[ -z "${3:-}" ] || $full || [ -n "$pattern" ] || select+=(-E "$3")
	note "ctest in $dir"
	CK_TIMEOUT_MULTIPLIER=10 ctest --test-dir "$dir" -j "$(nproc)" --output-on-failure --timeout 600 "${select[@]}" \
		--output-junit "$xml" >"$work/$name.ctest.log" 2>&1 || tail -n 60 "$work/$name.ctest.log" >&2
	if [ -s "$xml" ]; then
		read_junit "$xml" "$name" >>"$results"
	elif ! grep -q 'No tests were found' "$work/$name.ctest.log"; then
		record 'not ok' 0 "$name/ctest" "ctest gave no report: $(tail -n 1 "$work/$name.ctest.log")"
	fi
}

# Of each move between files only one way to carry it, drawn by the seed, without --full: a pattern of the others.
other_ways() {
	local name i=0
	ctest --test-dir "$1" -N | sed -n 's/^ *Test *#[0-9]*: \(file\..*\)\.nfxfer$/\1/p' | while read -r name; do
		name=${name//./\\.}
		if ((seed >> i++ % 15 & 1)); then
			printf '|^%s$' "$name"
		else
			printf '|^%s\\.nfxfer$' "$name"
		fi
	done
}

# ---- tests in namespaces ----

netns_tests() {
	find "$ROOT/tests/netns" -maxdepth 1 -type f -perm -u+x -printf '%f\n' 2>/dev/null | sort |
		{ grep -E -- "${pattern:-.}" || true; }
}

# Each prints 'ok NAME', 'not ok NAME: why' or 'skip NAME: why' for every case.
read_cases() {
	local script=$1 log=$2 seconds=$3 line verdict name
	while IFS= read -r line; do
		case $line in
		'not ok '*) verdict='not ok' line=${line#not ok } ;;
		'ok '*) verdict='ok' line=${line#ok } ;;
		'skip '*) verdict='skip' line=${line#skip } ;;
		*) continue ;;
		esac
		name=${line%%: *}
		record "$verdict" "$seconds" "netns/${script%.*}: $name" "$([[ $line != *": "* ]] || echo "${line#*: }")"
		seconds='-'
	done <"$log"
}

run_netns_test() {
	local script=$1 log=$work/netns-$1.log begin=$SECONDS code=0 options=(--seed "$seed") before seconds=$TEST_SECONDS
	if $full; then
		options+=(--full) seconds=$FULL_SECONDS
	fi
	before=$(wc -l <"$results")
	note "$script"
	NFSHIM_BUILD=$release NFSHIM_BUILD_TEST=$paused \
		"${FIRST[@]}" timeout --kill-after=30 "$seconds" "$ROOT/tests/netns/$script" "${options[@]}" \
		>"$log" 2>"$log.err" </dev/null || code=$?
	read_cases "$script" "$log" "$((SECONDS - begin))"
	if [ "$code" != 0 ] && ! tail -n "+$((before + 1))" "$results" | grep -q '^not ok'; then
		record 'not ok' "$((SECONDS - begin))" "netns/${script%.*}" "exit code $code: $(tail -n 1 "$log.err")"
	elif [ "$(wc -l <"$results")" = "$before" ]; then
		record 'not ok' "$((SECONDS - begin))" "netns/${script%.*}" "said nothing"
	fi
	[ "$code" = 0 ] || tail -n 20 "$log.err" >&2
}

# ---- the end ----

count() { grep -c "^$1	" "$results" || true; }

table() {
	awk -F '\t' '{ printf "%-7s %7s  %s%s\n", $1, $2, $3, $4 == "" ? "" : ": " $4 }' "$results"
}

parse_options "$@"
if $list; then
	for dir in "$release" "$paused"; do
		[ ! -d "$dir" ] || ctest --test-dir "$dir" -N ${pattern:+-R "$pattern"} |
			sed -n "s|^ *Test *#[0-9]*: |${dir##*/}/|p"
	done
	netns_tests | sed 's|^|netns/|'
	exit 0
fi
need_root
work=$(mktemp -d)
results=$work/results
touch "$results"
keep_logs() {
	if [ -e "$work/failed" ]; then
		note "logs are in $work"
	else
		rm -rf "$work"
	fi
}
trap keep_logs EXIT
trap 'touch "$work/failed"; exit 130' INT TERM HUP

! $build || build_both
note "seed $seed"
export NFSHIM_SEED=$seed NFSHIM_FULL
NFSHIM_FULL=$($full && echo 1 || echo 0)
run_ctest "$release" build
run_ctest "$paused" build-test "$SAME$(other_ways "$paused")"
for script in $(netns_tests); do
	run_netns_test "$script"
done
if [ -n "${SUDO_UID:-}" ] && [ -n "${SUDO_GID:-}" ]; then
	chown -R "$SUDO_UID:$SUDO_GID" "$release" "$paused"
fi
table
failed=$(count 'not ok')
[ "$failed" = 0 ] || touch "$work/failed"
[ -s "$results" ] || { note "no test has that name" && exit 2; }
echo "seed $seed"
echo "$(count ok) passed, $failed failed, $(count skip) skipped"
[ "$failed" = 0 ]
