/* SPDX-License-Identifier: BSD-2-Clause */
/* Steps of a move that the tests share. */
#ifndef NF_TEST_CASES_H
#define NF_TEST_CASES_H

#include <check.h>

#include "msg.h"

void both_begun(uint64_t move, struct nf_msg_begin b);
void both_prepared(uint64_t move);
void dest_ready(uint64_t move);
void commit(uint64_t move, unsigned flows);
void part(uint64_t move);
void clones_in_order(uint64_t n);

TCase *fault_cases(void);
TCase *thread_cases(void);
TCase *overflow_cases(void);

#endif
