/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a full buffer costs at the destination (DESIGN §5): the clones of the
 * largest flow are dropped, the flow is STALE, and its state is asked for
 * again (REEXP) when the buffer has emptied, for a few flows at a time: what
 * they bring with them must fit. Until that comes, nothing more of the flow is
 * taken.
 *
 * Nothing is dropped from PREPARE on; what is stale then is asked for at once. BARRIER waits here
 * until no flow is stale: READY, which follows it, says that every flow is in SYNC.
 */
#ifndef NF_XFER_OVERFLOW_H
#define NF_XFER_OVERFLOW_H

#include <stdbool.h>
#include <sys/queue.h>

#include "rec.h"

struct nf_xfer;
struct nf_stale_flow;

struct nf_overflow {
	struct nf_stale_flow *stale;
	TAILQ_HEAD(nf_unasked, nf_stale_flow) unasked; /* of these */
	uint64_t asked;				       /* the others */
	uint32_t barrier;			       /* bit per thread: it waits */
	uint64_t dropped;   /* clones, of which the destination got none */
	uint64_t reexports; /* asked for */
};

void nf_overflow_init(struct nf_overflow *o);
/* A record comes from the source: is it wanted? */
bool nf_overflow_wants(struct nf_xfer *x, const struct nf_rec *r);
/* Make room for a packet that would go over a cap. False: the packet is of a flow that is stale
 * now, or the move has failed. */
bool nf_overflow_makes_room(struct nf_xfer *x, const struct nf_rec *r);
void nf_overflow_ask(struct nf_xfer *x); /* for the state of as many flows as there is room for */
/* The BARRIER that may go on to the NF now: true, and its thread in *@thread. */
bool nf_overflow_barrier(struct nf_xfer *x, uint32_t *thread);
void nf_overflow_end(struct nf_overflow *o);

#endif
