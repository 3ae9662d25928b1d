/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Export again (DESIGN §4: GAP, REEXP). A flow whose clones were lost on the
 * way is LOCAL again, in a new epoch: its packets are processed and not cloned
 * until its state is sent once more, in a safe point as the first time.
 *
 * Flows that share records: the destination reprocessed clones of others with
 * records that lacked updates. So with a flow that it asks for the whole group
 * is exported again, that is all flows which share a record with one of it; and
 * before that flow, since its state is the answer which BARRIER may wait for.
 * Every REEXP has an answer, even if a gap led to a new epoch meanwhile.
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

static void to_asked(struct nf_mflow *f)
{
	TAILQ_REMOVE(&nf_move.again, f, next_again);
	TAILQ_INSERT_TAIL(&nf_move.asked, f, next_again);
	f->asked = true;
}

void nf_src_again_done(struct nf_mflow *f)
{
	if (!f->again)
		return;
	if (f->asked)
		TAILQ_REMOVE(&nf_move.asked, f, next_again);
	else
		TAILQ_REMOVE(&nf_move.again, f, next_again);
	f->again = f->asked = false;
}

/* The out ring has no room for a clone that was never sent. */
void nf_src_gap(struct nf_mflow *f)
{
	nf_move.stats.gaps++;
	queue(f);
	nf_src_dirty_records_of(&f->key);
}

/* ---- REEXP ---- */

/* How many records of the flow were not lost before. */
static unsigned lose_records_of(const struct nfshim_flow *flow)
{
	struct nfshim_flow key[NF_RECORDS_MAX];
	unsigned n = nf_move_records_of(flow, key), newly = 0;

	for (unsigned i = 0; i < n; i++) {
		struct nf_mrecord *r = nf_move_record(&key[i]);

		if (!r)
			continue;
		newly += !r->lost;
		r->dirty = r->lost = true;
	}
	return newly;
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

/* The NF waits meanwhile: what so many looks at all flows do not settle is taken as one group. */
#define PASSES_MAX 4

void nf_src_lose_group(void)
{
	struct nf_mflow *f;
	bool more = nf_move.group_lost;

	for (int pass = 0; more; pass++) {
		more = false;
		for (f = nf_move.flows; f; f = f->hh.next) {
			if (f->state != NF_FLOW_CLONING && !f->again)
				continue;
			if (pass < PASSES_MAX && !has_lost(&f->key))
				continue;
			if (f->state == NF_FLOW_CLONING)
				queue(f);
			more |= lose_records_of(&f->key) > 0;
		}
	}
	nf_move.group_lost = false;
}

void nf_src_reexp(const struct nf_rec *r)
{
	struct nf_mflow *f = nf_move_find(&r->flow);

	/* No state is sent once D may be ready with all of it (I1). */
	if (!f || r->epoch > f->epoch || nf_move.phase >= NF_PHASE_MARKED ||
	    (f->state != NF_FLOW_CLONING && !f->again)) {
		nf_move.stats.discarded++;
		return;
	}
	nf_pause("reexport");
	if (f->state == NF_FLOW_CLONING)
		queue(f);
	if (!f->asked)
		to_asked(f);
	nf_move.group_lost |= lose_records_of(&f->key) > 0;
}

/* ---- the work between two packets ---- */

static struct nf_mflow *next(void)
{
	struct nf_mflow *f = TAILQ_FIRST(&nf_move.again);

	if (!f)
		f = TAILQ_FIRST(&nf_move.asked);
	return f && (nf_move.walk.done || f->epoch == 1) ? f : NULL;
}

bool nf_src_again_pending(void)
{
	return next() != NULL;
}

bool nf_src_again_slice(struct nf_slice *sl)
{
	struct nf_mflow *f;

	while ((f = next())) {
		sl->full = !nf_src_has_room();
		if (!sl->full)
			sl->err = nf_src_export_flow(f);
		if (sl->full || sl->err || nf_slice_over(sl))
			return true;
	}
	return false;
}
