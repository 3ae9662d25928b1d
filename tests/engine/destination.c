/* SPDX-License-Identifier: BSD-2-Clause */
#include "destination.h"

void begin_dst(unsigned hold_packets)
{
	struct nf_rec_begin o = stage_options();

	o.hold_packets = hold_packets;
	helper_up();
	send_begin(NF_REC_BEGIN_DST, &o);
	expect(NF_REC_BEGUN);
}

void make_ready(void)
{
	send_order(NF_REC_PREPARE);
	expect(NF_REC_PREPARED);
	send_order(NF_REC_BARRIER);
	expect(NF_REC_READY);
}

void everything_came(void)
{
	nf_ends();
	all_given(0, trace_len() - 1);
	output_is_whole();
}

void clones_come_to_a_wait(void)
{
	begin_dst(1000);
	send_clone(1, 1, 900, 1);
	nf_gets_clones(1);
	send_clone(2, 1, 901, 2);
	send_clone(1, 2, 902, 1);
	nf_gets_clones(3);
	send_order(NF_REC_ABORT);
	expect(NF_REC_OVER);
	trace_send("sw0");
	everything_came();
	for (int at = -1; (at = diary_find(PLAY_WAITED, 0, (unsigned)at + 1)) >= 0;)
		ck_assert_int_eq(play->diary[at].n, 1); /* the doorbell is not among them */
}

void held_packets_come_back(void)
{
	begin_dst(1000);
	send_state(1, 0, 7);
	make_ready();
	trace_send("sw0");
	nf_has_seen(6);
	ck_assert_uint_eq(diary_count(PLAY_PACKET), 0);
	send_flow(NF_REC_FIN, 1, 0);
	send_order(NF_REC_FINALL);
	everything_came();
}
