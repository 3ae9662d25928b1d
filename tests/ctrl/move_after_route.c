/* SPDX-License-Identifier: BSD-2-Clause */
/* Failures once the route has changed: one side goes on. */
#include <netinet/in.h>
#include <string.h>

#include "move_cases.h"

START_TEST(destination_dies_after_route)
{
	int stage = _i / 3 ? AT_COMMIT : AT_MARK;
	struct failure f = {"", false, _i % 3};
	json_t *o;

	run_to(MOVE, stage);
	fail_at(&f);
	fake_expect(&s, NF_REC_REVERT);
	ck_assert(!switch_has("to ids1"));
	fake_say(&s, NF_REC_OVER);
	o = result(1, "failed");
	ck_assert_ptr_nonnull(strstr(jstr(o, "reason"), "the route goes back to ids1"));
	json_decref(o);
	ck_assert(switch_has("route " SPACE " to ids2\n"));
	ck_assert(switch_has("route " SPACE " to ids1\n"));
	if (f.kind == 2)
		ck_assert(fake_hello(&d, "ids2", NF_PROTO_VERSION));
	fake_expect(&d, NF_REC_FENCE);
	ck_assert_uint_eq(d.move, s.move);
	fake_say(&d, NF_REC_OVER);
}
END_TEST

START_TEST(source_dies_after_route)
{
	int stage = _i / 4 ? AT_COMMIT : AT_MARK;
	struct failure f = {"", true, _i % 4};
	struct nf_msg_event left = {.rec = NF_REC_UNFINISHED, .version = 250};
	json_t *o;

	run_to(MOVE, stage);
	fail_at(&f);
	fake_expect(&d, NF_REC_FINISH);
	left.move = d.move;
	left.flow.ethertype = 0x0800;
	left.flow.proto = IPPROTO_TCP;
	left.flow.addr[0][0] = 10;
	left.flow.addr[1][0] = 11;
	fake_event(&d, &left);
	fake_say_stats(&d, NF_REC_COMMITTED, &applied);
	o = result(1, "failed");
	ck_assert_ptr_nonnull(strstr(jstr(o, "reason"), "ids2 goes on with what it was sent"));
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(o, "unfinished"), 0)),
			 "tcp 10.0.0.0:0-11.0.0.0:0");
	ck_assert_int_eq(jnum(o, "unfinished_count"), 250);
	json_decref(o);
	ck_assert_uint_eq(switch_count("route"), 1); /* never back */
	if (s.c && f.kind != 1)			     /* it still hears: it may go on for itself */
		fake_expect(&s, NF_REC_REVERT);
	fake_expect(&d, NF_REC_END);
	fake_say(&d, NF_REC_OVER);
	wait_stage(d.move, "over");
}
END_TEST

START_TEST(mark_never_arrives)
{
	json_t *o;

	run_to(MOVE, AT_MARK);
	fake_expect(&d, NF_REC_FINISH);
	ck_assert_uint_gt(switch_count("mark"), 1000); /* with bursts that fill a ring */
	fake_say(&d, NF_REC_COMMITTED);
	o = result(1, "failed");
	ck_assert_ptr_nonnull(strstr(jstr(o, "reason"), "did not see the MARK"));
	json_decref(o);
}
END_TEST

/* The source's linger ends before a slow destination has released what it held. */
START_TEST(stream_ends_before_commit)
{
	json_t *o;

	run_to(MOVE, AT_COMMIT);
	wait_stage(s.move, "commit");
	if (_i)
		fake_say_stats(&s, NF_REC_RELEASED, &sent);
	fake_trouble(&d, NF_EVENT_PEER_GONE, "the peer closed the stream");
	if (!_i)
		fake_say_stats(&s, NF_REC_RELEASED, &sent);
	fake_say_stats(&s, NF_REC_OVER, &sent);
	ck_assert(fake_quiet(&d, 700));
	fake_say_stats(&d, NF_REC_COMMITTED, &applied);
	o = result(0, "done");
	json_decref(o);
}
END_TEST

/* A full reserve is a reason to abort only while it can be. */
START_TEST(reserve_full_after_route)
{
	json_t *o;

	run_to(MOVE, AT_MARK);
	fake_failed(&s, 0, "reserve full");
	ck_assert(fake_quiet(&d, 100));
	fake_say(&s, NF_REC_MARKED);
	fake_say_stats(&d, NF_REC_COMMITTED, &applied);
	o = result(0, "done");
	json_decref(o);
}
END_TEST

START_TEST(both_die_after_route)
{
	json_t *o;

	run_to(MOVE, AT_COMMIT);
	fake_close(&d);
	fake_expect(&s, NF_REC_REVERT);
	fake_close(&s);
	o = result(1, "failed");
	json_decref(o);
}
END_TEST

START_TEST(destination_nf_dies_in_linger)
{
	json_t *o;

	run_to(MOVE, AT_COMMIT);
	fake_say_stats(&d, NF_REC_COMMITTED, &applied);
	json_decref(result(0, "done"));
	fake_say(&s, NF_REC_RELEASED);
	fake_trouble(&d, NF_EVENT_NF_GONE, "made-up trouble");
	fake_expect(&s, NF_REC_REVERT);
	fake_say(&s, NF_REC_OVER);
	wait_stage(s.move, "over");
	ck_assert(switch_has("route " SPACE " to ids1\n"));
	ck_assert_int_eq(ctl_run("show|1", &o), 0);
	ck_assert_str_eq(jstr(o, "state"), "failed");
	json_decref(o);
}
END_TEST

void add_after_route_cases(Suite *suite)
{
	TCase *t = move_case(suite, "after the route");

	tcase_add_loop_test(t, destination_dies_after_route, 0, 6);
	tcase_add_loop_test(t, source_dies_after_route, 0, 8);
	tcase_add_test(t, mark_never_arrives);
	tcase_add_loop_test(t, stream_ends_before_commit, 0, 2);
	tcase_add_test(t, reserve_full_after_route);
	tcase_add_test(t, both_die_after_route);
	tcase_add_test(t, destination_nf_dies_in_linger);
}
