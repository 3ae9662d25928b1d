/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The nft driver against a real kernel, in a private network namespace: switch
 * and shim agree on who belongs to a space; a change of route loses, doubles
 * and reorders nothing and nothing follows MARK; an earlier run's table is
 * taken over. Needs root.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "flow.h"
#include "nft_net.h"
#include "switch.h"

static struct nf_switch_conf conf = {
	.driver = "nft",
	.table = "nftest",
	.input = {"swin"},
	.inputs = 1,
	.fallback = "a",
	.reference = "swr",
	.port = {{"a", "sw1"}, {"b", "sw2"}},
	.ports = 2,
};
static const struct nf_switch_ops *const ops = &nf_switch_nft;
static char err[NF_SWITCH_ERR];

static struct nf_switch *attach(void)
{
	struct nf_switch *sw = NULL;
	int rc = ops->attach(&conf, &sw, err);

	ck_assert_msg(rc == 0, "attach: %s", err);
	return sw;
}

static struct nf_space *space(const char *text)
{
	struct nf_space *s = NULL;
	char why[256];

	ck_assert_msg(nf_space_parse(text, &s, why, sizeof(why)) == 0, "%s: %s", text, why);
	return s;
}

static void route(struct nf_switch *sw, uint64_t gen, const char *text, const char *to)
{
	struct nf_space *s = space(text);

	ck_assert_msg(ops->set_route(sw, gen, s, to, err) == 0, "%s → %s: %s", text, to, err);
	nf_space_free(s);
}

/* ---- who belongs ---- */

static const char *const spaces[] = {
	"all",
	"net 10.20.0.0/21",
	"net 10.20.0.0/21 or net 2001:db8:20::/61",
	"host 10.20.0.5",
	"src net 10.20.0.0/21",
	"src host 10.20.0.5 and dst port 443",
	"tcp",
	"udp port 53",
	"port 53",
	"icmp",
	"icmp6",
	"ip",
	"ip6",
	"src port 1000 and dst port 443",
	"ip and net 10.20.0.0/21",
	"proto 47",
	"host 2001:db8:20::5 and tcp port 443",
	"net 10.20.0.0/21 and net 10.30.0.0/16",
	"net 0.0.0.0/0",
	"net ::/0",
	"(host 10.20.0.5 or host 10.30.0.1) and (port 53 or icmp)",
};

static size_t make_frame(unsigned i, uint8_t *f)
{
	static const char *const four[] = {"10.20.0.5", "10.20.7.9", "10.30.0.1", "192.0.2.1"};
	static const char *const six[] = {"2001:db8:20::5", "2001:db8:20:7::1", "2001:db8:30::1",
					  "2001:db8:20:8::1"};
	static const int proto[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, 47, IPPROTO_SCTP};
	static const uint16_t port[] = {53, 443, 1000};
	unsigned s = i % 4, d = i / 4 % 4, kind = i / 16 % 9, p = proto[i / 16 % 5], r = i / 144;
	int tags = kind >= 7 ? 2 : kind >= 5;

	if (kind == 4)
		return frame_arp(f, four[s], four[d]);
	if (kind % 2)
		return frame_ip(f, six[s], six[d], p == IPPROTO_ICMP ? IPPROTO_ICMPV6 : (int)p,
				port[r % 3], port[r / 3 % 3], tags);
	return frame_ip(f, four[s], four[d], (int)p, port[r % 3], port[r / 3 % 3], tags);
}

#define FRAMES (144 * 9)

static int next_frame(int sock, uint8_t *buf, size_t n, int ms)
{
	struct pollfd p = {.fd = sock, .events = POLLIN};

	return poll(&p, 1, ms) > 0 ? (int)recv(sock, buf, n, 0) : -1;
}

static void check_space(struct nf_switch *sw, const char *text, uint64_t gen, int gen_fd,
			const int *port)
{
	struct nf_space *s = space(text);
	uint8_t f[256], got[256];
	struct nfshim_flow key;
	char name[NF_FLOW_TEXT];

	ck_assert_msg(ops->set_route(sw, gen, s, "b", err) == 0, "%s: %s", text, err);
	for (unsigned i = 0; i < FRAMES; i++) {
		size_t n = make_frame(i, f);
		bool in;

		nf_flow_parse(f, n, NULL, &key, NULL);
		in = nf_space_has_flow(s, &key);
		ck_assert_int_eq(send(gen_fd, f, n, 0), (ssize_t)n);
		ck_assert_msg(next_frame(port[in], got, sizeof(got), 2000) > 0,
			      "'%s': %s (frame %u) should go to %s", text,
			      nf_flow_format(&key, name, sizeof(name)), i, in ? "b" : "a");
		ck_assert_msg(next_frame(port[!in], got, sizeof(got), 0) < 0,
			      "'%s': %s went to both", text, name);
		ck_assert(next_frame(port[2], got, sizeof(got), 2000) > 0);
	}
	nf_space_free(s);
}

START_TEST(switch_and_shim_agree)
{
	struct nf_switch *sw = attach();
	int gen_fd = net_socket("gen"),
	    port[] = {net_socket("p1"), net_socket("p2"), net_socket("pr")};
	unsigned gen = 0;

	for (unsigned i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
		check_space(sw, spaces[i], ++gen, gen_fd, port);
		route(sw, ++gen, "all", "a");
	}
	/* Listing such rules has crashed nft: the operator's command has to work. */
	check_space(sw, "src host 10.20.0.5 and dst port 443", ++gen, gen_fd, port);
	ck_assert_int_eq(system("nft list ruleset >/dev/null"), 0);
	ck_assert_int_eq(ops->detach(sw, err), 0);
	ops->free(sw);
	for (int i = 0; i < 3; i++)
		close(port[i]);
	close(gen_fd);
}
END_TEST

/* ---- nothing lost, doubled, late ---- */

#define CHANGES 400
#define RATE	50000
#define LOG_MAX (8u << 20)
#define MARK	0x80000000u /* | queue | change << 8: a mark in a log */

struct listener {
	int sock;
	uint32_t *log;
	_Atomic unsigned n;
	pthread_t thread;
};

static atomic_bool stop_sending, stop_listening;
static _Atomic uint32_t sent;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *send_all(void *arg)
{
	int s = net_socket("gen");
	uint64_t t0 = now_ns();
	uint8_t f[256];
	size_t n = frame_udp(f, 0x0a140005, 0xc6336401, 1000, 53);
	cpu_set_t one;

	(void)arg;
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	while (!stop_sending) {
		uint32_t due = (uint32_t)((now_ns() - t0) * RATE / 1000000000u), seq = sent;

		if (due - seq > 200) /* the machine was away: no burst that overruns a queue */
			t0 += (uint64_t)(due - seq - 200) * 1000000000u / RATE;
		for (unsigned burst = 0; seq < due && burst < 200; burst++, seq++) {
			memcpy(f + 42, &seq, sizeof(seq));
			while (send(s, f, n, 0) < 0)
				;
			sent = seq + 1;
		}
		usleep(100);
	}
	close(s);
	return NULL;
}

static void *listen_all(void *arg)
{
	struct listener *l = arg;
	uint8_t f[256];

	while (l->n < LOG_MAX) {
		int n = next_frame(l->sock, f, sizeof(f), 50);
		uint32_t v = 0;

		if (n < 0 && stop_listening)
			break;
		if (n < 46)
			continue;
		if (f[12] == 0x88 && f[13] == 0xb5)
			v = MARK | (uint32_t)f[14] | (uint32_t)f[15] << 8 | (uint32_t)f[16] << 16;
		else
			memcpy(&v, f + 42, sizeof(v));
		l->log[l->n] = v;
		l->n++;
	}
	return NULL;
}

static void listener_start(struct listener *l, const char *dev)
{
	l->sock = net_socket(dev);
	l->log = malloc(LOG_MAX * sizeof(*l->log));
	l->n = 0;
	ck_assert(l->sock >= 0 && l->log);
	pthread_create(&l->thread, NULL, listen_all, l);
}

static void mark_all(struct nf_switch *sw, const char *instance, unsigned change)
{
	uint8_t f[60] = {2, 0x6e, 0x66, 0, 0, 1, 2, 0x6e, 0x66, 0, 0, 2, 0x88, 0xb5};

	f[15] = (uint8_t)change;
	f[16] = (uint8_t)(change >> 8);
	for (unsigned q = 0; q < ops->queues(sw); q++) {
		f[14] = (uint8_t)q;
		ck_assert_int_eq(ops->mark(sw, instance, q, f, sizeof(f)), 0);
	}
}

/* Packets of one era stand between two sets of marks; returns where the next era starts. */
static unsigned check_era(const struct listener *l, unsigned at, unsigned queues, uint32_t *seq,
			  unsigned change)
{
	unsigned marks = 0;

	for (; at < l->n && marks < queues; at++) {
		uint32_t v = l->log[at];

		if (v & MARK) {
			ck_assert_uint_eq((v >> 8) & 0xffff, change);
			marks++;
			continue;
		}
		/* Between the marks of different CPUs the one that carries packets decides. */
		ck_assert_msg(v == *seq, "change %u: packet %u where %u should be", change, v,
			      *seq);
		++*seq;
	}
	ck_assert_uint_eq(marks, queues);
	return at;
}

static void check_reference(const struct listener *l, uint32_t n)
{
	ck_assert_uint_eq(l->n, n);
	for (unsigned i = 0; i < l->n; i++)
		ck_assert_uint_eq(l->log[i], i);
}

static void change_route(struct nf_switch *sw, unsigned i, uint64_t *slowest)
{
	struct nf_space *s = space("net 10.20.0.0/21 or net 2001:db8:20::/61");
	uint64_t t0 = now_ns(), took;

	ck_assert_int_eq(ops->set_route(sw, i + 1, s, i % 2 ? "a" : "b", err), 0);
	took = now_ns() - t0;
	if (took > *slowest)
		*slowest = took;
	ck_assert_msg(ops->grace(sw, err) == 0, "%s", err);
	mark_all(sw, i % 2 ? "b" : "a", i);
	nf_space_free(s);
}

static void count(void *arg, const char *what, uint64_t packets, uint64_t bytes)
{
	uint64_t *n = arg;

	(void)bytes;
	n[!strcmp(what, "a")	       ? 0
	  : !strcmp(what, "b")	       ? 1
	  : !strcmp(what, "reference") ? 2
				       : 3] = packets;
}

START_TEST(changes_lose_nothing)
{
	struct nf_switch *sw = attach();
	struct listener port[2], ref;
	unsigned at[2] = {0};
	uint64_t slowest = 0, n[4] = {0}, t0;
	uint32_t seq = 0;
	pthread_t sender;

	listener_start(&port[0], "p1");
	listener_start(&port[1], "p2");
	listener_start(&ref, "pr");
	pthread_create(&sender, NULL, send_all, NULL);
	t0 = now_ns();
	for (unsigned i = 0; i < CHANGES; i++) {
		usleep(1000 + (unsigned)rand() % 4000);
		change_route(sw, i, &slowest);
	}
	usleep(50000);
	stop_sending = true;
	pthread_join(sender, NULL);
	mark_all(sw, "a", CHANGES);
	usleep(300000);
	stop_listening = true;
	for (int i = 0; i < 2; i++)
		pthread_join(port[i].thread, NULL);
	pthread_join(ref.thread, NULL);
	printf("%u packets in %.1f s, %u changes, slowest transaction %.2f ms\n", (unsigned)sent,
	       (double)(now_ns() - t0) / 1e9, CHANGES, (double)slowest / 1e6);
	ck_assert_uint_eq(net_drops(port[0].sock) + net_drops(port[1].sock) + net_drops(ref.sock),
			  0);
	ck_assert_uint_gt(sent, CHANGES * 10);
	for (unsigned i = 0; i <= CHANGES; i++)
		at[i % 2] = check_era(&port[i % 2], at[i % 2], ops->queues(sw), &seq, i);
	ck_assert_uint_eq(seq, sent);
	ck_assert_uint_eq(at[0], port[0].n);
	ck_assert_uint_eq(at[1], port[1].n);
	check_reference(&ref, sent);
	ck_assert_int_eq(ops->counters(sw, count, n, err), 0);
	ck_assert_uint_eq(n[0] + n[1], sent);
	ck_assert_uint_eq(n[2], sent);
	ck_assert_uint_eq(n[3], sent);
	free(port[0].log);
	free(port[1].log);
	free(ref.log);
	ck_assert_int_eq(ops->detach(sw, err), 0);
	ops->free(sw);
}
END_TEST

/* ---- over a restart ---- */

START_TEST(routes_survive)
{
	struct nf_switch *sw = attach();
	struct nf_routes l;
	char *long_text = malloc(3000);
	uint64_t gen;

	strcpy(long_text, "host 10.20.0.1");
	for (int i = 2; i < 100; i++)
		sprintf(long_text + strlen(long_text), " or host 10.20.0.%d", i);
	route(sw, 1, "net 10.30.0.0/16", "b");
	route(sw, 5, long_text, "b");
	route(sw, 3, "all", "b"); /* late: ignored */
	ops->free(sw);
	sw = attach();
	ck_assert_int_eq(ops->read_back(sw, &l, err), 0);
	ck_assert_uint_eq(l.gen, 5);
	ck_assert_uint_eq(l.n, 2);
	ck_assert_str_eq(l.r[0].instance, "b");
	ck_assert_str_eq(l.r[0].space->text, long_text);
	ck_assert_str_eq(l.r[1].space->text, "net 10.30.0.0/16");
	nf_routes_clear(&l);
	/* Back to the default: nothing is left of it. */
	route(sw, 6, "net 10.30.0.0/16", "a");
	route(sw, 7, long_text, "a");
	for (gen = 8; gen < 108; gen++)
		route(sw, gen, gen % 3 ? "net 10.40.0.0/16" : "net 10.50.0.0/16",
		      gen % 2 ? "a" : "b");
	route(sw, gen++, "net 10.40.0.0/16 or net 10.50.0.0/16", "b");
	ck_assert_int_eq(ops->read_back(sw, &l, err), 0);
	ck_assert_uint_eq(l.n, 1);
	nf_routes_clear(&l);
	route(sw, gen++, "all", "a");
	ck_assert_int_eq(ops->read_back(sw, &l, err), 0);
	ck_assert_uint_eq(l.n, 0);
	nf_routes_clear(&l);
	ck_assert_int_eq(ops->detach(sw, err), 0);
	ops->free(sw);
	free(long_text);
}
END_TEST

START_TEST(refusals)
{
	struct nf_switch_conf bad = conf;
	struct nf_switch *sw;
	struct nf_space *s;
	unsigned rules;
	char text[4000] = "host 10.0.0.1";

	ck_assert_int_eq(system("nft add table netdev nftest '{ chain routes { continue comment "
				"\"mine\"; }; }'"),
			 0);
	ck_assert_int_eq(ops->attach(&conf, &sw, err), -EEXIST);
	ck_assert_ptr_nonnull(strstr(err, "not made by nfctrld"));
	ck_assert_int_eq(system("nft delete table netdev nftest"), 0);
	strcpy(bad.port[1].dev, "nowhere");
	ck_assert_int_eq(ops->attach(&bad, &sw, err), -ENODEV);
	strcpy(bad.netns, "no-such-namespace");
	ck_assert_int_lt(ops->attach(&bad, &sw, err), 0);

	sw = attach();
	s = space("tcp and udp");
	ck_assert_int_lt(ops->can_match(sw, s, &rules, err), 0);
	nf_space_free(s);
	for (int i = 2; i < 14; i++)
		sprintf(text + strlen(text), " and port %d", i);
	s = space(text);
	ck_assert_int_eq(ops->can_match(sw, s, &rules, err), -E2BIG);
	nf_space_free(s);
	s = space("net 10.20.0.0/21");
	ck_assert_int_eq(ops->can_match(sw, s, &rules, err), 0);
	ck_assert_uint_eq(rules, 4); /* IP and ARP, either side */
	ck_assert_int_eq(ops->set_route(sw, 9, s, "nobody", err), -ENOENT);
	nf_space_free(s);
	ck_assert_int_eq(ops->detach(sw, err), 0);
	ops->free(sw);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("nft");
	TCase *t = tcase_create("nft");
	SRunner *r;
	int failed, rc;

	if (geteuid() != 0) {
		printf("skipped: needs root\n");
		return 77;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	rc = net_up();
	if (rc) {
		printf("cannot set up a private network: %s\n", strerror(-rc));
		return 1;
	}
	tcase_set_timeout(t, 120);
	tcase_add_test(t, switch_and_shim_agree);
	tcase_add_test(t, changes_lose_nothing);
	tcase_add_test(t, routes_survive);
	tcase_add_test(t, refusals);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
