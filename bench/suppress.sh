#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What a suppressed output call costs: instructions by callgrind, which are repeatable.
#
#   suppress.sh PROGRAM LIBRARY   fails if a call takes more than its limit
set -euo pipefail
program=$1 library=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

# Formatted calls format all the same, since they return the length: most of theirs is glibc's.
limits=(write 250 send 250 fwrite 250 putc_unlocked 250 fprintf 2000)

# count FUNCTION N: instructions of N suppressed calls and all around them
count()
{
	NFSHIM_OFF=1 LD_PRELOAD=$library valgrind --tool=callgrind --vgdb=no --callgrind-out-file=/dev/null \
		--log-file="$dir/log" "$program" "$1" "$2" >&2
	sed -n 's/^.*Collected : //p' "$dir/log"
}

for ((i = 0; i < ${#limits[@]}; i += 2)); do
	few=$(count "${limits[i]}" 100)
	many=$(count "${limits[i]}" 1100)
	each=$(((many - few) / 1000))
	echo "${limits[i]}: $each instructions, at most ${limits[i + 1]}"
	if [ "$each" -le 0 ] || [ "$each" -gt "${limits[i + 1]}" ]; then
		failed=1
	fi
done
exit $failed
