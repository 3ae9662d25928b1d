/* SPDX-License-Identifier: BSD-2-Clause */
/* Bounded first-in-first-out buffer of records; see buffer.h. */
#include "buffer.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "flow_hash.h"

struct nf_buffered_flow {
	struct nf_flow_id id;
	struct nf_ranked rank; /* by its clones */
	TAILQ_HEAD(nf_clones, nf_buffered) clones;
	UT_hash_handle hh;
};

struct nf_buffered {
	TAILQ_ENTRY(nf_buffered) next, next_of_flow;
	struct nf_buffered_flow *flow; /* NULL: no clone */
	struct nf_rec hdr;
	uint8_t payload[];
};

static void raise_to(uint64_t *max, uint64_t now)
{
	if (now > *max)
		*max = now;
}

void nf_buffer_init(struct nf_buffer *b, uint64_t cap_packets, uint64_t cap_bytes)
{
	memset(b, 0, sizeof(*b));
	TAILQ_INIT(&b->q);
	b->cap_packets = cap_packets;
	b->cap_bytes = cap_bytes;
}

void nf_buffer_clear(struct nf_buffer *b)
{
	while (!nf_buffer_empty(b))
		nf_buffer_pop(b);
}

bool nf_buffer_is_packet(const struct nf_rec *r)
{
	return r->type == NF_REC_CLONE || r->type == NF_REC_FWD;
}

bool nf_buffer_over(const struct nf_buffer *b, const struct nf_rec *r)
{
	if (!b->packets || !nf_buffer_is_packet(r))
		return false;
	return (b->cap_packets && b->packets + 1 > b->cap_packets) ||
	       (b->cap_bytes && b->bytes + r->len > b->cap_bytes);
}

/* ---- the clones of each flow ---- */

static struct nf_buffered_flow *find(const struct nf_buffer *b, const struct nf_rec *r)
{
	struct nf_flow_id id = nf_flow_id(r);
	struct nf_buffered_flow *f;

	HASH_FIND(hh, b->flows, &id, sizeof(id), f);
	return f;
}

static struct nf_buffered_flow *add(struct nf_buffer *b, const struct nf_rec *r)
{
	struct nf_buffered_flow *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->id = nf_flow_id(r);
	TAILQ_INIT(&f->clones);
	HASH_ADD(hh, b->flows, id, sizeof(f->id), f);
	if (f->hh.tbl)
		return f;
	free(f);
	return NULL;
}

static void remove_flow(struct nf_buffer *b, struct nf_buffered_flow *f)
{
	nf_ranks_remove(&b->ranks, &f->rank);
	HASH_DEL(b->flows, f);
	free(f);
	if (!b->flows)
		nf_ranks_free(&b->ranks);
}

static int enlist(struct nf_buffer *b, struct nf_buffered *e)
{
	struct nf_buffered_flow *f = find(b, &e->hdr);

	if (!f)
		f = add(b, &e->hdr);
	if (!f)
		return -ENOMEM;
	if (nf_ranks_up(&b->ranks, &f->rank)) {
		if (TAILQ_EMPTY(&f->clones))
			remove_flow(b, f);
		return -ENOMEM;
	}
	e->flow = f;
	TAILQ_INSERT_TAIL(&f->clones, e, next_of_flow);
	return 0;
}

static void delist(struct nf_buffer *b, struct nf_buffered *e)
{
	struct nf_buffered_flow *f = e->flow;

	if (!f)
		return;
	TAILQ_REMOVE(&f->clones, e, next_of_flow);
	nf_ranks_down(&b->ranks, &f->rank);
	if (TAILQ_EMPTY(&f->clones))
		remove_flow(b, f);
}

/* ---- all records ---- */

static void take_out(struct nf_buffer *b, struct nf_buffered *e)
{
	TAILQ_REMOVE(&b->q, e, next);
	delist(b, e);
	b->total -= e->hdr.len;
	if (nf_buffer_is_packet(&e->hdr)) {
		b->packets--;
		b->bytes -= e->hdr.len;
	}
	free(e);
}

int nf_buffer_put(struct nf_buffer *b, const struct nf_rec *r, const uint8_t *payload)
{
	size_t n = nf_rec_payload(r);
	struct nf_buffered *e = malloc(sizeof(*e) + n);

	if (!e)
		return -ENOMEM;
	e->hdr = *r;
	e->flow = NULL;
	if (n)
		memcpy(e->payload, payload, n);
	if (r->type == NF_REC_CLONE && enlist(b, e)) {
		free(e);
		return -ENOMEM;
	}
	TAILQ_INSERT_TAIL(&b->q, e, next);
	b->total += r->len;
	if (nf_buffer_is_packet(r)) {
		b->packets++;
		b->bytes += r->len;
	}
	raise_to(&b->packets_max, b->packets);
	raise_to(&b->bytes_max, b->bytes);
	raise_to(&b->total_max, b->total);
	return 0;
}

bool nf_buffer_empty(const struct nf_buffer *b)
{
	return TAILQ_EMPTY(&b->q);
}

const struct nf_rec *nf_buffer_head(const struct nf_buffer *b, const uint8_t **payload)
{
	const struct nf_buffered *e = TAILQ_FIRST(&b->q);

	if (!e)
		return NULL;
	*payload = e->payload;
	return &e->hdr;
}

void nf_buffer_pop(struct nf_buffer *b)
{
	take_out(b, TAILQ_FIRST(&b->q));
}

/* ---- the drop policy ---- */

const struct nf_rec *nf_buffer_largest(const struct nf_buffer *b)
{
	const struct nf_ranked *x = nf_ranks_top(&b->ranks);
	const struct nf_buffered_flow *f;

	if (!x)
		return NULL;
	f = (const void *)((const char *)x - offsetof(struct nf_buffered_flow, rank));
	return &TAILQ_LAST(&f->clones, nf_clones)->hdr;
}

uint64_t nf_buffer_drop(struct nf_buffer *b, const struct nf_rec *of)
{
	struct nf_buffered_flow *f = find(b, of);
	uint64_t n = f ? f->rank.count : 0;

	for (uint64_t i = 0; i < n; i++)
		take_out(b, TAILQ_FIRST(&f->clones));
	return n;
}
