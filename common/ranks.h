/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flows ranked by how many packets they have in a buffer: the one with most is
 * found at once (DESIGN §5).
 *
 * A list for each count, and the highest count that has a flow. A packet more
 * or less moves its flow one list on; taking a flow of c packets away looks at
 * c lists at most, so all of it is O(1) for each packet that was put in.
 */
#ifndef NF_RANKS_H
#define NF_RANKS_H

#include <stddef.h>
#include <sys/queue.h>

struct nf_ranked { /* within what is ranked */
	LIST_ENTRY(nf_ranked) next;
	size_t count; /* 0: in no list */
};

struct nf_ranks {
	LIST_HEAD(nf_rank, nf_ranked) * of; /* by count; 0 is not used */
	size_t size, top;
};

int nf_ranks_up(struct nf_ranks *r, struct nf_ranked *x); /* 0 or -ENOMEM: nothing has changed */
void nf_ranks_down(struct nf_ranks *r, struct nf_ranked *x);
void nf_ranks_remove(struct nf_ranks *r, struct nf_ranked *x);
struct nf_ranked *nf_ranks_top(const struct nf_ranks *r); /* NULL: there is none */
void nf_ranks_free(struct nf_ranks *r);			  /* all are gone from it */

#endif
