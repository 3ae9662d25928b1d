#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# demo.sh [options]: a live move between two stock PRADS, shown and judged
#
# Installs what is missing (apt-get), builds in build-demo, sets up a lab of
# network namespaces with two PRADS (ids1, ids2) and a third one that sees all
# traffic and never moves, replays a trace at ids1, moves the flows of a space
# to ids2 while the traffic runs, moves them back, and compares what the two
# printed together with what the third one printed.
#
#   --trace FILE   replay this one; needs --space, except for campus800.pcap
#                  (default: record one from nginx and some hundred clients)
#   --space SPACE  the flows to move (default: one of the two pods)
#   --pps N        packets per second (default 2000)
#   --seed N       of the recording and of the moments of the moves (default: drawn)
#   --keep DIR     keep all logs, outputs and the recorded trace in DIR
#   --json         one JSON object on standard output, all else on standard error
#
# Exits 0 only if nothing is missing, extra, doubled or reordered and no packet
# was lost; 1 if something is; 2 on bad options. All that it starts runs in its
# own namespaces and is gone at the end. Needs root and Debian 12.
set -euo pipefail

ROOT=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
# shellcheck source=scripts/lib/common.sh
. "$ROOT/scripts/lib/common.sh"

PODS='net 10.20.0.0/21 or net 2001:db8:20::/61'
CAMPUS800=a93bcb5c7dae33908447ad4dd2244e7031a3acc8343f73e17091c10ff9d5f442 # sha256
trace='' space='' pps=2000 seed='' keep='' json=false

parse_options() {
	while [ $# -gt 0 ]; do
		case $1 in
		--trace) needs 'a file' "$@" && trace=$2 && shift ;;
		--space) needs 'a flow space' "$@" && space=$2 && shift ;;
		--pps) needs 'a number' "$@" && pps=$2 && shift ;;
		--seed) needs 'a number' "$@" && seed=$2 && shift ;;
		--keep) needs 'a directory' "$@" && keep=$2 && shift ;;
		--json) json=true ;;
		-h | --help) print_help && exit 0 ;;
		*) usage_error "unknown argument '$1'" ;;
		esac
		shift
	done
	[[ $pps =~ ^[1-9][0-9]{0,5}$ ]] || usage_error "--pps takes a number from 1 to 999999"
	seed=${seed:-$((RANDOM * 32768 + RANDOM))}
	[[ $seed =~ ^[0-9]+$ ]] || usage_error "--seed takes a number"
	[ -z "$trace" ] || [ -r "$trace" ] || usage_error "$trace: no such file, or not readable"
	if [ -n "$trace" ] && [ -z "$space" ] && ! is_campus800 "$trace"; then
		usage_error "which flows of $trace should move? Say --space, for example 'net 10.0.0.0/25'"
	fi
	space=${space:-$PODS}
}

# child COMMAND...: in the background, so that a signal does not wait for its end.
child() {
	local status=0
	"$@" &
	running=$!
	wait "$running" || status=$?
	running=''
	return "$status"
}
stop() {
	trap '' INT TERM HUP
	if [ -n "$running" ]; then
		kill -TERM "$running" 2>/dev/null || true
		wait "$running" || true
	fi
	exit 130
}

is_campus800() { [ "$(sha256sum <"$1")" = "$CAMPUS800  -" ]; }

step() { printf '%s%s%s %s\n' "$bold" "$1" "$plain" "$2" >&2; }

# clock COMMAND...: on a terminal, show that it goes on.
clock() {
	local status=0
	if [ -z "$bold" ]; then
		"$@"
		return
	fi
	(for ((s = 1; ; s++)); do sleep 1 && printf '\r\e[K          %d s' "$s" >&2; done) &
	ticks=$!
	"$@" || status=$?
	stop_clock
	return "$status"
}
stop_clock() {
	[ -n "$ticks" ] || return 0
	kill "$ticks" 2>/dev/null || true
	wait "$ticks" 2>/dev/null || true
	ticks=''
	printf '\r\e[K' >&2
}

install_and_build() {
	step 'packages ' 'what is missing comes from apt-get'
	clock install_packages "$work/apt.log" "${DEMO_PACKAGES[@]}"
	step 'build    ' "$build"
	clock build_tree "$build" "$work/build.log" "nfshim nfxfer nfctrld nfctl evcheck" -DCMAKE_BUILD_TYPE=Release
	if [ -n "${SUDO_UID:-}" ] && [ -n "${SUDO_GID:-}" ]; then
		chown -R "$SUDO_UID:$SUDO_GID" "$build"
	fi
}

record() {
	step 'trace    ' 'recording from nginx, a name server and some hundred clients (6 s)'
	clock child "$ROOT/scripts/lib/record.sh" "$work/recorded.pcap" "$seed" >&2
	trace=$work/recorded.pcap
}

parse_options "$@"
need_root
bold='' plain=''
if [ -t 2 ]; then
	bold=$'\e[1m' plain=$'\e[0m'
fi
build=$ROOT/build-demo
work=$(mktemp -d)
running='' ticks=''
trap 'stop_clock; rm -rf "$work"' EXIT
trap stop INT TERM HUP
if [ -n "$keep" ]; then
	mkdir -p "$keep"
	keep=$(cd "$keep" && pwd)
fi

install_and_build
[ -n "$trace" ] || record
options=(--build "$build" --trace "$trace" --space "$space" --pps "$pps" --seed "$seed")
! $json || options+=(--json)
[ -z "$keep" ] || options+=(--keep "$keep")
status=0
child "${FIRST[@]}" python3 "$ROOT/scripts/lib/demo_run.py" "${options[@]}" || status=$?
if [ -n "$keep" ]; then
	cp "$work"/* "$keep"/
fi
exit "$status"
