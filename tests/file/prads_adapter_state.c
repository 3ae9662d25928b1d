/* SPDX-License-Identifier: BSD-2-Clause */
/* The PRADS adapter on tables of its own, without PRADS: walks, blobs good and hostile. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "adapters/prads.h"
#include "adapters/prads_asset.h"
#include "flow.h"
#include "prads_tables.h"

#define ETH_IP	0x0800
#define ETH_IP6 0x86dd

#define CAP 65536

/* ---- connections ---- */

static struct nfshim_flow flow4(uint8_t host, uint16_t sport, uint16_t dport)
{
	struct nfshim_flow f = {.ethertype = ETH_IP, .proto = 6, .port = {sport, dport}};

	memcpy(f.addr[0], (uint8_t[]){10, 20, 0, host}, 4);
	memcpy(f.addr[1], (uint8_t[]){198, 18, 0, 1}, 4);
	nf_flow_canon(&f);
	return f;
}

/* As cx_track: at the head, with rubbish behind the IPv4 addresses. */
static struct prads_conn *add_conn(const struct nfshim_flow *f, int64_t start)
{
	struct prads_conn *c = calloc(1, sizeof(*c));
	uint32_t b;

	ck_assert(nf_prads_conns.bucket(f, &b));
	memset(c->s_ip, 0xaa, sizeof(c->s_ip));
	memset(c->d_ip, 0xbb, sizeof(c->d_ip));
	memcpy(c->s_ip, f->addr[1], f->ethertype == ETH_IP ? 4 : 16);
	memcpy(c->d_ip, f->addr[0], f->ethertype == ETH_IP ? 4 : 16);
	c->s_port = htons(f->port[1]);
	c->d_port = htons(f->port[0]);
	c->af = f->ethertype == ETH_IP ? AF_INET : AF_INET6;
	c->proto = f->proto;
	c->start = start;
	c->last = start + 3;
	c->s_pkts = 7;
	c->d_bytes = 0x123456789abcull;
	c->s_flags = 0x1b;
	c->check = 0x10;
	c->cxid = ++cxid;
	nf_prads_link(&prads.conns[b], &c->node, prads.conns[b]);
	return c;
}

START_TEST(conn_there_and_back)
{
	struct nfshim_flow f = flow4(7, 40000, 80);
	uint8_t a[CAP], b[CAP];
	ssize_t n, m;

	add_conn(&f, 1000);
	ck_assert(nf_prads_conn_has(&prads, &f));
	n = nf_prads_conn_get(&prads, &f, a, sizeof(a));
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(nf_prads_conn_get(&prads, &f, b, (size_t)n - 1), -ENOSPC);
	ck_assert_int_eq(nf_prads_conn_del(&prads, &f), 0);
	ck_assert_int_eq(nf_prads_conn_del(&prads, &f), -ENOENT);
	ck_assert_int_eq(nf_prads_conn_get(&prads, &f, b, sizeof(b)), -ENOENT);
	ck_assert_int_eq(nf_prads_conn_put(&prads, &f, a, (size_t)n), 0);
	m = nf_prads_conn_get(&prads, &f, b, sizeof(b));
	ck_assert_int_eq(n, m);
	ck_assert_mem_eq(a, b, n);
	ck_assert(nf_prads_sane(&nf_prads_conns, prads.conns));
}
END_TEST

START_TEST(conn_put_keeps_place_and_id)
{
	/* One bucket: the sum of the ports is the same. */
	struct nfshim_flow f[3] = {flow4(7, 40000, 80), flow4(7, 40001, 79), flow4(7, 40002, 78)};
	struct prads_conn *c[3];
	uint8_t blob[CAP];
	ssize_t n;
	uint32_t b, other;

	for (int i = 0; i < 3; i++)
		c[i] = add_conn(&f[i], 1000 + i);
	ck_assert(nf_prads_conns.bucket(&f[0], &b) && nf_prads_conns.bucket(&f[2], &other));
	ck_assert_int_eq(b, other);
	n = nf_prads_conn_get(&prads, &f[1], blob, sizeof(blob));
	c[1]->s_pkts = 99;
	ck_assert_int_eq(nf_prads_conn_put(&prads, &f[1], blob, (size_t)n), 0);
	ck_assert_ptr_eq(prads.conns[b]->next, &c[1]->node);
	ck_assert_int_eq(c[1]->s_pkts, 7);
	ck_assert_int_eq(c[1]->cxid, 2);
	/* Anew: between the younger and the older one. */
	ck_assert_int_eq(nf_prads_conn_del(&prads, &f[1]), 0);
	ck_assert_int_eq(nf_prads_conn_put(&prads, &f[1], blob, (size_t)n), 0);
	ck_assert_ptr_eq(prads.conns[b], &c[2]->node);
	ck_assert_ptr_eq(prads.conns[b]->next->next, &c[0]->node);
	ck_assert_ptr_eq(c[0]->node.prev, prads.conns[b]->next);
	ck_assert_int_eq(((struct prads_conn *)prads.conns[b]->next)->cxid, 4);
	/* The last of a chain goes without taking the chain along. */
	ck_assert_int_eq(nf_prads_conn_del(&prads, &f[0]), 0);
	ck_assert(nf_prads_conn_has(&prads, &f[1]) && nf_prads_conn_has(&prads, &f[2]));
	ck_assert_int_eq(nf_prads_conn_del(&prads, &f[2]), 0);
	ck_assert_ptr_null(prads.conns[b]->prev);
}
END_TEST

START_TEST(conn_put_refuses_keys)
{
	struct nfshim_flow f = flow4(7, 40000, 80), bad;
	uint8_t blob[CAP];
	ssize_t n;

	add_conn(&f, 1000);
	n = nf_prads_conn_get(&prads, &f, blob, sizeof(blob));
	ck_assert_int_eq(nf_prads_conn_del(&prads, &f), 0);
	for (int i = 0; i < 5; i++) {
		bad = f;
		if (i == 0)
			bad.vlan[0] = 5;
		else if (i == 1)
			bad.kind = NFSHIM_KIND_HOST;
		else if (i == 2)
			bad.ethertype = 0x0806;
		else if (i == 3)
			bad.addr[1][9] = 1; /* behind an IPv4 address */
		else {
			memcpy(bad.addr[0], f.addr[1], 16);
			memcpy(bad.addr[1], f.addr[0], 16);
		}
		ck_assert_int_eq(nf_prads_conn_put(&prads, &bad, blob, (size_t)n), -EINVAL);
	}
	ck_assert_int_eq(cxid, 1);
}
END_TEST

/* ---- the walk ---- */

struct seen {
	unsigned n, stop_after;
	unsigned count[64];
};

static int see(void *arg, const struct nfshim_flow *key)
{
	struct seen *s = arg;

	s->count[key->addr[0][3]]++;
	s->n++;
	return s->stop_after && s->n % s->stop_after == 0;
}

/* Twenty flows in one bucket, some elsewhere; walked in pieces while the chain changes. */
static void walk(unsigned stop_after, bool add, bool remove, bool remove_ahead)
{
	struct seen s = {.stop_after = stop_after};
	uint64_t cursor = 0;
	unsigned calls = 0, gone = 0;
	int more;

	for (uint8_t i = 1; i <= 20; i++) {
		struct nfshim_flow f = flow4(i, (uint16_t)(40000 + i), 80);
		uint32_t b;

		for (f.port[0] = 1; nf_prads_conns.bucket(&f, &b) && i % 5 && b != 4711;)
			f.port[0]++;
		add_conn(&f, 1000 + i);
	}
	do {
		more = nf_prads_list(&nf_prads_conns, prads.conns, &cursor, 5000, see, &s);
		ck_assert_int_ge(more, 0);
		ck_assert_uint_lt(++calls, 100);
		if (add && calls == 3) {
			struct nfshim_flow f = flow4(60, 1, 1);
			uint32_t b;

			while (nf_prads_conns.bucket(&f, &b) && b != 4711)
				f.port[0]++;
			add_conn(&f, 2000);
		}
		if (remove && calls == 2) /* what was visited may end meanwhile */
			for (struct prads_node *n = prads.conns[4711], *next; n; n = next) {
				struct nfshim_flow k;

				next = n->next;
				nf_prads_conns.key(n, &k);
				if (s.count[k.addr[0][3]])
					nf_prads_conn_del(&prads, &k);
			}
		if (remove_ahead && !gone && s.n) { /* and so may what was not */
			struct prads_node *n = prads.conns[4711];
			struct nfshim_flow k;

			for (; n && !gone; n = n->next)
				if (nf_prads_conns.key(n, &k) && !s.count[k.addr[0][3]] && !n->next)
					gone = k.addr[0][3];
			if (gone)
				nf_prads_conn_del(&prads, &k);
		}
	} while (more);
	for (unsigned i = 1; i <= 20; i++)
		ck_assert_msg(s.count[i] == (i != gone), "flow %u seen %u times", i, s.count[i]);
}

START_TEST(walk_once)
{
	walk((unsigned)_i, false, false, false);
	prads_tables_free();
	prads_tables_new();
	walk((unsigned)_i, true, false, false);
	prads_tables_free();
	prads_tables_new();
	walk((unsigned)_i, false, true, false);
	prads_tables_free();
	prads_tables_new();
	walk((unsigned)_i, false, false, true);
}
END_TEST

START_TEST(walk_refuses_a_strange_table)
{
	struct nfshim_flow f = flow4(7, 40000, 80);
	struct prads_conn *c = add_conn(&f, 1);
	struct seen s = {0};
	uint64_t cursor = 0;

	c->af = 77;
	ck_assert_int_eq(
		nf_prads_list(&nf_prads_conns, prads.conns, &cursor, PRADS_BUCKETS, see, &s),
		-EPROTO);
	c->af = AF_INET;
	c->proto = 5;
	cursor = 0;
	ck_assert_int_eq(
		nf_prads_list(&nf_prads_conns, prads.conns, &cursor, PRADS_BUCKETS, see, &s),
		-EPROTO);
}
END_TEST

/* ---- assets ---- */

static struct nfshim_flow host4(uint8_t last)
{
	struct nfshim_flow f = {.ethertype = ETH_IP, .kind = NFSHIM_KIND_HOST};

	memcpy(f.addr[0], (uint8_t[]){10, 20, 0, last}, 4);
	return f;
}

static struct prads_string *text(const char *s)
{
	struct prads_string *b = malloc(sizeof(*b));

	b->slen = (int)strlen(s);
	b->mlen = b->slen + 1;
	b->data = (unsigned char *)strdup(s);
	return b;
}

static struct prads_asset *add_asset(const struct nfshim_flow *key, int64_t first)
{
	struct prads_asset *a = calloc(1, sizeof(*a));
	uint32_t b;

	ck_assert(nf_prads_assets.bucket(key, &b));
	a->af = key->ethertype == ETH_IP ? AF_INET : AF_INET6;
	memset(a->ip, 0xcc, sizeof(a->ip));
	memcpy(a->ip, key->addr[0], key->ethertype == ETH_IP ? 4 : 16);
	a->first = first;
	a->last = first + 9;
	a->vlan = htons(12);
	nf_prads_link(&prads.assets[b], &a->node, prads.assets[b]);
	return a;
}

static struct prads_serv *add_serv(struct prads_asset *a, uint16_t port, const char *app)
{
	struct prads_serv *s = calloc(1, sizeof(*s));

	s->port = htons(port);
	s->proto = 6;
	s->role = 2;
	s->service = text("http");
	s->application = text(app);
	s->node.next = a->services;
	a->services = &s->node;
	return s;
}

static struct prads_os *add_os(struct prads_asset *a, uint8_t detection, const struct prads_fp *fp,
			       const char *raw)
{
	struct prads_os *o = calloc(1, sizeof(*o));

	o->detection = detection;
	if (fp) {
		o->fp.os = fp->os;
		o->fp.desc = fp->desc;
		o->fp.mss = 1460;
		o->fp.optcnt = 2;
		o->fp.opt[15] = 9;
	}
	if (raw)
		o->raw_fp = text(raw);
	o->uptime = 360000;
	o->node.next = a->os;
	if (a->os)
		a->os->prev = &o->node;
	a->os = &o->node;
	return o;
}

static struct prads_asset *full_asset(const struct nfshim_flow *key)
{
	struct prads_asset *a = add_asset(key, 500);

	add_serv(a, 80, "nginx 1.22");
	add_serv(a, 443, "@https");
	add_os(a, PRADS_SYN, &linux_a, "S10:64:1:60");
	add_os(a, PRADS_SYN, &linux_b, NULL);
	add_os(a, PRADS_SYN, NULL, NULL);
	add_os(a, PRADS_UDP, NULL, "20:64:1:0:0:0:.");
	memcpy(a->mac, (uint8_t[]){0, 1, 2, 3, 4, 5}, 6);
	a->vendor = &vendor;
	return a;
}

static struct prads_asset *asset_at(const struct nfshim_flow *key)
{
	uint32_t b;

	ck_assert(nf_prads_assets.bucket(key, &b));
	return (struct prads_asset *)nf_prads_find(&nf_prads_assets, prads.assets[b], key);
}

START_TEST(asset_there_and_back)
{
	struct nfshim_flow h = host4(3);
	uint8_t a[CAP], b[CAP];
	struct prads_asset *as;
	const struct prads_os *o;
	ssize_t n;

	full_asset(&h);
	n = nf_prads_asset_get(&prads, &h, a, sizeof(a));
	ck_assert_int_gt(n, 0);
	for (size_t cap = 0; cap < (size_t)n; cap++)
		ck_assert_int_eq(nf_prads_asset_get(&prads, &h, b, cap), -ENOSPC);
	ck_assert_int_eq(nf_prads_asset_del(&prads, &h), 0);
	ck_assert(!nf_prads_asset_has(&prads, &h));
	ck_assert_int_eq(nf_prads_asset_put(&prads, &h, a, (size_t)n), 0);
	ck_assert_int_eq(nf_prads_asset_get(&prads, &h, b, sizeof(b)), n);
	ck_assert_mem_eq(a, b, n);
	as = asset_at(&h);
	/* The very addresses that PRADS compares. */
	o = (struct prads_os *)as->os->next->next;
	ck_assert_ptr_eq(o->fp.os, linux_b.os);
	ck_assert_ptr_eq(((struct prads_os *)o->node.next)->fp.os, linux_a.os);
	ck_assert_ptr_eq(as->vendor, &vendor);
	ck_assert_ptr_eq(as->os->next->prev, as->os);
	/* Again, over what is there: nothing changes. */
	ck_assert_int_eq(nf_prads_asset_put(&prads, &h, a, (size_t)n), 0);
	ck_assert_int_eq(nf_prads_asset_get(&prads, &h, b, sizeof(b)), n);
	ck_assert_mem_eq(a, b, n);
}
END_TEST

START_TEST(asset_merges)
{
	struct nfshim_flow h = host4(3);
	uint8_t blob[CAP];
	struct prads_asset *a = full_asset(&h);
	const struct prads_node *s, *o;
	ssize_t n = nf_prads_asset_get(&prads, &h, blob, sizeof(blob));

	nf_prads_asset_del(&prads, &h);
	a = add_asset(&h, 400);
	a->last = 900;
	add_serv(a, 443, "mine, older");
	add_serv(a, 22, "ssh");
	add_os(a, PRADS_FIN, NULL, NULL);
	add_os(a, PRADS_SYN, &linux_b, NULL);
	ck_assert_int_eq(nf_prads_asset_put(&prads, &h, blob, (size_t)n), 0);
	ck_assert_ptr_eq(asset_at(&h), a);
	ck_assert_int_eq(a->first, 400);
	ck_assert_int_eq(a->last, 900);
	s = a->services;
	ck_assert_str_eq((char *)((struct prads_serv *)s)->application->data, "@https");
	ck_assert_int_eq(ntohs(((struct prads_serv *)s->next)->port), 80);
	ck_assert_int_eq(ntohs(((struct prads_serv *)s->next->next)->port), 22);
	ck_assert_ptr_null(s->next->next->next);
	for (o = a->os; o->next; o = o->next)
		ck_assert_ptr_eq(o->next->prev, o);
	ck_assert_int_eq(((struct prads_os *)o)->detection, PRADS_FIN);
}
END_TEST

/* ICMPv6 fingerprinting adds assets of one address: they stay as many and in order. */
START_TEST(asset_hidden_ones)
{
	struct nfshim_flow h = {.ethertype = ETH_IP6, .kind = NFSHIM_KIND_HOST, .addr[0] = {32, 1}};
	uint8_t blob[CAP];
	struct prads_asset *a, *old;
	uint64_t cursor = 0;
	struct seen s = {0};
	ssize_t n;

	old = add_asset(&h, 1);
	add_serv(old, 80, "old");
	a = add_asset(&h, 2);
	add_serv(a, 81, "new");
	n = nf_prads_asset_get(&prads, &h, blob, sizeof(blob));
	ck_assert_int_eq(
		nf_prads_list(&nf_prads_assets, prads.assets, &cursor, PRADS_BUCKETS, see, &s), 0);
	ck_assert_uint_eq(s.n, 1);
	nf_prads_asset_del(&prads, &h);
	ck_assert(!nf_prads_asset_has(&prads, &h));
	old = add_asset(&h, 1); /* what came with an earlier STATE */
	add_serv(old, 80, "old");
	ck_assert_int_eq(nf_prads_asset_put(&prads, &h, blob, (size_t)n), 0);
	a = asset_at(&h);
	ck_assert_int_eq(a->first, 2);
	ck_assert_ptr_eq(a->node.next, &old->node);
	ck_assert_int_eq(ntohs(((struct prads_serv *)a->services)->port), 81);
	ck_assert_ptr_null(a->services->next);
	ck_assert_ptr_null(old->node.next);
	/* One more here than there: it stays in front, the others are the same two. */
	a = add_asset(&h, 3);
	ck_assert_int_eq(nf_prads_asset_put(&prads, &h, blob, (size_t)n), 0);
	ck_assert_ptr_eq(asset_at(&h), a);
	ck_assert_ptr_null(a->services);
	ck_assert_ptr_eq(a->node.next->next, &old->node);
}
END_TEST

/* PRADS reads as many options as an entry says that it has. */
START_TEST(asset_too_many_options)
{
	struct nfshim_flow h = host4(3);
	uint8_t blob[CAP];
	struct prads_asset *a = add_asset(&h, 1);
	struct prads_os *o = add_os(a, PRADS_SYN, &linux_a, NULL);
	ssize_t n;

	for (int i = 0; i < 3; i++) {
		o->fp.optcnt = (uint8_t)(PRADS_OPTIONS + i);
		n = nf_prads_asset_get(&prads, &h, blob, sizeof(blob));
		ck_assert_int_eq(nf_prads_asset_put(&prads, &h, blob, (size_t)n), i ? -EINVAL : 0);
		o = (struct prads_os *)asset_at(&h)->os;
	}
}
END_TEST

START_TEST(asset_other_signatures)
{
	struct nfshim_flow h = host4(3), g = host4(4);
	struct prads_fp strange = {.os = (char[]){"Plan 9"}, .desc = (char[]){"4th"}};
	uint8_t blob[CAP];
	struct prads_asset *a = add_asset(&h, 1);
	const struct prads_os *x, *y;
	ssize_t n;

	add_os(a, PRADS_SYN, &strange, NULL);
	n = nf_prads_asset_get(&prads, &h, blob, sizeof(blob));
	nf_prads_asset_del(&prads, &h);
	ck_assert_int_eq(nf_prads_asset_put(&prads, &h, blob, (size_t)n), 0);
	ck_assert_int_eq(nf_prads_asset_put(&prads, &g, blob, (size_t)n), 0);
	x = (struct prads_os *)asset_at(&h)->os;
	y = (struct prads_os *)asset_at(&g)->os;
	ck_assert_str_eq(x->fp.os, "Plan 9");
	ck_assert_ptr_ne(x->fp.os, strange.os);
	ck_assert_ptr_eq(x->fp.os, y->fp.os); /* one address for one text */
	ck_assert_ptr_eq(x->fp.desc, y->fp.desc);
	/* The line differs, the name does not: the first of that name. */
	nf_prads_asset_del(&prads, &h);
	a = add_asset(&h, 1);
	add_os(a, PRADS_SYN, &linux_b, NULL);
	linux_b.line = 700;
	nf_prads_sig_forget();
	n = nf_prads_asset_get(&prads, &h, blob, sizeof(blob));
	linux_b.line = 9;
	nf_prads_sig_forget();
	nf_prads_asset_del(&prads, &g);
	ck_assert_int_eq(nf_prads_asset_put(&prads, &g, blob, (size_t)n), 0);
	ck_assert_ptr_eq(((struct prads_os *)asset_at(&g)->os)->fp.os, linux_a.os);
}
END_TEST

/* ---- hostile blobs ---- */

static uint32_t seed = 20240;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)seed * below) >> 32);
}

static size_t mutate(const uint8_t *in, size_t n, uint8_t *out)
{
	size_t len = n;

	memcpy(out, in, n);
	switch (rnd(4)) {
	case 0:
		len = rnd((uint32_t)n + 1);
		break;
	case 1:
		len = n + 1 + rnd(40);
		memset(out + n, (int)rnd(256), len - n);
		break;
	default:
		for (uint32_t i = 1 + rnd(4); i; i--)
			out[rnd((uint32_t)n)] = (uint8_t)(rnd(2) ? rnd(256) : rnd(2) * 255);
	}
	return len;
}

START_TEST(hostile_blobs)
{
	struct nfshim_flow h = host4(3), f = flow4(7, 40000, 80);
	uint8_t good[2][CAP], before[CAP], after[CAP], *bad;
	ssize_t n[2], nb, na;
	unsigned refused = 0, taken = 0;

	full_asset(&h);
	add_conn(&f, 1000);
	n[0] = nf_prads_conn_get(&prads, &f, good[0], CAP);
	n[1] = nf_prads_asset_get(&prads, &h, good[1], CAP);
	for (int i = 0; i < 60000; i++) {
		int w = i & 1, rc;
		uint8_t tmp[CAP];
		size_t len = mutate(good[w], (size_t)n[w], tmp);

		bad = malloc(len ? len : 1); /* its end is where the sanitizer looks */
		memcpy(bad, tmp, len);
		nb = w ? nf_prads_asset_get(&prads, &h, before, CAP)
		       : nf_prads_conn_get(&prads, &f, before, CAP);
		rc = w ? nf_prads_asset_put(&prads, &h, bad, len)
		       : nf_prads_conn_put(&prads, &f, bad, len);
		free(bad);
		na = w ? nf_prads_asset_get(&prads, &h, after, CAP)
		       : nf_prads_conn_get(&prads, &f, after, CAP);
		ck_assert_int_gt(na, 0);
		if (rc) {
			ck_assert_int_eq(rc, -EINVAL);
			ck_assert_int_eq(na, nb);
			ck_assert_mem_eq(before, after, nb);
			refused++;
			continue;
		}
		taken++;
		/* Back to the good one, so that lists do not grow without end. */
		if (w) {
			nf_prads_asset_del(&prads, &h);
			ck_assert_int_eq(nf_prads_asset_put(&prads, &h, good[1], (size_t)n[1]), 0);
		}
	}
	ck_assert_uint_gt(refused, 10000);
	ck_assert_uint_gt(taken, 10000);
}
END_TEST

START_TEST(every_truncation_is_refused)
{
	struct nfshim_flow h = host4(3);
	uint8_t good[CAP];
	ssize_t n;

	full_asset(&h);
	n = nf_prads_asset_get(&prads, &h, good, CAP);
	nf_prads_asset_del(&prads, &h);
	for (size_t len = 0; len < (size_t)n; len++) {
		uint8_t *bad = malloc(len ? len : 1);

		memcpy(bad, good, len);
		ck_assert_int_eq(nf_prads_asset_put(&prads, &h, bad, len), -EINVAL);
		ck_assert(!nf_prads_asset_has(&prads, &h));
		free(bad);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("prads adapter, state");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, prads_tables_new, prads_tables_free);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, conn_there_and_back);
	tcase_add_test(t, conn_put_keeps_place_and_id);
	tcase_add_test(t, conn_put_refuses_keys);
	tcase_add_loop_test(t, walk_once, 0, 6);
	tcase_add_test(t, walk_refuses_a_strange_table);
	tcase_add_test(t, asset_there_and_back);
	tcase_add_test(t, asset_merges);
	tcase_add_test(t, asset_hidden_ones);
	tcase_add_test(t, asset_too_many_options);
	tcase_add_test(t, asset_other_signatures);
	tcase_add_test(t, hostile_blobs);
	tcase_add_test(t, every_truncation_is_refused);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
