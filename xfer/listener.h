/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a source helper dials in: one listening socket, one connection per move. */
#ifndef NF_XFER_LISTENER_H
#define NF_XFER_LISTENER_H

#include <stddef.h>

struct nf_xfer;
struct nf_listener;

/* Listen on @addr ("127.0.0.1:0"). 0, or -errno and a sentence in @why. */
int nf_listener_new(struct nf_xfer *x, const char *addr, struct nf_listener **out, char *why,
		    size_t n);
void nf_listener_free(struct nf_listener *l);		   /* accepts NULL */
const char *nf_listener_addr(const struct nf_listener *l); /* with the port that was chosen */
void nf_listener_tick(struct nf_listener *l);		   /* deadlines */

#endif
