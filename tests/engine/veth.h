/* SPDX-License-Identifier: BSD-2-Clause */
/* A move at a destination whose clones are frames; in check_veth.c. */
#ifndef NF_TESTS_VETH_H
#define NF_TESTS_VETH_H

#include <stdint.h>

#include "rec.h"

void veth_begin(const char *reader, const char *where); /* as nf_start */
/* Behind the @len bytes of @frame; the length of both. */
uint32_t veth_mark(uint8_t *frame, uint32_t len, unsigned capture, uint64_t seq);
struct nf_rec_stats veth_abort(void);

#endif
