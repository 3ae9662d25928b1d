/* SPDX-License-Identifier: BSD-2-Clause */
/* SipHash-2-4, a keyed hash of 64 bits (Aumasson and Bernstein, INDOCRYPT 2012). */
#ifndef NF_SIPHASH_H
#define NF_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define NF_SIPHASH_KEY 16 /* bytes */

uint64_t nf_siphash(const uint8_t key[NF_SIPHASH_KEY], const void *data, size_t len);

#endif
