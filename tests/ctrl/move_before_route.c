/* SPDX-License-Identifier: BSD-2-Clause */
/* Failures and aborts while the route leads to the source: nothing has happened. */
#include <stdio.h>
#include <string.h>

#include "move_cases.h"

static const struct failure failures[] = {
	{"source failed", true, 0},	 {"destination failed", false, 0},
	{"source NF gone", true, 1},	 {"destination NF gone", false, 1},
	{"source helper gone", true, 2}, {"destination helper gone", false, 2},
	{"stream broken", true, 3},
};

static void aborts(struct fake *f)
{
	fake_expect(f, NF_REC_ABORT);
	fake_say(f, NF_REC_OVER);
}

START_TEST(abort_before_route)
{
	int stage = _i / (int)(sizeof(failures) / sizeof(failures[0]));
	const struct failure *f = &failures[_i % (int)(sizeof(failures) / sizeof(failures[0]))];
	struct fake *who = f->at_source ? &s : &d;
	bool silent = f->kind == 1 || f->kind == 2;
	json_t *o;

	if (stage == AT_BEGIN_DST && f->at_source)
		return; /* the source knows nothing of it yet */
	run_to(MOVE, stage);
	fail_at(f);
	if (who != &d || !silent)
		aborts(&d);
	if ((who != &s || !silent) && stage > AT_BEGIN_DST)
		aborts(&s);
	o = result(1, "aborted");
	ck_assert_msg(strstr(jstr(o, "reason"), f->kind == 2 ? "helper of" : "made-up trouble") !=
			      NULL,
		      "%s: '%s'", f->name, jstr(o, "reason"));
	json_decref(o);
	ck_assert_uint_eq(switch_count("route"), 0);
	ck_assert_uint_eq(switch_count("mark"), 0);
}
END_TEST

START_TEST(abort_by_user)
{
	char words[32];
	json_t *o;

	run_to(MOVE, _i);
	snprintf(words, sizeof(words), "abort|%u", (unsigned)d.move);
	if (_i > AT_PREPARE_SRC) {
		ctl_refused(words, 3, "only go on");
		fake_say(&s, NF_REC_MARKED);
		fake_say_stats(&d, NF_REC_COMMITTED, &applied);
		json_decref(result(0, "done"));
		ctl_refused(words, 3, "is over: done");
		return;
	}
	ck_assert_int_eq(ctl_run(words, NULL), 0);
	fake_expect(&d, NF_REC_ABORT);
	ck_assert_int_eq(ctl_run(words, NULL), 0); /* again: no harm */
	fake_say(&d, NF_REC_OVER);
	if (_i > AT_BEGIN_DST)
		aborts(&s);
	o = result(1, "aborted");
	ck_assert_str_eq(jstr(o, "reason"), "aborted by nfctl");
	json_decref(o);
	ck_assert_uint_eq(switch_count("route"), 0);
	ctl_refused(words, 3, "is over: aborted");
}
END_TEST

START_TEST(no_drop_phase_too_long)
{
	json_t *o;

	run_to(MOVE "|--deadline|150", AT_PREPARE_SRC);
	fake_expect(&d, NF_REC_ABORT);
	fake_expect(&s, NF_REC_ABORT);
	fake_say(&d, NF_REC_READY); /* too late */
	fake_say(&d, NF_REC_OVER);
	fake_say(&s, NF_REC_OVER);
	o = result(1, "aborted");
	ck_assert_ptr_nonnull(strstr(jstr(o, "reason"), "--deadline 150 ms"));
	json_decref(o);
	ck_assert_uint_eq(switch_count("route"), 0);
}
END_TEST

START_TEST(nobody_answers_begin)
{
	json_t *o;

	run_to(MOVE, AT_BEGIN_SRC);
	aborts(&s);
	aborts(&d);
	o = result(1, "aborted");
	ck_assert_ptr_nonnull(strstr(jstr(o, "reason"), "ids1 did not answer BEGIN"));
	json_decref(o);
}
END_TEST

START_TEST(switch_refuses_the_route)
{
	json_t *o;

	switch_fail(true);
	run_to(MOVE, AT_PREPARE_SRC);
	fake_say(&d, NF_REC_READY);
	aborts(&d);
	aborts(&s);
	o = result(1, "aborted");
	ck_assert_ptr_nonnull(strstr(jstr(o, "reason"), "told to fail"));
	json_decref(o);
	ck_assert_uint_eq(switch_count("mark"), 0);
}
END_TEST

void add_before_route_cases(Suite *suite)
{
	TCase *t = move_case(suite, "before the route");

	tcase_add_loop_test(t, abort_before_route, 0,
			    (AT_PREPARE_SRC + 1) * (int)(sizeof(failures) / sizeof(failures[0])));
	tcase_add_loop_test(t, abort_by_user, 0, AT_COMMIT + 1);
	tcase_add_test(t, no_drop_phase_too_long);
	tcase_add_test(t, nobody_answers_begin);
	tcase_add_test(t, switch_refuses_the_route);
}
