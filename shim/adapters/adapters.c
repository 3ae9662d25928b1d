/* SPDX-License-Identifier: BSD-2-Clause */
/* Add an adapter: its file to CMakeLists.txt, its name here. */
#include "adapters.h"

const struct nf_adapter *const nf_adapters[] = {
	&nf_adapter_prads,
	NULL,
};
