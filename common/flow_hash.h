/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uthash for keys that a peer may choose: SipHash with a key of this process,
 * so nobody can make them collide; and no memory is an error, not the end.
 * An element that could not be added has hh.tbl NULL.
 */
#ifndef NF_FLOW_HASH_H
#define NF_FLOW_HASH_H

#include <stdint.h>

#include "rec.h"

uint32_t nf_keyed_hash(const void *key, unsigned len);

#define HASH_FUNCTION(key, len, hash) ((hash) = nf_keyed_hash(key, len))
#define HASH_NONFATAL_OOM	      1
#include <uthash.h>

/* Flow and packet thread of a record. */
struct nf_flow_id {
	struct nfshim_flow flow;
	uint32_t thread;
};

static inline struct nf_flow_id nf_flow_id(const struct nf_rec *r)
{
	return (struct nf_flow_id){r->flow, r->thread};
}

_Static_assert(sizeof(struct nf_flow_id) == 48, "an id is hashed as memory");

#endif
