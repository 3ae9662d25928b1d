/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation. The switch remembers the generation of its last route,
 * and the route of a move has a generation not below the move's id. So a
 * generation below it proves that the route was never set: abort. A generation
 * equal to it proves that it was set, and was the last: go forward. Without
 * the lost controller's MARK the source cannot say FIN, but it gets no packets
 * any more and all its clones are on the stream, so the destination may finish
 * with what it was sent. Anything else is left to the helpers and to people.
 */
#include "orphan.h"

#include <errno.h>
#include <inttypes.h>

#include "instance.h"
#include "log.h"
#include "move.h"

#define LOOK_US 500000u
#define WAIT_US 3000000u /* helpers have connected again by then */

static bool is_orphan(const struct nf_instance *i)
{
	const struct nf_move *m;

	if (!i->helper || !i->has_status || !i->status.move)
		return false;
	m = nf_move_find(i->c, i->status.move);
	return !m || (m->stage == NF_STAGE_OVER && !m->fence);
}

static struct nf_instance *find(struct nf_ctrl *c, uint64_t move, enum nf_side side)
{
	struct nf_instance *i;

	LIST_FOREACH(i, &c->instances, next)
	if (is_orphan(i) && i->status.move == move && i->status.side == side)
		return i;
	return NULL;
}

static void order(struct nf_instance *i, enum nf_rec_type what)
{
	struct nf_msg msg = {.type = NF_MSG_ORDER, .order = {i->status.move, what}};

	if (i->orphan == i->status.move && i->orphan_order == what)
		return;
	i->orphan = i->status.move;
	i->orphan_order = what;
	nf_warn("%s still takes part in move %" PRIu64 ", which nobody leads any more: %s", i->name,
		i->status.move, nf_rec_name(what));
	nf_instance_send(i, &msg);
}

/* @s and @d: who takes part, NULL if nobody is there. */
static void decide(struct nf_ctrl *c, uint64_t move, struct nf_instance *s, struct nf_instance *d)
{
	const struct nf_move *m = nf_move_find(c, move);
	bool set = c->found_gen == move, unset = c->found_gen < move;

	if (m) { /* it ended here, and its route with it: who is left was away */
		set = false;
		unset = !m->intent;
	}
	if (d && d->status.phase == NF_PHASE_LINGER) {
		if (!s)
			order(d, NF_REC_END);
		else if (set && s->status.phase < NF_PHASE_MARKED)
			order(s, NF_REC_REVERT); /* the flows are the destination's */
	} else if (unset) {
		if (s && s->status.phase < NF_PHASE_MARKED)
			order(s, NF_REC_ABORT);
		if (d)
			order(d, NF_REC_ABORT);
	} else if (set && d && (!s || s->status.phase < NF_PHASE_MARKED)) {
		order(d, NF_REC_FINISH);
	} else if ((set || m) && !d && s && s->status.phase < NF_PHASE_MARKED) {
		order(s, NF_REC_REVERT);
	}
}

static void look(void *arg)
{
	struct nf_ctrl *c = arg;
	struct nf_instance *i, *s, *d;
	struct nf_msg ask = {.type = NF_MSG_ASK};
	bool any = false, waited;

	waited = c->orphans_since_us && nf_loop_now_us() - c->orphans_since_us >= WAIT_US;
	LIST_FOREACH(i, &c->instances, next)
	{
		if (!is_orphan(i))
			continue;
		any = true;
		s = find(c, i->status.move, NF_SIDE_SRC);
		d = find(c, i->status.move, NF_SIDE_DST);
		if (waited)
			decide(c, i->status.move, s, d);
		nf_instance_send(i, &ask);
	}
	if (!any)
		c->orphans_since_us = 0;
	else if (!c->orphans_since_us)
		c->orphans_since_us = nf_loop_now_us();
	nf_timer_set(c->orphans, any ? LOOK_US : 0, 0);
}

int nf_orphans_init(struct nf_ctrl *c)
{
	c->orphans = nf_timer_new(c->loop, look, c);
	return c->orphans ? 0 : -errno;
}

void nf_orphans_look(struct nf_ctrl *c)
{
	if (!c->orphans_since_us)
		look(c);
}
