/* SPDX-License-Identifier: BSD-2-Clause */
/* NFs with two packet threads, which correspond by their captures. */
#include <check.h>
#include <string.h>

#include "cases.h"
#include "peers.h"

#define MOVE 7u

/* The second to begin: at the destination it reads the first capture. So lab.s corresponds to d2,
 * and s2 to lab.d. */
static struct shim s2, d2;

static void threads_up(void)
{
	lab_up();
	shim_thread_begins(&lab.s, &s2, 1);
	shim_thread_begins(&lab.d, &d2, 0);
	run(20);
}

static void threads_down(void)
{
	lab_down();
	shim_close(&s2);
	shim_close(&d2);
}

/* The second to say it is the one that the controller hears. */
static struct nf_msg_event *both_say(struct helper *h, struct shim *one, struct shim *two,
				     enum nf_rec_type t, uint64_t version)
{
	shim_say(one, t, MOVE, version, 0, 0);
	run(30);
	ck_assert_msg(!has_event(h, NF_EVENT_REC, t), "%s of one thread", nf_rec_name(t));
	shim_say(two, t, MOVE, version, 0, 0);
	return wait_event(h, NF_EVENT_REC, t);
}

static void both_sides_begin(void)
{
	struct nf_msg_begin b = {0};

	begin(&lab.hd, NF_SIDE_DST, MOVE, b);
	shim_wait(&lab.d, NF_REC_BEGIN_DST, 0);
	shim_wait(&d2, NF_REC_BEGIN_DST, 0);
	ck_assert_uint_eq(both_say(&lab.hd, &lab.d, &d2, NF_REC_BEGUN, 3)->version, 6);
	begin(&lab.hs, NF_SIDE_SRC, MOVE, b);
	shim_wait(&lab.s, NF_REC_BEGIN_SRC, 0);
	shim_wait(&s2, NF_REC_BEGIN_SRC, 0);
	both_say(&lab.hs, &s2, &lab.s, NF_REC_BEGUN, 0);
}

/* What one thread says goes to the thread that corresponds, orders go to both. */
START_TEST(each_to_its_own)
{
	threads_up();
	both_sides_begin();
	shim_say(&lab.s, NF_REC_STATE, MOVE, 1, 1, 50);
	shim_say(&s2, NF_REC_STATE, MOVE, 2, 2, 60);
	ck_assert_uint_eq(d2.got[shim_wait(&d2, NF_REC_STATE, 0)].version, 1);
	ck_assert_uint_eq(lab.d.got[shim_wait(&lab.d, NF_REC_STATE, 0)].version, 2);
	both_say(&lab.hs, &lab.s, &s2, NF_REC_EXPORTED, 0);
	order(&lab.hs, NF_REC_PREPARE, MOVE);
	shim_wait(&lab.s, NF_REC_PREPARE, 0);
	shim_wait(&s2, NF_REC_PREPARE, 0);
	shim_say(&lab.s, NF_REC_FINALL, MOVE, 0, 0, 0);
	shim_wait(&d2, NF_REC_FINALL, 0);
	shim_say(&s2, NF_REC_CLONE, MOVE, 3, 2, 60); /* the other thread's last word was not its */
	shim_wait(&lab.d, NF_REC_CLONE, 0);
	shim_say(&d2, NF_REC_DONE, MOVE, 1, 1, 0);
	shim_wait(&lab.s, NF_REC_DONE, 0);
	ck_assert_uint_eq(shim_count(&s2, NF_REC_DONE), 0);
	ck_assert_uint_eq(shim_count(&d2, NF_REC_CLONE), 0);
	threads_down();
}
END_TEST

/* It says nothing more; the other one's end is the move's. */
START_TEST(one_ends)
{
	struct nf_msg_event *e;

	threads_up();
	both_sides_begin();
	shim_thread_ends(&lab.s);
	e = wait_event(&lab.hs, NF_EVENT_REC, NF_REC_FAILED);
	ck_assert_ptr_nonnull(strstr(e->text, "a packet thread of the NF ended"));
	order(&lab.hs, NF_REC_ABORT, MOVE);
	shim_wait(&lab.s, NF_REC_ABORT, 0);
	shim_say(&lab.s, NF_REC_OVER, MOVE, 0, 0, 0);
	wait_event(&lab.hs, NF_EVENT_REC, NF_REC_OVER);
	threads_down();
}
END_TEST

/* One more at a side: told before anything is exported. */
START_TEST(numbers_differ)
{
	struct nf_msg_event *e;

	lab_up();
	shim_thread_begins(&lab.s, &s2, 1);
	run(20);
	begin(&lab.hd, NF_SIDE_DST, MOVE, (struct nf_msg_begin){0});
	shim_wait(&lab.d, NF_REC_BEGIN_DST, 0);
	begin(&lab.hs, NF_SIDE_SRC, MOVE, (struct nf_msg_begin){0});
	e = wait_event(&lab.hs, NF_EVENT_REC, NF_REC_FAILED);
	ck_assert_ptr_nonnull(strstr(e->text, "the source NF has 2 packet threads"));
	ck_assert_uint_eq(shim_count(&lab.s, NF_REC_BEGIN_SRC), 0);
	lab_down();
	shim_close(&s2);
}
END_TEST

TCase *thread_cases(void)
{
	TCase *t = tcase_create("threads");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, each_to_its_own);
	tcase_add_test(t, one_ends);
	tcase_add_test(t, numbers_differ);
	return t;
}
