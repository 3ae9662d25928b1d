/* SPDX-License-Identifier: BSD-2-Clause */
/* A connection that carries framed messages: non-blocking, buffered both ways. */
#ifndef NF_CONN_H
#define NF_CONN_H

#include <stdbool.h>

#include "msg.h"

struct nf_conn; /* owns its fd */

struct nf_conn *nf_conn_new(int fd);  /* sets O_NONBLOCK and CLOEXEC; NULL on ENOMEM */
void nf_conn_free(struct nf_conn *c); /* closes; accepts NULL */
int nf_conn_fd(const struct nf_conn *c);

/* Queue @m; sends what the socket takes. 0 or -errno (-EPIPE: gone). */
int nf_conn_send(struct nf_conn *c, const struct nf_msg *m);
size_t nf_conn_unsent(const struct nf_conn *c); /* bytes queued, not yet taken by the socket */
int nf_conn_flush(struct nf_conn *c);		/* on writability. 0 or -errno */

/* Read what is there. 0, or -errno: -EPIPE peer closed, -EPROTO/-EMSGSIZE bad frame. */
int nf_conn_fill(struct nf_conn *c);
/* Next whole message: 1 and *m, 0 none, -errno for a malformed one (close the connection). */
int nf_conn_next(struct nf_conn *c, struct nf_msg *m);

/* Blocking helpers for tests and start-up: wait up to @ms. 0, -ETIMEDOUT, -errno. */
int nf_conn_recv_wait(struct nf_conn *c, struct nf_msg *m, int ms);

/* Rendezvous only: the fds that came along with the last HELLO (SCM_RIGHTS); moved out. */
int nf_conn_take_fds(struct nf_conn *c, int *fd, unsigned max);
int nf_conn_send_fds(struct nf_conn *c, const struct nf_msg *m, const int *fd, unsigned n);

#endif
