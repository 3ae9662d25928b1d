/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Input calls that pass by the engine: of other threads than the packet thread,
 * in a callback of the NF, and of an inert shim. They are libpcap's, but that an
 * NF behind a veth bridge is given no clone and no more bytes than it asked for.
 */
#ifndef NF_IN_PASS_H
#define NF_IN_PASS_H

#include <pcap/pcap.h>

int nf_pass_loop(pcap_t *p, int cnt, pcap_handler cb, u_char *user);
int nf_pass_dispatch(pcap_t *p, int cnt, pcap_handler cb, u_char *user);
const u_char *nf_pass_next(pcap_t *p, struct pcap_pkthdr *h);
int nf_pass_next_ex(pcap_t *p, struct pcap_pkthdr **h, const u_char **data);

#endif
