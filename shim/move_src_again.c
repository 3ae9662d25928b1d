/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Export again (DESIGN §4: GAP, REEXP). A flow whose clones were lost on the
 * way is LOCAL again, in a new epoch: its packets are processed and not cloned
 * until its state is sent once more, in a safe point as the first time.
 *
 * Before EXPORTED a flow is exported again once at most; what overflows after
 * that waits for EXPORTED, so that a slow destination cannot put it off for
 * ever. In the no-drop phase nothing is lost any more.
 */
#include <errno.h>

#include "move_src.h"
#include "pause.h"
#include "provider.h"

static void queue(struct nf_mflow *f)
{
	f->state = NF_FLOW_LOCAL;
	f->epoch++;
	f->again = true;
	if (f->epoch == 1)
		TAILQ_INSERT_HEAD(&nf_move.again, f, next_again);
	else
		TAILQ_INSERT_TAIL(&nf_move.again, f, next_again);
}

/* The out ring has no room for a clone that was never sent. */
void nf_src_gap(struct nf_mflow *f)
{
	nf_move.stats.gaps++;
	queue(f);
	nf_src_dirty_records_of(&f->key);
}

/* ---- REEXP ---- */

static void lose_records_of(const struct nfshim_flow *flow)
{
	struct nfshim_flow key[NF_RECORDS_MAX];
	unsigned n = nf_move_records_of(flow, key);

	for (unsigned i = 0; i < n; i++) {
		struct nf_mrecord *r = nf_move_record(&key[i]);

		if (r)
			r->dirty = r->lost = true;
	}
}

static bool has_lost(const struct nfshim_flow *flow)
{
	struct nfshim_flow key[NF_RECORDS_MAX];
	unsigned n = nf_move_records_of(flow, key);

	for (unsigned i = 0; i < n; i++) {
		const struct nf_mrecord *r = nf_move_record(&key[i]);

		if (r && r->lost)
			return true;
	}
	return false;
}

static void lose(struct nf_mflow *f)
{
	queue(f);
	lose_records_of(&f->key);
}

/* The destination reprocessed clones of other flows with records that lacked updates: the whole
 * group, that is all flows which share a record with one of it, is exported again. */
void nf_src_lose_group(void)
{
	struct nf_mflow *f;
	bool more = nf_move.group_lost;

	while (more) {
		more = false;
		for (f = nf_move.flows; f; f = f->hh.next)
			if (f->state == NF_FLOW_CLONING && has_lost(&f->key)) {
				lose(f);
				more = true;
			}
	}
	nf_move.group_lost = false;
}

void nf_src_reexp(const struct nf_rec *r)
{
	struct nf_mflow *f = nf_move_find(&r->flow);

	/* No state is sent once D may be ready with all of it (I1), nor for an epoch that is over.
	 */
	if (!f || f->state != NF_FLOW_CLONING || r->epoch != f->epoch ||
	    nf_move.phase >= NF_PHASE_MARKED) {
		nf_move.stats.discarded++;
		return;
	}
	nf_pause("reexport");
	lose(f);
	nf_move.group_lost = nf_provider.hooks.records_of != NULL;
}

/* ---- the work between two packets ---- */

bool nf_src_again_pending(void)
{
	const struct nf_mflow *f = TAILQ_FIRST(&nf_move.again);

	return f && (nf_move.walk.done || f->epoch == 1);
}

bool nf_src_again_slice(struct nf_slice *sl)
{
	while (nf_src_again_pending()) {
		sl->full = !nf_src_has_room();
		if (!sl->full)
			sl->err = nf_src_export_flow(TAILQ_FIRST(&nf_move.again));
		if (sl->full || sl->err || nf_slice_over(sl))
			return true;
	}
	return false;
}
