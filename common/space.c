/* SPDX-License-Identifier: BSD-2-Clause */
/* Flow spaces: does a flow, a host, belong? The parser is in space_parse.c. */
#include "space.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define ETH_IP	0x0800
#define ETH_ARP 0x0806
#define ETH_IP6 0x86dd

void nf_space_free(struct nf_space *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->n; i++)
		free(s->term[i].test);
	free(s->term);
	free(s->text);
	free(s);
}

static bool in_prefix(const uint8_t *addr, const uint8_t *net, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(addr, net, whole))
		return false;
	return !rest || ((addr[whole] ^ net[whole]) >> (8 - rest)) == 0;
}

static bool is_ip(const struct nfshim_flow *f)
{
	return f->ethertype == ETH_IP || f->ethertype == ETH_IP6;
}

/* @from: which end of the key sends. */
static bool test_holds(const struct nf_space_test *t, const struct nfshim_flow *f, int from)
{
	bool src = t->side != NF_SPACE_DST, dst = t->side != NF_SPACE_SRC;

	switch (t->field) {
	case NF_SPACE_FAMILY:
		return f->ethertype == t->value;
	case NF_SPACE_PROTO:
		return is_ip(f) && f->proto == t->value;
	case NF_SPACE_ADDR:
		/* As in pcap-filter, an IPv4 address also means ARP for it. */
		if (f->ethertype != t->value && !(f->ethertype == ETH_ARP && t->value == ETH_IP))
			return false;
		return (src && in_prefix(f->addr[from], t->addr, t->prefix)) ||
		       (dst && in_prefix(f->addr[!from], t->addr, t->prefix));
	case NF_SPACE_PORT:
		if (!is_ip(f) || (f->proto != IPPROTO_TCP && f->proto != IPPROTO_UDP &&
				  f->proto != IPPROTO_SCTP))
			return false;
		return (src && f->port[from] == t->value) || (dst && f->port[!from] == t->value);
	}
	return false;
}

static bool term_holds(const struct nf_space_term *t, const struct nfshim_flow *f, int from)
{
	for (unsigned i = 0; i < t->n; i++)
		if (!test_holds(&t->test[i], f, from))
			return false;
	return true;
}

bool nf_space_has_flow(const struct nf_space *s, const struct nfshim_flow *f)
{
	if (s->all)
		return true;
	for (unsigned i = 0; i < s->n; i++)
		if (term_holds(&s->term[i], f, 0) || term_holds(&s->term[i], f, 1))
			return true;
	return false;
}

bool nf_space_has_host(const struct nf_space *s, const struct nfshim_flow *host)
{
	if (s->all)
		return true;
	for (unsigned i = 0; i < s->n; i++)
		for (unsigned j = 0; j < s->term[i].n; j++) {
			const struct nf_space_test *t = &s->term[i].test[j];

			if (t->field == NF_SPACE_ADDR && t->value == host->ethertype &&
			    in_prefix(host->addr[0], t->addr, t->prefix))
				return true;
		}
	return false;
}

/* Can no packet satisfy both tests, and no flow have packets that satisfy one each? Addresses of
 * either side may be met by opposite ends, so only facts about the whole flow can exclude. */
static bool tests_exclude(const struct nf_space_test *a, const struct nf_space_test *b)
{
	if (a->field == NF_SPACE_PROTO && b->field == NF_SPACE_PROTO)
		return a->value != b->value;
	if (a->field == NF_SPACE_FAMILY && b->field == NF_SPACE_FAMILY)
		return a->value != b->value;
	if ((a->field == NF_SPACE_FAMILY && b->field == NF_SPACE_ADDR) ||
	    (a->field == NF_SPACE_ADDR &&
	     (b->field == NF_SPACE_FAMILY || b->field == NF_SPACE_ADDR)))
		return a->value != b->value;
	return false;
}

static bool terms_overlap(const struct nf_space_term *a, const struct nf_space_term *b)
{
	for (unsigned i = 0; i < a->n; i++)
		for (unsigned j = 0; j < b->n; j++)
			if (tests_exclude(&a->test[i], &b->test[j]))
				return false;
	return true;
}

bool nf_space_overlap(const struct nf_space *a, const struct nf_space *b)
{
	if (a->all || b->all)
		return true;
	for (unsigned i = 0; i < a->n; i++)
		for (unsigned j = 0; j < b->n; j++)
			if (terms_overlap(&a->term[i], &b->term[j]))
				return true;
	return false;
}
