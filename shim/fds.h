/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors: which of the NF's are output, and which are ours. Ours are
 * moved to high numbers and survive the NF's close, close_range, closefrom
 * and dup2.
 */
#ifndef NF_FDS_H
#define NF_FDS_H

#include <stdbool.h>

/*
 * Hide @fd from the NF; returns the number it has from now on, or -errno (then
 * @fd is closed). At most NF_FDS_OURS at a time.
 */
#define NF_FDS_OURS 64
int nf_fd_hide(int fd);
void nf_fd_unhide(int fd); /* before closing it */
bool nf_fd_is_ours(int fd);

/*
 * Is writing to @fd output of the NF? Regular files, terminals, FIFOs, devices,
 * internet, packet and syslog sockets are; eventfds, anonymous pipes,
 * socketpairs, memfds and the like carry the NF's own signals and are not.
 * False too for one that cannot be written to: the real call says so best.
 * Asks the kernel, a microsecond: once per window and descriptor.
 */
bool nf_fd_is_output(int fd);
/* What was learnt does not hold any more: a window opens, or descriptors were closed. */
void nf_fds_forget(void);

#endif
