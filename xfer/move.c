/* SPDX-License-Identifier: BSD-2-Clause */
/* The move at this helper: orders, ends, deadlines; see move.h. */
#include "move.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ctrl_link.h"
#include "event.h"
#include "inject.h"
#include "log.h"
#include "pause.h"
#include "shim_link.h"
#include "xfer.h"

#define PROGRESS_US  250000u
#define PACE_LAST_US 200u /* longest pause between looks when the route is about to change */
#define PACE_MOVE_US 400u
#define PACE_CALM_US 1000u /* linger: only stragglers */

/* ---- telling the shim ---- */

void nf_xmove_push(struct nf_xfer *x, enum nf_rec_type t, uint64_t move, const void *payload,
		   uint32_t len)
{
	struct nf_rec r = {.len = (uint32_t)sizeof(r) + len, .type = (uint8_t)t, .move = move};
	int err;

	nf_xmove_pause(t);
	err = nf_shim_order(x->shim, &r, payload);
	if (err)
		nf_warn("cannot pass %s to the NF: %s", nf_rec_name(t), strerror(-err));
	nf_xfer_expect(x);
}

void nf_xmove_push_begin(struct nf_xfer *x)
{
	const struct nf_msg_begin *b = &x->move.b;
	struct {
		struct nf_rec_begin opt;
		char space[sizeof(b->space)];
	} p = {.opt = b->opt};

	p.opt.space_len = (uint32_t)strlen(b->space);
	p.opt.others = nf_shim_threads(x->shim) - 1;
	memcpy(p.space, b->space, p.opt.space_len);
	nf_xmove_push(x, b->side == NF_SIDE_SRC ? NF_REC_BEGIN_SRC : NF_REC_BEGIN_DST, b->move, &p,
		      (uint32_t)sizeof(p.opt) + p.opt.space_len);
}

void nf_xmove_pause(enum nf_rec_type t)
{
	static const struct {
		enum nf_rec_type t;
		const char *point;
	} points[] = {
		{NF_REC_BEGIN_DST, "begin-dst"},
		{NF_REC_BEGIN_SRC, "begin-src"},
		{NF_REC_STATE, "export"},
		{NF_REC_EXPORTED, "exported"},
		{NF_REC_PREPARE, "prepare"},
		{NF_REC_BARRIER, "barrier"},
		{NF_REC_READY, "ready"},
		{NF_REC_MARKED, "mark"},
		{NF_REC_FIN, "fin"},
		{NF_REC_FINALL, "finall"},
		{NF_REC_REEXP, "reexport"},
		{NF_REC_DONE, "done"},
		{NF_REC_COMMITTED, "committed"},
		{NF_REC_RELEASED, "release"},
		{NF_REC_OVER, "delete"},
	};

	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		if (points[i].t == t)
			nf_pause(points[i].point);
}

void nf_xmove_count(struct nf_xmove *mv, const struct nf_rec *r)
{
	struct nf_rec_stats *s = &mv->seen;
	uint32_t n = nf_rec_payload(r);

	switch (r->type) {
	case NF_REC_STATE:
		s->state_bytes += n;
		if (r->flow.kind != NFSHIM_KIND_FLOW)
			s->records++;
		else if (r->epoch)
			s->again++;
		else
			s->flows++;
		break;
	case NF_REC_CLONE:
		s->clones++;
		s->clone_bytes += n;
		break;
	case NF_REC_FWD:
		s->fwd++;
		break;
	}
}

/* ---- how a move ends ---- */

void nf_xmove_end(struct nf_xfer *x)
{
	struct nf_xmove *mv = &x->move;

	if (!mv->active)
		return;
	if (mv->dial) {
		nf_loop_del(x->loop, nf_conn_fd(mv->dial));
		nf_conn_free(mv->dial);
		mv->dial = NULL;
	}
	nf_stream_finish(x, &mv->peer);
	nf_buffer_clear(&mv->buf);
	nf_buffer_clear(&mv->waiting);
	nf_overflow_end(&mv->overflow);
	nf_inject_end(x);
	nf_info("move %llu is over here", (unsigned long long)mv->b.move);
	mv->active = false;
	nf_shim_settle(x->shim);
}

/* Nothing of the data is wanted any more; a destination says so, that the source may know. */
static void give_up(struct nf_xfer *x, const char *tell)
{
	struct nf_msg m = {.type = NF_MSG_REFUSED};
	struct nf_xmove *mv = &x->move;

	mv->aborting = mv->dropping = true;
	mv->settling = false;
	mv->finish = mv->end = false;
	nf_buffer_clear(&mv->buf);
	nf_buffer_clear(&mv->waiting);
	if (tell && mv->b.side == NF_SIDE_DST && mv->peer.c) {
		snprintf(m.text, sizeof(m.text), "%s", tell);
		nf_conn_send(mv->peer.c, &m);
	}
	nf_stream_finish(x, &mv->peer);
}

void nf_xmove_abort(struct nf_xfer *x, const char *why)
{
	struct nf_xmove *mv = &x->move;

	if (!mv->active || mv->aborting)
		return;
	nf_warn("move %llu aborted: %s", (unsigned long long)mv->b.move, why);
	give_up(x, why);
	nf_xmove_push(x, NF_REC_ABORT, mv->b.move, NULL, 0);
}

/* Told to the controller, which decides; without one this side decides, while it may. */
void nf_xmove_fail(struct nf_xfer *x, const char *fmt, ...)
{
	struct nf_xmove *mv = &x->move;
	char text[NF_TEXT_MAX];
	va_list ap;

	if (!mv->active || mv->failed)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	mv->failed = true;
	nf_warn("move %llu: %s", (unsigned long long)mv->b.move, text);
	nf_event_failed(x, mv->b.move, text);
	if (!nf_ctrl_up(x->ctrl) && !mv->no_return)
		nf_xmove_abort(x, text);
}

void nf_xmove_peer_gone(struct nf_xfer *x, const char *why)
{
	struct nf_xmove *mv = &x->move;

	if (!mv->active || mv->aborting)
		return;
	if (mv->b.side == NF_SIDE_DST && mv->settled) {
		mv->end = true; /* the source's linger is over */
		return;
	}
	if (mv->dialing) {
		nf_xmove_fail(x, "the destination's helper at %s did not take the move: %s",
			      mv->b.peer_addr, why);
		return;
	}
	nf_warn("move %llu: the stream to %s broke: %s", (unsigned long long)mv->b.move, mv->b.peer,
		why);
	nf_event_trouble(x, mv->b.move, NF_EVENT_PEER_GONE, why);
	if (mv->b.side == NF_SIDE_SRC) {
		mv->dropping = true;
		nf_buffer_clear(&mv->buf);
	}
	if (!nf_ctrl_up(x->ctrl) && !mv->no_return)
		nf_xmove_abort(x, why);
}

void nf_xmove_bad_peer(struct nf_xfer *x, const char *what)
{
	struct nf_xmove *mv = &x->move;

	nf_stream_close(x, &mv->peer);
	if (mv->b.side == NF_SIDE_DST && !mv->no_drop)
		mv->dropping = true;
	nf_xmove_fail(x, "the peer %s %s: the stream was closed", mv->b.peer, what);
	nf_xmove_peer_gone(x, what);
}

/* ---- from the controller ---- */

static void start(struct nf_xfer *x, const struct nf_msg_begin *b)
{
	struct nf_xmove *mv = &x->move;
	bool dst = b->side == NF_SIDE_DST;

	memset(mv, 0, sizeof(*mv));
	mv->active = true;
	mv->b = *b;
	mv->heard_us = mv->progress_us = nf_loop_now_us();
	nf_buffer_init(&mv->buf, dst ? b->buffer_packets : 0, dst ? b->buffer_bytes : 0);
	nf_buffer_init(&mv->waiting, 0, 0);
	nf_overflow_init(&mv->overflow);
	nf_info("move %llu: %s of '%s', with %s", (unsigned long long)b->move,
		dst ? "destination" : "source", b->space, b->peer);
	if (nf_inject_begin(x)) {
		nf_xmove_fail(x, "cannot make the secret of the move's frames");
		nf_xmove_end(x);
	} else if (dst)
		nf_xmove_push_begin(x);
	else
		nf_source_begin(x);
}

void nf_xmove_begin(struct nf_xfer *x, const struct nf_msg_begin *b)
{
	char text[NF_TEXT_MAX];

	if (x->move.active) {
		snprintf(text, sizeof(text), "%s is part of move %llu: try again when it is over",
			 x->name, (unsigned long long)x->move.b.move);
		nf_event_failed(x, b->move, text);
		return;
	}
	if (!nf_shim_up(x->shim)) {
		nf_event_failed(x, b->move, nf_shim_status(x->shim)->reason);
		return;
	}
	if (b->side == NF_SIDE_DST && b->opt.inject == NF_INJECT_VETH && !x->inject) {
		snprintf(text, sizeof(text),
			 "the helper of %s has no device to send clones on: start it with "
			 "--inject-dev, or move with --inject ring",
			 x->name);
		nf_event_failed(x, b->move, text);
		return;
	}
	start(x, b);
}

/* Orders of moves that this helper does not know go to the shim all the same: it may, and answers
 * OVER if it does not. */
static void pass_on(struct nf_xfer *x, const struct nf_msg_order *o)
{
	if (!nf_shim_up(x->shim))
		nf_event_trouble(x, o->move, NF_EVENT_NF_GONE, nf_shim_status(x->shim)->reason);
	else if (o->what == NF_REC_PREPARE)
		nf_event_failed(x, o->move, "this helper does not take part in that move");
	else
		nf_xmove_push(x, o->what, o->move, NULL, 0);
}

void nf_xmove_order(struct nf_xfer *x, const struct nf_msg_order *o)
{
	struct nf_xmove *mv = &x->move;

	if (!mv->active || o->move != mv->b.move) {
		pass_on(x, o);
		return;
	}
	switch (o->what) {
	case NF_REC_PREPARE:
		if (mv->b.side == NF_SIDE_DST) {
			nf_dest_prepare(x);
			return;
		}
		mv->no_drop = mv->no_return = true;
		break;
	case NF_REC_ABORT:
		give_up(x, "the controller aborted the move");
		break;
	case NF_REC_REVERT:
	case NF_REC_FENCE:
		give_up(x, NULL);
		break;
	case NF_REC_FINISH:
	case NF_REC_END:
		if (mv->b.side == NF_SIDE_SRC || mv->aborting)
			break;
		/* behind all that the source has said */
		mv->finish |= o->what == NF_REC_FINISH;
		mv->end |= o->what == NF_REC_END;
		mv->rx_us = nf_loop_now_us();
		return;
	default:
		return;
	}
	nf_xmove_push(x, o->what, o->move, NULL, 0);
}

void nf_xmove_list(struct nf_xfer *x, const struct nf_msg_list *l)
{
	struct nf_rec none = {.len = sizeof(none), .type = NF_REC_LIST_END, .move = l->id};

	if (nf_shim_up(x->shim))
		nf_xmove_push(x, NF_REC_LIST, l->id, l->space, (uint32_t)strlen(l->space));
	else
		nf_event_listed(x, &none);
}

void nf_xmove_heard(struct nf_xfer *x)
{
	x->move.heard_us = nf_loop_now_us();
}

void nf_xmove_ctrl_lost(struct nf_xfer *x)
{
	if (x->move.active && !x->move.no_return)
		nf_xmove_abort(x, "the controller is gone before the destination was ready");
}

/* ---- from the shim ---- */

bool nf_xmove_takes(struct nf_xfer *x)
{
	struct nf_xmove *mv = &x->move;

	if (!mv->active || mv->dropping || mv->draining)
		return true;
	if (mv->b.side == NF_SIDE_SRC)
		return nf_source_takes(x);
	return nf_stream_unsent(&mv->peer) < NF_STREAM_BOUND;
}

void nf_xmove_shim_dying(struct nf_xfer *x)
{
	struct nf_xmove *mv = &x->move;

	if (!mv->active || mv->b.side != NF_SIDE_SRC)
		return;
	if (mv->no_return)
		mv->draining = true;
	else
		mv->dropping = true;
}

void nf_xmove_shim_gone(struct nf_xfer *x, const char *why)
{
	struct nf_xmove *mv = &x->move;

	if (!mv->active)
		return;
	if (!mv->over)
		nf_event_trouble(x, mv->b.move, NF_EVENT_NF_GONE, why);
	nf_warn("move %llu: the NF is gone: %s", (unsigned long long)mv->b.move, why);
	if (mv->draining && !mv->dropping && mv->peer.c) {
		mv->nf_gone = true; /* ends when the peer has everything */
		return;
	}
	if (mv->b.side == NF_SIDE_DST && !mv->no_return)
		give_up(x, "the destination NF is gone");
	nf_xmove_end(x);
}

/* It said why, if it could; that it is out of it is all that is still to come from it. */
void nf_xmove_thread_gone(struct nf_xfer *x, unsigned thread)
{
	const struct nf_rec over = {
		.len = sizeof(over), .type = NF_REC_OVER, .move = x->move.b.move, .thread = thread};
	char why[64];

	if (!x->move.active || nf_parts_have(&x->move.parts, &over))
		return;
	nf_xmove_fail(x, "a packet thread of the NF ended during the move");
	nf_xmove_record(x, &over, NULL, why, sizeof(why));
}

/* ---- time ---- */

static void check_silence(struct nf_xfer *x, uint64_t now)
{
	struct nf_xmove *mv = &x->move;
	char text[128];

	if (!mv->b.wait_ms || mv->no_return || mv->aborting ||
	    now - mv->heard_us < (uint64_t)mv->b.wait_ms * 1000u)
		return;
	snprintf(text, sizeof(text), "no word from the controller for %u ms", mv->b.wait_ms);
	nf_xmove_fail(x, "%s", text);
	nf_xmove_abort(x, text);
}

void nf_xmove_tick(struct nf_xfer *x)
{
	struct nf_xmove *mv = &x->move;
	uint64_t now = nf_loop_now_us();

	if (!mv->active)
		return;
	if (now - mv->progress_us >= PROGRESS_US) {
		mv->progress_us = now;
		nf_event_progress(x);
	}
	check_silence(x, now);
	if (mv->active && mv->b.side == NF_SIDE_SRC)
		nf_source_tick(x);
}

void nf_xmove_pump(struct nf_xfer *x)
{
	struct nf_xmove *mv = &x->move;

	if (mv->active && mv->b.side == NF_SIDE_SRC)
		nf_source_pump(x);
	else if (mv->active)
		nf_dest_pump(x);
}

uint64_t nf_xmove_pace(const struct nf_xfer *x)
{
	const struct nf_xmove *mv = &x->move;

	if (!nf_shim_up(x->shim))
		return 0;
	if (mv->active && !mv->settled && !mv->dropping)
		return mv->no_drop ? PACE_LAST_US : PACE_MOVE_US;
	if (nf_shim_waits(x->shim) || nf_loop_now_us() < x->fast_until_us)
		return PACE_MOVE_US;
	return mv->active ? PACE_CALM_US : 0;
}

void nf_xmove_stop(struct nf_xfer *x)
{
	nf_stream_close(x, &x->move.peer);
	nf_xmove_end(x);
}
