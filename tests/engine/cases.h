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
void add_nest_cases(TCase *t);
void add_veth_mark_cases(TCase *t);
void add_threads_cases(TCase *t);
void add_socket_cases(TCase *t);

/* nf0 and nf1, and what is sent on sw0 and sw1 comes to them. */
void make_link(void);

#endif
