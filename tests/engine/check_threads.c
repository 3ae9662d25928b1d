/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An NF with two packet threads: the first reads nf0 and the second nf1, each
 * with a state of its own. Each has its part of a move, as if it were alone.
 */
#include "cases.h"
#include "destination.h"
#include "stage_in.h"

#include <fcntl.h>
#include <stdlib.h>

#define OUTPUT_MAX 4096

static void start(int cnt)
{
	nf_start("threads", cnt, "", "live:nf0,nf1");
	helper_up();
}

static void send_now(const char *interface, const char *words)
{
	unsigned from = trace_len();

	trace(words);
	trace_send_from(interface, from);
}

static void begin_thread(unsigned thread, enum nf_rec_type t)
{
	struct nf_rec_begin o = stage_options();

	o.others = 1;
	helper_speaks_to(thread);
	send_begin(t, &o);
}

static void begin_both(enum nf_rec_type t)
{
	begin_thread(0, t);
	begin_thread(1, t);
	expect(NF_REC_BEGUN);
	helper_speaks_to(0);
	expect(NF_REC_BEGUN);
}

static void expect_end(void)
{
	send_now("sw0", "0q");
	send_now("sw1", "1q");
	nf_ends();
}

static const char *output(void)
{
	static char text[OUTPUT_MAX];
	int fd = open(stage_path("output"), O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	ck_assert_int_ge(n, 0);
	text[n] = 0;
	close(fd);
	return text;
}

static unsigned states_of(unsigned thread, unsigned flow)
{
	struct nfshim_flow key = play_key(flow);
	unsigned n = 0;

	for (unsigned i = 0; i < stage_ngot; i++)
		n += stage_got[i].rec.type == NF_REC_STATE && stage_got[i].rec.thread == thread &&
		     !memcmp(&stage_got[i].rec.flow, &key, sizeof(key));
	return n;
}

/* What of the move this thread has yet to do, with one flow of its own. */
static void finish_source(unsigned thread, unsigned flow, const char *interface, const char *mark)
{
	helper_speaks_to(thread);
	send_order(NF_REC_PREPARE);
	expect(NF_REC_BARRIER);
	send_now(interface, mark);
	expect(NF_REC_MARKED);
	expect(NF_REC_FINALL);
	send_flow(NF_REC_DONE, flow, 0);
	expect(NF_REC_RELEASED);
	expect(NF_REC_OVER);
}

/* Each thread exports its own flows, and neither waits for the other. */
START_TEST(each_moves_its_own)
{
	start(0);
	helper_has_threads(2);
	send_now("sw0", "0 0 0");
	send_now("sw1", "1 1");
	nf_gets(5);
	begin_both(NF_REC_BEGIN_SRC);
	expect(NF_REC_EXPORTED);
	helper_speaks_to(1);
	expect(NF_REC_EXPORTED);
	ck_assert_uint_eq(states_of(0, 0), 1);
	ck_assert_uint_eq(states_of(0, 1), 0);
	ck_assert_uint_eq(states_of(1, 0), 0);
	ck_assert_uint_eq(states_of(1, 1), 1);
	send_now("sw1", "1");
	expect(NF_REC_CLONE);
	finish_source(1, 1, "sw1", "MARK");
	ck_assert_int_ge(diary_find(PLAY_DEL, 1, 0), 0);
	ck_assert_int_lt(diary_find(PLAY_DEL, 0, 0), 0);
	helper_speaks_to(0);
	send_now("sw0", "0");
	expect(NF_REC_CLONE);
	finish_source(0, 0, "sw0", "MARK");
	copies_are_exact(2);
	expect_end();
}
END_TEST

/* While one thread reprocesses a packet, and stalls in it, the other goes on: its output is let
 * through, and it comes to the end of its part of the move. */
START_TEST(one_window_is_not_the_others)
{
	start(0);
	helper_has_threads(2);
	begin_both(NF_REC_BEGIN_DST);
	send_what(PLAY_STALL, 0, 1, 900);
	nf_gets_clones(1);
	send_now("sw1", "5 5");
	helper_speaks_to(1);
	nf_has_seen(2);
	send_clone_of(1, 1, 1, 901);
	nf_gets_clones(2);
	make_ready();
	send_flow(NF_REC_FIN, 1, 1);
	send_order(NF_REC_FINALL);
	expect(NF_REC_COMMITTED);
	nf_gets(2);
	while (!strstr(output(), "5 1\n"))
		usleep(500);
	ck_assert_ptr_nonnull(strstr(output(), "5 0\n"));
	atomic_store(&play->go, true);
	helper_speaks_to(0);
	send_order(NF_REC_PREPARE);
	expect(NF_REC_PREPARED);
	ck_assert_ptr_null(strstr(output(), " 90"));
	ck_assert_uint_eq(diary_of(PLAY_CLONE, 0), 1);
}
END_TEST

/* A stream that both print to gets room again by the other's output, however it prints; text of
 * the reprocessing thread does not get in. */
START_TEST(one_stream_for_both)
{
	static const char *const others[] = {"5 6", "5p 6"};

	start(4);
	helper_has_threads(2);
	begin_both(NF_REC_BEGIN_DST);
	send_what(PLAY_STALL, 0, 1, 900);
	nf_gets_clones(1);
	helper_speaks_to(1);
	send_order(NF_REC_ABORT);
	expect(NF_REC_OVER);
	send_now("sw1", others[_i]);
	nf_gets(2); /* the first one is printed */
	atomic_store(&play->go, true);
	helper_speaks_to(0);
	send_order(NF_REC_ABORT);
	expect(NF_REC_OVER);
	expect_end();
	ck_assert_ptr_nonnull(strstr(output(), "5 0\n"));
	ck_assert_ptr_null(strstr(output(), "900"));
}
END_TEST

/* One leaves a clone by a longjmp and does not read on: the other goes on. */
START_TEST(one_jumps)
{
	start(5);
	helper_has_threads(2);
	begin_both(NF_REC_BEGIN_DST);
	send_what(PLAY_JUMP, 0, 1, 900);
	nf_lands(1);
	helper_speaks_to(1);
	send_clone_of(1, 1, 1, 901);
	nf_gets_clones(2);
	make_ready();
	atomic_store(&play->go, true);
	helper_speaks_to(0);
	send_order(NF_REC_PREPARE);
	expect(NF_REC_PREPARED);
	ck_assert_uint_eq(diary_count(PLAY_CLONE), 2);
	ck_assert_ptr_null(strstr(output(), " 90"));
}
END_TEST

/* It breaks off its input, or just ends. */
START_TEST(one_ends_in_a_move)
{
	static const char *const how[] = {"1q", "1d"};

	start(0);
	helper_has_threads(2);
	send_now("sw0", "0");
	send_now("sw1", "1");
	nf_gets(2);
	begin_both(NF_REC_BEGIN_SRC);
	expect(NF_REC_EXPORTED);
	send_now("sw1", how[_i]);
	expect_failed("began or ended during the move");
	helper_speaks_to(1);
	expect_failed("ended during the move");
	helper_speaks_to(0);
	send_order(NF_REC_ABORT);
	expect(NF_REC_OVER);
	ck_assert_int_lt(diary_find(PLAY_DEL, 0, 0), 0);
}
END_TEST

/* Its flows are in nobody's part of the move. */
START_TEST(one_begins_in_a_move)
{
	start(1);
	helper_has_threads(1);
	send_now("sw0", "0");
	nf_gets(1);
	send_begin(NF_REC_BEGIN_SRC, NULL);
	expect(NF_REC_EXPORTED);
	send_now("sw0", "0m");
	helper_has_threads(2);
	expect_failed("began or ended during the move");
	send_order(NF_REC_ABORT);
	expect(NF_REC_OVER);
	begin_both(NF_REC_BEGIN_SRC);
	expect(NF_REC_EXPORTED);
	helper_speaks_to(1);
	expect(NF_REC_EXPORTED);
}
END_TEST

/* A helper that has not heard of the second thread yet. */
START_TEST(one_is_left_out)
{
	start(0);
	helper_has_threads(2);
	send_begin(NF_REC_BEGIN_SRC, NULL);
	expect_failed("began or ended just now");
	begin_both(NF_REC_BEGIN_SRC);
}
END_TEST

/* The kernel's choice of a socket is nothing that another host would make, too. */
START_TEST(fanout_is_refused)
{
	start(2);
	helper_has_threads(2);
	begin_thread(1, NF_REC_BEGIN_DST);
	expect_failed("fanout group");
}
END_TEST

/* A flow that another thread gets here, or none, is found out by its first clone. */
START_TEST(another_filter_is_refused)
{
	start(3);
	helper_has_threads(2);
	begin_both(NF_REC_BEGIN_DST);
	send_clone_of(0, 0, 1, 900);
	nf_gets_clones(1);
	helper_speaks_to(1);
	send_clone_of(1, 1, 1, 901);
	expect_failed("does not let it in");
	send_order(NF_REC_ABORT);
	expect(NF_REC_OVER);
	ck_assert_uint_eq(diary_count(PLAY_CLONE), 1);
}
END_TEST

void add_threads_cases(TCase *t)
{
	tcase_add_checked_fixture(t, make_link, NULL);
	tcase_add_test(t, each_moves_its_own);
	tcase_add_test(t, one_window_is_not_the_others);
	tcase_add_loop_test(t, one_stream_for_both, 0, 2);
	tcase_add_test(t, one_jumps);
	tcase_add_loop_test(t, one_ends_in_a_move, 0, 2);
	tcase_add_test(t, one_begins_in_a_move);
	tcase_add_test(t, one_is_left_out);
	tcase_add_test(t, fanout_is_refused);
	tcase_add_test(t, another_filter_is_refused);
}
