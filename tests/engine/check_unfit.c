/* SPDX-License-Identifier: BSD-2-Clause */
/* NFs that do what a move could not get right are refused by name, also if they begin in a move. */
#include "cases.h"
#include "destination.h"

/* Output that passes by the shim. */
START_TEST(escapes)
{
	trace("0 1e 2 0 1 2");
	nf_start("loop", -1, "2", NULL);
	nf_reaches(2);
	helper_up();
	send_begin(_i ? NF_REC_BEGIN_SRC : NF_REC_BEGIN_DST, NULL);
	expect_failed("could not be dropped");
	nf_goes_on(2);
	everything_came();
}
END_TEST

/* Found within a second. */
START_TEST(escapes_in_a_move)
{
	trace("0 1 2 2e 0 1 2"); /* its own flow: not held */
	nf_start("loop", -1, "3,4", NULL);
	nf_reaches(3);
	helper_up();
	send_begin(_i ? NF_REC_BEGIN_SRC : NF_REC_BEGIN_DST, NULL);
	expect(_i ? NF_REC_EXPORTED : NF_REC_BEGUN);
	nf_goes_on(3);
	expect_failed("could not be dropped");
	send_order(NF_REC_ABORT);
	expect(NF_REC_OVER);
	nf_goes_on(4);
	everything_came();
}
END_TEST

/* Packets that the NF reads past the shim would be missed: in packet 1, by what @how says. */
static const struct {
	const char *how, *why;
} past[] = {{"0 1t 2w 0q", "another thread"}, {"0 1n 2w 0q", "inside the callback"}};

static void it_reads_past(unsigned i)
{
	atomic_store(&play->go, true);
	expect_failed(past[i].why);
	everything_came();
}

START_TEST(reads_past)
{
	trace(past[_i / 2].how);
	nf_start("loop", -1, "", "live:nf0,nf1");
	helper_up();
	helper_waits_for_idle(); /* the captures are open */
	trace_send("sw0");
	nf_waits_in(2);
	send_begin(_i % 2 ? NF_REC_BEGIN_SRC : NF_REC_BEGIN_DST, NULL);
	it_reads_past((unsigned)_i / 2);
}
END_TEST

START_TEST(begins_to_read_past)
{
	trace(past[_i].how);
	nf_start("loop", -1, "", "live:nf0,nf1");
	helper_up();
	send_begin(NF_REC_BEGIN_SRC, NULL);
	expect(NF_REC_EXPORTED);
	trace_send("sw0");
	nf_waits_in(2);
	it_reads_past((unsigned)_i);
}
END_TEST

void add_unfit_cases(TCase *t)
{
	tcase_add_loop_test(t, escapes, 0, 2);
	tcase_add_loop_test(t, escapes_in_a_move, 0, 2);
}

void add_live_unfit_cases(TCase *t)
{
	tcase_add_checked_fixture(t, make_link, NULL);
	tcase_add_loop_test(t, reads_past, 0, 4);
	tcase_add_loop_test(t, begins_to_read_past, 0, 2);
}
