/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listening socket for source helpers. What connects is hostile until it has
 * shown the move's token: it gets one message, a deadline, and one of few
 * places; who comes too many pushes the oldest out, so that silent
 * connections cannot keep the real peer from getting in.
 */
#include "listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn.h"
#include "log.h"
#include "shim_link.h"
#include "xfer.h"

#define GUESTS 4

struct guest {
	struct nf_listener *l;
	struct nf_conn *c; /* NULL: place is free */
	uint64_t since_us;
};

struct nf_listener {
	struct nf_xfer *x;
	int fd;
	char addr[NF_ADDR_MAX];
	struct guest guest[GUESTS];
};

static void leave(struct guest *g)
{
	nf_loop_del(g->l->x->loop, nf_conn_fd(g->c));
	nf_conn_free(g->c);
	g->c = NULL;
}

static void refuse(struct guest *g, const char *why)
{
	struct nf_msg m = {.type = NF_MSG_REFUSED};

	nf_warn("refused a connection on %s: %s", g->l->addr, why);
	snprintf(m.text, sizeof(m.text), "%s", why);
	nf_conn_send(g->c, &m);
	leave(g);
}

/* Takes the same time wherever the first difference is. */
static bool same_token(const uint8_t *a, const uint8_t *b)
{
	volatile uint8_t diff = 0;

	for (unsigned i = 0; i < NF_TOKEN_BYTES; i++)
		diff |= (uint8_t)(a[i] ^ b[i]);
	return diff == 0;
}

/* The flows of a packet thread go to the one that reads the same capture. */
static const char *check_threads(unsigned theirs, unsigned ours)
{
	static char why[128];

	if (theirs == ours)
		return NULL;
	snprintf(why, sizeof(why),
		 "the source NF has %u packet threads, the destination NF %u: start both in the "
		 "same way",
		 theirs, ours);
	return why;
}

static const char *check_hello(const struct nf_xfer *x, const struct nf_msg *m)
{
	const struct nf_xmove *mv = &x->move;
	const char *why;
	bool good;

	if (m->type != NF_MSG_HELLO || m->hello.role != NF_ROLE_PEER)
		return "not a source helper";
	why = nf_msg_version_why("the source helper", m->hello.version);
	if (why)
		return why;
	good = same_token(m->hello.token, mv->b.token);
	if (!good || m->hello.move != mv->b.move)
		return "wrong move or token";
	return check_threads(m->hello.others + 1, nf_shim_threads(x->shim));
}

static void welcome(struct guest *g)
{
	struct nf_xfer *x = g->l->x;
	struct nf_msg m = {.type = NF_MSG_HELLO,
			   .hello = {.version = NF_PROTO_VERSION, .role = NF_ROLE_PEER}};
	struct nf_conn *c = g->c;

	m.hello.move = x->move.b.move;
	strcpy(m.hello.name, x->name);
	nf_loop_del(x->loop, nf_conn_fd(c));
	g->c = NULL;
	for (unsigned i = 0; i < GUESTS; i++)
		if (g->l->guest[i].c)
			leave(&g->l->guest[i]);
	if (nf_conn_send(c, &m))
		nf_conn_free(c); /* it is gone already; it may dial again */
	else
		nf_dest_attach(x, c);
}

static void on_guest(void *arg, uint32_t events)
{
	struct guest *g = arg;
	struct nf_xfer *x = g->l->x;
	const char *why;
	struct nf_msg m;
	int rc = nf_conn_fill(g->c);

	(void)events;
	if (rc) {
		leave(g);
		return;
	}
	rc = nf_conn_next(g->c, &m);
	if (!rc)
		return;
	why = rc < 0 ? "malformed hello" : check_hello(x, &m);
	if (!why && !nf_dest_waits(x))
		why = "no move waits for a source here";
	if (why)
		refuse(g, why);
	else
		welcome(g);
	nf_xfer_turn(x);
}

static struct guest *place(struct nf_listener *l)
{
	struct guest *oldest = &l->guest[0];

	for (unsigned i = 0; i < GUESTS; i++) {
		if (!l->guest[i].c)
			return &l->guest[i];
		if (l->guest[i].since_us < oldest->since_us)
			oldest = &l->guest[i];
	}
	leave(oldest);
	return oldest;
}

static void on_connection(void *arg, uint32_t events)
{
	struct nf_listener *l = arg;
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct guest *g;

	(void)events;
	if (fd < 0)
		return;
	/* Closed rather than left in the backlog, where it would wait for the next move. */
	if (!nf_dest_waits(l->x)) {
		close(fd);
		return;
	}
	nf_addr_tune(fd);
	g = place(l);
	*g = (struct guest){.l = l, .c = nf_conn_new(fd), .since_us = nf_loop_now_us()};
	if (!g->c)
		close(fd);
	else if (nf_loop_add(l->x->loop, fd, EPOLLIN, on_guest, g))
		leave(g);
}

void nf_listener_tick(struct nf_listener *l)
{
	uint64_t now = nf_loop_now_us();

	for (unsigned i = 0; i < GUESTS; i++) {
		struct guest *g = &l->guest[i];

		if (g->c && (!nf_dest_waits(l->x) || now - g->since_us > NF_XFER_HELLO_US))
			leave(g);
	}
}

static bool is_wildcard(const struct sockaddr_storage *sa)
{
	if (sa->ss_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)sa)->sin6_addr);
	return ((const struct sockaddr_in *)sa)->sin_addr.s_addr == INADDR_ANY;
}

static int open_socket(struct nf_listener *l, const struct sockaddr_storage *sa, socklen_t len)
{
	struct sockaddr_storage real;
	socklen_t n = sizeof(real);
	int one = 1;

	l->fd = socket(sa->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return -errno;
	setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	nf_addr_tune(l->fd);
	if (bind(l->fd, (const struct sockaddr *)sa, len) < 0 || listen(l->fd, GUESTS) < 0 ||
	    getsockname(l->fd, (struct sockaddr *)&real, &n) < 0)
		return -errno;
	nf_addr_format(&real, l->addr, sizeof(l->addr));
	return nf_loop_add(l->x->loop, l->fd, EPOLLIN, on_connection, l);
}

int nf_listener_new(struct nf_xfer *x, const char *addr, struct nf_listener **out, char *why,
		    size_t n)
{
	struct nf_listener *l = NULL;
	struct sockaddr_storage sa;
	socklen_t len;
	int err = nf_addr_parse(addr, &sa, &len);

	if (err) {
		snprintf(why, n,
			 "cannot listen on '%s': not an address and port in numbers, such as "
			 "127.0.0.1:0 or [::1]:4711",
			 addr);
		return err;
	}
	if (is_wildcard(&sa)) {
		snprintf(why, n,
			 "cannot listen on '%s': give the one address that the other helpers dial",
			 addr);
		return -EINVAL;
	}
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->x = x;
	l->fd = -1;
	err = open_socket(l, &sa, len);
	if (err) {
		snprintf(why, n,
			 "cannot listen on %s: %s; give an address of this host and a free port "
			 "(--listen)",
			 addr, strerror(-err));
		nf_listener_free(l);
		return err;
	}
	*out = l;
	return 0;
}

void nf_listener_free(struct nf_listener *l)
{
	if (!l)
		return;
	for (unsigned i = 0; i < GUESTS; i++)
		if (l->guest[i].c)
			leave(&l->guest[i]);
	if (l->fd >= 0) {
		nf_loop_del(l->x->loop, l->fd);
		close(l->fd);
	}
	free(l);
}

const char *nf_listener_addr(const struct nf_listener *l)
{
	return l->addr;
}
