/* SPDX-License-Identifier: BSD-2-Clause */
/* Moves of an earlier controller, and NFs that come back with a move that is over. */
#include <stdlib.h>
#include <unistd.h>

#include "move_cases.h"

START_TEST(orphan_lingers)
{
	fake_status(&d, "fake 1", 5, "", 40, NF_SIDE_DST, NF_PHASE_LINGER);
	fake_expect(&d, NF_REC_END);
	ck_assert_uint_eq(d.move, 40);
	fake_status(&d, "fake 1", 5, "", 0, NF_SIDE_NONE, NF_PHASE_IDLE);
	usleep(50000);
	run_to(MOVE, AT_BEGIN_DST);
	ck_assert_uint_gt(d.move, 40); /* ids are not used twice */
}
END_TEST

/* Moves that ended here while a helper was away; its NF waits for a word (PREPARED). */
START_TEST(source_back_too_late)
{
	bool routed = _i;
	uint64_t move;

	run_to(MOVE, routed ? AT_MARK : AT_PREPARE_SRC);
	move = s.move;
	fake_close(&s);
	fake_expect(&d, routed ? NF_REC_FINISH : NF_REC_ABORT);
	fake_say(&d, routed ? NF_REC_COMMITTED : NF_REC_OVER);
	if (routed) {
		fake_expect(&d, NF_REC_END);
		fake_say(&d, NF_REC_OVER);
	}
	json_decref(result(1, routed ? "failed" : "aborted"));
	ck_assert(fake_hello(&s, "ids1", NF_PROTO_VERSION));
	fake_status(&s, "fake 1", 5, "", move, NF_SIDE_SRC, NF_PHASE_PREPARED);
	fake_expect(&s, routed ? NF_REC_REVERT : NF_REC_ABORT);
	ck_assert_uint_eq(s.move, move);
}
END_TEST

/* The helper was told before it had a link to its NF: told again when that speaks. */
START_TEST(fence_again)
{
	uint64_t move;

	run_to(MOVE, AT_COMMIT);
	move = d.move;
	fake_close(&d);
	fake_expect(&s, NF_REC_REVERT);
	fake_say(&s, NF_REC_OVER);
	json_decref(result(1, "failed"));
	ck_assert(fake_hello(&d, "ids2", NF_PROTO_VERSION));
	fake_expect(&d, NF_REC_FENCE);
	fake_status(&d, "fake 1", 5, "", move, NF_SIDE_DST, NF_PHASE_LINGER);
	fake_expect(&d, NF_REC_FENCE);
	ck_assert_uint_eq(d.move, move);
}
END_TEST

/* The switch's generation tells how far they came. */
#define FOUND_GEN 50

static void orphans(uint64_t move)
{
	fake_status(&s, "fake 1", 5, "", move, NF_SIDE_SRC, NF_PHASE_PREPARED);
	fake_status(&d, "fake 1", 5, "", move, NF_SIDE_DST, NF_PHASE_READY);
	usleep(50000);
	ctl_refused(MOVE, 3, "of an earlier nfctrld");
}

START_TEST(orphan_before_route)
{
	orphans(FOUND_GEN + 1);
	fake_expect(&s, NF_REC_ABORT);
	fake_expect(&d, NF_REC_ABORT);
}
END_TEST

START_TEST(orphan_after_route)
{
	orphans(FOUND_GEN);
	fake_expect(&d, NF_REC_FINISH);
	ck_assert(fake_quiet(&s, 700));
	fake_status(&d, "fake 1", 5, "", 0, NF_SIDE_NONE, NF_PHASE_IDLE);
	fake_expect(&s, NF_REC_REVERT);
}
END_TEST

/* Whether its route was ever set nobody knows: hands off. */
START_TEST(orphan_of_long_ago)
{
	orphans(FOUND_GEN - 1);
	ck_assert(fake_quiet(&s, 4500));
	ck_assert(fake_quiet(&d, 0));
}
END_TEST

static void setup_later(void)
{
	setenv("NF_TEST_GEN", "50", 1);
	move_setup();
	unsetenv("NF_TEST_GEN");
}

void add_orphan_cases(Suite *suite)
{
	TCase *t = move_case(suite, "back");

	tcase_add_test(t, orphan_lingers);
	tcase_add_loop_test(t, source_back_too_late, 0, 2);
	tcase_add_test(t, fence_again);
	t = move_case_with(suite, "orphans", setup_later, move_teardown);
	tcase_add_test(t, orphan_before_route);
	tcase_add_test(t, orphan_after_route);
	tcase_add_test(t, orphan_of_long_ago);
}
