/* SPDX-License-Identifier: BSD-2-Clause */
/* Records that the shim wrote: checked, then data goes on to the peer and reports to the
 * controller. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl_link.h"
#include "event.h"
#include "inject.h"
#include "log.h"
#include "move.h"
#include "shim_link.h"
#include "xfer.h"

#define BIT(t) (1ull << ((t)-32))
#define SCOPES 3 /* per-flow, multi-flow, all-flows */

/* What each side may say in a move; all these types are 32 or above. */
static const uint64_t source_data = BIT(NF_REC_STATE) | BIT(NF_REC_CLONE) | BIT(NF_REC_BARRIER) |
				    BIT(NF_REC_FIN) | BIT(NF_REC_FINALL) | BIT(NF_REC_FWD);
static const uint64_t dest_data = BIT(NF_REC_DONE) | BIT(NF_REC_GOT) | BIT(NF_REC_RESEND);
static const uint64_t both_report =
	BIT(NF_REC_BEGUN) | BIT(NF_REC_UNFINISHED) | BIT(NF_REC_OVER) | BIT(NF_REC_FAILED);
static const uint64_t source_report =
	BIT(NF_REC_EXPORTED) | BIT(NF_REC_MARKED) | BIT(NF_REC_RELEASED);
static const uint64_t dest_report =
	BIT(NF_REC_PREPARED) | BIT(NF_REC_READY) | BIT(NF_REC_COMMITTED);

static bool one_of(uint64_t set, unsigned type)
{
	return type >= 32 && type < 96 && (set & BIT(type));
}

/* Form, so that the peer's decoder will not stumble over it. */
static bool well_formed(const struct nf_rec *r)
{
	return r->scope <= SCOPES && !(r->flags & ~NF_REC_STREAM_FLAGS) && r->nsec < 1000000000u &&
	       r->flow.kind <= NFSHIM_KIND_OTHER;
}

/* All threads say it, once each; others speak of what concerns one. */
static bool is_stage(const struct nf_rec *r)
{
	return one_of(both_report | source_report | dest_report, r->type) &&
	       r->type != NF_REC_UNFINISHED && r->type != NF_REC_FAILED;
}

/* A move that this helper does not know (any more): its reports may be what a controller that
 * came back asks for, its data has no one to go to. */
static void stray(struct nf_xfer *x, const struct nf_rec *r, const uint8_t *payload)
{
	unsigned threads = nf_shim_threads(x->shim);

	if (r->type == NF_REC_UNFINISHED)
		nf_event_unfinished(x, r);
	else if (is_stage(r) && !nf_parts_heard(&x->strays, threads, &r, &payload))
		return;
	else if (one_of(both_report | source_report | dest_report, r->type))
		nf_event_record(x, r, payload);
	else if (!x->move.stray++)
		nf_warn("the NF sends %s of move %llu, which has no other end here: dropped",
			nf_rec_name((enum nf_rec_type)r->type), (unsigned long long)r->move);
}

static void over(struct nf_xfer *x, const struct nf_rec *r, const uint8_t *payload)
{
	struct nf_xmove *mv = &x->move;

	if (mv->b.side == NF_SIDE_SRC && !mv->dropping && !nf_buffer_empty(&mv->buf)) {
		mv->over = true;
		nf_event_fill(r, payload, &mv->last);
		return;
	}
	nf_event_record(x, r, payload);
	nf_xmove_end(x);
}

static void report(struct nf_xfer *x, const struct nf_rec *r, const uint8_t *payload)
{
	struct nf_xmove *mv = &x->move;

	nf_xmove_pause((enum nf_rec_type)r->type);
	if (r->type == NF_REC_BEGUN)
		mv->begun |= 1u << r->thread;
	if (is_stage(r) && !nf_parts_heard(&mv->parts, nf_shim_threads(x->shim), &r, &payload))
		return;
	switch (r->type) {
	case NF_REC_UNFINISHED:
		nf_event_unfinished(x, r);
		return;
	case NF_REC_OVER:
		over(x, r, payload);
		return;
	case NF_REC_READY:
		/* The controller must not go on from here, least of all to an NF that died since.
		 */
		if (mv->aborting || !nf_shim_lives(x->shim))
			return;
		mv->no_return |= nf_ctrl_up(x->ctrl);
		break;
	case NF_REC_MARKED:
		mv->marked = true;
		break;
	case NF_REC_COMMITTED:
		mv->settled = true;
		mv->end |= !mv->peer.c;
		break;
	case NF_REC_RELEASED:
		mv->settled = true;
		break;
	}
	nf_event_record(x, r, payload);
	if (r->type == NF_REC_FAILED && !nf_ctrl_up(x->ctrl) && !mv->no_return)
		nf_xmove_abort(x, "the NF reported a failure");
}

int nf_xmove_record(struct nf_xfer *x, const struct nf_rec *r, const uint8_t *payload, char *why,
		    size_t n)
{
	struct nf_xmove *mv = &x->move;
	bool src = mv->b.side == NF_SIDE_SRC;

	if (r->type == NF_REC_LISTED || r->type == NF_REC_LIST_END) {
		if (r->type == NF_REC_LISTED ||
		    nf_parts_heard(&x->list, nf_shim_threads(x->shim), &r, &payload))
			nf_event_listed(x, r);
		return 0;
	}
	if (!well_formed(r) || *nf_rec_name((enum nf_rec_type)r->type) == '?') {
		snprintf(why, n, "type %u with fields out of range", r->type);
		return -EPROTO;
	}
	if (!mv->active || (r->move != mv->b.move && (!(mv->begun & 1u << r->thread) ||
						      !one_of(source_data | dest_data, r->type)))) {
		stray(x, r, payload);
		return 0;
	}
	if (r->move == mv->b.move &&
	    one_of(both_report | (src ? source_report : dest_report), r->type)) {
		report(x, r, payload);
		return 0;
	}
	if (r->move != mv->b.move || !one_of(src ? source_data : dest_data, r->type)) {
		snprintf(why, n, "%s of move %llu, while it is the %s of move %llu",
			 nf_rec_name((enum nf_rec_type)r->type), (unsigned long long)r->move,
			 src ? "source" : "destination", (unsigned long long)mv->b.move);
		return -EPROTO;
	}
	if (src)
		nf_source_record(x, r, payload);
	else if (r->type == NF_REC_DONE)
		nf_dest_done(x, r);
	else
		nf_inject_heard(x, r);
	return 0;
}
