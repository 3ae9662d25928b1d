# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# What every script here needs: messages, waiting, packages. Sourced.

note() { printf '%s\n' "$*" >&2; }
die() {
	note "${0##*/}: $*"
	exit 1
}
usage_error() {
	note "${0##*/}: $* (see --help)"
	exit 2
}
# needs WHAT OPTION [VALUE...]: an option without its value is wrong usage.
needs() { [ -n "${3:-}" ] || usage_error "$2 needs $1"; }

# The comment block on top of the script is its help text.
print_help() {
	sed -n -e '1,2d' -e '/^#/!q' -e 's/^# \{0,1\}//p' "$0"
}

need_root() {
	[ "$(id -u)" -eq 0 ] || die "network namespaces and packages need root: run it with sudo"
}

# wait_until SECONDS COMMAND...: poll until the command succeeds.
wait_until() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.02
	done
}

# Is the process there, and not a zombie? (Process 1 does not reap everywhere.)
alive() {
	local state
	state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 1
	[ -n "$state" ] && [ "$state" != Z ] && [ "$state" != X ]
}
gone() { ! alive "$1"; }

# stop_pid SIGNAL SECONDS PID: one signal, then SIGKILL when the time is over (returns 1).
stop_pid() {
	alive "$3" || return 0
	kill "-$1" "$3" 2>/dev/null || return 0
	wait_until "$2" gone "$3" && return 0
	kill -KILL "$3" 2>/dev/null || true
	return 1
}

# Before other work of the machine, as a prefix: a capture ring holds a fraction of a second.
FIRST=(chrt -r 5)
"${FIRST[@]}" true 2>/dev/null || FIRST=(nice -n -10)

# ---- packages -------------------------------------------------------------

missing_packages() {
	local p
	for p in "$@"; do
		dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed || echo "$p"
	done
}

apt_lists_are_old() {
	[ -z "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mtime -7 -print -quit 2>/dev/null)" ]
}

# Debian starts services on install; a policy of 101 forbids it. What was there comes back.
policy_guard_on() {
	policy_kept=
	if [ -e /usr/sbin/policy-rc.d ]; then
		policy_kept=$(mktemp /usr/sbin/policy-rc.d.kept.XXXXXX)
		mv /usr/sbin/policy-rc.d "$policy_kept"
	fi
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod 755 /usr/sbin/policy-rc.d
}
policy_guard_off() {
	rm -f /usr/sbin/policy-rc.d
	if [ -n "$policy_kept" ]; then
		mv "$policy_kept" /usr/sbin/policy-rc.d
	fi
}

apt_install_once() (
	export DEBIAN_FRONTEND=noninteractive
	trap policy_guard_off EXIT
	trap 'exit 130' INT TERM
	policy_guard_on
	if apt_lists_are_old; then
		apt-get -q update || exit 1
	fi
	apt-get -q install -y --no-install-recommends "$@" && exit 0
	apt-get -q update && apt-get -q install -y --no-install-recommends "$@"
)

# install_packages LOG PACKAGE...: only what is missing; the output goes to LOG.
install_packages() {
	local log=$1 missing
	shift
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	note "installing: ${missing//$'\n'/ }"
	# shellcheck disable=SC2086 # one word per package
	if ! apt_install_once $missing >"$log" 2>&1; then
		tail -n 15 "$log" >&2
		die "apt-get could not install what is needed (all of it: $log)"
	fi
}

BUILD_PACKAGES=(cmake ninja-build gcc g++ libc6-dev pkg-config libpcap-dev libprotobuf-c-dev
	protobuf-c-compiler uthash-dev libjansson-dev libinih-dev libnftables-dev check)
LAB_PACKAGES=(iproute2 ethtool nftables tcpreplay tcpdump prads procps python3)
# shellcheck disable=SC2034 # for those who source this
TEST_PACKAGES=("${BUILD_PACKAGES[@]}" "${LAB_PACKAGES[@]}" valgrind strace binutils
	gdb p0f softflowd ngrep darkstat libndpi-bin argus-server spin)
# shellcheck disable=SC2034
DEMO_PACKAGES=("${BUILD_PACKAGES[@]}" "${LAB_PACKAGES[@]}" nginx-light)

# build_tree BUILDDIR LOG "TARGET..." CMAKE-OPTION...
build_tree() {
	local dir=$1 log=$2 targets
	read -r -a targets <<<"$3"
	shift 3
	if ! cmake -S "$ROOT" -B "$dir" -G Ninja "$@" >"$log" 2>&1 ||
		! cmake --build "$dir" -j "$(nproc)" --target "${targets[@]}" >>"$log" 2>&1; then
		tail -n 30 "$log" >&2
		die "the build in $dir failed (all of it: $log)"
	fi
}
