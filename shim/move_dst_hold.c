/* SPDX-License-Identifier: BSD-2-Clause */
/* The destination's hold: packets wait for their flow, are released in order, or give order up. */
#include <errno.h>
#include <stdlib.h>

#include "evlog.h"
#include "move_dst.h"

void nf_dst_log(enum nf_ev what, uint64_t id, const u_char *data, uint32_t caplen,
		const struct nf_mflow *f)
{
	struct nfshim_flow key;

	nf_flow_parse(data, caplen, nf_move.frags, &key, NULL);
	nf_evlog_put(what, id, &key, f ? f->version : 0, f ? f->epoch : 0,
		     what == NF_EV_FORWARDED || what == NF_EV_PROCESSED);
}

void nf_dst_drop_held(int why)
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

static void give_held(struct nf_sink *s)
{
	static __thread struct nf_held *e; /* still there if the NF jumped out of its callback */

	free(e);
	e = nf_hold_pop(&nf_move.hold);
	if (nf_evlog_on)
		nf_dst_log(e->moving ? NF_EV_FORWARDED : NF_EV_PROCESSED, e->id, e->data,
			   e->h.caplen, e->moving ? nf_move_find(&e->flow) : NULL);
	nf_give(s, &e->h, e->data, false);
	free(e);
	e = NULL;
}

bool nf_dst_give_all(struct nf_sink *s)
{
	while (!nf_sink_full(s) && !nf_hold_empty(&nf_move.hold) && nf_dst_gives_to() == s->capture)
		give_held(s);
	return nf_hold_empty(&nf_move.hold);
}

static bool push(const struct nf_packet_view *p, const struct nfshim_flow *key)
{
	struct nf_held *e = nf_hold_push(&nf_move.hold, key, p->h, p->data, p->id);

	if (!e) {
		nf_engine_fail("out of memory for the hold");
		return false;
	}
	e->capture = p->capture;
	nf_engine_held(p);
	return true;
}

void nf_dst_keep(const struct nf_packet_view *p)
{
	push(p, NULL);
}

/* Without order nothing that comes by the new route waits. */
static bool keeps_order(void)
{
	return nf_move.opt.guarantee == NF_ORDERED || nf_move.phase < NF_PHASE_READY;
}

bool nf_dst_may_pass(const struct nf_mflow *f)
{
	if (!f)
		return nf_move.finall;
	return f->state == NF_FLOW_COMMITTED || f->state == NF_FLOW_DOWNGRADED ||
	       f->state == NF_FLOW_OWN;
}

bool nf_dst_all_is_ours(void)
{
	return nf_move.failed &&
	       (nf_move.aborted || nf_move.linger_until || nf_move.phase < NF_PHASE_READY);
}

bool nf_dst_can_give(void)
{
	const struct nf_held *e = nf_hold_head(&nf_move.hold);

	return e && (!e->moving || nf_dst_all_is_ours() || nf_dst_may_pass(nf_move_find(&e->flow)));
}

struct nf_capture *nf_dst_gives_to(void)
{
	return nf_hold_head(&nf_move.hold)->capture;
}

void nf_dst_release(struct nf_sink *s)
{
	while (s && !nf_sink_full(s) && nf_dst_can_give() && nf_dst_gives_to() == s->capture)
		give_held(s);
}

static void downgrade(const struct nfshim_flow *key)
{
	struct nf_mflow *f = nf_move_find(key);

	if (nf_dst_may_pass(f))
		return; /* it waits for nothing but its turn */
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

bool nf_dst_hold(const struct nf_packet_view *p, const struct nfshim_flow *key, struct nf_sink *s)
{
	struct nf_hold *h = &nf_move.hold;

	if (!keeps_order()) {
		downgrade(key);
		if (!nf_sink_full(s))
			return true;
	}
	while (nf_hold_full(h, p->h->caplen)) {
		if (nf_move.phase < NF_PHASE_READY) {
			nf_move_fail(-ENOBUFS,
				     "the hold was full before the route changed: "
				     "packets of the space already reach the destination");
			nf_dst_failed();
			nf_dst_release(s); /* those before it */
			return true;
		}
		if (nf_sink_full(s))
			break;		/* over the cap, by no more than one input call brings */
		if (nf_hold_empty(h)) { /* larger than the whole hold */
			downgrade(key);
			return true;
		}
		downgrade_head(s);
	}
	if (!push(p, key))
		return true;
	nf_move.stats.held++;
	if (h->packets > nf_move.stats.held_max)
		nf_move.stats.held_max = h->packets;
	if (h->bytes > nf_move.stats.held_bytes_max)
		nf_move.stats.held_bytes_max = h->bytes;
	if (nf_evlog_on)
		nf_dst_log(NF_EV_HELD, p->id, p->data, p->h->caplen, NULL);
	nf_dst_release(s);
	return false;
}
