/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Preloaded into a stock PRADS, without the shim: the adapter's hooks between
 * two packets of a real run. $PRADS_ADAPTER says what to do:
 *
 *   MODE EVERY SPACE
 *   all       take every flow and asset of SPACE out at every EVERYth packet, and put it back
 *   flows     the same, but the assets are not put back
 *   assets    the same, but the flows are not put back
 *   measure   at packet EVERY, measure get, put and del
 *   checks    the checks at the start, each with something wrong
 *
 * What PRADS prints must be what it prints alone, for `all` and only for it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "adapters/prads.h"
#include "engine.h"
#include "provider.h"
#include "space.h"

#define ITEMS 20000
#define CAP   65536

_Atomic bool nf_inert; /* the engine's */

struct item {
	enum nfshim_scope scope;
	struct nfshim_flow key;
	uint8_t *blob;
	ssize_t len;
};

static struct item items[ITEMS];
static size_t n_items;
static struct nf_space *space;
static char mode[16];
static unsigned long every, n_packets, n_rounds, n_moved;
static pcap_handler their_callback;

static void die(const char *what)
{
	fprintf(stderr, "prads_adapter: %s\n", what);
	_exit(99);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int collect(void *arg, const struct nfshim_flow *key)
{
	enum nfshim_scope scope = *(enum nfshim_scope *)arg;

	if (scope == NFSHIM_PER_FLOW ? !nf_space_has_flow(space, key)
				     : !nf_space_has_host(space, key))
		return 0;
	if (n_items == ITEMS)
		die("too many flows");
	items[n_items++] = (struct item){.scope = scope, .key = *key};
	return n_items % 3 == 0; /* stop now and then */
}

static void list(enum nfshim_scope scope)
{
	const struct nfshim_hooks *k = &nf_provider.hooks;
	uint64_t cursor = 0;
	int more;

	while ((more = k->list(nf_provider.nf, scope, &cursor, 977, collect, &scope)) > 0)
		;
	if (more < 0)
		die("list failed");
}

static void get_all(void)
{
	static uint8_t buf[CAP];

	for (size_t i = 0; i < n_items; i++) {
		struct item *it = &items[i];

		it->len = nf_provider.hooks.get(nf_provider.nf, it->scope, &it->key, buf, CAP);
		if (it->len < 0)
			die("get failed");
		it->blob = realloc(it->blob, (size_t)it->len);
		memcpy(it->blob, buf, (size_t)it->len);
	}
}

static void del_all(void)
{
	for (size_t i = 0; i < n_items; i++)
		if (nf_provider.hooks.del(nf_provider.nf, items[i].scope, &items[i].key))
			die("del failed");
	for (size_t i = 0; i < n_items; i++)
		if (nf_provider.hooks.has(nf_provider.nf, items[i].scope, &items[i].key))
			die("still there after del");
}

static void put_all(void)
{
	for (size_t i = 0; i < n_items; i++) {
		struct item *it = &items[i];

		if (it->scope == (mode[0] == 'f' ? NFSHIM_MULTI_FLOW : NFSHIM_PER_FLOW) &&
		    (!strcmp(mode, "flows") || !strcmp(mode, "assets")))
			continue;
		if (nf_provider.hooks.put(nf_provider.nf, it->scope, &it->key, it->blob,
					  (size_t)it->len))
			die("put failed");
	}
}

static void same_again(void)
{
	static uint8_t buf[CAP];

	for (size_t i = 0; i < n_items; i++) {
		struct item *it = &items[i];
		ssize_t n = nf_provider.hooks.get(nf_provider.nf, it->scope, &it->key, buf, CAP);

		if (n != it->len || memcmp(buf, it->blob, (size_t)n))
			die("get, del, put, get: not the same");
	}
}

static void forget(void)
{
	for (size_t i = 0; i < n_items; i++) {
		free(items[i].blob);
		items[i].blob = NULL;
	}
	n_items = 0;
}

static void out_and_in(void)
{
	list(NFSHIM_PER_FLOW);
	list(NFSHIM_MULTI_FLOW);
	get_all();
	del_all();
	put_all();
	if (!strcmp(mode, "all"))
		same_again();
	n_rounds++;
	n_moved += n_items;
	forget();
}

/* Proof that it was there at all. */
__attribute__((destructor)) static void tell(void)
{
	if (n_rounds)
		fprintf(stderr, "prads_adapter: %lu rounds, %lu records out and in\n", n_rounds,
			n_moved);
}

static void measure(enum nfshim_scope scope, const char *what)
{
	uint64_t t[5], get = UINT64_MAX, del = UINT64_MAX, put = UINT64_MAX, first = 0;
	size_t bytes = 0, max = 0;

	list(scope);
	get_all();
	for (size_t i = 0; i < n_items; i++) {
		bytes += (size_t)items[i].len;
		if ((size_t)items[i].len > max)
			max = (size_t)items[i].len;
	}
	for (int round = 0; round < 50; round++) {
		static uint8_t buf[CAP];

		t[0] = now();
		for (size_t i = 0; i < n_items; i++)
			nf_provider.hooks.get(nf_provider.nf, scope, &items[i].key, buf, CAP);
		t[1] = now();
		del_all();
		t[2] = now();
		put_all();
		t[3] = now();
		get = t[1] - t[0] < get ? t[1] - t[0] : get;
		del = t[2] - t[1] < del ? t[2] - t[1] : del;
		put = t[3] - t[2] < put ? t[3] - t[2] : put;
		if (!round)
			first = t[3] - t[0];
	}
	same_again();
	if (n_items)
		fprintf(stderr,
			"prads_adapter: %zu %s: %zu bytes each, at most %zu; get %zu ns, del+has "
			"%zu "
			"ns, put %zu ns each; get, del and put of all, cold: %zu us\n",
			n_items, what, bytes / n_items, max, (size_t)get / n_items,
			(size_t)del / n_items, (size_t)put / n_items, (size_t)first / 1000);
	forget();
}

static void callback(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	n_packets++;
	if (!strcmp(mode, "measure")) {
		if (n_packets == every) {
			measure(NFSHIM_PER_FLOW, "flows");
			measure(NFSHIM_MULTI_FLOW, "assets");
		}
	} else if (n_packets % every == 0) {
		out_and_in();
	}
	their_callback(user, h, data);
}

/* ---- the checks ---- */

static void expect(int rc, bool ok, const char *what, const char *why)
{
	if (ok ? rc != 0 : rc == 0 || strlen(why) < 40)
		die(what);
	if (!ok)
		fprintf(stderr, "prads_adapter: refused: %s\n", why);
}

static volatile sig_atomic_t n_signals;

static void other_handler(int sig)
{
	(void)sig;
	n_signals++;
}

/* A sweep that waits for the next packet is made to run now, and never inside a packet. */
static void pending_sweep(void)
{
	struct nf_prads *prads = nf_provider.nf;

	*prads->intr_flag = 3;
	*(int *)prads->inpacket = 1;
	list(NFSHIM_PER_FLOW);
	if (n_signals || *prads->intr_flag != 3)
		die("raised inside a packet");
	*(int *)prads->inpacket = 0;
	list(NFSHIM_PER_FLOW);
	if (n_signals != 1 || *prads->intr_flag)
		die("a sweep that waits was not raised");
}

static void checks(pcap_t *p, void *cb)
{
	int (*check)(void *, const void *, const void *, void *, char *, size_t) =
		nf_provider.hooks.check;
	char why[256] = "";
	struct sigaction own, act = {.sa_handler = other_handler};
	uint64_t t0 = now();

	expect(check(nf_provider.nf, cb, p, NULL, why, sizeof(why)), true, "refused", why);
	fprintf(stderr, "prads_adapter: check took %zu ns\n", (size_t)(now() - t0));
	expect(check(nf_provider.nf, (char *)cb + 16, p, NULL, why, sizeof(why)), false,
	       "took another callback", why);
	expect(check(nf_provider.nf, cb, (char *)p + 16, NULL, why, sizeof(why)), false,
	       "took another handle", why);
	sigaction(SIGALRM, &act, &own);
	expect(check(nf_provider.nf, cb, p, NULL, why, sizeof(why)), false,
	       "took another SIGALRM handler", why);
	pending_sweep();
	sigaction(SIGALRM, &own, NULL);
	expect(check(nf_provider.nf, cb, p, NULL, why, sizeof(why)), true, "refused", why);
}

__attribute__((visibility("default"))) int pcap_loop(pcap_t *p, int cnt, pcap_handler cb,
						     u_char *user)
{
	int (*real)(pcap_t *, int, pcap_handler, u_char *);
	const char *env = getenv("PRADS_ADAPTER");
	char text[256], err[256];

	*(void **)&real = dlsym(RTLD_NEXT, "pcap_loop");
	if (!env || sscanf(env, "%15s %lu %255[^\n]", mode, &every, text) != 3 || !every)
		die("PRADS_ADAPTER=MODE EVERY SPACE");
	if (nf_space_parse(text, &space, err, sizeof(err)))
		die(err);
	if (nf_provider_attach((void *)cb, p, user)) {
		fprintf(stderr, "prads_adapter: refused: %s\n", nf_provider.why);
		_exit(98);
	}
	if (!strcmp(mode, "checks")) {
		checks(p, (void *)cb);
		_exit(0);
	}
	their_callback = cb;
	return real(p, cnt, callback, user);
}
