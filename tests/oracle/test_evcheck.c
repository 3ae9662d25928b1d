/* SPDX-License-Identifier: BSD-2-Clause */
/* evcheck must accept right stories and object to each wrong one. test_evcheck EVCHECK */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "evlog.h"

#define PACKETS 8
#define LOGS	3

enum { REF, S, D };

struct event {
	int log;
	enum nf_ev what;
	uint64_t id, v;
	bool output;
};

static char dir[] = "/tmp/evcheckXXXXXX";
static const char *evcheck;

/*
 * A right story, which the cases change event by event: 1 at S, export, 2 and 3 at S and cloned,
 * route, 4 and 5 held, 6 a straggler sent on, commit, released, 7 and 8 straight at D.
 */
static const struct event right[] = {
	{S, NF_EV_PROCESSED, 1, 0, true},    {S, NF_EV_EXPORT, 0, 0, false},
	{S, NF_EV_PROCESSED, 2, 0, true},    {S, NF_EV_PROCESSED, 3, 0, true},
	{D, NF_EV_IMPORT, 0, 0, false},	     {D, NF_EV_REPROCESSED, 2, 1, false},
	{D, NF_EV_REPROCESSED, 3, 2, false}, {D, NF_EV_HELD, 4, 0, false},
	{D, NF_EV_HELD, 5, 0, false},	     {D, NF_EV_COMMIT, 0, 2, false},
	{D, NF_EV_FORWARDED, 4, 0, true},    {D, NF_EV_FORWARDED, 5, 0, true},
	{S, NF_EV_SENT_FWD, 6, 2, false},    {D, NF_EV_FORWARDED, 6, 0, true},
	{D, NF_EV_PROCESSED, 7, 0, true},    {S, NF_EV_DELETE, 0, 2, false},
	{D, NF_EV_PROCESSED, 8, 0, true},
};
enum { CLONE3 = 6, HELD4, HELD5, COMMIT, OUT4, OUT5, FWD6, OUT6, OUT7, DELETE, OUT8, EVENTS };

_Static_assert(sizeof(right) / sizeof(right[0]) == EVENTS, "the names fit the story");

enum change {
	NOTHING,
	WITHOUT,
	TWICE,
	SWAP_NEXT,
	AT_S,
	WHAT,
	OUTPUT,
	MUTE,
	UNTIL,
	MOVE_TO,
	BEGIN_ANEW
};

static const struct {
	const char *name;
	enum change change;
	int at, arg; /* event, and what WHAT or MOVE_TO make of it */
	const char *options;
	int want;
} cases[] = {
	{"right", NOTHING, 0, 0, "", 0},
	{"right, as JSON", NOTHING, 0, 0, "--json", 0},
	{"right, without order", NOTHING, 0, 0, "--unordered", 0},
	{"lost packet at the source", WITHOUT, 0, 0, "", 1},
	{"packet twice at the source", TWICE, 0, 0, "", 1},
	{"lost clone", WITHOUT, CLONE3, 0, "", 1},
	{"lost clone, without order", WITHOUT, CLONE3, 0, "--unordered", 1},
	{"doubled clone", TWICE, CLONE3, 0, "", 1},
	{"clones swapped", SWAP_NEXT, CLONE3 - 1, 0, "", 1},
	{"clones swapped, without order", SWAP_NEXT, CLONE3 - 1, 0, "--unordered", 0},
	{"clone with output", OUTPUT, CLONE3, 0, "", 1},
	{"clone processed as if it were no clone", WHAT, CLONE3, NF_EV_PROCESSED, "", 1},
	{"no import", WITHOUT, 4, 0, "", 1},
	{"import without export", WITHOUT, 1, 0, "", 1},
	{"export before the last update", SWAP_NEXT, 0, 0, "", 1},
	{"held for ever", TWICE, HELD4, 0, "", 1},
	{"released out of order", SWAP_NEXT, OUT4, 0, "", 1},
	{"released out of order, without order", SWAP_NEXT, OUT4, 0, "--unordered", 0},
	{"released twice", TWICE, OUT5, 0, "", 1},
	{"released before the commit", MOVE_TO, OUT4, COMMIT, "", 1},
	{"released before the commit, without order", MOVE_TO, OUT4, COMMIT, "--unordered", 0},
	{"dropped instead of released", WHAT, OUT4, NF_EV_DROPPED, "", 1},
	{"straggler lost", WITHOUT, OUT6, 0, "", 1},
	{"straggler processed at the source", WHAT, FWD6, NF_EV_PROCESSED, "", 1},
	{"processed by the old owner", AT_S, OUT7, 0, "", 1},
	{"last packet by the old owner", AT_S, OUT8, 0, "", 1},
	{"output made twice", TWICE, OUT8, 0, "", 1},
	{"output dropped", MUTE, OUT8, 0, "", 1},
	{"state deleted at the destination", WHAT, OUT7, NF_EV_DELETE, "", 1},
	{"never committed", WITHOUT, COMMIT, 0, "", 1},
	{"the end is missing", UNTIL, OUT7, 0, "", 1},
	{"state begins anew at the destination", BEGIN_ANEW, 0, 0, "", 1},
	{"state begins anew, expiring", BEGIN_ANEW, 0, 0, "--expiring", 0},
	{"lost clone, expiring", WITHOUT, CLONE3, 0, "--expiring", 1},
	{"lost packet at the source, expiring", WITHOUT, 0, 0, "--expiring", 1},
	/* D dies; 8 goes to S again, with or without the state that S had. */
	{"destination gone after the move", AT_S, OUT8, 0, "gone D", 0},
	{"destination gone, state kept", WITHOUT, DELETE, 0, "gone D, 8 at S", 0},
	{"destination gone, output twice", TWICE, OUT5, 0, "gone D, 8 at S", 1},
	{"destination cut off, lives on", AT_S, OUT7, 0, "gone D", 0},
	{"destination cut off, prints late", MOVE_TO, OUT7, OUT6, "gone D, moved to S", 0},
	{"destination cut off, prints in disorder", MOVE_TO, OUT7, OUT6, "gone D, 8 at S", 1},
	{"destination gone, two gaps", WITHOUT, OUT4, 0, "gone D, 8 at S", 1},
	{"source gone", UNTIL, DELETE, 0, "gone S", 0},
	{"source gone, clones lost with it", WITHOUT, CLONE3, 0, "gone S", 0},
	{"source gone, clones swapped", SWAP_NEXT, CLONE3 - 1, 0, "gone S", 1},
};

static void put(FILE *f, uint64_t seq, uint64_t ns, const struct event *e)
{
	struct nf_ev_rec r = {.seq = seq,
			      .id = e->id,
			      .ns = ns,
			      .version = e->v,
			      .what = (uint8_t)e->what,
			      .output = e->output};

	r.flow.ethertype = 0x800;
	r.flow.proto = 6;
	if (e->what == NF_EV_EXPORT || e->what == NF_EV_IMPORT)
		r.version = 0;
	fwrite(&r, sizeof(r), 1, f);
}

static size_t change(struct event *e, enum change c, int at, int arg)
{
	size_t n = EVENTS;
	struct event x = right[at];

	memcpy(e, right, sizeof(right));
	switch (c) {
	case WITHOUT:
		memmove(e + at, e + at + 1, (--n - (size_t)at) * sizeof(*e));
		break;
	case TWICE:
		memmove(e + at + 1, e + at, (n++ - (size_t)at) * sizeof(*e));
		break;
	case SWAP_NEXT:
		e[at] = e[at + 1];
		e[at + 1] = x;
		break;
	case AT_S:
		e[at].log = S;
		break;
	case WHAT:
		e[at].what = (enum nf_ev)arg;
		break;
	case OUTPUT:
		e[at].output = true;
		break;
	case MUTE:
		e[at].output = false;
		break;
	case UNTIL:
		n = (size_t)at;
		break;
	case MOVE_TO: /* towards the front */
		memmove(e + arg + 1, e + arg, (size_t)(at - arg) * sizeof(*e));
		e[arg] = x;
		break;
	case BEGIN_ANEW: /* neither export nor import nor clones */
		n = EVENTS - HELD4;
		e[1] = e[2];
		e[2] = e[3];
		memcpy(e + 3, right + HELD4, n * sizeof(*e));
		n += 3;
		break;
	case NOTHING:
		break;
	}
	return n;
}

/* Write the three logs. */
static void write_logs(const struct event *e, size_t n)
{
	uint64_t count[LOGS] = {0};
	char path[64];
	FILE *f[LOGS];

	for (int i = 0; i < LOGS; i++) {
		snprintf(path, sizeof(path), "%s/%d", dir, i);
		f[i] = fopen(path, "w");
		if (!f[i])
			exit(2);
		fseek(f[i], NF_EV_HEAD, SEEK_SET);
	}
	for (uint64_t id = 1; id <= PACKETS; id++) {
		struct event r = {REF, NF_EV_PROCESSED, id, 0, true};

		put(f[REF], ++count[REF], id, &r);
	}
	for (size_t k = 0; k < n; k++)
		put(f[e[k].log], ++count[e[k].log], 100 + k, &e[k]);
	for (int i = 0; i < LOGS; i++) {
		struct nf_ev_head h = {.magic = NF_EV_MAGIC, .count = count[i]};

		rewind(f[i]);
		fwrite(&h, sizeof(h), 1, f[i]);
		fclose(f[i]);
	}
}

static int verdict(const char *options)
{
	bool gone_s = strstr(options, "gone S"), gone_d = strstr(options, "gone D");
	char cmd[512];
	int rc;

	snprintf(cmd, sizeof(cmd), "%s %s %s/0 %s%s/1 %s%s/2 >/dev/null 2>&1", evcheck,
		 gone_s || gone_d ? "" : options, dir, gone_s ? "--gone " : "", dir,
		 gone_d ? "--gone " : "", dir);
	rc = system(cmd);
	return WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
}

static int check(const char *name, int got, int want)
{
	printf("%s %s: exit %d\n", got == want ? "ok" : "NOT OK", name, got);
	return got != want;
}

/* What is no log at all is no verdict. */
static int unusable(void)
{
	char path[64];
	int failed = 0;
	FILE *f;

	write_logs(right, EVENTS);
	snprintf(path, sizeof(path), "%s/1", dir);
	if (truncate(path, NF_EV_HEAD + 3 * sizeof(struct nf_ev_rec)))
		return 1;
	failed += check("cut log", verdict(""), 2);
	write_logs(right, EVENTS);
	f = fopen(path, "r+");
	if (!f)
		return 1;
	fseek(f, NF_EV_HEAD + sizeof(struct nf_ev_rec), SEEK_SET);
	fwrite("\xff\xff", 2, 1, f);
	fclose(f);
	failed += check("damaged log", verdict(""), 2);
	write_logs(right, 0);
	snprintf(path, sizeof(path), "%s/0", dir);
	if (truncate(path, 100))
		return 1;
	failed += check("no log", verdict(""), 2);
	unlink(path);
	failed += check("no file", verdict(""), 2);
	return failed;
}

int main(int argc, char **argv)
{
	struct event e[EVENTS + 1];
	int failed = 0;
	size_t n;

	if (argc != 2 || !mkdtemp(dir))
		return 2;
	evcheck = argv[1];
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		n = change(e, cases[i].change, cases[i].at, cases[i].arg);
		if (strstr(cases[i].options, "8 at S"))
			e[n - 1].log = S;
		if (strstr(cases[i].options, "moved to S"))
			e[cases[i].arg].log = S;
		write_logs(e, n);
		failed += check(cases[i].name, verdict(cases[i].options), cases[i].want);
	}
	failed += unusable();
	for (int i = 0; i < LOGS; i++) {
		char path[64];

		snprintf(path, sizeof(path), "%s/%d", dir, i);
		unlink(path);
	}
	rmdir(dir);
	return failed != 0;
}
