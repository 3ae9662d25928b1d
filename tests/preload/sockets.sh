#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# sockets.sh PROGRAM LIBRARY: what PROGRAM is told by its packet sockets is the same under the shim,
# also when the shim sees each packet (a log of events makes it).
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
rc=0
"$1" </dev/null >"$dir/plain" || rc=$?
[ $rc -ne 77 ] || { cat "$dir/plain"; exit 77; }
[ $rc -eq 0 ]
[ "$(wc -l <"$dir/plain")" -gt 400 ]
export NFSHIM_DIR=$dir LD_PRELOAD=$2
NFSHIM_NAME=idle "$1" </dev/null >"$dir/idle"
NFSHIM_NAME=engine NFSHIM_EVLOG=$dir/ev "$1" </dev/null >"$dir/engine"
unset LD_PRELOAD
diff "$dir/plain" "$dir/idle"
diff "$dir/plain" "$dir/engine"
