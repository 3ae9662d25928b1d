/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clones as tagged frames (paper, Figure 3; common/tag.h) on a device that a
 * bridge joins with the one that the NF reads. A frame is kept until the shim
 * has reprocessed it, and sent again when the shim misses it. Only so many are
 * on their way that a capture ring holds them.
 */
#ifndef NF_XFER_INJECT_H
#define NF_XFER_INJECT_H

#include <stddef.h>

#include "rec.h"

struct nf_xfer;
struct nf_injector;

/* @netns: name of a namespace of ip-netns(8), or NULL. 0; or -errno and a sentence in @why. */
int nf_inject_new(struct nf_xfer *x, const char *dev, const char *netns, struct nf_injector **out,
		  char *why, size_t n);
void nf_inject_free(struct nf_injector *in); /* accepts NULL */

/* The move that begins: makes its secret, for the shim. 0 or -errno. */
int nf_inject_begin(struct nf_xfer *x);
void nf_inject_end(struct nf_xfer *x);
/* The source's record to the shim, as nf_shim_push: a clone of such a move as a frame. */
int nf_inject_push(struct nf_xfer *x, const struct nf_rec *r, const uint8_t *payload);
void nf_inject_heard(struct nf_xfer *x, const struct nf_rec *r); /* GOT, RESEND */

#endif
