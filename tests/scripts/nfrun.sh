#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# nfrun.sh LIB CC CXX: nfrun starts what LD_PRELOAD reaches and refuses the rest with the reason.
set -euo pipefail

lib=$1 cc=$2 cxx=$3
nfrun=$(cd "$(dirname "$0")/../../scripts" && pwd)/nfrun
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
failed=0

fail() {
	echo "not ok: $*"
	failed=1
}

# refused WORDS COMMAND...: exit code 3, and the reason has the words
refused() {
	local words=$1 out code=0
	shift
	out=$("$@" 2>&1) || code=$?
	if [ "$code" != 3 ] || [[ $out != *"$words"* ]]; then
		fail "$words: exit code $code, said: $out"
	fi
}
# usage COMMAND...: exit code 2
usage() {
	local code=0
	"$@" >/dev/null 2>&1 || code=$?
	[ "$code" = 2 ] || fail "exit code $code, not 2: $*"
}

run() { "$nfrun" --dir "$tmp" --lib "$lib" "$@"; }

cat >"$tmp/nf.c" <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	char line[512];
	FILE *f = fopen("/proc/self/maps", "r");
	int mapped = 0;

	while (f && fgets(line, sizeof(line), f))
		mapped |= strstr(line, "libnfshim") != NULL;
	printf("pid=%d mapped=%d name=%s dir=%s evlog=%s args=%d\n", (int)getpid(), mapped,
	       getenv("NFSHIM_NAME"), getenv("NFSHIM_DIR"),
	       getenv("NFSHIM_EVLOG") ? getenv("NFSHIM_EVLOG") : "none", argc);
	return argc > 1 ? atoi(argv[1]) : 0;
}
C
"$cc" -o "$tmp/nf" "$tmp/nf.c"

# What can be started is started in place, with everything that it needs.
code=0
(
	echo "pid=$BASHPID"
	exec "$nfrun" ids1 --dir "$tmp" --lib "$lib" --evlog "$tmp/ev" -- "$tmp/nf" 7 'a b'
) >"$tmp/out" 2>"$tmp/err" || code=$?
[ "$code" = 7 ] || fail "the exit code of the NF is $code, not 7"
expected="$(head -n 1 "$tmp/out") mapped=1 name=ids1 dir=$tmp evlog=$tmp/ev args=3"
[ "$(tail -n 1 "$tmp/out")" = "$expected" ] || fail "the NF said '$(tail -n 1 "$tmp/out")', not '$expected'"
[ ! -s "$tmp/err" ] || fail "messages: $(cat "$tmp/err")"
run ids1 --check -- "$tmp/nf" >"$tmp/out" || fail "--check refuses a plain program"
run ids1 --check -- "$(command -v bash)" || fail "a large program is refused"
[ ! -s "$tmp/out" ] || fail "--check started the program"

# Refusals.
refused "not found" run ids1 -- "$tmp/absent"
printf '#!/usr/bin/env python3\nprint("hello")\n' >"$tmp/script"
chmod 755 "$tmp/script"
refused "/usr/bin/env python3" run ids1 -- "$tmp/script"
printf 'no program\n' >"$tmp/text"
chmod 755 "$tmp/text"
refused "neither a program" run ids1 -- "$tmp/text"
"$cc" -static -o "$tmp/static" "$tmp/nf.c"
refused "statically linked" run ids1 -- "$tmp/static"
"$cc" -static-pie -fPIE -o "$tmp/static-pie" "$tmp/nf.c" &&
	refused "statically linked" run ids1 -- "$tmp/static-pie"
cat >"$tmp/go.c" <<'C'
__attribute__((section(".go.buildinfo"), used)) static const char info[32] = "\xff Go buildinf:";
int main(void) { return 0; }
C
"$cc" -o "$tmp/go" "$tmp/go.c"
refused "Go program" run ids1 -- "$tmp/go"
# Words of Go inside the data of a C program are no reason.
printf 'int main(void) { static const char *volatile s = ".go.buildinfo"; return !s; }\n' >"$tmp/c.c"
"$cc" -o "$tmp/c" "$tmp/c.c"
run ids1 -- "$tmp/c" 2>/dev/null || fail "a program that mentions Go is refused"
# C++ file streams out of the shim's reach are warned of, others are not.
cat >"$tmp/streams.cc" <<'CXX'
#include <fstream>
int main() { std::ofstream("/dev/null") << 1; }
CXX
"$cxx" -o "$tmp/streams" "$tmp/streams.cc"
run ids1 --check -- "$tmp/streams" 2>"$tmp/err" || fail "a C++ program is refused"
[ ! -s "$tmp/err" ] || fail "a C++ program is warned of: $(cat "$tmp/err")"
"$cxx" -static-libstdc++ -o "$tmp/streams" "$tmp/streams.cc"
run ids1 --check -- "$tmp/streams" 2>"$tmp/err" || fail "a C++ program with libstdc++ in it is refused"
grep -q 'warning: .* has libstdc++ linked in' "$tmp/err" || fail "no warning of libstdc++ inside: $(cat "$tmp/err")"
cp "$tmp/nf" "$tmp/llvm"
printf 'libc++.so.1' >>"$tmp/llvm"
run ids1 --check -- "$tmp/llvm" 2>"$tmp/err" || fail "a program with another C++ library is refused"
grep -q "warning: .* LLVM's libc++" "$tmp/err" || fail "no warning of another C++ library: $(cat "$tmp/err")"
cp "$tmp/nf" "$tmp/other"
printf '\x08\x00' | dd of="$tmp/other" bs=1 seek=18 conv=notrunc status=none # EM_MIPS
refused "another architecture" run ids1 -- "$tmp/other"
"$cc" -Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1 -o "$tmp/musl" "$tmp/nf.c"
refused "GNU C library" run ids1 -- "$tmp/musl"
refused "no such file" "$nfrun" ids1 --lib "$tmp/absent.so" -- "$tmp/nf"
usage run -- "$tmp/nf"
usage run ids1
usage run ids1 --bogus -- "$tmp/nf"
usage run ../ids1 -- "$tmp/nf"
usage run .ids1 -- "$tmp/nf"

if [ "$(id -u)" = 0 ]; then
	cp "$tmp/nf" "$tmp/suid"
	chown nobody "$tmp/suid" && chmod 4755 "$tmp/suid"
	refused "setuid" run ids1 -- "$tmp/suid"
	cp "$tmp/nf" "$tmp/sgid"
	chgrp nogroup "$tmp/sgid" && chmod 2755 "$tmp/sgid"
	refused "setgid" run ids1 -- "$tmp/sgid"
	chown root "$tmp/suid" && chmod 4755 "$tmp/suid" # root's own: LD_PRELOAD works for root
	run ids1 -- "$tmp/suid" >/dev/null || fail "root cannot start a program that is setuid root"
	as_nobody=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
	if [ -r "$lib" ] && "${as_nobody[@]}" test -r "$lib" -a -x "$nfrun"; then
		refused "setuid" "${as_nobody[@]}" "$nfrun" ids1 --dir "$tmp" --lib "$lib" -- "$tmp/suid"
		cp "$tmp/nf" "$tmp/caps"
		# CAP_NET_RAW, permitted and effective: what setcap would write (VFS_CAP_REVISION_2)
		python3 -c 'import os, struct, sys
os.setxattr(sys.argv[1], "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0))' "$tmp/caps"
		run ids1 --check -- "$tmp/caps" || fail "file capabilities are refused for root"
		refused "file capabilities" "${as_nobody[@]}" "$nfrun" ids1 --lib "$lib" --dir "$tmp" -- "$tmp/caps"
	fi
	refused "no network namespace" run ids1 --netns nfs-absent-$$ -- "$tmp/nf"
fi

# A shim that cannot open its socket is told about by the watch, and the NF runs all the same.
touch "$tmp/file"
"$nfrun" ids9 --dir "$tmp/file" --lib "$lib" -- "$(command -v sleep)" 6 2>"$tmp/err" || fail "the NF did not run"
grep -q 'warning: .*is not under nfshim' "$tmp/err" || fail "no warning: $(cat "$tmp/err")"

[ "$failed" = 0 ] && echo ok
exit "$failed"
