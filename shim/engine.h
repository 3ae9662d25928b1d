/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The move engine: what happens to a packet around the NF's callback, and what
 * is done at safe points. All of it runs in a packet thread, and is about the
 * packets and the state of that thread alone.
 *
 *   input (pcap_loop, pcap_dispatch, waits) → engine → NF callback → engine
 *
 * Some input calls return the packet instead (pull). The NF then works on it
 * until its next input call or wait, which tells so by nf_engine_returned():
 * no safe point is in between.
 */
#ifndef NF_ENGINE_H
#define NF_ENGINE_H

#include <pcap/pcap.h>
#include <stdbool.h>

/* Where packets go: the callback of the input call that is running. */
struct nf_capture;

struct nf_sink {
	pcap_handler cb;
	u_char *user;
	pcap_t *handle;
	int linktype;
	int snaplen;		    /* bytes the NF asked for */
	bool nanosec;		    /* the handle's timestamps are in nanoseconds */
	bool live;		    /* not a file */
	bool in_callback;	    /* the NF is processing a packet */
	bool pull;		    /* the call returns the one packet that it is given */
	bool window;		    /* pull: the packet is to be reprocessed */
	bool broken;		    /* the NF called pcap_breakloop in this input call */
	int delivered;		    /* packets given to the NF so far in this input call */
	int limit;		    /* stop giving at this many, 0: no limit */
	struct nf_capture *capture; /* of the handle, NULL: too many */
	void *jump[4];		    /* in_pcap.c: glibc's place to tell of a longjmp */
};

/* No packet may be given any more in this input call. */
static inline bool nf_sink_full(const struct nf_sink *s)
{
	return (s->limit && s->delivered >= s->limit) || s->broken;
}

/* Give one packet from the NF's own input to the NF, or keep it. */
void nf_engine_packet(struct nf_sink *s, const struct pcap_pkthdr *h, const u_char *data);
/* The NF has come back: it is done with the packet that a pull call gave it, or with the one that
 * it jumped out of. */
void nf_engine_returned(void);
/* The NF has left the input call of @s by a longjmp or an exception. If that was in a packet, it
 * works on it as after a pull call. */
void nf_engine_left(const struct nf_sink *s);
/* Serve at a safe point; @s is NULL outside an input call (then no packet can be given).
 * Returns true if there is more to do at once (do not sleep). */
bool nf_engine_safe_point(struct nf_sink *s);
/* A move is on: waits are to be short, so that deadlines are kept. */
bool nf_engine_armed(void);
/* The input ended for good (end of file, break, error). */
void nf_engine_input_end(struct nf_sink *s);
/* Of this thread, which becomes a packet thread; it ends. */
void nf_engine_thread_begins(void);
void nf_engine_thread_ends(void);
/* Make the shim inert: abort what runs, say why. */
void nf_engine_fail(const char *why);
extern _Atomic bool nf_inert;
void nf_inert_tell(void); /* constructor.c: it reads packets; say why it is inert, if nobody did */

/* From the constructor. */
void nf_engine_init(const char *name);

#endif
