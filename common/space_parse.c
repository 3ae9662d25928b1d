/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parser of flow spaces: recursive descent straight into a disjunction of
 * conjunctions ("and" multiplies, "or" adds), so its size is bounded as it
 * grows.
 *
 *   expr := prim (('and' | 'or') prim)*
 *   prim := '(' expr ')' | tcp | udp | sctp | icmp | icmp6 | ip | ip6
 *         | [ip|ip6] proto N | [tcp|udp|sctp] [src|dst] port N
 *         | [ip|ip6] [src|dst] host A | [ip|ip6] [src|dst] net A[/L]
 *
 * As in pcap-filter(7), "and" and "or" have equal precedence and associate to
 * the left.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "space.h"

#define ETH_IP	  0x0800
#define ETH_IP6	  0x86dd
#define MAX_DEEP  32
#define MAX_WORD  64
#define MAX_TESTS 64 /* of one alternative; keeps the product small */

struct list {
	unsigned n;
	struct nf_space_term *term;
};

struct parser {
	const char *at;
	char word[MAX_WORD]; /* current token, "" at the end */
	unsigned deep;
	int err;
	char *why;
	size_t whylen;
};

static void fail(struct parser *p, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void fail(struct parser *p, int err, const char *fmt, ...)
{
	va_list ap;

	if (p->err)
		return;
	p->err = err;
	va_start(ap, fmt);
	vsnprintf(p->why, p->whylen, fmt, ap);
	va_end(ap);
}

static void advance(struct parser *p)
{
	size_t n = 0;

	while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n')
		p->at++;
	if (*p->at == '(' || *p->at == ')' || *p->at == '!') {
		n = 1;
	} else if (!strncmp(p->at, "&&", 2) || !strncmp(p->at, "||", 2)) {
		n = 2;
	} else {
		n = strcspn(p->at, " \t\n()!&|");
		if (!n && *p->at)
			n = 1;
	}
	if (n >= MAX_WORD) {
		fail(p, -EINVAL,
		     "a word of the flow space is too long: '%.20s...'; names are not "
		     "looked up",
		     p->at);
		n = 0;
	}
	memcpy(p->word, p->at, n);
	p->word[n] = 0;
	p->at += n;
	if (p->err)
		p->word[0] = 0;
}

static bool is(const struct parser *p, const char *w)
{
	return !strcmp(p->word, w);
}

static bool take(struct parser *p, const char *w)
{
	if (!is(p, w))
		return false;
	advance(p);
	return true;
}

/* ---- lists of terms ---- */

static void list_free(struct list *l)
{
	for (unsigned i = 0; i < l->n; i++)
		free(l->term[i].test);
	free(l->term);
	l->n = 0;
	l->term = NULL;
}

static bool list_add(struct parser *p, struct list *l, struct nf_space_term t)
{
	struct nf_space_term *grown;

	if (l->n >= NF_SPACE_TERMS) {
		fail(p, -E2BIG, "the flow space has more than %d alternatives: split the move",
		     NF_SPACE_TERMS);
		return false;
	}
	grown = realloc(l->term, (l->n + 1) * sizeof(*grown));
	if (!grown) {
		fail(p, -ENOMEM, "out of memory");
		return false;
	}
	l->term = grown;
	l->term[l->n++] = t;
	return true;
}

static struct nf_space_term join(struct parser *p, const struct nf_space_term *a,
				 const struct nf_space_term *b)
{
	struct nf_space_term t = {.n = a->n + b->n};

	if (t.n > MAX_TESTS) {
		fail(p, -E2BIG,
		     "an alternative of the flow space has more than %d conditions: "
		     "write fewer 'and'",
		     MAX_TESTS);
		t.n = 0;
		return t;
	}
	t.test = calloc(t.n ? t.n : 1, sizeof(*t.test));
	if (!t.test) {
		fail(p, -ENOMEM, "out of memory");
		t.n = 0;
		return t;
	}
	if (a->n)
		memcpy(t.test, a->test, a->n * sizeof(*t.test));
	if (b->n)
		memcpy(t.test + a->n, b->test, b->n * sizeof(*t.test));
	return t;
}

static struct list multiply(struct parser *p, struct list *a, struct list *b)
{
	struct list out = {0};

	for (unsigned i = 0; i < a->n && !p->err; i++)
		for (unsigned j = 0; j < b->n && !p->err; j++) {
			struct nf_space_term t = join(p, &a->term[i], &b->term[j]);

			if (p->err || !list_add(p, &out, t))
				free(t.test);
		}
	list_free(a);
	list_free(b);
	return out;
}

static struct list add(struct parser *p, struct list *a, struct list *b)
{
	unsigned i;

	for (i = 0; i < b->n; i++)
		if (!list_add(p, a, b->term[i]))
			break;
	for (; i < b->n; i++)
		free(b->term[i].test);
	free(b->term);
	return *a;
}

static struct list single(struct parser *p, const struct nf_space_test *t, unsigned n)
{
	const struct nf_space_term none = {0}, some = {n, (struct nf_space_test *)t};
	struct nf_space_term term = join(p, &none, &some);
	struct list l = {0};

	if (p->err || !list_add(p, &l, term))
		free(term.test);
	return l;
}

/* ---- primitives ---- */

static bool decimal(const char *text, unsigned long *v)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	*v = strtoul(text, &end, 10);
	return !*end;
}

static bool number(struct parser *p, unsigned max, const char *what, uint16_t *out)
{
	unsigned long v;

	if (!decimal(p->word, &v) || v > max) {
		fail(p, -EINVAL, "'%s' is not a %s from 0 to %u", p->word, what, max);
		return false;
	}
	*out = (uint16_t)v;
	advance(p);
	return true;
}

/* Is no bit of @addr set beyond its first @bits? */
static bool is_masked(const uint8_t *addr, unsigned bits)
{
	for (unsigned i = bits; i < 128; i++)
		if (addr[i / 8] & 0x80 >> i % 8)
			return false;
	return true;
}

static bool address(struct parser *p, bool net, uint16_t family, struct nf_space_test *t)
{
	char text[MAX_WORD], *slash;
	unsigned long bits;
	bool six;

	memcpy(text, p->word, sizeof(text));
	slash = net ? strchr(text, '/') : NULL;
	if (slash)
		*slash = 0;
	memset(t->addr, 0, sizeof(t->addr));
	six = strchr(text, ':') != NULL;
	if (inet_pton(six ? AF_INET6 : AF_INET, text, t->addr) != 1) {
		fail(p, -EINVAL, "'%s' is not an IP address%s; names are not looked up", p->word,
		     net ? "/length" : "");
		return false;
	}
	t->field = NF_SPACE_ADDR;
	t->value = six ? ETH_IP6 : ETH_IP;
	if (family && family != t->value) {
		fail(p, -EINVAL, "'%s' is not an address of %s", p->word, six ? "ip" : "ip6");
		return false;
	}
	bits = six ? 128 : 32;
	if (slash && (!decimal(slash + 1, &bits) || bits > (six ? 128 : 32))) {
		fail(p, -EINVAL, "'%s' has a prefix length that is no number from 0 to %u", p->word,
		     six ? 128 : 32);
		return false;
	}
	if (!is_masked(t->addr, bits)) {
		fail(p, -EINVAL, "'%s' has bits set beyond its length: clear them", p->word);
		return false;
	}
	t->prefix = (uint8_t)bits;
	advance(p);
	return true;
}

static const struct {
	const char *word;
	uint16_t family, proto; /* 0: not implied */
} protos[] = {
	{"tcp", 0, IPPROTO_TCP},
	{"udp", 0, IPPROTO_UDP},
	{"sctp", 0, IPPROTO_SCTP},
	{"icmp", ETH_IP, IPPROTO_ICMP},
	{"icmp6", ETH_IP6, IPPROTO_ICMPV6},
	{"ip", ETH_IP, 0},
	{"ip6", ETH_IP6, 0},
};

static unsigned protocol(struct parser *p, struct nf_space_test *t)
{
	if (!take(p, "proto"))
		return 0;
	*t = (struct nf_space_test){.field = NF_SPACE_PROTO};
	return number(p, 255, "protocol number", &t->value) ? 1 : 0;
}

/* Reads a word for a protocol or family, if there is one, into up to two tests. */
static unsigned qualifier(struct parser *p, struct nf_space_test *t)
{
	unsigned n = 0;

	for (unsigned i = 0; i < sizeof(protos) / sizeof(protos[0]); i++) {
		if (!take(p, protos[i].word))
			continue;
		if (protos[i].family)
			t[n++] = (struct nf_space_test){.field = NF_SPACE_FAMILY,
							.value = protos[i].family};
		if (protos[i].proto)
			t[n++] = (struct nf_space_test){.field = NF_SPACE_PROTO,
							.value = protos[i].proto};
		break;
	}
	if (!n || (n == 1 && t[0].field == NF_SPACE_FAMILY))
		n += protocol(p, &t[n]);
	return n;
}

static bool is_space_word(const struct parser *p)
{
	return is(p, "host") || is(p, "net") || is(p, "port");
}

static void unsupported(struct parser *p)
{
	if (!p->word[0])
		fail(p, -EINVAL,
		     "the flow space ends where a host, net, port or protocol should "
		     "follow");
	else if (is(p, "all"))
		fail(p, -EINVAL, "'all' stands alone: it already means everything");
	else
		fail(p, -EINVAL,
		     "'%s' is not supported in a flow space: a switch can match tcp, udp, icmp, "
		     "icmp6, sctp, proto N, ip, ip6, [src|dst] host|net|port, and, or, ( )",
		     p->word);
}

/* Only a family goes before host and net, only a protocol with ports before port. */
static bool qualifies(const struct nf_space_test *t, unsigned n, bool port)
{
	if (n != 1)
		return !n;
	if (!port)
		return t->field == NF_SPACE_FAMILY;
	return t->field == NF_SPACE_PROTO &&
	       (t->value == IPPROTO_TCP || t->value == IPPROTO_UDP || t->value == IPPROTO_SCTP);
}

/* [src|dst] host|net|port X, after @n tests of a qualifier; returns the number of tests. */
static unsigned target(struct parser *p, const char *word, struct nf_space_test *t, unsigned n,
		       enum nf_space_side side)
{
	bool port = is(p, "port"), net = is(p, "net"), number_given = !strcmp(word, "proto");

	if (number_given || !qualifies(t, n, port)) {
		fail(p, -EINVAL, "'%s' cannot go before '%s': write '%s%s and %s ...'", word,
		     p->word, word, number_given ? " N" : "", p->word);
		return n;
	}
	advance(p);
	if (port) {
		t[n].field = NF_SPACE_PORT;
		if (!number(p, 65535, "port", &t[n].value))
			return n;
	} else if (!address(p, net, n ? t[0].value : 0, &t[n])) {
		return n;
	}
	t[n].side = side;
	return n + 1;
}

static struct list primitive(struct parser *p)
{
	struct nf_space_test t[4] = {0};
	enum nf_space_side side = NF_SPACE_EITHER;
	char word[MAX_WORD];
	unsigned n;

	memcpy(word, p->word, sizeof(word));
	n = qualifier(p, t);
	if (take(p, "src"))
		side = NF_SPACE_SRC;
	else if (take(p, "dst"))
		side = NF_SPACE_DST;
	if (is_space_word(p))
		n = target(p, word, t, n, side);
	else if (side != NF_SPACE_EITHER || !n)
		unsupported(p);
	if (p->err)
		return (struct list){0};
	return single(p, t, n);
}

static struct list expr(struct parser *p);

static struct list factor(struct parser *p)
{
	struct list l;

	if (!take(p, "("))
		return primitive(p);
	if (++p->deep > MAX_DEEP) {
		fail(p, -E2BIG, "the flow space is nested more than %d deep", MAX_DEEP);
		return (struct list){0};
	}
	l = expr(p);
	p->deep--;
	if (!take(p, ")"))
		fail(p, -EINVAL, "the flow space lacks a ')' before '%s'",
		     p->word[0] ? p->word : "the end");
	return l;
}

static struct list expr(struct parser *p)
{
	struct list l = factor(p), r;

	while (!p->err) {
		if (take(p, "and") || take(p, "&&")) {
			r = factor(p);
			l = multiply(p, &l, &r);
		} else if (take(p, "or") || take(p, "||")) {
			r = factor(p);
			l = add(p, &l, &r);
		} else {
			break;
		}
	}
	return l;
}

static char *canonical(const char *text)
{
	char *out = malloc(strlen(text) + 1), *w = out;

	if (!out)
		return NULL;
	for (const char *r = text; *r; r++) {
		bool blank = *r == ' ' || *r == '\t' || *r == '\n';

		if (!blank)
			*w++ = *r;
		else if (w > out && w[-1] != ' ')
			*w++ = ' ';
	}
	while (w > out && w[-1] == ' ')
		w--;
	*w = 0;
	return out;
}

static bool uses_ports(const struct nf_space *s)
{
	for (unsigned i = 0; i < s->n; i++)
		for (unsigned j = 0; j < s->term[i].n; j++)
			if (s->term[i].test[j].field == NF_SPACE_PORT)
				return true;
	return false;
}

int nf_space_parse(const char *text, struct nf_space **out, char *err, size_t errlen)
{
	struct parser p = {.at = text, .why = err, .whylen = errlen};
	struct nf_space *s;
	struct list l = {0};

	*out = NULL;
	if (strlen(text) >= NF_SPACE_TEXT) {
		snprintf(err, errlen, "the flow space is longer than %d characters: split the move",
			 NF_SPACE_TEXT - 1);
		return -E2BIG;
	}
	s = calloc(1, sizeof(*s));
	if (s)
		s->text = canonical(text);
	if (!s || !s->text) {
		nf_space_free(s);
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	advance(&p);
	if (!p.word[0]) {
		fail(&p, -EINVAL,
		     "the flow space is empty: name hosts, nets, ports or protocols, "
		     "or write 'all'");
	} else if (!strcmp(s->text, "all")) {
		s->all = true;
	} else {
		l = expr(&p);
		if (!p.err && p.word[0])
			unsupported(&p);
	}
	s->n = l.n;
	s->term = l.term;
	if (p.err) {
		nf_space_free(s);
		return p.err;
	}
	s->has_ports = uses_ports(s);
	*out = s;
	return 0;
}
