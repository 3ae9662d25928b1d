/* SPDX-License-Identifier: BSD-2-Clause */
#include "seqhash_state.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static void free_later(void *p);
#define uthash_free(p, size) free_later(p)
#include <uthash.h>

#include "evlog.h"
#include "flow.h"
#include "nfshim.h"

struct item { /* a flow or a host */
	struct nfshim_flow key;
	uint64_t count, hash;
	int64_t last_us; /* its latest packet */
	size_t slot;	 /* in its table's order of arrival */
	UT_hash_handle hh;
};

struct table {
	struct item *by_key;
	struct item **slots; /* append-only; NULL where one was deleted */
	size_t n, cap;
};

struct blob {
	uint64_t count, hash;
	int64_t last_us;
};

struct state_options state_options = {.idle_us = 60000000};
static __thread struct table flows, hosts; /* each packet thread has its own */
static __thread int64_t now_us;
static __thread volatile sig_atomic_t in_packet, sweep_due;
/* Freed by the next packet: the timer's handler may have hit libpcap in malloc. */
static __thread void *gone;

static struct item *find(struct table *t, const struct nfshim_flow *key)
{
	struct item *i;

	HASH_FIND(hh, t->by_key, key, sizeof(*key), i);
	return i;
}

static struct item *add(struct table *t, const struct nfshim_flow *key)
{
	struct item *i = calloc(1, sizeof(*i));

	if (t->n == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 1024;
		t->slots = realloc(t->slots, t->cap * sizeof(*t->slots));
	}
	if (!i || !t->slots) {
		fprintf(stderr, "seqhash: out of memory\n");
		exit(1);
	}
	i->key = *key;
	i->slot = t->n;
	t->slots[t->n++] = i;
	HASH_ADD(hh, t->by_key, key, sizeof(i->key), i);
	return i;
}

static struct item *get_or_add(struct table *t, const struct nfshim_flow *key)
{
	struct item *i = find(t, key);

	return i ? i : add(t, key);
}

static void free_later(void *p)
{
	*(void **)p = gone;
	gone = p;
}

static void free_gone(void)
{
	while (gone) {
		void *p = gone;

		gone = *(void **)p;
		free(p);
	}
}

static void drop(struct table *t, struct item *i)
{
	t->slots[i->slot] = NULL;
	HASH_DEL(t->by_key, i);
	free_later(i);
}

static uint64_t mix(uint64_t h, uint64_t x)
{
	h = (h ^ x) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 31;
}

static struct nfshim_flow host_key(const struct nfshim_flow *f, int i)
{
	struct nfshim_flow k;

	memset(&k, 0, sizeof(k));
	memcpy(k.addr[0], f->addr[i], sizeof(k.addr[0]));
	k.ethertype = f->ethertype;
	k.kind = NFSHIM_KIND_HOST;
	return k;
}

/* ---- timer ---- */

static void expire(struct item *f)
{
	char text[NF_FLOW_TEXT];

	printf("%s expired %" PRIu64 " %016" PRIx64 "\n",
	       nf_flow_format(&f->key, text, sizeof(text)), f->count, f->hash);
	drop(&flows, f);
}

static void sweep(int64_t idle)
{
	for (size_t i = 0; i < flows.n; i++)
		if (flows.slots[i] && now_us - flows.slots[i]->last_us > idle)
			expire(flows.slots[i]);
}

/* In the handler, unless it hit a packet: what PRADS does, and what shims must expect. */
static void on_alarm(int sig)
{
	(void)sig;
	if (in_packet)
		sweep_due = 1;
	else
		sweep(state_options.idle_us);
}

void state_start_timer(void)
{
	unsigned ms = state_options.expire_every_ms;
	struct itimerval t = {.it_interval = {ms / 1000, (ms % 1000) * 1000}};

	if (!ms)
		return;
	signal(SIGALRM, on_alarm);
	t.it_value = t.it_interval;
	setitimer(ITIMER_REAL, &t, NULL);
}

void state_end(void)
{
	if (!state_options.expire_every_ms)
		return;
	signal(SIGALRM, SIG_IGN);
	sweep(INT64_MIN);
}

/* ---- packets ---- */

static struct item *flow_at(const struct nfshim_flow *key, int64_t us)
{
	struct item *f = get_or_add(&flows, key);

	if (us > now_us)
		now_us = us;
	if (state_options.expire_every_ms && f->count &&
	    now_us - f->last_us > state_options.idle_us) {
		expire(f);
		f = add(&flows, key);
	}
	if (us > f->last_us)
		f->last_us = us;
	return f;
}

static void count_packet(const struct pcap_pkthdr *h, const u_char *data)
{
	uint64_t x = nf_evlog_id(data, h->caplen, h->len);
	char text[NF_FLOW_TEXT];
	struct nfshim_flow key;
	struct item *f;

	nf_flow_parse(data, h->caplen, NULL, &key, NULL);
	f = flow_at(&key, (int64_t)h->ts.tv_sec * 1000000 + h->ts.tv_usec);
	f->count++;
	f->hash = mix(f->hash, x);
	printf("%s %" PRIu64 " %016" PRIx64, nf_flow_format(&key, text, sizeof(text)), f->count,
	       f->hash);
	for (int i = 0; state_options.hosts && i < 2; i++) {
		struct nfshim_flow hk = host_key(&key, i);
		struct item *host = get_or_add(&hosts, &hk);

		host->count++;
		host->hash = mix(host->hash, x);
		printf(" %" PRIu64 " %016" PRIx64, host->count, host->hash);
	}
	putchar('\n');
}

void state_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	(void)user;
	in_packet = 1;
	flockfile(stdout); /* a line is of one thread */
	free_gone();
	count_packet(h, data);
	funlockfile(stdout);
	if (sweep_due) {
		sweep_due = 0;
		sweep(state_options.idle_us);
	}
	in_packet = 0;
}

/* ---- hooks ---- */

static struct table *table_of(enum nfshim_scope s)
{
	return s == NFSHIM_PER_FLOW			       ? &flows
	       : s == NFSHIM_MULTI_FLOW && state_options.hosts ? &hosts
							       : NULL;
}

static int hook_list(void *nf, enum nfshim_scope s, uint64_t *cursor, unsigned max,
		     nfshim_key_cb cb, void *arg)
{
	struct table *t = table_of(s);

	(void)nf;
	while (t && *cursor < t->n && max--) {
		struct item *i = t->slots[(*cursor)++];

		if (i && cb(arg, &i->key))
			break;
	}
	return t && *cursor < t->n;
}

static bool hook_has(void *nf, enum nfshim_scope s, const struct nfshim_flow *key)
{
	(void)nf;
	return table_of(s) && find(table_of(s), key);
}

static ssize_t hook_get(void *nf, enum nfshim_scope s, const struct nfshim_flow *key, void *buf,
			size_t cap)
{
	struct item *i = table_of(s) ? find(table_of(s), key) : NULL;
	struct blob b;

	(void)nf;
	if (!i)
		return -ENOENT;
	if (cap < sizeof(b))
		return -ENOSPC;
	b = (struct blob){i->count, i->hash, i->last_us};
	memcpy(buf, &b, sizeof(b));
	return sizeof(b);
}

static int hook_put(void *nf, enum nfshim_scope s, const struct nfshim_flow *key, const void *blob,
		    size_t len)
{
	struct item *i;
	struct blob b;

	(void)nf;
	if (!table_of(s) || len != sizeof(b))
		return -EINVAL;
	memcpy(&b, blob, sizeof(b));
	if (state_options.put_us)
		usleep(state_options.put_us);
	i = get_or_add(table_of(s), key);
	i->count = b.count;
	i->hash = b.hash;
	i->last_us = b.last_us;
	return 0;
}

static int hook_del(void *nf, enum nfshim_scope s, const struct nfshim_flow *key)
{
	struct table *t = table_of(s);
	struct item *i = t ? find(t, key) : NULL;

	(void)nf;
	if (!i)
		return -ENOENT;
	drop(t, i);
	return 0;
}

static unsigned hook_records_of(void *nf, const struct nfshim_flow *f, struct nfshim_flow *keys,
				unsigned max)
{
	(void)nf;
	for (int i = 0; i < 2 && max >= 2; i++)
		keys[i] = host_key(f, i);
	return max >= 2 ? 2 : 0;
}

/* It does not remember the ports of first fragments. */
static void hook_key_of(void *nf, const struct nfshim_packet *pkt, struct nfshim_flow *key)
{
	(void)nf;
	nf_flow_parse(pkt->data, pkt->caplen, NULL, key, NULL);
}

void state_register(bool threads)
{
	static const int sweeps[] = {SIGALRM, 0};
	struct nfshim_hooks h = {
		.size = sizeof(h),
		.api = NFSHIM_API,
		.name = "seqhash",
		.list = hook_list,
		.has = hook_has,
		.get = hook_get,
		.put = hook_put,
		.del = hook_del,
		.key_of = hook_key_of,
		.records_of = state_options.hosts ? hook_records_of : NULL,
		.sweep_signals = state_options.expire_every_ms ? sweeps : NULL,
		.threads = threads,
	};
	int err = nfshim_register ? nfshim_register(&h, NULL) : 0;

	if (err)
		fprintf(stderr, "seqhash: hooks: %s\n", strerror(-err));
}
