/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The routes of a switch: an ordered list, newest first; a packet takes the
 * first route whose space it is in. Moves back and forth would make it grow,
 * so what cannot matter any more is taken out.
 */
#ifndef NF_ROUTES_H
#define NF_ROUTES_H

#include <stdbool.h>
#include <stdint.h>

#include "msg.h"
#include "space.h"

struct nf_route {
	char instance[NF_NAME_MAX];
	struct nf_space *space; /* owned */
};

struct nf_routes {
	uint64_t gen; /* of the last change */
	unsigned n;
	struct nf_route *r; /* newest first */
};

void nf_routes_clear(struct nf_routes *l);
int nf_routes_copy(const struct nf_routes *from, struct nf_routes *to); /* 0 or -ENOMEM */
/* Append an oldest route; takes @space over. 0 or -ENOMEM. */
int nf_routes_append(struct nf_routes *l, const char *instance, struct nf_space *space);
/* A new first route (a copy of @space), then prune. @fallback gets what no route names. */
int nf_routes_set(struct nf_routes *l, const struct nf_space *space, const char *instance,
		  const char *fallback);

/* Is every flow of @b in @a? May err on the side of false. */
bool nf_space_covers(const struct nf_space *a, const struct nf_space *b);

#endif
