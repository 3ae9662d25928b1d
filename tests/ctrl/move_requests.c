/* SPDX-License-Identifier: BSD-2-Clause */
/* What is asked for beside or after a move, and what is refused. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "move_cases.h"

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
	char newer[64];

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
	snprintf(newer, sizeof(newer), "speaks version %d of the protocol", NF_PROTO_VERSION + 1);
	ctl_refused("move|ids1|ids3|" SPACE, 3, newer);
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

void add_request_cases(Suite *suite)
{
	TCase *t = move_case(suite, "requests");

	tcase_add_test(t, back_during_linger);
	tcase_add_test(t, refusals);
	tcase_add_test(t, two_at_once);
	tcase_add_test(t, flows);
}
