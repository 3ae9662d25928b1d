/* SPDX-License-Identifier: BSD-2-Clause */
/* An NF that asks for packets: a line for each, to standard output and by write(2) to a file. */
#include <fcntl.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <unistd.h>

static int report(int file, const struct pcap_pkthdr *h, const u_char *data)
{
	char line[64];
	int n;

	if (h->caplen < 30 || data[12] != 8 || data[13] != 0)
		return 0;
	n = snprintf(line, sizeof(line), "%ld.%06ld %d.%d.%d.%d\n", (long)h->ts.tv_sec,
		     (long)h->ts.tv_usec, data[26], data[27], data[28], data[29]);
	fputs(line, stdout);
	return write(file, line, (size_t)n) == n ? 0 : -1;
}

int main(int argc, char **argv)
{
	char err[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *h;
	const u_char *data;
	pcap_t *p = argc == 2 ? pcap_open_offline(argv[1], err) : NULL;
	int file = open("written", O_WRONLY | O_CREAT | O_TRUNC, 0644), failed = 0;

	if (!p || file < 0)
		return 1;
	while (!failed && pcap_next_ex(p, &h, &data) == 1)
		failed = report(file, h, data);
	pcap_close(p);
	return failed ? 1 : 0;
}
