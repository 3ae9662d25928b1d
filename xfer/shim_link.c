/* SPDX-License-Identifier: BSD-2-Clause */
/* Rendezvous client, rings and doorbell; see shim_link.h. */
#include "shim_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "buffer.h"
#include "conn.h"
#include "ctrl_link.h"
#include "log.h"
#include "ring.h"
#include "xfer.h"

#define BATCH	       512   /* records taken before other events get their turn */
#define LAST_POLLS     1024  /* more than a ring can hold: one that still grows is not dead */
#define DOORBELL_BYTES 4096u /* pushed bytes per doorbell while more follow */
#define ASK_US	       1000000u
#define RETRY_MIN_US   50000u
#define ANSWER_US      5000000u

enum state { DOWN, ASKED, UP };

/* To one packet thread. */
struct channel {
	struct nf_ring *in, *out; /* NULL: there is none */
	int bell;
	struct nf_buffer orders; /* wait for room */
	size_t in_flight;	 /* bytes pushed since the in ring was last seen empty */
	size_t unrung;		 /* bytes pushed since the doorbell */
};

struct nf_shim_link {
	struct nf_xfer *x;
	struct sockaddr_un sa;
	enum state state;
	struct nf_conn *c;
	struct channel place[NF_THREADS];   /* as in its status */
	struct channel *thread[NF_THREADS]; /* those that are spoken to, by their captures */
	unsigned threads;
	struct nf_msg_status status;
	uint64_t retry_us, delay_us, asked_us, hello_us;
	bool told; /* the reason why there is no link was logged */
};

bool nf_shim_up(const struct nf_shim_link *s)
{
	return s->state == UP;
}

bool nf_shim_lives(const struct nf_shim_link *s)
{
	char c;
	ssize_t n = s->c ? recv(nf_conn_fd(s->c), &c, 1, MSG_PEEK | MSG_DONTWAIT) : 0;

	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

const struct nf_msg_status *nf_shim_status(const struct nf_shim_link *s)
{
	return &s->status;
}

static void blank_status(struct nf_shim_link *s, const char *why)
{
	memset(&s->status, 0, sizeof(s->status));
	snprintf(s->status.name, sizeof(s->status.name), "%s", s->x->name);
	snprintf(s->status.reason, sizeof(s->status.reason), "%s", why);
}

static void close_channel(struct channel *c)
{
	nf_ring_free(c->in);
	nf_ring_free(c->out);
	c->in = c->out = NULL;
	if (c->bell >= 0)
		close(c->bell);
	c->bell = -1;
	nf_buffer_clear(&c->orders);
	c->in_flight = c->unrung = 0;
}

static void drop(struct nf_shim_link *s)
{
	if (s->c) {
		nf_loop_del(s->x->loop, nf_conn_fd(s->c));
		nf_conn_free(s->c);
		s->c = NULL;
	}
	for (unsigned i = 0; i < NF_THREADS; i++)
		close_channel(&s->place[i]);
	s->threads = 0;
	s->state = DOWN;
}

/* The link ended or did not come about. The reason is logged once, until it was up again. */
static void down(struct nf_shim_link *s, const char *why)
{
	bool was_up = s->state == UP, news;
	char text[NF_TEXT_MAX];

	snprintf(text, sizeof(text), "no NF under the shim at %s: %s", s->sa.sun_path, why);
	news = was_up || strncmp(s->status.reason, text, sizeof(s->status.reason) - 1) != 0;
	if (!s->told || was_up)
		nf_warn("%s; trying again until one is there", text);
	s->told = true;
	drop(s);
	blank_status(s, text);
	s->delay_us = s->delay_us ? s->delay_us * 2 : RETRY_MIN_US;
	if (s->delay_us > NF_XFER_RETRY_MAX)
		s->delay_us = NF_XFER_RETRY_MAX;
	s->retry_us = nf_loop_now_us() + s->delay_us;
	if (was_up)
		nf_xmove_shim_gone(s->x, why);
	if (news)
		nf_ctrl_status(s->x->ctrl, &s->status);
}

/* ---- what the shim says ---- */

static unsigned poll_channel(struct nf_shim_link *s, struct channel *c, unsigned thread);

/* What is in the ring of a thread, or of an NF, that ended was still said by it. */
static void last_words(struct nf_shim_link *s, struct channel *c, unsigned thread)
{
	for (unsigned i = 0; i < LAST_POLLS && c->out && !nf_ring_empty(c->out); i++)
		poll_channel(s, c, thread);
}

static void ended(struct nf_shim_link *s, struct channel *c)
{
	for (unsigned i = 0; i < s->threads; i++)
		if (s->thread[i] == c) {
			last_words(s, c, i);
			nf_xmove_thread_gone(s->x, i);
		}
	if (s->state == UP)
		close_channel(c);
}

static bool is_known(const struct nf_shim_link *s, unsigned place)
{
	static const uint8_t none[NF_THREADS];

	if (!s->place[place].in)
		return false;
	/* Before its input has begun an NF has no packet thread; the first will have this place. */
	return s->status.thread[place] || (!place && !memcmp(s->status.thread, none, sizeof(none)));
}

/* By their captures: which of them began first is a matter of luck. */
void nf_shim_settle(struct nf_shim_link *s)
{
	const uint8_t *number = s->status.thread;
	unsigned k;

	if (s->x->move.active || s->state != UP)
		return;
	s->threads = 0;
	for (unsigned i = 0; i < NF_THREADS; i++) {
		if (!is_known(s, i))
			continue;
		for (k = s->threads++; k && number[i] < number[s->thread[k - 1] - s->place]; k--)
			s->thread[k] = s->thread[k - 1];
		s->thread[k] = &s->place[i];
	}
}

unsigned nf_shim_threads(const struct nf_shim_link *s)
{
	return s->threads ? s->threads : 1;
}

/* The rings and the doorbell that came with a message. */
static const char *attach(struct nf_shim_link *s, struct channel *c)
{
	int fd[3], n = nf_conn_take_fds(s->c, fd, 3);
	const char *why = n == 3 ? NULL : "it sent no rings";

	if (!why && (nf_ring_attach(fd[0], &c->in) || nf_ring_attach(fd[1], &c->out)))
		why = "its rings are not usable";
	for (int i = 0; i < n && (why || i < 2); i++)
		close(fd[i]);
	if (!why)
		c->bell = fd[2];
	return why;
}

static const char *take_hello(struct nf_shim_link *s, const struct nf_msg_hello *h)
{
	const char *why = nf_msg_version_why("the shim", h->version);

	if (!why && h->role != NF_ROLE_SHIM)
		why = "what answers there is not a shim";
	else if (!why && strcmp(h->name, s->x->name) != 0)
		why = "the NF there has another name: give both the same (NFSHIM_NAME, --name)";
	if (!why)
		why = attach(s, &s->place[0]);
	if (why)
		return why;
	s->state = UP;
	s->told = false;
	s->delay_us = 0;
	nf_shim_settle(s);
	nf_info("linked to the NF at %s", s->sa.sun_path);
	nf_shim_ask(s);
	return NULL;
}

static const char *take_channel(struct nf_shim_link *s, struct channel *c)
{
	if (c->in) /* another thread has its place */
		ended(s, c);
	return s->state == UP ? attach(s, c) : NULL;
}

static void take_status(struct nf_shim_link *s, const struct nf_msg_status *st)
{
	struct nf_msg_status was = s->status;

	s->status = *st;
	for (unsigned i = 0; i < NF_THREADS; i++)
		if (was.thread[i] && !st->thread[i] && s->place[i].in)
			ended(s, &s->place[i]);
	nf_shim_settle(s);
	nf_ctrl_status(s->x->ctrl, &s->status);
}

static const char *take(struct nf_shim_link *s, const struct nf_msg *m)
{
	static char refused[NF_TEXT_MAX];

	if (m->type == NF_MSG_REFUSED) {
		snprintf(refused, sizeof(refused), "refused: %.1000s", m->text);
		return refused;
	}
	if (s->state == ASKED && m->type == NF_MSG_HELLO)
		return take_hello(s, &m->hello);
	if (s->state == UP && m->type == NF_MSG_CHANNEL)
		return take_channel(s, &s->place[m->channel]);
	if (s->state != UP || m->type != NF_MSG_STATUS)
		return "it sent something that a shim does not send";
	take_status(s, &m->status);
	return NULL;
}

static void all_last_words(struct nf_shim_link *s)
{
	if (s->state != UP)
		return;
	nf_xmove_shim_dying(s->x);
	for (unsigned i = 0; i < s->threads; i++)
		last_words(s, s->thread[i], i);
}

static void on_socket(void *arg, uint32_t events)
{
	struct nf_shim_link *s = arg;
	const char *why = NULL;
	struct nf_msg m;
	int rc;

	if (events & EPOLLOUT) {
		nf_conn_flush(s->c);
		if (!nf_conn_unsent(s->c))
			nf_loop_mod(s->x->loop, nf_conn_fd(s->c), EPOLLIN);
	}
	rc = nf_conn_fill(s->c);
	if (rc) {
		all_last_words(s);
		if (s->c)
			down(s, rc == -EPIPE ? "the NF ended" : strerror(-rc));
		nf_xfer_turn(s->x);
		return;
	}
	while (!why && s->c && (rc = nf_conn_next(s->c, &m)) > 0)
		why = take(s, &m);
	if (rc < 0)
		why = "it sent a malformed message";
	if (why && s->c)
		down(s, why);
	nf_xfer_turn(s->x);
}

/* ---- connecting ---- */

static const char *check_owner(int fd)
{
	struct ucred cr;
	socklen_t n = sizeof(cr);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cr, &n) < 0)
		return strerror(errno);
	if (cr.uid != 0 && cr.uid != geteuid())
		return "the socket belongs to another user";
	return NULL;
}

static const char *say_hello(struct nf_shim_link *s, int fd)
{
	struct nf_msg m = {.type = NF_MSG_HELLO,
			   .hello = {.version = NF_PROTO_VERSION, .role = NF_ROLE_HELPER}};
	int err;

	s->c = nf_conn_new(fd);
	if (!s->c) {
		close(fd);
		return "out of memory";
	}
	strcpy(m.hello.name, s->x->name);
	err = nf_conn_send(s->c, &m);
	if (!err)
		err = nf_loop_add(s->x->loop, fd, EPOLLIN, on_socket, s);
	if (err)
		return strerror(-err);
	s->state = ASKED;
	s->hello_us = nf_loop_now_us();
	return NULL;
}

static void connect_now(struct nf_shim_link *s)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const char *why;

	if (fd < 0) {
		down(s, strerror(errno));
		return;
	}
	if (connect(fd, (const struct sockaddr *)&s->sa, sizeof(s->sa)) < 0) {
		why = strerror(errno);
		close(fd);
		down(s, why);
		return;
	}
	why = check_owner(fd);
	if (why)
		close(fd);
	else
		why = say_hello(s, fd);
	if (why)
		down(s, why);
}

int nf_shim_new(struct nf_xfer *x, const char *path, struct nf_shim_link **out)
{
	struct nf_shim_link *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->x = x;
	for (unsigned i = 0; i < NF_THREADS; i++) {
		s->place[i].bell = -1;
		nf_buffer_init(&s->place[i].orders, 0, 0);
	}
	s->sa.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(s->sa.sun_path)) {
		free(s);
		return -ENAMETOOLONG;
	}
	strcpy(s->sa.sun_path, path);
	blank_status(s, "not connected yet");
	*out = s;
	return 0;
}

void nf_shim_free(struct nf_shim_link *s)
{
	if (!s)
		return;
	drop(s);
	free(s);
}

void nf_shim_ask(struct nf_shim_link *s)
{
	struct nf_msg m = {.type = NF_MSG_ASK};

	if (s->state != UP)
		return;
	s->asked_us = nf_loop_now_us();
	/* A service thread that does not read leaves unsent questions: no use asking more. */
	if (!nf_conn_unsent(s->c) && nf_conn_send(s->c, &m) == 0 && nf_conn_unsent(s->c))
		nf_loop_mod(s->x->loop, nf_conn_fd(s->c), EPOLLIN | EPOLLOUT);
}

void nf_shim_tick(struct nf_shim_link *s)
{
	uint64_t now = nf_loop_now_us();

	if (s->state == DOWN && now >= s->retry_us)
		connect_now(s);
	else if (s->state == ASKED && now - s->hello_us > ANSWER_US)
		down(s, "it does not answer");
	else if (s->state == UP && now - s->asked_us >= ASK_US)
		nf_shim_ask(s);
}

/* ---- rings ---- */

static void ring_bell(struct channel *c)
{
	uint64_t one = 1;

	if (c->unrung && write(c->bell, &one, sizeof(one)) < 0 && errno != EAGAIN)
		nf_warn("cannot ring the NF's doorbell: %s", strerror(errno));
	c->unrung = 0;
}

static int push(struct channel *c, const struct nf_rec *r, const uint8_t *payload)
{
	struct nf_rec *slot = nf_ring_reserve(c->in, r->len);

	if (!slot)
		return -ENOBUFS;
	*slot = *r;
	if (nf_rec_payload(r))
		memcpy(slot + 1, payload, nf_rec_payload(r));
	nf_ring_commit(c->in, slot);
	c->in_flight += r->len;
	c->unrung += r->len;
	if (c->unrung >= DOORBELL_BYTES)
		ring_bell(c);
	return 0;
}

int nf_shim_push(struct nf_shim_link *s, const struct nf_rec *r, const uint8_t *payload)
{
	struct channel *c = r->thread < s->threads ? s->thread[r->thread] : NULL;

	if (s->state != UP || !c || !c->in)
		return -ENOTCONN;
	if (!nf_buffer_empty(&c->orders))
		return -ENOBUFS;
	if (c->in_flight >= NF_SHIM_WINDOW) {
		nf_ring_room(c->in); /* has a fresh look at the consumer's place */
		if (!nf_ring_empty(c->in))
			return -ENOBUFS;
		c->in_flight = 0;
	}
	return push(c, r, payload);
}

int nf_shim_order(struct nf_shim_link *s, const struct nf_rec *r, const uint8_t *payload)
{
	int err = 0;

	if (s->state != UP)
		return -ENOTCONN;
	for (unsigned i = 0; i < s->threads && !err; i++) {
		struct channel *c = s->thread[i];

		if (c->in && (!nf_buffer_empty(&c->orders) || push(c, r, payload)))
			err = nf_buffer_put(&c->orders, r, payload);
	}
	return err;
}

static void flush(struct channel *c)
{
	const struct nf_rec *r;
	const uint8_t *payload;

	if (!c->in)
		return;
	while ((r = nf_buffer_head(&c->orders, &payload)) && push(c, r, payload) == 0)
		nf_buffer_pop(&c->orders);
	ring_bell(c);
}

void nf_shim_flush(struct nf_shim_link *s)
{
	for (unsigned i = 0; i < s->threads && s->state == UP; i++)
		flush(s->thread[i]);
}

bool nf_shim_waits(const struct nf_shim_link *s)
{
	for (unsigned i = 0; i < s->threads; i++)
		if (!nf_buffer_empty(&s->thread[i]->orders))
			return true;
	return false;
}

/* The shim broke the rules: its link is of no use any more. */
static void broken(struct nf_shim_link *s, const char *why)
{
	char text[NF_TEXT_MAX];

	snprintf(text, sizeof(text), "the shim wrote a bad record: %.900s", why);
	if (s->x->move.active)
		nf_xmove_fail(s->x, "%s", text);
	down(s, text);
}

static unsigned poll_channel(struct nf_shim_link *s, struct channel *c, unsigned thread)
{
	char why[256] = "it breaks the layout of the ring";
	const struct nf_rec *r;
	const uint8_t *payload;
	struct nf_rec hdr;
	unsigned n = 0;
	int err = 0;

	while (n < BATCH && s->state == UP && c->out && nf_xmove_takes(s->x)) {
		r = nf_ring_peek(c->out, &hdr, &payload, &err);
		hdr.thread = thread;
		if (r)
			err = nf_xmove_record(s->x, r, payload, why, sizeof(why));
		if (err) {
			broken(s, why);
			break;
		}
		if (!r)
			break;
		nf_ring_next(c->out);
		n++;
	}
	return n;
}

unsigned nf_shim_poll(struct nf_shim_link *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->threads && s->state == UP; i++)
		n += poll_channel(s, s->thread[i], i);
	return n;
}
