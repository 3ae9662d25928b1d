/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors: what the NF's are, and which are ours. Ours are
 * moved to high numbers and survive the NF's close, close_range, closefrom
 * and dup2.
 */
#ifndef NF_FDS_H
#define NF_FDS_H

#include <stdbool.h>

#include "policy.h"

/*
 * Hide @fd from the NF; returns the number it has from now on, or -errno (then
 * @fd is closed). At most NF_FDS_OURS at a time.
 */
#define NF_FDS_OURS 64
int nf_fd_hide(int fd);
void nf_fd_unhide(int fd); /* before closing it */
bool nf_fd_is_ours(int fd);

/*
 * What the policy says of writing to @fd: of its path, else of its kind. UNSAID for one of ours
 * and one that cannot be written to: the real call says best.
 * Asks the kernel, a microsecond or a few: once per window and descriptor.
 */
enum nf_verdict nf_fd_verdict(int fd);
/* What was learnt does not hold any more: a window opens, or descriptors were closed. */
void nf_fds_forget(void);

#endif
