/* SPDX-License-Identifier: BSD-2-Clause */
#include "source.h"

#include "destination.h"

void source_goes_to_mark(unsigned mark)
{
	send_order(NF_REC_PREPARE);
	nf_reaches(mark);
	expect(NF_REC_BARRIER);
	nf_goes_on(mark);
	expect(NF_REC_FINALL);
}

void source_is_done(unsigned mark)
{
	for (unsigned i = 0; i < 3; i++)
		send_flow(NF_REC_DONE, i, 0);
	expect(NF_REC_RELEASED);
	expect(NF_REC_OVER);
	copies_are_exact(3);
	nf_goes_on(mark + 1);
	everything_came();
}
