/* SPDX-License-Identifier: BSD-2-Clause */
/* What all drivers share. */
#include "switch.h"

#include <string.h>

const struct nf_switch_port *nf_switch_port(const struct nf_switch_conf *c, const char *instance)
{
	for (unsigned i = 0; i < c->ports; i++)
		if (!strcmp(c->port[i].name, instance))
			return &c->port[i];
	return NULL;
}
