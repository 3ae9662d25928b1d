/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bounded buffer of records between a stream and a ring (DESIGN §5).
 *
 * One queue, first in, first out. The caps count packets (CLONE and FWD):
 * state has to be kept by the destination anyway, and must stay in order with
 * the clones. The caller decides what a full buffer means: the clones of the
 * largest flow are dropped, or the stream is not read for a while.
 *
 * A flow is one of a packet thread: its clones are known by both.
 */
#ifndef NF_BUFFER_H
#define NF_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "ranks.h"
#include "rec.h"

struct nf_buffered;	 /* a record and its payload, owned by the buffer */
struct nf_buffered_flow; /* that has clones in it */

struct nf_buffer {
	TAILQ_HEAD(nf_buffered_q, nf_buffered) q;
	struct nf_buffered_flow *flows; /* by thread and key */
	struct nf_ranks ranks;
	uint64_t cap_packets; /* 0: no cap */
	uint64_t cap_bytes;
	uint64_t packets;			    /* CLONE and FWD in it now */
	uint64_t bytes;				    /* of these, headers included */
	uint64_t total;				    /* bytes of all records in it now */
	uint64_t packets_max, bytes_max, total_max; /* most at once */
};

void nf_buffer_init(struct nf_buffer *b, uint64_t cap_packets, uint64_t cap_bytes);
void nf_buffer_clear(struct nf_buffer *b); /* empties it; caps and maxima stay */

bool nf_buffer_is_packet(const struct nf_rec *r); /* does it count? */
/* Would @r go over a cap? An empty buffer takes any packet, however small the caps. */
bool nf_buffer_over(const struct nf_buffer *b, const struct nf_rec *r);
/* Append a copy, whatever the caps. 0 or -ENOMEM. */
int nf_buffer_put(struct nf_buffer *b, const struct nf_rec *r, const uint8_t *payload);
bool nf_buffer_empty(const struct nf_buffer *b);
/* The oldest record, NULL if empty; valid until nf_buffer_pop. */
const struct nf_rec *nf_buffer_head(const struct nf_buffer *b, const uint8_t **payload);
void nf_buffer_pop(struct nf_buffer *b);

/* The newest clone of the flow that has most of them, NULL if there is none; found in O(1). */
const struct nf_rec *nf_buffer_largest(const struct nf_buffer *b);
/* Drop the clones of the flow and thread of @of; how many. */
uint64_t nf_buffer_drop(struct nf_buffer *b, const struct nf_rec *of);

#endif
