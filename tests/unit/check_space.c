/* SPDX-License-Identifier: BSD-2-Clause */
/* Flow spaces: what they hold, what they refuse and how they say it. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"
#include "frames.h"
#include "space.h"

static struct nf_space *good(const char *text)
{
	struct nf_space *s = NULL;
	char err[256] = "";
	int r = nf_space_parse(text, &s, err, sizeof(err));

	ck_assert_msg(r == 0, "'%s': %s", text, err);
	ck_assert(s != NULL);
	return s;
}

static void bad(const char *text, int want, const char *named)
{
	struct nf_space *s = (void *)1;
	char err[256] = "";
	int r = nf_space_parse(text, &s, err, sizeof(err));

	ck_assert_msg(r == want, "'%s': %d", text, r);
	ck_assert(s == NULL);
	ck_assert_msg(strstr(err, named) != NULL, "'%s' says: %s", text, err);
}

static struct nfshim_flow flow(int proto, const char *a, unsigned pa, const char *b, unsigned pb)
{
	int af = strchr(a, ':') ? AF_INET6 : AF_INET;
	struct nfshim_flow k;

	memset(&k, 0, sizeof(k));
	k.ethertype = proto < 0 ? 0x0806 : af == AF_INET ? 0x0800 : 0x86dd;
	k.proto = proto < 0 ? 0 : (uint8_t)proto;
	ck_assert_int_eq(inet_pton(af, a, k.addr[0]), 1);
	ck_assert_int_eq(inet_pton(af, b, k.addr[1]), 1);
	k.port[0] = (uint16_t)pa;
	k.port[1] = (uint16_t)pb;
	nf_flow_canon(&k);
	return k;
}

static bool holds(const char *text, const struct nfshim_flow *k)
{
	struct nf_space *s = good(text);
	bool r = nf_space_has_flow(s, k);

	nf_space_free(s);
	return r;
}

START_TEST(test_flows)
{
	struct nfshim_flow web = flow(IPPROTO_TCP, "10.20.0.10", 50503, "198.18.0.20", 443);
	struct nfshim_flow six = flow(IPPROTO_UDP, "2001:db8:20::1", 53, "2001:db8:c10d::2", 9999);

	ck_assert(holds("all", &web));
	ck_assert(holds("net 10.20.0.0/21", &web));
	ck_assert(!holds("net 10.20.8.0/21", &web));
	ck_assert(holds("net 10.20.0.0/21 or net 2001:db8:20::/61", &six));
	ck_assert(!holds("net 2001:db8:20:8::/61", &six));
	ck_assert(holds("tcp port 443 and host 10.20.0.10", &web));
	ck_assert(!holds("udp port 443", &web));
	ck_assert(holds("net 0.0.0.0/0", &web));
	ck_assert(!holds("net 0.0.0.0/0", &six));
	ck_assert(holds("net ::/0", &six));
	ck_assert(holds("proto 17", &six));
	ck_assert(holds("sctp || ip6 && udp", &six));
	ck_assert(!holds("icmp or icmp6", &six));
}
END_TEST

/* Either direction will do, but source and destination are those of one packet. */
START_TEST(test_direction)
{
	struct nfshim_flow web = flow(IPPROTO_TCP, "10.0.0.1", 5000, "10.0.0.2", 80);

	ck_assert(holds("src host 10.0.0.1", &web));
	ck_assert(holds("dst host 10.0.0.1", &web));
	ck_assert(holds("src host 10.0.0.1 and dst host 10.0.0.2", &web));
	ck_assert(holds("src host 10.0.0.2 and dst host 10.0.0.1", &web));
	ck_assert(!holds("src host 10.0.0.1 and src host 10.0.0.2", &web));
	ck_assert(!holds("src host 10.0.0.1 and src port 80", &web));
	ck_assert(holds("src host 10.0.0.1 and dst port 80", &web));
	ck_assert(holds("dst host 10.0.0.1 and src port 80", &web));
	ck_assert(holds("src host 10.0.0.1 and port 80", &web));
	/* The alternatives of an "or" may be met by packets of different directions. */
	ck_assert(!holds("(src host 10.0.0.1 or src host 10.9.9.9) and src port 80", &web));
	ck_assert(holds("(src host 10.0.0.1 or src host 10.0.0.2) and src port 80", &web));
}
END_TEST

START_TEST(test_arp)
{
	struct nfshim_flow arp = flow(-1, "10.0.0.1", 0, "10.0.0.2", 0);

	ck_assert(holds("host 10.0.0.1", &arp));
	ck_assert(holds("net 10.0.0.0/8", &arp));
	ck_assert(holds("src host 10.0.0.1 and dst host 10.0.0.2", &arp));
	ck_assert(holds("all", &arp));
	ck_assert(!holds("ip host 10.0.0.1", &arp));
	ck_assert(!holds("ip", &arp));
	ck_assert(!holds("host 10.0.0.3", &arp));
	ck_assert(!holds("host 10.0.0.1 and tcp", &arp));
	ck_assert(!holds("proto 0", &arp));
	ck_assert(!holds("net ::/0", &arp));
}
END_TEST

/* As in pcap-filter, "and" and "or" bind alike, from the left. */
START_TEST(test_precedence)
{
	struct nfshim_flow dns = flow(IPPROTO_UDP, "10.0.0.1", 5000, "10.0.0.2", 53);

	ck_assert(!holds("udp or tcp and port 80", &dns));
	ck_assert(holds("udp or (tcp and port 80)", &dns));
	ck_assert(holds("tcp and port 80 or udp", &dns));
	ck_assert(!holds("tcp and (port 53 or udp)", &dns));
}
END_TEST

START_TEST(test_struct)
{
	struct nf_space *s = good("  tcp   port 80\tor (host 10.0.0.1) ");

	ck_assert_str_eq(s->text, "tcp port 80 or (host 10.0.0.1)");
	ck_assert(!s->all);
	ck_assert(s->has_ports);
	ck_assert_uint_eq(s->n, 2);
	ck_assert_uint_eq(s->term[0].n, 2);
	ck_assert_uint_eq(s->term[1].n, 1);
	ck_assert_int_eq(s->term[1].test[0].field, NF_SPACE_ADDR);
	ck_assert_uint_eq(s->term[1].test[0].value, 0x0800);
	ck_assert_uint_eq(s->term[1].test[0].prefix, 32);
	nf_space_free(s);
	s = good("net 10.20.0.0/21 or net 2001:db8:20::/61");
	ck_assert(!s->has_ports);
	nf_space_free(s);
	s = good("(tcp or udp) and (port 1 or port 2) and (host 10.0.0.1 or host 10.0.0.2)");
	ck_assert_uint_eq(s->n, 8);
	nf_space_free(s);
	s = good("all");
	ck_assert(s->all);
	ck_assert_uint_eq(s->n, 0);
	nf_space_free(s);
	nf_space_free(NULL);
}
END_TEST

START_TEST(test_refused)
{
	static const char *const words[] = {
		"not tcp",    "! tcp",	   "vlan",	   "vlan 5",	  "portrange 1-5",
		"ether host", "broadcast", "less 100",	   "gateway x",	  "arp",
		"mpls",	      "TCP",	   "Host 1.2.3.4", "tcp[13] = 2", "inbound",
	};
	char first[32];

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		snprintf(first, sizeof(first), "%s", words[i]);
		first[strcspn(first, " [")] = 0;
		bad(words[i], -EINVAL, strcmp(first, "tcp") ? first : "tcp[13]");
	}
	bad("host 10.0.0.1 and not port 80", -EINVAL, "not");
	bad("net 10.0.0.0/8 or vlan", -EINVAL, "vlan");
	bad("tcp portrange 1-5", -EINVAL, "portrange");
	bad("src or dst host 10.0.0.1", -EINVAL, "or");
	bad("all and tcp", -EINVAL, "all");
	bad("tcp or all", -EINVAL, "all");
	bad("tcp &", -EINVAL, "&");
	/* pcap-filter refuses these, too. */
	bad("tcp host 10.0.0.1", -EINVAL, "tcp and host");
	bad("icmp port 80", -EINVAL, "icmp");
	bad("ip port 80", -EINVAL, "ip");
	bad("proto 6 port 80", -EINVAL, "proto");
	bad("ip6 host 10.0.0.1", -EINVAL, "10.0.0.1");
	bad("ip net 2001:db8::/32", -EINVAL, "2001:db8::/32");
}
END_TEST

START_TEST(test_malformed)
{
	bad("", -EINVAL, "empty");
	bad(" \t\n ", -EINVAL, "empty");
	bad("tcp and", -EINVAL, "end");
	bad("or tcp", -EINVAL, "or");
	bad("(tcp", -EINVAL, ")");
	bad("tcp)", -EINVAL, ")");
	bad("()", -EINVAL, ")");
	bad("tcp udp", -EINVAL, "udp");
	bad("src", -EINVAL, "end");
	bad("host", -EINVAL, "address");
	bad("host example.org", -EINVAL, "example.org");
	bad("host 10.0.0", -EINVAL, "10.0.0");
	bad("host 10.0.0.256", -EINVAL, "10.0.0.256");
	bad("host 10.0.0.1/32", -EINVAL, "10.0.0.1/32");
	bad("net 10.0.0.0/33", -EINVAL, "10.0.0.0/33");
	bad("net 10.0.0.0/", -EINVAL, "10.0.0.0/");
	bad("net 10.0.0.0/+8", -EINVAL, "10.0.0.0/+8");
	bad("net 10.0.0.0/-18446744073709551608", -EINVAL, "/-18446744073709551608");
	bad("net 10.0.0.0/8/8", -EINVAL, "10.0.0.0/8/8");
	bad("net 2001:db8::/129", -EINVAL, "2001:db8::/129");
	bad("port", -EINVAL, "port");
	bad("port 65536", -EINVAL, "65536");
	bad("port 0x50", -EINVAL, "0x50");
	bad("port -1", -EINVAL, "-1");
	bad("port http", -EINVAL, "http");
	bad("port 99999999999999999999999", -EINVAL, "99999999999999999999999");
	bad("port \v80", -EINVAL, "port");
	bad("proto 256", -EINVAL, "256");
	bad("proto tcp", -EINVAL, "tcp");
	bad("host 10.0.0.1\r", -EINVAL, "address");
}
END_TEST

START_TEST(test_bounds)
{
	char big[NF_SPACE_TEXT + 1], *w = big;

	memset(big, ' ', NF_SPACE_TEXT);
	memcpy(big, "tcp", 3);
	big[NF_SPACE_TEXT - 1] = 0;
	nf_space_free(good(big));
	big[NF_SPACE_TEXT - 1] = ' ';
	big[NF_SPACE_TEXT] = 0;
	bad(big, -E2BIG, "longer");
	/* 2^10 alternatives are accepted, 2^11 are not. */
	for (unsigned i = 0; i < 10; i++)
		w += sprintf(w, "%s(port 1 or port 2)", i ? " and " : "");
	nf_space_free(good(big));
	sprintf(w, " and (port 1 or port 2)");
	bad(big, -E2BIG, "split");
	/* Deep nesting ends in an answer, not in the stack. */
	memset(big, '(', 4000);
	big[4000] = 0;
	bad(big, -E2BIG, "nested");
	memset(big, 'x', 4000);
	bad(big, -EINVAL, "xxx");
}
END_TEST

/* Alternatives times conditions is bounded, too: "and" after "and" may not eat the memory. */
START_TEST(test_conditions)
{
	char big[NF_SPACE_TEXT], *w = big + sprintf(big, "tcp");

	for (unsigned i = 1; i < 64; i++)
		w += sprintf(w, " and tcp");
	nf_space_free(good(big));
	sprintf(w, " and tcp");
	bad(big, -E2BIG, "conditions");
}
END_TEST

START_TEST(test_error_room)
{
	struct nf_space *s;
	char err[8] = "1234567";

	ck_assert_int_eq(nf_space_parse("vlan 5 and something long", &s, err, 4), -EINVAL);
	ck_assert_uint_eq(strlen(err), 3);
	ck_assert_str_eq(err + 4, "567");
}
END_TEST

static struct nfshim_flow host(const char *a)
{
	struct nfshim_flow k = flow(0, a, 0, a, 0);

	memset(k.addr[1], 0, 16);
	k.kind = NFSHIM_KIND_HOST;
	return k;
}

static bool names(const char *text, const char *address)
{
	struct nf_space *s = good(text);
	struct nfshim_flow k = host(address);
	bool r = nf_space_has_host(s, &k);

	nf_space_free(s);
	return r;
}

START_TEST(test_hosts)
{
	ck_assert(names("all", "192.0.2.1"));
	ck_assert(names("net 10.20.0.0/21", "10.20.7.255"));
	ck_assert(!names("net 10.20.0.0/21", "10.20.8.0"));
	ck_assert(names("src net 10.20.0.0/21 and tcp port 80", "10.20.0.1"));
	ck_assert(names("net 10.0.0.0/8 or net 2001:db8::/32", "2001:db8::5"));
	ck_assert(!names("net 10.0.0.0/8", "2001:db8::5"));
	ck_assert(!names("net ::/0", "10.0.0.1"));
	ck_assert(!names("tcp port 80", "10.0.0.1"));
	ck_assert(!names("ip", "10.0.0.1"));
}
END_TEST

static bool meet(const char *a, const char *b)
{
	struct nf_space *x = good(a), *y = good(b);
	bool r = nf_space_overlap(x, y);

	ck_assert(nf_space_overlap(y, x) == r);
	nf_space_free(x);
	nf_space_free(y);
	return r;
}

START_TEST(test_overlap)
{
	ck_assert(meet("all", "tcp"));
	ck_assert(meet("tcp", "tcp port 80"));
	ck_assert(!meet("tcp", "udp"));
	ck_assert(!meet("tcp port 80", "udp port 80"));
	ck_assert(!meet("net 10.0.0.0/8", "net 2001:db8::/32"));
	ck_assert(!meet("ip6", "net 10.0.0.0/8"));
	ck_assert(meet("net 10.0.0.0/8", "net 10.20.0.0/16"));
	ck_assert(meet("tcp or udp", "udp or sctp"));
	/* A flow between the two nets is in both spaces. */
	ck_assert(meet("net 10.20.0.0/21", "net 10.20.8.0/21"));
	ck_assert(meet("src net 10.20.0.0/21", "src net 10.20.8.0/21"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("space");
	TCase *c = tcase_create("by hand");

	tcase_set_timeout(c, 60);
	tcase_add_test(c, test_flows);
	tcase_add_test(c, test_direction);
	tcase_add_test(c, test_arp);
	tcase_add_test(c, test_precedence);
	tcase_add_test(c, test_struct);
	tcase_add_test(c, test_refused);
	tcase_add_test(c, test_malformed);
	tcase_add_test(c, test_bounds);
	tcase_add_test(c, test_conditions);
	tcase_add_test(c, test_error_room);
	tcase_add_test(c, test_hosts);
	tcase_add_test(c, test_overlap);
	suite_add_tcase(s, c);
	return frames_main(s);
}
