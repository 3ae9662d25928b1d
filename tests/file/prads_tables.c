/* SPDX-License-Identifier: BSD-2-Clause */
#include "prads_tables.h"

#include <stdlib.h>

#include "adapters/prads_asset.h"

#define SIGS 7 /* buckets of the fingerprint tables */

struct nf_prads prads;
uint64_t cxid;
struct prads_fp linux_a = {.os = (char[]){"Linux"}, .desc = (char[]){"2.6"}, .line = 5};
struct prads_fp linux_b = {.os = (char[]){"Linux"}, .desc = (char[]){"2.6"}, .line = 9};
struct prads_mac vendor = {.o = {0, 1, 2}, .mask = 24, .vendor = (char[]){"Acme"}};

static int inpacket, intr_flag;
static uint32_t sig_buckets = SIGS, mac_buckets = PRADS_MAC_HASH;
static struct prads_fp **sigs[NF_PRADS_SIGS];
static struct prads_mac **macs;

void prads_tables_new(void)
{
	prads = (struct nf_prads){
		.conns = calloc(PRADS_BUCKETS, sizeof(void *)),
		.assets = calloc(PRADS_BUCKETS, sizeof(void *)),
		.cxid = &cxid,
		.inpacket = &inpacket,
		.intr_flag = &intr_flag,
		.sig_buckets = &sig_buckets,
		.macs = &macs,
		.mac_buckets = &mac_buckets,
	};
	for (int i = 0; i < NF_PRADS_SIGS; i++) {
		sigs[i] = calloc(SIGS, sizeof(void *));
		prads.sigs[i] = &sigs[i];
	}
	sigs[0][3] = &linux_b;
	linux_b.next = &linux_a;
	macs = calloc(PRADS_MAC_HASH, sizeof(void *));
	macs[((1u << 16) ^ (2u << 8)) % PRADS_MAC_HASH] = &vendor;
	cxid = 0;
}

void prads_tables_free(void)
{
	struct prads_node *n;

	for (int b = 0; b < PRADS_BUCKETS; b++) {
		while ((n = prads.conns[b])) {
			nf_prads_unlink(&prads.conns[b], n);
			free(n);
		}
		while ((n = prads.assets[b])) {
			nf_prads_unlink(&prads.assets[b], n);
			nf_prads_asset_free((struct prads_asset *)n);
		}
	}
	for (int i = 0; i < NF_PRADS_SIGS; i++)
		free(sigs[i]);
	free(macs);
	free(prads.conns);
	free(prads.assets);
	nf_prads_sig_forget();
}
