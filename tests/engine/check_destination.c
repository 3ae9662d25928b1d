/* SPDX-License-Identifier: BSD-2-Clause */
/* The move at its destination. */
#include <stdlib.h>

#include "cases.h"
#include "destination.h"

/* The hold fills after READY, with flows that the source never names and one that it does. */
START_TEST(hold_fills_with_unknown_flows)
{
	struct nf_rec_stats st;

	trace_rounds(10, 4);
	trace("0 1");
	nf_start("loop", -1, "0,40", NULL);
	nf_reaches(0);
	begin_dst(5);
	send_state(3, 2, 2);
	make_ready();
	nf_goes_on(0);
	nf_reaches(40);
	send_flow(NF_REC_FIN, 3, 2);
	ck_assert_int_eq(play_flow(&expect(NF_REC_DONE)->rec.flow), 3);
	send_order(NF_REC_FINALL);
	st = expect_stats(NF_REC_COMMITTED);
	ck_assert_uint_eq(st.downgraded, 4);
	ck_assert_uint_eq(st.held_max, 5);
	send_order(NF_REC_END);
	expect(NF_REC_OVER);
	ck_assert_uint_eq(diary_count(PLAY_PACKET), 40);
	ck_assert_uint_eq(diary_count(PLAY_DEL), 0);
	nf_goes_on(40);
	everything_came();
}
END_TEST

/* A packet that is larger than the whole hold. */
START_TEST(hold_smaller_than_a_packet)
{
	struct nf_rec_begin o = stage_options();

	o.hold_bytes = 1;
	trace_rounds(3, 3);
	trace("0");
	nf_start("loop", -1, "0,9", NULL);
	nf_reaches(0);
	helper_up();
	send_begin(NF_REC_BEGIN_DST, &o);
	expect(NF_REC_BEGUN);
	make_ready();
	nf_goes_on(0);
	nf_reaches(9);
	ck_assert_uint_eq(diary_count(PLAY_PACKET), 9);
	send_order(NF_REC_FINALL);
	ck_assert_uint_eq(expect_stats(NF_REC_COMMITTED).downgraded, 3);
	nf_goes_on(9);
	everything_came();
}
END_TEST

/* The hold is too small before READY: nobody has changed a route, so all packets are this NF's. */
START_TEST(hold_fills_before_ready)
{
	trace_rounds(5, 2);
	nf_start("loop", -1, "0,8", NULL);
	nf_reaches(0);
	begin_dst(3);
	send_state(5, 2, 2);
	nf_goes_on(0);
	expect_failed("the hold was full");
	nf_reaches(8);
	ck_assert_uint_eq(diary_of(PLAY_DEL, 5), 1);
	send_order(NF_REC_ABORT);
	expect(NF_REC_OVER);
	nf_goes_on(8);
	everything_came();
}
END_TEST

/* A record that no helper writes. */
START_TEST(malformed_record)
{
	trace_rounds(10, 3);
	nf_start("loop", -1, "0,10", NULL);
	nf_reaches(0);
	begin_dst(1000);
	make_ready();
	nf_goes_on(0);
	nf_reaches(10);
	ck_assert_uint_eq(diary_count(PLAY_PACKET), 0);
	send_malformed();
	expect_failed("malformed");
	helper_gone();
	ck_assert_ptr_nonnull(strstr(helper_refused(), "inert"));
	nf_goes_on(10);
	everything_came();
}
END_TEST

/* Flow 0 is the destination's own, flow 5 came with the move. The helper dies before READY. */
START_TEST(helper_dies_before_ready)
{
	static const char *const stops = "4,14";
	bool prepared = _i;

	trace("0 0 0 0");
	trace_rounds(6, 4);
	nf_start("loop", -1, stops, NULL);
	nf_reaches(4);
	begin_dst(1000);
	send_state(5, 0, 3);
	if (prepared) {
		send_order(NF_REC_PREPARE);
		expect(NF_REC_PREPARED);
	}
	nf_goes_on(4);
	nf_reaches(14);
	ck_assert_uint_eq(diary_of(PLAY_PUT, 5), 1);
	ck_assert_uint_eq(diary_of(PLAY_PACKET, 1), 0); /* held */
	ck_assert_uint_gt(diary_of(PLAY_PACKET, 0), 4); /* its own is not */
	helper_dies();
	helper_up();
	ck_assert_uint_eq(diary_of(PLAY_DEL, 5), 1);
	nf_goes_on(14);
	everything_came();
	ck_assert_int_lt(diary_find(PLAY_DEL, 0, 0), 0);
}
END_TEST

/* After READY the packets are the source's again for as long as the route may still lead here. */
START_TEST(helper_dies_after_ready)
{
	trace("0 0");
	trace_rounds(3, 2); /* 2 to 7, before */
	trace_rounds(4, 2); /* 8 to 15, cut off */
	trace_rounds(4, 2); /* 16 to 23, later */
	nf_start("loop", -1, "2,8,16", NULL);
	nf_reaches(2);
	begin_dst(1000);
	make_ready();
	nf_goes_on(2);
	nf_reaches(8);
	helper_dies();
	nf_goes_on(8);
	nf_reaches(16);
	ck_assert_uint_eq(diary_of(PLAY_PACKET, 0), 2 + 3 + 4);
	ck_assert_uint_eq(diary_of(PLAY_PACKET, 1), 0);
	helper_up();
	helper_waits_for_idle();
	nf_goes_on(16);
	nf_ends();
	ck_assert_uint_eq(diary_of(PLAY_PACKET, 1), 4);
	all_given(16, trace_len() - 1);
	output_is_whole();
}
END_TEST

/* What came is out of the NF again before the NF gets what was held. */
START_TEST(fails_after_ready)
{
	int del, held;

	trace_rounds(5, 3);
	trace_rounds(5, 3);
	nf_start("loop", -1, "0,15", NULL);
	nf_reaches(0);
	begin_dst(1000);
	send_state(1, 0, 7);
	send_clone(1, 1, 900, 1);
	send_clone(5, 1, 901, 5);
	make_ready();
	nf_goes_on(0);
	nf_reaches(15);
	ck_assert_uint_eq(diary_count(PLAY_CLONE), 2);
	ck_assert_uint_eq(diary_count(PLAY_PACKET), 0);
	send_clone(1, 3, 902, 1);
	expect_failed("are missing");
	ck_assert_uint_eq(diary_count(PLAY_CLONE), 2);
	send_order(NF_REC_ABORT);
	expect(NF_REC_OVER);
	ck_assert_uint_eq(diary_count(PLAY_PACKET), 15);
	for (unsigned i = 1; i <= 5; i += 4) {
		del = diary_find(PLAY_DEL, i, 0);
		held = diary_find(PLAY_PACKET, 0, 0);
		ck_assert_int_ge(del, 0);
		ck_assert_int_lt(del, held);
	}
	nf_goes_on(15);
	everything_came();
}
END_TEST

START_TEST(new_flows_have_no_state)
{
	struct nf_rec_stats st;

	trace("9 9");
	nf_start("loop", -1, "0", NULL);
	nf_reaches(0);
	begin_dst(1000);
	send_state(1, 0, 7); /* exported before any packet */
	send_clone(1, 1, 900, 1);
	send_clone(2, 1, 901, 2);
	send_clone(2, 2, 902, 2);
	make_ready();
	send_flow(NF_REC_FIN, 1, 1);
	send_flow(NF_REC_FIN, 2, 2);
	send_order(NF_REC_FINALL);
	st = expect_stats(NF_REC_COMMITTED);
	ck_assert_uint_eq(st.flows, 1);
	ck_assert_uint_eq(st.new_flows, 1);
	ck_assert_uint_eq(st.clones, 3);
	nf_goes_on(0);
	everything_came();
}
END_TEST

START_TEST(clone_of_another_flow)
{
	trace("9 9");
	nf_start("loop", -1, "0", NULL);
	nf_reaches(0);
	begin_dst(1000);
	send_state(1, 0, 7);
	send_clone(2, 1, 900, 1);
	expect_failed("a packet of another flow");
	send_order(NF_REC_ABORT);
	expect(NF_REC_OVER);
	ck_assert_uint_eq(diary_count(PLAY_CLONE), 0);
	ck_assert_uint_eq(diary_of(PLAY_DEL, 1), 1);
	nf_goes_on(0);
	everything_came();
}
END_TEST

/* Clones as frames need room in a live capture: refused before anything starts, and then free. */
START_TEST(frames_are_refused)
{
	static const char *const why[] = {"nfrun --veth", "reads a file"};
	struct nf_rec_begin o = stage_options();

	o.inject = NF_INJECT_VETH;
	trace_rounds(3, 3);
	if (_i)
		setenv("NFSHIM_VETH", "1", 1);
	nf_start("loop", -1, "0", NULL);
	unsetenv("NFSHIM_VETH");
	nf_reaches(0);
	helper_up();
	send_begin(NF_REC_BEGIN_DST, &o);
	expect_failed(why[_i]);
	send_begin(NF_REC_BEGIN_DST, NULL);
	expect(NF_REC_BEGUN);
	send_order(NF_REC_ABORT);
	expect(NF_REC_OVER);
	nf_goes_on(0);
	everything_came();
}
END_TEST

void add_destination_cases(TCase *t)
{
	tcase_add_loop_test(t, frames_are_refused, 0, 2);
	tcase_add_test(t, hold_fills_with_unknown_flows);
	tcase_add_test(t, hold_smaller_than_a_packet);
	tcase_add_test(t, hold_fills_before_ready);
	tcase_add_test(t, malformed_record);
	tcase_add_loop_test(t, helper_dies_before_ready, 0, 2);
	tcase_add_test(t, helper_dies_after_ready);
	tcase_add_test(t, fails_after_ready);
	tcase_add_test(t, new_flows_have_no_state);
	tcase_add_test(t, clone_of_another_flow);
}
