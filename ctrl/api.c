/* SPDX-License-Identifier: BSD-2-Clause */
/* Clients, their lines, and what they wait for. */
#include "api.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flow.h"
#include "listen.h"
#include "log.h"
#include "move.h"

#define LINE_MAX_BYTES	 65536	      /* longest request */
#define UNREAD_MAX_BYTES (256u << 20) /* a client that does not read its answers is let go */

static void client_close(struct nf_client *cl)
{
	nf_loop_del(cl->c->loop, cl->fd);
	close(cl->fd);
	nf_timer_free(cl->timer);
	json_decref(cl->flows);
	LIST_REMOVE(cl, next);
	free(cl->in);
	free(cl->out);
	free(cl);
}

/* ---- out ---- */

static void flush(struct nf_client *cl)
{
	while (cl->out_at < cl->out_len) {
		ssize_t n =
			send(cl->fd, cl->out + cl->out_at, cl->out_len - cl->out_at, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			cl->broken = true;
		if (n < 0)
			break;
		cl->out_at += (size_t)n;
	}
	if (cl->out_at == cl->out_len)
		cl->out_at = cl->out_len = 0;
	/* A broken one is closed when the loop comes by: the caller may still use it. */
	nf_loop_mod(cl->c->loop, cl->fd, cl->out_len || cl->broken ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void nf_api_send(struct nf_client *cl, const char *event, json_t *o)
{
	char *text, *grown;
	size_t n;

	json_object_set_new(o, "event", json_string(event));
	text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9));
	json_decref(o);
	n = text ? strlen(text) : 0;
	grown = text && cl->out_len + n < UNREAD_MAX_BYTES ? realloc(cl->out, cl->out_len + n + 1)
							   : NULL;
	if (!grown) {
		free(text);
		cl->broken = true;
		return;
	}
	cl->out = grown;
	memcpy(cl->out + cl->out_len, text, n);
	cl->out[cl->out_len + n] = '\n';
	cl->out_len += n + 1;
	free(text);
	flush(cl);
}

void nf_api_ok(struct nf_client *cl, json_t *o)
{
	json_object_set_new(o, "ok", json_true());
	json_object_set_new(o, "code", json_integer(NF_CODE_DONE));
	nf_api_send(cl, "result", o);
}

void nf_api_error(struct nf_client *cl, int code, const char *fmt, ...)
{
	json_t *o = json_object();
	char text[NF_TEXT_MAX * 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *c = text; *c; c++) /* a cut may have split a character */
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	json_object_set_new(o, "ok", json_false());
	json_object_set_new(o, "code", json_integer(code));
	json_object_set_new(o, "error", json_string(text));
	nf_api_send(cl, "result", o);
}

/* ---- moves ---- */

void nf_api_move_progress(const struct nf_move *m)
{
	struct nf_client *cl;

	LIST_FOREACH(cl, &m->c->clients, next)
	if (cl->waits == m && !cl->broken)
		nf_api_send(cl, "progress", nf_move_progress(m));
}

void nf_api_move_result(const struct nf_move *m)
{
	bool ok = m->state == NF_MOVE_DONE;
	struct nf_client *cl;
	json_t *o;

	LIST_FOREACH(cl, &m->c->clients, next)
	{
		if (cl->waits != m)
			continue;
		cl->waits = NULL;
		o = nf_move_result(m);
		json_object_set_new(o, "ok", json_boolean(ok));
		json_object_set_new(o, "code", json_integer(ok ? NF_CODE_DONE : NF_CODE_FAILED));
		nf_api_send(cl, "result", o);
	}
}

void nf_api_move_gone(const struct nf_move *m)
{
	struct nf_client *cl;

	LIST_FOREACH(cl, &m->c->clients, next)
	if (cl->waits == m)
		cl->waits = NULL;
}

/* ---- lists of flows ---- */

static void list_end(struct nf_client *cl)
{
	cl->lists = NULL;
	json_decref(cl->flows);
	cl->flows = NULL;
	nf_timer_set(cl->timer, 0, 0);
}

void nf_api_list_event(struct nf_instance *i, const struct nf_msg_event *e)
{
	char text[NF_FLOW_TEXT];
	struct nf_client *cl;

	LIST_FOREACH(cl, &i->c->clients, next)
	if (cl->lists == i && cl->list_id == e->move)
		break;
	if (!cl)
		return;
	if (e->what == NF_EVENT_FLOW) {
		nf_flow_format(&e->flow, text, sizeof(text));
		json_array_append_new(cl->flows, json_pack("{s:s,s:I}", "flow", text, "packets",
							   (json_int_t)e->version));
		return;
	}
	nf_api_ok(cl, json_pack("{s:s,s:I,s:O}", "instance", i->name, "count",
				(json_int_t)json_array_size(cl->flows), "flows", cl->flows));
	list_end(cl);
}

void nf_api_helper_gone(struct nf_instance *i)
{
	struct nf_client *cl;

	LIST_FOREACH(cl, &i->c->clients, next)
	if (cl->lists == i) {
		nf_api_error(cl, NF_CODE_FAILED, "the helper of %s is gone", i->name);
		list_end(cl);
	}
	nf_api_stats_heard(i->c);
}

/* ---- in ---- */

static void on_line(struct nf_client *cl, const char *line)
{
	json_error_t err;
	json_t *req = json_loads(line, 0, &err);

	if (json_is_object(req))
		nf_api_request(cl, req);
	else
		nf_api_error(cl, NF_CODE_USAGE, "the request is not a JSON object: %s", err.text);
	json_decref(req);
}

static void take_lines(struct nf_client *cl)
{
	char *end;

	while (!cl->broken && (end = memchr(cl->in, '\n', cl->in_len))) {
		size_t n = (size_t)(end - cl->in) + 1;

		*end = 0;
		if (cl->skips)
			nf_api_error(cl, NF_CODE_REFUSED,
				     "the request is longer than %d "
				     "characters: split the move",
				     LINE_MAX_BYTES);
		else
			on_line(cl, cl->in);
		cl->skips = false;
		cl->in_len -= n;
		memmove(cl->in, cl->in + n, cl->in_len);
	}
}

static bool grow(struct nf_client *cl)
{
	size_t cap = cl->in_cap ? 2 * cl->in_cap : 4096;
	char *grown = realloc(cl->in, cap);

	if (!grown)
		return false;
	cl->in = grown;
	cl->in_cap = cap;
	return true;
}

static void receive(struct nf_client *cl)
{
	ssize_t n;

	if (cl->in_len + 1 >= cl->in_cap) {
		if (cl->in_cap >= LINE_MAX_BYTES) {
			cl->skips = true;
			cl->in_len = 0;
		} else if (!grow(cl)) {
			cl->broken = true;
			return;
		}
	}
	n = recv(cl->fd, cl->in + cl->in_len, cl->in_cap - cl->in_len - 1, 0);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		cl->broken = true;
	if (n > 0)
		cl->in_len += (size_t)n;
	take_lines(cl);
}

static void client_io(void *arg, uint32_t events)
{
	struct nf_client *cl = arg;

	if (!cl->broken && (events & EPOLLOUT))
		flush(cl);
	if (!cl->broken && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		receive(cl);
	if (cl->broken)
		client_close(cl);
}

static void on_late(void *arg)
{
	struct nf_client *cl = arg;

	if (cl->stats) {
		nf_api_stats_send(cl);
		return;
	}
	nf_api_error(cl, NF_CODE_FAILED,
		     "%s did not list its flows in time: is its NF reading "
		     "packets?",
		     cl->lists->name);
	list_end(cl);
}

static void on_connect(void *arg, uint32_t events)
{
	struct nf_ctrl *c = arg;
	int fd = nf_listen_accept(c->api_fd);
	struct nf_client *cl;

	(void)events;
	if (fd < 0)
		return;
	cl = calloc(1, sizeof(*cl));
	if (!cl) {
		close(fd);
		return;
	}
	cl->c = c;
	cl->fd = fd;
	LIST_INSERT_HEAD(&c->clients, cl, next);
	cl->timer = nf_timer_new(c->loop, on_late, cl);
	if (!cl->timer || nf_loop_add(c->loop, fd, EPOLLIN, client_io, cl))
		client_close(cl);
}

void nf_api_listen(struct nf_ctrl *c)
{
	nf_loop_add(c->loop, c->api_fd, EPOLLIN, on_connect, c);
}

void nf_api_fini(struct nf_ctrl *c)
{
	struct nf_client *cl;

	while ((cl = LIST_FIRST(&c->clients)))
		client_close(cl);
}
