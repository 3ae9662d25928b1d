/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Preloaded in front of the shim's test library: packets whose source MAC is
 * the mark are processed in the window, and every edge of the window leaves a
 * line in a system call trace, with the packet's time.
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

static void on_packet(u_char *arg, const struct pcap_pkthdr *h, const u_char *data)
{
	const struct call *c = (const struct call *)arg;
	bool marked = h->caplen >= 12 && !memcmp(data + 6, mark, sizeof(mark));

	if (!marked) {
		c->cb(c->user, h, data);
		return;
	}
	edge("open", h);
	if (drops)
		nfshim_test_window(1);
	c->cb(c->user, h, data);
	if (drops)
		nfshim_test_window(0);
	edge("close", h);
}

typedef int input_fn(pcap_t *p, int cnt, pcap_handler cb, u_char *user);

static int input(const char *name, pcap_t *p, int cnt, pcap_handler cb, u_char *user)
{
	input_fn *next = (input_fn *)dlsym(RTLD_NEXT, name);
	struct call c = {cb, user};
	int rc;

	if (inside)
		return next(p, cnt, cb, user);
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
