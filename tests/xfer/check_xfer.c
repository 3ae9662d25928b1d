/* SPDX-License-Identifier: BSD-2-Clause */
/* Real helpers between made-up shims and controller: whole moves. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "peers.h"

#define MOVE  7u
#define FLOWS 500u

/* BEGIN on both sides, up to BEGUN told by both. */
void both_begun(uint64_t move, struct nf_msg_begin b)
{
	size_t s = lab.s.ngot, d = lab.d.ngot;

	begin(&lab.hd, NF_SIDE_DST, move, b);
	shim_wait(&lab.d, NF_REC_BEGIN_DST, d);
	shim_say(&lab.d, NF_REC_BEGUN, move, 3, 0, 0);
	ck_assert_uint_eq(wait_event(&lab.hd, NF_EVENT_REC, NF_REC_BEGUN)->version, 3);
	begin(&lab.hs, NF_SIDE_SRC, move, b);
	shim_wait(&lab.s, NF_REC_BEGIN_SRC, s);
	shim_say(&lab.s, NF_REC_BEGUN, move, 0, 0, 0);
	wait_event(&lab.hs, NF_EVENT_REC, NF_REC_BEGUN);
}

void both_prepared(uint64_t move)
{
	order(&lab.hd, NF_REC_PREPARE, move);
	shim_wait(&lab.d, NF_REC_PREPARE, 0);
	shim_say(&lab.d, NF_REC_PREPARED, move, 0, 0, 0);
	wait_event(&lab.hd, NF_EVENT_REC, NF_REC_PREPARED);
	order(&lab.hs, NF_REC_PREPARE, move);
	shim_wait(&lab.s, NF_REC_PREPARE, 0);
	shim_say(&lab.s, NF_REC_BARRIER, move, 0, 0, 0);
}

void dest_ready(uint64_t move)
{
	shim_wait(&lab.d, NF_REC_BARRIER, 0);
	shim_say(&lab.d, NF_REC_READY, move, 0, 0, 0);
	wait_event(&lab.hd, NF_EVENT_REC, NF_REC_READY);
}

/* From MARKED to RELEASED; the controller may be absent. */
void commit(uint64_t move, unsigned flows)
{
	size_t from = lab.d.ngot, at;

	shim_say(&lab.s, NF_REC_MARKED, move, 0, 0, 0);
	for (uint32_t f = 0; f < flows; f++)
		shim_say(&lab.s, NF_REC_FIN, move, f, f, 0);
	shim_say(&lab.s, NF_REC_FINALL, move, 0, 0, 0);
	shim_wait(&lab.d, NF_REC_FINALL, from);
	for (uint32_t f = 0; f < flows; f++)
		shim_say(&lab.d, NF_REC_DONE, move, f, f, 0);
	shim_say(&lab.d, NF_REC_COMMITTED, move, 0, 0, 0);
	at = 0;
	for (uint32_t f = 0; f < flows; f++) {
		at = shim_wait(&lab.s, NF_REC_DONE, at);
		ck_assert_uint_eq(lab.s.got[at++].version, f);
	}
	shim_say(&lab.s, NF_REC_RELEASED, move, 0, 0, 0);
}

/* The source's linger ends; the destination's helper notices without being told. */
void part(uint64_t move)
{
	size_t from = lab.d.ngot;

	shim_say(&lab.s, NF_REC_OVER, move, 0, 0, 0);
	from = shim_wait(&lab.d, NF_REC_END, from);
	ck_assert_uint_eq(lab.d.got[from].move, move);
	shim_say(&lab.d, NF_REC_OVER, move, 0, 0, 0);
}

/* All CLONE records at the destination, numbered 1… without a gap or a repeat. */
void clones_in_order(uint64_t n)
{
	uint64_t next = 1;

	for (size_t i = 0; i < lab.d.ngot; i++)
		if (lab.d.got[i].type == NF_REC_CLONE)
			ck_assert_uint_eq(lab.d.got[i].version, next++);
	ck_assert_uint_eq(next, n + 1);
	ck_assert_uint_eq(lab.d.bad_payload, 0);
}

static uint32_t size_of(uint64_t i)
{
	static const uint32_t size[] = {60, 1400, 0, 200, 9000, 64, 1514, 333};

	return size[i % 8];
}

static void check_begin(const struct nf_rec *r, enum nf_rec_type t)
{
	ck_assert_int_eq(r->type, t);
	ck_assert_uint_eq(r->move, MOVE);
	ck_assert_uint_eq(nf_rec_payload(r),
			  sizeof(struct nf_rec_begin) + strlen("net 10.0.0.0/8"));
}

START_TEST(whole_move)
{
	uint64_t bytes = 0;
	size_t at;

	lab_up();
	both_begun(MOVE, (struct nf_msg_begin){.buffer_packets = 100000, .wait_ms = 20000});
	check_begin(&lab.d.got[0], NF_REC_BEGIN_DST);
	check_begin(&lab.s.got[0], NF_REC_BEGIN_SRC);
	for (uint32_t f = 0; f < FLOWS; f++, bytes += 700)
		shim_say(&lab.s, NF_REC_STATE, MOVE, f, f, 700);
	shim_say(&lab.s, NF_REC_EXPORTED, MOVE, 0, 0, 0);
	wait_event(&lab.hs, NF_EVENT_REC, NF_REC_EXPORTED);
	for (uint64_t i = 1; i <= 20000; i++) {
		lab.d.frozen = i % 1000 > 900; /* an NF that is busy now and then */
		shim_say(&lab.s, NF_REC_CLONE, MOVE, i, (uint32_t)i % FLOWS, size_of(i));
		bytes += size_of(i);
	}
	lab.d.frozen = false;
	both_prepared(MOVE);
	dest_ready(MOVE);
	commit(MOVE, FLOWS);
	wait_event(&lab.hs, NF_EVENT_REC, NF_REC_MARKED);
	wait_event(&lab.hd, NF_EVENT_REC, NF_REC_COMMITTED);
	wait_event(&lab.hs, NF_EVENT_REC, NF_REC_RELEASED);
	shim_say(&lab.s, NF_REC_FWD, MOVE, 9, 1, 100);
	at = shim_wait(&lab.d, NF_REC_FWD, 0);
	ck_assert_uint_eq(lab.d.got[at].version, 9);
	part(MOVE);
	wait_event(&lab.hs, NF_EVENT_REC, NF_REC_OVER);
	wait_event(&lab.hd, NF_EVENT_REC, NF_REC_OVER);
	clones_in_order(20000);
	ck_assert_uint_eq(shim_count(&lab.d, NF_REC_STATE), FLOWS);
	ck_assert_uint_eq(shim_count(&lab.d, NF_REC_FIN), FLOWS);
	ck_assert_uint_eq(shim_count(&lab.s, NF_REC_DONE), FLOWS);
	ck_assert_uint_eq(lab.d.seen_bytes, bytes + 100);
	lab_down();
}
END_TEST

/* The same pair again, the other way round: nothing is left over from the first move. */
START_TEST(there_and_back)
{
	struct shim s;
	struct helper h;

	lab_up();
	for (unsigned i = 0; i < 2; i++) {
		both_begun(MOVE + i, (struct nf_msg_begin){.wait_ms = 20000});
		both_prepared(MOVE + i);
		dest_ready(MOVE + i);
		commit(MOVE + i, 3);
		part(MOVE + i);
		wait_event(&lab.hs, NF_EVENT_REC, NF_REC_OVER);
		wait_event(&lab.hd, NF_EVENT_REC, NF_REC_OVER);
		s = lab.s, lab.s = lab.d, lab.d = s;
		h = lab.hs, lab.hs = lab.hd, lab.hd = h;
		lab.s.ngot = lab.d.ngot = 0;
	}
	lab_down();
}
END_TEST

/* From PREPARE on nothing is dropped, whatever the caps: the destination stops reading, the
 * source's helper keeps what does not go out. */
START_TEST(no_drop)
{
	const uint64_t n = 30000;
	struct nf_msg_event *e;

	lab_up();
	both_begun(MOVE, (struct nf_msg_begin){.buffer_packets = 50,
					       .buffer_bytes = 100000,
					       .reserve_bytes = 1u << 30,
					       .wait_ms = 20000});
	both_prepared(MOVE);
	shim_wait(&lab.d, NF_REC_BARRIER, 0);
	lab.d.frozen = true;
	for (uint64_t i = 1; i <= n; i++)
		shim_say(&lab.s, NF_REC_CLONE, MOVE, i, 1, 1400);
	run(200);
	lab.d.frozen = false;
	dest_ready(MOVE);
	commit(MOVE, 2);
	part(MOVE);
	e = wait_event(&lab.hs, NF_EVENT_REC, NF_REC_OVER);
	ck_assert_uint_gt(e->reserve, 1u << 20);
	e = wait_event(&lab.hd, NF_EVENT_REC, NF_REC_OVER);
	ck_assert_uint_gt(e->buffered, 10);
	ck_assert_uint_le(e->buffered, 50);
	ck_assert_uint_le(e->buffered_bytes, 100000);
	ck_assert(!has_event(&lab.hs, NF_EVENT_REC, NF_REC_FAILED));
	ck_assert(!has_event(&lab.hd, NF_EVENT_REC, NF_REC_FAILED));
	clones_in_order(n);
	lab_down();
}
END_TEST

/* A full reserve is told before MARKED, and yet nothing is lost: the route may be changing. */
START_TEST(reserve_full)
{
	const uint64_t n = 20000;
	struct nf_msg_event *e;

	lab_up();
	both_begun(MOVE, (struct nf_msg_begin){
				 .buffer_packets = 50, .reserve_bytes = 100000, .wait_ms = 20000});
	both_prepared(MOVE);
	shim_wait(&lab.d, NF_REC_BARRIER, 0);
	lab.d.frozen = true;
	for (uint64_t i = 1; i <= n; i++)
		shim_say(&lab.s, NF_REC_CLONE, MOVE, i, 1, 1400);
	e = wait_event(&lab.hs, NF_EVENT_REC, NF_REC_FAILED);
	ck_assert_ptr_nonnull(strstr(e->text, "reserve full"));
	ck_assert_ptr_nonnull(strstr(e->text, "100000"));
	ck_assert_ptr_nonnull(strstr(e->text, "--reserve-bytes"));
	lab.d.frozen = false;
	while (shim_count(&lab.d, NF_REC_CLONE) < n)
		step(2);
	clones_in_order(n);
	order(&lab.hs, NF_REC_ABORT, MOVE);
	shim_wait(&lab.s, NF_REC_ABORT, 0);
	lab_down();
}
END_TEST

/* Once READY is told, both go on without a controller, and tell a new one how far they are. */
START_TEST(controller_gone_after_ready)
{
	lab_up();
	both_begun(MOVE, (struct nf_msg_begin){.wait_ms = 300});
	both_prepared(MOVE);
	dest_ready(MOVE);
	ctrl_close();
	run(600);
	commit(MOVE, 5);
	lab.d.status.move = MOVE;
	lab.d.status.side = NF_SIDE_DST;
	lab.d.status.phase = NF_PHASE_LINGER;
	ctrl_open();
	helper_wait_link(&lab.hd);
	helper_wait_link(&lab.hs); /* not at the moment when lab_down() ends it */
	while (lab.hd.status.move != MOVE)
		step(2);
	ck_assert_int_eq(lab.hd.status.phase, NF_PHASE_LINGER);
	part(MOVE);
	ck_assert_uint_eq(shim_count(&lab.s, NF_REC_ABORT), 0);
	ck_assert_uint_eq(shim_count(&lab.d, NF_REC_ABORT), 0);
	lab_down();
}
END_TEST

START_TEST(listing)
{
	struct nf_msg m = {.type = NF_MSG_LIST, .list = {.id = 99, .space = "tcp"}};
	struct nf_msg_event *e;
	size_t at;

	lab_up();
	ctrl_send(&lab.hs, &m);
	at = shim_wait(&lab.s, NF_REC_LIST, 0);
	ck_assert_uint_eq(lab.s.got[at].move, 99);
	ck_assert_uint_eq(nf_rec_payload(&lab.s.got[at]), 3);
	for (uint32_t f = 0; f < 1000; f++)
		shim_say(&lab.s, NF_REC_LISTED, 99, f, f, 0);
	shim_say(&lab.s, NF_REC_LIST_END, 99, 1000, 0, 0);
	for (uint32_t f = 0; f < 1000; f++) {
		e = wait_event(&lab.hs, NF_EVENT_FLOW, 0);
		ck_assert_uint_eq(e->version, f);
		ck_assert_uint_eq(e->move, 99);
	}
	e = wait_event(&lab.hs, NF_EVENT_REC, NF_REC_LIST_END);
	ck_assert_uint_eq(e->version, 1000);
	lab_down();
}
END_TEST

/* The NF is not there yet, comes, goes and comes back. */
START_TEST(nf_comes_and_goes)
{
	struct nf_msg_event *e;

	lab_up();
	shim_close(&lab.s);
	while (lab.hs.status.pid)
		step(2);
	ck_assert_ptr_nonnull(strstr(lab.hs.status.reason, "ids1.sock"));
	begin(&lab.hs, NF_SIDE_SRC, MOVE, (struct nf_msg_begin){0});
	e = wait_event(&lab.hs, NF_EVENT_REC, NF_REC_FAILED);
	ck_assert_ptr_nonnull(strstr(e->text, "no NF under the shim"));
	order(&lab.hs, NF_REC_REVERT, MOVE);
	wait_event(&lab.hs, NF_EVENT_NF_GONE, 0);
	shim_open(&lab.s, "ids1");
	helper_wait_link(&lab.hs);
	both_begun(MOVE + 1, (struct nf_msg_begin){0});
	lab_down();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("xfer");
	TCase *moves = tcase_create("moves");
	SRunner *r;
	int failed;

	tcase_set_timeout(moves, 60);
	tcase_add_test(moves, whole_move);
	tcase_add_test(moves, there_and_back);
	tcase_add_test(moves, no_drop);
	tcase_add_test(moves, reserve_full);
	tcase_add_test(moves, controller_gone_after_ready);
	tcase_add_test(moves, listing);
	tcase_add_test(moves, nf_comes_and_goes);
	suite_add_tcase(s, moves);
	suite_add_tcase(s, fault_cases());
	suite_add_tcase(s, thread_cases());
	suite_add_tcase(s, overflow_cases());
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
