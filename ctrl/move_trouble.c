/* SPDX-License-Identifier: BSD-2-Clause */
/* What to do when a side dies, by when it does (DESIGN §6). */
#include <inttypes.h>
#include <stdio.h>

#include "log.h"
#include "move.h"

static void before_route(struct nf_move *m, enum nf_side side, const char *why)
{
	m->vague = side == NF_SIDE_NONE;
	nf_move_reason(m, "%s", why);
	nf_stage_enter(m, NF_STAGE_ABORT);
}

static void destination_dead(struct nf_move *m, const char *why)
{
	nf_move_reason(m, "%s; the route goes back to %s, which kept its state", why,
		       nf_src(m)->name);
	nf_stage_enter(m, NF_STAGE_REVERT);
}

static void source_dead(struct nf_move *m, const char *why)
{
	nf_move_reason(m, "%s; %s goes on with what it was sent", why, nf_dst(m)->name);
	nf_stage_enter(m, NF_STAGE_FINISH);
}

void nf_move_unsettled(struct nf_move *m)
{
	source_dead(m, "the stream between the helpers broke");
}

/* Whose NF still runs, if any, gets the packets. */
static void both_dead(struct nf_move *m, const char *why)
{
	nf_move_reason(m, "both sides were lost after the route had changed; at last: %s", why);
	if (m->side[NF_SIDE_DST].nf_gone && !m->side[NF_SIDE_SRC].nf_gone &&
	    m->stage != NF_STAGE_REVERT)
		nf_stage_enter(m, NF_STAGE_REVERT);
	else
		nf_stage_enter(m, NF_STAGE_OVER);
}

static void after_route(struct nf_move *m, enum nf_side side, const char *why)
{
	if (m->side[NF_SIDE_SRC].gone && m->side[NF_SIDE_DST].gone)
		both_dead(m, why);
	else if (side == NF_SIDE_DST)
		destination_dead(m, why);
	else if (side == NF_SIDE_SRC && nf_move_saw(m, side, NF_REC_RELEASED))
		nf_info("move %" PRIu64 ": %s, but all it had to do was done", m->id, why);
	else if (side == NF_SIDE_SRC)
		source_dead(m, why);
	else if (!nf_move_saw(m, NF_SIDE_SRC, NF_REC_RELEASED))
		nf_timer_set(m->deadline, NF_SETTLE_US, 0);
}

/* All is the destination's by now; the source only waits to forget. */
static void in_linger(struct nf_move *m, enum nf_side side, const char *why)
{
	if (side == NF_SIDE_DST && m->side[NF_SIDE_DST].nf_gone && !m->side[NF_SIDE_SRC].gone &&
	    !m->end_sent) {
		m->state = NF_MOVE_FAILED;
		nf_move_reason(m,
			       "%s during the linger; the route goes back to %s, which kept its "
			       "state until then",
			       why, nf_src(m)->name);
		nf_stage_enter(m, NF_STAGE_REVERT);
	} else if (side == NF_SIDE_SRC) {
		nf_info("move %" PRIu64 ": %s during the linger", m->id, why);
		if (m->hurry || m->side[NF_SIDE_SRC].nf_gone)
			nf_stage_enter(m, NF_STAGE_END);
		else
			nf_timer_set(m->deadline, (uint64_t)(m->opt.linger_ms + 1000) * 1000u, 0);
	}
}

void nf_move_trouble(struct nf_move *m, enum nf_side side, const char *why)
{
	switch (m->stage) {
	case NF_STAGE_CLEAR:
	case NF_STAGE_BEGIN_DST:
	case NF_STAGE_BEGIN_SRC:
	case NF_STAGE_EXPORT:
	case NF_STAGE_PREPARE_DST:
	case NF_STAGE_PREPARE_SRC:
		before_route(m, side, why);
		break;
	case NF_STAGE_ROUTE:
	case NF_STAGE_MARK:
	case NF_STAGE_COMMIT:
		after_route(m, side, why);
		break;
	case NF_STAGE_LINGER:
		in_linger(m, side, why);
		break;
	case NF_STAGE_FINISH:
	case NF_STAGE_REVERT:
		if (m->side[NF_SIDE_SRC].gone && m->side[NF_SIDE_DST].gone)
			both_dead(m, why);
		else
			nf_stage_advance(m);
		break;
	case NF_STAGE_ABORT:
		if (m->vague && side != NF_SIDE_NONE) { /* that is why it broke */
			m->vague = false;
			snprintf(m->reason, sizeof(m->reason), "%s", why);
		}
		nf_stage_advance(m);
		break;
	case NF_STAGE_END:
		nf_stage_advance(m);
		break;
	case NF_STAGE_OVER:
	case NF_STAGES:
		break;
	}
}
