/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The link to the helper: control socket and service thread (rendezvous.c),
 * and two rings and a doorbell for each packet thread. The service thread makes
 * and frees links; a packet thread only looks at its own.
 */
#ifndef NF_LINK_H
#define NF_LINK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "msg.h"
#include "ring.h"

struct nf_link {
	struct nf_ring *in;   /* helper → shim */
	struct nf_ring *out;  /* shim → helper */
	_Atomic bool up;      /* cleared by the service thread when the helper is gone */
	_Atomic bool retired; /* set by the packet thread: it will not touch this link again */
};

/* From the constructor: open the socket, make the doorbell, start the thread. 0 or -errno;
 * the caller makes the shim inert and loud on failure. Again after fork. */
int nf_rendezvous_start(const char *dir, const char *name);

pid_t nf_rendezvous_taken(void); /* -EADDRINUSE: by this process; 0: unknown */
/* Has this process no thread but the caller and ours? False too if that is unknown. */
bool nf_rendezvous_alone(void);

/* When the input begins, also of a child: a daemonised one starts its own service thread. */
void nf_rendezvous_ensure(void);
extern _Atomic bool nf_rendezvous_forked; /* this is a child, and did not do that yet */

pid_t nf_rendezvous_pid(void); /* the process that the service thread runs in */

/* This thread's link, NULL if no helper; one atomic load. A link that is !up is to be retired. */
struct nf_link *nf_link_get(void);
void nf_link_retire(struct nf_link *l);

/* eventfd the helper writes after pushing records; add it to waits. This thread's, constant. */
int nf_doorbell(void);

/* By a packet thread on changes: what is the process's, and its part of a move. */
void nf_status_publish(const struct nf_msg_status *s);
void nf_status_changed(void); /* other than by that */

#endif
