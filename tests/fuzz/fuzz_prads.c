/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blobs for the PRADS adapter: what is refused changes nothing, what is taken
 * is there under its key, can be read, and changes nothing when it comes again.
 */
#include "fuzz_prads.h"

#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "prads_tables.h"

const enum nf_fuzz_kind nf_fuzz_kind = NF_FUZZ_PRADS;

#define CAP (1u << 20)

/* One of the adapter's two kinds of state. */
static const struct kind {
	const struct nf_prads_table *table;
	bool (*has)(const struct nf_prads *p, const struct nfshim_flow *key);
	ssize_t (*get)(const struct nf_prads *p, const struct nfshim_flow *key, void *buf,
		       size_t cap);
	int (*put)(struct nf_prads *p, const struct nfshim_flow *key, const void *blob, size_t len);
	int (*del)(struct nf_prads *p, const struct nfshim_flow *key);
} kinds[] = {
	{&nf_prads_conns, nf_prads_conn_has, nf_prads_conn_get, nf_prads_conn_put,
	 nf_prads_conn_del},
	{&nf_prads_assets, nf_prads_asset_has, nf_prads_asset_get, nf_prads_asset_put,
	 nf_prads_asset_del},
};

static uint8_t before[CAP], after[CAP];

static int named(void *arg, const struct nfshim_flow *key)
{
	NF_FUZZ_PROMISE(!memcmp(arg, key, sizeof(*key)));
	return 0;
}

static void check_chain(const struct kind *k, const struct nfshim_flow *key)
{
	struct prads_node *const *heads = k->table == &nf_prads_conns ? prads.conns : prads.assets;
	const struct prads_node *prev = NULL;
	struct nfshim_flow copy = *key;
	uint64_t cursor;
	uint32_t bucket;

	NF_FUZZ_PROMISE(k->table->bucket(key, &bucket) && bucket < PRADS_BUCKETS);
	for (const struct prads_node *n = heads[bucket]; n; prev = n, n = n->next)
		NF_FUZZ_PROMISE(n->prev == prev);
	cursor = (uint64_t)bucket << 48;
	nf_prads_list(k->table, heads, &cursor, 1, named, &copy);
}

static void taken(const struct kind *k, const struct nfshim_flow *key)
{
	ssize_t n = k->get(&prads, key, before, CAP);

	NF_FUZZ_PROMISE(k->has(&prads, key) && n > 0);
	check_chain(k, key);
	NF_FUZZ_PROMISE(k->put(&prads, key, before, (size_t)n) == 0);
	NF_FUZZ_PROMISE(k->get(&prads, key, after, CAP) == n && !memcmp(before, after, (size_t)n));
}

static void put(const struct kind *k, const struct nfshim_flow *key, const uint8_t *blob,
		size_t len)
{
	ssize_t n = k->get(&prads, key, before, CAP);
	int rc = k->put(&prads, key, blob, len);

	if (rc == 0) {
		taken(k, key);
		return;
	}
	NF_FUZZ_PROMISE(rc == -EINVAL);
	NF_FUZZ_PROMISE(k->get(&prads, key, after, CAP) == n);
	NF_FUZZ_PROMISE(n < 0 || !memcmp(before, after, (size_t)n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_prads in;
	const struct kind *k;
	struct nfshim_flow key;
	size_t first;

	if (size < sizeof(in))
		return 0;
	if (!prads.conns)
		prads_tables_new();
	memcpy(&in, data, sizeof(in));
	data += sizeof(in);
	size -= sizeof(in);
	k = &kinds[in.asset & 1];
	key = in.key;
	first = in.first[0] | (size_t)in.first[1] << 8;
	if (first > size)
		first = size;
	put(k, &key, data, first);
	put(k, &key, data + first, size - first);
	k->del(&prads, &key);
	NF_FUZZ_PROMISE(!k->has(&prads, &key));
	nf_prads_sig_forget();
	return 0;
}
