/* SPDX-License-Identifier: BSD-2-Clause */
/* The NF leaves its callback by longjmp or by an exception, at every side of a move. */
#include "cases.h"
#include "destination.h"
#include "source.h"

static const char *const readers[] = {"loop", "dispatch"};

/* Each of them by longjmp and by an exception. */
#define WAYS	  4
#define READER(i) readers[(i)&1]
#define WAY(i)	  ((i)&2 ? PLAY_THROW : PLAY_JUMP)

static void send_jumping(enum nf_rec_type t, enum play_what what, unsigned flow, uint64_t version,
			 uint32_t number)
{
	uint8_t frame[PLAY_FRAME];
	struct nf_rec r = {.len = sizeof(r) + sizeof(frame),
			   .type = (uint8_t)t,
			   .move = STAGE_MOVE,
			   .version = version,
			   .wirelen = sizeof(frame),
			   .sec = number,
			   .nsec = 123456789,
			   .flow = play_key(flow)};

	play_frame(frame, flow, number, what);
	ck_assert_int_eq(client_push(&helper, &r, frame), 0);
}

/* Words with 'j' for the way to leave. */
static void trace_leaving(enum play_what way, const char *words)
{
	char text[256];

	snprintf(text, sizeof(text), "%s", words);
	for (char *c = text; *c; c++)
		if (*c == PLAY_JUMP)
			*c = (char)way;
	trace(text);
}

/* How often it landed, with the window open and closed. */
static void landings_were(unsigned open, unsigned closed)
{
	unsigned n[2] = {0};

	for (unsigned i = 0; i < atomic_load(&play->used); i++)
		if (play->diary[i].event == PLAY_LANDED)
			n[play->diary[i].n]++;
	ck_assert_uint_eq(n[1], open);
	ck_assert_uint_eq(n[0], closed);
}

/* A clone has the time at which the source got it. */
static void times_were_kept(void)
{
	int at = -1;

	for (int64_t number = 900; number < 904; number++) {
		at = diary_find(PLAY_STAMP, 5, (unsigned)at + 1);
		ck_assert_int_ge(at, 0);
		ck_assert_int_eq(play->diary[at].n, number * 1000000 + 123456);
	}
}

/* No move: the shim is as it would be after a callback that returned. */
START_TEST(idle)
{
	trace_leaving(WAY(_i), "0 1j 2 1j 0j 0");
	nf_start(READER(_i), -1, "", NULL);
	everything_came();
	landings_were(0, 3);
}
END_TEST

/* The packet was processed as far as the NF wanted: its clone is sent, once. */
START_TEST(source)
{
	unsigned mark;
	char stops[32];

	trace_rounds(3, 3);
	trace_leaving(WAY(_i), "0j 0 1j 2j 2j 1 0j");
	mark = trace_len();
	trace("MARK 9");
	snprintf(stops, sizeof(stops), "9,%u,%u", mark, mark + 1);
	nf_start(READER(_i), -1, stops, NULL);
	nf_reaches(9);
	helper_up();
	send_begin(NF_REC_BEGIN_SRC, NULL);
	expect(NF_REC_EXPORTED);
	nf_goes_on(9);
	source_goes_to_mark(mark);
	ck_assert_uint_eq(got_so_far(NF_REC_CLONE), 7);
	source_is_done(mark);
	landings_were(0, 5);
}
END_TEST

/* Clones are reprocessed once; what the NF puts out after a jump out of one is dropped until it
 * reads on, and what follows is not. The packet that came in meanwhile is not lost. */
START_TEST(clones)
{
	struct nf_rec_stats st;

	trace_rounds(2, 3);
	trace_rounds(2, 3);
	nf_start(READER(_i), -1, "3,9,10", NULL);
	nf_reaches(3);
	begin_dst(1000);
	send_state(5, 0, 7);
	send_jumping(NF_REC_CLONE, WAY(_i), 5, 1, 900);
	send_jumping(NF_REC_CLONE, PLAY_COUNT, 5, 2, 901);
	send_jumping(NF_REC_CLONE, WAY(_i), 5, 3, 902);
	nf_goes_on(3);
	nf_reaches(9);
	send_jumping(NF_REC_CLONE, WAY(_i), 5, 4, 903);
	nf_gets_clones(4); /* out of the call that packet 9 came in */
	nf_reaches(10);
	make_ready();
	send_flow(NF_REC_FIN, 5, 4);
	expect(NF_REC_DONE);
	send_order(NF_REC_FINALL);
	st = expect_stats(NF_REC_COMMITTED);
	ck_assert_uint_eq(st.clones, 4);
	ck_assert_uint_eq(st.discarded, 0);
	nf_goes_on(10);
	everything_came();
	ck_assert_uint_eq(diary_count(PLAY_CLONE), 4);
	times_were_kept();
	landings_were(3, 0);
}
END_TEST

/* Packets that were held, and one that the source forwards, are each given once and put out. */
START_TEST(held_and_forwarded)
{
	trace("9 9");
	trace_leaving(WAY(_i), "1 2j 1j 0 2 1j");
	trace("9 9 9");
	nf_start(READER(_i), -1, "0,8", NULL);
	nf_reaches(0);
	begin_dst(1000);
	send_state(1, 0, 7);
	make_ready();
	nf_goes_on(0);
	nf_reaches(8);
	send_flow(NF_REC_FIN, 1, 0);
	expect(NF_REC_DONE);
	send_jumping(NF_REC_FWD, WAY(_i), 1, 0, 900);
	send_order(NF_REC_FINALL);
	nf_goes_on(8);
	expect(NF_REC_COMMITTED);
	nf_ends();
	output_is_whole();
	landings_were(0, 4);
	ck_assert_uint_eq(diary_of(PLAY_PACKET, 1), 4);
	ck_assert_uint_eq(diary_of(PLAY_PACKET, 2), 2);
	ck_assert_uint_eq(diary_of(PLAY_PACKET, 9), 5);
}
END_TEST

/* A handler that waits for a safe point leaves the input call there. Libpcap gives the packet that
 * came meanwhile once more. */
START_TEST(deferred_handler)
{
	trace("0 1s 2 0 1s 2 0q");
	nf_start(readers[_i], -1, "", "live:nf0");
	helper_up();
	send_begin(NF_REC_BEGIN_SRC, NULL);
	expect(NF_REC_EXPORTED);
	trace_send("sw0");
	everything_came();
	landings_were(0, 2);
}
END_TEST

void add_live_jump_cases(TCase *t)
{
	tcase_add_checked_fixture(t, make_link, NULL);
	tcase_add_loop_test(t, deferred_handler, 0, 2);
}

void add_jump_cases(TCase *t)
{
	tcase_add_loop_test(t, idle, 0, WAYS);
	tcase_add_loop_test(t, source, 0, WAYS);
	tcase_add_loop_test(t, clones, 0, WAYS);
	tcase_add_loop_test(t, held_and_forwarded, 0, WAYS);
}
