/* SPDX-License-Identifier: BSD-2-Clause */
/* What packet threads say together. */
#include <check.h>
#include <stdlib.h>

#include "parts.h"

static struct nf_parts parts;
static struct nf_rec_stats sum;
static uint64_t version;

/* Thread @thread of @n reports @t of @move. True: then all have, and said @version and @sum. */
static bool say(unsigned n, unsigned thread, enum nf_rec_type t, uint64_t move)
{
	struct nf_rec_stats s = {.flows = 10 + thread, .held = 1, .held_max = 5 - thread};
	struct nf_rec rec = {.len = (uint32_t)(sizeof(rec) + sizeof(s)),
			     .type = (uint8_t)t,
			     .move = move,
			     .version = 3,
			     .thread = thread};
	const uint8_t *payload = (const uint8_t *)&s;
	const struct nf_rec *r = &rec;

	if (!nf_parts_heard(&parts, n, &r, &payload))
		return false;
	ck_assert_uint_eq(r->type, t);
	ck_assert_uint_eq(r->move, move);
	ck_assert_uint_eq(nf_rec_payload(r), sizeof(sum));
	sum = *(const struct nf_rec_stats *)payload;
	version = r->version;
	return true;
}

START_TEST(one_speaks_for_itself)
{
	ck_assert(say(1, 0, NF_REC_EXPORTED, 7));
	ck_assert_uint_eq(sum.flows, 10);
	ck_assert(say(1, 0, NF_REC_EXPORTED, 7));
}
END_TEST

START_TEST(the_last_one_counts)
{
	ck_assert(!say(3, 2, NF_REC_COMMITTED, 7));
	ck_assert(!say(3, 0, NF_REC_COMMITTED, 7));
	ck_assert(!say(3, 0, NF_REC_COMMITTED, 7)); /* once more */
	ck_assert(!say(3, 1, NF_REC_READY, 7));	    /* of another stage */
	ck_assert(say(3, 1, NF_REC_COMMITTED, 7));
	ck_assert_uint_eq(sum.flows, 10 + 11 + 12);
	ck_assert_uint_eq(sum.held, 3);
	ck_assert_uint_eq(sum.held_max, 5);
	ck_assert_uint_eq(version, 9);
	ck_assert(!say(3, 1, NF_REC_COMMITTED, 7)); /* all begins anew */
}
END_TEST

START_TEST(another_move_begins_anew)
{
	const struct nf_rec over = {.type = NF_REC_OVER, .move = 7, .thread = 1};

	ck_assert(!say(2, 1, NF_REC_OVER, 7));
	ck_assert(nf_parts_have(&parts, &over));
	ck_assert(!say(2, 0, NF_REC_OVER, 8));
	ck_assert(!nf_parts_have(&parts, &over));
	ck_assert(say(2, 1, NF_REC_OVER, 8));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("parts");
	TCase *t = tcase_create("parts");
	SRunner *r;
	int failed;

	tcase_add_test(t, one_speaks_for_itself);
	tcase_add_test(t, the_last_one_counts);
	tcase_add_test(t, another_move_begins_anew);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
