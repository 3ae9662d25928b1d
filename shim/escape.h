/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ways of output that pass by the shim: no call of the NF's tells of what goes
 * out there. Their set-up fails as on a system that does not have them, which
 * an NF with another way understands. What was set up all the same is found by
 * what the process has, and refuses moves by name.
 */
#ifndef NF_ESCAPE_H
#define NF_ESCAPE_H

#include <stdbool.h>

enum nf_escape {
	NF_ESCAPE_URING,    /* io_uring */
	NF_ESCAPE_TX_RING,  /* a packet ring for sending */
	NF_ESCAPE_XDP,	    /* AF_XDP sockets */
	NF_ESCAPE_DEEPBIND, /* a library that calls libc past the shim */
	NF_ESCAPES
};

/*
 * Is this set-up to be refused? Then errno is set; it is told on standard error, once. With
 * NFSHIM_ESCAPES=allow it is not, and moves are refused from now on.
 */
bool nf_escape_refuses(enum nf_escape way);

/* The same for the system call @nr with the arguments @x. */
bool nf_escape_refuses_call(long nr, const long *x);

/* Look at what the process has. Files that it has mapped for shared writing are warned of. */
void nf_escape_look(void);
/* A sentence why output of this NF could not be dropped, or NULL. Looks again every second. */
const char *nf_escape_unfit(void);

#endif
