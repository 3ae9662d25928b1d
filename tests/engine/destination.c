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
