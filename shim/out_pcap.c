/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output by libpcap: packets sent, packets written to a capture file. libpcap
 * sends and writes by calls that are interposed too, so the window is lifted
 * for what passes.
 */
#include <fcntl.h>

#include "drop.h"
#include "real.h"

int pcap_inject(pcap_t *p, const void *buf, size_t n)
{
	int rc, was;

	if (nf_drop_call(NF_FN_pcap_inject))
		return (int)nf_dropped_data(NF_FN_pcap_inject, buf, n);
	was = nf_window_lift();
	rc = nf_real.pcap_inject(p, buf, n);
	nf_window_lower(was);
	return rc;
}

int pcap_sendpacket(pcap_t *p, const u_char *buf, int n)
{
	int rc, was;

	if (nf_drop_call(NF_FN_pcap_sendpacket)) {
		nf_dropped_data(NF_FN_pcap_sendpacket, buf, n < 0 ? 0 : (size_t)n);
		return 0;
	}
	was = nf_window_lift();
	rc = nf_real.pcap_sendpacket(p, buf, n);
	nf_window_lower(was);
	return rc;
}

/* A dumper is a stream. */
void pcap_dump(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	int was;

	if (nf_drop_file(NF_FN_pcap_dump, (FILE *)user)) {
		nf_dropped_data(NF_FN_pcap_dump, data, h->caplen);
		return;
	}
	was = nf_window_lift();
	nf_real.pcap_dump(user, h, data);
	nf_window_lower(was);
}

/* The header must be there, since packets outside the window come after it; a file that would be
 * truncated is continued. */
pcap_dumper_t *pcap_dump_open(pcap_t *p, const char *name)
{
	bool keep = nf_drop_truncation(NF_FN_pcap_dump_open, AT_FDCWD, name);
	int was = nf_window_lift();
	pcap_dumper_t *d =
		keep ? nf_real.pcap_dump_open_append(p, name) : nf_real.pcap_dump_open(p, name);

	nf_window_lower(was);
	return d;
}
