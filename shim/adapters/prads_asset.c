/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multi-flow state of PRADS: assets. PRADS finds an asset by its address alone;
 * the VLAN is a note on it. ICMPv6 fingerprinting may add a second asset of the
 * same address, which hides the first: a key's blob has all of them, in order.
 *
 * Blob: kind, version; u16 assets; of each: u64 first, last; u16 attempts, vlan;
 * 6 bytes MAC; vendor entry (0, or 1 with 6 bytes, mask, text); u16 services, of
 * each: u64 first, last; u16 attempts, proto, port; ttl; u32 role, unknown; texts
 * service, application; u16 operating systems, see write_os().
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "flow.h"
#include "prads.h"
#include "prads_asset.h"
#include "prads_blob.h"

#define ETH_IP	0x0800
#define ETH_IP6 0x86dd

static bool node_key(const struct prads_node *n, struct nfshim_flow *key)
{
	const struct prads_asset *a = (const struct prads_asset *)n;

	if (a->af != AF_INET && a->af != AF_INET6)
		return false;
	memset(key, 0, sizeof(*key));
	key->kind = NFSHIM_KIND_HOST;
	key->ethertype = a->af == AF_INET ? ETH_IP : ETH_IP6;
	memcpy(key->addr[0], a->ip, a->af == AF_INET ? 4 : 16);
	return true;
}

/* PRADS' hash: the last 32 bits of the address. */
static bool key_bucket(const struct nfshim_flow *key, uint32_t *index)
{
	uint32_t word;

	if (key->kind != NFSHIM_KIND_HOST || key->vlan[0] || key->vlan[1] ||
	    (key->ethertype != ETH_IP && key->ethertype != ETH_IP6))
		return false;
	memcpy(&word, key->addr[0] + (key->ethertype == ETH_IP ? 0 : 12), 4);
	*index = word % PRADS_BUCKETS;
	return true;
}

const struct nf_prads_table nf_prads_assets = {node_key, key_bucket};

static struct prads_asset *find_from(struct prads_node *n, const struct nfshim_flow *key)
{
	return (struct prads_asset *)nf_prads_find(&nf_prads_assets, n, key);
}

static struct prads_asset *find(const struct nf_prads *p, const struct nfshim_flow *key)
{
	uint32_t index;

	return key_bucket(key, &index) ? find_from(p->assets[index], key) : NULL;
}

static unsigned count(struct prads_asset *a, const struct nfshim_flow *key)
{
	unsigned n = 0;

	for (; a && n < UINT16_MAX; a = find_from(a->node.next, key))
		n++;
	return n;
}

bool nf_prads_asset_has(const struct nf_prads *p, const struct nfshim_flow *key)
{
	return find(p, key) != NULL;
}

ssize_t nf_prads_asset_get(const struct nf_prads *p, const struct nfshim_flow *key, void *buf,
			   size_t cap)
{
	struct prads_asset *a = find(p, key);
	struct nf_writer w = {.p = buf, .left = cap};

	if (!a)
		return -ENOENT;
	nf_put_u8(&w, 'A');
	nf_put_u8(&w, NF_PRADS_VERSION);
	nf_put_u16(&w, (uint16_t)count(a, key));
	for (; a && !w.full && !w.refused; a = find_from(a->node.next, key))
		nf_prads_asset_write(p, &w, a);
	if (w.refused)
		return -EMSGSIZE;
	return w.full ? -ENOSPC : (ssize_t)(cap - w.left);
}

static bool str_equal(const struct prads_string *a, const struct prads_string *b)
{
	if (!a || !b)
		return a == b;
	return a->slen == b->slen && !memcmp(a->data, b->data, (size_t)a->slen);
}

static bool same_service(const struct prads_node *a, const struct prads_node *b)
{
	const struct prads_serv *x = (const void *)a, *y = (const void *)b;

	return x->port == y->port && x->proto == y->proto;
}

/* As update_asset_os compares: the signature's addresses, or the text where there is none. */
static bool same_os(const struct prads_node *a, const struct prads_node *b)
{
	const struct prads_os *x = (const void *)a, *y = (const void *)b;

	if (x->detection != y->detection || x->fp.os != y->fp.os || x->fp.desc != y->fp.desc)
		return false;
	if (x->detection == PRADS_ICMP || x->detection == PRADS_UDP)
		return str_equal(x->raw_fp, y->raw_fp);
	return true;
}

/* @in takes the place of @own: what both have is freed from @own, the rest goes behind @in. */
static struct prads_node *merge_list(struct prads_node *in, struct prads_node *own,
				     bool (*same)(const struct prads_node *,
						  const struct prads_node *),
				     void (*release)(struct prads_node *), bool linked)
{
	struct prads_node **tail = &in, *last = NULL, *next;

	for (; *tail; tail = &(*tail)->next)
		last = *tail;
	for (struct prads_node *n = own; n; n = next) {
		const struct prads_node *i = in;

		next = n->next;
		while (i && !same(i, n))
			i = i->next;
		if (i) {
			release(n);
			continue;
		}
		n->prev = linked ? last : NULL;
		n->next = NULL;
		*tail = last = n;
		tail = &n->next;
	}
	return in;
}

static void merge(struct prads_asset *own, struct prads_asset *in)
{
	static const uint8_t no_mac[6];

	if (in->first < own->first)
		own->first = in->first;
	if (in->last >= own->last) {
		own->last = in->last;
		own->vlan = in->vlan;
	}
	own->attempts = in->attempts;
	if (memcmp(in->mac, no_mac, sizeof(no_mac))) {
		memcpy(own->mac, in->mac, sizeof(own->mac));
		own->vendor = in->vendor;
	}
	own->services =
		merge_list(in->services, own->services, same_service, nf_prads_serv_free, false);
	own->os = merge_list(in->os, own->os, same_os, nf_prads_os_free, true);
	free(in);
}

static void free_all(struct prads_node *n)
{
	struct prads_node *next;

	for (; n; n = next) {
		next = n->next;
		nf_prads_asset_free((struct prads_asset *)n);
	}
}

/* All assets of the blob, chained by next. */
static int read_all(const struct nf_prads *p, const struct nfshim_flow *key, const void *blob,
		    size_t len, struct prads_node **list, unsigned *n)
{
	struct nf_reader r = {.p = blob, .left = len};
	uint8_t kind = nf_take_u8(&r), version = nf_take_u8(&r);
	struct prads_node **tail = list;
	unsigned left = *n = nf_take_u16(&r);
	int err = 0;

	if (r.bad || !left || kind != 'A' || version != NF_PRADS_VERSION)
		return -EINVAL;
	for (; left && !err; left--) {
		struct prads_asset *a = calloc(1, sizeof(*a));

		if (!a)
			return -ENOMEM;
		a->af = key->ethertype == ETH_IP ? AF_INET : AF_INET6;
		memcpy(a->ip, key->addr[0], sizeof(a->ip));
		*tail = &a->node;
		tail = &a->node.next;
		err = nf_prads_asset_read(p, &r, a);
	}
	if (!err && (r.bad || r.left))
		err = -EINVAL;
	return err;
}

static bool good_key(const struct nfshim_flow *key)
{
	struct nfshim_flow k = {.kind = NFSHIM_KIND_HOST, .ethertype = key->ethertype};

	memcpy(k.addr[0], key->addr[0], key->ethertype == ETH_IP ? 4 : 16);
	return nf_flow_equal(&k, key);
}

/* The chain grows at its head, so the two lists of one address have their ends in common. */
static void apply(struct prads_node **head, const struct nfshim_flow *key, struct prads_node *list,
		  unsigned n)
{
	struct prads_asset *own = find_from(*head, key);
	struct prads_node *next;
	unsigned have = count(own, key);

	for (; have > n; have--)
		own = find_from(own->node.next, key);
	for (; list; list = next) {
		next = list->next;
		if (n-- > have) {
			nf_prads_link(head, list, own ? &own->node : NULL);
			continue;
		}
		merge(own, (struct prads_asset *)list);
		own = find_from(own->node.next, key);
	}
}

int nf_prads_asset_put(struct nf_prads *p, const struct nfshim_flow *key, const void *blob,
		       size_t len)
{
	struct prads_node *list = NULL;
	uint32_t index;
	unsigned n;
	int err;

	if (!key_bucket(key, &index) || !good_key(key))
		return -EINVAL;
	err = read_all(p, key, blob, len, &list, &n);
	if (err) {
		free_all(list);
		return err;
	}
	apply(&p->assets[index], key, list, n);
	return 0;
}

int nf_prads_asset_del(struct nf_prads *p, const struct nfshim_flow *key)
{
	struct prads_asset *a = find(p, key);
	uint32_t index;

	if (!a || !key_bucket(key, &index))
		return -ENOENT;
	for (; a; a = find(p, key)) {
		nf_prads_unlink(&p->assets[index], &a->node);
		nf_prads_asset_free(a);
	}
	return 0;
}
