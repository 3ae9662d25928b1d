/* SPDX-License-Identifier: BSD-2-Clause */
/* Made-up shims and controller; see peers.h. */
#include "peers.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RING (1u << 20)

struct lab lab;

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static int listen_at(const char *name)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s.sock", lab.dir, name);
	unlink(sa.sun_path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	return fd;
}

static void stop_listening(int *fd, const char *name)
{
	char path[128];

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	snprintf(path, sizeof(path), "%s/%s.sock", lab.dir, name);
	unlink(path);
}

/* ---- shim ---- */

void shim_open(struct shim *s, const char *name)
{
	memset(s, 0, sizeof(*s));
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->listen_fd = listen_at(name);
	snprintf(s->status.name, sizeof(s->status.name), "%s", name);
	snprintf(s->status.program, sizeof(s->status.program), "made-up");
	s->status.pid = (uint32_t)getpid();
}

static void unlink_shim(struct shim *s)
{
	nf_conn_free(s->c);
	nf_ring_free(s->in);
	nf_ring_free(s->out);
	s->c = NULL;
	s->in = s->out = NULL;
}

void shim_close(struct shim *s)
{
	stop_listening(&s->listen_fd, s->name);
	unlink_shim(s);
	if (s->bell >= 0)
		close(s->bell);
	s->bell = -1;
	free(s->got);
	s->got = NULL;
	s->ngot = s->cap = 0;
}

static void shim_link(struct shim *s, int fd)
{
	struct nf_msg m = {.type = NF_MSG_HELLO,
			   .hello = {.version = NF_PROTO_VERSION, .role = NF_ROLE_SHIM}};
	struct nf_msg in;
	int fds[3];

	unlink_shim(s);
	s->c = nf_conn_new(fd);
	ck_assert_int_eq(nf_conn_recv_wait(s->c, &in, WAIT_MS), 0);
	ck_assert_int_eq(in.type, NF_MSG_HELLO);
	ck_assert_int_eq(in.hello.role, NF_ROLE_HELPER);
	ck_assert_str_eq(in.hello.name, s->name);
	ck_assert_int_eq(nf_ring_create(RING, "in", &s->in, &fds[0]), 0);
	ck_assert_int_eq(nf_ring_create(RING, "out", &s->out, &fds[1]), 0);
	fds[2] = s->bell;
	strcpy(m.hello.name, s->name);
	ck_assert_int_eq(nf_conn_send_fds(s->c, &m, fds, 3), 0);
	close(fds[0]);
	close(fds[1]);
	s->links++;
}

static void take_one(struct shim *s, const struct nf_rec *r, const uint8_t *payload)
{
	if (s->ngot == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 1024;
		s->got = realloc(s->got, s->cap * sizeof(*s->got));
		ck_assert_ptr_nonnull(s->got);
	}
	s->got[s->ngot++] = *r;
	if (r->type < NF_REC_STATE || r->type > NF_REC_FWD)
		return;
	for (uint32_t i = 0; i < nf_rec_payload(r); i++)
		s->bad_payload += payload[i] != (uint8_t)(r->version + i);
	s->seen_bytes += nf_rec_payload(r);
}

static void take_all(struct shim *s)
{
	const struct nf_rec *r;
	const uint8_t *payload;
	struct nf_rec hdr;
	int err;

	for (int i = 0; i < 2000 && !s->frozen && (r = nf_ring_peek(s->in, &hdr, &payload, &err));
	     i++) {
		take_one(s, r, payload);
		nf_ring_next(s->in);
	}
}

static void tell_status(struct shim *s)
{
	struct nf_msg m = {.type = NF_MSG_STATUS};

	m.status = s->status;
	nf_conn_send(s->c, &m);
}

void shim_thread_begins(struct shim *s, struct shim *second, unsigned capture)
{
	struct nf_msg m = {.type = NF_MSG_CHANNEL, .channel = 1};
	int fds[3];

	memset(second, 0, sizeof(*second));
	snprintf(second->name, sizeof(second->name), "%.20s.second", s->name);
	second->listen_fd = -1;
	second->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ck_assert_int_eq(nf_ring_create(RING, "in", &second->in, &fds[0]), 0);
	ck_assert_int_eq(nf_ring_create(RING, "out", &second->out, &fds[1]), 0);
	fds[2] = second->bell;
	ck_assert_int_eq(nf_conn_send_fds(s->c, &m, fds, 3), 0);
	close(fds[0]);
	close(fds[1]);
	s->status.thread[0] = (uint8_t)(2 - capture);
	s->status.thread[1] = (uint8_t)(1 + capture);
	tell_status(s);
}

void shim_thread_ends(struct shim *s)
{
	s->status.thread[1] = 0;
	tell_status(s);
}

static void serve_shim(struct shim *s)
{
	struct nf_msg m;
	int fd;

	if (s->listen_fd < 0)
		return;
	fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		shim_link(s, fd);
	if (!s->c)
		return;
	if (nf_conn_fill(s->c)) {
		unlink_shim(s);
		return;
	}
	while (nf_conn_next(s->c, &m) > 0) {
		ck_assert_int_eq(m.type, NF_MSG_ASK);
		tell_status(s);
	}
	take_all(s);
}

bool shim_try(struct shim *s, enum nf_rec_type t, uint64_t move, uint64_t version, uint32_t flow,
	      uint32_t payload)
{
	uint32_t len = (uint32_t)sizeof(struct nf_rec) + payload;
	struct nf_rec *r = nf_ring_reserve(s->out, len);
	uint8_t *p;

	if (!r)
		return false;
	memset(r, 0, sizeof(*r));
	r->len = len;
	r->type = (uint8_t)t;
	r->scope = t == NF_REC_STATE;
	r->move = move;
	r->version = version;
	r->epoch = s->epoch;
	r->flags = s->flags;
	r->flow.kind = s->kind;
	r->flow.addr[0][0] = 10;
	memcpy(r->flow.addr[1], &flow, sizeof(flow));
	r->flow.ethertype = 0x0800;
	p = (uint8_t *)(r + 1);
	for (uint32_t i = 0; i < payload; i++)
		p[i] = (uint8_t)(version + i);
	nf_ring_commit(s->out, r);
	return true;
}

void shim_say(struct shim *s, enum nf_rec_type t, uint64_t move, uint64_t version, uint32_t flow,
	      uint32_t payload)
{
	uint64_t end = now_ms() + WAIT_MS;

	while (!shim_try(s, t, move, version, flow, payload)) {
		ck_assert_msg(now_ms() < end, "the helper does not empty the ring");
		step(1);
	}
}

size_t shim_wait(struct shim *s, enum nf_rec_type t, size_t from)
{
	uint64_t end = now_ms() + WAIT_MS;

	for (;;) {
		if (s->listen_fd < 0 && s->in)
			take_all(s);
		for (; from < s->ngot; from++)
			if (s->got[from].type == t)
				return from;
		ck_assert_msg(now_ms() < end, "%s did not get %s", s->name, nf_rec_name(t));
		step(2);
	}
}

size_t shim_count(const struct shim *s, enum nf_rec_type t)
{
	size_t n = 0;

	for (size_t i = 0; i < s->ngot; i++)
		n += s->got[i].type == t;
	return n;
}

/* ---- helper and controller ---- */

void helper_start(struct helper *h, const char *name)
{
	const char *prog = getenv("NFXFER");

	memset(h, 0, sizeof(*h));
	snprintf(h->name, sizeof(h->name), "%s", name);
	ck_assert_ptr_nonnull(prog);
	h->pid = fork();
	ck_assert_int_ge(h->pid, 0);
	if (!h->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
		execl(prog, prog, "--name", name, "--dir", lab.dir, (char *)NULL);
		_exit(127);
	}
}

void helper_kill(struct helper *h, int sig)
{
	uint64_t end = now_ms() + WAIT_MS;
	int st = 0;

	if (h->pid > 0) {
		kill(h->pid, sig);
		while (waitpid(h->pid, &st, WNOHANG) == 0) {
			ck_assert_msg(now_ms() < end, "%s does not end", h->name);
			step(2);
		}
		if (sig == SIGTERM)
			ck_assert_msg(WIFEXITED(st) && !WEXITSTATUS(st), "%s ended with %#x",
				      h->name, st);
	}
	h->pid = 0;
	nf_conn_free(h->c);
	h->c = NULL;
}

void ctrl_open(void)
{
	lab.ctrl_fd = listen_at("nfctrld");
}

void ctrl_close(void)
{
	stop_listening(&lab.ctrl_fd, "nfctrld");
	nf_conn_free(lab.hs.c);
	nf_conn_free(lab.hd.c);
	lab.hs.c = lab.hd.c = NULL;
}

static void ctrl_accept(void)
{
	struct nf_msg m, out = {.type = NF_MSG_HELLO,
				.hello = {.version = NF_PROTO_VERSION, .role = NF_ROLE_CONTROLLER}};
	int fd = lab.ctrl_fd < 0 ? -1 : accept4(lab.ctrl_fd, NULL, NULL, SOCK_CLOEXEC);
	struct nf_conn *c;
	struct helper *h;

	if (fd < 0)
		return;
	c = nf_conn_new(fd);
	ck_assert_int_eq(nf_conn_recv_wait(c, &m, WAIT_MS), 0);
	ck_assert_int_eq(m.type, NF_MSG_HELLO);
	ck_assert_int_eq(m.hello.role, NF_ROLE_HELPER);
	h = strcmp(m.hello.name, lab.hs.name) ? &lab.hd : &lab.hs;
	ck_assert_str_eq(m.hello.name, h->name);
	nf_conn_free(h->c);
	h->c = c;
	memcpy(h->listen, m.hello.listen, sizeof(h->listen));
	ck_assert_int_eq(nf_conn_send(c, &out), 0);
}

static void serve_helper(struct helper *h)
{
	struct nf_msg m;

	if (!h->c)
		return;
	if (nf_conn_fill(h->c)) {
		nf_conn_free(h->c);
		h->c = NULL;
		return;
	}
	while (h->c && nf_conn_next(h->c, &m) > 0) {
		if (m.type == NF_MSG_STATUS) {
			h->status = m.status;
			h->nstatus++;
		} else {
			ck_assert_int_eq(m.type, NF_MSG_EVENT);
			if (m.event.what == NF_EVENT_PROGRESS)
				continue;
			ck_assert_uint_lt(h->nev, EVENTS_MAX);
			h->ev[h->nev++] = m.event;
		}
	}
}

void step(int ms)
{
	ctrl_accept();
	serve_shim(&lab.s);
	serve_shim(&lab.d);
	serve_helper(&lab.hs);
	serve_helper(&lab.hd);
	usleep((unsigned)ms * 200);
}

void run(int ms)
{
	uint64_t end = now_ms() + (unsigned)ms;

	while (now_ms() < end)
		step(1);
}

void helper_wait_link(struct helper *h)
{
	struct shim *s = h == &lab.hs ? &lab.s : &lab.d;
	uint64_t end = now_ms() + WAIT_MS;

	while (!h->c || !s->c || h->status.pid != s->status.pid) {
		ck_assert_msg(now_ms() < end, "%s does not come up", h->name);
		step(2);
	}
}

void ctrl_send(struct helper *h, const struct nf_msg *m)
{
	ck_assert_ptr_nonnull(h->c);
	ck_assert_int_eq(nf_conn_send(h->c, m), 0);
}

void order(struct helper *h, enum nf_rec_type what, uint64_t move)
{
	struct nf_msg m = {.type = NF_MSG_ORDER, .order = {move, what}};

	ctrl_send(h, &m);
}

void begin(struct helper *h, enum nf_side side, uint64_t move, struct nf_msg_begin b)
{
	struct nf_msg m = {.type = NF_MSG_BEGIN};

	m.begin = b;
	m.begin.move = move;
	m.begin.side = side;
	strcpy(m.begin.peer, side == NF_SIDE_SRC ? "ids2" : "ids1");
	strcpy(m.begin.space, "net 10.0.0.0/8");
	memcpy(m.begin.token, "0123456789abcdef", NF_TOKEN_BYTES);
	if (side == NF_SIDE_SRC) {
		m.begin.opt.marks = 1;
		if (!*m.begin.peer_addr)
			strcpy(m.begin.peer_addr, lab.hd.listen);
	}
	ctrl_send(h, &m);
}

struct nf_msg_event *wait_event(struct helper *h, enum nf_event what, enum nf_rec_type rec)
{
	uint64_t end = now_ms() + WAIT_MS;

	for (;;) {
		while (h->seen < h->nev) {
			struct nf_msg_event *e = &h->ev[h->seen++];

			if (e->what == what && (what != NF_EVENT_REC || e->rec == rec))
				return e;
		}
		ck_assert_msg(now_ms() < end, "%s did not tell event %d %s", h->name, what,
			      nf_rec_name(rec));
		step(2);
	}
}

bool has_event(const struct helper *h, enum nf_event what, enum nf_rec_type rec)
{
	for (size_t i = 0; i < h->nev; i++)
		if (h->ev[i].what == what && h->ev[i].rec == rec)
			return true;
	return false;
}

struct nf_conn *dial(const char *addr)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char host[NF_ADDR_MAX];

	snprintf(host, sizeof(host), "%s", addr);
	sa.sin_port = htons((uint16_t)atoi(strchr(host, ':') + 1));
	*strchr(host, ':') = 0;
	ck_assert_int_eq(inet_pton(AF_INET, host, &sa.sin_addr), 1);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return nf_conn_new(fd);
}

void hello_threads(struct nf_conn *c, uint64_t move, const uint8_t *token, uint32_t others)
{
	struct nf_msg m = {.type = NF_MSG_HELLO,
			   .hello = {.version = NF_PROTO_VERSION,
				     .role = NF_ROLE_PEER,
				     .move = move,
				     .others = others}};

	strcpy(m.hello.name, "ids1");
	memcpy(m.hello.token, token, NF_TOKEN_BYTES);
	ck_assert_int_eq(nf_conn_send(c, &m), 0);
}

void hello_peer(struct nf_conn *c, uint64_t move, const uint8_t *token)
{
	hello_threads(c, move, token, 0);
}

void lab_up(void)
{
	memset(&lab, 0, sizeof(lab));
	strcpy(lab.dir, "/tmp/nfxfer-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(lab.dir));
	ctrl_open();
	shim_open(&lab.s, "ids1");
	shim_open(&lab.d, "ids2");
	helper_start(&lab.hs, "ids1");
	helper_start(&lab.hd, "ids2");
	helper_wait_link(&lab.hs);
	helper_wait_link(&lab.hd);
}

void lab_down(void)
{
	helper_kill(&lab.hs, SIGTERM);
	helper_kill(&lab.hd, SIGTERM);
	ctrl_close();
	shim_close(&lab.s);
	shim_close(&lab.d);
	ck_assert_int_eq(rmdir(lab.dir), 0);
}
