/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Per-flow state of PRADS: connections.
 *
 * Blob: kind, version, swapped (the client is the key's second end), reversed,
 * flags of client and server, check, 0; u16 hw_proto; u64 start, last, packets
 * and bytes of the client, of the server. Addresses and ports are the key's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "flow.h"
#include "prads.h"
#include "prads_blob.h"

#define ETH_IP	0x0800
#define ETH_IP6 0x86dd
#define BLOB	58

static size_t addr_len(uint16_t ethertype)
{
	return ethertype == ETH_IP ? 4 : 16;
}

/* The key's first end is the server. */
static bool conn_key(const struct prads_conn *c, struct nfshim_flow *key)
{
	memset(key, 0, sizeof(*key));
	key->ethertype = c->af == AF_INET ? ETH_IP : ETH_IP6;
	memcpy(key->addr[0], c->s_ip, addr_len(key->ethertype));
	memcpy(key->addr[1], c->d_ip, addr_len(key->ethertype));
	key->port[0] = ntohs(c->s_port);
	key->port[1] = ntohs(c->d_port);
	key->proto = c->proto;
	return nf_flow_canon(key);
}

static bool node_key(const struct prads_node *n, struct nfshim_flow *key)
{
	const struct prads_conn *c = (const struct prads_conn *)n;

	if (c->af != AF_INET && c->af != AF_INET6)
		return false;
	conn_key(c, key);
	return true;
}

/* PRADS' hash: the sum of the address words, the ports in network order and the protocol. */
static bool key_bucket(const struct nfshim_flow *key, uint32_t *index)
{
	uint32_t sum = htons(key->port[0]), word;

	if (key->kind != NFSHIM_KIND_FLOW || key->vlan[0] || key->vlan[1] ||
	    (key->ethertype != ETH_IP && key->ethertype != ETH_IP6))
		return false;
	sum += htons(key->port[1]);
	sum += key->proto;
	for (size_t i = 0; i < 2; i++)
		for (size_t at = 0; at < addr_len(key->ethertype); at += 4) {
			memcpy(&word, key->addr[i] + at, 4);
			sum += word;
		}
	*index = sum % PRADS_BUCKETS;
	return true;
}

const struct nf_prads_table nf_prads_conns = {node_key, key_bucket};

static struct prads_conn *find(const struct nf_prads *p, const struct nfshim_flow *key)
{
	uint32_t index;

	if (!key_bucket(key, &index))
		return NULL;
	return (struct prads_conn *)nf_prads_find(&nf_prads_conns, p->conns[index], key);
}

bool nf_prads_conn_has(const struct nf_prads *p, const struct nfshim_flow *key)
{
	return find(p, key) != NULL;
}

ssize_t nf_prads_conn_get(const struct nf_prads *p, const struct nfshim_flow *key, void *buf,
			  size_t cap)
{
	const struct prads_conn *c = find(p, key);
	struct nf_writer w = {.p = buf, .left = cap};
	struct nfshim_flow k;

	if (!c)
		return -ENOENT;
	if (c->c_asset || c->s_asset)
		return -EPROTO; /* the asset might be moved from under it */
	nf_put_u8(&w, 'C');
	nf_put_u8(&w, NF_PRADS_VERSION);
	nf_put_u8(&w, conn_key(c, &k));
	nf_put_u8(&w, c->reversed);
	nf_put_u8(&w, c->s_flags);
	nf_put_u8(&w, c->d_flags);
	nf_put_u8(&w, c->check);
	nf_put_u8(&w, 0);
	nf_put_u16(&w, c->hw_proto);
	nf_put_u64(&w, (uint64_t)c->start);
	nf_put_u64(&w, (uint64_t)c->last);
	nf_put_u64(&w, c->s_pkts);
	nf_put_u64(&w, c->s_bytes);
	nf_put_u64(&w, c->d_pkts);
	nf_put_u64(&w, c->d_bytes);
	return w.full ? -ENOSPC : (ssize_t)(cap - w.left);
}

static int parse(const void *blob, size_t len, struct prads_conn *c, bool *swapped)
{
	struct nf_reader r = {.p = blob, .left = len};
	uint8_t kind = nf_take_u8(&r), version = nf_take_u8(&r), swap = nf_take_u8(&r), zero;

	memset(c, 0, sizeof(*c));
	c->reversed = nf_take_u8(&r);
	c->s_flags = nf_take_u8(&r);
	c->d_flags = nf_take_u8(&r);
	c->check = nf_take_u8(&r);
	zero = nf_take_u8(&r);
	c->hw_proto = nf_take_u16(&r);
	c->start = (int64_t)nf_take_u64(&r);
	c->last = (int64_t)nf_take_u64(&r);
	c->s_pkts = nf_take_u64(&r);
	c->s_bytes = nf_take_u64(&r);
	c->d_pkts = nf_take_u64(&r);
	c->d_bytes = nf_take_u64(&r);
	*swapped = swap;
	if (r.bad || r.left || len != BLOB || kind != 'C' || version != NF_PRADS_VERSION ||
	    swap > 1 || c->reversed > 1 || zero)
		return -EINVAL;
	return 0;
}

static int apply_key(struct prads_conn *c, const struct nfshim_flow *key, bool swapped)
{
	static const uint8_t none[12];
	struct nfshim_flow k = *key;
	int s = swapped, d = !swapped;

	/* What the walk would not name by this very key is not taken in under it. */
	if (nf_flow_canon(&k) ||
	    (key->ethertype == ETH_IP && (memcmp(key->addr[0] + 4, none, sizeof(none)) ||
					  memcmp(key->addr[1] + 4, none, sizeof(none)))))
		return -EINVAL;
	c->af = key->ethertype == ETH_IP ? AF_INET : AF_INET6;
	c->proto = key->proto;
	memcpy(c->s_ip, key->addr[s], sizeof(c->s_ip));
	memcpy(c->d_ip, key->addr[d], sizeof(c->d_ip));
	c->s_port = htons(key->port[s]);
	c->d_port = htons(key->port[d]);
	return 0;
}

/*
 * A chain runs from the youngest connection to the oldest, and PRADS' sweep
 * depends on that order; equals go behind, in the order in which they come.
 */
static struct prads_node *successor(struct prads_node *head, const struct prads_conn *c)
{
	while (head && ((struct prads_conn *)head)->start >= c->start)
		head = head->next;
	return head;
}

int nf_prads_conn_put(struct nf_prads *p, const struct nfshim_flow *key, const void *blob,
		      size_t len)
{
	struct prads_conn in, *c;
	uint32_t index;
	bool swapped;
	int err = parse(blob, len, &in, &swapped);

	if (err || !key_bucket(key, &index))
		return -EINVAL;
	err = apply_key(&in, key, swapped);
	if (err)
		return err;
	c = find(p, key);
	if (c) {
		in.node = c->node;
		in.cxid = c->cxid;
		*c = in;
		return 0;
	}
	c = malloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	*c = in;
	c->cxid = ++*p->cxid;
	nf_prads_link(&p->conns[index], &c->node, successor(p->conns[index], c));
	return 0;
}

int nf_prads_conn_del(struct nf_prads *p, const struct nfshim_flow *key)
{
	struct prads_conn *c = find(p, key);
	uint32_t index;

	if (!c || !key_bucket(key, &index))
		return -ENOENT;
	nf_prads_unlink(&p->conns[index], &c->node);
	free(c);
	return 0;
}
