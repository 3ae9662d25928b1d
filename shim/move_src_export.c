/* SPDX-License-Identifier: BSD-2-Clause */
/* Export at the source: late locking, flow by flow, and the records that flows share. */
#include <errno.h>
#include <string.h>

#include "evlog.h"
#include "move_src.h"
#include "pause.h"
#include "provider.h"

#define BLOB_MAX (NF_REC_MAX - sizeof(struct nf_rec))

/* STATE of @key; of a flow: @f. 0, -ENOENT: the NF has none, -ENOBUFS: ring full, other: reported.
 */
static int send_state(enum nfshim_scope scope, const struct nfshim_flow *key,
		      const struct nf_mflow *f)
{
	const struct nfshim_hooks *k = &nf_provider.hooks;
	uint8_t *blob = nf_scratch();
	ssize_t n = k->get(nf_provider.nf, scope, key, blob, BLOB_MAX);
	char text[NF_FLOW_TEXT];
	struct nf_rec *r;

	if (n == -ENOENT)
		return -ENOENT;
	if (n < 0 || n > (ssize_t)BLOB_MAX) {
		nf_move_fail(n < 0 ? (int)n : -EMSGSIZE, "%s could not export %s: %s", k->name,
			     nf_flow_format(key, text, sizeof(text)),
			     strerror(n < 0 ? (int)-n : EMSGSIZE));
		return -EIO;
	}
	r = nf_src_reserve((uint32_t)(sizeof(*r) + (size_t)n));
	if (!r)
		return -ENOBUFS;
	memset(r, 0, sizeof(*r));
	r->len = (uint32_t)(sizeof(*r) + (size_t)n);
	r->type = NF_REC_STATE;
	r->scope = (uint8_t)scope;
	r->move = nf_move.id;
	r->flow = *key;
	if (f) {
		r->epoch = f->epoch;
		r->version = f->version;
		r->flags = f->asked ? NF_REC_ANSWER : 0;
	}
	memcpy(r + 1, blob, (size_t)n);
	if (f) /* before D can import it */
		nf_move_log(NF_EV_EXPORT, f);
	nf_src_commit(r);
	nf_move.stats.state_bytes += (uint64_t)n;
	if (!f) {
		nf_move.stats.records++;
	} else if (f->epoch) {
		nf_move.stats.again++;
		nf_move.stats.again_bytes += (uint64_t)n;
	} else {
		nf_move.stats.flows++;
	}
	return 0;
}

/* Bring D's copy of a record up to date if a LOCAL flow changed it since. */
static int clean_record(struct nf_mrecord *r)
{
	int err = 0;

	if (!r)
		return -ENOMEM;
	if (r->exported && !r->dirty)
		return 0;
	err = send_state(NFSHIM_MULTI_FLOW, &r->key, NULL);
	if (err && err != -ENOENT)
		return err;
	r->exported = true;
	r->dirty = r->lost = false;
	return 0;
}

int nf_src_clean_records_of(const struct nfshim_flow *flow)
{
	struct nfshim_flow key[NF_RECORDS_MAX];
	unsigned n = nf_move_records_of(flow, key);
	int err = 0;

	for (unsigned i = 0; i < n && !err; i++)
		err = clean_record(nf_move_record(&key[i]));
	return err;
}

/* D has an older state of a flow that has ended here. */
static int send_gone(const struct nf_mflow *f)
{
	struct nf_rec *r = nf_src_reserve(sizeof(*r));

	if (!r)
		return -ENOBUFS;
	memset(r, 0, sizeof(*r));
	r->len = sizeof(*r);
	r->type = NF_REC_STATE;
	r->scope = NFSHIM_PER_FLOW;
	r->flags = NF_REC_GONE | (f->asked ? NF_REC_ANSWER : 0);
	r->move = nf_move.id;
	r->flow = f->key;
	r->epoch = f->epoch;
	nf_src_commit(r);
	return 0;
}

/* Snapshot, mark and enqueue in one safe point. */
int nf_src_export_flow(struct nf_mflow *f)
{
	int err = nf_src_clean_records_of(&f->key);

	if (!err)
		err = send_state(NFSHIM_PER_FLOW, &f->key, f);
	if (err == -ENOENT) { /* freed since it was seen: it begins anew, on both sides */
		f->version = 0;
		err = f->epoch ? send_gone(f) : 0;
		if (!err)
			nf_move_log(NF_EV_EXPORT, f);
	}
	if (err)
		return err;
	f->state = NF_FLOW_CLONING;
	nf_src_again_done(f);
	return 0;
}

void nf_src_dirty_records_of(const struct nfshim_flow *flow)
{
	struct nfshim_flow key[NF_RECORDS_MAX];
	unsigned n = nf_move_records_of(flow, key);

	for (unsigned i = 0; i < n; i++) {
		struct nf_mrecord *r = nf_move_record(&key[i]);

		if (r)
			r->dirty = true;
	}
}

/* ---- the walk over the NF's keys ---- */

static bool over(struct nf_slice *sl)
{
	sl->full = !nf_src_has_room();
	return nf_slice_over(sl);
}

static int walk_flow(void *arg, const struct nfshim_flow *key)
{
	struct nf_mflow *f = nf_move_find(key);
	struct nfshim_flow rec[NF_RECORDS_MAX];
	struct nf_slice *sl = arg;
	unsigned n;

	if (!nf_space_has_flow(nf_move.space, key)) {
		n = nf_move_records_of(key, rec);
		for (unsigned i = 0; i < n; i++) {
			struct nf_mrecord *r = nf_move_record(&rec[i]);

			if (r)
				r->outside = true;
		}
		return over(sl);
	}
	if (f && f->state != NF_FLOW_LOCAL)
		return 0; /* began during the move */
	if (!f)
		f = nf_move_add(key, NF_FLOW_LOCAL);
	if (!f)
		return 1;
	sl->err = nf_src_export_flow(f);
	nf_pause("export");
	return sl->err || over(sl);
}

static int walk_record(void *arg, const struct nfshim_flow *key)
{
	struct nf_slice *sl = arg;

	if (!nf_space_has_host(nf_move.space, key))
		return 0;
	sl->err = clean_record(nf_move_record(key));
	return sl->err || over(sl);
}

static void count_shared(void)
{
	struct nf_mrecord *r, *tmp;

	HASH_ITER (hh, nf_move.records, r, tmp)
		if (r->outside && r->exported)
			nf_move.stats.shared++;
}

static void exported_all(void)
{
	nf_move.walk.done = true;
	count_shared();
	nf_pause("exported");
	if (nf_move.phase < NF_PHASE_EXPORTED)
		nf_move.phase = NF_PHASE_EXPORTED;
	nf_report_stats(NF_REC_EXPORTED);
}

/* Flows seen before the walk came to them, which it then did not find: the NF frees flows in
 * packets. */
static bool export_left(struct nf_slice *sl)
{
	struct nf_mflow *f;
	bool local;

	while ((f = nf_move.cursor)) {
		local = f->state == NF_FLOW_LOCAL;
		if (local)
			sl->err = nf_src_export_flow(f);
		if (sl->err)
			return true;
		nf_move.cursor = f->hh.next;
		if (nf_move.cursor && (local ? over(sl) : nf_now_ns() >= sl->until))
			return true;
	}
	nf_move.listed = true;
	return false;
}

static bool list(struct nf_slice *sl)
{
	const struct nfshim_hooks *k = &nf_provider.hooks;
	struct nf_walk *w = &nf_move.walk;
	int more = k->list(nf_provider.nf, w->scope, &w->cursor, NF_WALK_BUCKETS,
			   w->scope == NFSHIM_PER_FLOW ? walk_flow : walk_record, sl);

	if (more < 0)
		nf_move_fail(more, "%s could not list its flows: %s", k->name, strerror(-more));
	return more || sl->err;
}

/* Flows, flows left, records. True if there is more. */
static bool export_next(struct nf_slice *sl)
{
	struct nf_walk *w = &nf_move.walk;

	if (!w->left && list(sl))
		return true;
	if (w->scope == NFSHIM_PER_FLOW && !w->left) {
		w->left = true;
		nf_move.cursor = nf_move.flows;
	}
	if (!nf_move.listed && export_left(sl))
		return true;
	if (w->scope == NFSHIM_PER_FLOW && nf_provider.hooks.records_of) {
		*w = (struct nf_walk){.scope = NFSHIM_MULTI_FLOW};
		return true;
	}
	if (nf_src_again_slice(sl))
		return true;
	exported_all();
	return false;
}

bool nf_src_export_slice(struct nf_slice *sl)
{
	bool more;

	sl->full = !nf_src_has_room();
	if (sl->full || nf_now_ns() >= sl->until)
		return true;
	more = export_next(sl);
	if (sl->err == -ENOBUFS)
		nf_move_fail(-ENOBUFS, "the ring to nfxfer is full: is nfxfer running?");
	return more;
}
