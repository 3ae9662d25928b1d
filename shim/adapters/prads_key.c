/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which connection a packet belongs to, as PRADS sees it. It sees things its
 * own way: VLAN ids do not count; fragments are read as if each had a transport
 * header; IPv6 extension headers are not followed; ICMP has no ports; of all but
 * TCP, UDP and ICMP it keeps one connection per pair of addresses, protocol 0;
 * 6in4 and the like are keyed by the inner packet. GRE and what it cannot parse
 * make no connection: such keys find nothing.
 */
#include <string.h>

#include "flow.h"
#include "prads.h"

#define ETH_IP	 0x0800
#define ETH_ARP	 0x0806
#define ETH_IP6	 0x86dd
#define ETH_VLAN 0x8100
#define ETH_META 0x9ba8 /* PRADS' test for metro tags, four types or-ed into one */

#define PROTO_ICMP  1
#define PROTO_TCP   6
#define PROTO_UDP   17
#define PROTO_GRE   47
#define PROTO_ICMP6 58

struct view {
	const uint8_t *data;
	size_t len, at;
};

/* What lies behind the captured bytes is unknown; it counts as zero. */
static uint8_t byte(const struct view *v, size_t off)
{
	return v->at + off < v->len ? v->data[v->at + off] : 0;
}

static uint16_t word(const struct view *v, size_t off)
{
	return (uint16_t)(byte(v, off) << 8 | byte(v, off + 1));
}

static void bytes(const struct view *v, size_t off, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = byte(v, off + i);
}

static uint16_t link_layer(struct view *v)
{
	uint16_t type = word(v, 12);

	if (type == ETH_VLAN) {
		type = word(v, 16);
		v->at = 18;
	} else if (type == ETH_META) {
		type = word(v, 20);
		v->at = 22;
	} else {
		v->at = 14;
	}
	return type;
}

static void transport(const struct view *v, size_t off, uint8_t proto, struct nfshim_flow *key)
{
	switch (proto) {
	case PROTO_TCP:
	case PROTO_UDP:
		key->port[0] = word(v, off);
		key->port[1] = word(v, off + 2);
		key->proto = proto;
		break;
	case PROTO_ICMP:
		key->proto = key->ethertype == ETH_IP ? proto : 0;
		break;
	case PROTO_ICMP6:
		key->proto = key->ethertype == ETH_IP6 ? proto : 0;
		break;
	case PROTO_GRE:
		key->proto = key->ethertype == ETH_IP ? proto : 0;
		break;
	}
}

/* One IP header. Returns true if there is another IP packet in it, then @v and @type are its. */
static bool network(struct view *v, uint16_t *type, struct nfshim_flow *key)
{
	bool four = *type == ETH_IP;
	size_t n = four ? 4 : 16, hlen = four ? (byte(v, 0) & 15) * 4u : 40;
	uint8_t proto = byte(v, four ? 9 : 6);

	memset(key, 0, sizeof(*key));
	key->ethertype = *type;
	bytes(v, four ? 12 : 8, key->addr[0], n);
	bytes(v, four ? 16 : 24, key->addr[1], n);
	if (proto == PRADS_PROTO_IP4 || proto == PRADS_PROTO_IP6) {
		*type = proto == PRADS_PROTO_IP4 ? ETH_IP : ETH_IP6;
		v->at += hlen;
		return hlen && v->at < v->len;
	}
	transport(v, hlen, proto, key);
	return false;
}

void nf_prads_key_of(const struct nfshim_packet *pkt, struct nfshim_flow *key)
{
	struct view v = {.data = pkt->data, .len = pkt->caplen};
	uint16_t type;

	if (pkt->len < 14)
		return;
	type = link_layer(&v);
	if (type == ETH_IP || type == ETH_IP6) {
		while (network(&v, &type, key))
			;
		nf_flow_canon(key);
	} else if (type == ETH_ARP) {
		memset(key->vlan, 0, sizeof(key->vlan));
	} else {
		key->ethertype = type;
	}
}

unsigned nf_prads_records_of(const struct nfshim_flow *flow, struct nfshim_flow *keys, unsigned max)
{
	uint16_t type = flow->ethertype == ETH_ARP ? ETH_IP : flow->ethertype;
	unsigned n = 0;

	if (flow->kind != NFSHIM_KIND_FLOW || (type != ETH_IP && type != ETH_IP6))
		return 0;
	for (; n < 2 && n < max; n++) {
		memset(&keys[n], 0, sizeof(keys[n]));
		keys[n].kind = NFSHIM_KIND_HOST;
		keys[n].ethertype = type;
		memcpy(keys[n].addr[0], flow->addr[n], type == ETH_IP ? 4 : 16);
	}
	return n;
}
