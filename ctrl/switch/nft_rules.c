/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules without sets: a chain is replaced as one, so each packet meets the old
 * rules or the new ones, while two lookups in sets could see two generations.
 */
#include "nft_rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "match.h"

#define ETH_IP	0x0800
#define ETH_ARP 0x0806
#define ETH_IP6 0x86dd

void nf_nft_write_counter(FILE *out, const struct nf_switch_conf *c, const char *name)
{
	fprintf(out, "add counter netdev %s %s\n", c->table, name);
}

void nf_nft_write_table(FILE *out, const struct nf_switch_conf *c)
{
	const char *t = c->table;

	/* Adding first makes deleting safe, whether there was one or not. */
	fprintf(out, "add table netdev %s\ndelete table netdev %s\nadd table netdev %s\n", t, t, t);
	nf_nft_write_counter(out, c, NF_NFT_COUNTER_IN);
	nf_nft_write_counter(out, c, NF_NFT_COUNTER_REF);
	fprintf(out, "add chain netdev %s routes\nadd chain netdev %s tagged\n", t, t);
	fprintf(out, "add chain netdev %s classify { type filter hook ingress devices = {", t);
	for (unsigned i = 0; i < c->inputs; i++)
		fprintf(out, "%s \"%s\"", i ? "," : "", c->input[i]);
	fprintf(out, " } priority 0; policy drop; }\n");
}

static void addr_text(const struct nf_match *m, int side, char *buf, size_t n)
{
	int af = m->family == ETH_IP6 ? AF_INET6 : AF_INET;

	inet_ntop(af, m->addr[side], buf, (socklen_t)n);
}

/* ---- by name ---- */

static void write_arp(FILE *out, const struct nf_match *m)
{
	static const char *const side[] = {"saddr", "daddr"};
	char addr[INET6_ADDRSTRLEN];

	fputs(" meta protocol arp", out);
	for (int i = 0; i < 2; i++) {
		if (!m->has[i] || !m->prefix[i])
			continue;
		addr_text(m, i, addr, sizeof(addr));
		fprintf(out, " arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp %s ip %s/%u",
			side[i], addr, m->prefix[i]);
	}
}

static void write_ip(FILE *out, const struct nf_match *m)
{
	static const char *const side[] = {"saddr", "daddr"}, *const port[] = {"sport", "dport"};
	char addr[INET6_ADDRSTRLEN];

	if (m->family)
		fprintf(out, " meta protocol %s", m->family == ETH_IP ? "ip" : "ip6");
	for (int i = 0; i < 2; i++) {
		if (!m->has[i] || !m->prefix[i])
			continue;
		addr_text(m, i, addr, sizeof(addr));
		fprintf(out, " %s %s %s/%u", m->family == ETH_IP ? "ip" : "ip6", side[i], addr,
			m->prefix[i]);
	}
	if (m->proto >= 0)
		fprintf(out, " meta l4proto %d", m->proto);
	for (int i = 0; i < 2; i++)
		if (m->port[i] >= 0)
			fprintf(out, " th %s %d", port[i], m->port[i]);
}

/* ---- by offset, behind an inner tag of 4 bytes ---- */

static void raw(FILE *out, unsigned byte, unsigned bits, uint32_t value)
{
	fprintf(out, " @nh,%u,%u 0x%x", (4 + byte) * 8, bits, value);
}

static void raw_addr(FILE *out, unsigned byte, const uint8_t *addr, unsigned bits)
{
	uint32_t w;

	for (; bits; byte += 4, addr += 4) {
		unsigned n = bits < 32 ? bits : 32;

		memcpy(&w, addr, sizeof(w));
		raw(out, byte, n, ntohl(w) >> (32 - n));
		bits -= n;
	}
}

static void raw_type(FILE *out, uint16_t type)
{
	fprintf(out, " @nh,16,16 0x%x", type);
}

/* Without IP options or extension headers: offsets are fixed. */
static void raw_ip(FILE *out, const struct nf_match *m, uint16_t family)
{
	bool six = family == ETH_IP6;

	raw_type(out, family);
	if (m->proto >= 0)
		raw(out, six ? 6 : 9, 8, (uint32_t)m->proto);
	for (unsigned i = 0; i < 2; i++)
		if (m->has[i])
			raw_addr(out, six ? 8 + 16 * i : 12 + 4 * i, m->addr[i], m->prefix[i]);
	if (m->port[0] < 0 && m->port[1] < 0)
		return;
	if (!six) {
		raw(out, 0, 8, 0x45);
		fprintf(out, " @nh,%u,13 0x0", (4 + 6) * 8 + 3);
	}
	for (unsigned i = 0; i < 2; i++)
		if (m->port[i] >= 0)
			raw(out, (six ? 40 : 20) + 2 * i, 16, (uint32_t)m->port[i]);
}

static void raw_arp(FILE *out, const struct nf_match *m)
{
	raw_type(out, ETH_ARP);
	for (unsigned i = 0; i < 2; i++)
		if (m->has[i])
			raw_addr(out, i ? 24 : 14, m->addr[i], m->prefix[i]);
}

/* ---- rules ---- */

static void rule_start(FILE *out, const struct nf_switch_conf *c, const char *chain)
{
	fprintf(out, "add rule netdev %s %s", c->table, chain);
}

static void rule_end(FILE *out, const struct nf_switch_port *p)
{
	fprintf(out, " counter name %s%s fwd to \"%s\"\n", NF_NFT_COUNTER_PORT, p->name, p->dev);
}

static void write_rule(FILE *out, const struct nf_switch_conf *c, const struct nf_match *m,
		       const struct nf_switch_port *p)
{
	rule_start(out, c, "classify");
	if (m->arp)
		write_arp(out, m);
	else
		write_ip(out, m);
	rule_end(out, p);
}

static void write_raw_rule(FILE *out, const struct nf_switch_conf *c, const struct nf_match *m,
			   const struct nf_switch_port *p)
{
	static const uint16_t both[] = {ETH_IP, ETH_IP6};

	for (unsigned i = 0; i < 2; i++) {
		if (m->family && m->family != both[i])
			continue;
		rule_start(out, c, "tagged");
		if (m->arp)
			raw_arp(out, m);
		else
			raw_ip(out, m, both[i]);
		rule_end(out, p);
	}
}

static void write_everything(FILE *out, const struct nf_switch_conf *c,
			     const struct nf_switch_port *p)
{
	rule_start(out, c, "classify");
	rule_end(out, p);
	rule_start(out, c, "tagged");
	rule_end(out, p);
}

static int write_route(FILE *out, const struct nf_switch_conf *c, const struct nf_route *r)
{
	const struct nf_switch_port *p = nf_switch_port(c, r->instance);
	struct nf_match *m;
	unsigned n;
	int err;

	if (!p)
		return -ENOENT;
	if (r->space->all) {
		write_everything(out, c, p);
		return 0;
	}
	err = nf_match_expand(r->space, &m, &n);
	if (err)
		return err;
	for (unsigned i = 0; i < n; i++) {
		write_rule(out, c, &m[i], p);
		write_raw_rule(out, c, &m[i], p);
	}
	free(m);
	return 0;
}

static void write_memory(FILE *out, const struct nf_switch_conf *c, const struct nf_routes *l)
{
	rule_start(out, c, "routes");
	fprintf(out, " continue comment \"gen %" PRIu64 "\"\n", l->gen);
	for (unsigned i = 0; i < l->n; i++) {
		const char *text = l->r[i].space->text;

		rule_start(out, c, "routes");
		fprintf(out, " continue comment \"to %s\"\n", l->r[i].instance);
		for (size_t at = 0, len = strlen(text); at < len; at += NF_NFT_CHUNK) {
			rule_start(out, c, "routes");
			fprintf(out, " continue comment \"= %.*s|\"\n", NF_NFT_CHUNK, text + at);
		}
	}
}

int nf_nft_write_routes(FILE *out, const struct nf_switch_conf *c, const struct nf_routes *l)
{
	int err = 0;

	fprintf(out,
		"flush chain netdev %s classify\nflush chain netdev %s tagged\n"
		"flush chain netdev %s routes\n",
		c->table, c->table, c->table);
	rule_start(out, c, "classify");
	fputs(" counter name " NF_NFT_COUNTER_IN "\n", out);
	if (c->reference[0]) {
		rule_start(out, c, "classify");
		fprintf(out, " counter name " NF_NFT_COUNTER_REF " dup to \"%s\"\n", c->reference);
	}
	rule_start(out, c, "classify");
	fputs(" meta protocol 8021q goto tagged\n", out);
	rule_start(out, c, "classify");
	fputs(" meta protocol 8021ad goto tagged\n", out);
	for (unsigned i = 0; i < l->n && !err; i++)
		err = write_route(out, c, &l->r[i]);
	write_everything(out, c, nf_switch_port(c, c->fallback));
	write_memory(out, c, l);
	return err;
}
