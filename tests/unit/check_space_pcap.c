/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flow spaces against libpcap: a flow belongs if, and only if, libpcap's filter
 * accepts its packet or the same packet the other way round. Every packet of
 * every trace. The filters are not optimised: the optimiser refuses those that
 * reject all packets. Left out are packets on which the two differ by design:
 *   - malformed or cut IP packets, which libpcap reads all the same;
 *   - IPv6 with extension headers, which libpcap does not follow to the ports;
 *   - RARP and ARP of other networks, which libpcap's "host" includes.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"
#include "frames.h"
#include "space.h"

#define MAX_PROBES 64

struct probe {
	char text[512];
	struct nf_space *space;
	struct bpf_program filter;
	unsigned long in, out;
};

struct probes {
	unsigned n;
	struct probe p[MAX_PROBES];
	unsigned long compared, left_out;
};

static void probe_add(struct probes *ps, const char *text)
{
	struct probe *p = &ps->p[ps->n++];
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, 65535);
	char err[256];

	ck_assert_uint_le(ps->n, MAX_PROBES);
	memset(p, 0, sizeof(*p));
	snprintf(p->text, sizeof(p->text), "%s", text);
	ck_assert_msg(nf_space_parse(text, &p->space, err, sizeof(err)) == 0, "'%s': %s", text,
		      err);
	ck_assert_msg(pcap_compile(dead, &p->filter, text, 0, PCAP_NETMASK_UNKNOWN) == 0,
		      "libpcap: '%s': %s", text, pcap_geterr(dead));
	pcap_close(dead);
}

static void probes_free(struct probes *ps)
{
	for (unsigned i = 0; i < ps->n; i++) {
		nf_space_free(ps->p[i].space);
		pcap_freecode(&ps->p[i].filter);
	}
	free(ps);
}

static bool comparable(const uint8_t *data, size_t len)
{
	static const uint8_t eth_ip[] = {0, 1, 8, 0, 6, 4};
	unsigned type = len < 14 ? 0 : (unsigned)data[12] << 8 | data[13];
	struct frames_ip ip;

	if (type == 0x8035)
		return false;
	if (type == 0x0806)
		return len >= 42 && !memcmp(data + 14, eth_ip, sizeof(eth_ip));
	if (type != 0x0800 && type != 0x86dd)
		return true;
	return frames_ip(data, len, &ip) && !ip.extensions && (ip.later || ip.at + 4 <= ip.end);
}

static void compare(void *ctx, const uint8_t *data, size_t len)
{
	struct probes *ps = ctx;
	uint8_t *there = frames_exact(data, len), *back;
	size_t n = frames_untag(there, len);
	struct pcap_pkthdr h = {.caplen = (unsigned)n, .len = (unsigned)n};
	struct nfshim_flow k;

	back = frames_exact(there, n);
	frames_reverse(back, n);
	nf_flow_parse(data, len, NULL, &k, NULL);
	if (comparable(there, n)) {
		ps->compared++;
		for (unsigned i = 0; i < ps->n; i++) {
			struct probe *p = &ps->p[i];
			bool theirs = pcap_offline_filter(&p->filter, &h, there) ||
				      pcap_offline_filter(&p->filter, &h, back);
			bool ours = nf_space_has_flow(p->space, &k);
			char text[NF_FLOW_TEXT];

			ck_assert_msg(ours == theirs, "'%s': %s: libpcap says %d", p->text,
				      nf_flow_format(&k, text, sizeof(text)), theirs);
			ours ? p->in++ : p->out++;
		}
	} else {
		ps->left_out++;
	}
	free(there);
	free(back);
}

static void run(struct probes *ps)
{
	frames_all(compare, ps);
	ck_assert_uint_gt(ps->compared, 50000);
	ck_assert_uint_lt(ps->left_out, ps->compared / 100);
}

START_TEST(test_listed)
{
	/* Each of these holds for some packet of the traces and not for others. */
	static const char *const texts[] = {
		"tcp",
		"udp",
		"icmp",
		"icmp6",
		"sctp",
		"ip",
		"ip6",
		"proto 6",
		"proto 47",
		"proto 58",
		"host 10.20.0.10",
		"src host 10.20.0.10",
		"dst host 10.20.0.10",
		"ip host 10.20.0.10",
		"net 10.20.0.0/21",
		"net 10.20.8.0/21",
		"net 0.0.0.0/0",
		"net 192.168.1.0/24",
		"ip net 192.168.0.0/16",
		"src net 192.168.1.2",
		"net 2001:db8:20::/61",
		"ip6 net 2001:db8::/32",
		"ip6 src net 2001:db8:20::/48",
		"net ::/0",
		"net fe80::/10",
		"port 53",
		"tcp port 80",
		"udp port 53",
		"tcp src port 443",
		"tcp dst port 443",
		"src port 80",
		"dst port 80",
		"net 10.20.0.0/21 or net 2001:db8:20::/61",
		"net 10.20.0.0/21 and tcp port 443",
		"src net 10.20.0.0/21 and dst port 80",
		"src net 10.20.0.0/21 and src port 80 or udp",
		"udp or tcp and port 80",
		"udp or (tcp and port 80)",
		"(src net 10.20.0.0/20 or dst port 53) and (src port 443 || tcp) && ip",
		"net 192.168.0.0/16 and net 10.0.0.0/8 or icmp",
		"host 192.168.1.2 and host 192.168.1.1",
	};
	struct probes *ps = calloc(1, sizeof(*ps));

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		probe_add(ps, texts[i]);
	run(ps);
	for (unsigned i = 0; i < ps->n; i++)
		ck_assert_msg(ps->p[i].in && ps->p[i].out, "'%s' tells nothing: %lu in, %lu out",
			      ps->p[i].text, ps->p[i].in, ps->p[i].out);
	probes_free(ps);
}
END_TEST

/* ---- random spaces ---- */

static uint64_t seed = 2463534242ull;

static unsigned pick(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 16) % n;
}

/* Addresses and ports that the traces have, so that the atoms tell. */
static size_t atom(char *w, size_t n)
{
	static const char *const sides[] = {"", "src ", "dst "};
	static const char *const ports[] = {"80", "443", "53", "5353", "137"};
	static const char *const kinds[] = {"", "tcp ", "udp "};
	static const char *const nets4[] = {"10.20.0.0/21",   "10.20.8.0/22", "198.18.0.0/17",
					    "192.168.0.0/16", "10.0.0.0/8",   "172.16.0.0/12"};
	static const char *const nets6[] = {"2001:db8:20::/61", "2001:db8:c10d::/48", "fe80::/10",
					    "2000::/3"};
	static const char *const protos[] = {"tcp", "udp", "icmp", "icmp6", "ip", "ip6", "proto 6"};

	switch (pick(5)) {
	case 0:
		return (size_t)snprintf(w, n, "%s%sport %s", kinds[pick(3)], sides[pick(3)],
					ports[pick(5)]);
	case 1:
		return (size_t)snprintf(w, n, "%snet %s", sides[pick(3)], nets4[pick(6)]);
	case 2:
		return (size_t)snprintf(w, n, "ip %snet %s", sides[pick(3)], nets4[pick(6)]);
	case 3:
		return (size_t)snprintf(w, n, "%snet %s", sides[pick(3)], nets6[pick(4)]);
	}
	return (size_t)snprintf(w, n, "%s", protos[pick(7)]);
}

static size_t expression(char *w, size_t n, unsigned deep)
{
	unsigned parts = 1 + pick(3);
	size_t used = 0;

	for (unsigned i = 0; i < parts; i++) {
		if (i)
			used += (size_t)snprintf(w + used, n - used, pick(2) ? " and " : " or ");
		if (deep && !pick(3)) {
			w[used++] = '(';
			used += expression(w + used, n - used - 1, deep - 1);
			w[used++] = ')';
			w[used] = 0;
		} else {
			used += atom(w + used, n - used);
		}
	}
	return used;
}

START_TEST(test_random)
{
	struct probes *ps = calloc(1, sizeof(*ps));
	unsigned telling = 0;
	char text[2048];

	while (ps->n < 60) {
		if (expression(text, sizeof(text), 2) >= sizeof(ps->p[0].text))
			continue;
		probe_add(ps, text);
	}
	run(ps);
	for (unsigned i = 0; i < ps->n; i++)
		telling += ps->p[i].in && ps->p[i].out;
	ck_assert_uint_gt(telling, ps->n / 2);
	probes_free(ps);
}
END_TEST

/* Every space that we accept, libpcap accepts: words put together at random. */
START_TEST(test_subset)
{
	static const char *const words[] = {"tcp",
					    "udp",
					    "icmp",
					    "icmp6",
					    "sctp",
					    "ip",
					    "ip6",
					    "proto",
					    "6",
					    "src",
					    "dst",
					    "host",
					    "net",
					    "port",
					    "10.0.0.1",
					    "10.0.0.0/8",
					    "10.0.0.1/8",
					    "2001:db8::1",
					    "2001:db8::/32",
					    "80",
					    "and",
					    "or",
					    "(",
					    ")",
					    "&&",
					    "||"};
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, 65535);
	unsigned accepted = 0;

	for (unsigned round = 0; round < 100000; round++) {
		char text[256] = "", err[256];
		struct bpf_program filter;
		struct nf_space *s;

		for (unsigned n = 1 + pick(6); n; n--) {
			strcat(text, words[pick(sizeof(words) / sizeof(words[0]))]);
			strcat(text, " ");
		}
		if (nf_space_parse(text, &s, err, sizeof(err)))
			continue;
		accepted++;
		nf_space_free(s);
		ck_assert_msg(pcap_compile(dead, &filter, text, 0, PCAP_NETMASK_UNKNOWN) == 0,
			      "accepted, but libpcap: '%s': %s", text, pcap_geterr(dead));
		pcap_freecode(&filter);
	}
	ck_assert_uint_gt(accepted, 500);
	pcap_close(dead);
}
END_TEST

int main(void)
{
	Suite *s;
	TCase *c;

	if (frames_skip())
		return FRAMES_SKIPPED;
	s = suite_create("space_pcap");
	c = tcase_create("libpcap");
	tcase_set_timeout(c, 240);
	tcase_add_test(c, test_listed);
	tcase_add_test(c, test_random);
	tcase_add_test(c, test_subset);
	suite_add_tcase(s, c);
	return frames_main(s);
}
