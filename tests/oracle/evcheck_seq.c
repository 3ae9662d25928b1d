/* SPDX-License-Identifier: BSD-2-Clause */
/* Sequences of packet ids; see evcheck_seq.h. */
#include "evcheck_seq.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void grow(struct seq *s, uint32_t cap)
{
	if (cap <= s->cap)
		return;
	s->cap = cap;
	s->id = realloc(s->id, cap * sizeof(*s->id));
	if (!s->id) {
		fprintf(stderr, "evcheck: out of memory\n");
		exit(2);
	}
}

void seq_add(struct seq *s, uint64_t id)
{
	if (s->n == s->cap)
		grow(s, s->cap ? 2 * s->cap : 16);
	s->id[s->n++] = id;
}

void seq_copy(struct seq *to, const struct seq *from)
{
	grow(to, from->n);
	if (from->n)
		memcpy(to->id, from->id, from->n * sizeof(*to->id));
	to->n = from->n;
}

void seq_clear(struct seq *s)
{
	free(s->id);
	memset(s, 0, sizeof(*s));
}

bool seq_equal(const struct seq *a, const struct seq *b)
{
	return a->n == b->n && (!a->n || !memcmp(a->id, b->id, a->n * sizeof(*a->id)));
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void count(const struct seq *got, const struct seq *want, struct seq_diff *d)
{
	struct seq g = {0}, w = {0};
	uint32_t i = 0, j = 0;

	seq_copy(&g, got);
	seq_copy(&w, want);
	if (g.n)
		qsort(g.id, g.n, sizeof(*g.id), by_id);
	if (w.n)
		qsort(w.id, w.n, sizeof(*w.id), by_id);
	while (i < g.n && j < w.n) {
		if (g.id[i] == w.id[j]) {
			i++;
			j++;
		} else if (g.id[i] < w.id[j]) {
			i++;
			d->extra++;
		} else {
			j++;
			d->missing++;
		}
	}
	d->extra += g.n - i;
	d->missing += w.n - j;
	seq_clear(&g);
	seq_clear(&w);
}

struct seq_diff seq_compare(const struct seq *got, const struct seq *want)
{
	uint32_t least = got->n < want->n ? got->n : want->n, tail = 0;
	struct seq_diff d = {0};

	while (d.first < least && got->id[d.first] == want->id[d.first])
		d.first++;
	while (tail < least && got->id[got->n - 1 - tail] == want->id[want->n - 1 - tail])
		tail++;
	d.one_gap = got->n < want->n && d.first + tail >= got->n;
	count(got, want, &d);
	return d;
}
