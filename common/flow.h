/* SPDX-License-Identifier: BSD-2-Clause */
/* Flow keys: from a frame, to text and back. */
#ifndef NF_FLOW_H
#define NF_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nfshim_flow.h"

#define NF_FLOW_TEXT 160 /* enough for nf_flow_format */

struct nf_frags; /* remembers the ports of first fragments; opaque */

struct nf_frags *nf_frags_new(void);
void nf_frags_free(struct nf_frags *t); /* accepts NULL */

/*
 * Key of the Ethernet frame @data of @len captured bytes. @frags may be NULL
 * (then non-first fragments have ports 0). Never fails: what cannot be parsed
 * is a flow of its own by Ethernet type (a frame under 14 bytes has type 0).
 * Fills @src with the index (0 or 1) of the sending side in the key; may be NULL.
 */
void nf_flow_parse(const uint8_t *data, size_t len, struct nf_frags *frags, struct nfshim_flow *key,
		   int *src);

/* Put the two ends of @f into canonical order; returns true if it swapped them. */
bool nf_flow_canon(struct nfshim_flow *f);

bool nf_flow_equal(const struct nfshim_flow *a, const struct nfshim_flow *b);
uint64_t nf_flow_hash(const struct nfshim_flow *f);

/* "tcp 10.20.0.10:50503-198.18.0.20:443", "host 10.20.0.10", "arp 10.0.0.1-10.0.0.2",
 * "vlan 5.7 udp …"; writes at most @n bytes with the NUL and returns @buf. */
char *nf_flow_format(const struct nfshim_flow *f, char *buf, size_t n);

#endif
