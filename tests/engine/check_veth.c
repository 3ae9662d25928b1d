/* SPDX-License-Identifier: BSD-2-Clause */
/* Clones that come as tagged frames through the NF's captures, however it reads them. */
#include <stdlib.h>

#include "cases.h"
#include "tag.h"
#include "veth.h"

#define LONGER 500 /* than the NF's snaplen */

static const uint8_t key[NF_TAG_KEY] = "sixteen of ours";
static const char *const readers[] = {"loop", "next",	"next_ex",
				      "poll", "select", "epoll"}; /* the last three wait */
#define READERS 6
#define WAITERS 3
#define HOLE	8

void veth_begin(const char *reader, const char *where)
{
	struct nf_rec_begin o = stage_options();

	o.inject = NF_INJECT_VETH;
	memcpy(o.tag, key, sizeof(key));
	setenv("NFSHIM_VETH", "1", 1);
	nf_start(reader, reader == readers[0] ? -1 : 0, "", where);
	unsetenv("NFSHIM_VETH");
	helper_up();
	send_begin(NF_REC_BEGIN_DST, &o);
	expect(NF_REC_BEGUN);
}

uint32_t veth_mark(uint8_t *frame, uint32_t len, unsigned capture, uint64_t seq)
{
	const struct nf_tag tag = {.move = STAGE_MOVE,
				   .seq = seq,
				   .sec = 5,
				   .wirelen = len,
				   .capture = (uint8_t)capture};

	nf_tag_put(key, &tag, frame, len);
	return len + NF_TAG_LEN;
}

static void send_tagged(unsigned capture, unsigned flow, uint32_t number, uint64_t seq)
{
	uint8_t frame[PLAY_FRAME + NF_TAG_LEN];

	play_frame(frame, flow, number, PLAY_COUNT);
	frame_send("sw0", frame, veth_mark(frame, PLAY_FRAME, capture, seq));
}

struct nf_rec_stats veth_abort(void)
{
	send_order(NF_REC_ABORT);
	return expect_stats(NF_REC_OVER);
}

/* Own packets, longer than it asked for, end the NF. */
static void everything_came(void)
{
	trace_send_longer("sw0", LONGER);
	nf_ends();
	all_given(0, trace_len() - 1);
	output_is_whole();
}

/* The frame behind its place, before it, and out of order. */
START_TEST(frames_are_clones)
{
	struct nf_rec_stats st;

	trace("0 1 0q");
	veth_begin(readers[_i % READERS], "live:nf0");
	send_place(0, 1, 1, 0);
	send_tagged(0, 1, 900, 0);
	nf_gets_clones(1);
	send_tagged(0, 2, 902, 2);
	send_tagged(0, 2, 901, 1);
	nf_has_seen(3);
	send_place(0, 2, 1, 1);
	send_place(0, 2, 2, 2);
	nf_gets_clones(3);
	st = veth_abort();
	ck_assert_uint_eq(st.clones, 3);
	ck_assert_uint_eq(st.forged, 0);
	everything_came();
	ck_assert_uint_eq(diary_count(PLAY_CLONE), 3);
}
END_TEST

START_TEST(lost_frames_are_asked_for)
{
	struct nf_rec_stats st;

	trace("0 1 0q");
	veth_begin(readers[_i % READERS], "live:nf0");
	send_place(0, 1, 1, 0);
	ck_assert_uint_eq(expect(NF_REC_RESEND)->rec.version, 0);
	send_tagged(0, 1, 900, 0);
	nf_gets_clones(1);
	send_place(0, 1, 2, 1);
	send_place(0, 1, 3, 2);
	send_tagged(0, 1, 902, 2);
	ck_assert_uint_eq(expect(NF_REC_RESEND)->rec.version, 1);
	send_tagged(0, 1, 901, 1);
	nf_gets_clones(3);
	st = veth_abort();
	ck_assert_uint_ge(st.resent, 2);
	everything_came();
}
END_TEST

/* A hole is asked for at once, not frame by frame. */
START_TEST(a_hole_is_asked_for)
{
	struct nf_rec_stats st;

	trace("0q");
	veth_begin("loop", "live:nf0");
	for (unsigned i = 0; i <= HOLE; i++)
		send_place(0, 1, i + 1, i);
	send_tagged(0, 1, 900 + HOLE, HOLE);
	for (unsigned i = 0; i < HOLE; i++)
		ck_assert_uint_eq(expect(NF_REC_RESEND)->rec.version, i);
	for (unsigned i = 0; i < HOLE; i++)
		send_tagged(0, 1, 900 + i, i);
	nf_gets_clones(HOLE + 1);
	st = veth_abort();
	ck_assert_uint_eq(st.forged, 0);
	everything_came();
}
END_TEST

/* Both captures of the device see each frame; it is a clone on the one that it names, and nothing
 * on the other, before and behind it in time. */
START_TEST(two_captures)
{
	struct nf_rec_stats st;
	int from = -1;

	trace("0q");
	veth_begin(readers[READERS - WAITERS + _i], "live:nf0,nf0");
	for (unsigned i = 0; i < 6; i++) {
		send_place(i % 2, 1, i + 1, i);
		send_tagged(i % 2, 1, 900 + i, i);
		nf_has_seen(2 * (i + 1));
		nf_gets_clones(i + 1);
	}
	send_place(2, 1, 7, 6);
	expect_failed("no such capture");
	st = veth_abort();
	ck_assert_uint_eq(st.forged, 0);
	trace_send("sw0");
	nf_ends();
	output_is_whole();
	for (unsigned i = 0, clones = 0; i < atomic_load(&play->used); i++) {
		const struct play_entry *e = &play->diary[i];

		if (e->event == PLAY_READS)
			from = (int)e->n;
		else if (e->event == PLAY_CLONE)
			ck_assert_int_eq(from, clones++ % 2);
	}
	ck_assert_uint_eq(diary_count(PLAY_CLONE), 6);
}
END_TEST

/* Past the engine the NF too is given no frame, and no more bytes than it asked for. */
START_TEST(an_inert_shim)
{
	trace("0 1 0q");
	veth_begin(readers[_i % READERS], "live:nf0");
	send_place(0, 1, 1, 0);
	send_tagged(0, 1, 900, 0);
	nf_gets_clones(1);
	send_malformed();
	expect_failed("malformed");
	helper_gone();
	send_tagged(0, 1, 901, 1);
	everything_came();
}
END_TEST

START_TEST(another_thread)
{
	int i;

	trace("0o 0q");
	veth_begin("loop", "live:nf0,nf0");
	send_place(0, 1, 1, 0);
	send_tagged(0, 1, 900, 0); /* for capture 0, but 1 has it too */
	nf_gets_clones(1);
	veth_abort();
	everything_came();
	i = diary_find(PLAY_ELSEWHERE, 0, 0);
	ck_assert_int_ge(i, 0);
	ck_assert_int_eq(play->diary[i].n, 0);
}
END_TEST

void add_veth_cases(TCase *t)
{
	tcase_add_checked_fixture(t, make_link, NULL);
	add_some(t, frames_are_clones, 3, READERS);
	add_some(t, lost_frames_are_asked_for, 3, READERS);
	tcase_add_test(t, a_hole_is_asked_for);
	tcase_add_loop_test(t, two_captures, 0, WAITERS);
	add_some(t, an_inert_shim, 3, READERS);
	tcase_add_test(t, another_thread);
}
