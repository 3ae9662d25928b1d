/* SPDX-License-Identifier: BSD-2-Clause */
#include "ranks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 64u

static int grow(struct nf_ranks *r, size_t count)
{
	size_t size = r->size ? r->size : FIRST_SIZE;
	struct nf_rank *of;

	while (size <= count)
		size *= 2;
	of = calloc(size, sizeof(*of));
	if (!of)
		return -ENOMEM;
	for (size_t i = 1; i <= r->top; i++) {
		of[i] = r->of[i];
		if (!LIST_EMPTY(&of[i])) /* it points back at its head */
			LIST_FIRST(&of[i])->next.le_prev = &LIST_FIRST(&of[i]);
	}
	free(r->of);
	r->of = of;
	r->size = size;
	return 0;
}

static void put(struct nf_ranks *r, struct nf_ranked *x, size_t count)
{
	x->count = count;
	if (!count)
		return;
	LIST_INSERT_HEAD(&r->of[count], x, next);
	if (count > r->top)
		r->top = count;
}

static void take(struct nf_ranked *x)
{
	if (x->count)
		LIST_REMOVE(x, next);
}

static void lower_top(struct nf_ranks *r)
{
	while (r->top && LIST_EMPTY(&r->of[r->top]))
		r->top--;
}

int nf_ranks_up(struct nf_ranks *r, struct nf_ranked *x)
{
	size_t count = x->count + 1;

	if (count >= r->size && grow(r, count))
		return -ENOMEM;
	take(x);
	put(r, x, count);
	return 0;
}

void nf_ranks_down(struct nf_ranks *r, struct nf_ranked *x)
{
	take(x);
	put(r, x, x->count - 1);
	lower_top(r);
}

void nf_ranks_remove(struct nf_ranks *r, struct nf_ranked *x)
{
	take(x);
	x->count = 0;
	lower_top(r);
}

struct nf_ranked *nf_ranks_top(const struct nf_ranks *r)
{
	return r->top ? LIST_FIRST(&r->of[r->top]) : NULL;
}

void nf_ranks_free(struct nf_ranks *r)
{
	free(r->of);
	memset(r, 0, sizeof(*r));
}
