/* SPDX-License-Identifier: BSD-2-Clause */
/* Flow keys over all traces: against their published flow counts, both ways, and broken. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "flow.h"
#include "frames.h"

struct seen {
	struct nfshim_flow key;
	UT_hash_handle hh;
};

static bool ordered(const struct nfshim_flow *k)
{
	int c = memcmp(k->addr[0], k->addr[1], 16);
	bool echo = (k->proto == IPPROTO_ICMP || k->proto == IPPROTO_ICMPV6) && !k->port[1];

	return c < 0 || (c == 0 && (echo || k->port[0] <= k->port[1]));
}

struct trace {
	struct seen *set;
	unsigned n;
	struct nf_frags *there, *back;
};

static bool note(struct trace *t, const struct nfshim_flow *k)
{
	struct seen *s;

	HASH_FIND(hh, t->set, k, sizeof(*k), s);
	if (s)
		return false;
	s = calloc(1, sizeof(*s));
	s->key = *k;
	HASH_ADD(hh, t->set, key, sizeof(s->key), s);
	t->n++;
	return true;
}

static void forget(struct trace *t)
{
	struct seen *s, *next;

	HASH_ITER (hh, t->set, s, next) {
		HASH_DEL(t->set, s);
		free(s);
	}
	t->n = 0;
}

static bool same_ends(const struct nfshim_flow *k)
{
	return !memcmp(k->addr[0], k->addr[1], 16) &&
	       (k->port[0] == k->port[1] || k->proto == IPPROTO_ICMP || k->proto == IPPROTO_ICMPV6);
}

/* A packet and the same packet the other way round have one key and opposite senders. */
static void both_ways(void *ctx, const uint8_t *data, size_t len)
{
	struct trace *t = ctx;
	uint8_t *frame = frames_exact(data, len);
	size_t n = frames_untag(frame, len);
	struct nfshim_flow a, b;
	struct frames_ip ip;
	int from_a, from_b;

	nf_flow_parse(frame, n, t->there, &a, &from_a);
	ck_assert(ordered(&a));
	ck_assert_uint_eq(a.kind, NFSHIM_KIND_FLOW);
	ck_assert(from_a == 0 || from_a == 1);
	frames_reverse(frame, n);
	nf_flow_parse(frame, n, t->back, &b, &from_b);
	if (a.ethertype == 0x0806 || frames_ip(frame, n, &ip)) {
		ck_assert(nf_flow_equal(&a, &b));
		ck_assert_uint_eq(nf_flow_hash(&a), nf_flow_hash(&b));
		ck_assert(from_a != from_b || same_ends(&a));
		t->n++;
	}
	free(frame);
}

START_TEST(test_both_ways)
{
	struct trace t = {.there = nf_frags_new(), .back = nf_frags_new()};

	ck_assert_uint_ge(frames_all(both_ways, &t), 16);
	ck_assert_uint_gt(t.n, 50000);
	nf_frags_free(t.there);
	nf_frags_free(t.back);
}
END_TEST

static void collect(void *ctx, const uint8_t *data, size_t len)
{
	struct trace *t = ctx;
	struct nfshim_flow k;

	nf_flow_parse(data, len, t->there, &k, NULL);
	/* Fragments of which no first one was seen are flows without ports: not in the manifest. */
	if ((k.port[0] || k.port[1]) && k.proto != IPPROTO_ICMP && k.proto != IPPROTO_ICMPV6)
		note(t, &k);
}

/* Where the manifest counts otherwise than a switch and we do. */
static const struct {
	const char *file;
	unsigned flows;
} counts[] = {
	/* 248 with those of which IP version or header length is wrong, which are not IP. */
	{"ndpi-fuzz-2594.pcap", 245},
	/* 45 with the TCP inside an authentication header, which in IPv4 is protocol 51. */
	{"pfl-showcase-vlan-mpls-gre.pcap", 44},
};

static void one_count(const char *file, unsigned flows)
{
	struct trace t = {.there = nf_frags_new()};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (!strcmp(file, counts[i].file))
			flows = counts[i].flows;
	frames_each(file, collect, &t);
	ck_assert_msg(t.n == flows, "%s: %u flows, expected %u", file, t.n, flows);
	forget(&t);
	nf_frags_free(t.there);
}

START_TEST(test_manifest)
{
	FILE *f = fopen(frames_path("MANIFEST.md"), "r");
	char line[2048], file[128];
	unsigned flows, rows = 0;

	ck_assert(f != NULL);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "| %127s | %*[^|] | %*[^|] | %*u | %*u | %u", file, &flows) == 2) {
			one_count(file, flows);
			rows++;
		}
	fclose(f);
	ck_assert_uint_ge(rows, 16);
}
END_TEST

/* A line of campus800.flows.tsv: flow kind proto packets bytes start end client port server port */
static bool listed(const char *line, struct nfshim_flow *k, unsigned *packets)
{
	char client[64], server[64];
	unsigned proto, cport, sport;
	int af;

	if (sscanf(line, "%*u %*s %u %u %*u %*f %*f %63s %u %63s %u", &proto, packets, client,
		   &cport, server, &sport) != 6)
		return false;
	af = strchr(client, ':') ? AF_INET6 : AF_INET;
	memset(k, 0, sizeof(*k));
	k->ethertype = af == AF_INET ? 0x0800 : 0x86dd;
	k->proto = (uint8_t)proto;
	k->port[0] = (uint16_t)cport;
	k->port[1] = (uint16_t)sport;
	ck_assert_int_eq(inet_pton(af, client, k->addr[0]), 1);
	ck_assert_int_eq(inet_pton(af, server, k->addr[1]), 1);
	nf_flow_canon(k);
	return true;
}

struct tally {
	struct nfshim_flow key;
	unsigned packets;
	UT_hash_handle hh;
};

static void tally(void *ctx, const uint8_t *data, size_t len)
{
	struct tally **set = ctx, *t;
	struct nfshim_flow k;

	nf_flow_parse(data, len, NULL, &k, NULL);
	HASH_FIND(hh, *set, &k, sizeof(k), t);
	if (!t) {
		t = calloc(1, sizeof(*t));
		t->key = k;
		HASH_ADD(hh, *set, key, sizeof(t->key), t);
	}
	t->packets++;
}

/* Every flow that the trace was built from is found, with its packets, and nothing else is. */
START_TEST(test_campus)
{
	FILE *f = fopen(frames_path("campus800.flows.tsv"), "r");
	struct tally *set = NULL, *t;
	struct nfshim_flow k;
	char line[2048];
	unsigned packets, flows = 0;

	ck_assert(f != NULL);
	frames_each("campus800.pcap", tally, &set);
	while (fgets(line, sizeof(line), f)) {
		if (!listed(line, &k, &packets))
			continue;
		HASH_FIND(hh, set, &k, sizeof(k), t);
		ck_assert_msg(t != NULL, "no packet of: %s", line);
		ck_assert_msg(t->packets == packets, "%u packets of: %s", t->packets, line);
		HASH_DEL(set, t);
		free(t);
		flows++;
	}
	fclose(f);
	ck_assert_uint_eq(flows, 1000);
	ck_assert_uint_eq(HASH_COUNT(set), 0);
}
END_TEST

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Overwrite a few of the first bytes, where the headers are, and perhaps cut the frame short. */
static void mutate(void *ctx, const uint8_t *data, size_t len)
{
	static uint64_t seed = 88172645463325252ull;
	static const uint8_t nasty[] = {0,    1,    4,	  0x0f, 0x40, 0x45,
					0x60, 0x7f, 0x80, 0xff, 44,   0x2c};
	struct trace *t = ctx;
	char text[NF_FLOW_TEXT];
	struct nfshim_flow k;

	for (unsigned round = 0; round < 4; round++) {
		size_t n = next_random(&seed) % 3 ? len : next_random(&seed) % (len + 1);
		uint8_t *frame = frames_exact(data, n);

		for (unsigned i = 0; n && i < 1 + round * 2; i++) {
			uint64_t r = next_random(&seed);

			frame[(r >> 8) % (n < 70 ? n : 70)] =
				r & 1 ? nasty[(r >> 20) % sizeof(nasty)] : (uint8_t)(r >> 32);
		}
		nf_flow_parse(frame, n, t->there, &k, NULL);
		ck_assert(ordered(&k));
		ck_assert_uint_gt(strlen(nf_flow_format(&k, text, sizeof(text))), 5);
		t->n++;
		free(frame);
	}
}

START_TEST(test_mutations)
{
	struct trace t = {.there = nf_frags_new()};

	frames_all(mutate, &t);
	ck_assert_uint_gt(t.n, 200000);
	nf_frags_free(t.there);
}
END_TEST

/* Real keys spread over the buckets of a table as chance would have it, by low and by high bits. */
START_TEST(test_hash)
{
	enum { BUCKETS = 1024 };
	struct trace t = {.there = nf_frags_new()};
	unsigned low[BUCKETS] = {0}, high[BUCKETS] = {0};
	double chi_low = 0, chi_high = 0, mean;
	struct seen *s, *next;

	frames_all(collect, &t);
	ck_assert_uint_gt(t.n, 4000);
	HASH_ITER (hh, t.set, s, next) {
		low[nf_flow_hash(&s->key) % BUCKETS]++;
		high[nf_flow_hash(&s->key) >> 54]++;
	}
	mean = (double)t.n / BUCKETS;
	for (unsigned i = 0; i < BUCKETS; i++) {
		chi_low += (low[i] - mean) * (low[i] - mean) / mean;
		chi_high += (high[i] - mean) * (high[i] - mean) / mean;
	}
	/* 1023 degrees of freedom: mean 1023, standard deviation 45; five of them are allowed. */
	ck_assert_double_lt(chi_low, 1250);
	ck_assert_double_lt(chi_high, 1250);
	forget(&t);
	nf_frags_free(t.there);
}
END_TEST

int main(void)
{
	Suite *s;
	TCase *c;

	if (frames_skip())
		return FRAMES_SKIPPED;
	s = suite_create("flow_traces");
	c = tcase_create("traces");
	tcase_set_timeout(c, 240);
	tcase_add_test(c, test_both_ways);
	tcase_add_test(c, test_manifest);
	tcase_add_test(c, test_campus);
	tcase_add_test(c, test_mutations);
	tcase_add_test(c, test_hash);
	suite_add_tcase(s, c);
	return frames_main(s);
}
