/* SPDX-License-Identifier: BSD-2-Clause */
/* From conjunctions of tests to fixed header values. */
#include "match.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define ETH_IP	0x0800
#define ETH_IP6 0x86dd

#define EITHERS_MAX 11 /* 2^11 alternatives and their mirror images */

struct list {
	struct nf_match *m;
	unsigned n, cap;
};

static int add(struct list *l, const struct nf_match *m)
{
	struct nf_match *grown;

	for (unsigned i = 0; i < l->n; i++)
		if (!memcmp(&l->m[i], m, sizeof(*m)))
			return 0;
	if (l->n >= NF_MATCH_MAX)
		return -E2BIG;
	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 16;
		grown = realloc(l->m, l->cap * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		l->m = grown;
	}
	l->m[l->n++] = *m;
	return 0;
}

static bool same_net(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole))
		return false;
	return !rest || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static bool want_family(struct nf_match *m, uint16_t family)
{
	if (m->family && m->family != family)
		return false;
	m->family = family;
	return true;
}

/* Two nets on one side: the inner one, if they are nested. */
static bool want_addr(struct nf_match *m, int side, const struct nf_space_test *t)
{
	unsigned less = m->prefix[side] < t->prefix ? m->prefix[side] : t->prefix;

	if (!want_family(m, t->value))
		return false;
	if (m->has[side] && !same_net(m->addr[side], t->addr, less))
		return false;
	if (!m->has[side] || t->prefix > m->prefix[side]) {
		memcpy(m->addr[side], t->addr, sizeof(t->addr));
		m->prefix[side] = t->prefix;
	}
	m->has[side] = 1;
	return true;
}

static bool want_value(int32_t *have, uint16_t want)
{
	if (*have >= 0 && *have != want)
		return false;
	*have = want;
	return true;
}

static bool want(struct nf_match *m, const struct nf_space_test *t, int side)
{
	switch (t->field) {
	case NF_SPACE_FAMILY:
		return want_family(m, t->value);
	case NF_SPACE_PROTO:
		return want_value(&m->proto, t->value);
	case NF_SPACE_ADDR:
		return want_addr(m, side, t);
	case NF_SPACE_PORT:
		return want_value(&m->port[side], t->value);
	}
	return false;
}

/* ARP belongs where only IPv4 addresses are named. */
static bool wants_arp(const struct nf_space_term *t)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->test[i].field != NF_SPACE_ADDR || t->test[i].value != ETH_IP)
			return false;
	return true;
}

static bool has_transport(int32_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

static int add_ip(struct list *l, struct nf_match *m)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
	int err = 0;

	if (m->port[0] < 0 && m->port[1] < 0)
		return add(l, m);
	if (m->proto >= 0)
		return has_transport(m->proto) ? add(l, m) : 0;
	for (unsigned i = 0; i < sizeof(protos) && !err; i++) {
		m->proto = protos[i];
		err = add(l, m);
	}
	return err;
}

static bool is_either(const struct nf_space_test *t)
{
	return (t->field == NF_SPACE_ADDR || t->field == NF_SPACE_PORT) &&
	       t->side == NF_SPACE_EITHER;
}

/* @choice: for the i-th test of either side, bit i says which. */
static int add_choice(struct list *l, const struct nf_space_term *t, unsigned choice, bool mirror)
{
	struct nf_match m;
	unsigned either = 0;
	int err;

	memset(&m, 0, sizeof(m));
	m.proto = m.port[0] = m.port[1] = -1;
	for (unsigned i = 0; i < t->n; i++) {
		int side = t->test[i].side == NF_SPACE_DST ? NF_MATCH_DST : NF_MATCH_SRC;

		if (is_either(&t->test[i]))
			side = choice >> either++ & 1;
		if (!want(&m, &t->test[i], side ^ mirror))
			return 0;
	}
	if (wants_arp(t)) {
		m.arp = 1;
		err = add(l, &m);
		if (err)
			return err;
		m.arp = 0;
	}
	return add_ip(l, &m);
}

static unsigned count_either(const struct nf_space_term *t)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->n; i++)
		n += is_either(&t->test[i]);
	return n;
}

int nf_match_expand(const struct nf_space *s, struct nf_match **out, unsigned *n)
{
	struct list l = {0};
	int err = 0;

	for (unsigned i = 0; i < s->n && !err; i++) {
		unsigned either = count_either(&s->term[i]);

		if (either > EITHERS_MAX)
			err = -E2BIG;
		for (unsigned c = 0; !err && c < 1u << either; c++) {
			err = add_choice(&l, &s->term[i], c, false);
			if (!err)
				err = add_choice(&l, &s->term[i], c, true);
		}
	}
	if (err) {
		free(l.m);
		return err;
	}
	*out = l.m;
	*n = l.n;
	return 0;
}
