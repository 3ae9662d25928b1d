/* SPDX-License-Identifier: BSD-2-Clause */
/* The adapters that are built in, NULL at the end. */
#ifndef NF_ADAPTERS_H
#define NF_ADAPTERS_H

#include "provider.h"

extern const struct nf_adapter *const nf_adapters[];

extern const struct nf_adapter nf_adapter_prads;

#endif
