/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PRADS recognises a fingerprint that it has seen by the address of its
 * signature's texts. Between processes a signature is named by its line and
 * its texts; the tables are indexed once, when the first record is moved: PRADS
 * loads them before its input starts and never again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "prads.h"

#define ENTRIES_MAX 100000u /* of a table; more: it is damaged */
#define TEXTS_MAX   65536u  /* kept copies; more: somebody floods us */

struct sig_table {
	struct prads_fp **by_line, **by_name;
	size_t n;
	bool ready;
};

/* A text that no signature of ours has: it gets one address for good, as a signature's has. */
struct text {
	UT_hash_handle hh;
	char s[];
};

static struct sig_table tables[NF_PRADS_SIGS];
static struct text *texts;

static int table_of(uint8_t detection)
{
	switch (detection) {
	case PRADS_SYN:
		return 0;
	case PRADS_SYNACK:
		return 1;
	case PRADS_ACK:
		return 2;
	case PRADS_FIN:
		return 3;
	case PRADS_RST:
		return 4;
	}
	return -1;
}

static int compare_line(const void *a, const void *b)
{
	const struct prads_fp *const *x = a, *const *y = b;

	return ((*x)->line > (*y)->line) - ((*x)->line < (*y)->line);
}

static int compare_name(const void *a, const void *b)
{
	const struct prads_fp *const *x = a, *const *y = b;

	return ((*x)->os > (*y)->os) - ((*x)->os < (*y)->os);
}

static size_t walk(struct prads_fp **sigs, uint32_t buckets, struct prads_fp **out)
{
	size_t n = 0;

	for (uint32_t b = 0; sigs && b < buckets; b++)
		for (struct prads_fp *e = sigs[b]; e && n < ENTRIES_MAX; e = e->next) {
			if (!e->os || !e->desc)
				continue;
			if (out)
				out[n] = e;
			n++;
		}
	return n;
}

static struct sig_table *table(const struct nf_prads *p, uint8_t detection)
{
	int i = table_of(detection);
	struct sig_table *t;
	struct prads_fp **sigs;

	if (i < 0)
		return NULL;
	t = &tables[i];
	sigs = *p->sigs[i];
	if (t->ready)
		return t;
	t->n = walk(sigs, *p->sig_buckets, NULL);
	t->by_line = calloc(t->n + 1, sizeof(*t->by_line));
	t->by_name = calloc(t->n + 1, sizeof(*t->by_name));
	if (!t->by_line || !t->by_name) {
		free(t->by_line);
		free(t->by_name);
		return NULL;
	}
	walk(sigs, *p->sig_buckets, t->by_line);
	memcpy(t->by_name, t->by_line, t->n * sizeof(*t->by_name));
	qsort(t->by_line, t->n, sizeof(*t->by_line), compare_line);
	qsort(t->by_name, t->n, sizeof(*t->by_name), compare_name);
	t->ready = true;
	return t;
}

uint32_t nf_prads_sig_line(const struct nf_prads *p, const struct prads_os *os)
{
	const struct sig_table *t = os->fp.os ? table(p, os->detection) : NULL;
	const struct prads_fp *key = &os->fp;
	struct prads_fp **e;

	if (!t)
		return 0;
	e = bsearch(&key, t->by_name, t->n, sizeof(*t->by_name), compare_name);
	return e && (*e)->desc == os->fp.desc ? (*e)->line : 0;
}

static struct prads_fp *find(const struct sig_table *t, uint32_t line, const char *name,
			     const char *desc)
{
	const struct prads_fp probe = {.line = line}, *key = &probe;
	struct prads_fp **e;

	if (!t)
		return NULL;
	e = bsearch(&key, t->by_line, t->n, sizeof(*t->by_line), compare_line);
	if (e && !strcmp((*e)->os, name) && !strcmp((*e)->desc, desc))
		return *e;
	/* Another edition of the signature file: the first of the same name. */
	for (size_t i = 0; i < t->n; i++)
		if (!strcmp(t->by_line[i]->os, name) && !strcmp(t->by_line[i]->desc, desc))
			return t->by_line[i];
	return NULL;
}

static char *keep(const char *s)
{
	size_t n = strlen(s);
	struct text *t;

	HASH_FIND(hh, texts, s, n, t);
	if (t)
		return t->s;
	if (HASH_COUNT(texts) >= TEXTS_MAX)
		return NULL;
	t = calloc(1, sizeof(*t) + n + 1);
	if (!t)
		return NULL;
	memcpy(t->s, s, n);
	HASH_ADD_KEYPTR(hh, texts, t->s, n, t);
	return t->s;
}

int nf_prads_sig_link(const struct nf_prads *p, struct prads_os *os, uint32_t line,
		      const char *name, const char *desc)
{
	struct prads_fp *e = NULL;

	os->fp.os = os->fp.desc = NULL;
	if (name && desc)
		e = find(table(p, os->detection), line, name, desc);
	if (e) {
		os->fp.os = e->os;
		os->fp.desc = e->desc;
		return 0;
	}
	if (name)
		os->fp.os = keep(name);
	if (desc)
		os->fp.desc = keep(desc);
	return (name && !os->fp.os) || (desc && !os->fp.desc) ? -ENOMEM : 0;
}

/* PRADS files an entry by as many octets as its line had: one to six. */
static uint32_t mac_bucket(const uint8_t o[6], unsigned octets)
{
	uint32_t hash = 0;

	for (unsigned i = 0; i < octets; i++)
		hash ^= (uint32_t)o[i] << (24 - (i * 8) % 24);
	return hash % PRADS_MAC_HASH;
}

struct prads_mac *nf_prads_mac_link(const struct nf_prads *p, const uint8_t o[6], uint8_t mask,
				    const char *vendor)
{
	struct prads_mac **db = *p->macs;

	for (unsigned octets = 1; db && octets <= 6; octets++) {
		uint32_t b = mac_bucket(o, octets);

		if (b >= *p->mac_buckets)
			continue;
		for (struct prads_mac *e = db[b]; e; e = e->next)
			if (e->mask == mask && e->vendor && !memcmp(e->o, o, sizeof(e->o)) &&
			    !strcmp(e->vendor, vendor))
				return e;
	}
	return NULL;
}

void nf_prads_sig_forget(void)
{
	struct text *t, *tmp;

	for (int i = 0; i < NF_PRADS_SIGS; i++) {
		free(tables[i].by_line);
		free(tables[i].by_name);
		tables[i] = (struct sig_table){0};
	}
	HASH_ITER (hh, texts, t, tmp) {
		HASH_DEL(texts, t);
		free(t);
	}
}
