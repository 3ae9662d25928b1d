/* SPDX-License-Identifier: BSD-2-Clause */
/* A library of an NF that is at work before any constructor of the shim's. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void nothing(int sig)
{
	(void)sig;
}

__attribute__((visibility("default"))) int early_file, early_results;

__attribute__((constructor(101))) static void early(void)
{
	char name[] = "/tmp/nfshim-early-XXXXXX";

	early_file = mkstemp(name);
	unlink(name);
	early_results = (write(early_file, "by write\n", 9) == 9) +
			(dprintf(early_file, "by %s\n", "dprintf") == 11) +
			(signal(SIGUSR1, nothing) == SIG_DFL) + (close(dup(early_file)) == 0);
}
