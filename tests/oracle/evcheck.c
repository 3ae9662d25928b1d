/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks event logs (common/evlog.h): did every packet update the state once and in order, and was
 * its output made once?
 *
 *   evcheck [--unordered] REF LOG...
 *
 * REF is the log of an instance that saw everything and never moved. The events of all LOGs are
 * merged by time and replayed: per instance and flow an order-dependent hash stands for the
 * state, which EXPORT and IMPORT carry over. At the end
 *   - the state of each flow at its last owner equals the reference's,
 *   - the packets whose output was let through are the reference's, in its order (with
 *     --unordered, for guarantees that give up order: as a set),
 *   - no instance processed a packet of a flow that another had committed,
 *   - what was held was released, and nothing was dropped.
 * Exit status: 0 all holds, 1 a violation, 2 usage or an unusable log.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>
#include <uthash.h>

#include "evlog.h"
#include "flow.h"

#define MAX_LOGS 64
#define SHOWN	 10

struct state {
	uint64_t n, hash, sum; /* sum: order-free */
};

struct snapshot {
	struct snapshot *next;
	uint64_t version;
	uint32_t epoch;
	int log;
	struct state st;
};

struct flow {
	struct nfshim_flow key;
	struct state at[MAX_LOGS]; /* state per instance */
	struct state out;	   /* what was output, by time */
	struct state ref;
	int64_t held[MAX_LOGS];
	int owner, last; /* committed by; processed last by; -1 none */
	struct snapshot *exports;
	UT_hash_handle hh;
};

struct log {
	const char *path;
	const struct nf_ev_head *head;
	const struct nf_ev_rec *rec;
	uint64_t n, at;
};

static struct flow *flows;
static struct log logs[MAX_LOGS];
static int n_logs;
static unsigned violations;

static void violation(const struct flow *f, const char *what, int log)
{
	char text[NF_FLOW_TEXT];

	if (violations++ < SHOWN)
		printf("  %s: %s%s%s\n", nf_flow_format(&f->key, text, sizeof(text)), what,
		       log >= 0 ? " at " : "", log >= 0 ? logs[log].head->instance : "");
}

static void apply(struct state *s, uint64_t id)
{
	s->n++;
	s->hash = (s->hash ^ id) * 0x9e3779b97f4a7c15ull;
	s->hash ^= s->hash >> 31;
	s->sum += id * 0xd6e8feb86659fd93ull;
}

static struct flow *flow_of(const struct nfshim_flow *key)
{
	struct flow *f;

	HASH_FIND(hh, flows, key, sizeof(*key), f);
	if (f)
		return f;
	f = calloc(1, sizeof(*f));
	if (!f)
		exit(2);
	f->key = *key;
	f->owner = f->last = -1;
	HASH_ADD(hh, flows, key, sizeof(f->key), f);
	return f;
}

static int open_log(struct log *l, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY);
	void *p;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < NF_EV_HEAD)
		goto bad;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		goto bad;
	l->path = path;
	l->head = p;
	l->rec = (const struct nf_ev_rec *)((const uint8_t *)p + NF_EV_HEAD);
	l->n = l->head->count;
	if (l->head->magic != NF_EV_MAGIC)
		goto bad;
	if (l->n > ((size_t)st.st_size - NF_EV_HEAD) / sizeof(*l->rec)) {
		fprintf(stderr, "evcheck: %s is cut: raise NFSHIM_EVLOG_MB\n", path);
		return -1;
	}
	return 0;
bad:
	fprintf(stderr, "evcheck: %s is not an event log\n", path);
	return -1;
}

static void take_export(struct flow *f, const struct nf_ev_rec *e, int i)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	if (!s)
		exit(2);
	*s = (struct snapshot){f->exports, e->version, e->epoch, i, f->at[i]};
	f->exports = s;
}

static void take_import(struct flow *f, const struct nf_ev_rec *e, int i)
{
	for (struct snapshot *s = f->exports; s; s = s->next)
		if (s->log != i && s->version == e->version && s->epoch == e->epoch) {
			f->at[i] = s->st;
			return;
		}
	violation(f, "imported what nobody exported", i);
}

static void packet_out(struct flow *f, const struct nf_ev_rec *e, int i)
{
	if (f->owner >= 0 && f->owner != i)
		violation(f, "processed where it is not owned", i);
	apply(&f->at[i], e->id);
	apply(&f->out, e->id);
	f->last = i;
}

static void replay(const struct nf_ev_rec *e, int i)
{
	struct flow *f = flow_of(&e->flow);

	switch (e->what) {
	case NF_EV_PROCESSED:
		packet_out(f, e, i);
		break;
	case NF_EV_FORWARDED:
		if (f->held[i] > 0)
			f->held[i]--;
		packet_out(f, e, i);
		break;
	case NF_EV_REPROCESSED:
		apply(&f->at[i], e->id);
		break;
	case NF_EV_HELD:
		f->held[i]++;
		break;
	case NF_EV_DROPPED:
		if (f->held[i] > 0)
			f->held[i]--;
		violation(f, "dropped", i);
		break;
	case NF_EV_EXPORT:
		take_export(f, e, i);
		break;
	case NF_EV_IMPORT:
		take_import(f, e, i);
		break;
	case NF_EV_COMMIT:
		f->owner = i;
		f->last = i;
		break;
	case NF_EV_DELETE:
		memset(&f->at[i], 0, sizeof(f->at[i]));
		break;
	}
}

/* Log 0 is the reference; the others are merged by time. */
static void replay_all(void)
{
	for (uint64_t k = 0; k < logs[0].n; k++)
		if (logs[0].rec[k].what == NF_EV_PROCESSED)
			apply(&flow_of(&logs[0].rec[k].flow)->ref, logs[0].rec[k].id);
	for (;;) {
		int next = -1;

		for (int i = 1; i < n_logs; i++)
			if (logs[i].at < logs[i].n &&
			    (next < 0 ||
			     logs[i].rec[logs[i].at].ns < logs[next].rec[logs[next].at].ns))
				next = i;
		if (next < 0)
			return;
		replay(&logs[next].rec[logs[next].at++], next);
	}
}

static bool same(const struct state *a, const struct state *b, bool ordered)
{
	return a->n == b->n && a->sum == b->sum && (!ordered || a->hash == b->hash);
}

static void judge(bool ordered)
{
	for (struct flow *f = flows; f; f = f->hh.next) {
		if (!same(&f->out, &f->ref, false))
			violation(f, f->out.n < f->ref.n ? "output is missing" : "output is extra", -1);
		else if (ordered && !same(&f->out, &f->ref, true))
			violation(f, "output is out of order", -1);
		if (f->last >= 0 && !same(&f->at[f->last], &f->ref, ordered))
			violation(f, "the state is not what the packets make it", f->last);
		for (int i = 1; i < n_logs; i++)
			if (f->held[i])
				violation(f, "held for ever", i);
	}
}

int main(int argc, char **argv)
{
	bool ordered = true;
	uint64_t events = 0;
	int a = 1;

	if (a < argc && !strcmp(argv[a], "--unordered")) {
		ordered = false;
		a++;
	}
	if (argc - a < 2 || argc - a > MAX_LOGS) {
		fprintf(stderr, "usage: evcheck [--unordered] REF LOG...\n");
		return 2;
	}
	for (; a < argc; a++) {
		if (open_log(&logs[n_logs], argv[a]))
			return 2;
		events += logs[n_logs++].n;
	}
	if (!logs[0].n) {
		fprintf(stderr, "evcheck: %s has no events\n", logs[0].path);
		return 2;
	}
	replay_all();
	judge(ordered);
	printf("events: %" PRIu64 " in %d logs, %u flows, %u violations\n", events, n_logs,
	       HASH_COUNT(flows), violations);
	return violations != 0;
}
