/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a suppressed output call costs the NF's thread, against a direct one, interleaved: batches
 * of the same calls before and in the window, to /dev/null or, for send, to a socket on loopback.
 * Prints the ratio's min, median and max over the rounds. Preload libnfshim_test.so.
 *
 *   bench_suppress              all functions
 *   bench_suppress FUNCTION N   N suppressed calls only, for callgrind
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "hooks.h"

#define ROUNDS 201
#define CALLS  500

static const char line[] = "192.0.2.1,[syn:S4:64:1:60:M1460,S,T,N,W7:.:Linux:2.6],[distance:0]\n";
static int file, sock;
static FILE *stream;

static void by_write(void)
{
	(void)!write(file, line, sizeof(line) - 1);
}

static void by_fprintf(void)
{
	fprintf(stream, "%s,[syn:S4:%d:1:60:M1460]\n", "192.0.2.1", 64);
}

static void by_fwrite(void)
{
	fwrite(line, 1, sizeof(line) - 1, stream);
}

static void by_putc_unlocked(void)
{
	putc_unlocked('x', stream);
}

static void by_send(void)
{
	(void)!send(sock, line, sizeof(line) - 1, 0);
}

static const struct function {
	const char *name;
	void (*call)(void);
} functions[] = {
	{"write", by_write},   {"fprintf", by_fprintf},
	{"fwrite", by_fwrite}, {"putc_unlocked", by_putc_unlocked},
	{"send", by_send},
};

static void repeat(void (*call)(void), int n)
{
	for (int i = 0; i < n; i++)
		call();
}

/* Nanoseconds a call; the window's edges are not counted. */
static double cost(void (*call)(void))
{
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	repeat(call, CALLS);
	clock_gettime(CLOCK_MONOTONIC, &b);
	return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / CALLS;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void compare(const struct function *f)
{
	static double ratio[ROUNDS];
	double direct = 0, suppressed = 0;

	repeat(f->call, CALLS);
	for (int i = 0; i < ROUNDS; i++) {
		double a = cost(f->call), b;

		nfshim_test_window(1);
		b = cost(f->call);
		nfshim_test_window(0);
		ratio[i] = b / a;
		direct += a / ROUNDS;
		suppressed += b / ROUNDS;
	}
	qsort(ratio, ROUNDS, sizeof(ratio[0]), by_value);
	printf("%s: suppressed %.0f ns, direct %.0f ns, ratio min/median/max %.3f/%.3f/%.3f\n",
	       f->name, suppressed, direct, ratio[0], ratio[ROUNDS / 2], ratio[ROUNDS - 1]);
}

static int open_all(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int peer = socket(AF_INET, SOCK_DGRAM, 0);

	file = open("/dev/null", O_WRONLY);
	stream = fopen("/dev/null", "w");
	sock = socket(AF_INET, SOCK_DGRAM, 0);
	if (!nfshim_test_window || file < 0 || !stream || sock < 0 ||
	    bind(peer, (struct sockaddr *)&a, len) ||
	    getsockname(peer, (struct sockaddr *)&a, &len))
		return -1;
	return connect(sock, (struct sockaddr *)&a, len);
}

int main(int argc, char **argv)
{
	const struct function *end = functions + sizeof(functions) / sizeof(functions[0]);
	uint64_t before;
	int n = argc == 3 ? atoi(argv[2]) : 0;

	if (open_all()) {
		fprintf(stderr,
			"bench_suppress: needs libnfshim_test.so preloaded, and loopback\n");
		return 1;
	}
	for (const struct function *f = functions; f < end; f++) {
		if (argc == 1)
			compare(f);
		else if (!strcmp(f->name, argv[1])) {
			f->call(); /* a stream has its buffer by its first call */
			before = nfshim_test_dropped();
			nfshim_test_window(1);
			repeat(f->call, n);
			nfshim_test_window(0);
			return nfshim_test_dropped() - before == (uint64_t)n ? 0 : 1;
		}
	}
	return argc == 1 ? 0 : 1;
}
