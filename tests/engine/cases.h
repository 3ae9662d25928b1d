/* SPDX-License-Identifier: BSD-2-Clause */
/* The cases of check_engine, by what of the shim they are about. */
#ifndef NF_TESTS_CASES_H
#define NF_TESTS_CASES_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "stage.h"

void add_source_cases(TCase *t);
void add_destination_cases(TCase *t);
void add_input_cases(TCase *t);
void add_live_cases(TCase *t);
void add_veth_cases(TCase *t);
void add_jump_cases(TCase *t);
void add_live_jump_cases(TCase *t);
void add_unfit_cases(TCase *t);
void add_live_unfit_cases(TCase *t);
void add_veth_mark_cases(TCase *t);
void add_threads_cases(TCase *t);
void add_socket_cases(TCase *t);

/* A loop test of @n cases, test i is case i % n: @some of them, from one that $NFSHIM_SEED draws
 * on; all with $NFSHIM_FULL=1. */
void add_some(TCase *t, const TTest *test, int some, int n);

/* nf0 and nf1, and what is sent on sw0 and sw1 comes to them. */
void make_link(void);

#endif
