/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables as PRADS has them, without PRADS: empty, two signatures of one name, one vendor. */
#ifndef NF_TESTS_PRADS_TABLES_H
#define NF_TESTS_PRADS_TABLES_H

#include "adapters/prads.h"

extern struct nf_prads prads;
extern uint64_t cxid;
extern struct prads_fp linux_a, linux_b; /* only the line tells them apart */
extern struct prads_mac vendor;

void prads_tables_new(void);
void prads_tables_free(void);

#endif
