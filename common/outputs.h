/* SPDX-License-Identifier: BSD-2-Clause */
/* The names of the output functions and of their families, from shim/interpose.list. */
#ifndef NF_OUTPUTS_H
#define NF_OUTPUTS_H

/* NF_FN_write and so on: every output function of the list, in its order. */
enum nf_fn {
#define FN(ret, name, params)
#define RF(ret, name, params)
#define OUT(fam, ret, name, params) NF_FN_##name,
#include "interpose.list"
#undef FN
#undef RF
#undef OUT
	NF_FNS
};

#define NF_FAMILY_TEXT 16

const char *nf_fn_name(enum nf_fn fn); /* "write" */
/* "fd", into @text of NF_FAMILY_TEXT bytes; returns it. */
const char *nf_fn_family_text(enum nf_fn fn, char *text);

#endif
