#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# emit.sh PROGRAM LIBRARY: in the window nothing gets out, around it everything does.
set -euo pipefail

program=$1
library=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export NFSHIM_OFF=1 LC_ALL=C.UTF-8

mkdir "$dir/plain" "$dir/window" "$dir/control"
"$program" plain "$dir/plain"
LD_PRELOAD=$library "$program" window "$dir/window"
LD_PRELOAD=$library "$program" control "$dir/control"

diff -r --text "$dir/plain" "$dir/window" || {
	echo "the output of the window run is not what it would be without the calls inside"
	exit 1
}
# Each function does put out something when nothing stops it, or the test shows nothing.
for op in $("$program" list); do
	grep -rqaF "inside $op" "$dir/control" || {
		echo "$op puts out nothing at all"
		exit 1
	}
	grep -rqaF "before $op" "$dir/window" || {
		echo "$op: text from before the window is missing"
		exit 1
	}
done
