/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef NF_OWN_NET_H
#define NF_OWN_NET_H

#define SKIP 77 /* exit code of a test that cannot run here */

/* From now on in a network namespace of its own whose loopback is up. A packet socket that sends
 * there; where that is not allowed the program ends with SKIP. */
int own_net(void);

/* The loopback's queue is per CPU: on one, frames arrive in order and together. */
void one_cpu(void);

#endif
