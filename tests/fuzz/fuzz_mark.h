/* SPDX-License-Identifier: BSD-2-Clause */
/* The move whose MARKs are looked for. */
#ifndef NF_FUZZ_MARK_H
#define NF_FUZZ_MARK_H

#include "rec.h"

#define FUZZ_MARK_MOVE	 0x0102030405060708ull
#define FUZZ_MARK_QUEUES 3
#define FUZZ_MARK_LEN	 (30 + NF_MARK_SECRET)

/* Secret of a queue. */
static inline uint8_t fuzz_mark_secret(unsigned queue, unsigned i)
{
	return (uint8_t)(0xa5 ^ (queue * 17 + i * 29));
}

/* From the Ethernet type on; the addresses are not looked at. */
static inline void fuzz_mark_make(uint8_t *frame, unsigned queue)
{
	const uint8_t head[] = {0x88, 0xb5, 'N', 'F', 'M', 'K', 1, (uint8_t)queue, 0, 0};

	for (unsigned i = 0; i < sizeof(head); i++)
		frame[12 + i] = head[i];
	for (unsigned i = 0; i < 8; i++)
		frame[22 + i] = (uint8_t)(FUZZ_MARK_MOVE >> (56 - 8 * i));
	for (unsigned i = 0; i < NF_MARK_SECRET; i++)
		frame[30 + i] = fuzz_mark_secret(queue, i);
}

#endif
