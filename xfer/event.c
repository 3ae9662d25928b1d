/* SPDX-License-Identifier: BSD-2-Clause */
/* Events for the controller; see event.h. */
#include "event.h"

#include <stdio.h>
#include <string.h>

#include "ctrl_link.h"
#include "log.h"
#include "xfer.h"

#define UNFINISHED_NAMED 2000 /* flows named one by one */

void nf_event_send(struct nf_xfer *x, const struct nf_msg_event *e)
{
	struct nf_msg m = {.type = NF_MSG_EVENT};
	struct nf_xmove *mv = &x->move;

	m.event = *e;
	if (mv->active && mv->b.move == e->move) {
		if (mv->b.side == NF_SIDE_DST) {
			m.event.buffered = mv->buf.packets_max;
			m.event.buffered_bytes = mv->buf.bytes_max;
			m.event.dropped = mv->overflow.dropped;
			m.event.reexports = mv->overflow.reexports;
		} else {
			m.event.reserve = mv->buf.total_max;
		}
	}
	nf_ctrl_send(x->ctrl, &m);
}

/* The shim's memory is not ours: what it says must not upset whoever prints it. */
static void take_text(char *out, size_t cap, const uint8_t *in, size_t n)
{
	if (n >= cap)
		n = cap - 1;
	for (size_t i = 0; i < n; i++) {
		uint8_t c = in[i];

		out[i] = (char)(c < 0x20 || c >= 0x7f ? '?' : c);
	}
	out[n] = 0;
}

void nf_event_fill(const struct nf_rec *r, const uint8_t *payload, struct nf_msg_event *e)
{
	memset(e, 0, sizeof(*e));
	e->move = r->move;
	e->what = NF_EVENT_REC;
	e->rec = (enum nf_rec_type)r->type;
	e->version = r->version;
	e->flow = r->flow;
	if (r->type == NF_REC_FAILED)
		take_text(e->text, sizeof(e->text), payload, nf_rec_payload(r));
	else if (nf_rec_payload(r) == sizeof(e->stats))
		memcpy(&e->stats, payload, sizeof(e->stats));
}

/* Those beyond are told by their number, with the next report. */
static void unfinished_rest(struct nf_xfer *x)
{
	struct nf_xmove *mv = &x->move;
	struct nf_msg_event e = {.move = mv->b.move,
				 .rec = NF_REC_UNFINISHED,
				 .version = mv->unfinished,
				 .flow = mv->unfinished_flow};

	if (mv->unfinished > UNFINISHED_NAMED)
		nf_event_send(x, &e);
}

void nf_event_unfinished(struct nf_xfer *x, const struct nf_rec *r)
{
	struct nf_xmove *mv = &x->move;
	struct nf_msg_event e = {.move = r->move, .rec = NF_REC_UNFINISHED, .flow = r->flow};

	if (mv->active && mv->b.move == r->move) {
		e.version = ++mv->unfinished;
		mv->unfinished_flow = r->flow;
	}
	if (e.version <= UNFINISHED_NAMED)
		nf_event_send(x, &e);
}

void nf_event_record(struct nf_xfer *x, const struct nf_rec *r, const uint8_t *payload)
{
	struct nf_msg_event e;

	if (x->move.active && x->move.b.move == r->move)
		unfinished_rest(x);
	nf_event_fill(r, payload, &e);
	nf_event_send(x, &e);
}

void nf_event_trouble(struct nf_xfer *x, uint64_t move, enum nf_event what, const char *text)
{
	struct nf_msg_event e = {.move = move, .what = what};

	take_text(e.text, sizeof(e.text), (const uint8_t *)text, strlen(text));
	nf_event_send(x, &e);
}

void nf_event_failed(struct nf_xfer *x, uint64_t move, const char *text)
{
	struct nf_msg_event e = {.move = move, .rec = NF_REC_FAILED};

	take_text(e.text, sizeof(e.text), (const uint8_t *)text, strlen(text));
	nf_event_send(x, &e);
}

void nf_event_progress(struct nf_xfer *x)
{
	struct nf_msg_event e = {
		.move = x->move.b.move, .what = NF_EVENT_PROGRESS, .stats = x->move.seen};

	nf_event_send(x, &e);
}

/* An answer to LIST; r->move is the list's id. */
void nf_event_listed(struct nf_xfer *x, const struct nf_rec *r)
{
	struct nf_msg_event e = {.move = r->move, .version = r->version, .flow = r->flow};

	if (r->type == NF_REC_LISTED) {
		e.what = NF_EVENT_FLOW;
	} else {
		e.what = NF_EVENT_REC;
		e.rec = NF_REC_LIST_END;
	}
	nf_event_send(x, &e);
}
