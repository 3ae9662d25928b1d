/* SPDX-License-Identifier: BSD-2-Clause */
/* Output by libpcap: packets sent, packets written to a capture file. */
#include "drop.h"
#include "real.h"

int pcap_inject(pcap_t *p, const void *buf, size_t n)
{
	if (nf_drop_call(NF_FN_pcap_inject))
		return (int)nf_dropped(NF_FN_pcap_inject, n);
	return nf_real.pcap_inject(p, buf, n);
}

int pcap_sendpacket(pcap_t *p, const u_char *buf, int n)
{
	if (nf_drop_call(NF_FN_pcap_sendpacket)) {
		nf_dropped(NF_FN_pcap_sendpacket, n < 0 ? 0 : (size_t)n);
		return 0;
	}
	return nf_real.pcap_sendpacket(p, buf, n);
}

void pcap_dump(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	if (nf_drop_call(NF_FN_pcap_dump))
		nf_dropped(NF_FN_pcap_dump, h->caplen);
	else
		nf_real.pcap_dump(user, h, data);
}
