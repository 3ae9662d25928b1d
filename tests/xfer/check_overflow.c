/* SPDX-License-Identifier: BSD-2-Clause */
/* A buffer that is too small: what is dropped, and that its state comes again. */
#include <check.h>
#include <string.h>

#include "cases.h"
#include "peers.h"

#define MOVE  13u
#define LARGE 1u
#define SMALL 2u

static uint32_t flow_of(const struct nf_rec *r)
{
	uint32_t flow;

	memcpy(&flow, r->flow.addr[1], sizeof(flow));
	return flow;
}

/* What came to the destination of @flow: the version that it has, every step of which was right. */
static uint64_t version_of(uint32_t flow)
{
	uint64_t v = 0;
	uint32_t epoch = 0;

	for (size_t i = 0; i < lab.d.ngot; i++) {
		const struct nf_rec *r = &lab.d.got[i];

		if (flow_of(r) != flow)
			continue;
		if (r->type == NF_REC_STATE) {
			ck_assert_uint_ge(r->epoch, epoch);
			epoch = r->epoch;
			v = r->version;
		} else if (r->type == NF_REC_CLONE) {
			ck_assert_uint_eq(r->epoch, epoch);
			ck_assert_uint_eq(r->version, v + 1);
			v = r->version;
		}
	}
	return v;
}

static void say_again(uint32_t flow, uint32_t epoch, uint64_t version, enum nf_rec_flag flags)
{
	lab.s.epoch = epoch;
	lab.s.flags = (uint8_t)flags;
	shim_say(&lab.s, NF_REC_STATE, MOVE, version, flow, 50);
	lab.s.flags = 0;
}

static void caps_held(const struct nf_msg_begin *b, const struct nf_msg_event *e)
{
	ck_assert_uint_gt(e->buffered, 1);
	ck_assert_uint_le(e->buffered, b->buffer_packets);
	if (b->buffer_bytes)
		ck_assert_uint_le(e->buffered_bytes, b->buffer_bytes);
	ck_assert_uint_gt(e->dropped, 10);
	ck_assert_uint_eq(e->reexports, 1);
}

/* The destination's NF takes nothing for a while. Of two flows the one with more clones loses them,
 * the other none. BARRIER comes when the state of the first is there again. */
static void overflow(struct nf_msg_begin b)
{
	const struct nf_rec *asked;
	uint64_t large = 0, small = 0;
	size_t at;

	lab_up();
	both_begun(MOVE, b);
	shim_say(&lab.s, NF_REC_STATE, MOVE, 0, LARGE, 50);
	shim_say(&lab.s, NF_REC_STATE, MOVE, 0, SMALL, 50);
	shim_wait(&lab.d, NF_REC_STATE, 1);
	lab.d.frozen = true;
	while (large < 1000) {
		shim_say(&lab.s, NF_REC_CLONE, MOVE, ++large, LARGE, 1000);
		if (large % 100 == 0)
			shim_say(&lab.s, NF_REC_CLONE, MOVE, ++small, SMALL, 1000);
	}
	run(200);
	ck_assert_uint_eq(shim_count(&lab.s, NF_REC_REEXP), 0); /* there is no room yet */
	lab.d.frozen = false;
	asked = &lab.s.got[shim_wait(&lab.s, NF_REC_REEXP, 0)];
	ck_assert_uint_eq(flow_of(asked), LARGE);
	ck_assert_uint_eq(asked->epoch, 0);
	ck_assert_uint_eq(asked->move, MOVE);
	/* What was on its way meanwhile is of no use. */
	for (int i = 0; i < 20; i++)
		shim_say(&lab.s, NF_REC_CLONE, MOVE, ++large, LARGE, 1000);
	order(&lab.hd, NF_REC_PREPARE, MOVE);
	shim_say(&lab.d, NF_REC_PREPARED, MOVE, 0, 0, 0);
	order(&lab.hs, NF_REC_PREPARE, MOVE);
	shim_wait(&lab.s, NF_REC_PREPARE, 0);
	shim_say(&lab.s, NF_REC_BARRIER, MOVE, 0, 0, 0);
	run(100);
	ck_assert_uint_eq(shim_count(&lab.d, NF_REC_BARRIER), 0);
	/* It came again by itself, for a gap: it is taken, and is not the answer. */
	say_again(LARGE, 1, large, 0);
	shim_say(&lab.s, NF_REC_CLONE, MOVE, ++large, LARGE, 1000);
	run(200);
	ck_assert_uint_eq(version_of(LARGE), large);
	ck_assert_uint_eq(shim_count(&lab.d, NF_REC_BARRIER), 0);
	say_again(LARGE, 2, large, NF_REC_ANSWER);
	for (int i = 0; i < 5; i++)
		shim_say(&lab.s, NF_REC_CLONE, MOVE, ++large, LARGE, 1000);
	lab.s.epoch = 0;
	shim_say(&lab.s, NF_REC_CLONE, MOVE, ++small, SMALL, 1000);
	at = shim_wait(&lab.d, NF_REC_BARRIER, 0);
	for (size_t i = at; i < lab.d.ngot; i++)
		ck_assert_uint_ne(lab.d.got[i].type, NF_REC_STATE);
	ck_assert_uint_eq(shim_count(&lab.d, NF_REC_STATE), 4);
	dest_ready(MOVE);
	commit(MOVE, 2);
	part(MOVE);
	caps_held(&b, wait_event(&lab.hd, NF_EVENT_REC, NF_REC_OVER));
	ck_assert_uint_eq(version_of(LARGE), large);
	ck_assert_uint_eq(version_of(SMALL), small);
	ck_assert(!has_event(&lab.hd, NF_EVENT_REC, NF_REC_FAILED));
	ck_assert(!has_event(&lab.hs, NF_EVENT_REC, NF_REC_FAILED));
	lab_down();
}

START_TEST(packets)
{
	overflow((struct nf_msg_begin){.buffer_packets = 123, .wait_ms = 20000});
}
END_TEST

START_TEST(bytes)
{
	overflow((struct nf_msg_begin){
		.buffer_packets = 100000, .buffer_bytes = 154321, .wait_ms = 20000});
}
END_TEST

/* State of a new epoch that nobody asked for (a gap, or its flow is of a group that was asked for):
 * the older clones that still wait come before it, all of them. */
START_TEST(state_waits_its_turn)
{
	uint64_t v = 0;

	lab_up();
	both_begun(MOVE, (struct nf_msg_begin){.buffer_packets = 100000, .wait_ms = 20000});
	shim_say(&lab.s, NF_REC_STATE, MOVE, 0, LARGE, 50);
	shim_wait(&lab.d, NF_REC_STATE, 0);
	lab.d.frozen = true;
	for (int i = 0; i < 2000; i++)
		shim_say(&lab.s, NF_REC_CLONE, MOVE, ++v, LARGE, 1000);
	say_again(LARGE, 1, v, 0);
	shim_say(&lab.s, NF_REC_CLONE, MOVE, ++v, LARGE, 1000);
	run(200);
	lab.d.frozen = false;
	both_prepared(MOVE);
	dest_ready(MOVE);
	clones_in_order(v);
	ck_assert_uint_eq(version_of(LARGE), v);
	lab_down();
}
END_TEST

/* What is no flow cannot be stale: nobody would answer. */
START_TEST(clone_of_a_host)
{
	struct nf_msg_event *e;

	lab_up();
	both_begun(MOVE, (struct nf_msg_begin){.wait_ms = 20000});
	lab.s.kind = NFSHIM_KIND_HOST;
	shim_say(&lab.s, NF_REC_CLONE, MOVE, 1, LARGE, 100);
	lab.s.kind = NFSHIM_KIND_FLOW;
	e = wait_event(&lab.hd, NF_EVENT_REC, NF_REC_FAILED);
	ck_assert_ptr_nonnull(strstr(e->text, "no flow"));
	ck_assert_uint_eq(shim_count(&lab.d, NF_REC_CLONE), 0);
	lab_down();
}
END_TEST

TCase *overflow_cases(void)
{
	TCase *t = tcase_create("overflow");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, packets);
	tcase_add_test(t, bytes);
	tcase_add_test(t, state_waits_its_turn);
	tcase_add_test(t, clone_of_a_host);
	return t;
}
