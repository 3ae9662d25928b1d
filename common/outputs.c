/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of functions as the list has them; families in small letters. */
#include "outputs.h"

#include <ctype.h>
#include <stddef.h>

static const struct {
	const char *name, *family;
} fns[] = {
#define FN(ret, name, params)
#define RF(ret, name, params)
#define OUT(fam, ret, name, params) {#name, #fam},
#include "interpose.list"
#undef FN
#undef RF
#undef OUT
};

const char *nf_fn_name(enum nf_fn fn)
{
	return fns[fn].name;
}

const char *nf_fn_family_text(enum nf_fn fn, char *text)
{
	size_t n = 0;

	for (const char *c = fns[fn].family; *c && n < NF_FAMILY_TEXT - 1; c++)
		text[n++] = (char)tolower((unsigned char)*c);
	text[n] = 0;
	return text;
}
