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

static inline bool nf_dropping(void)
{
	return __builtin_expect(nf_window != 0, 0);
}

#endif
