/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An NF started to be behind a veth bridge (NFSHIM_VETH): its captures take
 * whole packets, so that the tag of a clone is in what was captured, and let
 * tagged frames through its filter. The NF sees what it asked for.
 */
#ifndef NF_IN_VETH_H
#define NF_IN_VETH_H

#include "in_pcap.h"

extern bool nf_veth __attribute__((visibility("hidden"))); /* it was */

void nf_veth_init(void);
int nf_veth_snaplen(int asked); /* what to ask libpcap for */
/* A frame of the capture. True: not for the NF. */
bool nf_veth_take(struct nf_sink *s, const struct pcap_pkthdr *h, const u_char *data);
/* The same of a capture that is read past the engine. Any thread. */
bool nf_veth_keeps(struct nf_capture *c, const struct pcap_pkthdr *h, const u_char *data);
/* @h, or *own: the same with no more bytes than the NF asked for. */
const struct pcap_pkthdr *nf_veth_clip(int snaplen, const struct pcap_pkthdr *h,
				       struct pcap_pkthdr *own);
/* Why clones cannot come to this NF as frames; NULL: they can. */
const char *nf_veth_unfit(void);

#endif
