/* SPDX-License-Identifier: BSD-2-Clause */
/* The stages of a move, one table. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api.h"
#include "log.h"
#include "move.h"
#include "pause.h"

#define S NF_SIDE_SRC
#define D NF_SIDE_DST

#define KEEP	    UINT32_MAX /* the deadline of the stage before goes on */
#define MARK_US	    20000u
#define WAIT_MS	    10000u /* helpers give up without a word for so long before READY */
#define LINGER_SLOW 30000u /* ms that releasing may take */

struct nf_stage {
	const char *name;
	void (*enter)(struct nf_move *m);      /* NULL: nothing to do */
	bool (*done)(const struct nf_move *m); /* NULL: never */
	enum nf_stage_id next;
	uint32_t deadline_ms; /* 0: none */
	void (*late)(struct nf_move *m);
};

/* ---- before the route ---- */

static void clear_enter(struct nf_move *m)
{
	for (int s = S; s <= D; s++)
		if (m->side[s].inst->move)
			nf_move_hurry(m->side[s].inst->move);
}

static bool clear_done(const struct nf_move *m)
{
	return !nf_src(m)->move && !nf_dst(m)->move;
}

static void clear_late(struct nf_move *m)
{
	const struct nf_move *o = nf_src(m)->move ? nf_src(m)->move : nf_dst(m)->move;

	nf_move_reason(m, "move %" PRIu64 " before it did not end its linger in time", o->id);
	nf_stage_enter(m, NF_STAGE_ABORT);
}

static void begin(struct nf_move *m, enum nf_side side)
{
	struct nf_msg msg = {.type = NF_MSG_BEGIN};
	struct nf_msg_begin *b = &msg.begin;

	b->move = m->id;
	b->side = side;
	snprintf(b->peer, sizeof(b->peer), "%s", m->side[side == S ? D : S].inst->name);
	if (side == S)
		snprintf(b->peer_addr, sizeof(b->peer_addr), "%s", nf_dst(m)->listen);
	memcpy(b->token, m->token, sizeof(b->token));
	snprintf(b->space, sizeof(b->space), "%s", m->space->text);
	b->opt.slice_us = m->opt.slice_us;
	b->opt.slice_flows = m->opt.slice_flows;
	b->opt.hold_packets = m->opt.hold_packets;
	b->opt.hold_bytes = m->opt.hold_bytes;
	b->opt.linger_ms = m->opt.linger_ms;
	b->opt.inject = m->opt.inject;
	b->opt.guarantee = m->opt.guarantee;
	b->wait_ms = WAIT_MS;
	if (side == S) {
		b->opt.marks = m->marks;
		memcpy(b->opt.mark, m->mark, sizeof(b->opt.mark));
		b->reserve_bytes = m->opt.reserve_bytes;
	} else {
		b->buffer_packets = m->opt.buffer_packets;
		b->buffer_bytes = m->opt.buffer_bytes;
	}
	m->side[side].begun = true;
	if (nf_instance_send(m->side[side].inst, &msg)) {
		m->side[side].gone = true;
		nf_move_trouble(m, side, "a helper went away before the move began");
	}
}

static void begin_dst_enter(struct nf_move *m)
{
	nf_src(m)->move = nf_dst(m)->move = m;
	nf_src(m)->waiting = nf_dst(m)->waiting = NULL;
	nf_pause("begin-dst");
	begin(m, D);
}

static bool begin_dst_done(const struct nf_move *m)
{
	return nf_move_saw(m, D, NF_REC_BEGUN);
}

static void begin_src_enter(struct nf_move *m)
{
	nf_pause("begin-src");
	begin(m, S);
}

static bool begin_src_done(const struct nf_move *m)
{
	return nf_move_saw(m, S, NF_REC_BEGUN);
}

static bool export_done(const struct nf_move *m)
{
	return nf_move_saw(m, S, NF_REC_EXPORTED);
}

static void prepare_dst_enter(struct nf_move *m)
{
	nf_pause("prepare-dst");
	nf_move_order(m, D, NF_REC_PREPARE);
}

static bool prepare_dst_done(const struct nf_move *m)
{
	return nf_move_saw(m, D, NF_REC_PREPARED);
}

static void prepare_src_enter(struct nf_move *m)
{
	nf_timer_set(m->deadline, (uint64_t)m->opt.deadline_ms * 1000u, 0);
	nf_pause("prepare-src");
	nf_move_order(m, S, NF_REC_PREPARE);
}

static bool prepare_src_done(const struct nf_move *m)
{
	return nf_move_saw(m, D, NF_REC_READY);
}

static void late_abort(struct nf_move *m)
{
	enum nf_stage_id at = m->stage;

	if (at == NF_STAGE_PREPARE_SRC)
		nf_move_reason(m, "the no-drop phase took longer than --deadline %u ms",
			       m->opt.deadline_ms);
	else if (at == NF_STAGE_PREPARE_DST)
		nf_move_reason(m, "%s did not answer PREPARE: is its NF stuck?", nf_dst(m)->name);
	else if (at == NF_STAGE_EXPORT)
		nf_move_reason(m, "the export did not move on for 10 s: is the NF of %s stuck?",
			       nf_src(m)->name);
	else
		nf_move_reason(m, "%s did not answer BEGIN: is its NF reading packets?",
			       at == NF_STAGE_BEGIN_DST ? nf_dst(m)->name : nf_src(m)->name);
	nf_stage_enter(m, NF_STAGE_ABORT);
}

static void abort_enter(struct nf_move *m)
{
	m->state = NF_MOVE_ABORTED;
	nf_pause("abort");
	for (int s = S; s <= D; s++)
		if (m->side[s].begun && !m->side[s].gone)
			nf_move_order(m, (enum nf_side)s, NF_REC_ABORT);
}

static bool is_over(const struct nf_move *m, enum nf_side s)
{
	return !m->side[s].begun || m->side[s].gone || nf_move_saw(m, s, NF_REC_OVER);
}

static bool both_over(const struct nf_move *m)
{
	return is_over(m, S) && is_over(m, D);
}

static void abort_late(struct nf_move *m)
{
	for (int s = S; s <= D; s++)
		if (!is_over(m, (enum nf_side)s))
			nf_move_warn(m, "%s did not acknowledge ABORT", m->side[s].inst->name);
	nf_stage_enter(m, NF_STAGE_OVER);
}

/* ---- the route ---- */

static void grace(struct nf_move *m)
{
	const struct timespec pause = {.tv_nsec = 100000000};
	char err[NF_SWITCH_ERR];

	if (m->c->ops->grace(m->c->sw, err) == 0)
		return;
	nf_move_warn(m, "%s; waited 100 ms instead", err);
	nanosleep(&pause, NULL);
}

static uint64_t next_gen(struct nf_move *m)
{
	struct nf_ctrl *c = m->c;

	c->gen = c->gen >= m->id ? c->gen + 1 : m->id;
	/* A later move's id must be above it: by that a new controller tells whose route it was. */
	if (c->last_move < c->gen)
		c->last_move = c->gen;
	return c->gen;
}

static void route_enter(struct nf_move *m)
{
	uint64_t gen = next_gen(m);
	char err[NF_SWITCH_ERR];

	m->intent = true;
	nf_info("move %" PRIu64 ": intent: route %" PRIu64 ", '%s' to %s", m->id, gen,
		m->space->text, nf_dst(m)->name);
	nf_pause("intent");
	if (m->c->ops->set_route(m->c->sw, gen, m->space, nf_dst(m)->name, err)) {
		/* A transaction that failed has changed nothing: there is still a way back. */
		m->intent = false;
		nf_move_reason(m, "the switch did not change the route: %s", err);
		nf_stage_enter(m, NF_STAGE_ABORT);
		return;
	}
	nf_pause("route");
	grace(m);
	nf_pause("grace");
}

static bool route_done(const struct nf_move *m)
{
	return m->intent;
}

static void mark_enter(struct nf_move *m)
{
	nf_timer_set(m->marker, 1, MARK_US);
	nf_pause("mark");
}

static bool mark_done(const struct nf_move *m)
{
	return nf_move_saw(m, S, NF_REC_MARKED);
}

/* The rest of the source's updates would come behind FIN, which needs MARK: go on without. */
static void mark_late(struct nf_move *m)
{
	nf_move_reason(m, "%s did not see the MARK within 5 s; %s goes on with what it was sent",
		       nf_src(m)->name, nf_dst(m)->name);
	nf_stage_enter(m, NF_STAGE_FINISH);
}

static bool commit_done(const struct nf_move *m)
{
	return nf_move_saw(m, D, NF_REC_COMMITTED);
}

static void commit_late(struct nf_move *m)
{
	nf_move_reason(m,
		       "%s has not taken over within 30 s; the route stays with it, and it goes "
		       "on with what it was sent",
		       nf_dst(m)->name);
	nf_stage_enter(m, NF_STAGE_FINISH);
}

/* ---- the end ---- */

static bool no_flows(const struct nf_move *m)
{
	const struct nf_rec_stats *s = &m->side[S].stats;

	return !s->flows && !s->new_flows && !m->side[D].stats.flows;
}

static void linger_enter(struct nf_move *m)
{
	nf_pause("committed");
	if (no_flows(m))
		nf_move_warn(m, "no live flows in '%.200s': only the route has changed",
			     m->space->text);
	if (m->own_flows)
		nf_move_warn(m,
			     "%s had %" PRIu64 " flows of the space before; they stayed as they "
			     "were",
			     nf_dst(m)->name, m->own_flows);
	if (m->side[D].stats.downgraded && m->opt.guarantee == NF_ORDERED)
		nf_move_warn(m,
			     "the hold was full: %" PRIu64 " flows were processed out of order; "
			     "raise --hold-packets or --hold-bytes",
			     m->side[D].stats.downgraded);
	nf_timer_set(m->deadline, (uint64_t)(m->opt.linger_ms + LINGER_SLOW) * 1000u, 0);
	nf_move_report(m, NF_MOVE_DONE);
}

static bool linger_done(const struct nf_move *m)
{
	return nf_move_saw(m, S, NF_REC_OVER);
}

static void linger_late(struct nf_move *m)
{
	if (!m->side[S].gone)
		nf_move_warn(m, "%s has not deleted what it moved away in time", nf_src(m)->name);
	nf_stage_enter(m, NF_STAGE_END);
}

static void end_enter(struct nf_move *m)
{
	nf_pause("end");
	if (!m->side[D].gone)
		nf_move_order(m, D, NF_REC_END);
}

static bool end_done(const struct nf_move *m)
{
	return is_over(m, D);
}

static void to_over(struct nf_move *m)
{
	nf_stage_enter(m, NF_STAGE_OVER);
}

static void over_enter(struct nf_move *m)
{
	nf_move_over(m);
	if (!m->reported)
		nf_move_report(m, m->state == NF_MOVE_RUNNING ? NF_MOVE_FAILED : m->state);
}

/* ---- after the route, when one side died (DESIGN §6) ---- */

static void finish_enter(struct nf_move *m)
{
	nf_move_order(m, D, NF_REC_FINISH);
}

static void finish_late(struct nf_move *m)
{
	nf_move_warn(m, "%s has not said that it finished", nf_dst(m)->name);
	nf_stage_enter(m, NF_STAGE_END);
}

/* A source that still lives but was given up lets go of the move as well. */
static void finish_left(struct nf_move *m)
{
	if (!m->side[S].gone)
		nf_move_order(m, S, NF_REC_REVERT);
	nf_move_report(m, NF_MOVE_FAILED);
}

static void revert_enter(struct nf_move *m)
{
	/* First the source: a packet that comes back must not be sent on to the dead. */
	m->fence = true;
	nf_move_order(m, S, NF_REC_REVERT);
}

static bool revert_done(const struct nf_move *m)
{
	return is_over(m, S);
}

static void revert_left(struct nf_move *m)
{
	char err[NF_SWITCH_ERR];

	if (m->side[S].nf_gone)
		nf_move_warn(m, "the NF of %s is gone too", nf_src(m)->name);
	else if (m->c->ops->set_route(m->c->sw, next_gen(m), m->space, nf_src(m)->name, err))
		nf_move_warn(m, "the route could not go back to %s: %s", nf_src(m)->name, err);
	else
		nf_info("move %" PRIu64 ": the route is back at %s", m->id, nf_src(m)->name);
	if (nf_dst(m)->helper)
		nf_move_order(m, D, NF_REC_FENCE);
	nf_move_report(m, NF_MOVE_FAILED);
}

static const struct nf_stage stages[NF_STAGES] = {
	[NF_STAGE_CLEAR] = {"clear", clear_enter, clear_done, NF_STAGE_BEGIN_DST, 5000, clear_late},
	[NF_STAGE_BEGIN_DST] = {"begin-dst", begin_dst_enter, begin_dst_done, NF_STAGE_BEGIN_SRC,
				5000, late_abort},
	[NF_STAGE_BEGIN_SRC] = {"begin-src", begin_src_enter, begin_src_done, NF_STAGE_EXPORT, 5000,
				late_abort},
	[NF_STAGE_EXPORT] = {"export", NULL, export_done, NF_STAGE_PREPARE_DST, 10000, late_abort},
	[NF_STAGE_PREPARE_DST] = {"prepare-dst", prepare_dst_enter, prepare_dst_done,
				  NF_STAGE_PREPARE_SRC, 20000, late_abort},
	[NF_STAGE_PREPARE_SRC] = {"prepare-src", prepare_src_enter, prepare_src_done,
				  NF_STAGE_ROUTE, KEEP, late_abort},
	[NF_STAGE_ROUTE] = {"route", route_enter, route_done, NF_STAGE_MARK, 0, NULL},
	[NF_STAGE_MARK] = {"mark", mark_enter, mark_done, NF_STAGE_COMMIT, 5000, mark_late},
	[NF_STAGE_COMMIT] = {"commit", NULL, commit_done, NF_STAGE_LINGER, 30000, commit_late},
	[NF_STAGE_LINGER] = {"linger", linger_enter, linger_done, NF_STAGE_END, KEEP, linger_late},
	[NF_STAGE_END] = {"end", end_enter, end_done, NF_STAGE_OVER, 5000, to_over},
	[NF_STAGE_ABORT] = {"abort", abort_enter, both_over, NF_STAGE_OVER, 5000, abort_late},
	[NF_STAGE_FINISH] = {"finish", finish_enter, commit_done, NF_STAGE_END, 30000, finish_late},
	[NF_STAGE_REVERT] = {"revert", revert_enter, revert_done, NF_STAGE_OVER, 500, to_over},
	[NF_STAGE_OVER] = {"over", over_enter, NULL, NF_STAGE_OVER, 0, NULL},
};

const char *nf_stage_name(enum nf_stage_id id)
{
	return stages[id].name;
}

static void leave_stage(struct nf_move *m)
{
	m->left_us[m->stage] = nf_loop_now_us();
	if (m->stage == NF_STAGE_FINISH)
		finish_left(m);
	else if (m->stage == NF_STAGE_REVERT)
		revert_left(m);
}

/* A source that is RELEASED has said all and ends the stream when its linger is over. */
static bool is_unsettled(const struct nf_move *m)
{
	return m->peer_gone && !nf_move_saw(m, S, NF_REC_RELEASED) &&
	       (m->stage == NF_STAGE_MARK || m->stage == NF_STAGE_COMMIT);
}

static void start_deadline(struct nf_move *m)
{
	uint32_t ms = stages[m->stage].deadline_ms;

	if (is_unsettled(m))
		nf_timer_set(m->deadline, NF_SETTLE_US, 0);
	else if (ms != KEEP)
		nf_timer_set(m->deadline, (uint64_t)ms * 1000u, 0);
}

void nf_stage_enter(struct nf_move *m, enum nf_stage_id id)
{
	const struct nf_stage *st = &stages[id];

	if (m->entered_us[m->stage])
		leave_stage(m);
	m->stage = id;
	m->entered_us[id] = nf_loop_now_us();
	start_deadline(m);
	if (!m->reported)
		nf_api_move_progress(m);
	if (st->enter)
		st->enter(m);
	if (m->stage == id)
		nf_stage_advance(m);
}

void nf_stage_advance(struct nf_move *m)
{
	const struct nf_stage *st = &stages[m->stage];

	if (m->entered_us[m->stage] && st->done && st->done(m))
		nf_stage_enter(m, st->next);
}

void nf_stage_moves(struct nf_move *m)
{
	if (m->stage == NF_STAGE_EXPORT || m->stage == NF_STAGE_COMMIT)
		start_deadline(m);
}

/* Traffic alone is no progress: clones and stragglers come as long as packets do. */
void nf_stage_progress(struct nf_move *m, const struct nf_rec_stats *was,
		       const struct nf_rec_stats *is)
{
	bool state =
		was->flows != is->flows || was->records != is->records || was->again != is->again;

	if (state || (m->stage == NF_STAGE_COMMIT && memcmp(was, is, sizeof(*was)) != 0))
		nf_stage_moves(m);
}

void nf_stage_late(struct nf_move *m)
{
	const struct nf_stage *st = &stages[m->stage];

	if (is_unsettled(m))
		nf_move_unsettled(m);
	else if (st->late)
		st->late(m);
}
