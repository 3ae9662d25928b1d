/* SPDX-License-Identifier: BSD-2-Clause */
/* A FIFO of packets with two caps. */
#include "hold.h"

#include <stdlib.h>
#include <string.h>

void nf_hold_init(struct nf_hold *h, uint64_t max_packets, uint64_t max_bytes)
{
	STAILQ_INIT(&h->q);
	h->packets = 0;
	h->bytes = 0;
	h->max_packets = max_packets;
	h->max_bytes = max_bytes;
}

bool nf_hold_empty(const struct nf_hold *h)
{
	return h->packets == 0;
}

bool nf_hold_full(const struct nf_hold *h, uint32_t caplen)
{
	return h->packets >= h->max_packets || h->bytes + caplen > h->max_bytes;
}

struct nf_held *nf_hold_push(struct nf_hold *h, const struct nfshim_flow *f,
			     const struct pcap_pkthdr *ph, const uint8_t *data, uint64_t id)
{
	struct nf_held *e;

	e = malloc(sizeof(*e) + ph->caplen);
	if (!e)
		return NULL;
	e->moving = f != NULL;
	memset(&e->flow, 0, sizeof(e->flow));
	if (f)
		e->flow = *f;
	e->h = *ph;
	e->id = id;
	memcpy(e->data, data, ph->caplen);
	nf_hold_append(h, e);
	return e;
}

void nf_hold_append(struct nf_hold *h, struct nf_held *e)
{
	STAILQ_INSERT_TAIL(&h->q, e, next);
	h->packets++;
	h->bytes += e->h.caplen;
}

void nf_hold_take(struct nf_hold *h, struct nf_hold *from)
{
	STAILQ_CONCAT(&h->q, &from->q);
	h->packets += from->packets;
	h->bytes += from->bytes;
	from->packets = from->bytes = 0;
}

struct nf_held *nf_hold_head(struct nf_hold *h)
{
	return STAILQ_FIRST(&h->q);
}

struct nf_held *nf_hold_pop(struct nf_hold *h)
{
	struct nf_held *e = STAILQ_FIRST(&h->q);

	if (!e)
		return NULL;
	STAILQ_REMOVE_HEAD(&h->q, next);
	h->packets--;
	h->bytes -= e->h.caplen;
	return e;
}

void nf_hold_clear(struct nf_hold *h)
{
	struct nf_held *e;

	while ((e = nf_hold_pop(h)))
		free(e);
}
