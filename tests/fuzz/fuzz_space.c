/* SPDX-License-Identifier: BSD-2-Clause */
/* Flow spaces: what is accepted has a canonical text that is accepted and means the same. */
#include <string.h>

#include "flow.h"
#include "fuzz.h"
#include "space.h"

const enum nf_fuzz_kind nf_fuzz_kind = NF_FUZZ_SPACE;

static void same_meaning(const struct nf_space *a, const struct nf_space *b)
{
	struct nfshim_flow f = {.ethertype = 0x0800};

	NF_FUZZ_PROMISE(a->all == b->all && a->n == b->n && a->has_ports == b->has_ports);
	for (unsigned i = 0; i < a->n && i < 64; i++) {
		NF_FUZZ_PROMISE(a->term[i].n == b->term[i].n);
		for (unsigned j = 0; j < a->term[i].n; j++) {
			const struct nf_space_test *t = &a->term[i].test[j];

			NF_FUZZ_PROMISE(!memcmp(t, &b->term[i].test[j], sizeof(*t)));
			/* a flow that has something to do with the space */
			if (t->field == NF_SPACE_ADDR) {
				memcpy(f.addr[j & 1], t->addr, sizeof(t->addr));
				f.ethertype = t->value;
			} else if (t->field == NF_SPACE_PORT) {
				f.port[j & 1] = t->value;
			} else if (t->field == NF_SPACE_PROTO) {
				f.proto = (uint8_t)t->value;
			}
			NF_FUZZ_PROMISE(nf_space_has_flow(a, &f) == nf_space_has_flow(b, &f));
		}
	}
	f.kind = NFSHIM_KIND_HOST;
	NF_FUZZ_PROMISE(nf_space_has_host(a, &f) == nf_space_has_host(b, &f));
	if (a->n <= 64)
		NF_FUZZ_PROMISE(nf_space_overlap(a, b) == nf_space_overlap(b, a));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nf_space *s = NULL, *again = NULL;
	char *text = malloc(size + 1), why[256] = "";
	int err;

	NF_FUZZ_PROMISE(text);
	memcpy(text, data, size);
	text[size] = 0;
	err = nf_space_parse(text, &s, why, sizeof(why));
	NF_FUZZ_PROMISE(memchr(why, 0, sizeof(why)));
	if (err) {
		NF_FUZZ_PROMISE(*why);
	} else {
		NF_FUZZ_PROMISE(nf_space_parse(s->text, &again, why, sizeof(why)) == 0);
		NF_FUZZ_PROMISE(!strcmp(s->text, again->text));
		same_meaning(s, again);
		nf_space_free(s);
		nf_space_free(again);
	}
	free(text);
	return 0;
}
