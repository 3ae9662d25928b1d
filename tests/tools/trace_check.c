/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is in a trace, as words of name=value:
 *
 *   trace_check FILE [SPACE]
 *
 * packets flows hosts; bad_sums (IPv4 header, TCP, UDP, ICMPv6, computed anew);
 * shared_buckets: connections that share a PRADS bucket with another one;
 * live_middle: flows begun before and ended after half of the packets; seconds.
 * With SPACE: space_packets space_flows, and shared_hosts: hosts that have
 * flows in the space and others outside it.
 */
#include <netinet/in.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "flow.h"
#include "space.h"
#include "trace_packet.h"

struct flow {
	struct nfshim_flow key;
	unsigned long first, last, packets;
	unsigned bucket;
	bool is_ip;
	UT_hash_handle hh;
};

struct host {
	struct trace_addr a;
	bool in, out; /* has flows in the space, outside it */
	UT_hash_handle hh;
};

struct totals {
	struct flow *flows;
	struct host *hosts;
	struct nf_frags *frags;
	unsigned long packets, bad_sums, space_packets;
	int64_t first_us, last_us;
};

static uint32_t add(uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	if (n & 1)
		sum += (uint32_t)(p[n - 1] << 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static bool sums_are_good(const uint8_t *d, uint32_t caplen, const struct trace_packet *p)
{
	uint32_t s;

	if (p->family == 4 && !p->arp && add(0, d + p->l3, (d[p->l3] & 15u) * 4) != 0xffff)
		return false;
	if (!p->sum || !p->l4_len || p->l4 + (uint32_t)p->l4_len > caplen)
		return true;
	if (p->proto == IPPROTO_UDP && !d[p->sum] && !d[p->sum + 1])
		return p->family == 4;
	s = add((uint32_t)p->proto + p->l4_len, d + p->src, p->family == 4 ? 8 : 32);
	return add(s, d + p->l4, p->l4_len) == 0xffff;
}

static void *must(void *p)
{
	if (!p) {
		fprintf(stderr, "trace_check: no memory left\n");
		exit(1);
	}
	return p;
}

static void see_host(struct totals *t, const struct trace_addr *a, bool in)
{
	struct host *h;

	HASH_FIND(hh, t->hosts, a, sizeof(*a), h);
	if (!h) {
		h = must(calloc(1, sizeof(*h)));
		h->a = *a;
		HASH_ADD(hh, t->hosts, a, sizeof(h->a), h);
	}
	h->in |= in;
	h->out |= !in;
}

static void see_packet(struct totals *t, const struct pcap_pkthdr *h, const uint8_t *data,
		       const struct nf_space *space)
{
	struct trace_packet p;
	struct nfshim_flow key;
	struct flow *f;
	bool in;

	nf_flow_parse(data, h->caplen, t->frags, &key, NULL);
	in = space && nf_space_has_flow(space, &key);
	t->space_packets += in;
	t->last_us = h->ts.tv_sec * 1000000ll + h->ts.tv_usec;
	if (!t->packets++)
		t->first_us = t->last_us;
	HASH_FIND(hh, t->flows, &key, sizeof(key), f);
	if (!f) {
		f = must(calloc(1, sizeof(*f)));
		f->key = key;
		f->first = t->packets;
		HASH_ADD(hh, t->flows, key, sizeof(f->key), f);
	}
	f->last = t->packets;
	f->packets++;
	if (!trace_packet_parse(data, h->caplen, &p))
		return;
	t->bad_sums += !sums_are_good(data, h->caplen, &p);
	f->is_ip = !p.arp;
	f->bucket = trace_bucket(p.a, p.port, p.proto);
	see_host(t, &p.a[0], in);
	see_host(t, &p.a[1], in);
}

static void report_flows(const struct totals *t, const struct nf_space *space)
{
	static unsigned in_bucket[TRACE_BUCKETS];
	unsigned long in = 0, live = 0, shared = 0, half = t->packets / 2;
	struct flow *f;

	for (f = t->flows; f; f = f->hh.next) {
		in_bucket[f->bucket] += f->is_ip;
		live += f->first <= half && f->last > half;
		in += space && nf_space_has_flow(space, &f->key);
	}
	for (f = t->flows; f; f = f->hh.next)
		shared += f->is_ip && in_bucket[f->bucket] > 1;
	printf("packets=%lu flows=%u hosts=%u bad_sums=%lu shared_buckets=%lu live_middle=%lu "
	       "seconds=%.3f",
	       t->packets, HASH_COUNT(t->flows), HASH_COUNT(t->hosts), t->bad_sums, shared, live,
	       (double)(t->last_us - t->first_us) / 1e6);
	if (space)
		printf(" space_packets=%lu space_flows=%lu", t->space_packets, in);
}

static void report(const struct totals *t, const struct nf_space *space)
{
	unsigned long shared = 0;
	struct host *h;

	report_flows(t, space);
	for (h = t->hosts; h; h = h->hh.next)
		shared += h->in && h->out;
	if (space)
		printf(" shared_hosts=%lu", shared);
	putchar('\n');
}

static void free_totals(struct totals *t)
{
	struct flow *f, *tf;
	struct host *h, *th;

	HASH_ITER (hh, t->flows, f, tf) {
		HASH_DEL(t->flows, f);
		free(f);
	}
	HASH_ITER (hh, t->hosts, h, th) {
		HASH_DEL(t->hosts, h);
		free(h);
	}
	nf_frags_free(t->frags);
}

int main(int argc, char **argv)
{
	char err[PCAP_ERRBUF_SIZE], why[256];
	struct totals t = {0};
	struct nf_space *space = NULL;
	struct pcap_pkthdr *h;
	const u_char *data;
	pcap_t *in;
	int rc;

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: trace_check FILE [SPACE]\n");
		return 2;
	}
	if (argc == 3 && nf_space_parse(argv[2], &space, why, sizeof(why))) {
		fprintf(stderr, "trace_check: %s\n", why);
		return 2;
	}
	in = pcap_open_offline(argv[1], err);
	if (!in) {
		fprintf(stderr, "trace_check: %s\n", err);
		nf_space_free(space);
		return 1;
	}
	t.frags = must(nf_frags_new());
	while ((rc = pcap_next_ex(in, &h, &data)) == 1)
		see_packet(&t, h, data, space);
	if (rc == PCAP_ERROR)
		fprintf(stderr, "trace_check: %s: %s\n", argv[1], pcap_geterr(in));
	else
		report(&t, space);
	pcap_close(in);
	free_totals(&t);
	nf_space_free(space);
	return rc == PCAP_ERROR;
}
