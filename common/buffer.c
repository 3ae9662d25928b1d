/* SPDX-License-Identifier: BSD-2-Clause */
/* Bounded first-in-first-out buffer of records; see buffer.h. */
#include "buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct nf_buffered {
	STAILQ_ENTRY(nf_buffered) next;
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
	STAILQ_INIT(&b->q);
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

int nf_buffer_put(struct nf_buffer *b, const struct nf_rec *r, const uint8_t *payload)
{
	size_t n = nf_rec_payload(r);
	struct nf_buffered *e = malloc(sizeof(*e) + n);

	if (!e)
		return -ENOMEM;
	e->hdr = *r;
	if (n)
		memcpy(e->payload, payload, n);
	STAILQ_INSERT_TAIL(&b->q, e, next);
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
	return STAILQ_EMPTY(&b->q);
}

const struct nf_rec *nf_buffer_head(const struct nf_buffer *b, const uint8_t **payload)
{
	const struct nf_buffered *e = STAILQ_FIRST(&b->q);

	if (!e)
		return NULL;
	*payload = e->payload;
	return &e->hdr;
}

void nf_buffer_pop(struct nf_buffer *b)
{
	struct nf_buffered *e = STAILQ_FIRST(&b->q);

	STAILQ_REMOVE_HEAD(&b->q, next);
	b->total -= e->hdr.len;
	if (nf_buffer_is_packet(&e->hdr)) {
		b->packets--;
		b->bytes -= e->hdr.len;
	}
	free(e);
}
