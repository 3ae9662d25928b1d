/* SPDX-License-Identifier: BSD-2-Clause */
/* A scope, a key, and a blob as seqhash writes it. */
#include <string.h>

#include "nfshim_flow.h"
#include "seeds.h"

size_t nf_fuzz_seed_seqhash(unsigned i, uint8_t *buf, size_t cap)
{
	static const uint8_t scope[] = {1, 2, 2 | 4};
	struct nfshim_flow key = {.addr = {{10}, {11}}, .port = {1, 2}, .ethertype = 0x0800};
	const uint64_t blob[] = {7, 0x9e3779b97f4a7c15ull, 1000000};

	if (i >= COUNT(scope) || cap < 1 + sizeof(key) + sizeof(blob))
		return 0;
	buf[0] = scope[i];
	memcpy(buf + 1, &key, sizeof(key));
	memcpy(buf + 1 + sizeof(key), blob, sizeof(blob));
	return 1 + sizeof(key) + sizeof(blob);
}
