/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NF's packet threads. Each has a place of its own in one table, with its
 * link to the helper and its doorbell; all that belongs to a packet thread
 * otherwise is thread-local (nf_move, nf_window, nf_sink_now). So a move is one
 * move per packet thread, and none of them ever waits for another.
 *
 * There is one, unless the NF's hooks say that there may be several.
 */
#ifndef NF_THREADS_H
#define NF_THREADS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "msg.h"

struct nf_link;

struct nf_thread {
	_Atomic(struct nf_link *) link; /* made by the service thread, NULL: no helper */
	_Atomic uint64_t packets;	/* that it got */
	bool busy;			/* its own: there was more to do at the last safe point */
	_Atomic bool known;	 /* some thread has this place: links are not freed under it */
	_Atomic bool window;	 /* it reprocesses a packet */
	_Atomic unsigned number; /* of the capture that it was the first to read or wait for */
	int doorbell;		 /* -1: never used */
	/* What it published last; under the lock of the status. */
	uint64_t move;
	enum nf_side side;
	enum nf_phase phase;
};

extern struct nf_thread nf_threads[NF_THREADS];
/* The place of this thread, NULL: it is no packet thread. */
extern __thread struct nf_thread *nf_thread __attribute__((tls_model("initial-exec")));

/* Make this thread a packet thread, if it may be one; @number: of its capture. */
bool nf_thread_begin(unsigned number);
bool nf_thread_may_begin(void);
void nf_thread_never(void); /* the service thread is none */
unsigned nf_threads_count(void);
bool nf_threads_in_window(void); /* is some thread? */
/* Is a packet of this packet thread the NF's alone? A link may have come since the last safe point.
 */
static inline bool nf_thread_is_idle(const struct nf_thread *t)
{
	return !atomic_load_explicit(&t->link, memory_order_acquire) && !t->busy;
}
/* In a child of fork only the calling thread is left. */
void nf_threads_forked(void);

#endif
