/* SPDX-License-Identifier: BSD-2-Clause */
/* A library of an NF that puts something out. */
#include <stdio.h>
#include <unistd.h>

__attribute__((visibility("default"))) int say(int fd, FILE *f)
{
	return fputs("by stdio", f) < 0 ? -1 : (int)write(fd, "by write", 8);
}
