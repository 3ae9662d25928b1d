/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plays the controller for two nfxfer whose NFs read files. There is no switch: the MARK frame is
 * in the source's file (tests/tools/split_at).
 *
 *   play_controller DIR SRC DST SPACE SLICE_FLOWS MOVE SECRET_HEX GO_SRC GO_END GO_DST
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "conn.h"

#define STALL_MS 15000

struct helper {
	const char *name;
	char listen[NF_ADDR_MAX];
	struct nf_conn *conn;
	bool ready; /* its NF has state hooks */
	bool seen[256];
	struct nf_msg_event last;
};

static struct helper helper[2];
static int listener;

static void die(const char *what, const char *why)
{
	fprintf(stderr, "play_controller: %s: %s\n", what, why);
	exit(1);
}

static void open_socket(const char *dir)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/nfctrld.sock", dir);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(listener, 4) < 0)
		die(a.sun_path, strerror(errno));
}

static void welcome(void)
{
	struct nf_conn *c = nf_conn_new(accept(listener, NULL, NULL));
	struct nf_msg m;

	if (nf_conn_recv_wait(c, &m, 5000) || m.type != NF_MSG_HELLO)
		die("helper", "no HELLO");
	for (int i = 0; i < 2; i++) {
		if (strcmp(helper[i].name, m.hello.name))
			continue;
		helper[i].conn = c;
		memcpy(helper[i].listen, m.hello.listen, sizeof(helper[i].listen));
		memset(&m, 0, sizeof(m));
		m.type = NF_MSG_HELLO;
		m.hello.version = NF_PROTO_VERSION;
		m.hello.role = NF_ROLE_CONTROLLER;
		snprintf(m.hello.name, sizeof(m.hello.name), "controller");
		nf_conn_send(c, &m);
		return;
	}
	die(m.hello.name, "unknown helper");
}

static void on_message(struct helper *h, const struct nf_msg *m)
{
	if (m->type == NF_MSG_STATUS)
		h->ready = m->status.provider[0] && m->status.input;
	if (m->type != NF_MSG_EVENT)
		return;
	if (m->event.what == NF_EVENT_REC) {
		if (m->event.rec == NF_REC_FAILED)
			die(h->name, m->event.text);
		h->seen[m->event.rec] = true;
		h->last = m->event;
	} else if (m->event.what == NF_EVENT_PEER_GONE || m->event.what == NF_EVENT_NF_GONE) {
		h->seen[0] = true;
	}
}

static void pump(int ms)
{
	struct pollfd p[3] = {{.fd = listener, .events = POLLIN}};
	struct nf_msg m;
	int rc;

	for (int i = 0; i < 2; i++)
		p[1 + i] = (struct pollfd){helper[i].conn ? nf_conn_fd(helper[i].conn) : -1, POLLIN,
					   0};
	if (poll(p, 3, ms) <= 0)
		return;
	if (p[0].revents)
		welcome();
	for (int i = 0; i < 2; i++) {
		if (!p[1 + i].revents)
			continue;
		rc = nf_conn_fill(helper[i].conn);
		while (rc == 0 && (rc = nf_conn_next(helper[i].conn, &m)) == 1) {
			on_message(&helper[i], &m);
			rc = 0;
		}
		if (rc < 0)
			die(helper[i].name, "connection lost");
	}
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void wait_for(int i, enum nf_rec_type want)
{
	long end = now_ms() + STALL_MS;

	while (!helper[i].seen[want]) {
		if (now_ms() > end)
			die(helper[i].name, nf_rec_name(want));
		pump(50);
	}
}

static void begin(int i, enum nf_side side, uint64_t move, const char *space, unsigned slice,
		  const char *hex)
{
	struct nf_msg m = {.type = NF_MSG_BEGIN};
	struct nf_msg_begin *b = &m.begin;
	unsigned byte;

	b->move = move;
	b->side = side;
	snprintf(b->peer, sizeof(b->peer), "%s", helper[1 - i].name);
	memset(b->token, 7, sizeof(b->token));
	snprintf(b->space, sizeof(b->space), "%s", space);
	b->opt.slice_us = 1000000;
	b->opt.slice_flows = slice;
	b->opt.hold_packets = 1000000;
	b->opt.hold_bytes = 1u << 30;
	b->buffer_packets = 1000000;
	b->buffer_bytes = 1u << 30;
	b->reserve_bytes = 1u << 30;
	b->wait_ms = STALL_MS;
	if (side == NF_SIDE_SRC) {
		snprintf(b->peer_addr, sizeof(b->peer_addr), "%s", helper[1 - i].listen);
		b->opt.marks = 1;
		for (int k = 0; k < NF_MARK_SECRET && sscanf(hex + 2 * k, "%2x", &byte) == 1; k++)
			b->opt.mark[0][k] = (uint8_t)byte;
	}
	nf_conn_send(helper[i].conn, &m);
}

static void order(int i, enum nf_rec_type what, uint64_t move)
{
	struct nf_msg m = {.type = NF_MSG_ORDER, .order = {move, what}};

	nf_conn_send(helper[i].conn, &m);
}

/* The shim has come to its pause point. */
static void wait_hit(const char *pause)
{
	char hit[512];

	snprintf(hit, sizeof(hit), "%s.hit", pause);
	for (int i = 0; access(hit, F_OK) < 0; i++)
		if (i > 10000 || usleep(1000))
			die(hit, "the NF did not come so far");
}

int main(int argc, char **argv)
{
	uint64_t move;
	long end = now_ms() + STALL_MS;

	if (argc != 11) {
		fprintf(stderr, "usage: play_controller DIR SRC DST SPACE SLICE MOVE SECRET GO_SRC "
				"GO_END GO_DST\n");
		return 2;
	}
	helper[0].name = argv[2];
	helper[1].name = argv[3];
	move = strtoull(argv[6], NULL, 10);
	open_socket(argv[1]);
	while (!helper[0].ready || !helper[1].ready) {
		if (now_ms() > end)
			die("start", "a helper or its NF did not come up");
		pump(50);
	}
	wait_hit(argv[8]);
	wait_hit(argv[10]);
	begin(1, NF_SIDE_DST, move, argv[4], 0, argv[7]);
	wait_for(1, NF_REC_BEGUN);
	begin(0, NF_SIDE_SRC, move, argv[4], (unsigned)atoi(argv[5]), argv[7]);
	wait_for(0, NF_REC_BEGUN);
	unlink(argv[8]);
	wait_for(0, NF_REC_EXPORTED);
	order(1, NF_REC_PREPARE, move);
	wait_for(1, NF_REC_PREPARED);
	order(0, NF_REC_PREPARE, move);
	wait_for(1, NF_REC_READY);
	unlink(argv[10]);
	unlink(argv[9]);
	wait_for(0, NF_REC_MARKED);
	wait_for(1, NF_REC_COMMITTED);
	printf("flows %llu clones %llu held %llu buffered %llu\n",
	       (unsigned long long)helper[1].last.stats.flows,
	       (unsigned long long)helper[1].last.stats.clones,
	       (unsigned long long)helper[1].last.stats.held,
	       (unsigned long long)helper[1].last.buffered);
	wait_for(0, NF_REC_OVER);
	return 0;
}
