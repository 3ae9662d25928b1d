/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An offline switch: split a trace at packet M as a route change would.
 *
 *   split_at IN M SPACE OUT_S OUT_D MOVE SECRET_HEX
 *
 * OUT_S gets packets 0..M-1, then MARK, then what is not of the space; OUT_D
 * gets the space's packets from M on.
 */
#include <endian.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"
#include "rec.h"
#include "space.h"

#define MARK_LEN 60

static void make_mark(uint8_t *m, uint64_t move, const char *hex)
{
	static const uint8_t head[] = {0x02, 0x6e, 0x66, 0,   0,   1,	0x02, 0x6e, 0x66, 0, 0,
				       2,    0x88, 0xb5, 'N', 'F', 'M', 'K',  1,    0,	  0, 0};
	uint64_t id = htobe64(move);
	unsigned byte;

	memset(m, 0, MARK_LEN);
	memcpy(m, head, sizeof(head));
	memcpy(m + sizeof(head), &id, sizeof(id));
	for (int i = 0; i < NF_MARK_SECRET && sscanf(hex + 2 * i, "%2x", &byte) == 1; i++)
		m[sizeof(head) + sizeof(id) + i] = (uint8_t)byte;
}

static pcap_dumper_t *open_out(pcap_t *in, const char *path)
{
	pcap_dumper_t *d = pcap_dump_open(in, path);

	if (!d) {
		fprintf(stderr, "split_at: %s: %s\n", path, pcap_geterr(in));
		exit(1);
	}
	return d;
}

int main(int argc, char **argv)
{
	char err[PCAP_ERRBUF_SIZE], serr[256];
	struct nf_frags *frags = nf_frags_new();
	struct pcap_pkthdr *h, mh;
	struct nf_space *space;
	uint8_t mark[MARK_LEN];
	pcap_dumper_t *s, *d;
	const u_char *data;
	unsigned long at, n;
	pcap_t *in;

	if (argc != 8) {
		fprintf(stderr, "usage: split_at IN M SPACE OUT_S OUT_D MOVE SECRET_HEX\n");
		return 2;
	}
	in = pcap_open_offline(argv[1], err);
	if (!in || nf_space_parse(argv[3], &space, serr, sizeof(serr))) {
		fprintf(stderr, "split_at: %s\n", in ? serr : err);
		return 1;
	}
	at = strtoul(argv[2], NULL, 10);
	s = open_out(in, argv[4]);
	d = open_out(in, argv[5]);
	make_mark(mark, strtoull(argv[6], NULL, 10), argv[7]);
	for (n = 0; pcap_next_ex(in, &h, &data) == 1; n++) {
		struct nfshim_flow key;

		if (n == at) {
			mh = (struct pcap_pkthdr){h->ts, MARK_LEN, MARK_LEN};
			pcap_dump((u_char *)s, &mh, mark);
		}
		nf_flow_parse(data, h->caplen, frags, &key, NULL);
		pcap_dump((u_char *)(n >= at && nf_space_has_flow(space, &key) ? d : s), h, data);
	}
	pcap_dump_close(s);
	pcap_dump_close(d);
	pcap_close(in);
	nf_space_free(space);
	nf_frags_free(frags);
	return 0;
}
