/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole moves between made-up helpers: in order, and with every side failing at every stage. */
#include <stdio.h>
#include <stdlib.h>

#include "move_cases.h"

TCase *move_case_with(Suite *suite, const char *name, SFun setup, SFun teardown)
{
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	suite_add_tcase(suite, t);
	return t;
}

TCase *move_case(Suite *suite, const char *name)
{
	return move_case_with(suite, name, move_setup, move_teardown);
}

int main(void)
{
	Suite *suite = suite_create("moves");
	SRunner *r;
	int failed;

	if (!getenv("NFCTRLD_TEST") || !getenv("NFCTL")) {
		fputs("NFCTRLD_TEST and NFCTL name the programs under test\n", stderr);
		return 1;
	}
	setenv("NFSHIM_LOG", "err", 0);
	add_in_order_cases(suite);
	add_request_cases(suite);
	add_before_route_cases(suite);
	add_after_route_cases(suite);
	add_noise_cases(suite);
	add_orphan_cases(suite);
	r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
