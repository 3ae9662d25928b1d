/* SPDX-License-Identifier: BSD-2-Clause */
/* Which connection and which hosts the PRADS adapter says that a packet belongs to. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/prads.h"
#include "flow.h"

#define ETH_IP	0x0800
#define ETH_IP6 0x86dd

static uint32_t seed = 20241;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)seed * below) >> 32);
}

struct frame {
	uint8_t b[256];
	size_t n;
};

static void add(struct frame *f, const char *hex)
{
	unsigned v;

	for (; *hex; hex += 2) {
		while (*hex == ' ')
			hex++;
		ck_assert_int_eq(sscanf(hex, "%2x", &v), 1);
		f->b[f->n++] = (uint8_t)v;
	}
}

#define ETH   "020000000001020000000002"
#define PORTS "9c40005000000000" /* 40000 → 80 */
#define A6    "20010db8000000000000000000000001"
#define B6    "20010db8000000000000000000000002"

static const struct {
	const char *what, *hex;
	uint16_t ethertype, port[2];
	uint8_t proto;
	bool v6, finds;
} packets[] = {
	{"tcp",
	 ETH "0800"
	     "4500004000010000400600000a140001c6120001" PORTS,
	 ETH_IP,
	 {40000, 80},
	 6,
	 false,
	 true},
	{"tcp, vlan 5",
	 ETH "81000005"
	     "0800"
	     "4500004000010000400600000a140001c6120001" PORTS,
	 ETH_IP,
	 {40000, 80},
	 6,
	 false,
	 true},
	{"tcp behind 802.1ad: not parsed",
	 ETH "88a80000"
	     "0800"
	     "4500004000010000400600000a140001c6120001" PORTS,
	 0x88a8,
	 {40000, 80},
	 6,
	 false,
	 false},
	{"tcp in two tags: not parsed",
	 ETH "81000005"
	     "81000006"
	     "0800"
	     "4500004000010000400600000a140001c6120001" PORTS,
	 0x8100,
	 {40000, 80},
	 6,
	 false,
	 false},
	{"tcp with options",
	 ETH "0800"
	     "4600004000010000400600000a140001c612000101010101" PORTS,
	 ETH_IP,
	 {40000, 80},
	 6,
	 false,
	 true},
	{"udp, a later fragment: its payload counts as ports",
	 ETH "0800"
	     "4500004000012010401100000a140001c6120001"
	     "0102030405060708",
	 ETH_IP,
	 {0x0102, 0x0304},
	 17,
	 false,
	 true},
	{"icmp echo",
	 ETH "0800"
	     "4500004000010000400100000a140001c6120001"
	     "0800000012340001",
	 ETH_IP,
	 {0, 0},
	 1,
	 false,
	 true},
	{"sctp: all others are one",
	 ETH "0800"
	     "4500004000010000408400000a140001c6120001" PORTS,
	 ETH_IP,
	 {0, 0},
	 0,
	 false,
	 true},
	{"gre: none",
	 ETH "0800"
	     "4500004000010000402f00000a140001c6120001"
	     "00000800",
	 ETH_IP,
	 {0, 0},
	 47,
	 false,
	 true},
	{"tcp over ipv6",
	 ETH "86dd"
	     "600000000014"
	     "0640" A6 B6 PORTS,
	 ETH_IP6,
	 {40000, 80},
	 6,
	 true,
	 true},
	{"a fragment of ipv6: others",
	 ETH "86dd"
	     "600000000014"
	     "2c40" A6 B6 "0600000100000001" PORTS,
	 ETH_IP6,
	 {0, 0},
	 0,
	 true,
	 true},
	{"icmp6",
	 ETH "86dd"
	     "600000000014"
	     "3a40" A6 B6 "8000000012340001",
	 ETH_IP6,
	 {0, 0},
	 58,
	 true,
	 true},
	{"6in4: the inner one",
	 ETH "0800"
	     "4500007c00010000402900000a140001c6120001"
	     "600000000014"
	     "0640" A6 B6 PORTS,
	 ETH_IP6,
	 {40000, 80},
	 6,
	 true,
	 true},
	{"ipip: protocol 4 is not parsed",
	 ETH "0800"
	     "4500007c00010000400400000a140001c6120001"
	     "4500004000010000400600000a140009c6120009" PORTS,
	 ETH_IP,
	 {0, 0},
	 0,
	 false,
	 true},
	{"no more than its header",
	 ETH "0800"
	     "4500",
	 ETH_IP,
	 {0, 0},
	 0,
	 false,
	 true},
};

START_TEST(keys_of_packets)
{
	struct frame f = {.n = 0};
	struct nfshim_flow key, want;
	struct nfshim_packet pkt = {.linktype = 1};
	uint32_t b;

	add(&f, packets[_i].hex);
	pkt.data = f.b;
	pkt.caplen = pkt.len = (uint32_t)f.n;
	nf_flow_parse(f.b, f.n, NULL, &key, NULL);
	nf_prads_key_of(&pkt, &key);
	ck_assert_msg(nf_prads_conns.bucket(&key, &b) == packets[_i].finds, "%s", packets[_i].what);
	ck_assert_int_eq(key.ethertype, packets[_i].ethertype);
	if (!packets[_i].finds || f.n < 34)
		return;
	want = (struct nfshim_flow){.ethertype = packets[_i].ethertype, .proto = packets[_i].proto};
	memcpy(want.addr[0], f.b + (packets[_i].v6 ? f.n - 40 : 26), 4);
	if (packets[_i].v6) {
		memcpy(want.addr[0], (uint8_t[]){0x20, 1, 0xd, 0xb8, [15] = 1}, 16);
		memcpy(want.addr[1], (uint8_t[]){0x20, 1, 0xd, 0xb8, [15] = 2}, 16);
	} else {
		memcpy(want.addr[0], (uint8_t[]){10, 20, 0, 1}, 4);
		memcpy(want.addr[1], (uint8_t[]){198, 18, 0, 1}, 4);
	}
	want.port[0] = packets[_i].port[0];
	want.port[1] = packets[_i].port[1];
	ck_assert_msg(nf_flow_equal(&key, &want), "%s", packets[_i].what);
}
END_TEST

/* Any bytes: no read past the captured ones, and a key that is canonical. */
START_TEST(keys_of_rubbish)
{
	for (int i = 0; i < 200000; i++) {
		size_t n = rnd(120);
		uint8_t *b = malloc(n ? n : 1);
		struct nfshim_packet pkt = {
			.data = b, .caplen = (uint32_t)n, .len = (uint32_t)n, .linktype = 1};
		static const uint8_t types[][2] = {{8, 0}, {0x86, 0xdd}, {0x81, 0}, {0x9b, 0xa8}};
		static const uint8_t protos[] = {41, 94, 6, 17};
		struct nfshim_flow key, again;

		for (size_t k = 0; k < n; k++)
			b[k] = (uint8_t)rnd(256);
		if (n > 40) {
			memcpy(b + 12, types[rnd(4)], 2);
			memcpy(b + 16, types[rnd(4)], 2);
			b[23] = protos[rnd(4)];
			b[20] = protos[rnd(4)];
		}
		nf_flow_parse(b, n, NULL, &key, NULL);
		nf_prads_key_of(&pkt, &key);
		again = key;
		if (key.ethertype == ETH_IP || key.ethertype == ETH_IP6)
			ck_assert(!nf_flow_canon(&again));
		free(b);
	}
}
END_TEST

START_TEST(records_of_flows)
{
	struct nfshim_flow k[8], f = {.ethertype = ETH_IP,
				      .proto = 6,
				      .vlan = {5},
				      .addr = {{10, 20, 0, 7}, {198, 18, 0, 1}}};

	ck_assert_uint_eq(nf_prads_records_of(&f, k, 8), 2);
	ck_assert_int_eq(k[0].kind, NFSHIM_KIND_HOST);
	ck_assert_int_eq(k[0].vlan[0], 0);
	ck_assert_mem_eq(k[0].addr[0], f.addr[0], 16);
	ck_assert_mem_eq(k[1].addr[0], f.addr[1], 16);
	ck_assert_uint_eq(nf_prads_records_of(&f, k, 1), 1);
	f.ethertype = 0x0806;
	ck_assert_uint_eq(nf_prads_records_of(&f, k, 8), 2);
	ck_assert_int_eq(k[0].ethertype, ETH_IP);
	f.ethertype = 0x8864;
	ck_assert_uint_eq(nf_prads_records_of(&f, k, 8), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("prads adapter, keys");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, keys_of_packets, 0, (int)(sizeof(packets) / sizeof(packets[0])));
	tcase_add_test(t, keys_of_rubbish);
	tcase_add_test(t, records_of_flows);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
