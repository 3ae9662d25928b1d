/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The link to the helper: control socket and service thread (rendezvous.c),
 * rings and doorbell. The service thread makes and retires links; the packet
 * thread only looks at the current one.
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

/* At the first input call, also of a child: a daemonised one starts its own service thread. */
void nf_rendezvous_ensure(void);
extern bool nf_rendezvous_forked; /* this is a child, and did not do that yet */

pid_t nf_rendezvous_pid(void); /* the process that the service thread runs in */

extern _Atomic(struct nf_link *) nf_link_current __attribute__((visibility("hidden")));
/* The current link, NULL if no helper; one atomic load. A link that is !up is to be retired. */
static inline struct nf_link *nf_link_get(void)
{
	return atomic_load_explicit(&nf_link_current, memory_order_acquire);
}

void nf_link_retire(struct nf_link *l);

/* eventfd the helper writes after pushing records; add it to waits. Constant for the process. */
int nf_doorbell(void);

/* Filled in under a lock by the packet thread on changes, read by the service thread. */
void nf_status_publish(const struct nf_msg_status *s);
/* Counter the packet thread bumps; read when asked for status. */
extern _Atomic uint64_t nf_packets_seen __attribute__((visibility("hidden")));
/* Set while some thread is the packet thread, so that a link is never freed under it. */
extern _Atomic bool nf_packet_thread_known;

#endif
