/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A ring of records in shared memory: one producer, one consumer, no system
 * call, never blocks.
 *
 * Theory of operation. The memory is a memfd sealed against resizing: a header
 * page, then 2^n bytes of data. head (bytes ever written) and tail (bytes ever
 * read) stand on cache lines of their own; the producer publishes head with
 * release, the consumer publishes tail with release, each loads the other's
 * with acquire and only when its cached copy does not suffice. A record never
 * wraps: if it does not fit before the end, a filler record (type 0) closes the
 * lap. The two sides do not trust each other: the consumer copies nothing it
 * has not bounded (length at least a header, at most NF_REC_MAX and what head
 * allows) and reports -EPROTO for anything else; mask and size are kept in
 * private memory, never read from the shared header after attaching.
 */
#ifndef NF_RING_H
#define NF_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rec.h"

#define NF_RING_BYTES (8u << 20) /* data bytes of each ring between shim and helper */

struct nf_ring; /* one side's private view */

/* Make a ring of @bytes (a power of two, at least 4 NF_REC_MAX … or 64 KiB in tests);
 * *fd is a sealed memfd, owned by the caller. Returns 0 or -errno. */
int nf_ring_create(size_t bytes, const char *name, struct nf_ring **out, int *fd);
/* Map a ring made elsewhere; refuses (-EPROTO) an unsealed fd or a wrong magic or size. */
int nf_ring_attach(int fd, struct nf_ring **out);
void nf_ring_free(struct nf_ring *r); /* unmaps; accepts NULL */

/* Producer. Reserve room for a record of @len bytes (header included); NULL if full or
 * @len > NF_REC_MAX. Fill it in, then commit; an unfilled reservation may be dropped by
 * not committing. r->len may be lowered before the commit. */
struct nf_rec *nf_ring_reserve(struct nf_ring *r, uint32_t len);
void nf_ring_commit(struct nf_ring *r, struct nf_rec *rec);
/* Bytes that could be reserved now, at most. */
size_t nf_ring_room(struct nf_ring *r);

/* Consumer. The next record, or NULL with *err 0 (empty) or -EPROTO (malformed: stop using
 * the ring). The header is copied out of shared memory into @hdr before it is checked; the
 * payload at *payload stays valid until nf_ring_next. */
const struct nf_rec *nf_ring_peek(struct nf_ring *r, struct nf_rec *hdr, const uint8_t **payload,
				  int *err);
void nf_ring_next(struct nf_ring *r);
bool nf_ring_empty(struct nf_ring *r); /* one load; for the fast path */

#endif
