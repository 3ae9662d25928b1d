/* SPDX-License-Identifier: BSD-2-Clause */
/* A move in which all goes well, step by step. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "move_cases.h"

static void check_mark(const struct nf_msg_begin *b, unsigned queue)
{
	char want[200], *at = want;

	at += sprintf(at, "mark ids1 %u 026e66000001026e6600000288b54e464d4b01%02x0000%016llx",
		      queue, queue, (unsigned long long)b->move);
	for (int i = 0; i < NF_MARK_SECRET; i++)
		at += sprintf(at, "%02x", b->opt.mark[queue][i]);
	ck_assert_msg(switch_has(want), "no '%s'", want);
}

START_TEST(in_order)
{
	struct nf_msg_begin bd, bs;
	json_t *o;

	mover = ctl_start(MOVE "|--hold-packets|77|--buffer-bytes|5000|--slice-us|9|--linger|123");
	fake_expect_begin(&d, &bd);
	ck_assert_int_eq(bd.side, NF_SIDE_DST);
	ck_assert_str_eq(bd.space, SPACE);
	ck_assert_uint_eq(bd.opt.hold_packets, 77);
	ck_assert_uint_eq(bd.buffer_bytes, 5000);
	ck_assert_uint_eq(bd.opt.marks, 0);
	ck_assert(fake_quiet(&s, 50)); /* S starts only after D has begun */
	fake_say(&d, NF_REC_BEGUN);
	fake_expect_begin(&s, &bs);
	ck_assert_int_eq(bs.side, NF_SIDE_SRC);
	ck_assert_str_eq(bs.peer, "ids2");
	ck_assert_str_eq(bs.peer_addr, "127.0.0.1:4711");
	ck_assert_uint_eq(bs.opt.slice_us, 9);
	ck_assert_uint_eq(bs.opt.linger_ms, 123);
	ck_assert_uint_eq(bs.opt.marks, 2);
	ck_assert_mem_eq(bs.token, bd.token, sizeof(bs.token));
	ck_assert_mem_ne(bs.opt.mark[0], bs.opt.mark[1], NF_MARK_SECRET);
	fake_say(&s, NF_REC_BEGUN);
	ck_assert(fake_quiet(&d, 50));
	fake_say_stats(&s, NF_REC_EXPORTED, &sent);
	fake_expect(&d, NF_REC_PREPARE);
	ck_assert(fake_quiet(&s, 50)); /* D prepares first */
	fake_say(&d, NF_REC_PREPARED);
	fake_expect(&s, NF_REC_PREPARE);
	ck_assert_uint_eq(switch_count("route"), 0);
	fake_say(&d, NF_REC_READY);
	while (switch_count("mark") < 6)
		usleep(5000); /* again and again until S says MARKED */
	ck_assert(switch_has("route " SPACE " to ids2\ngrace\nmark ids1 0"));
	check_mark(&bs, 0);
	check_mark(&bs, 1);
	fake_say_stats(&s, NF_REC_MARKED, &sent);
	ck_assert(fake_quiet(&d, 50));
	fake_say_stats(&d, NF_REC_COMMITTED, &applied);
	o = result(0, "done");
	ck_assert_int_eq(jnum(o, "flows"), 484);
	ck_assert_int_eq(jnum(o, "clones"), 1200);
	ck_assert_int_eq(jnum(o, "held_max"), 96);
	ck_assert_int_eq(jnum(o, "fwd"), 2);
	ck_assert_int_eq((int)json_real_value(json_object_get(o, "slice_max_us")), 250);
	ck_assert(json_real_value(json_object_get(json_object_get(o, "phases"), "mark_ms")) > 0);
	json_decref(o);
	fake_say_stats(&s, NF_REC_RELEASED, &sent);
	ck_assert(fake_quiet(&d, 50));
	fake_say_stats(&s, NF_REC_OVER, &sent);
	fake_expect(&d, NF_REC_END);
	fake_say_stats(&d, NF_REC_OVER, &applied);
	wait_stage(bs.move, "over");
	ck_assert_uint_eq(switch_count("route"), 1);
}
END_TEST

/* Events of two connections may overtake each other. */
START_TEST(overtaken)
{
	json_t *o;

	run_to(MOVE, AT_MARK);
	fake_say_stats(&d, NF_REC_COMMITTED, &applied);
	usleep(50000);
	fake_say(&s, NF_REC_MARKED);
	fake_say(&s, NF_REC_RELEASED);
	o = result(0, "done");
	json_decref(o);
}
END_TEST

START_TEST(no_wait)
{
	json_t *o;

	run_to("move|ids1|ids2|" SPACE, AT_BEGIN_DST);
	ck_assert_int_eq(ctl_wait(&mover, &o), 0);
	ck_assert_str_eq(jstr(o, "state"), "running");
	json_decref(o);
	wait_stage(d.move, "begin-dst");
}
END_TEST

START_TEST(empty_space_moves_the_route)
{
	json_t *o;

	run_to(MOVE, AT_EXPORT);
	fake_say(&s, NF_REC_EXPORTED);
	fake_expect(&d, NF_REC_PREPARE);
	fake_say(&d, NF_REC_PREPARED);
	fake_say(&d, NF_REC_READY);
	while (!switch_count("mark"))
		usleep(2000);
	fake_say(&s, NF_REC_MARKED);
	fake_say(&d, NF_REC_COMMITTED);
	o = result(0, "done");
	ck_assert(strstr(json_string_value(json_array_get(json_object_get(o, "warnings"), 0)),
			 "no live flows"));
	json_decref(o);
}
END_TEST

void add_in_order_cases(Suite *suite)
{
	TCase *t = move_case(suite, "in order");

	tcase_add_test(t, in_order);
	tcase_add_test(t, overtaken);
	tcase_add_test(t, no_wait);
	tcase_add_test(t, empty_space_moves_the_route);
}
