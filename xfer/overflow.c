/* SPDX-License-Identifier: BSD-2-Clause */
#include "overflow.h"

#include <stdlib.h>

#include "flow_hash.h"
#include "log.h"
#include "move.h"
#include "stream.h"
#include "xfer.h"

#define BYTES_EACH 8192u    /* what a flow that comes again may need at once */
#define STALE_MAX  1000000u /* a source that has more at once is not to be believed */

struct nf_stale_flow {
	struct nf_flow_id id;
	uint32_t epoch; /* newest of the clones that were dropped */
	bool asked;
	TAILQ_ENTRY(nf_stale_flow) next; /* unless asked */
	UT_hash_handle hh;
};

void nf_overflow_init(struct nf_overflow *o)
{
	TAILQ_INIT(&o->unasked);
}

static struct nf_stale_flow *find(const struct nf_overflow *o, const struct nf_rec *r)
{
	struct nf_flow_id id = nf_flow_id(r);
	struct nf_stale_flow *s;

	HASH_FIND(hh, o->stale, &id, sizeof(id), s);
	return s;
}

static bool add(struct nf_overflow *o, const struct nf_rec *r)
{
	struct nf_stale_flow *s = find(o, r);

	if (s) { /* the answer is still to come, and will be newer */
		s->epoch = r->epoch;
		return true;
	}
	if (HASH_COUNT(o->stale) >= STALE_MAX)
		return false;
	s = calloc(1, sizeof(*s));
	if (!s)
		return false;
	s->id = nf_flow_id(r);
	s->epoch = r->epoch;
	HASH_ADD(hh, o->stale, id, sizeof(s->id), s);
	if (!s->hh.tbl) {
		free(s);
		return false;
	}
	TAILQ_INSERT_TAIL(&o->unasked, s, next);
	return true;
}

static void drop_of(struct nf_overflow *o, struct nf_stale_flow *s)
{
	HASH_DEL(o->stale, s);
	if (s->asked)
		o->asked--;
	else
		TAILQ_REMOVE(&o->unasked, s, next);
	free(s);
}

/* Older clones of its flow that wait here are applied before it, in order: others of its group may
 * need what they make of a record. */
static bool wants_state(struct nf_overflow *o, struct nf_stale_flow *s, const struct nf_rec *r)
{
	if (s && r->epoch <= s->epoch)
		return false;
	if (s && r->flags & NF_REC_ANSWER)
		drop_of(o, s);
	return true;
}

bool nf_overflow_wants(struct nf_xfer *x, const struct nf_rec *r)
{
	struct nf_overflow *o = &x->move.overflow;
	struct nf_stale_flow *s = find(o, r);

	switch (r->type) {
	case NF_REC_STATE:
		return wants_state(o, s, r);
	case NF_REC_CLONE:
		if (!s || r->epoch > s->epoch)
			return true;
		o->dropped++;
		return false;
	case NF_REC_BARRIER:
		if (!o->stale)
			return true;
		o->barrier |= 1u << r->thread;
		return false;
	default:
		return true;
	}
}

/* Flows that may be asked for at a time: their packets are to fit in a part of the buffer. */
static uint64_t batch(const struct nf_buffer *b)
{
	uint64_t n = b->cap_packets ? b->cap_packets / 4 : UINT64_MAX;

	if (b->cap_bytes && b->cap_bytes / BYTES_EACH < n)
		n = b->cap_bytes / BYTES_EACH;
	return n ? n : 1;
}

static void ask(struct nf_xfer *x, struct nf_stale_flow *s)
{
	struct nf_overflow *o = &x->move.overflow;
	struct nf_rec r = {.len = sizeof(r),
			   .type = NF_REC_REEXP,
			   .move = x->move.b.move,
			   .epoch = s->epoch,
			   .flow = s->id.flow,
			   .thread = s->id.thread};

	nf_xmove_pause(NF_REC_REEXP);
	nf_stream_send(&x->move.peer, &r, NULL);
	TAILQ_REMOVE(&o->unasked, s, next);
	s->asked = true;
	o->asked++;
	o->reexports++;
}

void nf_overflow_ask(struct nf_xfer *x)
{
	struct nf_xmove *mv = &x->move;
	struct nf_overflow *o = &mv->overflow;
	struct nf_stale_flow *s;

	while (!mv->dropping && (s = TAILQ_FIRST(&o->unasked)) &&
	       (mv->no_drop || (nf_buffer_empty(&mv->buf) && o->asked < batch(&mv->buf))))
		ask(x, s);
}

bool nf_overflow_makes_room(struct nf_xfer *x, const struct nf_rec *r)
{
	struct nf_xmove *mv = &x->move;
	const struct nf_rec *newest;
	struct nf_rec largest;

	while (nf_buffer_over(&mv->buf, r) && (newest = nf_buffer_largest(&mv->buf))) {
		largest = *newest;
		if (!add(&mv->overflow, &largest)) {
			nf_xmove_bad_peer(x, "has more flows than there is memory for");
			return false;
		}
		mv->overflow.dropped += nf_buffer_drop(&mv->buf, &largest);
	}
	return nf_overflow_wants(x, r);
}

bool nf_overflow_barrier(struct nf_xfer *x, uint32_t *thread)
{
	struct nf_overflow *o = &x->move.overflow;

	if (!o->barrier || o->stale)
		return false;
	*thread = (uint32_t)__builtin_ctz(o->barrier);
	o->barrier &= o->barrier - 1;
	return true;
}

void nf_overflow_end(struct nf_overflow *o)
{
	struct nf_stale_flow *s, *tmp;

	HASH_ITER (hh, o->stale, s, tmp)
		drop_of(o, s);
	o->barrier = 0;
}
