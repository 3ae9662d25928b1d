/* SPDX-License-Identifier: BSD-2-Clause */
/* Tags: no frame passes but one that the key's owner made; what is made passes, and is what it was.
 */
#include <string.h>

#include "fuzz.h"
#include "tag.h"

#define MOST 4096
#define MOVE 7

const enum nf_fuzz_kind nf_fuzz_kind = NF_FUZZ_FLOW;

static const uint8_t key[NF_TAG_KEY] = "a secret of ours";

static bool same(const struct nf_tag *a, const struct nf_tag *b)
{
	return a->move == b->move && a->seq == b->seq && a->sec == b->sec && a->nsec == b->nsec &&
	       a->wirelen == b->wirelen && a->capture == b->capture;
}

/* A frame made of the input, and the same with one bit wrong. */
static void made(const uint8_t *data, uint32_t size)
{
	static uint8_t frame[MOST + NF_TAG_LEN];
	struct nf_tag in = {.move = MOVE, .seq = size}, out;
	uint32_t n = size + NF_TAG_LEN;

	memcpy(frame, data, size);
	in.wirelen = frame[0];
	nf_tag_put(key, &in, frame, size);
	NF_FUZZ_PROMISE(!memcmp(frame, data, size));
	NF_FUZZ_PROMISE(nf_tag_check(key, MOVE, frame, n, n, &out) == (size >= 14));
	if (size < 14)
		return;
	NF_FUZZ_PROMISE(same(&in, &out));
	NF_FUZZ_PROMISE(nf_tag_like(frame, n, n));
	NF_FUZZ_PROMISE(!nf_tag_check(key, MOVE, frame, n - 1, n, &out));
	frame[data[size / 2] % n] ^= 1;
	NF_FUZZ_PROMISE(!nf_tag_check(key, MOVE, frame, n, n, &out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nf_tag t;

	if (size == 0 || size > MOST)
		return 0;
	NF_FUZZ_PROMISE(!nf_tag_check(key, MOVE, data, (uint32_t)size, (uint32_t)size, &t));
	for (uint32_t k = 0; k < size; k += 1 + (uint32_t)size / 8)
		NF_FUZZ_PROMISE(!nf_tag_check(key, MOVE, data, k, (uint32_t)size, &t));
	made(data, (uint32_t)size);
	return 0;
}
