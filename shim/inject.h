/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clones that come as tagged frames through the NF's own capture (Figure 3 of
 * the paper) instead of through the in ring. Packet thread only, but for one.
 *
 * Theory of operation. The in ring keeps the order: it has a CLONE without a
 * packet where the clone belongs, and the shim takes no later record until the
 * frame of that number has come. Frames that come early wait here. One that
 * does not come is asked for again; then two may come in the end, so a used
 * number is a replay only if nobody asked for it again. False and replayed
 * frames are the NF's, like any other.
 */
#ifndef NF_INJECT_H
#define NF_INJECT_H

#include "move.h"

/* The move that begins takes clones as frames. */
void nf_inject_begin(void);
/* It is over; frames of it that come late are still known. */
void nf_inject_end(void);
/* A frame that ends like a tagged one. True: it is a clone, and not for the NF. Each capture of the
 * device sees it; that of the number in the tag is the one that it counts for. */
bool nf_inject_frame(unsigned capture, const struct pcap_pkthdr *h, const u_char *data);
/* Is it tagged for one of the last moves? Any thread. */
bool nf_inject_knows(const struct pcap_pkthdr *h, const u_char *data);
/* Is @r a clone whose frame has not come? Asks for it again when it is time; only while the NF
 * reads or waits for its capture. */
bool nf_inject_awaits(const struct nf_rec *r, const uint8_t *payload);
/* The capture of the frame that is missing; NULL: none is. */
const struct nf_capture *nf_inject_waits_at(void);
/* It has no more packets. */
void nf_inject_quiet(void);
/* Such a clone, whose turn it is. */
void nf_inject_clone(const struct nf_rec *r, const uint8_t *payload, struct nf_sink *s);

#endif
