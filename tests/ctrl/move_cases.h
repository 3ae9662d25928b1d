/* SPDX-License-Identifier: BSD-2-Clause */
/* The cases of ctrl_move_test, by what of the controller they are about. */
#ifndef NF_TESTS_MOVE_CASES_H
#define NF_TESTS_MOVE_CASES_H

#include "move_stage.h"

TCase *move_case(Suite *suite, const char *name);
TCase *move_case_with(Suite *suite, const char *name, SFun setup, SFun teardown);

void add_in_order_cases(Suite *suite);
void add_before_route_cases(Suite *suite);
void add_after_route_cases(Suite *suite);
void add_request_cases(Suite *suite);
void add_orphan_cases(Suite *suite);
void add_noise_cases(Suite *suite);

#endif
