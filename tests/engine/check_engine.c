/* SPDX-License-Identifier: BSD-2-Clause */
/* The move engine of the shim, driven step by step by a made-up helper. */
#include <stdlib.h>

#include "cases.h"

int main(int argc, char **argv)
{
	Suite *s = suite_create("engine");
	TCase *t = tcase_create("engine");
	SRunner *r;
	int failed;

	if (argc != 3) {
		fprintf(stderr, "usage: check_engine LIBNFSHIM NF\n");
		return 2;
	}
	stage_shim = argv[1];
	stage_nf = argv[2];
	tcase_add_checked_fixture(t, stage_setup, stage_teardown);
	tcase_set_timeout(t, 90);
	add_source_cases(t);
	add_destination_cases(t);
	add_input_cases(t);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
