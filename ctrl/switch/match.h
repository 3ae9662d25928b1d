/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A flow space as what a switch tests: fixed values per header field of one
 * packet. Alternatives (either side, both directions) are spelt out.
 */
#ifndef NF_MATCH_H
#define NF_MATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "space.h"

#define NF_MATCH_MAX 4096 /* most tests a space may become */

enum { NF_MATCH_SRC, NF_MATCH_DST };

/* One packet test; zero-filled, so that equal ones compare equal as memory. */
struct nf_match {
	uint16_t family; /* ethertype; 0: IPv4 and IPv6 */
	uint16_t arp;	 /* 1: ARP by the addresses, nothing else counts */
	int32_t proto;	 /* -1: any */
	int32_t port[2]; /* -1: any */
	uint8_t has[2];	 /* an address is asked for on this side */
	uint8_t prefix[2];
	uint8_t addr[2][16]; /* masked */
};

/*
 * Expand @s (not "all") into @out, owned by the caller. 0, or -E2BIG if there
 * would be more than NF_MATCH_MAX, -ENOMEM. Matches no packet can pass are left out.
 */
int nf_match_expand(const struct nf_space *s, struct nf_match **out, unsigned *n);

#endif
