/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nfshim: the interface for network functions and their adapters.
 *
 * An NF (or a small adapter beside it) registers its state hooks once, before
 * its first pcap_loop() or pcap_dispatch(). All hooks are called in the NF's
 * packet thread, between two packets (a safe point), never from a signal
 * handler: the NF's own state needs no locks for them. They realise the get
 * and put functions of OpenNF, which the paper builds on (Sections 2 and 5).
 *
 * An NF with several packet threads can be moved if each keeps the state of its
 * packets to itself (see threads below).
 *
 * The symbols are weak: a program that includes this header runs with and
 * without the shim; test `if (nfshim_register)` first.
 */
#ifndef NFSHIM_H
#define NFSHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "nfshim_flow.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NFSHIM_API 1

/* Scope of a piece of state (paper, Section 2; OpenNF). */
enum nfshim_scope {
	NFSHIM_PER_FLOW = 1,   /* belongs to one flow: a connection */
	NFSHIM_MULTI_FLOW = 2, /* shared by several flows: a host's record */
	NFSHIM_ALL_FLOWS = 3   /* counters of the whole NF */
};

/* A packet as the NF gets it. Borrowed: valid during the call only. */
struct nfshim_packet {
	const uint8_t *data; /* link-layer header first */
	uint32_t caplen;     /* bytes at data */
	uint32_t len;	     /* bytes on the wire */
	int64_t sec;	     /* capture timestamp */
	uint32_t nsec;
	int linktype; /* DLT_* */
};

/* Called by list() for each key; nonzero stops the listing after this key. */
typedef int (*nfshim_key_cb)(void *arg, const struct nfshim_flow *key);

struct nfshim_hooks {
	uint32_t size;	  /* sizeof(struct nfshim_hooks) */
	uint32_t api;	  /* NFSHIM_API */
	const char *name; /* "prads 0.3.3": shown to the operator */

	/*
	 * Visit keys of @scope from *@cursor on (0: from the start) until @cb
	 * returns nonzero, about @max buckets were walked, or the end. Updates
	 * *@cursor so that the next call goes on behind the last key visited; keys added
	 * meanwhile may or may not be visited, others exactly once. Returns 1 if there is
	 * more, 0 at the end, -errno.
	 */
	int (*list)(void *nf, enum nfshim_scope scope, uint64_t *cursor, unsigned max,
		    nfshim_key_cb cb, void *arg);
	/* Is there state for @key? */
	bool (*has)(void *nf, enum nfshim_scope scope, const struct nfshim_flow *key);
	/* Serialise into @buf of @cap bytes. Bytes written, -ENOENT, -ENOSPC. */
	ssize_t (*get)(void *nf, enum nfshim_scope scope, const struct nfshim_flow *key, void *buf,
		       size_t cap);
	/*
	 * Make the NF's state for @key what @blob says; the blob may be hostile: check it.
	 * Per-flow: replaces. Multi-flow: replaces what the blob speaks of and keeps what only this
	 * instance knows. 0, or -EINVAL for a malformed blob (nothing changed), -ENOMEM.
	 */
	int (*put)(void *nf, enum nfshim_scope scope, const struct nfshim_flow *key,
		   const void *blob, size_t len);
	/* Forget @key without any output. 0 or -ENOENT. */
	int (*del)(void *nf, enum nfshim_scope scope, const struct nfshim_flow *key);

	/* Optional: correct the shim's key where the NF keys flows otherwise (VLAN-blind…). */
	void (*key_of)(void *nf, const struct nfshim_packet *pkt, struct nfshim_flow *key);
	/* Optional: keys of the multi-flow records that packets of @flow may touch; returns how
	 * many, at most @max. */
	unsigned (*records_of)(void *nf, const struct nfshim_flow *flow, struct nfshim_flow *keys,
			       unsigned max);
	/* Optional, 0-terminated: signals whose handlers expire state. They are held back while a
	 * move is armed (DESIGN §3, timers of the NF). */
	const int *sweep_signals;
	/* Optional: input is about to start with this callback and handle. 0, or -errno with a
	 * sentence in @why: the NF is not what the hooks were made for. */
	int (*check)(void *nf, const void *callback, const void *handle, void *user, char *why,
		     size_t whylen);
	/*
	 * The NF may have several packet threads, each with captures of its own, and a packet's
	 * state is that of the thread which got it: in thread-local memory, say. Each hook but
	 * check is called in the thread whose state it is about (list names only what belongs to
	 * the calling thread, put makes it the calling thread's), in several threads at the same
	 * time, and not once a thread has ended. Threads correspond by the captures they read, in
	 * the order of opening; which of them gets a packet must depend on the packet alone, in
	 * the same way on every instance, as with a filter for each capture. Without this only
	 * an NF with one packet thread is moved.
	 */
	bool threads;
};

/* Register @hooks (copied) with @nf as first argument of each call. 0, -EINVAL (size, api or a
 * missing hook), -EBUSY (registered already), -EPERM (the shim is inert). */
int nfshim_register(const struct nfshim_hooks *hooks, void *nf) __attribute__((weak));

/* Is the calling thread reprocessing a packet whose output must be dropped (paper, Section 4)? */
bool nfshim_reprocessing(void) __attribute__((weak));

#ifdef __cplusplus
}
#endif

#endif
