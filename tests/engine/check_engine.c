/* SPDX-License-Identifier: BSD-2-Clause */
/* The move engine of the shim, driven step by step by a made-up helper. */
#include <stdlib.h>

#include "cases.h"

static void add_case(Suite *s, const char *name, void (*tests)(TCase *))
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, stage_setup, NULL);
	tcase_set_timeout(t, 90);
	tests(t);
	suite_add_tcase(s, t);
}

void add_some(TCase *t, const TTest *test, int some, int n)
{
	const char *full = getenv("NFSHIM_FULL"), *seed = getenv("NFSHIM_SEED");
	int first = seed ? (int)(strtoul(seed, NULL, 10) % (unsigned)n) : 0;

	tcase_add_loop_test(t, test, first, first + (full && !strcmp(full, "1") ? n : some));
}

int main(int argc, char **argv)
{
	Suite *s = suite_create("engine");
	SRunner *r;
	int failed;

	if (argc != 3) {
		fprintf(stderr, "usage: check_engine LIBNFSHIM NF\n");
		return 2;
	}
	stage_shim = argv[1];
	stage_nf = argv[2];
	add_case(s, "source", add_source_cases);
	add_case(s, "destination", add_destination_cases);
	add_case(s, "input", add_input_cases);
	add_case(s, "jump", add_jump_cases);
	add_case(s, "unfit", add_unfit_cases);
	if (stage_own_net()) {
		add_case(s, "live", add_live_cases);
		add_case(s, "veth", add_veth_cases);
		add_case(s, "live unfit", add_live_unfit_cases);
		add_case(s, "live jump", add_live_jump_cases);
		add_case(s, "veth marks", add_veth_mark_cases);
		add_case(s, "threads", add_threads_cases);
		add_case(s, "socket", add_socket_cases);
	} else {
		printf("without live captures: they need root\n");
	}
	stage_begin();
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	stage_end();
	return failed != 0;
}
