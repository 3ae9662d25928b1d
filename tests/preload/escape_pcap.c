/* SPDX-License-Identifier: BSD-2-Clause */
/* A library of an NF that brings libpcap with it. */
#include <pcap/pcap.h>

static void count(u_char *n, const struct pcap_pkthdr *h, const u_char *data)
{
	(void)h;
	(void)data;
	++*(int *)n;
}

__attribute__((visibility("default"))) int packets_in(FILE *f)
{
	char err[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_fopen_offline(f, err);
	int n = 0;

	if (!p || pcap_loop(p, -1, count, (u_char *)&n) < 0)
		return -1;
	pcap_close(p);
	return n;
}
