/* SPDX-License-Identifier: BSD-2-Clause */
/* What `nft -j list` says about our table; private to the nft driver. */
#ifndef NF_NFT_READ_H
#define NF_NFT_READ_H

#include <stdbool.h>

#include "routes.h"
#include "switch.h"

/* All take the JSON text of a listing of our table. */

/* Is chain classify there, hooked at exactly the inputs of @c? */
bool nf_nft_read_hooked(const char *json, const struct nf_switch_conf *c);
bool nf_nft_read_has_counter(const char *json, const char *name);
/* Routes from the comments; the caller clears @out. 0, -EPROTO: not written by us, -ENOMEM. */
int nf_nft_read_routes(const char *json, struct nf_routes *out);
int nf_nft_read_counters(const char *json, nf_switch_count_cb cb, void *arg);

#endif
