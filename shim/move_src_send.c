/* SPDX-License-Identifier: BSD-2-Clause */
/* The source's way to its helper: the out ring, and how long the NF may wait for room in it. */
#include <string.h>
#include <time.h>

#include "link.h"
#include "move_src.h"

#define ROOM	     (2u * NF_REC_MAX)
#define WAIT_MAX_NS  10000000u	/* the input waits at most so long for ring space */
#define CAPTURE_RING (2u << 20) /* libpcap's default capture buffer, bytes */
#define STRAGGLER_NS 5000000000u

struct nf_link *nf_src_link(void)
{
	struct nf_link *l = nf_link_get();

	return l && atomic_load_explicit(&l->up, memory_order_acquire) ? l : NULL;
}

bool nf_src_has_room(void)
{
	struct nf_link *l = nf_src_link();

	return l && nf_ring_room(l->out) >= ROOM;
}

/* Before the route the wait is bounded (DESIGN §4, no-drop mode); after MARK the helper spills
 * without a bound, so only its loss ends the wait. */
static uint64_t wait_limit(void)
{
	uint64_t age, half;

	if (nf_move.phase >= NF_PHASE_MARKED)
		return STRAGGLER_NS;
	age = nf_now_ns() - nf_move.began;
	half = nf_move.bytes_in ? age / nf_move.bytes_in * (CAPTURE_RING / 2) : WAIT_MAX_NS;
	return half < WAIT_MAX_NS ? half : WAIT_MAX_NS;
}

/* Where the record that is being made lies. Its helper may go at any moment, but the ring stays
 * until the packet thread lets go of it, at a safe point. */
static __thread struct nf_link *reserved_at;

struct nf_rec *nf_src_reserve(uint32_t len)
{
	struct nf_link *l = nf_src_link();
	struct timespec nap = {.tv_nsec = 20000};
	struct nf_rec *r;
	uint64_t t0, limit;

	if (!l)
		return NULL;
	reserved_at = l;
	r = nf_ring_reserve(l->out, len);
	if (r || !nf_move.no_drop || len > NF_REC_MAX)
		return r;
	t0 = nf_now_ns();
	limit = wait_limit();
	while (!(r = nf_ring_reserve(l->out, len)) && nf_now_ns() - t0 < limit && nf_src_link())
		nanosleep(&nap, NULL);
	nf_move.stats.wait_ns += nf_now_ns() - t0;
	return r;
}

void nf_src_commit(struct nf_rec *r)
{
	nf_ring_commit(reserved_at->out, r);
}

bool nf_src_push(enum nf_rec_type t, const struct nf_mflow *f)
{
	struct nf_rec *r = nf_src_reserve(sizeof(*r));

	if (!r)
		return false;
	memset(r, 0, sizeof(*r));
	r->len = sizeof(*r);
	r->type = (uint8_t)t;
	r->move = nf_move.id;
	if (f) {
		r->flow = f->key;
		r->epoch = f->epoch;
		r->version = f->version;
	}
	nf_src_commit(r);
	return true;
}
