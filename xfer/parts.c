/* SPDX-License-Identifier: BSD-2-Clause */
#include "parts.h"

#include <string.h>

#define MOST(field) (sum->field < add->field ? add->field : sum->field)

/* Counts add up, except those of what was most at a time. */
static void add_stats(struct nf_rec_stats *sum, const struct nf_rec_stats *add)
{
	struct nf_rec_stats most = *sum;
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)add;

	most.held_max = MOST(held_max);
	most.held_bytes_max = MOST(held_bytes_max);
	most.slice_max_ns = MOST(slice_max_ns);
	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
	sum->held_max = most.held_max;
	sum->held_bytes_max = most.held_bytes_max;
	sum->slice_max_ns = most.slice_max_ns;
}

static void add(struct nf_part *part, const struct nf_rec *r, const uint8_t *payload)
{
	struct nf_rec_stats stats;

	if (part->said & 1u << r->thread)
		return;
	part->said |= 1u << r->thread;
	part->version += r->version;
	if (nf_rec_payload(r) != sizeof(stats))
		return;
	memcpy(&stats, payload, sizeof(stats));
	add_stats(&part->stats, &stats);
}

bool nf_parts_heard(struct nf_parts *p, unsigned n, const struct nf_rec **r,
		    const uint8_t **payload)
{
	struct nf_part *part = &p->part[(*r)->type - NF_REC_BEGUN];

	if (n == 1)
		return true;
	if (p->id != (*r)->move) {
		memset(p, 0, sizeof(*p));
		p->id = (*r)->move;
	}
	add(part, *r, *payload);
	if (part->said != (1u << n) - 1)
		return false;
	p->rec = **r;
	p->rec.len = (uint32_t)(sizeof(p->rec) + sizeof(p->stats));
	p->rec.version = part->version;
	p->stats = part->stats;
	*r = &p->rec;
	*payload = (const uint8_t *)&p->stats;
	memset(part, 0, sizeof(*part));
	return true;
}

bool nf_parts_have(const struct nf_parts *p, const struct nf_rec *r)
{
	return p->id == r->move && p->part[r->type - NF_REC_BEGUN].said & 1u << r->thread;
}
