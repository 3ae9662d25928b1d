/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The destination's side of a move: stream through the bounded buffer to the
 * in ring, and DONE back.
 *
 * PREPARE is passed on once what has come is with the NF, so that the no-drop
 * phase finds little to do; but a destination that is always behind is not
 * waited for longer than a few seconds.
 *
 * Until then a full buffer drops the clones of its largest flow (overflow.c);
 * from then on the stream is not read until there is room. State does not count
 * towards the caps, but it too stops the reading when too much of it waits.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "inject.h"
#include "move.h"
#include "shim_link.h"
#include "xfer.h"

#define STATE_MAX_BYTES (64u << 20)
#define FINISH_QUIET_US 2000000u /* a dead source's last data has come by then */
#define END_QUIET_US	500000u
#define SETTLE_US	5000000u

bool nf_dest_waits(const struct nf_xfer *x)
{
	const struct nf_xmove *mv = &x->move;

	return mv->active && mv->b.side == NF_SIDE_DST && !mv->attached && !mv->aborting;
}

/* What a source may say now; NULL, or what is wrong. */
static const char *check(const struct nf_xfer *x, const struct nf_msg *m)
{
	const struct nf_xmove *mv = &x->move;
	const struct nf_rec *r = &m->record.hdr;

	if (m->type != NF_MSG_RECORD || r->type < NF_REC_STATE || r->type > NF_REC_FWD)
		return "sent something that a source does not send";
	if (r->move != mv->b.move)
		return "sent a record of another move";
	if (r->thread >= nf_shim_threads(x->shim))
		return "sent a record of a packet thread that there is not";
	if ((mv->finall & 1u << r->thread) && r->type != NF_REC_FWD)
		return "sent more than stragglers after its last word";
	if (r->type == NF_REC_CLONE && r->flow.kind == NFSHIM_KIND_HOST)
		return "sent a packet of something that is no flow";
	if (r->type == NF_REC_STATE && !r->scope)
		return "sent state without a scope";
	if ((r->type == NF_REC_BARRIER || r->type == NF_REC_FIN || r->type == NF_REC_FINALL) &&
	    nf_rec_payload(r))
		return "sent a control record with a payload";
	return NULL;
}

/* ---- stream to in ring ---- */

static bool must_wait(const struct nf_xmove *mv, const struct nf_rec *r)
{
	return nf_buffer_over(&mv->buf, r) || mv->buf.total - mv->buf.bytes > STATE_MAX_BYTES;
}

static int no_memory(struct nf_xfer *x)
{
	nf_xmove_bad_peer(x, "sent more than there is memory for");
	return 1;
}

static int on_message(struct nf_xfer *x, const struct nf_msg *m)
{
	struct nf_xmove *mv = &x->move;
	const struct nf_rec *r = &m->record.hdr;
	const char *bad = check(x, m);

	mv->rx_us = nf_loop_now_us();
	if (bad) {
		nf_xmove_bad_peer(x, bad);
		return 1;
	}
	if (mv->dropping || !nf_overflow_wants(x, r))
		return 0;
	nf_xmove_pause((enum nf_rec_type)r->type);
	nf_xmove_count(mv, r);
	if (r->type == NF_REC_FINALL)
		mv->finall |= 1u << r->thread;
	if (nf_buffer_empty(&mv->buf) && nf_inject_push(x, r, m->record.payload) == 0)
		return 0;
	if (nf_buffer_over(&mv->buf, r) && !mv->no_drop && !nf_overflow_makes_room(x, r))
		return mv->failed;
	if (!must_wait(mv, r))
		return nf_buffer_put(&mv->buf, r, m->record.payload) ? no_memory(x) : 0;
	if (nf_buffer_put(&mv->waiting, r, m->record.payload))
		return no_memory(x);
	nf_stream_pause(x, &mv->peer);
	return 1;
}

static void resume(struct nf_xfer *x)
{
	struct nf_xmove *mv = &x->move;
	const struct nf_rec *r;
	const uint8_t *payload;

	r = nf_buffer_head(&mv->waiting, &payload);
	if (!r || must_wait(mv, r))
		return;
	if (nf_buffer_put(&mv->buf, r, payload)) {
		no_memory(x);
		return;
	}
	nf_buffer_pop(&mv->waiting);
	nf_stream_resume(x, &mv->peer);
}

static void unbuffer(struct nf_xfer *x)
{
	const struct nf_rec *r;
	const uint8_t *payload;

	while ((r = nf_buffer_head(&x->move.buf, &payload)) && nf_inject_push(x, r, payload) == 0)
		nf_buffer_pop(&x->move.buf);
}

/* It goes behind the state that it waited for. */
static void release_barrier(struct nf_xfer *x)
{
	struct nf_xmove *mv = &x->move;
	struct nf_rec r = {.len = sizeof(r), .type = NF_REC_BARRIER, .move = mv->b.move};

	while (nf_buffer_empty(&mv->waiting) && nf_overflow_barrier(x, &r.thread))
		if (nf_buffer_put(&mv->buf, &r, NULL)) {
			no_memory(x);
			return;
		}
}

/* FINISH and END go behind the last data: at the stream's end, or when nothing comes any more. */
static void last_orders(struct nf_xfer *x)
{
	struct nf_xmove *mv = &x->move;
	uint64_t quiet = mv->finish ? FINISH_QUIET_US : END_QUIET_US;

	if (!(mv->finish || mv->end) || !nf_buffer_empty(&mv->buf) ||
	    !nf_buffer_empty(&mv->waiting))
		return;
	if (mv->peer.c && nf_loop_now_us() - mv->rx_us < quiet)
		return;
	nf_stream_finish(x, &mv->peer);
	if (mv->finish)
		nf_xmove_push(x, NF_REC_FINISH, mv->b.move, NULL, 0);
	if (mv->end)
		nf_xmove_push(x, NF_REC_END, mv->b.move, NULL, 0);
	mv->finish = mv->end = false;
}

void nf_dest_attach(struct nf_xfer *x, struct nf_conn *c)
{
	struct nf_xmove *mv = &x->move;

	mv->attached = true;
	mv->rx_us = nf_loop_now_us();
	if (nf_stream_start(x, &mv->peer, c, on_message))
		nf_xmove_peer_gone(x, "cannot watch the stream");
}

void nf_dest_prepare(struct nf_xfer *x)
{
	x->move.settling = true;
	x->move.settle_us = nf_loop_now_us();
	nf_xfer_expect(x);
}

static void settle(struct nf_xfer *x)
{
	struct nf_xmove *mv = &x->move;
	bool behind =
		!nf_buffer_empty(&mv->buf) || !nf_buffer_empty(&mv->waiting) || mv->overflow.stale;

	if (!mv->settling || (behind && nf_loop_now_us() - mv->settle_us < SETTLE_US))
		return;
	mv->settling = false;
	mv->no_drop = true;
	nf_xmove_push(x, NF_REC_PREPARE, mv->b.move, NULL, 0);
}

void nf_dest_done(struct nf_xfer *x, const struct nf_rec *r)
{
	nf_xmove_pause(NF_REC_DONE);
	nf_stream_send(&x->move.peer, r, NULL);
}

void nf_dest_pump(struct nf_xfer *x)
{
	struct nf_xmove *mv = &x->move;

	unbuffer(x);
	resume(x);
	if (mv->active)
		nf_overflow_ask(x);
	release_barrier(x);
	unbuffer(x);
	nf_stream_flush(x, &mv->peer);
	if (mv->active)
		settle(x);
	if (mv->active)
		last_orders(x);
}
