/* SPDX-License-Identifier: BSD-2-Clause */
/* Flow keys of frames made by hand, and their text. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"
#include "frames.h"

#define ETH "020000000001 020000000002 "
/* Ethernet, then IPv4 header up to the addresses of 10.0.0.1 → 10.0.0.2. */
#define A1A2  " 0a000001 0a000002 "
#define A2A1  " 0a000002 0a000001 "
#define SIX12 " 20010db8000000000000000000000001 20010db8000000000000000000000002 "
#define SIX21 " 20010db8000000000000000000000002 20010db8000000000000000000000001 "

static struct nfshim_flow parse(const char *hex, struct nf_frags *frags, int *src)
{
	uint8_t raw[512], *exact;
	size_t n = frames_hex(hex, raw, sizeof(raw));
	struct nfshim_flow k;

	exact = frames_exact(raw, n);
	nf_flow_parse(exact, n, frags, &k, src);
	free(exact);
	return k;
}

static void expect(const char *hex, struct nf_frags *frags, const char *text, int src)
{
	int got;
	struct nfshim_flow k = parse(hex, frags, &got);
	char buf[NF_FLOW_TEXT];

	ck_assert_str_eq(nf_flow_format(&k, buf, sizeof(buf)), text);
	ck_assert_int_eq(got, src);
}

START_TEST(test_tcp)
{
	expect(ETH "0800 4500002800010000 4006 0000" A1A2 "d431 0050 0000", NULL,
	       "tcp 10.0.0.1:54321-10.0.0.2:80", 0);
	expect(ETH "0800 4500002800010000 4006 0000" A2A1 "0050 d431 0000", NULL,
	       "tcp 10.0.0.1:54321-10.0.0.2:80", 1);
	/* IP options move the ports. */
	expect(ETH "0800 4600002c00010000 4011 0000" A1A2 "01010101 0035 d431 0000", NULL,
	       "udp 10.0.0.1:53-10.0.0.2:54321", 0);
	/* Ports compare as numbers where the addresses are the same. */
	expect(ETH "0800 4500002800010000 4084 0000 0a000001 0a000001 0100 00ff", NULL,
	       "sctp 10.0.0.1:255-10.0.0.1:256", 1);
}
END_TEST

START_TEST(test_vlan)
{
	expect(ETH "8100 a005 0800 4500001c00010000 4011 0000" A1A2 "0035 d431 0000", NULL,
	       "vlan 5 udp 10.0.0.1:53-10.0.0.2:54321", 0);
	expect(ETH "88a8 0005 8100 0007 0800 4500001c00010000 4011 0000" A2A1 "d431 0035", NULL,
	       "vlan 5.7 udp 10.0.0.1:53-10.0.0.2:54321", 1);
	/* A third tag is skipped, half a tag is not read. */
	expect(ETH "88a8 0005 8100 0007 8100 0009 0800 4500001c00010000 4011 0000" A1A2 "0035 d431",
	       NULL, "vlan 5.7 udp 10.0.0.1:53-10.0.0.2:54321", 0);
	expect(ETH "8100 0005", NULL, "ether 0x8100", 0);
}
END_TEST

START_TEST(test_icmp)
{
	const char *echo = "icmp 10.0.0.1-10.0.0.2 id 4660";
	const char *echo6 = "icmp6 2001:db8::1-2001:db8::2 id 4660";

	expect(ETH "0800 4500001c00010000 4001 0000" A1A2 "0800 0000 1234 0001", NULL, echo, 0);
	expect(ETH "0800 4500001c00010000 4001 0000" A2A1 "0000 0000 1234 0001", NULL, echo, 1);
	expect(ETH "86dd 60000000 0008 3a40" SIX12 "8000 0000 1234 0001", NULL, echo6, 0);
	expect(ETH "86dd 60000000 0008 3a40" SIX21 "8100 0000 1234 0001", NULL, echo6, 1);
	/* Port unreachable: the outer header, not the packet it quotes. */
	expect(ETH "0800 4500003800010000 4001 0000" A1A2 "0303 0000 0000 0000 45000028 00010000 "
		   "4006 0000 0a000002 0a000001 0050 d431 00000000",
	       NULL, "icmp 10.0.0.1-10.0.0.2", 0);
}
END_TEST

START_TEST(test_echo_to_self)
{
	struct nfshim_flow a, b;

	a = parse(ETH "0800 4500001c00010000 4001 0000 0a000001 0a000001 0800 0000 1234 0001", NULL,
		  NULL);
	b = parse(ETH "0800 4500001c00010000 4001 0000 0a000001 0a000001 0000 0000 1234 0001", NULL,
		  NULL);
	ck_assert(nf_flow_equal(&a, &b));
	ck_assert_uint_eq(a.port[0], 0x1234);
	ck_assert_uint_eq(a.port[1], 0);
}
END_TEST

START_TEST(test_fragments)
{
	const char *first = ETH "0800 4500001c 0007 2000 4011 0000" A1A2 "0035 d431 00000000";
	const char *later = ETH "0800 4500001c 0007 2001 4011 0000" A1A2 "01020304 05060708";
	const char *last = ETH "0800 4500001c 0007 0002 4011 0000" A1A2 "01020304 05060708";
	const char *other = ETH "0800 4500001c 0008 2001 4011 0000" A1A2 "01020304 05060708";
	const char *back = ETH "0800 4500001c 0007 2001 4011 0000" A2A1 "01020304 05060708";
	const char *known = "udp 10.0.0.1:53-10.0.0.2:54321", *bare = "udp 10.0.0.1:0-10.0.0.2:0";
	struct nf_frags *t = nf_frags_new();

	ck_assert(t != NULL);
	expect(later, t, bare, 0);
	expect(first, t, known, 0);
	expect(later, t, known, 0);
	expect(last, t, known, 0);
	expect(other, t, bare, 0);
	expect(back, t, bare, 1);
	expect(first, NULL, known, 0);
	expect(later, NULL, bare, 0);
	nf_frags_free(t);
	nf_frags_free(NULL);
}
END_TEST

START_TEST(test_fragments_v6)
{
	const char *first = ETH "86dd 60000000 0010 2c40" SIX21 "1100 0001 00001234 d431 0035";
	const char *later = ETH "86dd 60000000 0010 2c40" SIX21 "1100 0008 00001234 0102 0304";
	const char *known = "udp [2001:db8::1]:53-[2001:db8::2]:54321";
	struct nf_frags *t = nf_frags_new();

	expect(first, t, known, 1);
	expect(later, t, known, 1);
	expect(later, NULL, "udp [2001:db8::1]:0-[2001:db8::2]:0", 1);
	nf_frags_free(t);
}
END_TEST

/* The first fragment's own extension headers follow the fragment header: the later fragments name
 * the first of these as their protocol, and yet belong to its flow. */
START_TEST(test_fragments_v6_options)
{
	const char *first =
		ETH "86dd 60000000 0010 2c40" SIX21 "3c00 0001 00001234 1100010400000000 d431 0035";
	const char *later = ETH "86dd 60000000 0010 2c40" SIX21 "3c00 0008 00001234 0102 0304";
	const char *known = "udp [2001:db8::1]:53-[2001:db8::2]:54321";
	struct nf_frags *t = nf_frags_new();

	expect(first, t, known, 1);
	expect(later, t, known, 1);
	nf_frags_free(t);
}
END_TEST

static uint16_t fragment_port(struct nf_frags *t, uint8_t *raw, size_t n, unsigned id, bool first)
{
	struct nfshim_flow k;

	raw[18] = raw[34] = (uint8_t)(id >> 8);
	raw[19] = raw[35] = (uint8_t)id;
	raw[21] = !first;
	nf_flow_parse(raw, n, t, &k, NULL);
	return k.port[0];
}

/* The table is bounded, and what it remembers fades as other datagrams come by. */
START_TEST(test_fragments_fade)
{
	struct nf_frags *t = nf_frags_new();
	uint8_t raw[64];
	size_t n = frames_hex(ETH "0800 4500001c 0000 2000 4011 0000" A1A2 "0000 d431 00000000",
			      raw, sizeof(raw));

	for (unsigned id = 1; id < 60000; id++) {
		ck_assert_uint_eq(fragment_port(t, raw, n, id, true), id);
		ck_assert_uint_eq(fragment_port(t, raw, n, id, false), id);
	}
	for (unsigned id = 1; id < 20000; id++)
		ck_assert_msg(fragment_port(t, raw, n, id, false) == 0,
			      "datagram %u is remembered after 40000 others", id);
	nf_frags_free(t);
}
END_TEST

START_TEST(test_extension_headers)
{
	const char *udp = "udp [2001:db8::1]:53-[2001:db8::2]:54321";

	/* Hop-by-hop, destination options, routing, authentication, an atomic fragment. */
	expect(ETH "86dd 60000000 0010 0040" SIX12 "1100010400000000 0035 d431", NULL, udp, 0);
	expect(ETH "86dd 60000000 0018 0040" SIX12 "3c00010400000000 1100010400000000 0035 d431",
	       NULL, udp, 0);
	expect(ETH "86dd 60000000 0018 2b40" SIX12 "3302000000000000 0000000000000000 "
		   "0000000000000000 1101000000000001 00000000 0035 d431",
	       NULL, udp, 0);
	expect(ETH "86dd 60000000 0010 2c40" SIX12 "1100 0000 00001234 0035 d431", NULL, udp, 0);
	/* One that says it is longer than the packet. */
	expect(ETH "86dd 60000000 0010 0040" SIX12 "11ff010400000000 0035 d431", NULL,
	       "udp [2001:db8::1]:0-[2001:db8::2]:0", 0);
	/* Mobility (135) is a protocol of its own, for the switch too. */
	expect(ETH "86dd 60000000 0008 8740" SIX12 "3b00000000000000", NULL,
	       "proto 135 2001:db8::1-2001:db8::2", 0);
}
END_TEST

START_TEST(test_arp)
{
	const char *arp = "arp 10.0.0.1-10.0.0.2";

	expect(ETH "0806 0001 0800 0604 0001 020000000002 0a000001 000000000000 0a000002", NULL,
	       arp, 0);
	expect(ETH "0806 0001 0800 0604 0002 020000000001 0a000002 020000000002 0a000001", NULL,
	       arp, 1);
	/* Not Ethernet and IPv4: no addresses. */
	expect(ETH "0806 0006 0800 0604 0001 020000000002 0a000001 000000000000 0a000002", NULL,
	       "arp 0.0.0.0-0.0.0.0", 0);
}
END_TEST

START_TEST(test_tunnels)
{
	/* GRE and 6in4: the outer header. */
	expect(ETH "0800 4500002c00010000 402f 0000" A1A2 "0000 0800 4500001400010000 4006 0000 "
		   "c0a80001 c0a80002",
	       NULL, "proto 47 10.0.0.1-10.0.0.2", 0);
	expect(ETH "0800 4500002c00010000 4029 0000" A2A1 "60000000 0000 3b40", NULL,
	       "proto 41 10.0.0.1-10.0.0.2", 1);
	expect(ETH "8847 00010140 4500001400010000", NULL, "ether 0x8847", 0);
	expect(ETH "8864 1100000100160021 45000014", NULL, "ether 0x8864", 0);
}
END_TEST

START_TEST(test_short)
{
	uint8_t raw[256], *cut;
	size_t n = frames_hex(ETH "8100 0005 0800 4600002c00010000 4006 0000" A1A2
				  "01010101 d431 0050 0000",
			      raw, sizeof(raw));
	struct nfshim_flow k;

	for (size_t len = 0; len <= n; len++) {
		cut = frames_exact(raw, len);
		nf_flow_parse(cut, len, NULL, &k, NULL);
		ck_assert_uint_eq(k.ethertype, len < 14 ? 0 : len < 18 ? 0x8100 : 0x0800);
		ck_assert_uint_eq(k.port[1], len < 46 ? 0 : 80);
		free(cut);
	}
	/* What follows the IP packet in the frame is padding, not ports. */
	expect(ETH "0800 4500001400010000 4006 0000" A1A2 "d431 0050 0000", NULL,
	       "tcp 10.0.0.1:0-10.0.0.2:0", 0);
	/* Segmentation offload leaves a total length of 0. */
	expect(ETH "0800 4500000000010000 4006 0000" A1A2 "d431 0050 0000", NULL,
	       "tcp 10.0.0.1:54321-10.0.0.2:80", 0);
	/* Not IPv4 at all, and a header shorter than itself. */
	expect(ETH "0800 3500002800010000 4006 0000" A1A2 "d431 0050", NULL,
	       "proto 0 0.0.0.0-0.0.0.0", 0);
	expect(ETH "0800 4400002800010000 4006 0000" A1A2 "d431 0050", NULL,
	       "proto 0 0.0.0.0-0.0.0.0", 0);
}
END_TEST

START_TEST(test_format)
{
	struct nfshim_flow k = {.ethertype = 0x0800, .kind = NFSHIM_KIND_HOST};
	char buf[NF_FLOW_TEXT], tiny[8];

	inet_pton(AF_INET, "10.20.0.10", k.addr[0]);
	ck_assert_str_eq(nf_flow_format(&k, buf, sizeof(buf)), "host 10.20.0.10");
	k.vlan[0] = 9;
	ck_assert_str_eq(nf_flow_format(&k, buf, sizeof(buf)), "vlan 9 host 10.20.0.10");
	ck_assert_str_eq(nf_flow_format(&k, tiny, sizeof(tiny)), "vlan 9 ");
	k.kind = NFSHIM_KIND_OTHER;
	ck_assert_int_eq(strncmp(nf_flow_format(&k, buf, sizeof(buf)), "record ", 7), 0);
	/* The longest text there is. */
	memset(&k, 0xff, sizeof(k));
	k.kind = NFSHIM_KIND_FLOW;
	k.ethertype = 0x86dd;
	k.proto = IPPROTO_SCTP;
	k.vlan[0] = k.vlan[1] = 4095;
	ck_assert_uint_lt(strlen(nf_flow_format(&k, buf, sizeof(buf))), NF_FLOW_TEXT - 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("flow");
	TCase *c = tcase_create("by hand");

	tcase_set_timeout(c, 60);
	tcase_add_test(c, test_tcp);
	tcase_add_test(c, test_vlan);
	tcase_add_test(c, test_icmp);
	tcase_add_test(c, test_echo_to_self);
	tcase_add_test(c, test_fragments);
	tcase_add_test(c, test_fragments_v6);
	tcase_add_test(c, test_fragments_v6_options);
	tcase_add_test(c, test_fragments_fade);
	tcase_add_test(c, test_extension_headers);
	tcase_add_test(c, test_arp);
	tcase_add_test(c, test_tunnels);
	tcase_add_test(c, test_short);
	tcase_add_test(c, test_format);
	suite_add_tcase(s, c);
	return frames_main(s);
}
