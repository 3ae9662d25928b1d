/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Preloaded in front of the shim's test library: packets whose source MAC is
 * the mark are processed in the window, and every edge of the window leaves a
 * line in a system call trace, with the packet's time.
 *
 * What pcap_next and pcap_next_ex return is worked on until the next input call.
 *
 * $JUDGE_WINDOW=0 leaves the window closed between the edges. Then a judge of
 * the trace must object.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hooks.h"

#define PUBLIC __attribute__((visibility("default")))

static const u_char mark[6] = {0x02, 'j', 'u', 'd', 'g', 'e'};

struct call {
	pcap_handler cb;
	u_char *user;
};

static __thread bool inside; /* libpcap and the shim call each other */
static bool drops = true;
static long (*libc_syscall)(long, ...);

__attribute__((constructor)) static void start(void)
{
	const char *e = getenv("JUDGE_WINDOW");
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);

	/* From libc itself: the edges must not pass through the shim. */
	libc_syscall = libc ? (long (*)(long, ...))dlsym(libc, "syscall") : NULL;
	drops = !e || strcmp(e, "0") != 0;
	if (!libc_syscall || !nfshim_test_window) {
		fprintf(stderr, "bracket: preloaded without libnfshim_test.so behind it\n");
		_exit(127);
	}
}

/* A call that fails and changes nothing. */
static void edge(const char *which, const struct pcap_pkthdr *h)
{
	char text[64];
	int e = errno;
	int n = snprintf(text, sizeof(text), "judge: %s %ld.%06ld", which, (long)h->ts.tv_sec,
			 (long)h->ts.tv_usec);

	libc_syscall(SYS_write, -1, text, n);
	errno = e;
}

static bool is_marked(const struct pcap_pkthdr *h, const u_char *data)
{
	return h->caplen >= 12 && !memcmp(data + 6, mark, sizeof(mark));
}

static void enter(const struct pcap_pkthdr *h)
{
	edge("open", h);
	if (drops)
		nfshim_test_window(1);
}

static void leave(const struct pcap_pkthdr *h)
{
	if (drops)
		nfshim_test_window(0);
	edge("close", h);
}

/* The packet that a pull call returned last, if it is marked. */
static __thread struct {
	bool open;
	struct pcap_pkthdr h;
} pulled;

static void done(void)
{
	if (pulled.open)
		leave(&pulled.h);
	pulled.open = false;
}

static void returned(const struct pcap_pkthdr *h, const u_char *data)
{
	pulled.open = is_marked(h, data);
	pulled.h = *h;
	if (pulled.open)
		enter(h);
}

static void on_packet(u_char *arg, const struct pcap_pkthdr *h, const u_char *data)
{
	const struct call *c = (const struct call *)arg;
	bool marked = is_marked(h, data);

	if (marked)
		enter(h);
	c->cb(c->user, h, data);
	if (marked)
		leave(h);
}

typedef int input_fn(pcap_t *p, int cnt, pcap_handler cb, u_char *user);

static int input(const char *name, pcap_t *p, int cnt, pcap_handler cb, u_char *user)
{
	input_fn *next = (input_fn *)dlsym(RTLD_NEXT, name);
	struct call c = {cb, user};
	int rc;

	if (inside)
		return next(p, cnt, cb, user);
	done();
	inside = true;
	rc = next(p, cnt, on_packet, (u_char *)&c);
	inside = false;
	return rc;
}

PUBLIC int pcap_loop(pcap_t *p, int cnt, pcap_handler cb, u_char *user)
{
	return input("pcap_loop", p, cnt, cb, user);
}

PUBLIC int pcap_dispatch(pcap_t *p, int cnt, pcap_handler cb, u_char *user)
{
	return input("pcap_dispatch", p, cnt, cb, user);
}

PUBLIC int pcap_next_ex(pcap_t *p, struct pcap_pkthdr **h, const u_char **data)
{
	int (*next)(pcap_t *, struct pcap_pkthdr **, const u_char **);
	int rc;

	*(void **)&next = dlsym(RTLD_NEXT, "pcap_next_ex");
	if (inside)
		return next(p, h, data);
	done();
	inside = true;
	rc = next(p, h, data);
	inside = false;
	if (rc == 1)
		returned(*h, *data);
	return rc;
}

PUBLIC const u_char *pcap_next(pcap_t *p, struct pcap_pkthdr *h)
{
	const u_char *(*next)(pcap_t *, struct pcap_pkthdr *);
	const u_char *data;

	*(void **)&next = dlsym(RTLD_NEXT, "pcap_next");
	if (inside)
		return next(p, h);
	done();
	inside = true;
	data = next(p, h);
	inside = false;
	if (data)
		returned(h, data);
	return data;
}
