/* SPDX-License-Identifier: BSD-2-Clause */
/* Real helpers between made-up shims and controller: what goes wrong, and who notices. */
#include <arpa/inet.h>
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cases.h"
#include "peers.h"

#define MOVE 11u

static const uint8_t token[] = "0123456789abcdef";

static void both_aborted(void)
{
	order(&lab.hs, NF_REC_ABORT, MOVE);
	order(&lab.hd, NF_REC_ABORT, MOVE);
	shim_wait(&lab.s, NF_REC_ABORT, 0);
	shim_wait(&lab.d, NF_REC_ABORT, 0);
	shim_say(&lab.s, NF_REC_OVER, MOVE, 0, 0, 0);
	shim_say(&lab.d, NF_REC_OVER, MOVE, 0, 0, 0);
	wait_event(&lab.hs, NF_EVENT_REC, NF_REC_OVER);
	wait_event(&lab.hd, NF_EVENT_REC, NF_REC_OVER);
	both_begun(MOVE + 1, (struct nf_msg_begin){0}); /* both are free again */
}

/* ---- who dials in ---- */

static void refused(struct nf_conn *c, const char *why)
{
	struct nf_msg m;

	for (int i = 0; nf_conn_next(c, &m) == 0; i++) {
		ck_assert_int_lt(i, 5000);
		step(1);
		ck_assert_int_eq(nf_conn_fill(c), 0);
	}
	ck_assert_int_eq(m.type, NF_MSG_REFUSED);
	ck_assert_ptr_nonnull(strstr(m.text, why));
}

static void closed(struct nf_conn *c)
{
	for (int i = 0; nf_conn_fill(c) == 0; i++) {
		ck_assert_int_lt(i, 5000);
		step(1);
	}
}

START_TEST(strangers)
{
	struct nf_conn *idle, *c[8];
	struct nf_msg_begin b = {0};
	uint8_t wrong[NF_TOKEN_BYTES];

	lab_up();
	idle = dial(lab.hd.listen);
	closed(idle); /* no move waits */
	nf_conn_free(idle);
	begin(&lab.hd, NF_SIDE_DST, MOVE, b);
	shim_wait(&lab.d, NF_REC_BEGIN_DST, 0);
	memcpy(wrong, token, sizeof(wrong));
	wrong[NF_TOKEN_BYTES - 1] ^= 1;
	c[0] = dial(lab.hd.listen);
	hello_peer(c[0], MOVE, wrong);
	refused(c[0], "wrong move or token");
	c[1] = dial(lab.hd.listen);
	hello_peer(c[1], MOVE + 1, token);
	refused(c[1], "wrong move or token");
	nf_conn_free(c[1]);
	c[1] = dial(lab.hd.listen);
	hello_threads(c[1], MOVE, token, 1);
	refused(c[1], "the source NF has 2 packet threads, the destination NF 1");
	for (int i = 2; i < 8; i++) /* more silent ones than there are places */
		c[i] = dial(lab.hd.listen);
	begin(&lab.hs, NF_SIDE_SRC, MOVE, b);
	shim_wait(&lab.s, NF_REC_BEGIN_SRC, 0);
	for (int i = 2; i < 8; i++)
		closed(c[i]);
	for (int i = 0; i < 8; i++)
		nf_conn_free(c[i]);
	shim_say(&lab.s, NF_REC_STATE, MOVE, 1, 1, 50);
	shim_wait(&lab.d, NF_REC_STATE, 0);
	lab_down();
}
END_TEST

/* The source's helper itself has the wrong token: the move fails at S, and says why. */
START_TEST(bad_token)
{
	struct nf_msg m = {.type = NF_MSG_BEGIN};
	struct nf_msg_event *e;

	lab_up();
	begin(&lab.hd, NF_SIDE_DST, MOVE, (struct nf_msg_begin){0});
	shim_wait(&lab.d, NF_REC_BEGIN_DST, 0);
	m.begin = (struct nf_msg_begin){.move = MOVE, .side = NF_SIDE_SRC, .opt.marks = 1};
	strcpy(m.begin.peer, "ids2");
	strcpy(m.begin.space, "tcp");
	strcpy(m.begin.peer_addr, lab.hd.listen);
	ctrl_send(&lab.hs, &m);
	e = wait_event(&lab.hs, NF_EVENT_REC, NF_REC_FAILED);
	ck_assert_ptr_nonnull(strstr(e->text, "wrong move or token"));
	ck_assert_uint_eq(shim_count(&lab.s, NF_REC_BEGIN_SRC), 0);
	both_aborted();
	lab_down();
}
END_TEST

START_TEST(nobody_there)
{
	struct nf_msg_begin b = {0};
	struct nf_msg_event *e;

	lab_up();
	strcpy(b.peer_addr, "127.0.0.1:1");
	begin(&lab.hs, NF_SIDE_SRC, MOVE, b);
	e = wait_event(&lab.hs, NF_EVENT_REC, NF_REC_FAILED);
	ck_assert_ptr_nonnull(strstr(e->text, "127.0.0.1:1"));
	ck_assert_ptr_nonnull(strstr(e->text, "--listen"));
	lab_down();
}
END_TEST

/* ---- hostile peers ---- */

/* A made-up source with the right token. */
static struct nf_conn *enter(void)
{
	struct nf_conn *c;
	struct nf_msg m;

	begin(&lab.hd, NF_SIDE_DST, MOVE, (struct nf_msg_begin){.wait_ms = 20000});
	shim_wait(&lab.d, NF_REC_BEGIN_DST, 0);
	c = dial(lab.hd.listen);
	hello_peer(c, MOVE, token);
	ck_assert_int_eq(nf_conn_recv_wait(c, &m, WAIT_MS), 0);
	ck_assert_int_eq(m.type, NF_MSG_HELLO);
	return c;
}

static void thrown_out(struct nf_conn *c, const char *why)
{
	struct nf_msg_event *e = wait_event(&lab.hd, NF_EVENT_REC, NF_REC_FAILED);

	ck_assert_msg(strstr(e->text, why) != NULL, "'%s' does not tell '%s'", e->text, why);
	closed(c);
	nf_conn_free(c);
	wait_event(&lab.hd, NF_EVENT_PEER_GONE, 0);
}

static void send_record(struct nf_conn *c, struct nf_rec r)
{
	struct nf_msg m = {.type = NF_MSG_RECORD};
	static const uint8_t payload[4096];

	m.record.hdr = r;
	m.record.payload = payload;
	ck_assert_int_eq(nf_conn_send(c, &m), 0);
	ck_assert_int_eq(nf_conn_flush(c), 0);
}

/* Each is one thing that a source must not say. */
static const struct {
	struct nf_rec r;
	const char *why;
} bad_record[] = {
	{{.len = sizeof(struct nf_rec), .type = NF_REC_DONE, .move = MOVE}, "does not send"},
	{{.len = sizeof(struct nf_rec), .type = NF_REC_ABORT, .move = MOVE}, "does not send"},
	{{.len = sizeof(struct nf_rec), .type = NF_REC_READY, .move = MOVE}, "does not send"},
	{{.len = sizeof(struct nf_rec), .type = NF_REC_CLONE, .move = MOVE + 1}, "another move"},
	{{.len = sizeof(struct nf_rec), .type = NF_REC_STATE, .move = MOVE}, "without a scope"},
	{{.len = sizeof(struct nf_rec) + 8, .type = NF_REC_FIN, .move = MOVE}, "payload"},
	{{.len = sizeof(struct nf_rec), .type = NF_REC_FIN, .move = MOVE, .thread = 1},
	 "a packet thread that there is not"},
};

START_TEST(bad_records)
{
	struct nf_conn *c;

	lab_up();
	c = enter();
	send_record(c, (struct nf_rec){.len = sizeof(struct nf_rec) + 100,
				       .type = NF_REC_CLONE,
				       .move = MOVE});
	shim_wait(&lab.d, NF_REC_CLONE, 0);
	send_record(c, bad_record[_i].r);
	thrown_out(c, bad_record[_i].why);
	/* none of it reached the NF */
	ck_assert_uint_eq(lab.d.ngot, 2);
	lab_down();
}
END_TEST

START_TEST(after_finall)
{
	struct nf_conn *c;

	lab_up();
	c = enter();
	send_record(c, (struct nf_rec){
			       .len = sizeof(struct nf_rec), .type = NF_REC_FINALL, .move = MOVE});
	send_record(c, (struct nf_rec){
			       .len = sizeof(struct nf_rec), .type = NF_REC_CLONE, .move = MOVE});
	thrown_out(c, "last word");
	lab_down();
}
END_TEST

START_TEST(oversized_frame)
{
	uint32_t be = htonl(NF_MSG_MAX + 1);
	struct nf_conn *c;

	lab_up();
	c = enter();
	ck_assert_int_eq(send(nf_conn_fd(c), &be, 4, 0), 4);
	run(50);
	/* told as a broken stream, with the reason */
	ck_assert_ptr_nonnull(
		strstr(wait_event(&lab.hd, NF_EVENT_PEER_GONE, 0)->text, "too large"));
	closed(c);
	nf_conn_free(c);
	lab_down();
}
END_TEST

START_TEST(garbage)
{
	static const uint8_t junk[] = {0, 0, 0, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct nf_conn *c;

	lab_up();
	c = enter();
	ck_assert_int_eq(send(nf_conn_fd(c), junk, sizeof(junk), 0), sizeof(junk));
	ck_assert_ptr_nonnull(
		strstr(wait_event(&lab.hd, NF_EVENT_PEER_GONE, 0)->text, "malformed"));
	closed(c);
	nf_conn_free(c);
	lab_down();
}
END_TEST

/* A made-up destination that answers its source with state. */
START_TEST(bad_destination)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	struct nf_msg m,
		out = {.type = NF_MSG_HELLO,
		       .hello = {.version = NF_PROTO_VERSION, .role = NF_ROLE_PEER, .move = MOVE}};
	struct nf_msg_begin b = {0};
	socklen_t n = sizeof(sa);
	struct nf_conn *c;

	lab_up();
	ck_assert_int_eq(bind(l, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(listen(l, 1), 0);
	getsockname(l, (struct sockaddr *)&sa, &n);
	snprintf(b.peer_addr, sizeof(b.peer_addr), "127.0.0.1:%d", ntohs(sa.sin_port));
	begin(&lab.hs, NF_SIDE_SRC, MOVE, b);
	run(20);
	fd = accept(l, NULL, NULL);
	c = nf_conn_new(fd);
	ck_assert_int_eq(nf_conn_recv_wait(c, &m, WAIT_MS), 0);
	ck_assert_int_eq(m.type, NF_MSG_HELLO);
	ck_assert_int_eq(memcmp(m.hello.token, token, NF_TOKEN_BYTES), 0);
	nf_conn_send(c, &out);
	shim_wait(&lab.s, NF_REC_BEGIN_SRC, 0);
	send_record(c, (struct nf_rec){.len = sizeof(struct nf_rec) + 9,
				       .type = NF_REC_STATE,
				       .scope = 1,
				       .move = MOVE});
	ck_assert_ptr_nonnull(
		strstr(wait_event(&lab.hs, NF_EVENT_REC, NF_REC_FAILED)->text, "does not send"));
	closed(c);
	nf_conn_free(c);
	close(l);
	ck_assert_uint_eq(lab.s.ngot, 1);
	lab_down();
}
END_TEST

/* ---- the shim breaks the rules ---- */

START_TEST(bad_shim_type)
{
	struct nf_msg_event *e;
	unsigned links;

	lab_up();
	both_begun(MOVE, (struct nf_msg_begin){0});
	links = lab.s.links;
	shim_say(&lab.s, NF_REC_DONE, MOVE, 0, 0, 0); /* only a destination says DONE */
	e = wait_event(&lab.hs, NF_EVENT_REC, NF_REC_FAILED);
	ck_assert_ptr_nonnull(strstr(e->text, "DONE"));
	wait_event(&lab.hs, NF_EVENT_NF_GONE, 0);
	while (lab.s.links == links)
		step(2);
	lab_down();
}
END_TEST

START_TEST(bad_shim_layout)
{
	struct nf_msg_event *e;
	struct nf_rec *r;

	lab_up();
	both_begun(MOVE, (struct nf_msg_begin){0});
	r = nf_ring_reserve(lab.s.out, 200);
	memset(r, 0, 200);
	r->len = 200;
	r->type = NF_REC_CLONE;
	nf_ring_commit(lab.s.out, r);
	r->len = NF_REC_MAX + 8;
	e = wait_event(&lab.hs, NF_EVENT_REC, NF_REC_FAILED);
	ck_assert_ptr_nonnull(strstr(e->text, "bad record"));
	wait_event(&lab.hs, NF_EVENT_NF_GONE, 0);
	wait_event(&lab.hd, NF_EVENT_PEER_GONE, 0);
	lab_down();
}
END_TEST

/* ---- somebody dies ---- */

START_TEST(controller_silent)
{
	lab_up();
	both_begun(MOVE, (struct nf_msg_begin){.wait_ms = 300});
	ck_assert_ptr_nonnull(strstr(wait_event(&lab.hd, NF_EVENT_REC, NF_REC_FAILED)->text,
				     "no word from the controller"));
	shim_wait(&lab.d, NF_REC_ABORT, 0);
	shim_wait(&lab.s, NF_REC_ABORT, 0);
	shim_say(&lab.s, NF_REC_OVER, MOVE, 0, 0, 0);
	shim_say(&lab.d, NF_REC_OVER, MOVE, 0, 0, 0);
	wait_event(&lab.hd, NF_EVENT_REC, NF_REC_OVER);
	wait_event(&lab.hs, NF_EVENT_REC, NF_REC_OVER);
	lab_down();
}
END_TEST

START_TEST(controller_heard)
{
	struct nf_msg m = {.type = NF_MSG_ASK};

	lab_up();
	both_begun(MOVE, (struct nf_msg_begin){.wait_ms = 1000});
	for (int i = 0; i < 20; i++) {
		ctrl_send(&lab.hs, &m);
		ctrl_send(&lab.hd, &m);
		run(100);
	}
	ck_assert_uint_eq(shim_count(&lab.d, NF_REC_ABORT), 0);
	ck_assert_uint_eq(shim_count(&lab.s, NF_REC_ABORT), 0);
	lab_down();
}
END_TEST

START_TEST(controller_gone_early)
{
	lab_up();
	both_begun(MOVE, (struct nf_msg_begin){.wait_ms = 20000});
	shim_say(&lab.s, NF_REC_STATE, MOVE, 1, 1, 50);
	shim_wait(&lab.d, NF_REC_STATE, 0);
	ctrl_close();
	shim_wait(&lab.d, NF_REC_ABORT, 0);
	shim_wait(&lab.s, NF_REC_ABORT, 0);
	lab_down();
}
END_TEST

/* S may not abort by itself after PREPARE, but a destination that aborts tells it. */
START_TEST(controller_gone_between)
{
	lab_up();
	both_begun(MOVE, (struct nf_msg_begin){.wait_ms = 20000});
	both_prepared(MOVE);
	shim_wait(&lab.d, NF_REC_BARRIER, 0); /* READY is not said */
	ctrl_close();
	shim_wait(&lab.d, NF_REC_ABORT, 0);
	shim_wait(&lab.s, NF_REC_ABORT, 0);
	lab_down();
}
END_TEST

START_TEST(source_helper_killed)
{
	lab_up();
	both_begun(MOVE, (struct nf_msg_begin){0});
	helper_kill(&lab.hs, SIGKILL);
	wait_event(&lab.hd, NF_EVENT_PEER_GONE, 0);
	order(&lab.hd, NF_REC_ABORT, MOVE);
	shim_wait(&lab.d, NF_REC_ABORT, 0);
	shim_say(&lab.d, NF_REC_OVER, MOVE, 0, 0, 0);
	wait_event(&lab.hd, NF_EVENT_REC, NF_REC_OVER);
	lab_down();
}
END_TEST

START_TEST(dest_helper_killed)
{
	lab_up();
	both_begun(MOVE, (struct nf_msg_begin){.wait_ms = 20000});
	both_prepared(MOVE);
	dest_ready(MOVE);
	helper_kill(&lab.hd, SIGKILL);
	wait_event(&lab.hs, NF_EVENT_PEER_GONE, 0);
	/* the NF is not held up, and the controller's word is passed on */
	for (int i = 0; i < 5000; i++)
		shim_say(&lab.s, NF_REC_CLONE, MOVE, 1, 1, 1400);
	ck_assert_uint_eq(shim_count(&lab.s, NF_REC_ABORT), 0);
	order(&lab.hs, NF_REC_REVERT, MOVE);
	shim_wait(&lab.s, NF_REC_REVERT, 0);
	shim_say(&lab.s, NF_REC_UNFINISHED, MOVE, 0, 3, 0);
	shim_say(&lab.s, NF_REC_OVER, MOVE, 0, 0, 0);
	ck_assert_uint_eq(wait_event(&lab.hs, NF_EVENT_REC, NF_REC_UNFINISHED)->version, 1);
	wait_event(&lab.hs, NF_EVENT_REC, NF_REC_OVER);
	lab_down();
}
END_TEST

/* The source NF dies after the route: what it had said arrives, and FINISH comes behind it. */
START_TEST(source_nf_dies)
{
	const uint64_t n = 4000;     /* fits into the ring, and is more than a look takes */
	const unsigned named = 2000; /* one by one; of the rest, the number */
	size_t fin;

	lab_up();
	both_begun(MOVE, (struct nf_msg_begin){.wait_ms = 20000});
	both_prepared(MOVE);
	dest_ready(MOVE);
	lab.d.frozen = true;
	kill(lab.hs.pid, SIGSTOP); /* so that the ring is full of it when the NF dies */
	for (uint64_t i = 1; i <= n; i++)
		ck_assert(shim_try(&lab.s, NF_REC_CLONE, MOVE, i, 1, 100));
	shim_close(&lab.s);
	kill(lab.hs.pid, SIGCONT);
	wait_event(&lab.hs, NF_EVENT_NF_GONE, 0);
	order(&lab.hd, NF_REC_FINISH, MOVE);
	run(100);
	lab.d.frozen = false;
	fin = shim_wait(&lab.d, NF_REC_FINISH, 0);
	clones_in_order(n);
	ck_assert_uint_eq(fin, lab.d.ngot - 1);
	for (uint32_t f = 0; f < named + 250; f++)
		shim_say(&lab.d, NF_REC_UNFINISHED, MOVE, 0, f, 0);
	shim_say(&lab.d, NF_REC_COMMITTED, MOVE, 0, 0, 0);
	for (unsigned i = 1; i <= named; i++)
		ck_assert_uint_eq(wait_event(&lab.hd, NF_EVENT_REC, NF_REC_UNFINISHED)->version, i);
	ck_assert_uint_eq(wait_event(&lab.hd, NF_EVENT_REC, NF_REC_UNFINISHED)->version,
			  named + 250);
	wait_event(&lab.hd, NF_EVENT_REC, NF_REC_COMMITTED);
	shim_wait(&lab.d, NF_REC_END, fin); /* the source is gone: nothing to linger for */
	lab_down();
}
END_TEST

START_TEST(dest_nf_dies)
{
	lab_up();
	both_begun(MOVE, (struct nf_msg_begin){.wait_ms = 20000});
	shim_close(&lab.d);
	wait_event(&lab.hd, NF_EVENT_NF_GONE, 0);
	wait_event(&lab.hs, NF_EVENT_PEER_GONE, 0);
	order(&lab.hs, NF_REC_ABORT, MOVE);
	shim_wait(&lab.s, NF_REC_ABORT, 0);
	lab_down();
}
END_TEST

/* A helper that came back knows of no move, but passes on what the controller decides. */
START_TEST(orders_of_old_moves)
{
	static const enum nf_rec_type what[] = {NF_REC_ABORT, NF_REC_REVERT, NF_REC_FENCE,
						NF_REC_FINISH, NF_REC_END};
	struct nf_msg_event *e;
	size_t at;

	lab_up();
	for (unsigned i = 0; i < 5; i++) {
		order(&lab.hd, what[i], 5 + i);
		at = shim_wait(&lab.d, what[i], 0);
		ck_assert_uint_eq(lab.d.got[at].move, 5 + i);
		shim_say(&lab.d, NF_REC_OVER, 5 + i, 0, 0, 0);
		ck_assert_uint_eq(wait_event(&lab.hd, NF_EVENT_REC, NF_REC_OVER)->move, 5 + i);
	}
	order(&lab.hd, NF_REC_PREPARE, 4);
	e = wait_event(&lab.hd, NF_EVENT_REC, NF_REC_FAILED);
	ck_assert_uint_eq(e->move, 4);
	ck_assert_uint_eq(lab.d.ngot, 5);
	shim_say(&lab.d, NF_REC_FWD, 4, 0, 0, 60); /* goes nowhere, harms nobody */
	both_begun(MOVE, (struct nf_msg_begin){0});
	begin(&lab.hd, NF_SIDE_SRC, MOVE + 1, (struct nf_msg_begin){0});
	e = wait_event(&lab.hd, NF_EVENT_REC, NF_REC_FAILED);
	ck_assert_uint_eq(e->move, MOVE + 1);
	ck_assert_ptr_nonnull(strstr(e->text, "part of move 11"));
	lab_down();
}
END_TEST

/* A helper without a device for it: before the NF has heard of the move. */
START_TEST(veth_without_device)
{
	struct nf_msg_begin b = {.opt.inject = NF_INJECT_VETH};
	struct nf_msg_event *e;

	lab_up();
	begin(&lab.hd, NF_SIDE_DST, MOVE, b);
	e = wait_event(&lab.hd, NF_EVENT_REC, NF_REC_FAILED);
	ck_assert_ptr_nonnull(strstr(e->text, "--inject-dev"));
	ck_assert_uint_eq(shim_count(&lab.d, NF_REC_BEGIN_DST), 0);
	both_begun(MOVE + 1, (struct nf_msg_begin){0});
	ck_assert_uint_eq(shim_count(&lab.d, NF_REC_BEGIN_DST), 1);
}
END_TEST

TCase *fault_cases(void)
{
	TCase *t = tcase_create("faults");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, strangers);
	tcase_add_test(t, bad_token);
	tcase_add_test(t, nobody_there);
	tcase_add_loop_test(t, bad_records, 0, sizeof(bad_record) / sizeof(bad_record[0]));
	tcase_add_test(t, after_finall);
	tcase_add_test(t, oversized_frame);
	tcase_add_test(t, garbage);
	tcase_add_test(t, bad_destination);
	tcase_add_test(t, bad_shim_type);
	tcase_add_test(t, bad_shim_layout);
	tcase_add_test(t, controller_silent);
	tcase_add_test(t, controller_heard);
	tcase_add_test(t, controller_gone_early);
	tcase_add_test(t, controller_gone_between);
	tcase_add_test(t, source_helper_killed);
	tcase_add_test(t, dest_helper_killed);
	tcase_add_test(t, source_nf_dies);
	tcase_add_test(t, dest_nf_dies);
	tcase_add_test(t, orders_of_old_moves);
	tcase_add_test(t, veth_without_device);
	return t;
}
