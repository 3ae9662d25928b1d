/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of seqhash, what a packet and the timer do to it, and its hooks. */
#ifndef NF_TESTS_SEQHASH_STATE_H
#define NF_TESTS_SEQHASH_STATE_H

#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>

extern struct state_options {
	bool hosts;		  /* a record for each host too */
	unsigned expire_every_ms; /* 0: no flow ever ends */
	int64_t idle_us;	  /* … which has no packet for so long */
	unsigned put_us;	  /* a slow import */
} state_options;

void state_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *data);
void state_register(bool threads); /* its hooks, with the shim if there is one */
void state_start_timer(void);
void state_end(void); /* the input has ended: so do all flows, if any does */

#endif
