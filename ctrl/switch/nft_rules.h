/* SPDX-License-Identifier: BSD-2-Clause */
/* The text of an nftables ruleset from routes; private to the nft driver. */
#ifndef NF_NFT_RULES_H
#define NF_NFT_RULES_H

#include <stdio.h>

#include "routes.h"
#include "switch.h"

/*
 * The table:
 *
 *   chain classify (ingress of the inputs): copy to the reference; double-tagged
 *           frames go to chain tagged; the routes, newest first; the default.
 *   chain tagged: the same routes by raw offsets.
 *   chain routes: never visited. Its comments hold generation and routes, so
 *           that a controller started anew can read them.
 */

/* Everything from nothing, without routes. */
void nf_nft_write_table(FILE *out, const struct nf_switch_conf *c);
void nf_nft_write_counter(FILE *out, const struct nf_switch_conf *c, const char *name);
/* Fill the three chains anew. 0 or -errno. */
int nf_nft_write_routes(FILE *out, const struct nf_switch_conf *c, const struct nf_routes *l);

/* Names of the table's counters. */
#define NF_NFT_COUNTER_PORT "port_" /* and the instance's name */
#define NF_NFT_COUNTER_REF  "reference"
#define NF_NFT_COUNTER_IN   "input"

#define NF_NFT_CHUNK 96 /* characters of a space's text in one comment */

#endif
