/* SPDX-License-Identifier: BSD-2-Clause */
/* nfctl policy: checks an output policy by the shim's own parser, prints it as a file of one. */
#include <stdio.h>
#include <string.h>

#include "nfctl.h"
#include "policy.h"

static json_t *kinds_json(const struct nf_policy *p)
{
	json_t *o = json_object();

	for (unsigned k = 0; k < NF_KINDS; k++)
		json_object_set_new(o, nf_kind_name((enum nf_kind)k),
				    json_string(nf_verdict_name((enum nf_verdict)p->kind[k])));
	return o;
}

static json_t *paths_json(const struct nf_policy *p)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < p->paths; i++)
		json_array_append_new(a, json_pack("{s:s,s:s}", "glob", p->path[i].glob, "verdict",
						   nf_verdict_name(p->path[i].verdict)));
	return a;
}

static json_t *functions_json(const struct nf_policy *p)
{
	json_t *o = json_object();
	char family[NF_FAMILY_TEXT];

	for (unsigned f = 0; f < NF_FNS; f++) {
		enum nf_verdict of_family = (enum nf_verdict)p->family[f];
		enum nf_verdict own = (enum nf_verdict)p->own[f];

		if (of_family)
			json_object_set_new(o, nf_fn_family_text((enum nf_fn)f, family),
					    json_string(nf_verdict_name(of_family)));
		if (own)
			json_object_set_new(o, nf_fn_name((enum nf_fn)f),
					    json_string(nf_verdict_name(own)));
	}
	return o;
}

json_t *nfctl_policy(const char *file, char *err, size_t n)
{
	struct nf_policy p = NF_POLICY_DEFAULT;
	json_t *o;

	if (file && nf_policy_read(file, &p, err, n))
		return NULL;
	o = json_pack("{s:o,s:o,s:o}", "kind", kinds_json(&p), "path", paths_json(&p), "function",
		      functions_json(&p));
	nf_policy_free(&p);
	if (!o)
		snprintf(err, n, "%s: the paths are not UTF-8: use '?' in them", file);
	return o;
}

/* ---- as a file ---- */

static void print_families(void)
{
	char family[NF_FAMILY_TEXT], last[NF_FAMILY_TEXT] = "";

	printf("; A function, or a family of them:");
	for (unsigned f = 0; f < NF_FNS; f++) {
		nf_fn_family_text((enum nf_fn)f, family);
		if (strcmp(family, last))
			printf(" %s", family);
		strcpy(last, family);
	}
	printf(".\n; pcap_inject = pass\n");
}

void nfctl_print_policy(const json_t *r)
{
	const char *name;
	unsigned k = 0;
	json_t *o;
	size_t i;

	printf("; What is dropped while a packet is reprocessed, see libnfshim(7). What is said "
	       "of\n"
	       "; a function goes before a path, and that before the kind of the descriptor.\n"
	       "\n[kind]\n");
	json_object_foreach(json_object_get(r, "kind"), name, o) printf(
		"%-10s = %s ; %s\n", name, json_string_value(o), nf_kind_what((enum nf_kind)k++));
	printf("\n[path]\n; The first that matches counts; * matches slashes, too.\n"
	       "; /run/nf/status* = pass\n");
	json_array_foreach(json_object_get(r, "path"), i, o)
		printf("%s = %s\n", json_string_value(json_object_get(o, "glob")),
		       json_string_value(json_object_get(o, "verdict")));
	printf("\n[function]\n");
	print_families();
	json_object_foreach(json_object_get(r, "function"), name, o)
		printf("%s = %s\n", name, json_string_value(o));
}
