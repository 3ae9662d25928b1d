/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event log: what happened to each packet, for the checker in tests/oracle.
 *
 * A file of fixed-size records, written through a shared mapping so that a
 * killed process loses nothing and the NF's thread makes no system call.
 * One log per process ($NFSHIM_EVLOG names it; %n is replaced by the
 * instance's name, %p by the process id). Full: counting goes on, records stop, and the checker
 * says so.
 */
#ifndef NF_EVLOG_H
#define NF_EVLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nfshim_flow.h"

enum nf_ev {
	NF_EV_PROCESSED = 1, /* by the NF, straight from its input */
	NF_EV_REPROCESSED,   /* by the NF, in the window: a clone */
	NF_EV_FORWARDED,     /* by the NF, with output: a FWD or a released held packet */
	NF_EV_HELD,	     /* kept, not yet processed */
	NF_EV_SENT_FWD,	     /* given to the destination instead of the NF */
	NF_EV_DROPPED,	     /* never to be processed here; version says why (errno) */
	NF_EV_EXPORT,	     /* STATE sent (id 0) */
	NF_EV_IMPORT,	     /* STATE put (id 0) */
	NF_EV_DELETE,	     /* deleted silently (id 0) */
	NF_EV_COMMIT,	     /* the flow is this instance's from here on (id 0) */
};

struct nf_ev_rec {
	uint64_t seq; /* order within the file, from 1 */
	uint64_t id;  /* nf_evlog_id of the packet, 0 if none */
	uint64_t ns;  /* CLOCK_MONOTONIC */
	uint64_t version;
	uint32_t epoch;
	uint8_t what;	/* enum nf_ev */
	uint8_t output; /* 1 if the NF's output was let through */
	uint16_t zero;
	struct nfshim_flow flow;
	uint32_t zero2;
};

#define NF_EV_MAGIC 0x474f4c564546534eull /* "NSFEVLOG" */
#define NF_EV_HEAD  4096		  /* bytes before the first record */

struct nf_ev_head {
	uint64_t magic;
	_Atomic uint64_t count; /* events put; more than fit: the log is cut */
	char instance[64];
};

extern bool nf_evlog_on; /* one test on the fast path */

bool nf_evlog_is_at(const void *mapping);
int nf_evlog_open(const char *instance); /* from $NFSHIM_EVLOG; 0 if unset. -errno */
void nf_evlog_put(enum nf_ev what, uint64_t id, const struct nfshim_flow *f, uint64_t version,
		  uint32_t epoch, bool output);
/* Content hash of a packet: captured bytes and wire length. Equal packets share an id. */
uint64_t nf_evlog_id(const uint8_t *data, uint32_t caplen, uint32_t len);

#endif
