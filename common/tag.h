/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mark of a frame that carries a clone (paper, Figure 3): a trailer behind
 * the packet, so that headers stay where a capture filter looks for them.
 *
 *   packet | magic 4 | version 1 | capture 1 | zero 2 | move 8 | seq 8 | sec 8 | nsec 4 | wirelen 4
 * | mac 8
 *
 * Integers are big-endian. mac is SipHash-2-4 of all before it, keyed by a
 * secret that only a shim and its helper know: nobody on the wire can make a
 * frame of which the output would be dropped.
 */
#ifndef NF_TAG_H
#define NF_TAG_H

#include <stdbool.h>
#include <stdint.h>

#include "siphash.h"

#define NF_TAG_LEN   48u
#define NF_TAG_MAGIC 0x4e465457u /* "NFTW" */
#define NF_TAG_KEY   NF_SIPHASH_KEY

struct nf_tag {
	uint64_t move;
	uint64_t seq; /* of the move's tagged frames, from 0 */
	int64_t sec;  /* the packet's original timestamp */
	uint32_t nsec;
	uint32_t wirelen; /* its length on the wire; its captured length is that of the frame */
	uint8_t capture;  /* number of the NF's capture that it is for */
};

/* Write the trailer behind the @len bytes of @frame, which has room for NF_TAG_LEN more. */
void nf_tag_put(const uint8_t key[NF_TAG_KEY], const struct nf_tag *t, uint8_t *frame,
		uint32_t len);

/* Does the frame of @caplen captured bytes of @len end like a tagged one? Anybody can make that. */
bool nf_tag_like(const uint8_t *frame, uint32_t caplen, uint32_t len);

/* Is it tagged with @key, for @move? Then *t is its tag and the packet is NF_TAG_LEN shorter. */
bool nf_tag_check(const uint8_t key[NF_TAG_KEY], uint64_t move, const uint8_t *frame,
		  uint32_t caplen, uint32_t len, struct nf_tag *t);

#endif
