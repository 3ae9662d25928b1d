/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a flow's state comes from: hooks registered by the NF, or a built-in adapter. */
#ifndef NF_PROVIDER_H
#define NF_PROVIDER_H

#include "nfshim.h"

struct nf_provider {
	struct nfshim_hooks hooks; /* hooks.size == 0: none yet */
	void *nf;
	char why[256]; /* why there is none, for the operator */
};

extern struct nf_provider nf_provider;

/* A built-in adapter knows a program by itself. */
struct nf_adapter {
	const char *program; /* basename of the executable it is for */
	/* Called once at the first input call with what pcap_loop was given. Registers hooks
	 * with nfshim_register, or returns -errno and a sentence in @why. */
	int (*attach)(const void *callback, const void *handle, void *user, char *why,
		      size_t whylen);
};

/* At the first input call: choose and check. 0 if there is a provider, else -errno and why. */
int nf_provider_attach(const void *callback, const void *handle, void *user);

#endif
