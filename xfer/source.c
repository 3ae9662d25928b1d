/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The source's side of a move: dial the destination's helper, then out ring
 * to stream, and DONE and REEXP back.
 *
 * Until PREPARE a stream that is full is answered by leaving the out ring
 * alone: the shim meets a full ring and exports what it could not clone again. From
 * PREPARE on nothing may be lost: what the stream does not take goes to the
 * reserve. The reserve is bounded until the route has changed; a bound that is
 * met is told to the controller, which aborts. The spill goes on meanwhile:
 * the route may be changing at this very moment.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "event.h"
#include "move.h"
#include "pause.h"
#include "shim_link.h"
#include "xfer.h"

#define BLOCKED_US 5000000u /* a peer that takes nothing for so long is stuck */

/* ---- what the destination says ---- */

static int agreed(struct nf_xfer *x, const struct nf_msg *m)
{
	struct nf_xmove *mv = &x->move;
	const char *why = NULL;

	if (m->type == NF_MSG_REFUSED)
		why = m->text;
	else if (m->type != NF_MSG_HELLO || m->hello.role != NF_ROLE_PEER ||
		 m->hello.move != mv->b.move)
		why = "what answers there is not the destination of this move";
	else
		why = nf_msg_version_why("the destination helper", m->hello.version);
	if (why) {
		nf_stream_close(x, &mv->peer);
		nf_xmove_peer_gone(x, why);
		return 1;
	}
	mv->dialing = false;
	nf_xmove_push_begin(x);
	return 0;
}

/* The destination has aborted: it will never be ready, so this side may abort as well. */
static int peer_gave_up(struct nf_xfer *x, const char *why)
{
	struct nf_xmove *mv = &x->move;
	char text[NF_TEXT_MAX];

	snprintf(text, sizeof(text), "the destination gave up: %.900s", why);
	nf_stream_close(x, &mv->peer);
	mv->no_return &= mv->marked;
	nf_xmove_peer_gone(x, text);
	return 1;
}

static int on_message(struct nf_xfer *x, const struct nf_msg *m)
{
	struct nf_xmove *mv = &x->move;
	const struct nf_rec *r = &m->record.hdr;

	if (mv->dialing)
		return agreed(x, m);
	if (m->type == NF_MSG_REFUSED)
		return peer_gave_up(x, m->text);
	if (m->type != NF_MSG_RECORD || (r->type != NF_REC_DONE && r->type != NF_REC_REEXP) ||
	    r->move != mv->b.move || nf_rec_payload(r) || r->thread >= nf_shim_threads(x->shim)) {
		nf_xmove_bad_peer(x, "sent something that a destination does not send");
		return 1;
	}
	nf_xmove_pause((enum nf_rec_type)r->type);
	if (nf_shim_push(x->shim, r, NULL) != -ENOBUFS)
		return 0;
	if (nf_buffer_put(&mv->waiting, r, NULL)) {
		nf_xmove_bad_peer(x, "sent more than there is memory for");
		return 1;
	}
	nf_stream_pause(x, &mv->peer);
	return 1;
}

/* ---- dialing ---- */

static void dial_failed(struct nf_xfer *x, const char *why)
{
	struct nf_xmove *mv = &x->move;

	if (mv->dial) {
		nf_loop_del(x->loop, nf_conn_fd(mv->dial));
		nf_conn_free(mv->dial);
		mv->dial = NULL;
	}
	nf_xmove_fail(x, "cannot reach the helper of %s at %s: %s; is its --listen address right?",
		      mv->b.peer, mv->b.peer_addr, why);
}

static void on_dialed(void *arg, uint32_t events)
{
	struct nf_xfer *x = arg;
	struct nf_xmove *mv = &x->move;
	struct nf_msg m = {.type = NF_MSG_HELLO,
			   .hello = {.version = NF_PROTO_VERSION, .role = NF_ROLE_PEER}};
	struct nf_conn *c = mv->dial;
	socklen_t n = sizeof(int);
	int err = 0;

	(void)events;
	getsockopt(nf_conn_fd(c), SOL_SOCKET, SO_ERROR, &err, &n);
	strcpy(m.hello.name, x->name);
	m.hello.others = nf_shim_threads(x->shim) - 1;
	m.hello.move = mv->b.move;
	memcpy(m.hello.token, mv->b.token, sizeof(m.hello.token));
	if (!err)
		err = -nf_conn_send(c, &m);
	if (err) {
		dial_failed(x, strerror(err));
	} else {
		nf_loop_del(x->loop, nf_conn_fd(c));
		mv->dial = NULL;
		err = nf_stream_start(x, &mv->peer, c, on_message);
		if (err)
			dial_failed(x, strerror(-err));
	}
	nf_xfer_turn(x);
}

void nf_source_begin(struct nf_xfer *x)
{
	struct nf_xmove *mv = &x->move;
	struct sockaddr_storage sa;
	socklen_t len;
	int fd, err;

	mv->dialing = true;
	mv->dial_us = nf_loop_now_us();
	nf_pause("dial");
	if (nf_addr_parse(mv->b.peer_addr, &sa, &len)) {
		dial_failed(x, "not an address and port in numbers");
		return;
	}
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mv->dial = fd < 0 ? NULL : nf_conn_new(fd);
	if (!mv->dial) {
		err = errno;
		if (fd >= 0)
			close(fd);
		dial_failed(x, strerror(err));
		return;
	}
	nf_addr_tune(fd);
	err = connect(fd, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS ? -errno : 0;
	if (!err)
		err = nf_loop_add(x->loop, fd, EPOLLOUT, on_dialed, x);
	if (err)
		dial_failed(x, strerror(-err));
}

/* ---- out ring to stream ---- */

bool nf_source_takes(struct nf_xfer *x)
{
	return x->move.no_drop || nf_stream_unsent(&x->move.peer) < NF_STREAM_BOUND;
}

static void spill(struct nf_xfer *x, const struct nf_rec *r, const uint8_t *payload)
{
	struct nf_xmove *mv = &x->move;

	if (nf_buffer_put(&mv->buf, r, payload)) {
		nf_stream_close(x, &mv->peer);
		nf_xmove_peer_gone(x, "out of memory for the reserve");
		return;
	}
	if (mv->marked || mv->reserve_told || !mv->b.reserve_bytes ||
	    mv->buf.total <= mv->b.reserve_bytes)
		return;
	mv->reserve_told = true;
	nf_xmove_fail(x,
		      "reserve full: the peer takes data too slowly and the %llu bytes of "
		      "--reserve-bytes are used up; raise it or move at a quieter time",
		      (unsigned long long)mv->b.reserve_bytes);
}

void nf_source_record(struct nf_xfer *x, const struct nf_rec *r, const uint8_t *payload)
{
	struct nf_xmove *mv = &x->move;

	if (mv->dropping)
		return;
	nf_xmove_pause((enum nf_rec_type)r->type);
	nf_xmove_count(mv, r);
	if (nf_buffer_empty(&mv->buf) && nf_stream_unsent(&mv->peer) < NF_STREAM_BOUND)
		nf_stream_send(&mv->peer, r, payload);
	else
		spill(x, r, payload);
}

static void unspill(struct nf_xfer *x)
{
	struct nf_xmove *mv = &x->move;
	const struct nf_rec *r;
	const uint8_t *payload;

	while (mv->peer.c && nf_stream_unsent(&mv->peer) < NF_STREAM_BOUND &&
	       (r = nf_buffer_head(&mv->buf, &payload))) {
		nf_stream_send(&mv->peer, r, payload);
		nf_buffer_pop(&mv->buf);
	}
}

static void resume(struct nf_xfer *x)
{
	struct nf_xmove *mv = &x->move;
	const struct nf_rec *r;
	const uint8_t *payload;

	r = nf_buffer_head(&mv->waiting, &payload);
	if (!r || nf_shim_push(x->shim, r, payload) == -ENOBUFS)
		return;
	nf_buffer_pop(&mv->waiting);
	nf_stream_resume(x, &mv->peer);
}

void nf_source_pump(struct nf_xfer *x)
{
	struct nf_xmove *mv = &x->move;

	resume(x);
	if (mv->active)
		unspill(x);
	if (mv->active)
		nf_stream_flush(x, &mv->peer);
	if (!mv->active || !nf_buffer_empty(&mv->buf) || !(mv->over || mv->nf_gone))
		return;
	if (mv->over)
		nf_event_send(x, &mv->last);
	nf_xmove_end(x);
}

void nf_source_tick(struct nf_xfer *x)
{
	struct nf_xmove *mv = &x->move;
	uint64_t now = nf_loop_now_us();
	size_t unsent = nf_stream_unsent(&mv->peer);
	bool stuck = unsent && unsent == mv->unsent;

	mv->unsent = unsent;
	if (!stuck)
		mv->blocked_us = now;
	if (mv->dialing && !mv->failed && now - mv->dial_us > NF_XFER_DIAL_US) {
		nf_stream_close(x, &mv->peer);
		dial_failed(x, "it does not answer");
	} else if (stuck && now - mv->blocked_us > BLOCKED_US) {
		if (!mv->no_drop)
			nf_xmove_fail(x, "the peer %s takes no data: is its NF stuck?", mv->b.peer);
		else if (mv->nf_gone || mv->over)
			nf_xmove_end(x);
	}
}
