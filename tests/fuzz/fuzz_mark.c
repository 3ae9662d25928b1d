/* SPDX-License-Identifier: BSD-2-Clause */
/* MARK: a frame counts if and only if it is one that the switch was told to send for this move. */
#include <string.h>

#include "fuzz.h"
#include "fuzz_mark.h"
#include "move.h"

const enum nf_fuzz_kind nf_fuzz_kind = NF_FUZZ_MARK;

__thread struct nf_move nf_move;

static void expect_marks(void)
{
	memset(&nf_move, 0, sizeof(nf_move));
	nf_move.id = FUZZ_MARK_MOVE;
	nf_move.opt.marks = FUZZ_MARK_QUEUES;
	for (unsigned q = 0; q < FUZZ_MARK_QUEUES; q++)
		for (unsigned i = 0; i < NF_MARK_SECRET; i++)
			nf_move.opt.mark[q][i] = fuzz_mark_secret(q, i);
}

/* The queue of the MARK that @data is byte by byte, but for its addresses and two unused bytes. */
static int made_for(const uint8_t *data, size_t size)
{
	uint8_t frame[FUZZ_MARK_LEN];

	for (unsigned q = 0; q < FUZZ_MARK_QUEUES && size >= sizeof(frame); q++) {
		fuzz_mark_make(frame, q);
		if (!memcmp(frame + 12, data + 12, 8) &&
		    !memcmp(frame + 22, data + 22, sizeof(frame) - 22))
			return (int)q;
	}
	return -1;
}

static void look_at(const uint8_t *data, size_t size)
{
	int queue = made_for(data, size);

	expect_marks();
	NF_FUZZ_PROMISE((nf_mark_is(data, (uint32_t)size) &&
			 nf_mark_accept(data, (uint32_t)size)) == (queue >= 0));
	NF_FUZZ_PROMISE(nf_move.marks_seen == (queue < 0 ? 0 : 1u << queue));
	nf_mark_keep();
	NF_FUZZ_PROMISE(nf_mark_late(data, (uint32_t)size) == (queue >= 0));
}

/* One bit of a good MARK is wrong. */
static void flipped(uint8_t at, uint8_t queue)
{
	uint8_t frame[FUZZ_MARK_LEN] = {2};

	fuzz_mark_make(frame, queue % FUZZ_MARK_QUEUES);
	frame[at % sizeof(frame)] ^= (uint8_t)(1u << (at & 7));
	look_at(frame, sizeof(frame));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	look_at(data, size);
	if (size > 1)
		flipped(data[0], data[1]);
	return 0;
}
