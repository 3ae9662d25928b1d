/* SPDX-License-Identifier: BSD-2-Clause */
/* Records from the shim. */
#include "stage_in.h"

#include <stdlib.h>
#include <string.h>

static const struct stage_rec *take(void)
{
	struct stage_rec *g = &stage_got[stage_ngot];
	const uint8_t *payload;
	struct nf_rec hdr;
	int err;

	if (!nf_ring_peek(helper.out, &hdr, &payload, &err)) {
		ck_assert_int_eq(err, 0);
		return NULL;
	}
	ck_assert_uint_lt(stage_ngot, GOT_MAX);
	g->rec = hdr;
	g->rec.thread = helper_speaks_to_now();
	g->payload = calloc(1, nf_rec_payload(&hdr) + 1);
	ck_assert_ptr_nonnull(g->payload);
	memcpy(g->payload, payload, nf_rec_payload(&hdr));
	nf_ring_next(helper.out);
	stage_ngot++;
	return g;
}

const struct stage_rec *expect(enum nf_rec_type t)
{
	long end = now_ms() + PATIENCE_MS;
	const struct stage_rec *g;

	for (;;) {
		g = take();
		if (g && g->rec.type == t)
			return g;
		if (g && g->rec.type == NF_REC_FAILED)
			ck_abort_msg("waiting for %s: %s", nf_rec_name(t), (char *)g->payload);
		if (!g)
			nf_step(end, nf_rec_name(t), STAGE_MOVE);
	}
}

unsigned got_so_far(enum nf_rec_type t)
{
	unsigned n = 0;

	while (take())
		;
	for (unsigned i = 0; i < stage_ngot; i++)
		n += stage_got[i].rec.type == t;
	return n;
}

void expect_failed(const char *words)
{
	const struct stage_rec *g = expect(NF_REC_FAILED);

	if (!strstr((char *)g->payload, words))
		ck_abort_msg("the reason does not say '%s': %s", words, (char *)g->payload);
}

struct nf_rec_stats expect_stats(enum nf_rec_type t)
{
	const struct stage_rec *g = expect(t);
	struct nf_rec_stats s;

	ck_assert_uint_eq(nf_rec_payload(&g->rec), sizeof(s));
	memcpy(&s, g->payload, sizeof(s));
	return s;
}
