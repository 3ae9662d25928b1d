/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An NF with several packet threads has a move in each. The controller sees
 * one: a stage is reached when all of them have said so.
 */
#ifndef NF_XFER_PARTS_H
#define NF_XFER_PARTS_H

#include <stdbool.h>

#include "rec.h"

#define NF_PARTS_TYPES (NF_REC_LIST_END - NF_REC_BEGUN + 1)

struct nf_part {
	uint32_t said; /* bit per thread */
	uint64_t version;
	struct nf_rec_stats stats;
};

struct nf_parts {
	uint64_t id; /* of the move or list; another one begins anew */
	struct nf_part part[NF_PARTS_TYPES];
	struct nf_rec rec; /* what they said together */
	struct nf_rec_stats stats;
};

/*
 * One of @n threads reports *@r: true if it was the last, then *@r and *@payload are what all say,
 * valid until the next call.
 */
bool nf_parts_heard(struct nf_parts *p, unsigned n, const struct nf_rec **r,
		    const uint8_t **payload);
/* Has the thread of @r said that, and others not yet? */
bool nf_parts_have(const struct nf_parts *p, const struct nf_rec *r);

#endif
