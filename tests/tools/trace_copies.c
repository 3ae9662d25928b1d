/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A longer and denser trace out of a real one, by re-addressed copies.
 *
 * Every copy gives each host, client or server, an address of its own out of
 * the pool (prefix) of the original, so pods and flow spaces by net stay what
 * they were. Copy k starts k shifts later, before copy k-1 has ended: at each
 * moment there are live flows. Frames with an address outside the pools, or
 * without one, are kept once, in copy 0, which is the original.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "trace_packet.h"

/* Pods of campus800: clients, their servers, IPv4 and IPv6. */
static const char *const default_pools[] = {
	"10.20.0.0/21",	    "10.20.8.0/21",	  "198.18.0.0/19",	"198.18.32.0/19",
	"2001:db8:20::/61", "2001:db8:20:8::/61", "2001:db8:c10d::/64", "2001:db8:c10d:1::/64",
};

#define FIRST_PORT 32768u
#define PORTS	   28232u /* of clients, as Linux gives them out */

struct flow_key {
	struct trace_addr a[2];
	uint16_t port[2];
	uint8_t proto;
	bool arp; /* no connection: in no bucket */
	uint8_t zero[2];
};

struct host {
	struct trace_addr a;
	int pool;	       /* -1: none */
	struct trace_addr now; /* in the copy that is being made */
	UT_hash_handle hh;
};

struct flow {
	struct flow_key key; /* side 0 sent the first packet */
	struct host *host[2];
	unsigned no;	  /* in order of first packets */
	uint16_t port[2]; /* in the copy that is being made */
	bool skip;
	UT_hash_handle hh;
};

struct packet {
	struct pcap_pkthdr h;
	uint8_t *data;
	struct trace_packet at;
	struct flow *flow; /* NULL: kept once */
	int turn;	   /* 1: from flow->host[1] to flow->host[0] */
};

struct out {
	int64_t us; /* from the start of the trace */
	unsigned copy, index;
};

struct used { /* a 5-tuple of the result */
	struct flow_key key;
	UT_hash_handle hh;
};

struct work {
	struct packet *packet;
	unsigned n, room;
	struct host *hosts;
	struct flow *flows;
	struct used *used;
	struct trace_pools *pools;
	unsigned copies;
	double overlap;
	bool distinct;
	uint8_t bucket[TRACE_BUCKETS];
	unsigned long again, ported, skipped, once;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "trace_copies: %s: %s\n", what, why);
	exit(1);
}

static void *must(void *p)
{
	if (!p)
		die("memory", "none left");
	return p;
}

/* ---- reading ---- */

static struct host *host_of(struct work *w, const struct trace_addr *a)
{
	struct host *h;

	HASH_FIND(hh, w->hosts, a, sizeof(*a), h);
	if (h)
		return h;
	h = must(calloc(1, sizeof(*h)));
	h->a = *a;
	h->pool = trace_pools_find(w->pools, a);
	if (trace_pools_take(w->pools, a))
		die("memory", "none left");
	HASH_ADD(hh, w->hosts, a, sizeof(h->a), h);
	return h;
}

static struct flow_key key_of(const struct trace_packet *p, int turn)
{
	struct flow_key k;

	memset(&k, 0, sizeof(k));
	for (int i = 0; i < 2; i++) {
		k.a[i] = p->a[i ^ turn];
		k.port[i] = p->port[i ^ turn];
	}
	k.proto = p->proto;
	k.arp = p->arp;
	return k;
}

static void find_flow(struct work *w, struct packet *p)
{
	struct host *h[2] = {host_of(w, &p->at.a[0]), host_of(w, &p->at.a[1])};
	struct flow_key k;
	struct flow *f = NULL;

	if (h[0]->pool < 0 || h[1]->pool < 0)
		return;
	if (p->at.fragment && w->distinct)
		die("--bucket-distinct", "the trace has fragments");
	for (p->turn = 0; p->turn < 2 && !f; p->turn++) {
		k = key_of(&p->at, p->turn);
		HASH_FIND(hh, w->flows, &k, sizeof(k), f);
	}
	p->turn = f ? p->turn - 1 : 0;
	if (!f) {
		f = must(calloc(1, sizeof(*f)));
		f->key = key_of(&p->at, 0);
		f->host[0] = h[0];
		f->host[1] = h[1];
		f->no = HASH_COUNT(w->flows);
		HASH_ADD(hh, w->flows, key, sizeof(f->key), f);
	}
	p->flow = f;
}

static void read_trace(struct work *w, const char *path)
{
	char err[PCAP_ERRBUF_SIZE];
	pcap_t *in = pcap_open_offline(path, err);
	struct pcap_pkthdr *h;
	const u_char *data;
	int rc;

	if (!in)
		die(path, err);
	if (pcap_datalink(in) != DLT_EN10MB)
		die(path, "not a trace of Ethernet frames");
	while ((rc = pcap_next_ex(in, &h, &data)) == 1) {
		struct packet *p;

		if (w->n == w->room) {
			w->room = w->room ? 2 * w->room : 65536;
			w->packet = must(realloc(w->packet, w->room * sizeof(*w->packet)));
		}
		p = memset(&w->packet[w->n++], 0, sizeof(*p));
		p->h = *h;
		p->data = must(malloc(h->caplen + 1));
		memcpy(p->data, data, h->caplen);
		if (trace_packet_parse(data, h->caplen, &p->at))
			find_flow(w, p);
		w->once += !p->flow;
	}
	if (rc == PCAP_ERROR)
		die(path, pcap_geterr(in));
	if (!w->n)
		die(path, "no packets");
	pcap_close(in);
}

/* ---- one copy ---- */

static struct flow_key copy_key(const struct flow *f)
{
	struct flow_key k = f->key;

	for (int i = 0; i < 2; i++) {
		k.a[i] = f->host[i]->now;
		k.port[i] = f->port[i];
	}
	return k;
}

static bool is_free(const struct work *w, const struct flow_key *k)
{
	struct flow_key back = *k;
	struct used *u;

	if (w->distinct && !k->arp && w->bucket[trace_bucket(k->a, k->port, k->proto)])
		return false;
	HASH_FIND(hh, w->used, k, sizeof(*k), u);
	if (u)
		return false;
	for (int i = 0; i < 2; i++) {
		back.a[i] = k->a[1 - i];
		back.port[i] = k->port[1 - i];
	}
	HASH_FIND(hh, w->used, &back, sizeof(back), u);
	return !u;
}

/* Another port for the client, which has the higher one. */
static bool change_port(struct work *w, struct flow *f, struct flow_key *k)
{
	int side = ntohs(f->key.port[0]) < ntohs(f->key.port[1]);
	unsigned first = ntohs(f->key.port[side]);

	if (!f->key.port[0] && !f->key.port[1])
		return false;
	for (unsigned i = 1; i < PORTS; i++) {
		f->port[side] = htons((uint16_t)(FIRST_PORT + (first + i) % PORTS));
		*k = copy_key(f);
		if (is_free(w, k)) {
			w->ported++;
			return true;
		}
	}
	return false;
}

static void place_flow(struct work *w, struct flow *f)
{
	struct flow_key k;
	struct used *u;

	memcpy(f->port, f->key.port, sizeof(f->port));
	k = copy_key(f);
	f->skip = !is_free(w, &k) && !change_port(w, f, &k);
	if (f->skip) {
		w->skipped++;
		return;
	}
	if (!k.arp)
		w->bucket[trace_bucket(k.a, k.port, k.proto)] = 1;
	u = must(calloc(1, sizeof(*u)));
	u->key = k;
	HASH_ADD(hh, w->used, key, sizeof(u->key), u);
}

struct copy { /* by flow->no: what the second pass needs to write it */
	struct trace_addr (*addr)[2];
	uint16_t (*port)[2];
	bool *skip;
};

static void make_copy(struct work *w, unsigned k, struct copy *c)
{
	struct host *h;
	struct flow *f;
	size_t n = HASH_COUNT(w->flows) + 1;

	for (h = w->hosts; h; h = h->hh.next) {
		h->now = h->a;
		if (k && h->pool >= 0 && trace_pools_next(w->pools, h->pool, &h->now, &w->again))
			die("memory", "none left");
	}
	c->addr = must(calloc(n, sizeof(*c->addr)));
	c->port = must(calloc(n, sizeof(*c->port)));
	c->skip = must(calloc(n, sizeof(*c->skip)));
	for (f = w->flows; f; f = f->hh.next) {
		place_flow(w, f);
		for (int side = 0; side < 2; side++) {
			c->addr[f->no][side] = f->host[side]->now;
			c->port[f->no][side] = f->port[side];
		}
		c->skip[f->no] = f->skip;
	}
}

/* ---- writing ---- */

static int64_t us_of(const struct packet *p)
{
	return p->h.ts.tv_sec * 1000000ll + p->h.ts.tv_usec;
}

static int by_time(const void *a, const void *b)
{
	const struct out *x = a, *y = b;

	if (x->us != y->us)
		return x->us < y->us ? -1 : 1;
	if (x->copy != y->copy)
		return x->copy < y->copy ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static struct out *make_order(const struct work *w, const struct copy *c, unsigned long *count)
{
	struct out *o = must(calloc((size_t)w->n * w->copies, sizeof(*o)));
	int64_t t0 = us_of(&w->packet[0]), now = t0, shift;
	unsigned long m = 0;

	for (unsigned i = 0; i < w->n; i++)
		now = us_of(&w->packet[i]) > now ? us_of(&w->packet[i]) : now;
	shift = (int64_t)((double)(now - t0) * (1.0 - w->overlap));
	for (unsigned k = 0; k < w->copies; k++) {
		now = t0;
		for (unsigned i = 0; i < w->n; i++) {
			const struct packet *p = &w->packet[i];

			/* The order of the capture counts, also where its clock stepped back. */
			now = us_of(p) > now ? us_of(p) : now;
			if (p->flow ? !c[k].skip[p->flow->no] : k == 0)
				o[m++] = (struct out){now - t0 + k * shift, k, i};
		}
	}
	qsort(o, m, sizeof(*o), by_time);
	*count = m;
	return o;
}

static void put_packet(pcap_dumper_t *d, const struct packet *p, const struct copy *c, int64_t us)
{
	static uint8_t buf[262144];
	struct pcap_pkthdr h = p->h;
	struct trace_addr a[2];
	uint16_t port[2];

	memcpy(buf, p->data, h.caplen);
	if (p->flow) {
		for (int i = 0; i < 2; i++) {
			a[i] = c->addr[p->flow->no][i ^ p->turn];
			port[i] = c->port[p->flow->no][i ^ p->turn];
		}
		trace_packet_rewrite(buf, &p->at, a, port);
	}
	h.ts.tv_sec = us / 1000000;
	h.ts.tv_usec = us % 1000000;
	pcap_dump((u_char *)d, &h, buf);
}

static unsigned long write_trace(const struct work *w, const struct copy *c, const char *path)
{
	pcap_t *dead = must(pcap_open_dead(DLT_EN10MB, 262144));
	pcap_dumper_t *d = pcap_dump_open(dead, path);
	unsigned long m;
	struct out *o = make_order(w, c, &m);
	int64_t t0 = us_of(&w->packet[0]);

	if (!d)
		die(path, pcap_geterr(dead));
	for (unsigned long i = 0; i < m; i++)
		put_packet(d, &w->packet[o[i].index], &c[o[i].copy], t0 + o[i].us);
	if (pcap_dump_flush(d) || ferror(pcap_dump_file(d)))
		die(path, strerror(errno));
	pcap_dump_close(d);
	pcap_close(dead);
	free(o);
	return m;
}

/* ---- command line ---- */

static const char help[] =
	"usage: trace_copies [options] IN OUT\n"
	"  --copies N          how many, the original included (default 1)\n"
	"  --seconds N --pps N as many as last N seconds at that rate\n"
	"  --overlap F         part of a copy that its successor overlaps (default 0.6)\n"
	"  --pool PREFIX       addresses for copies of the hosts in PREFIX; again for more\n"
	"                      (default: the pods of campus800)\n"
	"  --bucket-distinct   no two connections in one bucket of PRADS: client ports change,\n"
	"                      flows without ports that collide are left out\n"
	"Prints what it made as words of name=value.\n";

struct args {
	double seconds, pps;
	bool pools;
};

static double number(const char *option, const char *text, double min, double max)
{
	char *end;
	double v = strtod(text, &end);

	if (*end || end == text || !(v >= min && v <= max)) {
		fprintf(stderr, "trace_copies: %s takes a number from %g to %g, not '%s'\n", option,
			min, max, text);
		exit(2);
	}
	return v;
}

static void add_pool(struct work *w, const char *prefix)
{
	if (trace_pools_add(w->pools, prefix)) {
		fprintf(stderr, "trace_copies: --pool '%s': not a prefix such as 10.20.0.0/21\n",
			prefix);
		exit(2);
	}
}

static void parse_args(struct work *w, struct args *a, int argc, char **argv)
{
	static const struct option options[] = {
		{"copies", 1, NULL, 'c'}, {"seconds", 1, NULL, 's'},
		{"pps", 1, NULL, 'p'},	  {"overlap", 1, NULL, 'o'},
		{"pool", 1, NULL, 'P'},	  {"bucket-distinct", 0, NULL, 'b'},
		{"help", 0, NULL, 'h'},	  {NULL, 0, NULL, 0},
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'c')
			w->copies = (unsigned)number("--copies", optarg, 1, 1000);
		else if (opt == 's')
			a->seconds = number("--seconds", optarg, 0, 3600);
		else if (opt == 'p')
			a->pps = number("--pps", optarg, 1, 1e7);
		else if (opt == 'o')
			w->overlap = number("--overlap", optarg, 0, 0.99);
		else if (opt == 'b')
			w->distinct = true;
		else if (opt == 'P')
			add_pool(w, optarg), a->pools = true;
		else {
			fputs(help, opt == 'h' ? stdout : stderr);
			exit(opt == 'h' ? 0 : 2);
		}
	}
	if (argc - optind != 2 || (a->seconds > 0) != (a->pps > 0)) {
		fputs(help, stderr);
		exit(2);
	}
	for (unsigned i = 0; !a->pools && i < sizeof(default_pools) / sizeof(*default_pools); i++)
		add_pool(w, default_pools[i]);
}

static void count_copies(struct work *w, const struct args *a)
{
	double per_copy = (double)(w->n - w->once), want = a->seconds * a->pps;

	if (want > 0 && per_copy > 0)
		w->copies = (unsigned)(want / per_copy) + 1;
	if (!HASH_COUNT(w->flows) && w->copies > 1)
		die("copies", "no flow of the trace has both its hosts in a pool (--pool)");
}

static void free_work(struct work *w, struct copy *c)
{
	struct host *h, *th;
	struct flow *f, *tf;
	struct used *u, *tu;

	for (unsigned k = 0; k < w->copies; k++) {
		free(c[k].addr);
		free(c[k].port);
		free(c[k].skip);
	}
	free(c);
	HASH_ITER (hh, w->used, u, tu) {
		HASH_DEL(w->used, u);
		free(u);
	}
	HASH_ITER (hh, w->flows, f, tf) {
		HASH_DEL(w->flows, f);
		free(f);
	}
	HASH_ITER (hh, w->hosts, h, th) {
		HASH_DEL(w->hosts, h);
		free(h);
	}
	for (unsigned i = 0; i < w->n; i++)
		free(w->packet[i].data);
	free(w->packet);
	trace_pools_free(w->pools);
}

int main(int argc, char **argv)
{
	static struct work w = {.copies = 1, .overlap = 0.6};
	struct args args = {0};
	unsigned long packets;
	struct copy *c;

	w.pools = must(trace_pools_new());
	parse_args(&w, &args, argc, argv);
	read_trace(&w, argv[optind]);
	count_copies(&w, &args);
	c = must(calloc(w.copies, sizeof(*c)));
	for (unsigned k = 0; k < w.copies; k++)
		make_copy(&w, k, &c[k]);
	packets = write_trace(&w, c, argv[optind + 1]);
	printf("copies=%u packets=%lu flows=%lu left_out=%lu ports_changed=%lu kept_once=%lu "
	       "addresses_again=%lu\n",
	       w.copies, packets, (unsigned long)HASH_COUNT(w.flows) * w.copies - w.skipped,
	       w.skipped, w.ported, w.once, w.again);
	free_work(&w, c);
	return 0;
}
