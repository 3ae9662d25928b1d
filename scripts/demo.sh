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
# With --live nothing is recorded: web servers and clients talk through the
# switch, ids1 and the third one get copies, and no client may notice the moves.
#
#   --trace FILE   replay this one; needs --space, except for campus800.pcap
#                  (default: record one from nginx and some hundred clients)
#   --space SPACE  the flows to move (default: one of the two pods)
#   --pps N        packets per second (default 2000)
#   --live         real clients instead of a trace
#   --clients N    so many (default 300)
#   --seconds N    of their traffic, from 4 to 40 (default 15)
#   --seed N       of the recording and of the moments of the moves (default: drawn)
#   --keep DIR     keep all logs, outputs and the recorded trace in DIR
#   --json         one JSON object on standard output, all else on standard error
#
# Exits 0 only if nothing is missing, extra, doubled or reordered, no packet was
# lost and no client saw an error; 1 if not, also if the machine itself lost
# packets (INVALID with --live); 2 on bad options. All that it starts runs in its
# own namespaces and is gone at the end. Needs root and Debian 12.
set -euo pipefail

ROOT=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
# shellcheck source=scripts/lib/common.sh
. "$ROOT/scripts/lib/common.sh"

PODS='net 10.20.0.0/21 or net 2001:db8:20::/61'
CAMPUS800=a93bcb5c7dae33908447ad4dd2244e7031a3acc8343f73e17091c10ff9d5f442 # sha256
trace='' space='' pps='' seed='' keep='' json=false live=false clients='' seconds=''

parse_options() {
	while [ $# -gt 0 ]; do
		case $1 in
		--trace) needs 'a file' "$@" && trace=$2 && shift ;;
		--space) needs 'a flow space' "$@" && space=$2 && shift ;;
		--pps) needs 'a number' "$@" && pps=$2 && shift ;;
		--live) live=true ;;
		--clients) needs 'a number' "$@" && clients=$2 && shift ;;
		--seconds) needs 'a number' "$@" && seconds=$2 && shift ;;
		--seed) needs 'a number' "$@" && seed=$2 && shift ;;
		--keep) needs 'a directory' "$@" && keep=$2 && shift ;;
		--json) json=true ;;
		-h | --help) print_help && exit 0 ;;
		*) usage_error "unknown argument '$1'" ;;
		esac
		shift
	done
	check_kind
	[[ $pps =~ ^[1-9][0-9]{0,5}$ ]] || usage_error "--pps takes a number from 1 to 999999"
	[[ $clients =~ ^[1-9][0-9]{1,3}$ ]] && ((clients >= 20 && clients <= 1000)) ||
		usage_error "--clients takes a number from 20 to 1000"
	[[ $seconds =~ ^[1-9][0-9]?$ ]] && ((seconds >= 4 && seconds <= 40)) ||
		usage_error "--seconds takes a number from 4 to 40"
	seed=${seed:-$((RANDOM * 32768 + RANDOM))}
	[[ $seed =~ ^[0-9]+$ ]] || usage_error "--seed takes a number"
	[ -z "$trace" ] || [ -r "$trace" ] || usage_error "$trace: no such file, or not readable"
	if [ -n "$trace" ] && [ -z "$space" ] && ! is_campus800 "$trace"; then
		usage_error "which flows of $trace should move? Say --space, for example 'net 10.0.0.0/25'"
	fi
	space=${space:-$PODS}
}

# What is for a trace only, and what for --live only; then the defaults.
check_kind() {
	if $live; then
		[ -z "$trace" ] || usage_error "--live has no --trace"
		[ -z "$pps" ] || usage_error "--live has no --pps: the clients make the rate"
	else
		[ -z "$clients$seconds" ] || usage_error "--clients and --seconds go with --live"
	fi
	pps=${pps:-2000} clients=${clients:-300} seconds=${seconds:-15}
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
options=(--build "$build" --space "$space" --seed "$seed")
if $live; then
	program=demo_live.py
	options+=(--clients "$clients" --seconds "$seconds")
else
	[ -n "$trace" ] || record
	program=demo_run.py
	options+=(--trace "$trace" --pps "$pps")
fi
! $json || options+=(--json)
[ -z "$keep" ] || options+=(--keep "$keep")
status=0
child "${FIRST[@]}" python3 "$ROOT/scripts/lib/$program" "${options[@]}" || status=$?
if [ -n "$keep" ]; then
	cp "$work"/* "$keep"/
fi
exit "$status"
