#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Moves between two seqhash whose timers fire all the time and end flows, before, in and after the
# move: no flow may end at the source once it is exported, nor twice, nor half-way at the destination.
#
#   sweep.sh BUILD START% MARK% SLICE IDLE_MS
set -euo pipefail
build=$1 start=$2 mark=$3 slice=$4 idle=$5
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
rc=0

# Its evcheck cannot know that flows end; ours is told. A move that failed leaves no outputs.
KEEP="$dir/out" "$here/../file/roundtrip.sh" "$build" "seqhash--expire-every-ms 1 --idle-ms $idle" \
	"$start" "$mark" "$slice" >"$dir/log" 2>&1 || rc=$?
[ $rc -ne 77 ] || { cat "$dir/log"; exit 77; }
[ -d "$dir/out" ] || { cat "$dir/log"; exit 1; }
cd "$dir/out"
grep -q ' expired ' ref.out || { echo "no flow ended"; exit 1; }
"$here/../oracle/compare_seqhash.py" ref.out s.out d.out
"$build/tests/oracle/evcheck" --expiring ref.ev s.ev d.ev
