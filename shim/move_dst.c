/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A move at its destination: DESIGN §4, "A flow at D".
 *
 * Theory of operation. Records arrive in stream order and are applied in that
 * order: STATE replaces, CLONE is reprocessed with output dropped, and v proves
 * that none is missing or applied twice. Packets that come straight from the
 * switch wait in the hold until their flow is committed (FIN.v == v). The hold
 * is one queue for the whole space, released from its head, so the switch's
 * order is kept within a flow and across flows that share a record. If it
 * fills, the flow at its head gives up order (DOWNGRADED), nothing is lost.
 */
#include <errno.h>

#include "evlog.h"
#include "log.h"
#include "move_dst.h"
#include "pause.h"
#include "provider.h"

#define FENCE_NS 2000000000u /* a destination cut off drops the space's packets so long */

static void hooks_del(enum nfshim_scope scope, const struct nfshim_flow *key)
{
	nf_provider.hooks.del(nf_provider.nf, scope, key);
}

/* Everything that came with the move, out of the NF again, silently. */
static void forget_flows(bool committed_too)
{
	struct nf_mrecord *r, *rtmp;
	struct nf_mflow *f, *tmp;

	HASH_ITER (hh, nf_move.flows, f, tmp) {
		if (f->state == NF_FLOW_OWN || (f->state == NF_FLOW_COMMITTED && !committed_too))
			continue;
		hooks_del(NFSHIM_PER_FLOW, &f->key);
		nf_move_log(NF_EV_DELETE, f);
	}
	HASH_ITER (hh, nf_move.records, r, rtmp)
		if (!r->was_here)
			hooks_del(NFSHIM_MULTI_FLOW, &r->key);
}

void nf_dst_failed(void)
{
	nf_move.forgotten = true;
	forget_flows(false);
}

/* ---- packets straight from the switch ---- */

bool nf_dst_before(const struct nf_packet_view *p, struct nf_sink *s)
{
	struct nfshim_flow key;
	struct nf_mflow *f;

	if (nf_mark_is(p->data, p->h->caplen)) {
		nf_move.stats.discarded++;
		return false;
	}
	if (!nf_move_key(p, s->linktype, &key))
		return true;
	f = nf_move_find(&key);
	if (!f && !nf_move.finall && nf_provider.hooks.has(nf_provider.nf, NFSHIM_PER_FLOW, &key))
		f = nf_move_add(&key, NF_FLOW_OWN);
	if ((f && f->state == NF_FLOW_OWN) || (nf_dst_all_is_ours() && !nf_move.linger_until))
		return true;
	if (nf_move.failed && nf_move.linger_until) {
		if (nf_evlog_on) /* cut off: the packet was never ours to process */
			nf_evlog_put(NF_EV_DROPPED, p->id, &p->flow, ECONNRESET, 0, false);
		nf_move.stats.discarded++;
		return false;
	}
	if (nf_dst_may_pass(f) && nf_hold_empty(&nf_move.hold) && !nf_sink_full(s))
		return true;
	return nf_dst_hold(p, &key, s);
}

/* ---- orders ---- */

void nf_dst_begin(const struct nf_rec *r)
{
	(void)r;
	nf_hold_init(&nf_move.hold, nf_move.opt.hold_packets, nf_move.opt.hold_bytes);
	nf_move.walk.scope = NFSHIM_PER_FLOW;
}

/* It is over once all that is still held was given to the NF. */
static void on_abort(void)
{
	if (nf_move.finall) {
		nf_move.stats.discarded++;
		return;
	}
	if (!nf_move.forgotten)
		nf_dst_failed();
	nf_move.failed = nf_move.aborted = true;
}

/* The source is dead: what it delivered is what there is (DESIGN §6). */
static void on_finish(void)
{
	struct nf_mflow *f, *tmp;

	HASH_ITER (hh, nf_move.flows, f, tmp) {
		if (f->state != NF_FLOW_SYNC && f->state != NF_FLOW_DOWNGRADED)
			continue;
		nf_report(NF_REC_UNFINISHED, f->version, &f->key, f->epoch, NULL, 0);
		nf_move.stats.unfinished++;
		nf_dst_commit(f);
	}
	nf_move.failed = false;
	nf_move.finall = true;
}

/* The route went back to the source, which kept its state: nothing of the move stays here. */
static void on_fence(void)
{
	struct nf_mflow *f, *tmp;

	HASH_ITER (hh, nf_move.flows, f, tmp)
		if (f->state == NF_FLOW_COMMITTED)
			nf_report(NF_REC_UNFINISHED, f->version, &f->key, f->epoch, NULL, 0);
	forget_flows(true);
	nf_dst_drop_held(ECANCELED);
	nf_move.forgotten = nf_move.failed = nf_move.aborted = true;
}

bool nf_dst_wants_sink(const struct nf_rec *r)
{
	return r->type == NF_REC_CLONE || r->type == NF_REC_FWD;
}

static void on_order(const struct nf_rec *r)
{
	switch (r->type) {
	case NF_REC_PREPARE:
		nf_pause("prepare");
		nf_move.no_drop = true;
		if (nf_move.phase < NF_PHASE_PREPARED)
			nf_move.phase = NF_PHASE_PREPARED;
		nf_report(NF_REC_PREPARED, 0, NULL, 0, NULL, 0);
		break;
	case NF_REC_ABORT:
		on_abort();
		break;
	case NF_REC_FINISH:
		on_finish();
		break;
	case NF_REC_FENCE:
		on_fence();
		break;
	case NF_REC_END:
		if (nf_move.phase == NF_PHASE_LINGER)
			nf_move_over();
		break;
	default:
		nf_move.stats.discarded++;
	}
}

void nf_dst_record(const struct nf_rec *r, const uint8_t *payload, struct nf_sink *s)
{
	bool was_failed = nf_move.failed;

	if (r->type >= NF_REC_STATE && r->type <= NF_REC_FWD) {
		if (!nf_move.failed)
			nf_dst_data(r, payload, s);
	} else {
		on_order(r);
	}
	if (nf_move.side == NF_SIDE_DST && nf_move.failed && !was_failed &&
	    nf_move.phase < NF_PHASE_READY)
		nf_dst_failed();
}

static int count_flow(void *arg, const struct nfshim_flow *key)
{
	uint64_t *n = arg;

	if (nf_space_has_flow(nf_move.space, key))
		++*n;
	return 0;
}

/* BEGUN tells how many flows of the space are here already: they stay ours. */
static bool begin_slice(void)
{
	static __thread uint64_t own;
	struct nf_walk *w = &nf_move.walk;
	int more;

	if (!w->cursor)
		own = 0;
	more = nf_provider.hooks.list(nf_provider.nf, NFSHIM_PER_FLOW, &w->cursor, 1024, count_flow,
				      &own);
	if (more > 0)
		return true;
	w->done = true;
	nf_pause("begin-dst");
	nf_report(NF_REC_BEGUN, own, NULL, 0, NULL, 0);
	return false;
}

static bool failed_step(struct nf_sink *s)
{
	nf_dst_release(s);
	/* A call that is full may be about to bring one more packet, which needs the hold. */
	if (!nf_hold_empty(&nf_move.hold) || (s && nf_sink_full(s)))
		return false;
	if (nf_move.aborted)
		nf_move_over();
	else if (nf_move.cut && nf_now_ns() >= nf_move.linger_until)
		nf_move_forget();
	return false;
}

bool nf_dst_step(struct nf_sink *s)
{
	if (nf_move.failed)
		return failed_step(s);
	if (!nf_move.walk.done)
		return begin_slice();
	if (nf_move.barrier && nf_move.no_drop && nf_move.phase < NF_PHASE_READY) {
		nf_pause("ready");
		nf_move.phase = NF_PHASE_READY;
		nf_report_stats(NF_REC_READY);
	}
	nf_dst_release(s);
	if (nf_move.finall && !nf_move.waiting && nf_hold_empty(&nf_move.hold) &&
	    nf_move.phase < NF_PHASE_LINGER) {
		nf_pause("committed");
		nf_move.phase = NF_PHASE_LINGER;
		nf_report_stats(NF_REC_COMMITTED);
	}
	return s && nf_dst_can_give() && nf_dst_gives_to() == s->capture;
}

/*
 * The helper died. Before READY the route cannot have changed: the flows are the source's, and all
 * packets that come here are ours. After it whoever still lives gives the flows back to the source,
 * unless all of them were committed: then only a helper that comes back can tell which it was.
 */
void nf_dst_link_lost(void)
{
	bool late = nf_move.phase >= NF_PHASE_READY;

	if (nf_move.phase == NF_PHASE_LINGER)
		return;
	nf_warn("move %llu: nfxfer is gone; the moved flows are given up here",
		(unsigned long long)nf_move.id);
	if (!nf_move.forgotten || late)
		forget_flows(late);
	if (late) {
		nf_dst_drop_held(ECONNRESET);
		nf_move.linger_until = nf_now_ns() + FENCE_NS;
	}
	nf_move.forgotten = nf_move.failed = nf_move.cut = true;
}

/* The input ended. An NF that only broke off may come back for what was held, if that is its own.
 */
void nf_dst_quit(void)
{
	bool ours;

	if (nf_move.phase == NF_PHASE_LINGER)
		return;
	nf_move_fail(-ESHUTDOWN, "the destination NF ended during the move");
	ours = nf_dst_all_is_ours();
	if (!nf_move.forgotten || !ours)
		forget_flows(true);
	nf_move.forgotten = true;
	if (!ours)
		nf_dst_drop_held(ESHUTDOWN);
}
