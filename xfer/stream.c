/* SPDX-License-Identifier: BSD-2-Clause */
/* Stream between helpers; see stream.h. */
#include "stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <unistd.h>

#include "xfer.h"

#define SOCKET_BYTES (4 << 20)
#define FINISH_US    5000000u

/* ---- addresses and sockets ---- */

int nf_addr_parse(const char *text, struct sockaddr_storage *sa, socklen_t *len)
{
	struct addrinfo hint = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				.ai_socktype = SOCK_STREAM},
			*ai;
	char host[NF_ADDR_MAX];
	char *colon;
	size_t n;

	snprintf(host, sizeof(host), "%s", text);
	colon = strrchr(host, ':');
	if (!colon || colon == host || !colon[1])
		return -EINVAL;
	*colon = 0;
	n = strlen(host);
	if (host[0] == '[' && host[n - 1] == ']') {
		memmove(host, host + 1, n - 2);
		host[n - 2] = 0;
	}
	if (getaddrinfo(host, colon + 1, &hint, &ai))
		return -EINVAL;
	memcpy(sa, ai->ai_addr, ai->ai_addrlen);
	*len = ai->ai_addrlen;
	freeaddrinfo(ai);
	return 0;
}

void nf_addr_format(const struct sockaddr_storage *sa, char *out, size_t n)
{
	char host[INET6_ADDRSTRLEN] = "?", port[8] = "?";

	getnameinfo((const struct sockaddr *)sa, sizeof(*sa), host, sizeof(host), port,
		    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(out, n, sa->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static void set_buffer(int fd, int force, int plain)
{
	int bytes = SOCKET_BYTES;

	if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof(bytes));
}

void nf_addr_tune(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
}

/* ---- the stream ---- */

static struct nf_stream *stream_of(struct nf_xfer *x)
{
	return &x->move.peer;
}

static void gone(struct nf_xfer *x, struct nf_stream *s, const char *why)
{
	nf_stream_close(x, s);
	nf_xmove_peer_gone(x, why);
}

/* Hand out what was read, until paused, closed or empty. */
static void hand_out(struct nf_xfer *x, struct nf_stream *s)
{
	struct nf_msg m;
	int rc = 0;

	while (s->c && !s->paused && (rc = nf_conn_next(s->c, &m)) > 0)
		if (s->cb(x, &m))
			return;
	if (s->c && rc < 0)
		gone(x, s,
		     rc == -EMSGSIZE ? "the peer sent a message that is too large"
				     : "the peer sent a malformed message");
}

static void on_stream(void *arg, uint32_t events)
{
	struct nf_xfer *x = arg;
	struct nf_stream *s = stream_of(x);
	int rc;

	if (events & EPOLLOUT)
		nf_stream_flush(x, s);
	if (s->c && (events & ~(uint32_t)EPOLLOUT)) {
		rc = nf_conn_fill(s->c);
		if (!rc)
			hand_out(x, s);
		else
			gone(x, s, rc == -EPIPE ? "the peer closed the stream" : strerror(-rc));
	}
	nf_xfer_turn(x);
}

int nf_stream_start(struct nf_xfer *x, struct nf_stream *s, struct nf_conn *c, nf_stream_msg_cb cb)
{
	int err = nf_loop_add(x->loop, nf_conn_fd(c), EPOLLIN, on_stream, x);

	if (err) {
		nf_conn_free(c);
		return err;
	}
	*s = (struct nf_stream){.c = c, .cb = cb};
	return 0;
}

/* Out of the loop altogether: a hang-up would be reported again and again. */
void nf_stream_pause(struct nf_xfer *x, struct nf_stream *s)
{
	if (!s->c || s->paused)
		return;
	s->paused = true;
	nf_loop_del(x->loop, nf_conn_fd(s->c));
}

void nf_stream_resume(struct nf_xfer *x, struct nf_stream *s)
{
	if (!s->c || !s->paused)
		return;
	s->paused = false;
	if (nf_loop_add(x->loop, nf_conn_fd(s->c), EPOLLIN, on_stream, x)) {
		gone(x, s, "cannot watch the stream");
		return;
	}
	hand_out(x, s);
}

size_t nf_stream_unsent(const struct nf_stream *s)
{
	return s->c && !s->mute ? nf_conn_unsent(s->c) : 0;
}

/* The other side is to notice that this was all; its own end of the stream then ends ours. */
static void set_mute(struct nf_stream *s)
{
	s->mute = true;
	shutdown(nf_conn_fd(s->c), SHUT_WR);
}

void nf_stream_send(struct nf_stream *s, const struct nf_rec *r, const uint8_t *payload)
{
	struct nf_msg m;

	if (!s->c || s->mute)
		return;
	m.type = NF_MSG_RECORD;
	m.record.hdr = *r;
	m.record.payload = payload;
	if (nf_conn_send(s->c, &m))
		set_mute(s);
}

void nf_stream_flush(struct nf_xfer *x, struct nf_stream *s)
{
	uint32_t events = EPOLLIN;

	if (!s->c)
		return;
	if (nf_stream_unsent(s) && nf_conn_flush(s->c))
		set_mute(s);
	if (nf_stream_unsent(s))
		events |= EPOLLOUT;
	if (!s->paused)
		nf_loop_mod(x->loop, nf_conn_fd(s->c), events);
}

void nf_stream_close(struct nf_xfer *x, struct nf_stream *s)
{
	if (!s->c)
		return;
	nf_loop_del(x->loop, nf_conn_fd(s->c));
	nf_conn_free(s->c);
	s->c = NULL;
	s->paused = false;
}

/* ---- gentle end ---- */

struct finishing {
	LIST_ENTRY(finishing) next;
	struct nf_loop *loop;
	struct nf_conn *c;
	struct nf_timer *timer;
	bool shut;
};

static LIST_HEAD(, finishing) all = LIST_HEAD_INITIALIZER(all);

static void finished(void *arg)
{
	struct finishing *f = arg;

	nf_timer_free(f->timer);
	nf_loop_del(f->loop, nf_conn_fd(f->c));
	nf_conn_free(f->c);
	LIST_REMOVE(f, next);
	free(f);
}

static void on_finishing(void *arg, uint32_t events)
{
	struct finishing *f = arg;
	int err = nf_conn_flush(f->c), fd = nf_conn_fd(f->c);
	char sink[16384];
	ssize_t n = 1;

	if (!err && !nf_conn_unsent(f->c) && !f->shut) {
		f->shut = true;
		shutdown(fd, SHUT_WR);
		nf_loop_mod(f->loop, fd, EPOLLIN);
	}
	if (events & ~(uint32_t)EPOLLOUT)
		n = recv(fd, sink, sizeof(sink), MSG_DONTWAIT);
	if (err || n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		finished(f);
}

void nf_stream_finish(struct nf_xfer *x, struct nf_stream *s)
{
	struct finishing *f = calloc(1, sizeof(*f));

	if (!s->c || !f) {
		free(f);
		nf_stream_close(x, s);
		return;
	}
	nf_loop_del(x->loop, nf_conn_fd(s->c));
	f->loop = x->loop;
	f->c = s->c;
	s->c = NULL;
	s->paused = false;
	LIST_INSERT_HEAD(&all, f, next);
	f->timer = nf_timer_new(x->loop, finished, f);
	if (!f->timer ||
	    nf_loop_add(f->loop, nf_conn_fd(f->c), EPOLLIN | EPOLLOUT, on_finishing, f)) {
		finished(f);
		return;
	}
	nf_timer_set(f->timer, FINISH_US, 0);
}

void nf_stream_finish_all(void)
{
	while (!LIST_EMPTY(&all))
		finished(LIST_FIRST(&all));
}
