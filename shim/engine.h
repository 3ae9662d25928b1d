/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The move engine: what happens to a packet around the NF's callback, and what
 * is done at safe points. All of it runs in the packet thread.
 *
 *   input (pcap_loop, pcap_dispatch, waits) → engine → NF callback → engine
 */
#ifndef NF_ENGINE_H
#define NF_ENGINE_H

#include <pcap/pcap.h>
#include <stdbool.h>

/* Where packets go: the callback of the input call that is running. */
struct nf_sink {
	pcap_handler cb;
	u_char *user;
	int linktype;
	bool nanosec;	 /* the handle's timestamps are in nanoseconds */
	int delivered;	 /* packets given to the NF so far in this input call */
	int limit;	 /* stop giving at this many, 0: no limit */
	void *handle;	 /* pcap_t */
};

/* True if a helper is linked or a move is armed: one load, tested per packet. */
extern bool nf_engine_live;

/* Give one packet from the NF's own input to the NF, or keep it. */
void nf_engine_packet(struct nf_sink *s, const struct pcap_pkthdr *h, const u_char *data);
/* Serve at a safe point. Returns true if there is more to do at once (do not sleep). */
bool nf_engine_safe_point(struct nf_sink *s);
/* The input ended for good (end of file, break, error). */
void nf_engine_input_end(struct nf_sink *s);
/* Make the shim inert: abort what runs, say why. */
void nf_engine_fail(const char *why);

#endif
