/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What PRADS' two hash tables have in common.
 *
 * Cursor of a walk: bucket (16 bits), records left in its chain (16), hash of
 * the key visited last (32); the lower 48 are 0 at the start of a bucket. PRADS
 * adds at the head of a chain only, so both what is left and the last key stay
 * true while it adds; if the last one was removed, what is left decides.
 */
#include <errno.h>
#include <string.h>

#include "flow.h"
#include "prads.h"

#define CHAIN_MAX 1000000u /* longer: the chain is a circle */
#define SAMPLE	  61u	   /* every so many buckets are checked at the start */

struct prads_node *nf_prads_find(const struct nf_prads_table *t, struct prads_node *head,
				 const struct nfshim_flow *key)
{
	struct nfshim_flow k;
	unsigned n = 0;

	for (; head && n++ < CHAIN_MAX; head = head->next)
		if (t->key(head, &k) && nf_flow_equal(&k, key))
			return head;
	return NULL;
}

static uint32_t tag_of(const struct nfshim_flow *key)
{
	return (uint32_t)nf_flow_hash(key);
}

static unsigned chain_length(const struct prads_node *n)
{
	unsigned i = 0;

	for (; n && i < CHAIN_MAX; n = n->next)
		i++;
	return i;
}

static struct prads_node *resume(const struct nf_prads_table *t, struct prads_node *head,
				 uint64_t cursor)
{
	unsigned left = (uint16_t)(cursor >> 32), n = chain_length(head);
	struct prads_node *at;
	struct nfshim_flow k;

	for (at = head; at; at = at->next)
		if (t->key(at, &k) && tag_of(&k) == (uint32_t)cursor)
			return at->next;
	for (at = head; at && n > left; n--)
		at = at->next;
	return at;
}

static uint64_t cursor_behind(uint64_t bucket, const struct prads_node *n,
			      const struct nfshim_flow *key)
{
	uint64_t left = chain_length(n->next);

	if (!left)
		return (bucket + 1) << 48;
	if (left > UINT16_MAX)
		left = UINT16_MAX;
	return bucket << 48 | left << 32 | tag_of(key);
}

int nf_prads_list(const struct nf_prads_table *t, struct prads_node *const *heads, uint64_t *cursor,
		  unsigned max, nfshim_key_cb cb, void *arg)
{
	uint64_t b = *cursor >> 48;
	struct prads_node *n;
	struct nfshim_flow key;
	uint32_t index;
	unsigned steps;

	if (b >= PRADS_BUCKETS)
		return 0;
	n = *cursor << 16 ? resume(t, heads[b], *cursor) : heads[b];
	for (unsigned walked = 0; walked < (max ? max : 1) && b < PRADS_BUCKETS; walked++) {
		for (steps = 0; n; n = n->next) {
			if (!t->key(n, &key) || !t->bucket(&key, &index) || index != b ||
			    steps++ > CHAIN_MAX)
				return -EPROTO;
			if (nf_prads_find(t, heads[b], &key) != n)
				continue; /* another record of a key that was visited */
			if (cb(arg, &key)) {
				*cursor = cursor_behind(b, n, &key);
				return *cursor >> 48 < PRADS_BUCKETS;
			}
		}
		n = ++b < PRADS_BUCKETS ? heads[b] : NULL;
	}
	*cursor = b << 48;
	return b < PRADS_BUCKETS;
}

void nf_prads_link(struct prads_node **head, struct prads_node *n, struct prads_node *next)
{
	struct prads_node **at = head, *prev = NULL;

	for (; *at && *at != next; at = &(*at)->next)
		prev = *at;
	n->prev = prev;
	n->next = next;
	if (next)
		next->prev = n;
	*at = n;
}

void nf_prads_unlink(struct prads_node **head, struct prads_node *n)
{
	struct prads_node **at = head;

	while (*at && *at != n)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = n->next;
	if (n->next)
		n->next->prev = n->prev;
}

bool nf_prads_sane(const struct nf_prads_table *t, struct prads_node *const *heads)
{
	struct nfshim_flow key;
	uint32_t index;

	for (uint32_t b = 0; b < PRADS_BUCKETS; b += SAMPLE) {
		const struct prads_node *prev = NULL;
		unsigned steps = 0;

		for (const struct prads_node *n = heads[b]; n; prev = n, n = n->next)
			if ((uintptr_t)n % 16 || n->prev != prev || !t->key(n, &key) ||
			    !t->bucket(&key, &index) || index != b || steps++ > CHAIN_MAX)
				return false;
	}
	return true;
}
