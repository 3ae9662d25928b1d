/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a clone costs the NF's thread: reserve, copy and commit in the ring, against a memcpy of the
 * same packet, interleaved. Prints the ratio's min, median and max over the rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ring.h"

#define ROUNDS	201
#define PACKETS 4096
#define PACKET	423 /* average of campus800, bytes */

static uint8_t src[PACKETS][512], dst[PACKETS][512];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double copies(void)
{
	double t0 = now();

	for (int i = 0; i < PACKETS; i++) {
		memcpy(dst[i], src[i], PACKET);
		__asm__ volatile("" ::: "memory");
	}
	return (now() - t0) / PACKETS;
}

static double clones(struct nf_ring *r)
{
	double t0 = now(), t;
	const uint8_t *payload;
	struct nf_rec hdr;
	int err;

	for (int i = 0; i < PACKETS; i++) {
		struct nf_rec *rec = nf_ring_reserve(r, sizeof(*rec) + PACKET);

		if (!rec)
			abort();
		memset(rec, 0, sizeof(*rec));
		rec->len = sizeof(*rec) + PACKET;
		rec->type = NF_REC_CLONE;
		memcpy(rec + 1, src[i], PACKET);
		nf_ring_commit(r, rec);
	}
	t = (now() - t0) / PACKETS;
	while (nf_ring_peek(r, &hdr, &payload, &err))
		nf_ring_next(r);
	return t;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(void)
{
	static double ratio[ROUNDS];
	struct nf_ring *r;
	double c = 0, m = 0;
	int fd;

	if (nf_ring_create(NF_RING_BYTES, "bench", &r, &fd))
		return 1;
	memset(src, 7, sizeof(src));
	copies();
	clones(r);
	for (int i = 0; i < ROUNDS; i++) {
		double a = copies(), b = clones(r);

		ratio[i] = b / a;
		m += a / ROUNDS;
		c += b / ROUNDS;
	}
	qsort(ratio, ROUNDS, sizeof(ratio[0]), by_value);
	printf("clone of %d bytes %.0f ns, memcpy %.0f ns, ratio min/median/max %.2f/%.2f/%.2f\n",
	       PACKET, c, m, ratio[0], ratio[ROUNDS / 2], ratio[ROUNDS - 1]);
	nf_ring_free(r);
	close(fd);
	return 0;
}
