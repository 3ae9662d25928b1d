/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace_pool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define MAX_POOLS 64

struct pool {
	struct trace_addr base;
	unsigned bits, width;
	uint64_t next; /* offset tried next */
	bool wrapped;
};

struct taken {
	struct trace_addr a;
	UT_hash_handle hh;
};

struct trace_pools {
	struct pool pool[MAX_POOLS];
	int n;
	struct taken *taken;
};

struct trace_pools *trace_pools_new(void)
{
	return calloc(1, sizeof(struct trace_pools));
}

void trace_pools_free(struct trace_pools *p)
{
	struct taken *t, *tmp;

	if (!p)
		return;
	HASH_ITER (hh, p->taken, t, tmp) {
		HASH_DEL(p->taken, t);
		free(t);
	}
	free(p);
}

static void mask(struct trace_addr *a, unsigned bits)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = bits > 8 * i ? bits - 8 * i : 0;

		if (keep < 8)
			a->b[i] &= (uint8_t)(0xff00u >> keep);
	}
}

int trace_pools_add(struct trace_pools *p, const char *prefix)
{
	char text[64], *slash;
	struct pool *q = &p->pool[p->n];

	if (p->n == MAX_POOLS || snprintf(text, sizeof(text), "%s", prefix) >= (int)sizeof(text))
		return -EINVAL;
	slash = strchr(text, '/');
	if (!slash)
		return -EINVAL;
	*slash = 0;
	memset(q, 0, sizeof(*q));
	if (inet_pton(AF_INET, text, q->base.b) == 1)
		q->base.family = 4;
	else if (inet_pton(AF_INET6, text, q->base.b) == 1)
		q->base.family = 6;
	else
		return -EINVAL;
	q->width = q->base.family == 4 ? 32 : 128;
	q->bits = (unsigned)strtoul(slash + 1, NULL, 10);
	if (q->bits == 0 || q->bits + 2 > q->width)
		return -EINVAL;
	mask(&q->base, q->bits);
	q->next = 1;
	p->n++;
	return 0;
}

int trace_pools_find(const struct trace_pools *p, const struct trace_addr *a)
{
	for (int i = 0; i < p->n; i++) {
		struct trace_addr net = *a;

		mask(&net, p->pool[i].bits);
		if (!memcmp(&net, &p->pool[i].base, sizeof(net)))
			return i;
	}
	return -1;
}

static bool is_taken(const struct trace_pools *p, const struct trace_addr *a)
{
	struct taken *t;

	HASH_FIND(hh, p->taken, a, sizeof(*a), t);
	return t != NULL;
}

int trace_pools_take(struct trace_pools *p, const struct trace_addr *a)
{
	struct taken *t;

	if (is_taken(p, a))
		return 0;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->a = *a;
	HASH_ADD(hh, p->taken, a, sizeof(t->a), t);
	return 0;
}

static uint64_t pool_size(const struct pool *q)
{
	unsigned host = q->width - q->bits;

	return host >= 32 ? 1ull << 32 : 1ull << host;
}

static void at_offset(const struct pool *q, uint64_t offset, struct trace_addr *out)
{
	unsigned last = q->width / 8 - 1;

	*out = q->base;
	for (unsigned i = 0; i < 4; i++)
		out->b[last - i] |= (uint8_t)(offset >> (8 * i));
}

/* Network and broadcast addresses of a /24 look odd to people and to some NFs. */
static bool is_odd(const struct trace_addr *a)
{
	return a->family == 4 && (a->b[3] == 0 || a->b[3] == 255);
}

int trace_pools_next(struct trace_pools *p, int pool, struct trace_addr *out, unsigned long *again)
{
	struct pool *q = &p->pool[pool];

	do {
		if (q->next >= pool_size(q)) {
			q->next = 1;
			q->wrapped = true;
		}
		at_offset(q, q->next++, out);
	} while (is_odd(out) || (!q->wrapped && is_taken(p, out)));
	*again += q->wrapped;
	return trace_pools_take(p, out);
}
