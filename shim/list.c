/* SPDX-License-Identifier: BSD-2-Clause */
/* LIST: walk the NF's flows and name those of a space. */
#include "list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "provider.h"
#include "space.h"

#define BUCKETS 1024u

static __thread struct {
	struct nf_space *space; /* NULL: no listing runs */
	uint64_t id, cursor, found;
	bool listed; /* only LIST_END is missing */
} list;

static bool answer(enum nf_rec_type t, const struct nfshim_flow *f, uint64_t version)
{
	struct nf_link *l = nf_link_get();
	struct nf_rec *r = l ? nf_ring_reserve(l->out, sizeof(*r)) : NULL;

	if (!r)
		return false;
	memset(r, 0, sizeof(*r));
	r->len = sizeof(*r);
	r->type = (uint8_t)t;
	r->move = list.id;
	r->version = version;
	if (f)
		r->flow = *f;
	nf_ring_commit(l->out, r);
	return true;
}

static int list_flow(void *arg, const struct nfshim_flow *key)
{
	(void)arg;
	if (!nf_space_has_flow(list.space, key))
		return 0;
	list.found += answer(NF_REC_LISTED, key, 0);
	return nf_ring_room(nf_link_get()->out) < NF_REC_MAX;
}

void nf_list_drop(void)
{
	nf_space_free(list.space);
	memset(&list, 0, sizeof(list));
}

void nf_list_begin(const struct nf_rec *r, const uint8_t *payload)
{
	uint32_t n = nf_rec_payload(r);
	char text[NF_SPACE_TEXT];
	char err[128];

	nf_list_drop();
	list.id = r->move;
	if (n < sizeof(text)) {
		memcpy(text, payload, n);
		text[n] = 0;
		nf_space_parse(text, &list.space, err, sizeof(err));
	}
	if (!list.space || !nf_provider.hooks.size) {
		answer(NF_REC_LIST_END, NULL, 0);
		nf_list_drop();
	}
}

bool nf_list_step(void)
{
	struct nf_link *l = nf_link_get();
	int more = 0;

	if (!list.space || !l)
		return false;
	if (nf_ring_room(l->out) < 2 * NF_REC_MAX)
		return true;
	if (!list.listed)
		more = nf_provider.hooks.list(nf_provider.nf, NFSHIM_PER_FLOW, &list.cursor,
					      BUCKETS, list_flow, NULL);
	if (more > 0)
		return true;
	list.listed = true;
	if (!answer(NF_REC_LIST_END, NULL, list.found))
		return true;
	nf_list_drop();
	return false;
}
