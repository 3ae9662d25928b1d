/* SPDX-License-Identifier: BSD-2-Clause */
/* Serves the helpers' socket. */
#include "instance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "api.h"
#include "listen.h"
#include "log.h"
#include "move.h"

#define UNSENT_MAX (16u << 20) /* a helper that reads so little is as good as gone */

struct nf_instance *nf_instance_find(struct nf_ctrl *c, const char *name)
{
	struct nf_instance *i;

	LIST_FOREACH(i, &c->instances, next)
	if (!strcmp(i->name, name))
		return i;
	return NULL;
}

static struct nf_instance *add(struct nf_ctrl *c, const char *name)
{
	struct nf_instance *i = nf_instance_find(c, name), *last = NULL, *at;

	if (i)
		return i;
	i = calloc(1, sizeof(*i));
	if (!i)
		return NULL;
	i->c = c;
	snprintf(i->name, sizeof(i->name), "%s", name);
	LIST_FOREACH(at, &c->instances, next)
	last = at;
	if (last)
		LIST_INSERT_AFTER(last, i, next);
	else
		LIST_INSERT_HEAD(&c->instances, i, next);
	return i;
}

int nf_instances_init(struct nf_ctrl *c)
{
	for (unsigned i = 0; i < c->conf.ports; i++)
		if (!add(c, c->conf.port[i].name))
			return -ENOMEM;
	return 0;
}

char *nf_instance_names(struct nf_ctrl *c, char *buf, size_t n)
{
	struct nf_instance *i;
	size_t at = 0;

	buf[0] = 0;
	LIST_FOREACH(i, &c->instances, next)
	{
		at += (size_t)snprintf(buf + at, n - at, "%s%s", at ? ", " : "", i->name);
		if (at >= n)
			break;
	}
	return buf;
}

const char *nf_instance_unfit(const struct nf_instance *i)
{
	const struct nf_msg_status *st = &i->status;
	static char why[NF_TEXT_MAX + NF_NAME_MAX + 128];

	if (!i->helper && i->refused[0])
		snprintf(why, sizeof(why), "the helper of %s was refused: %s", i->name, i->refused);
	else if (!i->helper)
		snprintf(why, sizeof(why), "no helper speaks for %s: start 'nfxfer --name %s'",
			 i->name, i->name);
	else if (!i->has_status)
		snprintf(why, sizeof(why),
			 "the helper of %s has not said yet how its NF is: try "
			 "again",
			 i->name);
	else if (!st->pid)
		snprintf(why, sizeof(why), "no NF is attached at %s: %s", i->name,
			 st->reason[0] ? st->reason : "start it with nfrun");
	else if (!st->provider[0])
		snprintf(why, sizeof(why), "%s (%s) has no adapter for its state: %s", i->name,
			 st->program, st->reason[0] ? st->reason : "none fits this NF");
	else if (st->reason[0])
		snprintf(why, sizeof(why), "%s cannot take part: %s", i->name, st->reason);
	else
		return NULL;
	return why;
}

/* ---- sending ---- */

int nf_instance_send(struct nf_instance *i, const struct nf_msg *m)
{
	struct nf_helper *h = i->helper;
	int err;

	if (!h || h->broken)
		return -ENOTCONN;
	err = nf_conn_send(h->conn, m);
	if (!err && nf_conn_unsent(h->conn) > UNSENT_MAX)
		err = -ENOBUFS;
	/* The caller may be in the middle of something: the loop comes by at once. */
	h->broken = err != 0;
	if (err || nf_conn_unsent(h->conn))
		nf_loop_mod(h->c->loop, nf_conn_fd(h->conn), EPOLLIN | EPOLLOUT);
	return err;
}

/* ---- connections ---- */

static void close_helper(struct nf_helper *h, const char *why)
{
	struct nf_instance *i = h->inst;

	nf_loop_del(h->c->loop, nf_conn_fd(h->conn));
	nf_conn_free(h->conn);
	LIST_REMOVE(h, next);
	free(h);
	if (!i)
		return;
	nf_warn("the helper of %s is gone: %s", i->name, why);
	i->helper = NULL;
	i->has_status = false;
	nf_api_helper_gone(i);
	nf_moves_helper_gone(i);
}

static void refuse(struct nf_helper *h, struct nf_instance *i, const char *text)
{
	struct nf_msg m = {.type = NF_MSG_REFUSED};

	snprintf(m.text, sizeof(m.text), "%s", text);
	if (i && !i->helper)
		snprintf(i->refused, sizeof(i->refused), "%s", text);
	nf_warn("a helper was refused: %s", text);
	nf_conn_send(h->conn, &m);
	close_helper(h, text);
}

/* What goes to a terminal or into JSON. */
static void make_ascii(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text >= 0x80)
			*text = '?';
}

static bool on_hello(struct nf_helper *h, const struct nf_msg_hello *in)
{
	struct nf_msg m = {.type = NF_MSG_HELLO,
			   .hello = {.version = NF_PROTO_VERSION,
				     .role = NF_ROLE_CONTROLLER,
				     .name = "nfctrld"}};
	struct nf_instance *i = in->name[0] ? add(h->c, in->name) : NULL;
	char text[256];

	if (!i) {
		refuse(h, NULL, "it has no name");
	} else if (in->version != NF_PROTO_VERSION) {
		snprintf(text, sizeof(text), "nfxfer of %s", in->name);
		refuse(h, i, nf_msg_version_why(text, in->version));
	} else if (in->role != NF_ROLE_HELPER) {
		refuse(h, i, "only nfxfer connects here");
	} else if (i->helper) {
		snprintf(text, sizeof(text), "another helper speaks for %s already", in->name);
		refuse(h, i, text);
	} else {
		h->inst = i;
		i->helper = h;
		i->refused[0] = 0;
		snprintf(i->listen, sizeof(i->listen), "%s", in->listen);
		make_ascii(i->listen);
		nf_info("the helper of %s is connected", i->name);
		nf_instance_send(i, &m);
		m.type = NF_MSG_ASK;
		nf_instance_send(i, &m);
		nf_moves_helper_back(i);
		return true;
	}
	return false;
}

static void on_status(struct nf_instance *i, const struct nf_msg_status *st)
{
	i->status = *st;
	make_ascii(i->status.program);
	make_ascii(i->status.provider);
	make_ascii(i->status.reason);
	i->has_status = true;
	i->heard = i->asked;
	nf_api_stats_heard(i->c);
	if (st->move > i->c->last_move && st->move < NF_LIST_ID)
		i->c->last_move = st->move;
	nf_moves_status(i);
}

static void on_event(struct nf_instance *i, struct nf_msg_event *e)
{
	make_ascii(e->text);
	if (e->move >= NF_LIST_ID)
		nf_api_list_event(i, e);
	else
		nf_moves_event(i, e);
}

/* False: the connection is gone. */
static bool on_message(struct nf_helper *h, struct nf_msg *m)
{
	if (!h->inst) {
		if (m->type == NF_MSG_HELLO)
			return on_hello(h, &m->hello);
		refuse(h, NULL, "it did not say hello first");
		return false;
	}
	if (m->type == NF_MSG_STATUS) {
		on_status(h->inst, &m->status);
	} else if (m->type == NF_MSG_EVENT) {
		on_event(h->inst, &m->event);
	} else {
		refuse(h, h->inst, "it sent something that a helper does not send");
		return false;
	}
	return true;
}

static void helper_io(void *arg, uint32_t events)
{
	struct nf_helper *h = arg;
	struct nf_msg m;
	int err = h->broken ? -EPIPE : 0, rc;

	if (!err && (events & EPOLLOUT)) {
		err = nf_conn_flush(h->conn);
		if (!err && !nf_conn_unsent(h->conn))
			nf_loop_mod(h->c->loop, nf_conn_fd(h->conn), EPOLLIN);
	}
	if (!err && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		err = nf_conn_fill(h->conn);
	while ((rc = nf_conn_next(h->conn, &m)) > 0)
		if (!on_message(h, &m))
			return;
	if (rc < 0)
		close_helper(h, "it sent a malformed message");
	else if (err)
		close_helper(h, err == -EPIPE ? "it closed the connection" : strerror(-err));
}

static void on_connect(void *arg, uint32_t events)
{
	struct nf_ctrl *c = arg;
	struct nf_helper *h;
	int fd = nf_listen_accept(c->helper_fd);

	(void)events;
	if (fd < 0)
		return;
	h = calloc(1, sizeof(*h));
	if (h)
		h->conn = nf_conn_new(fd);
	if (!h || !h->conn) {
		free(h);
		close(fd);
		return;
	}
	h->c = c;
	LIST_INSERT_HEAD(&c->helpers, h, next);
	if (nf_loop_add(c->loop, fd, EPOLLIN, helper_io, h))
		close_helper(h, "the loop has no room");
}

void nf_instances_listen(struct nf_ctrl *c)
{
	nf_loop_add(c->loop, c->helper_fd, EPOLLIN, on_connect, c);
}

void nf_instances_fini(struct nf_ctrl *c)
{
	struct nf_instance *i;
	struct nf_helper *h;

	while ((h = LIST_FIRST(&c->helpers))) {
		LIST_REMOVE(h, next);
		nf_loop_del(c->loop, nf_conn_fd(h->conn));
		nf_conn_free(h->conn);
		free(h);
	}
	while ((i = LIST_FIRST(&c->instances))) {
		LIST_REMOVE(i, next);
		free(i);
	}
}
