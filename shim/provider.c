/* SPDX-License-Identifier: BSD-2-Clause */
/* Registration of hooks and the choice of a built-in adapter. */
#include "provider.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "adapters/adapters.h"
#include "engine.h"
#include "log.h"

struct nf_provider nf_provider = {
	.why = "the NF has not started its input yet",
};

__attribute__((visibility("default"))) int nfshim_register(const struct nfshim_hooks *h, void *nf)
{
	if (!h || h->size != sizeof(*h) || h->api != NFSHIM_API || !h->name || !h->list ||
	    !h->has || !h->get || !h->put || !h->del)
		return -EINVAL;
	if (nf_inert)
		return -EPERM;
	if (nf_provider.hooks.size)
		return -EBUSY;
	nf_provider.hooks = *h;
	nf_provider.nf = nf;
	nf_provider.why[0] = 0;
	return 0;
}

static int attach_adapter(const void *callback, const void *handle, void *user)
{
	for (const struct nf_adapter *const *a = nf_adapters; *a; a++) {
		if (strcmp((*a)->program, program_invocation_short_name))
			continue;
		return (*a)->attach(callback, handle, user, nf_provider.why,
				    sizeof(nf_provider.why));
	}
	snprintf(nf_provider.why, sizeof(nf_provider.why),
		 "no state hooks: %.80s registered none with nfshim_register(), and there is no "
		 "adapter for it; it can be watched, but not moved, until it does",
		 program_invocation_short_name);
	return -ENOTSUP;
}

int nf_provider_attach(const void *callback, const void *handle, void *user)
{
	struct nfshim_hooks *h = &nf_provider.hooks;
	int err = 0;

	if (!h->size)
		err = attach_adapter(callback, handle, user);
	if (!err && h->check)
		err = h->check(nf_provider.nf, callback, handle, user, nf_provider.why,
			       sizeof(nf_provider.why));
	if (err) {
		h->size = 0;
		nf_warn("state cannot be moved: %s", nf_provider.why);
	} else {
		nf_provider.why[0] = 0;
		nf_info("state of %s can be moved", h->name);
	}
	return err;
}
