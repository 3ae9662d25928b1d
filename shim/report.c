/* SPDX-License-Identifier: BSD-2-Clause */
/* Acknowledgements and reports to the helper; they queue here while the ring is full. */
#include <stdlib.h>
#include <string.h>

#include "in_pcap.h"
#include "move.h"

struct report {
	STAILQ_ENTRY(report) next;
	struct nf_rec rec; /* followed by its payload */
};

#define MOST 1000000u /* a helper that reads nothing must not eat the NF's memory */

static __thread STAILQ_HEAD(, report) queue;
static __thread unsigned waiting;

void nf_report_init(void)
{
	STAILQ_INIT(&queue);
}

static bool push(const struct nf_rec *r, const void *payload)
{
	struct nf_link *l = nf_link_get();
	struct nf_rec *slot;

	if (!l || !atomic_load_explicit(&l->up, memory_order_acquire))
		return false;
	slot = nf_ring_reserve(l->out, r->len);
	if (!slot)
		return false;
	memcpy(slot, r, sizeof(*r));
	if (nf_rec_payload(r))
		memcpy(slot + 1, payload, nf_rec_payload(r));
	nf_ring_commit(l->out, slot);
	return true;
}

void nf_report(enum nf_rec_type t, uint64_t version, const struct nfshim_flow *f, uint32_t epoch,
	       const void *payload, uint32_t len)
{
	struct nf_rec r = {.len = (uint32_t)sizeof(r) + len,
			   .type = (uint8_t)t,
			   .move = nf_move.id,
			   .version = version,
			   .epoch = epoch};
	struct report *q;

	if (f)
		r.flow = *f;
	if (STAILQ_EMPTY(&queue) && push(&r, payload))
		return;
	q = waiting < MOST ? malloc(sizeof(*q) + len) : NULL;
	if (!q) {
		nf_engine_fail(waiting < MOST ? "out of memory" : "nfxfer reads no reports");
		return;
	}
	waiting++;
	q->rec = r;
	if (len)
		memcpy(q + 1, payload, len);
	STAILQ_INSERT_TAIL(&queue, q, next);
}

void nf_report_stats(enum nf_rec_type t)
{
	nf_move.stats.kernel_drops = nf_capture_drops() - nf_move.drops_at_begin;
	nf_report(t, 0, NULL, 0, &nf_move.stats, sizeof(nf_move.stats));
}

bool nf_report_flush(void)
{
	struct report *q;

	while ((q = STAILQ_FIRST(&queue))) {
		if (!push(&q->rec, q + 1))
			return false;
		STAILQ_REMOVE_HEAD(&queue, next);
		waiting--;
		free(q);
	}
	return true;
}

void nf_report_drop_all(void)
{
	struct report *q;

	while ((q = STAILQ_FIRST(&queue))) {
		STAILQ_REMOVE_HEAD(&queue, next);
		waiting--;
		free(q);
	}
}
