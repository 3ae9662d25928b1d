/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole moves between made-up helpers: in order, and with every side failing at every stage. */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake.h"

#define SPACE "net 10.20.0.0/21 or net 2001:db8:20::/61"

static struct fake s, d;
static struct ctl mover;

static void setup(void)
{
	ctrl_start();
	fake_join(&s, "ids1");
	fake_join(&d, "ids2");
}

static void teardown(void)
{
	fake_close(&s);
	fake_close(&d);
	ctrl_stop();
}

static const struct nf_rec_stats sent = {.flows = 484,
					 .records = 300,
					 .state_bytes = 52000,
					 .clones = 1200,
					 .clone_bytes = 90000,
					 .new_flows = 3,
					 .slice_max_ns = 250000,
					 .wait_ns = 1500000};
static const struct nf_rec_stats applied = {.flows = 484,
					    .records = 300,
					    .state_bytes = 52000,
					    .clones = 1200,
					    .held = 200,
					    .held_max = 96,
					    .fwd = 2};

/* Stages as the helpers see them: run_to(n) stops when the controller waits for the n-th answer. */
enum { AT_BEGIN_DST, AT_BEGIN_SRC, AT_EXPORT, AT_PREPARE_DST, AT_PREPARE_SRC, AT_MARK, AT_COMMIT };

static void run_to(const char *words, int stage)
{
	mover = ctl_start(words);
	fake_expect_begin(&d, NULL);
	if (stage == AT_BEGIN_DST)
		return;
	fake_say(&d, NF_REC_BEGUN);
	fake_expect_begin(&s, NULL);
	if (stage == AT_BEGIN_SRC)
		return;
	fake_say(&s, NF_REC_BEGUN);
	if (stage == AT_EXPORT)
		return;
	fake_say_stats(&s, NF_REC_EXPORTED, &sent);
	fake_expect(&d, NF_REC_PREPARE);
	if (stage == AT_PREPARE_DST)
		return;
	fake_say(&d, NF_REC_PREPARED);
	fake_expect(&s, NF_REC_PREPARE);
	if (stage == AT_PREPARE_SRC)
		return;
	fake_say(&d, NF_REC_READY);
	while (!switch_count("mark"))
		usleep(2000);
	if (stage == AT_MARK)
		return;
	fake_say(&s, NF_REC_MARKED);
}

#define MOVE "move|ids1|ids2|" SPACE "|--wait"

static json_t *result(int code, const char *state)
{
	json_t *o;
	int rc = ctl_wait(&mover, &o);

	ck_assert_int_eq(rc, code);
	ck_assert_str_eq(jstr(o, "state"), state);
	return o;
}

/* The stage that `show` tells; waits until it is the one that is wanted. */
static void wait_stage(uint64_t id, const char *stage)
{
	char words[32], at[32] = "";
	json_t *o;

	snprintf(words, sizeof(words), "show|%u", (unsigned)id);
	for (int i = 0; i < 500 && strcmp(at, stage); i++) {
		ck_assert_int_eq(ctl_run(words, &o), 0);
		snprintf(at, sizeof(at), "%s", jstr(o, "stage"));
		json_decref(o);
		usleep(5000);
	}
	ck_assert_str_eq(at, stage);
}

/* ---- all goes well ---- */

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

/* ---- failures before the route ---- */

static const struct failure {
	const char *name;
	bool at_source; /* the side that fails */
	int kind;	/* 0: FAILED, 1: NF gone, 2: helper gone, 3: stream broken */
} failures[] = {
	{"source failed", true, 0},	 {"destination failed", false, 0},
	{"source NF gone", true, 1},	 {"destination NF gone", false, 1},
	{"source helper gone", true, 2}, {"destination helper gone", false, 2},
	{"stream broken", true, 3},
};

static void fail_at(const struct failure *f)
{
	struct fake *who = f->at_source ? &s : &d;

	switch (f->kind) {
	case 0:
		fake_failed(who, EIO, "made-up trouble");
		break;
	case 1:
		fake_trouble(who, NF_EVENT_NF_GONE, "made-up trouble");
		break;
	case 2:
		fake_close(who);
		break;
	case 3:
		fake_trouble(who, NF_EVENT_PEER_GONE, "made-up trouble");
		break;
	}
}

START_TEST(abort_before_route)
{
	int stage = _i / (int)(sizeof(failures) / sizeof(failures[0]));
	const struct failure *f = &failures[_i % (int)(sizeof(failures) / sizeof(failures[0]))];
	struct fake *other = f->at_source ? &d : &s;
	bool silent = f->kind == 1 || f->kind == 2;
	json_t *o;

	if (stage == AT_BEGIN_DST && f->at_source)
		return; /* the source knows nothing of it yet */
	run_to(MOVE, stage);
	fail_at(f);
	if (!silent || other == &d) {
		if (!silent) { /* both still hear */
			fake_expect(&d, NF_REC_ABORT);
			fake_say(&d, NF_REC_OVER);
			if (stage > AT_BEGIN_DST) {
				fake_expect(&s, NF_REC_ABORT);
				fake_say(&s, NF_REC_OVER);
			}
		} else {
			fake_expect(&d, NF_REC_ABORT);
			fake_say(&d, NF_REC_OVER);
		}
	} else if (stage > AT_BEGIN_DST) {
		fake_expect(&s, NF_REC_ABORT);
		fake_say(&s, NF_REC_OVER);
	}
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
	if (_i > AT_BEGIN_DST) {
		fake_expect(&s, NF_REC_ABORT);
		fake_say(&s, NF_REC_OVER);
	}
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
	fake_expect(&s, NF_REC_ABORT);
	fake_say(&s, NF_REC_OVER);
	fake_expect(&d, NF_REC_ABORT);
	fake_say(&d, NF_REC_OVER);
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
	fake_expect(&d, NF_REC_ABORT);
	fake_say(&d, NF_REC_OVER);
	fake_expect(&s, NF_REC_ABORT);
	fake_say(&s, NF_REC_OVER);
	o = result(1, "aborted");
	ck_assert_ptr_nonnull(strstr(jstr(o, "reason"), "told to fail"));
	json_decref(o);
	ck_assert_uint_eq(switch_count("mark"), 0);
}
END_TEST

/* ---- failures after the route ---- */

START_TEST(destination_dies_after_route)
{
	int stage = _i / 3 ? AT_COMMIT : AT_MARK;
	struct failure f = {"", false, _i % 3};
	json_t *o;

	run_to(MOVE, stage);
	fail_at(&f);
	fake_expect(&s, NF_REC_REVERT);
	ck_assert(!switch_has("to ids1"));
	fake_say(&s, NF_REC_OVER);
	o = result(1, "failed");
	ck_assert_ptr_nonnull(strstr(jstr(o, "reason"), "the route goes back to ids1"));
	json_decref(o);
	ck_assert(switch_has("route " SPACE " to ids2\n"));
	ck_assert(switch_has("route " SPACE " to ids1\n"));
	if (f.kind == 2)
		ck_assert(fake_hello(&d, "ids2", NF_PROTO_VERSION));
	fake_expect(&d, NF_REC_FENCE);
	ck_assert_uint_eq(d.move, s.move);
	fake_say(&d, NF_REC_OVER);
}
END_TEST

START_TEST(source_dies_after_route)
{
	int stage = _i / 4 ? AT_COMMIT : AT_MARK;
	struct failure f = {"", true, _i % 4};
	struct nf_msg_event left = {.rec = NF_REC_UNFINISHED, .version = 250};
	json_t *o;

	run_to(MOVE, stage);
	fail_at(&f);
	fake_expect(&d, NF_REC_FINISH);
	left.move = d.move;
	left.flow.ethertype = 0x0800;
	left.flow.proto = IPPROTO_TCP;
	left.flow.addr[0][0] = 10;
	left.flow.addr[1][0] = 11;
	fake_event(&d, &left);
	fake_say_stats(&d, NF_REC_COMMITTED, &applied);
	o = result(1, "failed");
	ck_assert_ptr_nonnull(strstr(jstr(o, "reason"), "ids2 goes on with what it was sent"));
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(o, "unfinished"), 0)),
			 "tcp 10.0.0.0:0-11.0.0.0:0");
	ck_assert_int_eq(jnum(o, "unfinished_count"), 250);
	json_decref(o);
	ck_assert_uint_eq(switch_count("route"), 1); /* never back */
	if (s.c && f.kind != 1)			     /* it still hears: it may go on for itself */
		fake_expect(&s, NF_REC_REVERT);
	fake_expect(&d, NF_REC_END);
	fake_say(&d, NF_REC_OVER);
	wait_stage(d.move, "over");
}
END_TEST

START_TEST(mark_never_arrives)
{
	json_t *o;

	run_to(MOVE, AT_MARK);
	fake_expect(&d, NF_REC_FINISH);
	ck_assert_uint_gt(switch_count("mark"), 1000); /* with bursts that fill a ring */
	fake_say(&d, NF_REC_COMMITTED);
	o = result(1, "failed");
	ck_assert_ptr_nonnull(strstr(jstr(o, "reason"), "did not see the MARK"));
	json_decref(o);
}
END_TEST

/* A full reserve is a reason to abort only while it can be. */
/* The source's linger ends before a slow destination has released what it held. */
START_TEST(stream_ends_before_commit)
{
	json_t *o;

	run_to(MOVE, AT_COMMIT);
	wait_stage(s.move, "commit");
	if (_i)
		fake_say_stats(&s, NF_REC_RELEASED, &sent);
	fake_trouble(&d, NF_EVENT_PEER_GONE, "the peer closed the stream");
	if (!_i)
		fake_say_stats(&s, NF_REC_RELEASED, &sent);
	fake_say_stats(&s, NF_REC_OVER, &sent);
	ck_assert(fake_quiet(&d, 700));
	fake_say_stats(&d, NF_REC_COMMITTED, &applied);
	o = result(0, "done");
	json_decref(o);
}
END_TEST

START_TEST(reserve_full_after_route)
{
	json_t *o;

	run_to(MOVE, AT_MARK);
	fake_failed(&s, 0, "reserve full");
	ck_assert(fake_quiet(&d, 100));
	fake_say(&s, NF_REC_MARKED);
	fake_say_stats(&d, NF_REC_COMMITTED, &applied);
	o = result(0, "done");
	json_decref(o);
}
END_TEST

START_TEST(both_die_after_route)
{
	json_t *o;

	run_to(MOVE, AT_COMMIT);
	fake_close(&d);
	fake_expect(&s, NF_REC_REVERT);
	fake_close(&s);
	o = result(1, "failed");
	json_decref(o);
}
END_TEST

START_TEST(destination_nf_dies_in_linger)
{
	json_t *o;

	run_to(MOVE, AT_COMMIT);
	fake_say_stats(&d, NF_REC_COMMITTED, &applied);
	json_decref(result(0, "done"));
	fake_say(&s, NF_REC_RELEASED);
	fake_trouble(&d, NF_EVENT_NF_GONE, "made-up trouble");
	fake_expect(&s, NF_REC_REVERT);
	fake_say(&s, NF_REC_OVER);
	wait_stage(s.move, "over");
	ck_assert(switch_has("route " SPACE " to ids1\n"));
	ck_assert_int_eq(ctl_run("show|1", &o), 0);
	ck_assert_str_eq(jstr(o, "state"), "failed");
	json_decref(o);
}
END_TEST

/* ---- one after the other ---- */

START_TEST(back_during_linger)
{
	json_t *o;

	run_to(MOVE, AT_COMMIT);
	ctl_refused("move|ids2|ids1|" SPACE, 3, "ids2 is busy with move 1");
	fake_say_stats(&d, NF_REC_COMMITTED, &applied);
	json_decref(result(0, "done"));
	mover = ctl_start("move|ids2|ids1|" SPACE "|--wait");
	ck_assert(fake_quiet(&s, 100)); /* before RELEASED there is no linger to end */
	fake_say(&s, NF_REC_RELEASED);
	fake_expect(&s, NF_REC_END);
	ctl_refused("move|ids2|ids1|" SPACE, 3, "busy with move 2");
	ck_assert(fake_quiet(&d, 50));
	fake_say(&s, NF_REC_OVER);
	fake_expect(&d, NF_REC_END);
	ck_assert(fake_quiet(&s, 50));
	fake_say(&d, NF_REC_OVER);
	fake_expect_begin(&s, NULL); /* now the destination */
	ck_assert_uint_eq(s.move, 2);
	fake_say(&s, NF_REC_BEGUN);
	fake_expect_begin(&d, NULL);
	fake_say(&d, NF_REC_BEGUN);
	fake_say_stats(&d, NF_REC_EXPORTED, &sent);
	fake_expect(&s, NF_REC_PREPARE);
	fake_say(&s, NF_REC_PREPARED);
	fake_expect(&d, NF_REC_PREPARE);
	fake_say(&s, NF_REC_READY);
	while (!switch_has("mark ids2"))
		usleep(2000);
	fake_say(&d, NF_REC_MARKED);
	fake_say_stats(&s, NF_REC_COMMITTED, &applied);
	o = result(0, "done");
	json_decref(o);
	/* Back where it was: the switch needs no route any more. */
	ck_assert_int_eq(ctl_run("routes", &o), 0);
	ck_assert_uint_eq(json_array_size(json_object_get(o, "routes")), 0);
	json_decref(o);
}
END_TEST

START_TEST(refusals)
{
	struct fake third, old;

	ctl_refused("move|ids1|ids9|" SPACE, 3, "there is no instance 'ids9'; known: ids1, ids2");
	ctl_refused("move|ids1|ids1|" SPACE, 3, "both ids1");
	ctl_refused("move|ids1|ids2|", 3, "empty");
	ctl_refused("move|ids1|ids2|vlan 7", 3, "'vlan' is not supported");
	ctl_refused("move|ids1|ids2|host 192.0.2.99", 3, "192.0.2.99 is beyond it");
	ctl_refused("move|ids1|ids3|" SPACE, 3, "no helper speaks for ids3");
	ctl_refused("move|ids1|ids2|" SPACE "|--slice-us|0", 2, "slice_us");
	ctl_refused("move|ids1|ids2|" SPACE "|--hold-packets|many", 2, "takes a number");
	ctl_refused("move|ids1|ids2", 2, "takes source, destination and flow space");
	ctl_refused("moves|--wait", 2, "no options of a move");
	ctl_refused("frobnicate", 2, "no command");
	ctl_refused("show|99", 3, "no move 99");
	ctl_refused("show|x", 2, "number of a move");
	ctl_refused("flows|ids9", 3, "no instance");
	ctl_refused("flows|ids1|vlan", 3, "not supported");

	ck_assert(!fake_hello(&old, "ids3", NF_PROTO_VERSION + 1));
	ctl_refused("move|ids1|ids3|" SPACE, 3, "speaks version 3 of the protocol");
	ck_assert(!fake_hello(&old, "ids1", NF_PROTO_VERSION)); /* there is one */

	ck_assert(fake_hello(&third, "ids3", NF_PROTO_VERSION));
	ctl_refused("move|ids1|ids3|" SPACE, 3, "has not said yet");
	fake_status(&third, "", 0, "no NF under the shim", 0, NF_SIDE_NONE, NF_PHASE_IDLE);
	usleep(50000);
	ctl_refused("move|ids1|ids3|" SPACE, 3, "no NF is attached at ids3: no NF under the shim");
	fake_status(&third, "", 5, "unknown build of prads", 0, NF_SIDE_NONE, NF_PHASE_IDLE);
	usleep(50000);
	ctl_refused("move|ids1|ids3|" SPACE, 3, "has no adapter for its state: unknown build");
	fake_status(&third, "fake 1", 5, "", 77, NF_SIDE_SRC, NF_PHASE_READY);
	usleep(50000);
	ctl_refused("move|ids1|ids3|" SPACE, 3, "busy with move 77 of an earlier nfctrld");
	ck_assert(fake_quiet(&s, 0) && fake_quiet(&d, 0)); /* nothing has begun */
	ck_assert_uint_eq(switch_count("route"), 0);
	fake_close(&third);
}
END_TEST

/* Two moves may run at once, but not about the same flows. */
START_TEST(two_at_once)
{
	struct fake third, fourth;
	json_t *o;

	fake_join(&third, "ids3");
	ck_assert(fake_hello(&fourth, "ids4", NF_PROTO_VERSION));
	fake_status(&fourth, "fake 1", 5, "", 0, NF_SIDE_NONE, NF_PHASE_IDLE);
	usleep(50000);
	ctl_refused("move|ids3|ids4|udp", 3, "no port for ids4");
	run_to("move|ids1|ids2|tcp|--wait", AT_BEGIN_DST);
	ctl_refused("move|ids1|ids3|udp", 3, "ids1 is busy with move 1");
	ctl_refused("move|ids3|ids2|udp", 3, "ids2 is busy with move 1");
	fake_failed(&d, EIO, "no");
	fake_expect(&d, NF_REC_ABORT);
	fake_say(&d, NF_REC_OVER);
	json_decref(result(1, "aborted"));
	/* Warnings: ports and fragments; flows that are elsewhere. */
	mover = ctl_start("move|ids3|ids2|port 53 or host 192.0.2.98");
	ck_assert_int_eq(ctl_wait(&mover, &o), 0);
	ck_assert_uint_eq(json_array_size(json_object_get(o, "warnings")), 3);
	json_decref(o);
	fake_close(&third);
	fake_close(&fourth);
}
END_TEST

/* ---- lists, noise, stop ---- */

START_TEST(flows)
{
	struct nf_msg_event e = {.what = NF_EVENT_FLOW, .version = 9};
	struct nf_msg m;
	json_t *o;

	mover = ctl_start("flows|ids1|tcp");
	fake_next(&s, &m);
	ck_assert_int_eq(m.type, NF_MSG_LIST);
	ck_assert_str_eq(m.list.space, "tcp");
	e.move = m.list.id;
	e.flow.ethertype = 0x0800;
	e.flow.proto = IPPROTO_UDP;
	for (int i = 0; i < 2000; i++) {
		e.flow.port[0] = (uint16_t)i;
		fake_event(&s, &e);
	}
	e = (struct nf_msg_event){.move = m.list.id, .rec = NF_REC_LIST_END, .version = 2000};
	fake_event(&s, &e);
	ck_assert_int_eq(ctl_wait(&mover, &o), 0);
	ck_assert_int_eq(jnum(o, "count"), 2000);
	ck_assert_str_eq(jstr(json_array_get(json_object_get(o, "flows"), 5), "flow"),
			 "udp 0.0.0.0:5-0.0.0.0:0");
	json_decref(o);
	mover = ctl_start("flows|ids1");
	fake_next(&s, &m);
	ck_assert_str_eq(m.list.space, "all");
	fake_close(&s);
	ck_assert_int_eq(ctl_wait(&mover, &o), 1);
	json_decref(o);
}
END_TEST

/* Moves of an earlier controller. The switch's generation tells how far they came. */
START_TEST(orphan_lingers)
{
	fake_status(&d, "fake 1", 5, "", 40, NF_SIDE_DST, NF_PHASE_LINGER);
	fake_expect(&d, NF_REC_END);
	ck_assert_uint_eq(d.move, 40);
	fake_status(&d, "fake 1", 5, "", 0, NF_SIDE_NONE, NF_PHASE_IDLE);
	usleep(50000);
	run_to(MOVE, AT_BEGIN_DST);
	ck_assert_uint_gt(d.move, 40); /* ids are not used twice */
}
END_TEST

/* Moves that ended here while a helper was away; its NF waits for a word (PREPARED). */
START_TEST(source_back_too_late)
{
	bool routed = _i;
	uint64_t move;

	run_to(MOVE, routed ? AT_MARK : AT_PREPARE_SRC);
	move = s.move;
	fake_close(&s);
	fake_expect(&d, routed ? NF_REC_FINISH : NF_REC_ABORT);
	fake_say(&d, routed ? NF_REC_COMMITTED : NF_REC_OVER);
	if (routed) {
		fake_expect(&d, NF_REC_END);
		fake_say(&d, NF_REC_OVER);
	}
	json_decref(result(1, routed ? "failed" : "aborted"));
	ck_assert(fake_hello(&s, "ids1", NF_PROTO_VERSION));
	fake_status(&s, "fake 1", 5, "", move, NF_SIDE_SRC, NF_PHASE_PREPARED);
	fake_expect(&s, routed ? NF_REC_REVERT : NF_REC_ABORT);
	ck_assert_uint_eq(s.move, move);
}
END_TEST

/* The helper was told before it had a link to its NF: told again when that speaks. */
START_TEST(fence_again)
{
	uint64_t move;

	run_to(MOVE, AT_COMMIT);
	move = d.move;
	fake_close(&d);
	fake_expect(&s, NF_REC_REVERT);
	fake_say(&s, NF_REC_OVER);
	json_decref(result(1, "failed"));
	ck_assert(fake_hello(&d, "ids2", NF_PROTO_VERSION));
	fake_expect(&d, NF_REC_FENCE);
	fake_status(&d, "fake 1", 5, "", move, NF_SIDE_DST, NF_PHASE_LINGER);
	fake_expect(&d, NF_REC_FENCE);
	ck_assert_uint_eq(d.move, move);
}
END_TEST

#define FOUND_GEN 50

static void orphans(uint64_t move)
{
	fake_status(&s, "fake 1", 5, "", move, NF_SIDE_SRC, NF_PHASE_PREPARED);
	fake_status(&d, "fake 1", 5, "", move, NF_SIDE_DST, NF_PHASE_READY);
	usleep(50000);
	ctl_refused(MOVE, 3, "of an earlier nfctrld");
}

START_TEST(orphan_before_route)
{
	orphans(FOUND_GEN + 1);
	fake_expect(&s, NF_REC_ABORT);
	fake_expect(&d, NF_REC_ABORT);
}
END_TEST

START_TEST(orphan_after_route)
{
	orphans(FOUND_GEN);
	fake_expect(&d, NF_REC_FINISH);
	ck_assert(fake_quiet(&s, 700));
	fake_status(&d, "fake 1", 5, "", 0, NF_SIDE_NONE, NF_PHASE_IDLE);
	fake_expect(&s, NF_REC_REVERT);
}
END_TEST

/* Whether its route was ever set nobody knows: hands off. */
START_TEST(orphan_of_long_ago)
{
	orphans(FOUND_GEN - 1);
	ck_assert(fake_quiet(&s, 4500));
	ck_assert(fake_quiet(&d, 0));
}
END_TEST

static void setup_later(void)
{
	setenv("NF_TEST_GEN", "50", 1);
	setup();
	unsetenv("NF_TEST_GEN");
}

START_TEST(noise)
{
	struct nf_msg_event e = {.move = 999, .rec = NF_REC_COMMITTED};
	struct nf_msg m = {.type = NF_MSG_LIST};
	char cmd[256];

	fake_event(&s, &e); /* of a move that is none */
	run_to(MOVE, AT_BEGIN_DST);
	s.move = d.move;
	fake_say(&s, NF_REC_BEGUN); /* too early, and of the wrong side */
	fake_say(&d, NF_REC_READY);
	fake_failed(&d, EIO, "bad \"quotes\" \\ and \xff\xfe bytes");
	fake_expect(&d, NF_REC_ABORT);
	fake_say(&d, NF_REC_OVER);
	json_decref(result(1, "aborted"));
	ck_assert_uint_eq(switch_count("route"), 0);
	nf_conn_send(s.c, &m); /* a helper does not say that */
	while (nf_conn_recv_wait(s.c, &m, 5000) == 0)
		if (m.type == NF_MSG_REFUSED)
			break;
	ck_assert_int_eq(m.type, NF_MSG_REFUSED);
	snprintf(cmd, sizeof(cmd),
		 "head -c 300000 /dev/urandom | timeout 2 python3 -c \"import "
		 "socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
		 "s.sendall(sys.stdin.buffer.read())\" %s/nfctl.sock 2>/dev/null",
		 ctrl_dir());
	ck_assert_int_ge(system(cmd), 0);
	strcpy(strstr(cmd, "nfctl.sock"), "nfctrld.sock 2>/dev/null");
	ck_assert_int_ge(system(cmd), 0);
	ck_assert_int_eq(ctl_run("moves", NULL), 0);
}
END_TEST

START_TEST(stopped_in_the_middle)
{
	int st;

	run_to(MOVE, _i);
	st = ctrl_signal(SIGTERM);
	ck_assert(WIFEXITED(st) && WEXITSTATUS(st) == 0);
	ck_assert_int_eq(ctl_wait(&mover, NULL), 4);
	fake_close(&s);
	fake_close(&d);
}
END_TEST

static TCase *tcase(Suite *suite, const char *name)
{
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	suite_add_tcase(suite, t);
	return t;
}

int main(void)
{
	Suite *suite = suite_create("moves");
	TCase *t = tcase(suite, "in order"), *stop;
	SRunner *r;
	int failed;

	if (!getenv("NFCTRLD_TEST") || !getenv("NFCTL")) {
		fputs("NFCTRLD_TEST and NFCTL name the programs under test\n", stderr);
		return 1;
	}
	setenv("NFSHIM_LOG", "err", 0);
	tcase_add_test(t, in_order);
	tcase_add_test(t, overtaken);
	tcase_add_test(t, no_wait);
	tcase_add_test(t, empty_space_moves_the_route);
	tcase_add_test(t, back_during_linger);
	tcase_add_test(t, two_at_once);
	tcase_add_test(t, flows);
	t = tcase(suite, "before the route");
	tcase_add_test(t, refusals);
	tcase_add_loop_test(t, abort_before_route, 0,
			    (AT_PREPARE_SRC + 1) * (int)(sizeof(failures) / sizeof(failures[0])));
	tcase_add_loop_test(t, abort_by_user, 0, AT_COMMIT + 1);
	tcase_add_test(t, no_drop_phase_too_long);
	tcase_add_test(t, nobody_answers_begin);
	tcase_add_test(t, switch_refuses_the_route);
	t = tcase(suite, "after the route");
	tcase_add_loop_test(t, destination_dies_after_route, 0, 6);
	tcase_add_loop_test(t, source_dies_after_route, 0, 8);
	tcase_add_test(t, mark_never_arrives);
	tcase_add_loop_test(t, stream_ends_before_commit, 0, 2);
	tcase_add_test(t, reserve_full_after_route);
	tcase_add_test(t, both_die_after_route);
	tcase_add_test(t, destination_nf_dies_in_linger);
	t = tcase(suite, "noise");
	tcase_add_test(t, noise);
	tcase_add_test(t, orphan_lingers);
	tcase_add_loop_test(t, source_back_too_late, 0, 2);
	tcase_add_test(t, fence_again);
	t = tcase_create("orphans");
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup_later, teardown);
	tcase_add_test(t, orphan_before_route);
	tcase_add_test(t, orphan_after_route);
	tcase_add_test(t, orphan_of_long_ago);
	suite_add_tcase(suite, t);
	stop = tcase_create("stop");
	tcase_add_checked_fixture(stop, setup, NULL);
	tcase_add_loop_test(stop, stopped_in_the_middle, 0, AT_COMMIT + 1);
	tcase_set_timeout(stop, 60);
	suite_add_tcase(suite, stop);
	r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
