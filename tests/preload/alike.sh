#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# alike.sh PROGRAM LIBRARY LINES [engine]: PROGRAM prints the same, at least LINES lines, with and
# without the idle shim; with 'engine' also when the shim sees each packet (a log of events makes it).
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
rc=0
"$1" </dev/null >"$dir/plain" || rc=$?
[ $rc -ne 77 ] || { cat "$dir/plain"; exit 77; }
[ $rc -eq 0 ]
[ "$(wc -l <"$dir/plain")" -ge "$3" ]
export NFSHIM_DIR=$dir
NFSHIM_NAME=idle LD_PRELOAD=$2 "$1" </dev/null >"$dir/idle"
diff "$dir/plain" "$dir/idle"
[ $# -gt 3 ] || exit 0
NFSHIM_NAME=engine NFSHIM_EVLOG=$dir/ev LD_PRELOAD=$2 "$1" </dev/null >"$dir/engine"
diff "$dir/plain" "$dir/engine"
