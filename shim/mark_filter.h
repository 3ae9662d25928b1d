/* SPDX-License-Identifier: BSD-2-Clause */
/* MARK passes the NF's capture filter; nothing else that the NF did not ask for does. */
#ifndef NF_MARK_FILTER_H
#define NF_MARK_FILTER_H

#include "in_pcap.h"

#define NF_MARK_TYPE 0x88b5 /* EtherType (IEEE local experimental) */

/* pcap_setfilter: the NF's program behind an accept for MARK's EtherType. */
int nf_mark_filter_set(pcap_t *p, struct bpf_program *prog);
void nf_mark_filter_forget(struct nf_capture *c); /* also frees the slot */
/* Is the frame of MARK's EtherType? */
static inline bool nf_mark_filter_hit(const u_char *data, bpf_u_int32 caplen)
{
	return caplen >= 14 && data[12] == (NF_MARK_TYPE >> 8) && data[13] == (NF_MARK_TYPE & 0xff);
}
/* Did the NF's own filter ask for this frame? */
bool nf_mark_filter_wanted(const struct nf_capture *c, const struct pcap_pkthdr *h,
			   const u_char *data);

#endif
