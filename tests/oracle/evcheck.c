/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks event logs (common/evlog.h): did every packet update the state once and in order, and was
 * its output made once?
 *
 *   evcheck [--unordered] [--expiring] [--json] [--gone LOG]... REF LOG...
 *
 * REF is the log of an instance that saw everything and never moved. The events of all LOGs are
 * merged by time and replayed: per instance and flow, the packets that went into the state, which
 * EXPORT and IMPORT carry over. Then
 *   - the state of each flow at its last owner was made by the reference's packets, in its order,
 *   - the packets whose output was let through are the reference's, in its order (with
 *     --unordered, for guarantees that give up order: as a set),
 *   - no clone's output was let through, and no other's was not,
 *   - no instance processed a packet of a flow that another had committed, nor one that came
 *     straight to it before it had committed the flow itself,
 *   - what was held was released, each flow's in its order, and nothing was dropped.
 * --expiring is for NFs that end flows by themselves, of which no log tells: the first packets of a
 * flow may be missing from its state.
 * --gone names the log of an instance that died or was cut off: what it owns others may take from
 * it, at its last event it is nobody's, and of each flow one run of packets may be missing, which
 * is counted and reported. Exit status: 0 all holds, 1 a violation, 2 usage or an unusable log.
 */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "evcheck_seq.h"
#include "evlog.h"
#include "flow.h"

#define MAX_LOGS 16
#define SHOWN	 10

struct snapshot {
	struct snapshot *next;
	uint64_t version;
	uint32_t epoch;
	int log;
	struct seq st;
};

struct held {
	struct held *next;
	uint64_t id, ns;
};

struct place { /* a flow at an instance */
	struct seq st, out;
	struct held *held, **held_end;
	bool receiving; /* its state came, or clones, and no COMMIT yet */
};

struct flow {
	struct nfshim_flow key;
	struct seq ref, out; /* out: what was output, by time */
	struct place at[MAX_LOGS];
	int owner, last; /* committed by; processed last by; -1 none */
	struct snapshot *exports;
	UT_hash_handle hh;
};

struct log {
	const char *path;
	const struct nf_ev_head *head;
	const struct nf_ev_rec *rec;
	uint64_t n, at;
	bool gone;
};

static struct flow *flows;
static struct log logs[MAX_LOGS];
static int n_logs;
static bool ordered = true, expiring, any_gone;
static uint64_t seen[NF_EV_COMMIT + 1], longest_hold_ns, lost_packets, lost_flows;
static unsigned violations;

__attribute__((format(printf, 3, 4))) static void violation(const struct flow *f, int log,
							    const char *fmt, ...)
{
	char text[NF_FLOW_TEXT];
	va_list ap;

	if (violations++ >= SHOWN)
		return;
	fprintf(stderr, "  %s: ", nf_flow_format(&f->key, text, sizeof(text)));
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "%s%s\n", log >= 0 ? " at " : "", log >= 0 ? logs[log].head->instance : "");
}

static void *zalloc(size_t n)
{
	void *p = calloc(1, n);

	if (!p) {
		fprintf(stderr, "evcheck: out of memory\n");
		exit(2);
	}
	return p;
}

static struct flow *flow_of(const struct nfshim_flow *key)
{
	struct flow *f;

	HASH_FIND(hh, flows, key, sizeof(*key), f);
	if (f)
		return f;
	f = zalloc(sizeof(*f));
	f->key = *key;
	f->owner = f->last = -1;
	for (int i = 0; i < MAX_LOGS; i++)
		f->at[i].held_end = &f->at[i].held;
	HASH_ADD(hh, flows, key, sizeof(f->key), f);
	return f;
}

/* ---- logs ---- */

static int check_records(const struct log *l)
{
	for (uint64_t k = 0; k < l->n; k++)
		if (l->rec[k].seq != k + 1 || !l->rec[k].what || l->rec[k].what > NF_EV_COMMIT ||
		    (k && l->rec[k].ns < l->rec[k - 1].ns)) {
			fprintf(stderr, "evcheck: %s: event %" PRIu64 " is damaged\n", l->path,
				k + 1);
			return -1;
		}
	return 0;
}

static int open_log(struct log *l, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY);
	void *p = MAP_FAILED;

	if (fd >= 0 && !fstat(fd, &st) && st.st_size >= NF_EV_HEAD)
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	l->path = path;
	l->head = p;
	if (p == MAP_FAILED || l->head->magic != NF_EV_MAGIC) {
		fprintf(stderr, "evcheck: %s is not an event log\n", path);
		return -1;
	}
	l->rec = (const struct nf_ev_rec *)((const uint8_t *)p + NF_EV_HEAD);
	l->n = l->head->count;
	if (l->n > ((size_t)st.st_size - NF_EV_HEAD) / sizeof(*l->rec)) {
		fprintf(stderr, "evcheck: %s is cut: raise NFSHIM_EVLOG_MB\n", path);
		return -1;
	}
	return check_records(l);
}

/* ---- replay ---- */

static void take_export(struct flow *f, const struct nf_ev_rec *e, int i)
{
	struct snapshot *s = zalloc(sizeof(*s));

	s->next = f->exports;
	s->version = e->version;
	s->epoch = e->epoch;
	s->log = i;
	seq_copy(&s->st, &f->at[i].st);
	f->exports = s;
}

static void take_import(struct flow *f, const struct nf_ev_rec *e, int i)
{
	f->at[i].receiving = true;
	for (struct snapshot *s = f->exports; s; s = s->next)
		if (s->log != i && s->version == e->version && s->epoch == e->epoch) {
			seq_copy(&f->at[i].st, &s->st);
			return;
		}
	violation(f, i, "imported what nobody exported");
}

static void hold(struct flow *f, const struct nf_ev_rec *e, int i)
{
	struct held *h = zalloc(sizeof(*h));

	h->id = e->id;
	h->ns = e->ns;
	*f->at[i].held_end = h;
	f->at[i].held_end = &h->next;
}

/* The packet is not held any more. False: it was not. */
static bool unhold(struct flow *f, const struct nf_ev_rec *e, int i)
{
	struct place *p = &f->at[i];
	struct held **at = &p->held, *h;

	while ((h = *at) && h->id != e->id)
		at = &h->next;
	if (!h)
		return false;
	if (ordered && at != &p->held)
		violation(f, i, "released before one that was held earlier");
	if (e->ns - h->ns > longest_hold_ns)
		longest_hold_ns = e->ns - h->ns;
	*at = h->next;
	if (p->held_end == &h->next)
		p->held_end = at;
	free(h);
	return true;
}

static void processed(struct flow *f, const struct nf_ev_rec *e, int i)
{
	if (!e->output)
		violation(f, i, "output was not let through");
	if (f->owner >= 0 && f->owner != i && logs[f->owner].gone)
		f->owner = -1;
	if (f->owner >= 0 && f->owner != i && logs[i].gone) {
		/* A source that was cut off but lives goes on with what its capture has. */
		seq_add(&f->out, e->id);
		seq_add(&f->at[i].out, e->id);
		return;
	}
	if (f->owner >= 0 && f->owner != i)
		violation(f, i, "processed where it is not owned");
	if (ordered && f->at[i].receiving)
		violation(f, i, "processed before it was committed");
	seq_add(&f->at[i].st, e->id);
	seq_add(&f->out, e->id);
	seq_add(&f->at[i].out, e->id);
	f->last = i;
}

static void reprocessed(struct flow *f, const struct nf_ev_rec *e, int i)
{
	if (e->output)
		violation(f, i, "a clone's output was let through");
	f->at[i].receiving = true;
	seq_add(&f->at[i].st, e->id);
}

static void dropped(struct flow *f, const struct nf_ev_rec *e, int i)
{
	unhold(f, e, i);
	if (!logs[i].gone)
		violation(f, i, "dropped");
}

static void replay(const struct nf_ev_rec *e, int i)
{
	struct flow *f = flow_of(&e->flow);

	seen[e->what]++;
	switch ((enum nf_ev)e->what) {
	case NF_EV_PROCESSED:
		processed(f, e, i);
		break;
	case NF_EV_FORWARDED:
		unhold(f, e, i);
		processed(f, e, i);
		break;
	case NF_EV_REPROCESSED:
		reprocessed(f, e, i);
		break;
	case NF_EV_HELD:
		hold(f, e, i);
		break;
	case NF_EV_DROPPED:
		dropped(f, e, i);
		break;
	case NF_EV_EXPORT:
		take_export(f, e, i);
		break;
	case NF_EV_IMPORT:
		take_import(f, e, i);
		break;
	case NF_EV_COMMIT:
		f->owner = f->last = i;
		f->at[i].receiving = false;
		break;
	case NF_EV_DELETE:
		seq_clear(&f->at[i].st);
		f->at[i].receiving = false;
		break;
	case NF_EV_SENT_FWD: /* output by the other side, or missing in the end */
		break;
	}
}

static void disown(int i)
{
	for (struct flow *f = flows; f; f = f->hh.next)
		if (f->owner == i)
			f->owner = -1;
}

/* Log 0 is the reference; the others are merged by time. */
static void replay_all(void)
{
	for (uint64_t k = 0; k < logs[0].n; k++)
		if (logs[0].rec[k].what == NF_EV_PROCESSED)
			seq_add(&flow_of(&logs[0].rec[k].flow)->ref, logs[0].rec[k].id);
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
		if (logs[next].gone && logs[next].at == logs[next].n)
			disown(next);
	}
}

/* ---- judgement ---- */

static bool begins_late(const struct seq *got, const struct seq *want)
{
	struct seq end = {0};

	if (got->n > want->n || (got->n && !want->id))
		return false;
	end.n = got->n;
	end.id = want->id + (want->n - got->n);
	return seq_equal(got, &end);
}

/* A destination that was cut off but lives goes on with what its capture has, while the source has
 * the flows back: each prints in order, and together they lack one run of packets at most. */
static bool one_gap_by_place(const struct flow *f)
{
	uint32_t at[MAX_LOGS] = {0};
	struct seq all = {0};
	bool ok = true;

	for (uint32_t k = 0; k < f->ref.n; k++)
		for (int i = 1; i < n_logs; i++)
			if (at[i] < f->at[i].out.n && f->at[i].out.id[at[i]] == f->ref.id[k]) {
				at[i]++;
				seq_add(&all, f->ref.id[k]);
				break;
			}
	for (int i = 1; i < n_logs; i++)
		ok &= at[i] == f->at[i].out.n;
	ok = ok && (seq_equal(&all, &f->ref) || seq_compare(&all, &f->ref).one_gap);
	seq_clear(&all);
	return ok;
}

/* @i is the place of a state; -1: it is the output. */
static void judge_seq(const struct flow *f, int i, const char *what, const struct seq *got)
{
	struct seq_diff d;

	if (seq_equal(got, &f->ref))
		return;
	d = seq_compare(got, &f->ref);
	if (any_gone && i < 0 && one_gap_by_place(f))
		return;
	if (!d.missing && !d.extra) {
		if (ordered)
			violation(f, i, "%s: out of order from packet %u on", what, d.first + 1);
		return;
	}
	if ((any_gone && d.one_gap) || (expiring && i >= 0 && begins_late(got, &f->ref)))
		return;
	violation(f, i, "%s: of %u packets %u missing, %u extra, from packet %u on", what, f->ref.n,
		  d.missing, d.extra, d.first + 1);
}

static void judge(void)
{
	for (struct flow *f = flows; f; f = f->hh.next) {
		judge_seq(f, -1, "output", &f->out);
		if (f->out.n < f->ref.n) {
			lost_packets += f->ref.n - f->out.n;
			lost_flows++;
		}
		if (f->last >= 0 && !logs[f->last].gone)
			judge_seq(f, f->last, "state", &f->at[f->last].st);
		for (int i = 1; i < n_logs; i++)
			if (f->at[i].held && !logs[i].gone)
				violation(f, i, "held for ever");
	}
}

static void report(bool json, uint64_t events)
{
	const char *fmt = json ? "{\"events\": %" PRIu64
				 ", \"logs\": %d, \"flows\": %u, \"processed\": %" PRIu64
				 ", \"reprocessed\": %" PRIu64 ", \"held\": %" PRIu64
				 ", \"longest_hold_ms\": %.3f, \"fwd\": %" PRIu64
				 ", \"lost_packets\": %" PRIu64 ", \"lost_flows\": %" PRIu64
				 ", \"violations\": %u}\n"
			       : "events: %" PRIu64 " in %d logs, %u flows; %" PRIu64
				 " packets processed, %" PRIu64 " reprocessed, %" PRIu64
				 " held (longest %.3f ms), %" PRIu64 " sent on; missing %" PRIu64
				 " of %" PRIu64 " flows; %u violations\n";

	printf(fmt, events, n_logs, HASH_COUNT(flows),
	       seen[NF_EV_PROCESSED] + seen[NF_EV_FORWARDED], seen[NF_EV_REPROCESSED],
	       seen[NF_EV_HELD], (double)longest_hold_ns / 1e6, seen[NF_EV_SENT_FWD], lost_packets,
	       lost_flows, violations);
}

static int usage(void)
{
	fprintf(stderr, "usage: evcheck [--unordered] [--expiring] [--json] [--gone LOG]... "
			"REF LOG...\n");
	return 2;
}

/* The reference goes first, whatever the order of the options. */
static int open_all(int argc, char **argv, char **gone, int n_gone)
{
	if (argc < 1 || argc + n_gone < 2 || argc + n_gone > MAX_LOGS)
		return usage();
	for (n_logs = 0; n_logs < argc + n_gone; n_logs++) {
		struct log *l = &logs[n_logs];

		l->gone = n_logs >= argc;
		if (open_log(l, l->gone ? gone[n_logs - argc] : argv[n_logs]))
			return 2;
	}
	if (logs[0].n)
		return 0;
	fprintf(stderr, "evcheck: %s has no events\n", logs[0].path);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"unordered", no_argument, NULL, 'u'},
					      {"expiring", no_argument, NULL, 'e'},
					      {"json", no_argument, NULL, 'j'},
					      {"gone", required_argument, NULL, 'g'},
					      {0}};
	char *gone[MAX_LOGS];
	int o, rc, n_gone = 0;
	uint64_t events = 0;
	bool json = false;

	while ((o = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
		if (o == 'u')
			ordered = false;
		else if (o == 'e')
			expiring = true;
		else if (o == 'j')
			json = true;
		else if (o == 'g' && n_gone < MAX_LOGS)
			gone[n_gone++] = optarg;
		else
			return usage();
	}
	any_gone = n_gone > 0;
	rc = open_all(argc - optind, argv + optind, gone, n_gone);
	if (rc)
		return rc;
	for (int i = 0; i < n_logs; i++)
		events += logs[i].n;
	replay_all();
	judge();
	fflush(stderr);
	report(json, events);
	return violations != 0;
}
