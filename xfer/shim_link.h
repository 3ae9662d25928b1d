/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The link to the shim: rendezvous socket, and rings and doorbell of each packet
 * thread. Reconnects by itself. Threads are counted from 0 in the order of the
 * captures that they read, which is the same at the other side of a move.
 */
#ifndef NF_XFER_SHIM_LINK_H
#define NF_XFER_SHIM_LINK_H

#include <stdbool.h>

#include "msg.h"

struct nf_xfer;
struct nf_shim_link;

int nf_shim_new(struct nf_xfer *x, const char *path, struct nf_shim_link **out);
void nf_shim_free(struct nf_shim_link *s); /* accepts NULL */

bool nf_shim_up(const struct nf_shim_link *s);
bool nf_shim_lives(const struct nf_shim_link *s); /* at this moment: it may be up but dead */
/* What the shim said last; name only while there is none. */
const struct nf_msg_status *nf_shim_status(const struct nf_shim_link *s);
void nf_shim_ask(struct nf_shim_link *s);

unsigned nf_shim_threads(const struct nf_shim_link *s); /* at least 1 */
/* Those that began or ended meanwhile are taken up once no move is on. */
void nf_shim_settle(struct nf_shim_link *s);

/*
 * Data for the in ring of its thread. 0, -ENOBUFS: not now, -ENOTCONN. At most NF_SHIM_WINDOW bytes
 * are in a ring at a time, so that the buffer before it is what bounds a backlog.
 */
#define NF_SHIM_WINDOW (128u << 10)
int nf_shim_push(struct nf_shim_link *s, const struct nf_rec *r, const uint8_t *payload);
/* Orders go to all threads, before all data that was not pushed yet, and wait here if there is no
 * room. */
int nf_shim_order(struct nf_shim_link *s, const struct nf_rec *r, const uint8_t *payload);

unsigned nf_shim_poll(struct nf_shim_link *s);	  /* take what the out rings have; how many */
void nf_shim_flush(struct nf_shim_link *s);	  /* push waiting orders, ring the doorbell */
bool nf_shim_waits(const struct nf_shim_link *s); /* orders wait for room */
void nf_shim_tick(struct nf_shim_link *s);

#endif
