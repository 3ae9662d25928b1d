/* SPDX-License-Identifier: BSD-2-Clause */
/* Records to the shim. */
#include "stage_in.h"

#include <string.h>
#include <unistd.h>

struct nf_rec_begin stage_options(void)
{
	struct nf_rec_begin o = {
		.slice_us = 1000000, .hold_packets = 1000, .hold_bytes = 1u << 30, .marks = 1};

	memcpy(o.mark[0], stage_secret, sizeof(stage_secret));
	return o;
}

void send_begin(enum nf_rec_type t, const struct nf_rec_begin *opt)
{
	struct nf_rec_begin usual = stage_options();

	ck_assert_int_eq(client_begin(&helper, t, STAGE_MOVE, "all", opt ? opt : &usual), 0);
}

void send_order(enum nf_rec_type t)
{
	ck_assert_int_eq(client_order(&helper, t, STAGE_MOVE), 0);
}

static uint32_t of_epoch;  /* what send_reexp says */
static uint8_t of_capture; /* that the next records name */

static void send_rec(enum nf_rec_type t, unsigned flow, uint64_t version, const void *payload,
		     size_t n)
{
	struct nf_rec r = {.len = (uint32_t)(sizeof(r) + n),
			   .type = (uint8_t)t,
			   .scope = t == NF_REC_STATE ? 1 : 0,
			   .capture = of_capture,
			   .move = STAGE_MOVE,
			   .version = version,
			   .epoch = of_epoch,
			   .wirelen = (uint32_t)n,
			   .sec = 5,
			   .flow = play_key(flow)};

	ck_assert_int_eq(client_push(&helper, &r, payload), 0);
}

void send_flow(enum nf_rec_type t, unsigned flow, uint64_t version)
{
	send_rec(t, flow, version, NULL, 0);
}

void send_of_epoch(enum nf_rec_type t, unsigned flow, uint32_t epoch)
{
	of_epoch = epoch;
	send_rec(t, flow, 0, NULL, 0);
	of_epoch = 0;
}

void send_state(unsigned flow, uint64_t version, uint64_t count)
{
	struct play_state st = {.count = count, .hash = 1000 + flow};

	send_rec(NF_REC_STATE, flow, version, &st, sizeof(st));
}

void send_clone(unsigned flow, uint64_t version, uint32_t number, unsigned named)
{
	uint8_t frame[PLAY_FRAME];

	play_frame(frame, flow, number, PLAY_COUNT);
	send_rec(NF_REC_CLONE, named, version, frame, sizeof(frame));
}

void send_what(enum play_what what, unsigned flow, uint64_t version, uint32_t number)
{
	uint8_t frame[PLAY_FRAME];

	play_frame(frame, flow, number, what);
	send_rec(NF_REC_CLONE, flow, version, frame, sizeof(frame));
}

void send_clone_of(unsigned capture, unsigned flow, uint64_t version, uint32_t number)
{
	of_capture = (uint8_t)capture;
	send_clone(flow, version, number, flow);
	of_capture = 0;
}

void send_place(unsigned capture, unsigned flow, uint64_t version, uint64_t seq)
{
	struct nf_rec r = {.len = (uint32_t)(sizeof(r) + sizeof(seq)),
			   .type = NF_REC_CLONE,
			   .flags = NF_REC_WIRE,
			   .capture = (uint8_t)capture,
			   .move = STAGE_MOVE,
			   .version = version,
			   .flow = play_key(flow)};

	ck_assert_int_eq(client_push(&helper, &r, &seq), 0);
}

void send_malformed(void)
{
	struct nf_rec *r = nf_ring_reserve(helper.in, sizeof(*r));
	uint64_t one = 1;

	ck_assert_ptr_nonnull(r);
	memset(r, 0, sizeof(*r));
	r->type = NF_REC_LIST;
	r->len = 5; /* shorter than its header */
	nf_ring_commit(helper.in, r);
	ck_assert_int_eq(write(helper.doorbell, &one, sizeof(one)), sizeof(one));
}
