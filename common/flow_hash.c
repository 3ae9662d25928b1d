/* SPDX-License-Identifier: BSD-2-Clause */
#include "flow_hash.h"

#include <stdlib.h>
#include <sys/random.h>

#include "siphash.h"

uint32_t nf_keyed_hash(const void *key, unsigned len)
{
	static uint8_t secret[NF_SIPHASH_KEY];
	static int drawn;

	if (!drawn) {
		if (getrandom(secret, sizeof(secret), 0) != sizeof(secret))
			abort();
		drawn = 1;
	}
	return (uint32_t)nf_siphash(secret, key, len);
}
