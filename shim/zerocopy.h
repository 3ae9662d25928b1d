/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef NF_ZEROCOPY_H
#define NF_ZEROCOPY_H

#include <stdbool.h>
#include <sys/socket.h>

/* Does this option ask for zero-copy sends? Then errno says that there are none. */
bool nf_zerocopy_refuses(int level, int option, const void *value, socklen_t n);

#endif
