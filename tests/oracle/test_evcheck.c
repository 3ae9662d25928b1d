/* SPDX-License-Identifier: BSD-2-Clause */
/* evcheck must accept a right story and object to each wrong one. test_evcheck EVCHECK */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "evlog.h"

#define PACKETS 6

static char dir[] = "/tmp/evcheckXXXXXX";
static const char *evcheck;
static uint64_t now;

struct story {
	FILE *f[3]; /* reference, source, destination */
	uint64_t n[3];
};

static void put(struct story *s, int log, enum nf_ev what, uint64_t id, uint64_t v, bool output)
{
	struct nf_ev_rec r = {.seq = ++s->n[log], .id = id, .ns = ++now, .version = v,
			      .what = (uint8_t)what, .output = output};

	r.flow.ethertype = 0x800;
	r.flow.proto = 6;
	fwrite(&r, sizeof(r), 1, s->f[log]);
}

static void begin(struct story *s)
{
	char path[64];
	uint8_t zero[NF_EV_HEAD] = {0};

	memset(s, 0, sizeof(*s));
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%d", dir, i);
		s->f[i] = fopen(path, "w");
		if (!s->f[i])
			exit(1);
		fwrite(zero, sizeof(zero), 1, s->f[i]);
	}
	for (uint64_t id = 1; id <= PACKETS; id++)
		put(s, 0, NF_EV_PROCESSED, id, 0, true);
}

static int verdict(struct story *s)
{
	char cmd[256];
	int rc;

	for (int i = 0; i < 3; i++) {
		struct nf_ev_head h = {.magic = NF_EV_MAGIC, .count = s->n[i]};

		rewind(s->f[i]);
		fwrite(&h, sizeof(h), 1, s->f[i]);
		fclose(s->f[i]);
	}
	snprintf(cmd, sizeof(cmd), "%s %s/0 %s/1 %s/2 >/dev/null", evcheck, dir, dir, dir);
	rc = system(cmd);
	return WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
}

enum fault { NONE, LOST_CLONE, DOUBLE_CLONE, SWAPPED, TWICE_OUT, HELD, DROPPED, NOT_OWNER, FAULTS };
static const char *const fault_name[] = {"right",    "lost clone",	   "doubled clone",
					 "reordered", "output made twice", "held for ever",
					 "dropped",  "processed by the old owner"};

/* 1 at S, export, 2 and 3 at S and cloned, commit, 4 held and released, 5 and 6 at D. */
static void tell(struct story *s, enum fault x)
{
	put(s, 1, NF_EV_PROCESSED, 1, 0, true);
	put(s, 1, NF_EV_EXPORT, 0, 0, false);
	put(s, 1, NF_EV_PROCESSED, 2, 0, true);
	put(s, 1, NF_EV_PROCESSED, 3, 0, true);
	put(s, 2, NF_EV_IMPORT, 0, 0, false);
	put(s, 2, NF_EV_REPROCESSED, x == SWAPPED ? 3 : 2, 1, false);
	if (x != LOST_CLONE)
		put(s, 2, NF_EV_REPROCESSED, x == SWAPPED ? 2 : 3, 2, false);
	if (x == DOUBLE_CLONE)
		put(s, 2, NF_EV_REPROCESSED, 3, 2, false);
	put(s, 2, NF_EV_HELD, 4, 0, false);
	if (x == HELD)
		put(s, 2, NF_EV_HELD, 4, 0, false);
	put(s, 2, NF_EV_COMMIT, 0, 2, false);
	put(s, 2, x == DROPPED ? NF_EV_DROPPED : NF_EV_FORWARDED, 4, 0, x != DROPPED);
	put(s, 2, NF_EV_PROCESSED, 5, 0, true);
	if (x == TWICE_OUT)
		put(s, 2, NF_EV_PROCESSED, 5, 0, true);
	put(s, x == NOT_OWNER ? 1 : 2, NF_EV_PROCESSED, 6, 0, true);
}

int main(int argc, char **argv)
{
	int failed = 0;
	struct story s;

	if (argc != 2 || !mkdtemp(dir))
		return 2;
	evcheck = argv[1];
	for (int x = NONE; x < FAULTS; x++) {
		int want = x != NONE, got;

		begin(&s);
		tell(&s, (enum fault)x);
		got = verdict(&s);
		printf("%s %s: exit %d\n", got == want ? "ok" : "not ok", fault_name[x], got);
		failed += got != want;
	}
	for (int i = 0; i < 3; i++) {
		char path[64];

		snprintf(path, sizeof(path), "%s/%d", dir, i);
		unlink(path);
	}
	rmdir(dir);
	return failed != 0;
}
