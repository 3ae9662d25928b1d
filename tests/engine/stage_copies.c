/* SPDX-License-Identifier: BSD-2-Clause */
/* What a destination would have made of the records. */
#include "stage_in.h"

#include <string.h>

/* What a destination makes of STATE, CLONE and FIN. */
struct copy {
	bool exported, fin;
	uint32_t epoch;
	uint64_t version;
	struct play_state state;
};

static void apply_clone(struct copy *c, const struct stage_rec *g)
{
	enum play_what what;
	uint32_t number;
	unsigned flow;

	ck_assert(!c->fin);
	ck_assert_uint_eq(g->rec.epoch, c->epoch);
	ck_assert_uint_eq(g->rec.version, c->version + 1);
	ck_assert(play_read(g->payload, nf_rec_payload(&g->rec), &flow, &number, &what));
	play_apply(&c->state, number, what);
	c->version++;
}

static void apply_state(struct copy *c, const struct stage_rec *g)
{
	if (g->rec.epoch)
		ck_assert_uint_eq(g->rec.epoch, c->epoch + 1);
	else
		ck_assert(!c->exported && c->version == 0);
	c->exported = true;
	c->epoch = g->rec.epoch;
	c->version = g->rec.version;
	memset(&c->state, 0, sizeof(c->state));
	ck_assert_int_eq(!(g->rec.flags & NF_REC_GONE),
			 nf_rec_payload(&g->rec) == sizeof(c->state));
	memcpy(&c->state, g->payload, nf_rec_payload(&g->rec));
}

static void apply(struct copy *copies, const struct stage_rec *g)
{
	int flow = play_flow(&g->rec.flow);
	struct copy *c = &copies[flow < 0 ? 0 : flow];

	switch (g->rec.type) {
	case NF_REC_STATE:
		apply_state(c, g);
		break;
	case NF_REC_CLONE:
		apply_clone(c, g);
		break;
	case NF_REC_FIN:
		ck_assert(!c->fin);
		ck_assert_uint_eq(g->rec.epoch, c->epoch);
		c->fin = true;
		if (g->rec.version != c->version)
			ck_abort_msg("flow %d: FIN of version %d, but the last update was %d", flow,
				     (int)g->rec.version, (int)c->version);
		break;
	}
}

void copies_are_exact(unsigned flows)
{
	struct copy copies[PLAY_FLOWS] = {0};

	for (unsigned i = 0; i < stage_ngot; i++)
		apply(copies, &stage_got[i]);
	for (unsigned i = 0; i < flows; i++) {
		int at = diary_find(PLAY_DEL, i, 0);

		ck_assert_msg(copies[i].fin, "no FIN for flow %u", i);
		ck_assert_msg((at >= 0) == (copies[i].state.count != 0),
			      "flow %u: state on one side only", i);
		if (at >= 0)
			ck_assert_uint_eq((uint64_t)play->diary[at].n, copies[i].state.hash);
	}
}
