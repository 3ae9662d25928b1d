/* SPDX-License-Identifier: BSD-2-Clause */
/* Flow keys from Ethernet frames. The input is hostile: every read is bounded. */
#include "flow.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ETH_IP	 0x0800
#define ETH_ARP	 0x0806
#define ETH_IP6	 0x86dd
#define ETH_VLAN 0x8100
#define ETH_QINQ 0x88a8
#define ETH_OLDQ 0x9100

#define FRAG_SLOTS 1024 /* datagrams whose first fragment is remembered */

/* Ports of a first fragment, by addresses, identification and, in IPv4, protocol: later fragments
 * of IPv6 name the first header of the fragmented part, which may be an extension header. A slot is
 * overwritten by the next datagram that hashes to it: bounded, and old ones fade. */
struct frag {
	uint8_t addr[2][16]; /* source, destination */
	uint32_t id;
	uint16_t port[2];
	uint8_t proto;
	bool used, six;
};

struct nf_frags {
	struct frag slot[FRAG_SLOTS];
};

struct cursor {
	const uint8_t *p;
	size_t left;
};

/* What is read from the frame, in the packet's direction. */
struct ends {
	uint8_t addr[2][16];
	uint16_t port[2];
	uint8_t proto;
	uint32_t frag_id;
	bool fragment, first, six;
};

struct nf_frags *nf_frags_new(void)
{
	return calloc(1, sizeof(struct nf_frags));
}

void nf_frags_free(struct nf_frags *t)
{
	free(t);
}

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static bool skip(struct cursor *c, size_t n)
{
	if (c->left < n)
		return false;
	c->p += n;
	c->left -= n;
	return true;
}

uint64_t nf_flow_hash(const struct nfshim_flow *f)
{
	uint64_t h = 0x9e3779b97f4a7c15ull, w;
	const uint8_t *p = (const uint8_t *)f;
	uint32_t tail;

	for (size_t i = 0; i + 8 <= sizeof(*f); i += 8) {
		memcpy(&w, p + i, 8);
		h = (h ^ w) * 0xff51afd7ed558ccdull;
		h ^= h >> 32;
	}
	memcpy(&tail, p + sizeof(*f) - 4, 4);
	h = (h ^ tail) * 0xc4ceb9fe1a85ec53ull;
	return h ^ h >> 29;
}

bool nf_flow_equal(const struct nfshim_flow *a, const struct nfshim_flow *b)
{
	return !memcmp(a, b, sizeof(*a));
}

bool nf_flow_canon(struct nfshim_flow *f)
{
	int c = memcmp(f->addr[0], f->addr[1], 16);
	uint8_t t[16];
	uint16_t port;

	if (c < 0 || (c == 0 && f->port[0] <= f->port[1]))
		return false;
	memcpy(t, f->addr[0], 16);
	memcpy(f->addr[0], f->addr[1], 16);
	memcpy(f->addr[1], t, 16);
	port = f->port[0];
	f->port[0] = f->port[1];
	f->port[1] = port;
	return true;
}

static struct frag *frag_slot(struct nf_frags *t, const struct ends *e)
{
	struct nfshim_flow k;

	memset(&k, 0, sizeof(k));
	memcpy(k.addr, e->addr, sizeof(k.addr));
	k.port[0] = (uint16_t)(e->frag_id >> 16);
	k.port[1] = (uint16_t)e->frag_id;
	k.proto = e->six ? 0 : e->proto;
	return &t->slot[nf_flow_hash(&k) % FRAG_SLOTS];
}

static void frag_ports(struct nf_frags *t, struct ends *e)
{
	struct frag *s;

	if (!t || !e->fragment)
		return;
	s = frag_slot(t, e);
	if (e->first) {
		memcpy(s->addr, e->addr, sizeof(s->addr));
		s->id = e->frag_id;
		s->proto = e->proto;
		s->port[0] = e->port[0];
		s->port[1] = e->port[1];
		s->used = true;
		s->six = e->six;
	} else if (s->used && s->id == e->frag_id && s->six == e->six &&
		   (e->six || s->proto == e->proto) && !memcmp(s->addr, e->addr, sizeof(s->addr))) {
		e->proto = s->proto;
		e->port[0] = s->port[0];
		e->port[1] = s->port[1];
	}
}

/* Ports, or what stands for them. ICMP echo: the identifier at the lower end of both directions. */
static void transport(struct cursor *c, struct ends *e)
{
	if (e->fragment && !e->first)
		return;
	switch (e->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		if (c->left >= 4) {
			e->port[0] = be16(c->p);
			e->port[1] = be16(c->p + 2);
		}
		break;
	case IPPROTO_ICMP:
		if (c->left >= 8 && (c->p[0] == 8 || c->p[0] == 0))
			e->port[0] = be16(c->p + 4);
		break;
	case IPPROTO_ICMPV6:
		if (c->left >= 8 && (c->p[0] == 128 || c->p[0] == 129))
			e->port[0] = be16(c->p + 4);
		break;
	}
}

static bool ipv4(struct cursor *c, struct ends *e)
{
	size_t hlen, total;
	uint16_t off;

	if (c->left < 20 || c->p[0] >> 4 != 4)
		return false;
	hlen = (size_t)(c->p[0] & 15) * 4;
	total = be16(c->p + 2);
	if (hlen < 20)
		return false;
	e->proto = c->p[9];
	memcpy(e->addr[0], c->p + 12, 4);
	memcpy(e->addr[1], c->p + 16, 4);
	off = be16(c->p + 6);
	e->fragment = (off & 0x3fff) != 0;
	e->first = (off & 0x1fff) == 0;
	e->frag_id = be16(c->p + 4);
	if (total >= hlen && total < c->left)
		c->left = total;
	if (skip(c, hlen))
		transport(c, e);
	return true;
}

static bool is_ext(uint8_t proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS ||
	       proto == IPPROTO_AH || proto == IPPROTO_FRAGMENT;
}

static bool ipv6(struct cursor *c, struct ends *e)
{
	size_t n;

	if (c->left < 40 || c->p[0] >> 4 != 6)
		return false;
	e->six = true;
	e->proto = c->p[6];
	memcpy(e->addr[0], c->p + 8, 16);
	memcpy(e->addr[1], c->p + 24, 16);
	skip(c, 40);
	for (int i = 0; i < 8 && is_ext(e->proto); i++) {
		if (c->left < 8)
			return true;
		n = e->proto == IPPROTO_AH	   ? ((size_t)c->p[1] + 2) * 4
		    : e->proto == IPPROTO_FRAGMENT ? 8
						   : ((size_t)c->p[1] + 1) * 8;
		if (e->proto == IPPROTO_FRAGMENT) {
			e->fragment = (be16(c->p + 2) & 0xfff9) != 0;
			e->first = (be16(c->p + 2) & 0xfff8) == 0;
			e->frag_id = (uint32_t)be16(c->p + 4) << 16 | be16(c->p + 6);
		}
		e->proto = c->p[0];
		if (!skip(c, n))
			return true;
		if (e->fragment && !e->first)
			return true;
	}
	transport(c, e);
	return true;
}

static void arp(struct cursor *c, struct ends *e)
{
	static const uint8_t eth_ip[] = {0, 1, 8, 0, 6, 4};

	if (c->left < 28 || memcmp(c->p, eth_ip, sizeof(eth_ip)))
		return;
	memcpy(e->addr[0], c->p + 14, 4);
	memcpy(e->addr[1], c->p + 24, 4);
}

static bool link_layer(struct cursor *c, struct nfshim_flow *key)
{
	int tags = 0;

	if (!skip(c, 12) || c->left < 2)
		return false;
	key->ethertype = be16(c->p);
	skip(c, 2);
	while (key->ethertype == ETH_VLAN || key->ethertype == ETH_QINQ ||
	       key->ethertype == ETH_OLDQ) {
		if (c->left < 4)
			return true;
		if (tags < 2)
			key->vlan[tags++] = be16(c->p) & 0xfff;
		key->ethertype = be16(c->p + 2);
		skip(c, 4);
	}
	return true;
}

void nf_flow_parse(const uint8_t *data, size_t len, struct nf_frags *frags, struct nfshim_flow *key,
		   int *src)
{
	struct cursor c = {data, len};
	struct ends e;
	bool ip = false, swapped;

	memset(key, 0, sizeof(*key));
	memset(&e, 0, sizeof(e));
	if (src)
		*src = 0;
	if (!link_layer(&c, key))
		return;
	if (key->ethertype == ETH_IP)
		ip = ipv4(&c, &e);
	else if (key->ethertype == ETH_IP6)
		ip = ipv6(&c, &e);
	else if (key->ethertype == ETH_ARP)
		arp(&c, &e);
	else
		return;
	if (ip)
		frag_ports(frags, &e);
	memcpy(key->addr, e.addr, sizeof(key->addr));
	key->proto = e.proto;
	key->port[0] = e.port[0];
	key->port[1] = e.port[1];
	swapped = nf_flow_canon(key);
	if ((key->proto == IPPROTO_ICMP || key->proto == IPPROTO_ICMPV6) && key->port[1]) {
		key->port[0] = key->port[1];
		key->port[1] = 0;
	}
	if (src)
		*src = swapped;
}

/* ---- text ---- */

static const char *proto_name(uint8_t p)
{
	switch (p) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_SCTP:
		return "sctp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmp6";
	}
	return NULL;
}

static void addr_text(const struct nfshim_flow *f, int i, bool port, char *out, size_t n)
{
	char a[INET6_ADDRSTRLEN];
	bool six = f->ethertype == ETH_IP6;

	inet_ntop(six ? AF_INET6 : AF_INET, f->addr[i], a, sizeof(a));
	if (!port)
		snprintf(out, n, "%s", a);
	else if (six)
		snprintf(out, n, "[%s]:%u", a, f->port[i]);
	else
		snprintf(out, n, "%s:%u", a, f->port[i]);
}

char *nf_flow_format(const struct nfshim_flow *f, char *buf, size_t n)
{
	char vlan[32] = "", a[64], b[64], proto[24];
	const char *name = proto_name(f->proto);
	bool ports = f->proto == IPPROTO_TCP || f->proto == IPPROTO_UDP || f->proto == IPPROTO_SCTP;

	if (f->vlan[1])
		snprintf(vlan, sizeof(vlan), "vlan %u.%u ", f->vlan[0], f->vlan[1]);
	else if (f->vlan[0])
		snprintf(vlan, sizeof(vlan), "vlan %u ", f->vlan[0]);
	addr_text(f, 0, ports && f->kind == NFSHIM_KIND_FLOW, a, sizeof(a));
	addr_text(f, 1, ports, b, sizeof(b));
	if (f->kind == NFSHIM_KIND_HOST) {
		snprintf(buf, n, "%shost %s", vlan, a);
	} else if (f->kind == NFSHIM_KIND_OTHER) {
		snprintf(buf, n, "record %016llx", (unsigned long long)nf_flow_hash(f));
	} else if (f->ethertype == ETH_ARP) {
		snprintf(buf, n, "%sarp %s-%s", vlan, a, b);
	} else if (f->ethertype != ETH_IP && f->ethertype != ETH_IP6) {
		snprintf(buf, n, "%sether 0x%04x", vlan, f->ethertype);
	} else {
		if (name)
			snprintf(proto, sizeof(proto), "%s", name);
		else
			snprintf(proto, sizeof(proto), "proto %u", f->proto);
		if ((f->proto == IPPROTO_ICMP || f->proto == IPPROTO_ICMPV6) && f->port[0])
			snprintf(buf, n, "%s%s %s-%s id %u", vlan, proto, a, b, f->port[0]);
		else
			snprintf(buf, n, "%s%s %s-%s", vlan, proto, a, b);
	}
	return buf;
}
