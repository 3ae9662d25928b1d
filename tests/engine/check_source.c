/* SPDX-License-Identifier: BSD-2-Clause */
/* The move at its source. */
#include "cases.h"

/* The helper dies while the NF is in a packet: the clone is made, but not committed. */
START_TEST(helper_dies_in_a_packet)
{
	trace_rounds(4, 4);
	trace("0w");
	trace_rounds(10, 4);
	nf_start("loop", -1, "16,20", NULL);
	nf_reaches(16);
	helper_up();
	send_begin(NF_REC_BEGIN_SRC, NULL);
	expect(NF_REC_BEGUN);
	expect(NF_REC_EXPORTED);
	nf_goes_on(16);
	nf_waits_in(16);
	helper_dies();
	atomic_store(&play->go, true);
	nf_reaches(20);
	helper_up(); /* the move is over: there can be another */
	send_begin(NF_REC_BEGIN_SRC, NULL);
	expect(NF_REC_BEGUN);
	ck_assert_uint_eq(expect_stats(NF_REC_EXPORTED).flows, 4);
	nf_goes_on(20);
	nf_ends();
	all_given(0, trace_len() - 1);
	output_is_whole();
}
END_TEST

static void send_done(unsigned flows)
{
	for (unsigned i = 0; i < flows; i++)
		send_flow(NF_REC_DONE, i, 0);
}

/* One flow is exported before each packet. Meanwhile the NF frees flows that are not exported yet:
 * some of them stay away, some come back before the walk would have named them, some after. */
START_TEST(flows_freed_before_the_walk)
{
	static const char *const ways[] = {
		"7f 6 6f 5f 5 4f 4 4f", /* gone; gone; back; twice gone */
		"1f 1 2f 2f 7 7 7f 3f",	   "7f 7 7f 7 7f 7 7f 7",
		"1f 2f 3f 4f 5f 6f 7f 0f", "7f 7f 7f 6 6 6f 6f 1",
	};

	struct nf_rec_begin one = stage_options();
	char stops[32];
	unsigned mark;

	one.slice_flows = 1;
	trace_rounds(2, 8);
	trace("0w");
	trace(ways[_i]);
	trace_rounds(3, 8); /* the walk ends, and all flows live on */
	trace("2f 3f 3 0");
	mark = trace_len();
	trace("MARK 9");
	snprintf(stops, sizeof(stops), "%u,%u", mark, mark + 1);
	nf_start("loop", -1, stops, NULL);
	nf_waits_in(16);
	helper_up();
	send_begin(NF_REC_BEGIN_SRC, &one);
	atomic_store(&play->go, true);
	expect(NF_REC_EXPORTED);
	nf_reaches(mark);
	send_order(NF_REC_PREPARE);
	expect(NF_REC_BARRIER);
	nf_goes_on(mark);
	expect(NF_REC_FINALL);
	send_done(8);
	expect(NF_REC_RELEASED);
	expect(NF_REC_OVER);
	copies_are_exact(8);
	nf_goes_on(mark + 1);
	nf_ends();
	all_given(0, trace_len() - 1);
	output_is_whole();
}
END_TEST

static void state_again(unsigned flow, uint32_t epoch, uint64_t version)
{
	const struct stage_rec *g = expect(NF_REC_STATE);

	ck_assert_int_eq(play_flow(&g->rec.flow), (int)flow);
	ck_assert_uint_eq(g->rec.epoch, epoch);
	ck_assert_uint_eq(g->rec.version, version);
	ck_assert_uint_eq(g->rec.flags, NF_REC_ANSWER);
}

/* The destination dropped clones, of one flow once, of another twice: their state comes again, with
 * all that happened since; also if it asks in an epoch that is over. It has no answer of one
 * to come, or of a flow that nobody knows. A flow that has ended meanwhile is gone there as well.
 */
START_TEST(exported_again)
{
	struct nf_rec_stats st;
	unsigned mark;

	trace_rounds(5, 3);
	trace("2f");
	trace_rounds(5, 2);
	mark = trace_len();
	trace("MARK 0");
	nf_start("loop", -1, "0,9,16,26,27", NULL);
	nf_reaches(0);
	helper_up();
	send_begin(NF_REC_BEGIN_SRC, NULL);
	expect(NF_REC_BEGUN);
	expect(NF_REC_EXPORTED);
	nf_goes_on(0);
	nf_reaches(9);
	send_of_epoch(NF_REC_REEXP, 1, 0);
	state_again(1, 1, 3);
	send_of_epoch(NF_REC_REEXP, 7, 0);
	send_of_epoch(NF_REC_REEXP, 0, 1);
	nf_goes_on(9);
	nf_reaches(16);
	send_of_epoch(NF_REC_REEXP, 1, 0);
	state_again(1, 2, 5);
	send_of_epoch(NF_REC_REEXP, 2, 0);
	ck_assert_uint_eq(expect(NF_REC_STATE)->rec.flags, NF_REC_GONE | NF_REC_ANSWER);
	nf_goes_on(16);
	send_order(NF_REC_PREPARE);
	nf_reaches(mark);
	expect(NF_REC_BARRIER);
	nf_goes_on(mark);
	expect(NF_REC_FINALL);
	send_of_epoch(NF_REC_DONE, 0, 0);
	send_of_epoch(NF_REC_DONE, 1, 2);
	send_of_epoch(NF_REC_DONE, 2, 1);
	st = expect_stats(NF_REC_RELEASED);
	ck_assert_uint_eq(st.again, 2);
	ck_assert_uint_eq(st.discarded, 2);
	ck_assert_uint_eq(st.gaps, 0);
	expect(NF_REC_OVER);
	copies_are_exact(3);
	nf_goes_on(mark + 1);
	nf_ends();
	all_given(0, trace_len() - 1);
	output_is_whole();
}
END_TEST

void add_source_cases(TCase *t)
{
	tcase_add_test(t, helper_dies_in_a_packet);
	tcase_add_test(t, exported_again);
	tcase_add_loop_test(t, flows_freed_before_the_walk, 0, 5);
}
