/* SPDX-License-Identifier: BSD-2-Clause */
/* What nobody should say, and the end of the controller at any moment. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "move_cases.h"

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

void add_noise_cases(Suite *suite)
{
	TCase *t = move_case(suite, "noise");

	tcase_add_test(t, noise);
	t = move_case_with(suite, "stop", move_setup, NULL);
	tcase_add_loop_test(t, stopped_in_the_middle, 0, AT_COMMIT + 1);
}
