/* SPDX-License-Identifier: BSD-2-Clause */
/* The drivers of this program. */
#include <string.h>

#include "switch.h"

static const struct nf_switch_ops *const drivers[] = {&nf_switch_nft};

const struct nf_switch_ops *nf_switch_find(const char *name)
{
	for (unsigned i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (!strcmp(drivers[i]->name, name))
			return drivers[i];
	return NULL;
}
