/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring against a hostile other side. Input: head, tail, then the bytes that
 * stand from the tail on. The consumer must stay inside the data, and so must
 * the producer whatever the tail says.
 */
#include <string.h>

#include "fuzz.h"

#include "ring.c"

const enum nf_fuzz_kind nf_fuzz_kind = NF_FUZZ_RING;

#define BYTES (64u << 10)

static struct nf_ring *maker;
static int memfd;

static void consume(struct nf_ring *r)
{
	struct nf_rec hdr;
	const uint8_t *payload;
	unsigned sum = 0, n = 0;
	int err;

	while (nf_ring_peek(r, &hdr, &payload, &err)) {
		NF_FUZZ_PROMISE(hdr.len >= sizeof(hdr) && hdr.len <= NF_REC_MAX);
		NF_FUZZ_PROMISE(payload >= r->data);
		NF_FUZZ_PROMISE(payload + nf_rec_payload(&hdr) <= r->data + r->size);
		for (uint32_t i = 0; i < nf_rec_payload(&hdr); i++)
			sum += payload[i];
		__asm__ volatile("" : : "r"(sum));
		nf_ring_next(r);
		NF_FUZZ_PROMISE(++n <= BYTES / sizeof(hdr)); /* it always comes to an end */
	}
}

/* Started at a good position; then the consumer's tail jumps. */
static void produce(struct nf_ring *r, uint64_t tail, const uint8_t *data, size_t size)
{
	atomic_store(&maker->sh->tail, tail);
	for (size_t i = 0; i < size && i < 64; i++) {
		uint32_t len = (uint32_t)sizeof(struct nf_rec) + data[i] * 61u;
		struct nf_rec *rec = nf_ring_reserve(r, len);

		if (!rec)
			continue;
		NF_FUZZ_PROMISE((uint8_t *)rec >= r->data);
		NF_FUZZ_PROMISE((uint8_t *)rec + len <= r->data + r->size);
		memset(rec, data[i], len);
		nf_ring_commit(r, rec);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nf_ring *r, *w;
	uint64_t pos[2];

	if (!maker)
		NF_FUZZ_PROMISE(nf_ring_create(BYTES, "fuzz", &maker, &memfd) == 0);
	if (size < sizeof(pos))
		return 0;
	memcpy(pos, data, sizeof(pos));
	data += sizeof(pos);
	size -= sizeof(pos);
	for (size_t i = 0; i < size && i < BYTES; i++)
		maker->data[(pos[1] + i) & (BYTES - 1)] = data[i];
	/* Attach as it was at some time, then let head and tail jump. */
	atomic_store(&maker->sh->head, pos[1]);
	atomic_store(&maker->sh->tail, pos[1]);
	if (nf_ring_attach(memfd, &r)) {
		NF_FUZZ_PROMISE(pos[1] & 7);
		return 0;
	}
	NF_FUZZ_PROMISE(nf_ring_attach(memfd, &w) == 0);
	atomic_store(&maker->sh->head, pos[0]);
	consume(r);
	produce(w, pos[0], data, size);
	nf_ring_free(r);
	nf_ring_free(w);
	return 0;
}
