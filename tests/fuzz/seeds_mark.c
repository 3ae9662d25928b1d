/* SPDX-License-Identifier: BSD-2-Clause */
/* MARKs, whole and cut. */
#include <string.h>

#include "fuzz_mark.h"
#include "seeds.h"

size_t nf_fuzz_seed_mark(unsigned i, uint8_t *buf, size_t cap)
{
	static const size_t len[] = {FUZZ_MARK_LEN, 60, FUZZ_MARK_LEN - 1, 20};
	unsigned queue = i % (FUZZ_MARK_QUEUES + 1); /* the last one is not waited for */

	i /= FUZZ_MARK_QUEUES + 1;
	if (i >= COUNT(len) || cap < 64)
		return 0;
	memset(buf, 2, 64);
	fuzz_mark_make(buf, queue);
	return len[i];
}
