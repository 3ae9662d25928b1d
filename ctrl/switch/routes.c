/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of routes and which of them still matter. */
#include "routes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void nf_routes_clear(struct nf_routes *l)
{
	for (unsigned i = 0; i < l->n; i++)
		nf_space_free(l->r[i].space);
	free(l->r);
	*l = (struct nf_routes){0};
}

static struct nf_space *space_copy(const struct nf_space *s)
{
	struct nf_space *out = NULL;
	char err[256];

	return nf_space_parse(s->text, &out, err, sizeof(err)) ? NULL : out;
}

int nf_routes_append(struct nf_routes *l, const char *instance, struct nf_space *space)
{
	struct nf_route *r = realloc(l->r, (l->n + 1) * sizeof(*r));

	if (!r)
		return -ENOMEM;
	l->r = r;
	r += l->n++;
	snprintf(r->instance, sizeof(r->instance), "%s", instance);
	r->space = space;
	return 0;
}

int nf_routes_copy(const struct nf_routes *from, struct nf_routes *to)
{
	*to = (struct nf_routes){.gen = from->gen};
	for (unsigned i = 0; i < from->n; i++) {
		struct nf_space *s = space_copy(from->r[i].space);

		if (!s || nf_routes_append(to, from->r[i].instance, s)) {
			nf_space_free(s);
			nf_routes_clear(to);
			return -ENOMEM;
		}
	}
	return 0;
}

static void take_out(struct nf_routes *l, unsigned i)
{
	nf_space_free(l->r[i].space);
	memmove(&l->r[i], &l->r[i + 1], (--l->n - i) * sizeof(l->r[0]));
}

/* Would its packets go the same way without route @i? */
static bool redundant(const struct nf_routes *l, unsigned i, const char *fallback)
{
	const struct nf_route *r = &l->r[i];

	for (unsigned j = i + 1; j < l->n; j++) {
		if (!nf_space_overlap(l->r[j].space, r->space))
			continue;
		if (strcmp(l->r[j].instance, r->instance))
			return false;
		if (nf_space_covers(l->r[j].space, r->space))
			return true;
	}
	return !strcmp(r->instance, fallback);
}

static void prune(struct nf_routes *l, const char *fallback)
{
	for (unsigned i = 0; i < l->n; i++)
		for (unsigned j = l->n - 1; j > i; j--)
			if (nf_space_covers(l->r[i].space, l->r[j].space))
				take_out(l, j);
	/* From the oldest: each that goes may free the one before it. */
	for (unsigned i = l->n; i-- > 0;)
		if (redundant(l, i, fallback))
			take_out(l, i);
}

int nf_routes_set(struct nf_routes *l, const struct nf_space *space, const char *instance,
		  const char *fallback)
{
	struct nf_space *s = space_copy(space);
	struct nf_route newest;

	if (!s || nf_routes_append(l, instance, s)) {
		nf_space_free(s);
		return -ENOMEM;
	}
	newest = l->r[l->n - 1];
	memmove(&l->r[1], &l->r[0], (l->n - 1) * sizeof(l->r[0]));
	l->r[0] = newest;
	prune(l, fallback);
	return 0;
}

/* ---- covers ---- */

static bool in_net(const struct nf_space_test *a, const struct nf_space_test *b)
{
	unsigned whole = a->prefix / 8, rest = a->prefix % 8;

	if (a->value != b->value || a->prefix > b->prefix || memcmp(a->addr, b->addr, whole))
		return false;
	return !rest || ((a->addr[whole] ^ b->addr[whole]) >> (8 - rest)) == 0;
}

static enum nf_space_side other(enum nf_space_side s)
{
	return s == NF_SPACE_SRC ? NF_SPACE_DST : s == NF_SPACE_DST ? NF_SPACE_SRC : s;
}

/* Does a packet that passes @b pass @a? @flip: seen from the other direction. */
static bool test_implied(const struct nf_space_test *a, const struct nf_space_test *b, bool flip)
{
	enum nf_space_side side = flip ? other(b->side) : b->side;

	if (a->field != b->field)
		return false;
	if (a->field == NF_SPACE_FAMILY || a->field == NF_SPACE_PROTO)
		return a->value == b->value;
	if (a->side != NF_SPACE_EITHER && a->side != side)
		return false;
	return a->field == NF_SPACE_PORT ? a->value == b->value : in_net(a, b);
}

static bool term_implied(const struct nf_space_term *a, const struct nf_space_term *b, bool flip)
{
	for (unsigned i = 0; i < a->n; i++) {
		bool ok = false;

		for (unsigned j = 0; j < b->n && !ok; j++)
			ok = test_implied(&a->test[i], &b->test[j], flip);
		if (!ok)
			return false;
	}
	return true;
}

static bool covers_term(const struct nf_space *a, const struct nf_space_term *t)
{
	for (unsigned i = 0; i < a->n; i++)
		if (term_implied(&a->term[i], t, false) || term_implied(&a->term[i], t, true))
			return true;
	return false;
}

bool nf_space_covers(const struct nf_space *a, const struct nf_space *b)
{
	if (a->all || b->all)
		return a->all;
	for (unsigned i = 0; i < b->n; i++)
		if (!covers_term(a, &b->term[i]))
			return false;
	return true;
}
