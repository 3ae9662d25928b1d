/* SPDX-License-Identifier: BSD-2-Clause */
/* Makers of seeds, by kind: as nf_fuzz_seed(). */
#ifndef NF_FUZZ_SEEDS_H
#define NF_FUZZ_SEEDS_H

#include <stddef.h>
#include <stdint.h>

#define COUNT(a) (unsigned)(sizeof(a) / sizeof((a)[0]))

size_t nf_fuzz_seed_mark(unsigned i, uint8_t *buf, size_t cap);
size_t nf_fuzz_seed_prads(unsigned i, uint8_t *buf, size_t cap);
size_t nf_fuzz_seed_seqhash(unsigned i, uint8_t *buf, size_t cap);
size_t nf_fuzz_seed_helper(unsigned i, uint8_t *buf, size_t cap);

#endif
