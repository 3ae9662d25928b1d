/* SPDX-License-Identifier: BSD-2-Clause */
/* Connection to nfctrld; see ctrl_link.h. */
#include "ctrl_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "conn.h"
#include "log.h"
#include "shim_link.h"
#include "xfer.h"

#define RETRY_MIN_US 50000u
#define ANSWER_US    5000000u
#define UNSENT_MAX   (64u << 20) /* a controller that reads so little is as good as gone */

enum state { DOWN, GREETED, UP };

struct nf_ctrl_link {
	struct nf_xfer *x;
	struct sockaddr_un sa;
	char listen[NF_ADDR_MAX];
	enum state state;
	struct nf_conn *c;
	bool wants_status; /* asked, and the shim's answer is on its way */
	bool broken;	   /* sending failed; closed at the next tick */
	struct nf_msg_status told;
	uint64_t retry_us, delay_us, hello_us;
	bool logged; /* the reason why there is none */
};

bool nf_ctrl_up(const struct nf_ctrl_link *c)
{
	return c->state == UP && !c->broken;
}

static void drop(struct nf_ctrl_link *c)
{
	if (c->c) {
		nf_loop_del(c->x->loop, nf_conn_fd(c->c));
		nf_conn_free(c->c);
		c->c = NULL;
	}
	c->state = DOWN;
	c->broken = c->wants_status = false;
	memset(&c->told, 0, sizeof(c->told));
}

static void down(struct nf_ctrl_link *c, const char *why)
{
	bool was_up = c->state == UP;

	if (!c->logged || was_up)
		nf_warn("no controller at %s: %s; trying again until nfctrld is there",
			c->sa.sun_path, why);
	c->logged = true;
	drop(c);
	c->delay_us = c->delay_us ? c->delay_us * 2 : RETRY_MIN_US;
	if (c->delay_us > NF_XFER_RETRY_MAX)
		c->delay_us = NF_XFER_RETRY_MAX;
	c->retry_us = nf_loop_now_us() + c->delay_us;
	if (was_up)
		nf_xmove_ctrl_lost(c->x);
}

void nf_ctrl_send(struct nf_ctrl_link *c, const struct nf_msg *m)
{
	if (!nf_ctrl_up(c))
		return;
	/* The caller may be in the middle of something: a failure is acted upon later. */
	if (nf_conn_send(c->c, m) || nf_conn_unsent(c->c) > UNSENT_MAX)
		c->broken = true;
	else if (nf_conn_unsent(c->c))
		nf_loop_mod(c->x->loop, nf_conn_fd(c->c), EPOLLIN | EPOLLOUT);
}

void nf_ctrl_status(struct nf_ctrl_link *c, const struct nf_msg_status *st)
{
	struct nf_msg m = {.type = NF_MSG_STATUS};
	struct nf_msg_status news = *st;

	if (!c || !nf_ctrl_up(c))
		return;
	/* Counters alone are no news. */
	news.packets = c->told.packets;
	news.families = c->told.families;
	memcpy(news.drops, c->told.drops, sizeof(news.drops));
	if (!c->wants_status && !memcmp(&news, &c->told, sizeof(news)))
		return;
	c->wants_status = false;
	c->told = *st;
	m.status = *st;
	nf_ctrl_send(c, &m);
}

/* ---- what the controller says ---- */

static void asked(struct nf_ctrl_link *c)
{
	c->wants_status = true;
	if (nf_shim_up(c->x->shim))
		nf_shim_ask(c->x->shim); /* the answer comes by nf_ctrl_status */
	else
		nf_ctrl_status(c, nf_shim_status(c->x->shim));
}

static const char *greeted(struct nf_ctrl_link *c, const struct nf_msg_hello *h)
{
	const char *why = nf_msg_version_why("nfctrld", h->version);

	if (why)
		return why;
	if (h->role != NF_ROLE_CONTROLLER)
		return "what answers there is not a controller";
	c->state = UP;
	c->delay_us = 0;
	c->logged = false;
	nf_info("connected to the controller at %s", c->sa.sun_path);
	asked(c);
	return NULL;
}

static const char *take(struct nf_ctrl_link *c, const struct nf_msg *m)
{
	static char refused[NF_TEXT_MAX];

	if (m->type == NF_MSG_REFUSED) {
		snprintf(refused, sizeof(refused), "refused: %.1000s", m->text);
		return refused;
	}
	if (c->state == GREETED)
		return m->type == NF_MSG_HELLO ? greeted(c, &m->hello)
					       : "it did not say hello first";
	nf_xmove_heard(c->x);
	switch (m->type) {
	case NF_MSG_ASK:
		asked(c);
		return NULL;
	case NF_MSG_BEGIN:
		nf_xmove_begin(c->x, &m->begin);
		return NULL;
	case NF_MSG_ORDER:
		nf_xmove_order(c->x, &m->order);
		return NULL;
	case NF_MSG_LIST:
		nf_xmove_list(c->x, &m->list);
		return NULL;
	default:
		return "it sent something that a controller does not send";
	}
}

static void on_socket(void *arg, uint32_t events)
{
	struct nf_ctrl_link *c = arg;
	const char *why = NULL;
	struct nf_msg m;
	int rc;

	if (events & EPOLLOUT) {
		c->broken |= nf_conn_flush(c->c) != 0;
		if (!nf_conn_unsent(c->c))
			nf_loop_mod(c->x->loop, nf_conn_fd(c->c), EPOLLIN);
	}
	rc = nf_conn_fill(c->c);
	if (rc)
		why = rc == -EPIPE ? "it closed the connection" : strerror(-rc);
	while (!why && (rc = nf_conn_next(c->c, &m)) > 0)
		why = take(c, &m);
	if (!why && rc < 0)
		why = "it sent a malformed message";
	if (!why && c->broken)
		why = "it takes no messages";
	if (why)
		down(c, why);
	nf_xfer_turn(c->x);
}

/* ---- connecting ---- */

static const char *say_hello(struct nf_ctrl_link *c, int fd)
{
	struct nf_msg m = {.type = NF_MSG_HELLO,
			   .hello = {.version = NF_PROTO_VERSION, .role = NF_ROLE_HELPER}};
	int err;

	c->c = nf_conn_new(fd);
	if (!c->c) {
		close(fd);
		return "out of memory";
	}
	strcpy(m.hello.name, c->x->name);
	strcpy(m.hello.listen, c->listen);
	err = nf_conn_send(c->c, &m);
	if (!err)
		err = nf_loop_add(c->x->loop, fd, EPOLLIN, on_socket, c);
	if (err)
		return strerror(-err);
	c->state = GREETED;
	c->hello_us = nf_loop_now_us();
	return NULL;
}

static void connect_now(struct nf_ctrl_link *c)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const char *why;

	if (fd < 0) {
		down(c, strerror(errno));
		return;
	}
	if (connect(fd, (const struct sockaddr *)&c->sa, sizeof(c->sa)) < 0) {
		why = strerror(errno);
		close(fd);
	} else {
		why = say_hello(c, fd);
	}
	if (why)
		down(c, why);
}

void nf_ctrl_tick(struct nf_ctrl_link *c)
{
	uint64_t now = nf_loop_now_us();

	if (c->broken)
		down(c, "it takes no messages");
	else if (c->state == DOWN && now >= c->retry_us)
		connect_now(c);
	else if (c->state == GREETED && now - c->hello_us > ANSWER_US)
		down(c, "it does not answer");
}

int nf_ctrl_new(struct nf_xfer *x, const char *path, const char *listen, struct nf_ctrl_link **out)
{
	struct nf_ctrl_link *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->x = x;
	c->sa.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(c->sa.sun_path)) {
		free(c);
		return -ENAMETOOLONG;
	}
	strcpy(c->sa.sun_path, path);
	snprintf(c->listen, sizeof(c->listen), "%s", listen);
	*out = c;
	return 0;
}

void nf_ctrl_free(struct nf_ctrl_link *c)
{
	if (!c)
		return;
	drop(c);
	free(c);
}
