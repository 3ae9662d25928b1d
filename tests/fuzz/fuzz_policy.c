/* SPDX-License-Identifier: BSD-2-Clause */
/* Policy files: what is refused leaves what is built in and says where; what is taken is complete,
 * and means the same when it is written down and read again. */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "policy.h"

const enum nf_fuzz_kind nf_fuzz_kind = NF_FUZZ_POLICY;

static void promise_same(const struct nf_policy *a, const struct nf_policy *b)
{
	NF_FUZZ_PROMISE(!memcmp(a->kind, b->kind, sizeof(a->kind)));
	NF_FUZZ_PROMISE(!memcmp(a->own, b->own, sizeof(a->own)));
	NF_FUZZ_PROMISE(!memcmp(a->family, b->family, sizeof(a->family)));
	NF_FUZZ_PROMISE(a->paths == b->paths);
	for (unsigned i = 0; i < a->paths; i++) {
		NF_FUZZ_PROMISE(!strcmp(a->path[i].glob, b->path[i].glob));
		NF_FUZZ_PROMISE(a->path[i].verdict == b->path[i].verdict);
	}
}

static void write_down(const struct nf_policy *p, FILE *f)
{
	char family[NF_FAMILY_TEXT], last[NF_FAMILY_TEXT] = "";

	fputs("[kind]\n", f);
	for (unsigned k = 0; k < NF_KINDS; k++)
		fprintf(f, "%s=%s\n", nf_kind_name((enum nf_kind)k),
			nf_verdict_name((enum nf_verdict)p->kind[k]));
	fputs("[path]\n", f);
	for (unsigned i = 0; i < p->paths; i++)
		fprintf(f, "%s=%s\n", p->path[i].glob, nf_verdict_name(p->path[i].verdict));
	fputs("[function]\n", f);
	for (unsigned n = 0; n < NF_FNS; n++) {
		enum nf_fn fn = (enum nf_fn)n;

		nf_fn_family_text(fn, family);
		if (p->family[n] && strcmp(family, last))
			fprintf(f, "%s=%s\n", family,
				nf_verdict_name((enum nf_verdict)p->family[n]));
		if (p->own[n])
			fprintf(f, "%s=%s\n", nf_fn_name(fn),
				nf_verdict_name((enum nf_verdict)p->own[n]));
		strcpy(last, family);
	}
}

static void promise_stable(const struct nf_policy *p)
{
	struct nf_policy again;
	char *text = NULL, why[512];
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	NF_FUZZ_PROMISE(f);
	write_down(p, f);
	fclose(f);
	NF_FUZZ_PROMISE(nf_policy_parse(text, len, "again", &again, why, sizeof(why)) == 0);
	promise_same(p, &again);
	nf_policy_free(&again);
	free(text);
}

static void promise_complete(const struct nf_policy *p)
{
	for (unsigned k = 0; k < NF_KINDS; k++)
		NF_FUZZ_PROMISE(p->kind[k] == NF_DROP || p->kind[k] == NF_PASS);
	for (unsigned n = 0; n < NF_FNS; n++)
		NF_FUZZ_PROMISE(nf_policy_of_fn(p, (enum nf_fn)n) <= NF_PASS);
	NF_FUZZ_PROMISE(p->paths <= NF_POLICY_PATHS);
	nf_policy_of_path(p, "/var/log/nf/a.log");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct nf_policy built_in = NF_POLICY_DEFAULT;
	struct nf_policy p;
	char why[512] = "";
	int rc = nf_policy_parse((const char *)data, size, "file", &p, why, sizeof(why));

	NF_FUZZ_PROMISE(memchr(why, 0, sizeof(why)));
	NF_FUZZ_PROMISE(rc == 0 || rc == -EINVAL);
	if (rc) {
		NF_FUZZ_PROMISE(!strncmp(why, "file:", 5) && why[5] > '0' && why[5] <= '9');
		promise_same(&p, &built_in);
	} else {
		promise_complete(&p);
		promise_stable(&p);
	}
	nf_policy_free(&p);
	return 0;
}
