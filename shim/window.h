/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The window: while nf_window is set in a thread, that thread is reprocessing
 * a packet and its output is dropped (paper, Section 4). Assigned per packet,
 * never counted, so that a longjmp out of a callback cannot leave it off by one.
 */
#ifndef NF_WINDOW_H
#define NF_WINDOW_H

#include <stdbool.h>

extern __thread int nf_window __attribute__((tls_model("initial-exec")));

/* Set and clear, with the work that belongs to the edges (stdio buffers of
 * inlined putc). Called by the packet thread around the NF's callback. */
void nf_window_open(void);
void nf_window_close(void);

/* Around a call that passes and whose library makes it by calls of ours, which pass with it. */
static inline int nf_window_lift(void)
{
	int was = nf_window;

	nf_window = 0;
	return was;
}

static inline void nf_window_lower(int was)
{
	nf_window = was;
}

static inline bool nf_dropping(void)
{
	return __builtin_expect(nf_window != 0, 0);
}

#endif
