/* SPDX-License-Identifier: BSD-2-Clause */
/* Deletion at the source, silent, when the linger is over. */
#include "evlog.h"
#include "move_src.h"
#include "pause.h"
#include "provider.h"

static int mark_outside(void *arg, const struct nfshim_flow *key)
{
	struct nfshim_flow rec[NF_RECORDS_MAX];
	unsigned n = nf_move_records_of(key, rec);

	for (unsigned i = 0; i < n; i++) {
		struct nf_mrecord *r;

		HASH_FIND(hh, nf_move.records, &rec[i], sizeof(rec[i]), r);
		if (r)
			r->outside = true;
	}
	return nf_slice_over(arg);
}

void nf_src_delete_start(void)
{
	struct nf_mrecord *r, *tmp;

	HASH_ITER (hh, nf_move.records, r, tmp)
		r->outside = false;
	nf_move.deleting = true;
	nf_move.cursor = nf_move.flows;
	nf_move.walk = (struct nf_walk){.scope = NFSHIM_PER_FLOW};
	nf_pause("delete");
}

static void delete_flow(struct nf_mflow *f)
{
	if (f->state != NF_FLOW_GONE && f->state != NF_FLOW_FINSENT)
		return;
	nf_provider.hooks.del(nf_provider.nf, NFSHIM_PER_FLOW, &f->key);
	nf_move_log(NF_EV_DELETE, f);
	f->state = NF_FLOW_OWN; /* whatever comes now is this NF's */
}

static bool delete_flows(struct nf_slice *sl)
{
	struct nf_mflow *f;

	while ((f = nf_move.cursor)) {
		nf_move.cursor = f->hh.next;
		delete_flow(f);
		if (nf_slice_over(sl))
			return true;
	}
	return false;
}

void nf_src_delete_before(const struct nfshim_flow *key)
{
	struct nf_mflow *f = nf_move_find(key);

	if (f)
		delete_flow(f);
	mark_outside(&(struct nf_slice){.until = UINT64_MAX}, key);
}

/* A host outside the space stays, though no live flow uses it: flows that come will be this NF's.
 */
static void delete_records(void)
{
	const struct nfshim_hooks *k = &nf_provider.hooks;
	struct nf_mrecord *r, *tmp;

	HASH_ITER (hh, nf_move.records, r, tmp)
		if (r->exported && !r->outside && nf_space_has_host(nf_move.space, &r->key))
			k->del(nf_provider.nf, NFSHIM_MULTI_FLOW, &r->key);
}

/* Flows first, then what is left is walked to find the records still in use. */
bool nf_src_delete_slice(struct nf_slice *sl)
{
	const struct nfshim_hooks *k = &nf_provider.hooks;
	struct nf_walk *w = &nf_move.walk;

	if (delete_flows(sl))
		return true;
	if (k->records_of && !w->done) {
		int more = k->list(nf_provider.nf, w->scope, &w->cursor, NF_WALK_BUCKETS,
				   mark_outside, sl);

		if (more > 0)
			return true;
		w->done = true;
	}
	if (k->records_of)
		delete_records();
	nf_move_over();
	return false;
}
