/* SPDX-License-Identifier: BSD-2-Clause */
/* Moves: how they start, hear, report and end. The stages are in move_stage.c. */
#include "move.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "api.h"
#include "flow.h"
#include "log.h"
#include "orphan.h"

#define TICK_US 250000u
#define ASK_US	2000000u /* a word now and then before READY (wait_ms) */

const struct nf_move_options nf_move_defaults = {
	.buffer_packets = 200000,
	.buffer_bytes = 128u << 20,
	.reserve_bytes = 256u << 20,
	.hold_packets = 200000,
	.hold_bytes = 128u << 20,
	.slice_us = 500,
	.linger_ms = 2000,
	.deadline_ms = 2000,
};

struct nf_move *nf_move_find(struct nf_ctrl *c, uint64_t id)
{
	struct nf_move *m;

	TAILQ_FOREACH(m, &c->moves, next)
	if (m->id == id)
		return m;
	return NULL;
}

bool nf_move_saw(const struct nf_move *m, enum nf_side side, enum nf_rec_type ack)
{
	return m->side[side].seen >> (ack - NF_REC_BEGUN) & 1;
}

void nf_move_order(struct nf_move *m, enum nf_side side, enum nf_rec_type what)
{
	struct nf_msg msg = {.type = NF_MSG_ORDER, .order = {m->id, what}};

	nf_debug("move %" PRIu64 ": %s to %s", m->id, nf_rec_name(what), m->side[side].inst->name);
	nf_instance_send(m->side[side].inst, &msg);
}

void nf_move_reason(struct nf_move *m, const char *fmt, ...)
{
	va_list ap;

	if (m->reason[0])
		return;
	va_start(ap, fmt);
	vsnprintf(m->reason, sizeof(m->reason), fmt, ap);
	va_end(ap);
	nf_warn("move %" PRIu64 ": %s", m->id, m->reason);
}

void nf_move_warn(struct nf_move *m, const char *fmt, ...)
{
	char text[NF_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	nf_warn("move %" PRIu64 ": %s", m->id, text);
	json_array_append_new(m->warnings, json_string(text));
}

void nf_move_report(struct nf_move *m, enum nf_move_state state)
{
	m->state = state;
	if (m->reported)
		return;
	m->reported = true;
	m->reported_us = nf_loop_now_us();
	nf_info("move %" PRIu64 ": %s after %.1f ms%s%s", m->id, nf_move_state_name(m),
		nf_move_ms(m), m->reason[0] ? ": " : "", m->reason);
	nf_api_move_result(m);
}

/* ---- start ---- */

static void on_deadline(void *arg)
{
	nf_stage_late(arg);
}

static void on_tick(void *arg)
{
	struct nf_msg ask = {.type = NF_MSG_ASK};
	uint64_t now = nf_loop_now_us();
	struct nf_move *m = arg;

	if (!m->reported)
		nf_api_move_progress(m);
	if (m->stage >= NF_STAGE_ROUTE || now - m->asked_us < ASK_US)
		return;
	m->asked_us = now;
	for (int s = NF_SIDE_SRC; s <= NF_SIDE_DST; s++)
		if (m->side[s].begun)
			nf_instance_send(m->side[s].inst, &ask);
}

static void on_marker(void *arg);

static void move_free(struct nf_move *m)
{
	for (unsigned i = 0; i < m->unfinished_n; i++)
		free(m->unfinished[i]);
	free(m->unfinished);
	nf_timer_free(m->deadline);
	nf_timer_free(m->tick);
	nf_timer_free(m->marker);
	nf_space_free(m->space);
	json_decref(m->warnings);
	free(m);
}

static bool get_secrets(struct nf_move *m)
{
	return getrandom(m->token, sizeof(m->token), 0) == sizeof(m->token) &&
	       getrandom(m->mark, sizeof(m->mark), 0) == sizeof(m->mark);
}

static struct nf_move *move_new(struct nf_ctrl *c)
{
	struct nf_move *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->c = c;
	m->warnings = json_array();
	m->deadline = nf_timer_new(c->loop, on_deadline, m);
	m->tick = nf_timer_new(c->loop, on_tick, m);
	m->marker = nf_timer_new(c->loop, on_marker, m);
	m->marks = c->ops->queues(c->sw);
	if (m->warnings && m->deadline && m->tick && m->marker && get_secrets(m))
		return m;
	move_free(m);
	return NULL;
}

static void forget_oldest(struct nf_ctrl *c)
{
	struct nf_move *m = TAILQ_FIRST(&c->moves), *next;
	unsigned n = 0, over = 0;

	for (; m; m = TAILQ_NEXT(m, next))
		n++;
	for (m = TAILQ_FIRST(&c->moves); m && n - over > NF_MOVES_KEPT; m = next) {
		next = TAILQ_NEXT(m, next);
		if (m->stage != NF_STAGE_OVER || m->fence)
			continue;
		over++;
		nf_api_move_gone(m);
		TAILQ_REMOVE(&c->moves, m, next);
		move_free(m);
	}
}

int nf_move_start(struct nf_ctrl *c, const char *src, const char *dst, const char *space,
		  const struct nf_move_options *opt, struct nf_move **out, char *err, size_t errlen)
{
	struct nf_move *m = move_new(c);
	int rc;

	if (!m) {
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	rc = nf_move_check(c, src, dst, space, &m->space, m->warnings, err, errlen);
	if (rc) {
		move_free(m);
		return rc;
	}
	forget_oldest(c);
	m->id = ++c->last_move;
	m->opt = *opt;
	nf_src(m) = nf_instance_find(c, src);
	nf_dst(m) = nf_instance_find(c, dst);
	nf_src(m)->waiting = nf_dst(m)->waiting = m;
	TAILQ_INSERT_TAIL(&c->moves, m, next);
	nf_info("move %" PRIu64 ": '%s' from %s to %s", m->id, m->space->text, src, dst);
	nf_timer_set(m->tick, TICK_US, TICK_US);
	*out = m;
	return 0;
}

/* ---- end ---- */

void nf_move_hurry(struct nf_move *m)
{
	m->hurry = true;
	/* END ends a linger; before RELEASED there is none yet. */
	if (m->end_sent || m->stage != NF_STAGE_LINGER ||
	    !nf_move_saw(m, NF_SIDE_SRC, NF_REC_RELEASED))
		return;
	m->end_sent = true;
	nf_move_order(m, NF_SIDE_SRC, NF_REC_END);
}

static void leave(struct nf_instance *i, struct nf_move *m)
{
	if (i->move == m)
		i->move = NULL;
	if (i->waiting == m)
		i->waiting = NULL;
}

void nf_move_over(struct nf_move *m)
{
	struct nf_ctrl *c = m->c;
	struct nf_move *o;

	nf_timer_set(m->tick, 0, 0);
	nf_timer_set(m->marker, 0, 0);
	nf_timer_set(m->deadline, 0, 0);
	leave(nf_src(m), m);
	leave(nf_dst(m), m);
	TAILQ_FOREACH(o, &c->moves, next)
	if (o->stage == NF_STAGE_CLEAR)
		nf_stage_advance(o);
}

int nf_move_abort(struct nf_move *m, const char *why, char *err, size_t errlen)
{
	if (m->stage == NF_STAGE_ABORT)
		return 0;
	if (m->reported) {
		snprintf(err, errlen, "move %" PRIu64 " is over: %s; there is nothing to abort",
			 m->id, nf_move_state_name(m));
		return -EPERM;
	}
	if (m->stage > NF_STAGE_PREPARE_SRC) {
		snprintf(err, errlen,
			 "the route of move %" PRIu64 " is set: it can only go on; "
			 "move the flows back afterwards",
			 m->id);
		return -EPERM;
	}
	nf_move_reason(m, "%s", why);
	nf_stage_enter(m, NF_STAGE_ABORT);
	return 0;
}

void nf_moves_fini(struct nf_ctrl *c)
{
	struct nf_move *m;

	while ((m = TAILQ_FIRST(&c->moves))) {
		TAILQ_REMOVE(&c->moves, m, next);
		move_free(m);
	}
}

/* ---- MARK ---- */

#define MARK_BYTES   60
#define NUDGE_BYTES  1514
#define NUDGE_FRAMES 176 /* of that size fill a block of libpcap's capture ring (256 KiB) */
#define NUDGE_FIRST  2	 /* rounds without an answer */
#define NUDGE_EVERY  5

static void mark_frame(const struct nf_move *m, unsigned queue, uint8_t *f, size_t len)
{
	static const uint8_t head[] = {2, 0x6e, 0x66, 0,    0,	 1,   2,   0x6e, 0x66, 0,
				       0, 2,	0x88, 0xb5, 'N', 'F', 'M', 'K',	 1};

	memset(f, 0, len);
	memcpy(f, head, sizeof(head));
	f[19] = (uint8_t)queue;
	for (int i = 0; i < 8; i++)
		f[22 + i] = (uint8_t)(m->id >> (56 - 8 * i));
	memcpy(f + 30, m->mark[queue], NF_MARK_SECRET);
}

static int send_mark(const struct nf_move *m, unsigned queue, size_t len)
{
	uint8_t frame[NUDGE_BYTES];

	mark_frame(m, queue, frame, len);
	return m->c->ops->mark(m->c->sw, nf_src(m)->name, queue, frame, len);
}

/*
 * A capture ring hands a block to the NF when it is full, or after the NF's
 * time-out, half a second for many. Where the move took all of the traffic
 * away only MARK is left to fill it; meanwhile the destination holds packets.
 */
static void nudge(const struct nf_move *m)
{
	int err = 0;

	for (unsigned i = 0; i < NUDGE_FRAMES && !err; i++)
		err = send_mark(m, 0, NUDGE_BYTES);
}

static void on_marker(void *arg)
{
	struct nf_move *m = arg;
	int err = 0, rc;

	if (nf_move_saw(m, NF_SIDE_SRC, NF_REC_MARKED) || m->stage == NF_STAGE_OVER) {
		nf_timer_set(m->marker, 0, 0);
		return;
	}
	for (unsigned q = 0; q < m->marks; q++) {
		rc = send_mark(m, q, MARK_BYTES);
		if (rc)
			err = rc;
	}
	if (err && !m->mark_rounds)
		nf_move_warn(m, "the switch cannot send MARK to %s: %s", nf_src(m)->name,
			     strerror(-err));
	if (m->mark_rounds >= NUDGE_FIRST && (m->mark_rounds - NUDGE_FIRST) % NUDGE_EVERY == 0)
		nudge(m);
	m->mark_rounds++;
}

/* ---- what helpers say ---- */

static struct nf_move_side *side_of(struct nf_move *m, const struct nf_instance *i)
{
	if (nf_src(m) == i)
		return &m->side[NF_SIDE_SRC];
	return nf_dst(m) == i ? &m->side[NF_SIDE_DST] : NULL;
}

static void add_unfinished(struct nf_move *m, const struct nfshim_flow *f)
{
	char text[NF_FLOW_TEXT], **grown;

	nf_flow_format(f, text, sizeof(text));
	for (unsigned i = 0; i < m->unfinished_n; i++)
		if (!strcmp(m->unfinished[i], text))
			return;
	if (m->unfinished_n >= NF_MOVE_NAMED)
		return;
	grown = realloc(m->unfinished, (m->unfinished_n + 1) * sizeof(*grown));
	if (!grown)
		return;
	m->unfinished = grown;
	grown[m->unfinished_n] = strdup(text);
	m->unfinished_n += grown[m->unfinished_n] != NULL;
}

static bool has_stats(enum nf_rec_type t)
{
	return t == NF_REC_EXPORTED || t == NF_REC_READY || t == NF_REC_MARKED ||
	       t == NF_REC_COMMITTED || t == NF_REC_RELEASED || t == NF_REC_OVER;
}

static void take_stats(struct nf_move_side *s, const struct nf_msg_event *e)
{
	static const struct nf_rec_stats none;

	/* A shim that knows nothing of the move any more says OVER all the same, with zeros. */
	if (has_stats(e->rec) && memcmp(&e->stats, &none, sizeof(none)))
		s->stats = e->stats;
}

/* A helper's own trouble carries no errno. After the route its reserve may be over the bound, which
 * is no reason to stop; a stream or an NF that it lost it reports as such. */
static void failed(struct nf_move *m, enum nf_side side, const struct nf_msg_event *e)
{
	const char *why = e->text[0] ? e->text : "it failed without a reason";

	if (m->intent && !e->version)
		nf_move_warn(m, "%s: %s", m->side[side].inst->name, why);
	else
		nf_move_trouble(m, side, why);
}

static void on_record(struct nf_move *m, enum nf_side side, const struct nf_msg_event *e)
{
	struct nf_move_side *s = &m->side[side];

	if (e->rec == NF_REC_UNFINISHED) {
		add_unfinished(m, &e->flow);
		if (e->version > s->unfinished)
			s->unfinished = e->version;
		return;
	}
	if (e->rec < NF_REC_BEGUN)
		return;
	if (e->rec == NF_REC_FAILED) {
		failed(m, side, e);
		return;
	}
	nf_debug("move %" PRIu64 ": %s from %s", m->id, nf_rec_name(e->rec), s->inst->name);
	take_stats(s, e);
	if (e->rec == NF_REC_BEGUN && side == NF_SIDE_DST)
		m->own_flows = e->version;
	s->seen |= 1ull << (e->rec - NF_REC_BEGUN);
	if (e->rec == NF_REC_RELEASED)
		nf_stage_moves(m);
	if (m->hurry)
		nf_move_hurry(m);
	nf_stage_advance(m);
}

static void on_progress(struct nf_move *m, struct nf_move_side *s, const struct nf_msg_event *e)
{
	nf_stage_progress(m, &s->progress, &e->stats);
	s->progress = e->stats;
}

static void event(struct nf_move *m, struct nf_move_side *s, const struct nf_msg_event *e)
{
	enum nf_side side = s == &m->side[NF_SIDE_SRC] ? NF_SIDE_SRC : NF_SIDE_DST;
	char text[NF_TEXT_MAX + 128];

	if (e->buffered > m->buffered)
		m->buffered = e->buffered;
	if (e->dropped > m->dropped)
		m->dropped = e->dropped;
	if (e->reexports > m->reexports)
		m->reexports = e->reexports;
	if (e->buffered_bytes > m->buffered_bytes)
		m->buffered_bytes = e->buffered_bytes;
	if (e->reserve > m->reserve)
		m->reserve = e->reserve;
	switch (e->what) {
	case NF_EVENT_REC:
		on_record(m, side, e);
		break;
	case NF_EVENT_NF_GONE:
		s->gone = s->nf_gone = true;
		snprintf(text, sizeof(text), "the NF of %s is gone: %.900s", s->inst->name,
			 e->text);
		nf_move_trouble(m, side, text);
		break;
	case NF_EVENT_PEER_GONE:
		m->peer_gone = true;
		snprintf(text, sizeof(text), "the stream from %s to %s broke: %.800s",
			 nf_src(m)->name, nf_dst(m)->name, e->text);
		nf_move_trouble(m, NF_SIDE_NONE, text);
		break;
	case NF_EVENT_PROGRESS:
		on_progress(m, s, e);
		break;
	case NF_EVENT_FLOW:
		break;
	}
}

void nf_moves_event(struct nf_instance *i, const struct nf_msg_event *e)
{
	struct nf_move *m = nf_move_find(i->c, e->move);
	struct nf_move_side *s = m ? side_of(m, i) : NULL;

	if (s && m->stage != NF_STAGE_OVER)
		event(m, s, e);
	else if (s && m->fence && e->what == NF_EVENT_REC && e->rec == NF_REC_OVER)
		m->fence = false;
}

void nf_moves_helper_gone(struct nf_instance *i)
{
	char text[128];
	struct nf_move *m;

	snprintf(text, sizeof(text), "the helper of %s is gone", i->name);
	TAILQ_FOREACH(m, &i->c->moves, next)
	{
		struct nf_move_side *s = side_of(m, i);

		if (!s || !s->begun || m->stage == NF_STAGE_OVER)
			continue;
		s->gone = true;
		nf_move_trouble(m, s == &m->side[NF_SIDE_SRC] ? NF_SIDE_SRC : NF_SIDE_DST, text);
	}
}

void nf_moves_helper_back(struct nf_instance *i)
{
	struct nf_move *m;

	TAILQ_FOREACH(m, &i->c->moves, next)
	if (m->fence && nf_dst(m) == i)
		nf_move_order(m, NF_SIDE_DST, NF_REC_FENCE);
}

/* An NF that does not know the move needs no fence against it. One that does has not heard of it: a
 * helper that is back may have had no link to it yet when it was told. */
void nf_moves_status(struct nf_instance *i)
{
	struct nf_move *m;

	TAILQ_FOREACH(m, &i->c->moves, next)
	{
		if (!m->fence || m->stage != NF_STAGE_OVER || nf_dst(m) != i || !i->status.pid)
			continue;
		if (i->status.move == m->id)
			nf_move_order(m, NF_SIDE_DST, NF_REC_FENCE);
		else
			m->fence = false;
	}
	nf_orphans_look(i->c);
}
