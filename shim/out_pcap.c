/* SPDX-License-Identifier: BSD-2-Clause */
/* Output by libpcap: packets sent, packets written to a capture file. */
#include "drop.h"
#include "real.h"

int pcap_inject(pcap_t *p, const void *buf, size_t n)
{
	if (nf_dropping() && nf_drop_count(NF_FAM_PCAP))
		return (int)n;
	return nf_real.pcap_inject(p, buf, n);
}

int pcap_sendpacket(pcap_t *p, const u_char *buf, int n)
{
	if (nf_dropping() && nf_drop_count(NF_FAM_PCAP))
		return 0;
	return nf_real.pcap_sendpacket(p, buf, n);
}

void pcap_dump(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	if (nf_dropping() && nf_drop_count(NF_FAM_PCAP))
		return;
	nf_real.pcap_dump(user, h, data);
}
