/* SPDX-License-Identifier: BSD-2-Clause */
/* What the NF sees of its input API while packets are held, released, reprocessed or kept from it.
 */
#include "cases.h"
#include "destination.h"
#include "source.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>

static const char *const readers[] = {"loop", "dispatch"};
static const char *const one_by_one[] = {"next", "next_ex"};

/* No call gave more than @cnt; what dispatch returned is what it gave, 0 at the end only. */
static void calls_obeyed(bool dispatch, int cnt)
{
	int given = 0, returns = 0, total = (int)diary_count(PLAY_RETURN);

	for (unsigned i = 0; i < atomic_load(&play->used); i++) {
		const struct play_entry *e = &play->diary[i];

		if (e->event == PLAY_PACKET || e->event == PLAY_CLONE)
			given++;
		if (e->event != PLAY_RETURN)
			continue;
		returns++;
		ck_assert_int_le(given, cnt);
		if (e->n != PCAP_ERROR_BREAK)
			ck_assert_int_eq(e->n, dispatch ? given : 0);
		ck_assert(given || returns == total);
		given = 0;
	}
	ck_assert_int_gt(total, 1);
}

/* Held packets that become the NF's all at once. */
START_TEST(released_by_count)
{
	bool dispatch = _i & 1, abort = _i & 2;

	trace_rounds(10, 3);
	trace_rounds(3, 3);
	nf_start(readers[dispatch], 4, "0,20", NULL);
	nf_reaches(0);
	begin_dst(1000);
	make_ready();
	nf_goes_on(0);
	nf_reaches(20);
	ck_assert_uint_eq(diary_count(PLAY_PACKET), 0);
	send_order(abort ? NF_REC_ABORT : NF_REC_FINALL);
	nf_gets(4);
	nf_goes_on(20);
	expect(abort ? NF_REC_OVER : NF_REC_COMMITTED);
	everything_came();
	calls_obeyed(dispatch, 4);
}
END_TEST

/* A clone is all that the call may give, then comes a packet for which the hold has no room. */
START_TEST(hold_full_and_call_full)
{
	bool dispatch = _i;

	trace_rounds(4, 4);
	trace("9 9 9");
	nf_start(readers[dispatch], 1, "0,3,16", NULL);
	nf_reaches(0);
	begin_dst(3);
	make_ready();
	nf_goes_on(0);
	nf_reaches(3);
	send_clone(5, 1, 900, 5);
	nf_gets_clones(1);
	nf_goes_on(3);
	nf_reaches(16);
	send_flow(NF_REC_FIN, 5, 1);
	send_order(NF_REC_FINALL);
	nf_goes_on(16);
	expect(NF_REC_COMMITTED);
	everything_came();
	calls_obeyed(dispatch, 1);
}
END_TEST

/* The NF breaks off in a packet that was held, and comes back for the rest. What came with the move
 * is deleted once; what the NF makes of its own packets stays. */
START_TEST(break_in_a_held_packet)
{
	bool dispatch = _i;
	int at;

	trace("0 1 2 0 1b 2 0 1 2 0");
	trace_rounds(5, 3);
	nf_start(readers[dispatch], -1, "0,10", NULL);
	nf_reaches(0);
	begin_dst(1000);
	send_state(1, 0, 7);
	nf_goes_on(0);
	nf_reaches(10);
	ck_assert_uint_eq(diary_count(PLAY_PACKET), 0);
	send_order(NF_REC_ABORT);
	nf_gets(5);
	nf_goes_on(10);
	everything_came();
	ck_assert_uint_eq(diary_of(PLAY_DEL, 1), 1);
	at = diary_find(PLAY_PACKET, 1, (unsigned)diary_find(PLAY_PACKET, 1, 0) + 1);
	ck_assert_int_eq(play->diary[at].n, 4);
	ck_assert_int_eq(play->diary[at + 1].event, PLAY_RETURN);
	/* As libpcap: what dispatch has given counts; the break is told by the next call. */
	ck_assert_int_eq(play->diary[at + 1].n, dispatch ? 5 : PCAP_ERROR_BREAK);
}
END_TEST

/* The NF works on the packet after the call: its clone follows when the NF comes back. */
START_TEST(next_at_the_source)
{
	unsigned mark;
	char stops[32];

	trace_rounds(3, 3);
	trace("0w 0 1 2 0");
	mark = trace_len();
	trace("MARK 9");
	snprintf(stops, sizeof(stops), "9,%u,%u", mark, mark + 1);
	nf_start(one_by_one[_i], 0, stops, NULL);
	nf_reaches(9);
	helper_up();
	send_begin(NF_REC_BEGIN_SRC, NULL);
	expect(NF_REC_EXPORTED);
	nf_goes_on(9);
	nf_waits_in(9);
	ck_assert_uint_eq(got_so_far(NF_REC_CLONE), 0);
	atomic_store(&play->go, true);
	source_goes_to_mark(mark);
	source_is_done(mark);
}
END_TEST

/* Clones and held packets come one by one through the same calls; the window of a clone closes when
 * the NF comes back, so its own packet behind it has output. */
START_TEST(next_at_the_destination)
{
	trace("9 9");
	trace_rounds(5, 3);
	trace_rounds(2, 3);
	nf_start(one_by_one[_i], 0, "0,2,17", NULL);
	nf_reaches(0);
	begin_dst(1000);
	send_state(1, 0, 7);
	send_clone(1, 1, 900, 1);
	send_clone(5, 1, 901, 5);
	send_clone(1, 2, 902, 1);
	nf_goes_on(0);
	nf_gets_clones(3);
	make_ready();
	nf_goes_on(2);
	nf_reaches(17);
	ck_assert_uint_eq(diary_count(PLAY_PACKET), 0);
	send_flow(NF_REC_FIN, 1, 2);
	send_flow(NF_REC_FIN, 5, 1);
	send_order(NF_REC_FINALL);
	nf_goes_on(17);
	expect(NF_REC_COMMITTED);
	everything_came();
	ck_assert_uint_eq(diary_count(PLAY_CLONE), 3);
}
END_TEST

/* The last held packet ends the move in the very call that then brings one more. */
START_TEST(full_when_the_move_ends)
{
	trace_rounds(4, 2);
	nf_start(readers[_i], 1, "0,1", NULL);
	nf_reaches(0);
	begin_dst(1000);
	nf_goes_on(0);
	nf_reaches(1);
	send_order(NF_REC_ABORT);
	nf_gets(1);
	nf_goes_on(1);
	expect(NF_REC_OVER);
	everything_came();
	calls_obeyed(_i, 1);
}
END_TEST

static const char *const waits[] = {"poll", "select", "epoll"};

static void shell(const char *command)
{
	if (system(command))
		ck_abort_msg("%s", command);
}

void make_link(void)
{
	ck_assert(stage_own_net());
	shell("echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 && "
	      "ip link add name nf0 type veth peer name sw0 && ip link set nf0 up && "
	      "ip link set sw0 up && ip link add name nf1 type veth peer name sw1 && "
	      "ip link set nf1 up && ip link set sw1 up");
}

/* Nothing comes in yet but a clone. */
static void starts_with_a_clone(const char *reader)
{
	trace("0 1 0q");
	nf_start(reader, 0, "", "live:nf0");
	begin_dst(1000);
	send_clone(1, 1, 900, 1);
	nf_gets_clones(1);
}

static void aborted_and_goes_on(const char *interface)
{
	send_order(NF_REC_ABORT);
	expect(NF_REC_OVER);
	trace_send(interface);
	everything_came();
}

/* Nothing comes in: records are served, and clones given, while the NF waits. */
START_TEST(next_waits)
{
	starts_with_a_clone(one_by_one[_i]);
	aborted_and_goes_on("sw0");
}
END_TEST

/* A capture without filter: MARK is not among the packets that pcap_stats counts. */
START_TEST(stats_without_marks)
{
	trace("0 1 MARK 2 MARK MARK 0 1q");
	nf_start("loop", -1, "", "live:nf0");
	helper_up();
	send_begin(NF_REC_BEGIN_SRC, NULL);
	expect(NF_REC_EXPORTED);
	trace_send("sw0");
	nf_ends();
	all_given(0, trace_len() - 1);
	ck_assert_int_eq(play->diary[diary_find(PLAY_RECEIVED, 0, 0)].n, 5);
}
END_TEST

/* The NF has read nothing yet and nothing comes in. A wait of its own serves the move, and clones
 * make the capture readable; each is given, its window closed before the NF is back from the next
 * wait. */
START_TEST(waits_are_served)
{
	trace("0 1 0q");
	nf_start(waits[_i], 0, "", "live:nf0");
	clones_come_to_a_wait();
}
END_TEST

/* Held packets come back through a wait. */
START_TEST(waits_release)
{
	trace("0 1 2 0 1 2q");
	nf_start(waits[_i], 0, "", "live:nf0");
	held_packets_come_back();
}
END_TEST

/* The capture, by its number, that each packet and clone came from. */
static void captures_were(const char *numbers)
{
	int from = -1;

	for (unsigned i = 0; i < atomic_load(&play->used); i++) {
		const struct play_entry *e = &play->diary[i];

		if (e->event == PLAY_READS)
			from = (int)e->n;
		else if (e->event == PLAY_PACKET || e->event == PLAY_CLONE)
			ck_assert_int_eq(*numbers++ - '0', from);
	}
	ck_assert_int_eq(*numbers, 0);
}

/* Two captures in one thread: a clone goes to the one that its record names. */
START_TEST(two_captures)
{
	trace("0q");
	nf_start(waits[_i], 0, "", "live:nf0,nf1");
	begin_dst(1000);
	send_clone_of(1, 1, 1, 900);
	nf_gets_clones(1);
	send_clone_of(0, 2, 1, 901);
	nf_gets_clones(2);
	send_clone_of(1, 1, 2, 902);
	nf_gets_clones(3);
	send_clone_of(2, 1, 3, 903);
	expect_failed("no such capture");
	aborted_and_goes_on("sw1");
	captures_were("1011");
}
END_TEST

/* The NF waits inside a call for one capture while a clone is there for the other. */
START_TEST(call_for_another_capture)
{
	trace("0");
	nf_start("turns", 0, "", "live:nf0,nf1");
	helper_up();
	helper_waits_for_idle(); /* the captures are open */
	trace_send("sw0");
	nf_gets(1);
	send_begin(NF_REC_BEGIN_DST, NULL);
	expect(NF_REC_BEGUN);
	send_clone_of(0, 1, 1, 900);
	trace("0q");
	trace_send("sw1"); /* of its own flow */
	nf_ends();
	captures_were("0101");
	ck_assert_uint_eq(diary_count(PLAY_CLONE), 1);
}
END_TEST

void add_input_cases(TCase *t)
{
	tcase_add_loop_test(t, released_by_count, 0, 4);
	tcase_add_loop_test(t, hold_full_and_call_full, 0, 2);
	tcase_add_loop_test(t, break_in_a_held_packet, 0, 2);
	tcase_add_loop_test(t, next_at_the_source, 0, 2);
	tcase_add_loop_test(t, next_at_the_destination, 0, 2);
	tcase_add_loop_test(t, full_when_the_move_ends, 0, 2);
}

void add_live_cases(TCase *t)
{
	tcase_add_checked_fixture(t, make_link, NULL);
	tcase_add_loop_test(t, next_waits, 0, 2);
	tcase_add_test(t, stats_without_marks);
	tcase_add_loop_test(t, waits_are_served, 0, 3);
	tcase_add_loop_test(t, waits_release, 0, 3);
	tcase_add_loop_test(t, two_captures, 0, 3);
	tcase_add_test(t, call_for_another_capture);
}
