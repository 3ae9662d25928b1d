/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A move at its source: DESIGN §4, "A flow at S".
 *
 * Theory of operation. The NF goes on processing every packet. Its flows of the
 * space are exported in slices between packets (late locking: a flow is LOCAL
 * until its own turn); from then on each of its packets is copied to the
 * destination once the NF has processed it (CLONING). Snapshot and state change
 * happen in one safe point, so the clones continue the snapshot exactly.
 *
 * Records that several flows share (multi-flow state) follow one rule: before
 * a packet of a CLONING flow is processed, every record it may touch is clean
 * at the destination, that is, exported and not changed since by a LOCAL flow.
 * The destination applies STATE and CLONE in stream order, so it makes the
 * same change to the same record.
 *
 * Where a clone cannot be sent, or the destination could not keep it, the flow
 * is exported once more (move_src_again.c).
 *
 * MARK ends it: the switch sends nothing more, each flow is offered with FIN,
 * stragglers are forwarded (FWD), and what is acknowledged by DONE is deleted
 * silently after the linger.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "evlog.h"
#include "in_pcap.h"
#include "log.h"
#include "move_src.h"
#include "pause.h"
#include "provider.h"
#include "signals.h"

bool nf_slice_over(struct nf_slice *sl)
{
	if (sl->left && --sl->left == 0)
		return true;
	return sl->full || nf_now_ns() >= sl->until;
}

static bool fin_slice(struct nf_slice *sl)
{
	struct nf_mflow *f = nf_move.cursor;

	while (f) {
		struct nf_mflow *next = f->hh.next;

		if (f->state == NF_FLOW_CLONING) {
			sl->full = !nf_src_push(NF_REC_FIN, f);
			if (sl->full)
				break;
			f->state = NF_FLOW_FINSENT;
			nf_move.waiting++;
			nf_pause("fin");
		}
		f = next;
		if (nf_slice_over(sl))
			break;
	}
	nf_move.cursor = f;
	if (f)
		return true;
	nf_pause("finall");
	nf_move.finall = nf_src_push(NF_REC_FINALL, NULL);
	sl->full = !nf_move.finall;
	return sl->full;
}

static void released(void)
{
	nf_pause("released");
	nf_move.phase = NF_PHASE_LINGER;
	nf_move.linger_until = nf_now_ns() + (uint64_t)nf_move.opt.linger_ms * 1000000u;
	nf_report_stats(NF_REC_RELEASED);
}

static bool step(struct nf_slice *sl)
{
	if (nf_move.deleting)
		return nf_src_delete_slice(sl);
	if (nf_move.phase == NF_PHASE_LINGER) {
		if (nf_now_ns() < nf_move.linger_until)
			return false;
		nf_src_delete_start();
		return true;
	}
	if (nf_move.failed)
		return false;
	nf_src_lose_group(); /* before anything cleans a record of it */
	if (!nf_move.walk.done)
		return nf_src_export_slice(sl);
	if (nf_src_again_slice(sl))
		return !sl->err;
	if (nf_move.no_drop && !nf_move.barrier) {
		nf_pause("barrier");
		nf_move.barrier = nf_src_push(NF_REC_BARRIER, NULL);
		return !nf_move.barrier;
	}
	if (nf_move.phase < NF_PHASE_MARKED)
		return false;
	if (!nf_move.finall && nf_src_link())
		return fin_slice(sl);
	if (nf_move.finall && !nf_move.waiting)
		released();
	return false;
}

static bool has_work(void)
{
	return nf_move.deleting || !nf_move.walk.done || nf_src_again_pending() ||
	       (nf_move.phase == NF_PHASE_MARKED && !nf_move.finall);
}

bool nf_src_step(void)
{
	struct nf_slice sl = {.left = nf_move.opt.slice_flows};
	uint64_t t0 = nf_now_ns(), dt;
	bool more, work = has_work();

	sl.until = t0 + (uint64_t)nf_move.opt.slice_us * 1000u;
	do {
		more = step(&sl);
	} while (more && nf_move.side == NF_SIDE_SRC && !nf_move.opt.slice_flows &&
		 !nf_slice_over(&sl));
	dt = nf_now_ns() - t0;
	if (nf_move.side == NF_SIDE_SRC) {
		nf_move.stats.slices += work;
		if (dt > nf_move.stats.slice_max_ns)
			nf_move.stats.slice_max_ns = dt;
	}
	return more;
}

/* ---- packets ---- */

static void marked(void)
{
	nf_pause("mark");
	nf_move.phase = NF_PHASE_MARKED;
	nf_move.cursor = nf_move.flows;
	nf_report_stats(NF_REC_MARKED);
	if (nf_src_link() && !nf_move.failed)
		return;
	/* No FIN can be told truthfully any more: D goes on with what it has. */
	for (struct nf_mflow *f = nf_move.flows; f; f = f->hh.next)
		f->state = NF_FLOW_GONE;
	nf_move.finall = true;
	nf_move.waiting = 0;
	released();
}

void nf_src_mark(const struct nf_packet_view *p)
{
	uint32_t all = (uint32_t)((1ull << nf_move.opt.marks) - 1);

	if (nf_mark_accept(p->data, p->h->caplen)) {
		if (nf_move.phase < NF_PHASE_MARKED && nf_move.barrier && nf_move.marks_seen == all)
			marked();
	} else {
		nf_move.stats.discarded++;
	}
}

static struct nf_rec *packet_record(enum nf_rec_type t, const struct nf_packet_view *p,
				    const struct nf_mflow *f)
{
	struct nf_rec *r = nf_src_reserve((uint32_t)sizeof(*r) + p->h->caplen);

	if (!r)
		return NULL;
	memset(r, 0, sizeof(*r));
	r->len = (uint32_t)sizeof(*r) + p->h->caplen;
	r->type = (uint8_t)t;
	r->capture = (uint8_t)nf_capture_number(p->capture);
	r->move = nf_move.id;
	r->flow = f->key;
	r->epoch = f->epoch;
	r->wirelen = p->h->len;
	r->sec = p->sec;
	r->nsec = p->nsec;
	memcpy(r + 1, p->data, p->h->caplen);
	return r;
}

/* The straggler's flow is D's. Without a helper the NF here is the best place left. */
static bool forward(struct nf_mflow *f, const struct nf_packet_view *p)
{
	/* A helper that came later has no stream to the destination. */
	struct nf_rec *r = nf_move.cut ? NULL : packet_record(NF_REC_FWD, p, f);

	if (!r) {
		nf_move.stats.unfinished++;
		return true;
	}
	nf_src_commit(r);
	nf_move.stats.fwd++;
	if (nf_evlog_on)
		nf_evlog_put(NF_EV_SENT_FWD, p->id, &p->flow, f->version, f->epoch, false);
	return false;
}

/* A flow without an entry: one that began during the move, or that awaits its export. */
static struct nf_mflow *first_seen(const struct nfshim_flow *key)
{
	const struct nfshim_hooks *k = &nf_provider.hooks;
	struct nf_mflow *f;

	if (k->has(nf_provider.nf, NFSHIM_PER_FLOW, key)) {
		f = nf_move_add(key, NF_FLOW_LOCAL);
		if (f && nf_move.listed && (nf_move.barrier || nf_src_export_flow(f)))
			nf_move_fail(-EPROTO, "a flow turned up that the listing had left out");
		return f;
	}
	f = nf_move_add(key, nf_move.finall ? NF_FLOW_FINSENT : NF_FLOW_CLONING);
	nf_move.stats.new_flows++;
	/* fin_slice walks the table in order of insertion: it will come to this one. */
	if (f && nf_move.phase == NF_PHASE_MARKED && !nf_move.cursor)
		nf_move.cursor = f;
	return f;
}

/* Between before() and after(): the flow and the clone that is being made. */
static __thread struct nf_mflow *now;
static __thread struct nf_rec *clone;

bool nf_src_before(const struct nf_packet_view *p, struct nf_sink *s)
{
	struct nfshim_flow key;

	now = NULL;
	clone = NULL;
	if (nf_mark_is(p->data, p->h->caplen)) {
		nf_src_mark(p);
		return false;
	}
	if (nf_move.deleting) {
		nf_move_flow_key(p, s->linktype, &key);
		nf_src_delete_before(&key);
		return true;
	}
	if (nf_move.failed || !nf_move_key(p, s->linktype, &key))
		return true;
	nf_move.bytes_in += p->h->caplen;
	now = nf_move_find(&key);
	if (!now)
		now = first_seen(&key);
	if (!now)
		return true;
	if (now->state == NF_FLOW_FINSENT || now->state == NF_FLOW_GONE)
		return forward(now, p);
	if (now->state != NF_FLOW_CLONING)
		return true;
	if (nf_move.opt.guarantee == NF_NONE)
		return true;
	if (nf_src_clean_records_of(&now->key) == 0)
		clone = packet_record(NF_REC_CLONE, p, now);
	return true;
}

void nf_src_after(const struct nf_packet_view *p)
{
	if (!now || nf_move.failed)
		return;
	/* Without a guarantee D gets the state as it was exported, and FIN says so. */
	if (nf_move.opt.guarantee == NF_NONE && now->state == NF_FLOW_CLONING)
		return;
	now->version++;
	if (now->state == NF_FLOW_LOCAL) {
		nf_src_dirty_records_of(&now->key);
		return;
	}
	if (now->state != NF_FLOW_CLONING)
		return;
	if (!clone) {
		if (nf_move.no_drop || !nf_src_link())
			nf_move_fail(-ENOBUFS, "the helper did not take clones for 10 ms: the peer "
					       "or the link is too slow; try again, or raise "
					       "--reserve-bytes");
		else
			nf_src_gap(now);
		return;
	}
	clone->version = now->version;
	nf_src_commit(clone);
	nf_move.stats.clones++;
	nf_move.stats.clone_bytes += p->h->caplen;
}

/* ---- orders ---- */

void nf_src_begin(const struct nf_rec *r)
{
	(void)r;
	nf_move.walk.scope = NFSHIM_PER_FLOW;
	TAILQ_INIT(&nf_move.again);
	TAILQ_INIT(&nf_move.asked);
	nf_pause("begin-src");
	nf_report(NF_REC_BEGUN, 0, NULL, 0, NULL, 0);
}

static void done(const struct nf_rec *r)
{
	struct nf_mflow *f = nf_move_find(&r->flow);

	if (!f || f->state != NF_FLOW_FINSENT || r->epoch != f->epoch) {
		nf_move.stats.discarded++;
		return;
	}
	nf_pause("done");
	f->state = NF_FLOW_GONE;
	if (nf_move.waiting)
		nf_move.waiting--;
}

/* The route went back: what D had to itself is named, the rest was never away. */
static void revert(void)
{
	for (struct nf_mflow *f = nf_move.flows; f; f = f->hh.next)
		if (f->state == NF_FLOW_GONE)
			nf_report(NF_REC_UNFINISHED, 0, &f->key, f->epoch, NULL, 0);
	nf_move_over();
}

void nf_src_record(const struct nf_rec *r)
{
	switch (r->type) {
	case NF_REC_PREPARE:
		nf_pause("prepare");
		nf_move.no_drop = true;
		if (nf_move.phase < NF_PHASE_PREPARED)
			nf_move.phase = NF_PHASE_PREPARED;
		break;
	case NF_REC_ABORT:
		if (nf_move.phase < NF_PHASE_MARKED)
			nf_move_over();
		break;
	case NF_REC_REVERT:
		revert();
		break;
	case NF_REC_END:
		if (nf_move.phase == NF_PHASE_LINGER)
			nf_move.linger_until = 0;
		break;
	case NF_REC_DONE:
		done(r);
		break;
	case NF_REC_REEXP:
		nf_src_reexp(r);
		break;
	default:
		nf_move.stats.discarded++;
	}
}

/* The helper died. Before PREPARE the move cannot have gone on; after it only MARK or a helper
 * that comes back can tell (DESIGN §6). */
void nf_src_link_lost(void)
{
	nf_move.cut = true;
	if (nf_move.phase < NF_PHASE_PREPARED) {
		nf_move_forget();
		return;
	}
	nf_move.failed = nf_move.phase < NF_PHASE_MARKED;
	if (nf_move.phase == NF_PHASE_MARKED) {
		for (struct nf_mflow *f = nf_move.flows; f; f = f->hh.next)
			f->state = NF_FLOW_GONE;
		nf_move.finall = true;
		nf_move.waiting = 0;
		released();
	}
}

void nf_src_quit(void)
{
	struct nf_slice all = {.until = UINT64_MAX};

	if (nf_move.phase < NF_PHASE_LINGER) {
		nf_move_fail(-ESHUTDOWN, "the source NF ended during the move");
		return;
	}
	if (!nf_move.deleting)
		nf_src_delete_start();
	while (nf_move.side == NF_SIDE_SRC && nf_src_delete_slice(&all))
		;
}
