/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a fuzz target without libFuzzer, the same way each time.
 *
 *   fuzz_NAME FILE…          the files
 *   fuzz_NAME --seeds N      the seeds, and N mutations of each; with $NFSHIM_FULL=1 many
 *   fuzz_NAME --write DIR    write the seeds as a corpus for libFuzzer
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

#define MAX_INPUT (128u << 10)
#define MANY	  4000 /* mutations of each seed */

static uint8_t seed[MAX_INPUT];
static unsigned rnd = 1;

static size_t below(size_t n)
{
	return n ? (size_t)rand_r(&rnd) % n : 0;
}

/* An allocation of its own, so that a sanitizer sees a step past the end. */
static void run(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static size_t mutate(uint8_t *p, size_t n)
{
	static const uint8_t edge[] = {0, 1, 0x7f, 0x80, 0xff, 8, 88, 64};
	size_t at = below(4) ? below(n < 96 ? n : 96) : below(n), len = 1 + below(16);

	if (!n)
		return n;
	switch (below(6)) {
	case 0:
		p[at] ^= (uint8_t)(1u << below(8));
		return n;
	case 1:
		p[at] = edge[below(sizeof(edge))];
		return n;
	case 2: /* cut the end */
		return below(n);
	case 3: /* take a piece out */
		if (at + len >= n)
			return n;
		memmove(p + at, p + at + len, n - at - len);
		return n - len;
	case 4: /* double a piece */
		if (at + len >= n || n + len > MAX_INPUT)
			return n;
		memmove(p + at + len, p + at, n - at);
		return n + len;
	default:
		p[at] = (uint8_t)below(256);
		return n;
	}
}

static void run_seeds(int mutations)
{
	static uint8_t buf[MAX_INPUT];
	size_t n, m;

	for (unsigned i = 0; (n = nf_fuzz_seed(nf_fuzz_kind, i, seed, MAX_INPUT)); i++) {
		run(seed, n);
		for (int j = 0; j < mutations; j++) {
			memcpy(buf, seed, n);
			m = n;
			for (size_t k = 1 + below(4); k; k--)
				m = mutate(buf, m);
			run(buf, m);
		}
	}
}

static int run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	n = fread(seed, 1, MAX_INPUT, f);
	fclose(f);
	run(seed, n);
	return 0;
}

static int write_seeds(const char *dir)
{
	char path[512];
	size_t n;
	FILE *f;

	if (mkdir(dir, 0755) < 0 && errno != EEXIST) {
		fprintf(stderr, "%s: %s\n", dir, strerror(errno));
		return 1;
	}
	for (unsigned i = 0; (n = nf_fuzz_seed(nf_fuzz_kind, i, seed, MAX_INPUT)); i++) {
		snprintf(path, sizeof(path), "%s/seed.%03u", dir, i);
		f = fopen(path, "wb");
		if (!f || fwrite(seed, 1, n, f) != n || fclose(f)) {
			fprintf(stderr, "%s: %s\n", path, strerror(errno));
			return 1;
		}
	}
	return 0;
}

static bool full(void)
{
	const char *e = getenv("NFSHIM_FULL");

	return e && !strcmp(e, "1");
}

int main(int argc, char **argv)
{
	int rc = 0;

	if (argc == 3 && !strcmp(argv[1], "--write"))
		return write_seeds(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "--seeds")) {
		run_seeds(full() ? MANY : atoi(argv[2]));
		return 0;
	}
	for (int i = 1; i < argc; i++)
		rc |= run_file(argv[i]);
	return rc;
}
