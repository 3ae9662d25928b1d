/* SPDX-License-Identifier: BSD-2-Clause */
/* Input of fuzz_prads: this, then two blobs for the one key. */
#ifndef NF_FUZZ_PRADS_H
#define NF_FUZZ_PRADS_H

#include "nfshim_flow.h"

struct fuzz_prads {
	uint8_t asset;	  /* bit 0: an asset, not a connection */
	uint8_t first[2]; /* bytes of the first blob, little-endian */
	struct nfshim_flow key;
} __attribute__((packed));

#endif
