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
#include <stdlib.h>
#include <string.h>

#include "evlog.h"
#include "log.h"
#include "move.h"
#include "pause.h"
#include "provider.h"

#define FENCE_NS 2000000000u /* a destination cut off drops the space's packets so long */

static char text[NF_FLOW_TEXT];

static const char *name_of(const struct nfshim_flow *f)
{
	return nf_flow_format(f, text, sizeof(text));
}

static bool hooks_has(enum nfshim_scope scope, const struct nfshim_flow *key)
{
	return nf_provider.hooks.has(nf_provider.nf, scope, key);
}

static void hooks_del(enum nfshim_scope scope, const struct nfshim_flow *key)
{
	nf_provider.hooks.del(nf_provider.nf, scope, key);
}

static struct nf_mrecord *note_record(const struct nfshim_flow *key)
{
	struct nf_mrecord *r;

	HASH_FIND(hh, nf_move.records, key, sizeof(*key), r);
	if (r)
		return r;
	r = nf_move_record(key);
	if (r)
		r->was_here = hooks_has(NFSHIM_MULTI_FLOW, key);
	return r;
}

/* The entry of a flow that the source speaks of; a flow of ours aborts the move. */
static struct nf_mflow *moving_flow(const struct nfshim_flow *key)
{
	struct nfshim_flow rec[NF_RECORDS_MAX];
	struct nf_mflow *f = nf_move_find(key);
	unsigned n;

	if (!f && hooks_has(NFSHIM_PER_FLOW, key))
		f = nf_move_add(key, NF_FLOW_OWN);
	if (f && f->state == NF_FLOW_OWN) {
		nf_move_fail(-EEXIST, "the destination already has a live flow %s of its own",
			     name_of(key));
		return NULL;
	}
	if (f)
		return f;
	f = nf_move_add(key, NF_FLOW_SYNC);
	if (!f)
		return NULL;
	nf_move.waiting++;
	n = nf_move_records_of(key, rec);
	for (unsigned i = 0; i < n; i++)
		note_record(&rec[i]);
	return f;
}

/* Everything that came with the move, out of the NF again, silently. */
static void forget_flows(bool committed_too)
{
	struct nf_mrecord *r, *rtmp;
	struct nf_mflow *f, *tmp;

	HASH_ITER(hh, nf_move.flows, f, tmp) {
		if (f->state == NF_FLOW_OWN || (f->state == NF_FLOW_COMMITTED && !committed_too))
			continue;
		hooks_del(NFSHIM_PER_FLOW, &f->key);
		nf_move_log(NF_EV_DELETE, f);
	}
	HASH_ITER(hh, nf_move.records, r, rtmp)
		if (!r->was_here)
			hooks_del(NFSHIM_MULTI_FLOW, &r->key);
}

/* Packets of the space are not ours to process; the others wait for an input call. */
static void drop_held(int why)
{
	struct nf_hold kept;
	struct nf_held *e;

	nf_hold_init(&kept, nf_move.hold.max_packets, nf_move.hold.max_bytes);
	while ((e = nf_hold_pop(&nf_move.hold))) {
		if (!e->moving) {
			nf_hold_append(&kept, e);
			continue;
		}
		if (nf_evlog_on)
			nf_evlog_put(NF_EV_DROPPED, e->id, &e->flow, (uint64_t)why, 0, false);
		free(e);
	}
	nf_hold_take(&nf_move.hold, &kept);
}

static void log_packet(enum nf_ev what, uint64_t id, const u_char *data, uint32_t caplen,
		       const struct nf_mflow *f)
{
	struct nfshim_flow key;

	nf_flow_parse(data, caplen, nf_move.frags, &key, NULL);
	nf_evlog_put(what, id, &key, f ? f->version : 0, f ? f->epoch : 0,
		     what == NF_EV_FORWARDED || what == NF_EV_PROCESSED);
}

static void give_held(struct nf_sink *s)
{
	struct nf_held *e = nf_hold_pop(&nf_move.hold);

	if (nf_evlog_on)
		log_packet(e->moving ? NF_EV_FORWARDED : NF_EV_PROCESSED, e->id, e->data,
			   e->h.caplen, e->moving ? nf_move_find(&e->flow) : NULL);
	nf_give(s, &e->h, e->data, false);
	free(e);
}

bool nf_dst_give_all(struct nf_sink *s)
{
	while (!nf_sink_full(s) && !nf_hold_empty(&nf_move.hold))
		give_held(s);
	return nf_hold_empty(&nf_move.hold);
}

void nf_dst_keep(const struct nf_packet_view *p)
{
	if (nf_hold_push(&nf_move.hold, NULL, p->h, p->data, p->id))
		nf_engine_fail("out of memory for the hold");
}

static bool may_pass(const struct nf_mflow *f)
{
	if (!f)
		return nf_move.finall;
	return f->state == NF_FLOW_COMMITTED || f->state == NF_FLOW_DOWNGRADED ||
	       f->state == NF_FLOW_OWN;
}

/* The move has failed here, and no packet is anybody else's. */
static bool all_is_ours(void)
{
	return nf_move.failed && (nf_move.aborted || nf_move.linger_until ||
				  nf_move.phase < NF_PHASE_READY);
}

bool nf_dst_can_give(void)
{
	const struct nf_held *e = nf_hold_head(&nf_move.hold);

	return e && (!e->moving || all_is_ours() || may_pass(nf_move_find(&e->flow)));
}

static void release(struct nf_sink *s)
{
	while (s && !nf_sink_full(s) && nf_dst_can_give())
		give_held(s);
}

static void failed(void)
{
	nf_move.forgotten = true;
	forget_flows(false);
}

/* ---- packets straight from the switch ---- */

static void downgrade(const struct nfshim_flow *key)
{
	struct nf_mflow *f = nf_move_find(key);

	if (!f) {
		f = nf_move_add(key, NF_FLOW_SYNC);
		if (!f)
			return;
		nf_move.waiting++;
	}
	if (f->state == NF_FLOW_SYNC) {
		f->state = NF_FLOW_DOWNGRADED;
		nf_move.stats.downgraded++;
	}
}

static void downgrade_head(struct nf_sink *s)
{
	const struct nf_held *e = nf_hold_head(&nf_move.hold);

	if (e->moving)
		downgrade(&e->flow);
	give_held(s);
}

/* True: the caller gives it to the NF itself. */
static bool hold(const struct nf_packet_view *p, const struct nfshim_flow *key, struct nf_sink *s)
{
	struct nf_hold *h = &nf_move.hold;

	while (nf_hold_full(h, p->h->caplen)) {
		if (nf_move.phase < NF_PHASE_READY) {
			nf_move_fail(-ENOBUFS, "the hold was full before the route changed: "
					       "packets of the space already reach the destination");
			failed();
			release(s); /* those before it */
			return true;
		}
		if (nf_sink_full(s))
			break; /* over the cap, by no more than one input call brings */
		if (nf_hold_empty(h)) { /* larger than the whole hold */
			downgrade(key);
			return true;
		}
		downgrade_head(s);
	}
	if (nf_hold_push(h, key, p->h, p->data, p->id)) {
		nf_engine_fail("out of memory for the hold");
		return true;
	}
	nf_move.stats.held++;
	if (h->packets > nf_move.stats.held_max)
		nf_move.stats.held_max = h->packets;
	if (h->bytes > nf_move.stats.held_bytes_max)
		nf_move.stats.held_bytes_max = h->bytes;
	if (nf_evlog_on)
		log_packet(NF_EV_HELD, p->id, p->data, p->h->caplen, NULL);
	release(s);
	return false;
}

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
	if (!f && !nf_move.finall && hooks_has(NFSHIM_PER_FLOW, &key))
		f = nf_move_add(&key, NF_FLOW_OWN);
	if ((f && f->state == NF_FLOW_OWN) || (all_is_ours() && !nf_move.linger_until))
		return true;
	if (nf_move.failed && nf_move.linger_until) {
		if (nf_evlog_on) /* cut off: the packet was never ours to process */
			nf_evlog_put(NF_EV_DROPPED, p->id, &p->flow, ECONNRESET, 0, false);
		nf_move.stats.discarded++;
		return false;
	}
	if (may_pass(f) && nf_hold_empty(&nf_move.hold) && !nf_sink_full(s))
		return true;
	return hold(p, &key, s);
}

/* ---- the source's records ---- */

static void on_state_shared(const struct nf_rec *r, const uint8_t *payload)
{
	int err;

	if (!note_record(&r->flow))
		return;
	err = nf_provider.hooks.put(nf_provider.nf, NFSHIM_MULTI_FLOW, &r->flow, payload,
				    nf_rec_payload(r));
	if (err) {
		nf_move_fail(err, "%s could not import %s: %s", nf_provider.hooks.name,
			     name_of(&r->flow), strerror(-err));
		return;
	}
	nf_move.stats.records++;
	nf_move.stats.state_bytes += nf_rec_payload(r);
}

static void on_state(const struct nf_rec *r, const uint8_t *payload)
{
	struct nf_mflow *f = moving_flow(&r->flow);
	int err = 0;

	if (!f)
		return;
	if (f->state != NF_FLOW_SYNC || nf_move.phase >= NF_PHASE_READY) {
		nf_move_fail(-EPROTO, "the source sent state of %s when it was too late for it",
			     name_of(&r->flow));
		return;
	}
	if (r->epoch < f->epoch) {
		nf_move.stats.discarded++;
		return;
	}
	if (r->flags & NF_REC_GONE)
		hooks_del(NFSHIM_PER_FLOW, &r->flow);
	else
		err = nf_provider.hooks.put(nf_provider.nf, NFSHIM_PER_FLOW, &r->flow, payload,
					    nf_rec_payload(r));
	if (err) {
		nf_move_fail(err, "%s could not import %s: %s", nf_provider.hooks.name,
			     name_of(&r->flow), strerror(-err));
		return;
	}
	f->epoch = r->epoch;
	f->version = r->version;
	f->imported = true;
	nf_move.stats.flows++;
	nf_move.stats.state_bytes += nf_rec_payload(r);
	nf_move_log(NF_EV_IMPORT, f);
}

static u_char packet[NF_REC_MAX];

/* The NF must not see memory that the helper can change under it. */
static const struct pcap_pkthdr *packet_of(const struct nf_rec *r, const uint8_t *payload,
					   const struct nf_sink *s)
{
	static struct pcap_pkthdr h;
	uint32_t n = nf_rec_payload(r);

	if (s->snaplen > 0 && n > (uint32_t)s->snaplen)
		n = (uint32_t)s->snaplen;
	memcpy(packet, payload, n);
	h.ts.tv_sec = r->sec;
	h.ts.tv_usec = s->nanosec ? r->nsec : r->nsec / 1000;
	h.caplen = n;
	h.len = r->wirelen < n ? n : r->wirelen;
	return &h;
}

/* Output of a packet that is another flow's must not be dropped, whatever the source says. Of a
 * fragment whose first one was not cloned only the ports are unknown. */
static bool is_of(const struct nf_packet_view *p, int linktype, const struct nfshim_flow *f)
{
	struct nfshim_flow key, bare = *f;

	nf_move_flow_key(p, linktype, &key);
	bare.port[0] = bare.port[1] = 0;
	nf_flow_canon(&bare);
	return !memcmp(&key, f, sizeof(key)) || !memcmp(&key, &bare, sizeof(key));
}

static void on_clone(const struct nf_rec *r, const uint8_t *payload, struct nf_sink *s)
{
	const struct pcap_pkthdr *h = packet_of(r, payload, s);
	struct nf_packet_view p = {.h = h, .data = packet, .sec = r->sec, .nsec = r->nsec};
	struct nf_mflow *f;

	if (!is_of(&p, s->linktype, &r->flow)) {
		nf_move_fail(-EPROTO, "the source sent a packet of another flow as one of %s",
			     name_of(&r->flow));
		return;
	}
	f = moving_flow(&r->flow);
	if (!f)
		return;
	if (f->state == NF_FLOW_COMMITTED || r->epoch != f->epoch || r->version <= f->version) {
		nf_move.stats.discarded++;
		return;
	}
	if (r->version != f->version + 1) {
		nf_move_fail(-EPROTO, "updates of %s are missing", name_of(&r->flow));
		return;
	}
	if (!f->version && !f->imported)
		nf_move.stats.new_flows++;
	f->version = r->version;
	if (nf_evlog_on)
		log_packet(NF_EV_REPROCESSED, nf_evlog_id(payload, nf_rec_payload(r), h->len),
			   payload, nf_rec_payload(r), f);
	nf_give(s, h, packet, true);
	nf_move.stats.clones++;
	nf_move.stats.clone_bytes += nf_rec_payload(r);
}

static void commit(struct nf_mflow *f)
{
	if (f->state != NF_FLOW_SYNC && f->state != NF_FLOW_DOWNGRADED)
		return;
	f->state = NF_FLOW_COMMITTED;
	nf_move.waiting--;
	nf_move_log(NF_EV_COMMIT, f);
	nf_pause("done");
	nf_report(NF_REC_DONE, f->version, &f->key, f->epoch, NULL, 0);
}

static void on_fin(const struct nf_rec *r)
{
	struct nf_mflow *f = moving_flow(&r->flow);

	if (!f || f->state == NF_FLOW_COMMITTED)
		return;
	if (r->epoch == f->epoch && r->version == f->version)
		commit(f);
	else
		nf_move_fail(-EPROTO, "updates of %s are missing at the end", name_of(&r->flow));
}

/* Downgraded flows that the source never spoke of began here: no FIN comes for them. */
static void on_finall(void)
{
	struct nf_mflow *f, *tmp;

	nf_move.finall = true;
	HASH_ITER(hh, nf_move.flows, f, tmp) {
		if (f->state != NF_FLOW_DOWNGRADED)
			continue;
		f->state = NF_FLOW_COMMITTED;
		nf_move.waiting--;
		nf_move_log(NF_EV_COMMIT, f);
	}
}

static void on_fwd(const struct nf_rec *r, const uint8_t *payload, struct nf_sink *s)
{
	const struct pcap_pkthdr *h = packet_of(r, payload, s);
	struct nf_mflow *f = nf_move_find(&r->flow);
	struct nf_packet_view p = {.h = h, .data = packet, .sec = r->sec, .nsec = r->nsec};

	nf_move.stats.fwd++;
	if (nf_evlog_on)
		p.id = nf_evlog_id(payload, nf_rec_payload(r), h->len);
	if (!may_pass(f) || !nf_hold_empty(&nf_move.hold)) {
		if (!hold(&p, &r->flow, s))
			return;
	}
	if (nf_evlog_on)
		log_packet(NF_EV_FORWARDED, p.id, packet, h->caplen, f);
	nf_give(s, h, packet, false);
}

/* ---- orders ---- */

void nf_dst_begin(const struct nf_rec *r)
{
	(void)r;
	nf_hold_init(&nf_move.hold, nf_move.opt.hold_packets, nf_move.opt.hold_bytes);
	nf_move.walk.scope = NFSHIM_PER_FLOW;
}

/* It is over once all that is held was given to the NF. */
static void on_abort(void)
{
	if (nf_move.finall) {
		nf_move.stats.discarded++;
		return;
	}
	if (!nf_move.forgotten)
		failed();
	nf_move.failed = nf_move.aborted = true;
}

/* The source is dead: what it delivered is what there is (DESIGN §6). */
static void on_finish(void)
{
	struct nf_mflow *f, *tmp;

	HASH_ITER(hh, nf_move.flows, f, tmp) {
		if (f->state != NF_FLOW_SYNC && f->state != NF_FLOW_DOWNGRADED)
			continue;
		nf_report(NF_REC_UNFINISHED, f->version, &f->key, f->epoch, NULL, 0);
		nf_move.stats.unfinished++;
		commit(f);
	}
	nf_move.failed = false;
	nf_move.finall = true;
}

/* The route went back to the source, which kept its state: nothing of the move stays here. */
static void on_fence(void)
{
	struct nf_mflow *f, *tmp;

	HASH_ITER(hh, nf_move.flows, f, tmp)
		if (f->state == NF_FLOW_COMMITTED)
			nf_report(NF_REC_UNFINISHED, f->version, &f->key, f->epoch, NULL, 0);
	forget_flows(true);
	drop_held(ECANCELED);
	nf_move_over();
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

static void on_data(const struct nf_rec *r, const uint8_t *payload, struct nf_sink *s)
{
	switch (r->type) {
	case NF_REC_STATE:
		if (r->scope == NFSHIM_PER_FLOW)
			on_state(r, payload);
		else
			on_state_shared(r, payload);
		break;
	case NF_REC_CLONE:
		on_clone(r, payload, s);
		break;
	case NF_REC_BARRIER:
		nf_move.barrier = true;
		break;
	case NF_REC_FIN:
		on_fin(r);
		break;
	case NF_REC_FINALL:
		nf_pause("finall");
		on_finall();
		break;
	case NF_REC_FWD:
		on_fwd(r, payload, s);
		break;
	}
}

void nf_dst_record(const struct nf_rec *r, const uint8_t *payload, struct nf_sink *s)
{
	bool was_failed = nf_move.failed;

	if (r->type >= NF_REC_STATE && r->type <= NF_REC_FWD) {
		if (!nf_move.failed)
			on_data(r, payload, s);
	} else {
		on_order(r);
	}
	if (nf_move.side == NF_SIDE_DST && nf_move.failed && !was_failed &&
	    nf_move.phase < NF_PHASE_READY)
		failed();
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
	static uint64_t own;
	struct nf_walk *w = &nf_move.walk;
	int more;

	if (!w->cursor)
		own = 0;
	more = nf_provider.hooks.list(nf_provider.nf, NFSHIM_PER_FLOW, &w->cursor, 1024,
				      count_flow, &own);
	if (more > 0)
		return true;
	w->done = true;
	nf_pause("begin-dst");
	nf_report(NF_REC_BEGUN, own, NULL, 0, NULL, 0);
	return false;
}

static bool failed_step(struct nf_sink *s)
{
	release(s);
	if (!nf_hold_empty(&nf_move.hold))
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
	release(s);
	if (nf_move.finall && !nf_move.waiting && nf_hold_empty(&nf_move.hold) &&
	    nf_move.phase < NF_PHASE_LINGER) {
		nf_pause("committed");
		nf_move.phase = NF_PHASE_LINGER;
		nf_report_stats(NF_REC_COMMITTED);
	}
	return nf_dst_can_give();
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
		drop_held(ECONNRESET);
		nf_move.linger_until = nf_now_ns() + FENCE_NS;
	}
	nf_move.forgotten = nf_move.failed = nf_move.cut = true;
}

/* The input ended. An NF that only broke off may come back for what was held, if that is its own. */
void nf_dst_quit(void)
{
	bool ours;

	if (nf_move.phase == NF_PHASE_LINGER)
		return;
	nf_move_fail(-ESHUTDOWN, "the destination NF ended during the move");
	ours = all_is_ours();
	if (!nf_move.forgotten || !ours)
		forget_flows(true);
	nf_move.forgotten = true;
	if (!ours)
		drop_held(ESHUTDOWN);
}
