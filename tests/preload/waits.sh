#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# waits.sh PROGRAM LIBRARY: what PROGRAM is told about its descriptors is the same under the shim.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
rc=0
"$1" </dev/null >"$dir/plain" || rc=$?
[ $rc -ne 77 ] || { cat "$dir/plain"; exit 77; }
[ $rc -eq 0 ]
NFSHIM_DIR=$dir NFSHIM_NAME=waits LD_PRELOAD=$2 "$1" </dev/null >"$dir/shim"
[ "$(wc -l <"$dir/plain")" -gt 60 ]
diff "$dir/plain" "$dir/shim"
