/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration file of nfctrld; docs/man/nfctrld.8 describes it. */
#ifndef NF_CONFIG_H
#define NF_CONFIG_H

#include <stddef.h>

#include "switch.h"

/* 0 or -errno, with one sentence in @err that names file, line and what to do. */
int nf_config_read(const char *path, struct nf_switch_conf *out, char *err, size_t errlen);

#endif
