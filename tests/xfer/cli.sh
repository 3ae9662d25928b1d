#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# nfxfer's options, its errors, and a clean stop. Usage: cli.sh PATH-TO-NFXFER
set -euo pipefail

nfxfer=$1
dir=$(mktemp -d /tmp/nfxfer-cli.XXXXXX)
pid=
cleanup() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null || true
	rm -rf "$dir"
}
trap cleanup EXIT

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

# expect CODE TEXT ARGUMENTS…: exit code, and a text in the output
expect() {
	local code=$1 text=$2 rc=0
	shift 2
	"$nfxfer" "$@" >"$dir/out" 2>&1 || rc=$?
	[ "$rc" = "$code" ] || fail "nfxfer $*: exit code $rc, not $code: $(cat "$dir/out")"
	grep -q -e "$text" "$dir/out" || fail "nfxfer $*: '$text' not in: $(cat "$dir/out")"
}

expect 0 '^Usage: nfxfer' --help
expect 0 '^nfxfer [0-9]' --version
expect 2 '--name'
expect 2 '--name' --name 'a/b'
expect 2 'unrecognized' --name a --frob
expect 2 'not an option' --name a b
expect 2 'inject-dev' --name a --inject-netns x
expect 1 'No such device' --name a --dir "$dir" --inject-dev nothing0
expect 1 'No such file' --name a --dir "$dir" --inject-dev lo --inject-netns no-such-namespace
expect 1 'numbers' --name a --dir "$dir" --listen localhost
expect 1 'one address' --name a --dir "$dir" --listen 0.0.0.0:0
expect 1 'one address' --name a --dir "$dir" --listen '[::]:0'
expect 1 '192.0.2.1' --name a --dir "$dir" --listen 192.0.2.1:0
expect 1 'too long' --name a --dir "/$(printf '%0200d' 0)"

# without NF and controller: says so once, waits, stops cleanly
"$nfxfer" --name a --dir "$dir" >"$dir/out" 2>&1 &
pid=$!
for _ in $(seq 200); do
	[ "$(grep -c 'trying again' "$dir/out")" -ge 2 ] && break
	sleep 0.05
done
sleep 0.5
[ "$(grep -c 'trying again' "$dir/out")" = 2 ] || fail "not once each: $(cat "$dir/out")"
kill -TERM "$pid"
rc=0
wait "$pid" || rc=$?
pid=
[ "$rc" = 0 ] || fail "exit code $rc after SIGTERM"
