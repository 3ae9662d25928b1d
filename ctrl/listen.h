/* SPDX-License-Identifier: BSD-2-Clause */
/* Unix sockets that only root and the own user may use. */
#ifndef NF_LISTEN_H
#define NF_LISTEN_H

#include <stddef.h>

/* Bind and listen at @path, mode 0600; takes the place of a dead server's socket. The fd, or
 * -errno: -EADDRINUSE if somebody answers there. */
int nf_listen_at(const char *path);
/* The next connection, non-blocking, of root or the own user; or -errno. */
int nf_listen_accept(int fd);

#endif
