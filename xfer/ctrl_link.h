/* SPDX-License-Identifier: BSD-2-Clause */
/* The connection to the controller. Reconnects by itself. */
#ifndef NF_XFER_CTRL_LINK_H
#define NF_XFER_CTRL_LINK_H

#include <stdbool.h>

#include "msg.h"

struct nf_xfer;
struct nf_ctrl_link;

/* @listen: where peers reach this helper. 0 or -errno. */
int nf_ctrl_new(struct nf_xfer *x, const char *path, const char *listen, struct nf_ctrl_link **out);
void nf_ctrl_free(struct nf_ctrl_link *c); /* accepts NULL */

bool nf_ctrl_up(const struct nf_ctrl_link *c);
void nf_ctrl_send(struct nf_ctrl_link *c, const struct nf_msg *m); /* dropped while not up */
/* The shim's status: told if asked for, or if it is news. */
void nf_ctrl_status(struct nf_ctrl_link *c, const struct nf_msg_status *st);
void nf_ctrl_tick(struct nf_ctrl_link *c);

#endif
