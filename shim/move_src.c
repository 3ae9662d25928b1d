/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A move at its source: DESIGN §4, "A flow at S".
 *
 * Theory of operation. The NF goes on processing every packet. Its flows of the
 * space are exported in slices between packets (late locking: a flow is LOCAL
 * until its own turn); from then on each of its packets is copied to the
 * destination once the NF has processed it (CLONING). Snapshot and state change
 * happen in one safe point, so the clones continue the snapshot exactly.
 *
 * Records that several flows share (multi-flow state) follow one rule: before
 * a packet of a CLONING flow is processed, every record it may touch is clean
 * at the destination, that is, exported and not changed since by a LOCAL flow.
 * The destination applies STATE and CLONE in stream order, so it makes the
 * same change to the same record.
 *
 * MARK ends it: the switch sends nothing more, each flow is offered with FIN,
 * stragglers are forwarded (FWD), and what is acknowledged by DONE is deleted
 * silently after the linger.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "evlog.h"
#include "log.h"
#include "move.h"
#include "pause.h"
#include "provider.h"
#include "signals.h"

#define ROOM		(2u * NF_REC_MAX) /* ring space a slice asks for before each step */
#define WAIT_MAX_NS	10000000u	  /* the input waits at most so long for ring space */
#define CAPTURE_RING	(2u << 20)	  /* libpcap's default capture buffer, bytes */
#define WALK_BUCKETS	64u		  /* buckets the NF walks per call */
#define STRAGGLER_NS	5000000000u

static uint8_t blob[NF_REC_MAX - sizeof(struct nf_rec)];

static struct nf_link *link_up(void)
{
	struct nf_link *l = nf_link_get();

	return l && atomic_load_explicit(&l->up, memory_order_acquire) ? l : NULL;
}

/* The helper may have gone since reserve(); the ring stays until this thread lets it go. */
static void commit(struct nf_rec *r)
{
	nf_ring_commit(nf_link_get()->out, r);
}

/* Before the route the wait is bounded (DESIGN §4, no-drop mode); after MARK the helper spills
 * without a bound, so only its loss ends the wait. */
static uint64_t wait_limit(void)
{
	uint64_t age, half;

	if (nf_move.phase >= NF_PHASE_MARKED)
		return STRAGGLER_NS;
	age = nf_now_ns() - nf_move.began;
	half = nf_move.bytes_in ? age / nf_move.bytes_in * (CAPTURE_RING / 2) : WAIT_MAX_NS;
	return half < WAIT_MAX_NS ? half : WAIT_MAX_NS;
}

static struct nf_rec *reserve(uint32_t len)
{
	struct nf_link *l = link_up();
	struct timespec nap = {.tv_nsec = 20000};
	struct nf_rec *r;
	uint64_t t0, limit;

	if (!l)
		return NULL;
	r = nf_ring_reserve(l->out, len);
	if (r || !nf_move.no_drop || len > NF_REC_MAX)
		return r;
	t0 = nf_now_ns();
	limit = wait_limit();
	while (!(r = nf_ring_reserve(l->out, len)) && nf_now_ns() - t0 < limit && link_up())
		nanosleep(&nap, NULL);
	nf_move.stats.wait_ns += nf_now_ns() - t0;
	return r;
}

static bool push(enum nf_rec_type t, const struct nf_mflow *f)
{
	struct nf_rec *r = reserve(sizeof(*r));

	if (!r)
		return false;
	memset(r, 0, sizeof(*r));
	r->len = sizeof(*r);
	r->type = (uint8_t)t;
	r->move = nf_move.id;
	if (f) {
		r->flow = f->key;
		r->epoch = f->epoch;
		r->version = f->version;
	}
	commit(r);
	return true;
}

/* STATE of @key. 0, -ENOENT: the NF has none, -ENOBUFS: ring full, other: reported. */
static int send_state(enum nfshim_scope scope, const struct nfshim_flow *key, uint32_t epoch,
		      uint64_t version)
{
	const struct nfshim_hooks *k = &nf_provider.hooks;
	ssize_t n = k->get(nf_provider.nf, scope, key, blob, sizeof(blob));
	char text[NF_FLOW_TEXT];
	struct nf_rec *r;

	if (n == -ENOENT)
		return -ENOENT;
	if (n < 0 || n > (ssize_t)sizeof(blob)) {
		nf_move_fail(n < 0 ? (int)n : -EMSGSIZE, "%s could not export %s: %s", k->name,
			     nf_flow_format(key, text, sizeof(text)),
			     strerror(n < 0 ? (int)-n : EMSGSIZE));
		return -EIO;
	}
	r = reserve((uint32_t)(sizeof(*r) + (size_t)n));
	if (!r)
		return -ENOBUFS;
	memset(r, 0, sizeof(*r));
	r->len = (uint32_t)(sizeof(*r) + (size_t)n);
	r->type = NF_REC_STATE;
	r->scope = (uint8_t)scope;
	r->move = nf_move.id;
	r->flow = *key;
	r->epoch = epoch;
	r->version = version;
	memcpy(r + 1, blob, (size_t)n);
	commit(r);
	nf_move.stats.state_bytes += (uint64_t)n;
	if (scope == NFSHIM_PER_FLOW)
		nf_move.stats.flows++;
	else
		nf_move.stats.records++;
	return 0;
}

/* Bring D's copy of a record up to date if a LOCAL flow changed it since. */
static int clean_record(struct nf_mrecord *r)
{
	int err = 0;

	if (!r)
		return -ENOMEM;
	if (r->exported && !r->dirty)
		return 0;
	err = send_state(NFSHIM_MULTI_FLOW, &r->key, 0, 0);
	if (err && err != -ENOENT)
		return err;
	r->exported = true;
	r->dirty = false;
	return 0;
}

static int clean_records_of(const struct nfshim_flow *flow)
{
	struct nfshim_flow key[NF_RECORDS_MAX];
	unsigned n = nf_move_records_of(flow, key);
	int err = 0;

	for (unsigned i = 0; i < n && !err; i++)
		err = clean_record(nf_move_record(&key[i]));
	return err;
}

/* Snapshot, mark and enqueue in one safe point. */
static int export_flow(struct nf_mflow *f)
{
	int err = clean_records_of(&f->key);

	if (!err)
		err = send_state(NFSHIM_PER_FLOW, &f->key, f->epoch, f->version);
	if (err == -ENOENT)
		err = 0;
	if (!err) {
		f->state = NF_FLOW_CLONING;
		nf_move_log(NF_EV_EXPORT, f);
	}
	return err;
}

static void dirty_records_of(const struct nfshim_flow *flow)
{
	struct nfshim_flow key[NF_RECORDS_MAX];
	unsigned n = nf_move_records_of(flow, key);

	for (unsigned i = 0; i < n; i++) {
		struct nf_mrecord *r = nf_move_record(&key[i]);

		if (r)
			r->dirty = true;
	}
}

/* ---- slices ---- */

struct slice {
	uint64_t until;
	unsigned left; /* flows, 0: no limit */
	int err;
};

static bool slice_over(struct slice *sl)
{
	struct nf_link *l = link_up();

	if (sl->left && --sl->left == 0)
		return true;
	return !l || nf_ring_room(l->out) < ROOM || nf_now_ns() >= sl->until;
}

static int walk_flow(void *arg, const struct nfshim_flow *key)
{
	struct nf_mflow *f = nf_move_find(key);
	struct nfshim_flow rec[NF_RECORDS_MAX];
	struct slice *sl = arg;
	unsigned n;

	if (!nf_space_has_flow(nf_move.space, key)) {
		n = nf_move_records_of(key, rec);
		for (unsigned i = 0; i < n; i++) {
			struct nf_mrecord *r = nf_move_record(&rec[i]);

			if (r)
				r->outside = true;
		}
		return slice_over(sl);
	}
	if (f && f->state != NF_FLOW_LOCAL)
		return 0; /* began during the move */
	if (!f)
		f = nf_move_add(key, NF_FLOW_LOCAL);
	if (!f)
		return 1;
	sl->err = export_flow(f);
	nf_pause("export");
	return sl->err || slice_over(sl);
}

static int walk_record(void *arg, const struct nfshim_flow *key)
{
	struct slice *sl = arg;

	if (!nf_space_has_host(nf_move.space, key))
		return 0;
	sl->err = clean_record(nf_move_record(key));
	return sl->err || slice_over(sl);
}

static void count_shared(void)
{
	struct nf_mrecord *r, *tmp;

	HASH_ITER(hh, nf_move.records, r, tmp)
		if (r->outside && r->exported)
			nf_move.stats.shared++;
}

static void exported_all(void)
{
	nf_move.walk.done = true;
	count_shared();
	nf_pause("exported");
	if (nf_move.phase < NF_PHASE_EXPORTED)
		nf_move.phase = NF_PHASE_EXPORTED;
	nf_report_stats(NF_REC_EXPORTED);
}

/* Export until the slice is over. True if there is more. */
static bool export_slice(struct slice *sl)
{
	const struct nfshim_hooks *k = &nf_provider.hooks;
	struct nf_walk *w = &nf_move.walk;
	int more;

	if (slice_over(&(struct slice){.until = sl->until}))
		return true;
	more = k->list(nf_provider.nf, w->scope, &w->cursor, WALK_BUCKETS,
		       w->scope == NFSHIM_PER_FLOW ? walk_flow : walk_record, sl);
	if (more < 0)
		nf_move_fail(more, "%s could not list its flows: %s", k->name, strerror(-more));
	if (sl->err == -ENOBUFS)
		nf_move_fail(-ENOBUFS, "the ring to nfxfer is full: is nfxfer running?");
	if (more || sl->err)
		return true;
	if (w->scope == NFSHIM_PER_FLOW && k->records_of) {
		w->scope = NFSHIM_MULTI_FLOW;
		w->cursor = 0;
		return true;
	}
	exported_all();
	return false;
}

static bool fin_slice(struct slice *sl)
{
	struct nf_mflow *f = nf_move.cursor;

	while (f) {
		struct nf_mflow *next = f->hh.next;

		if (f->state == NF_FLOW_CLONING) {
			if (!push(NF_REC_FIN, f))
				break;
			f->state = NF_FLOW_FINSENT;
			nf_move.waiting++;
			nf_pause("fin");
		}
		f = next;
		if (slice_over(sl))
			break;
	}
	nf_move.cursor = f;
	if (f)
		return true;
	if (!nf_move.finall) {
		nf_pause("finall");
		nf_move.finall = push(NF_REC_FINALL, NULL);
	}
	return !nf_move.finall;
}

static void released(void)
{
	nf_pause("released");
	nf_move.phase = NF_PHASE_LINGER;
	nf_move.linger_until = nf_now_ns() + (uint64_t)nf_move.opt.linger_ms * 1000000u;
	nf_report_stats(NF_REC_RELEASED);
}

/* ---- deletion at the end of the linger ---- */

static int mark_outside(void *arg, const struct nfshim_flow *key)
{
	struct nfshim_flow rec[NF_RECORDS_MAX];
	unsigned n = nf_move_records_of(key, rec);

	for (unsigned i = 0; i < n; i++) {
		struct nf_mrecord *r;

		HASH_FIND(hh, nf_move.records, &rec[i], sizeof(rec[i]), r);
		if (r)
			r->outside = true;
	}
	return slice_over(arg);
}

static void delete_start(void)
{
	struct nf_mrecord *r, *tmp;

	HASH_ITER(hh, nf_move.records, r, tmp)
		r->outside = false;
	nf_move.deleting = true;
	nf_move.cursor = nf_move.flows;
	nf_move.walk = (struct nf_walk){.scope = NFSHIM_PER_FLOW};
	nf_pause("delete");
}

static bool delete_flows(struct slice *sl)
{
	const struct nfshim_hooks *k = &nf_provider.hooks;
	struct nf_mflow *f;

	while ((f = nf_move.cursor)) {
		nf_move.cursor = f->hh.next;
		if (f->state == NF_FLOW_GONE || f->state == NF_FLOW_FINSENT) {
			k->del(nf_provider.nf, NFSHIM_PER_FLOW, &f->key);
			nf_move_log(NF_EV_DELETE, f);
		}
		if (slice_over(sl))
			return true;
	}
	return false;
}

static void delete_records(void)
{
	const struct nfshim_hooks *k = &nf_provider.hooks;
	struct nf_mrecord *r, *tmp;

	HASH_ITER(hh, nf_move.records, r, tmp)
		if (r->exported && !r->outside)
			k->del(nf_provider.nf, NFSHIM_MULTI_FLOW, &r->key);
}

/* Flows first, then what is left is walked to find the records still in use. */
static bool delete_slice(struct slice *sl)
{
	const struct nfshim_hooks *k = &nf_provider.hooks;
	struct nf_walk *w = &nf_move.walk;

	if (delete_flows(sl))
		return true;
	if (k->records_of && !w->done) {
		int more = k->list(nf_provider.nf, w->scope, &w->cursor, WALK_BUCKETS,
				   mark_outside, sl);

		if (more > 0)
			return true;
		w->done = true;
	}
	if (k->records_of)
		delete_records();
	nf_move_over();
	return false;
}

static bool step(struct slice *sl)
{
	if (nf_move.deleting)
		return delete_slice(sl);
	if (nf_move.phase == NF_PHASE_LINGER) {
		if (nf_now_ns() < nf_move.linger_until)
			return false;
		delete_start();
		return true;
	}
	if (nf_move.failed)
		return false;
	if (!nf_move.walk.done)
		return export_slice(sl);
	if (nf_move.no_drop && !nf_move.barrier) {
		nf_pause("barrier");
		nf_move.barrier = push(NF_REC_BARRIER, NULL);
		return !nf_move.barrier;
	}
	if (nf_move.phase < NF_PHASE_MARKED)
		return false;
	if (!nf_move.finall && link_up())
		return fin_slice(sl);
	if (nf_move.finall && !nf_move.waiting)
		released();
	return false;
}

bool nf_src_step(void)
{
	struct slice sl = {.left = nf_move.opt.slice_flows};
	uint64_t t0 = nf_now_ns(), dt;
	bool more;

	sl.until = t0 + (uint64_t)nf_move.opt.slice_us * 1000u;
	do {
		more = step(&sl);
	} while (more && nf_move.side == NF_SIDE_SRC && !nf_move.opt.slice_flows &&
		 !slice_over(&sl));
	dt = nf_now_ns() - t0;
	if (nf_move.side == NF_SIDE_SRC) {
		nf_move.stats.slices++;
		if (dt > nf_move.stats.slice_max_ns)
			nf_move.stats.slice_max_ns = dt;
	}
	return more;
}

/* ---- packets ---- */

static void marked(void)
{
	nf_pause("mark");
	nf_move.phase = NF_PHASE_MARKED;
	nf_move.cursor = nf_move.flows;
	nf_report_stats(NF_REC_MARKED);
	if (link_up() && !nf_move.failed)
		return;
	/* No FIN can be told truthfully any more: D goes on with what it has. */
	for (struct nf_mflow *f = nf_move.flows; f; f = f->hh.next)
		f->state = NF_FLOW_GONE;
	nf_move.finall = true;
	nf_move.waiting = 0;
	released();
}

static void on_mark(const struct nf_packet_view *p)
{
	uint32_t all = (uint32_t)((1ull << nf_move.opt.marks) - 1);

	if (nf_mark_accept(p->data, p->h->caplen)) {
		if (nf_move.phase < NF_PHASE_MARKED && nf_move.barrier && nf_move.marks_seen == all)
			marked();
	} else {
		nf_move.stats.discarded++;
	}
}

static struct nf_rec *packet_record(enum nf_rec_type t, const struct nf_packet_view *p,
				    const struct nf_mflow *f)
{
	struct nf_rec *r = reserve((uint32_t)sizeof(*r) + p->h->caplen);

	if (!r)
		return NULL;
	memset(r, 0, sizeof(*r));
	r->len = (uint32_t)sizeof(*r) + p->h->caplen;
	r->type = (uint8_t)t;
	r->move = nf_move.id;
	r->flow = f->key;
	r->epoch = f->epoch;
	r->wirelen = p->h->len;
	r->sec = p->sec;
	r->nsec = p->nsec;
	memcpy(r + 1, p->data, p->h->caplen);
	return r;
}

/* The straggler's flow is D's. Without a helper the NF here is the best place left. */
static bool forward(struct nf_mflow *f, const struct nf_packet_view *p)
{
	/* A helper that came later has no stream to the destination. */
	struct nf_rec *r = nf_move.cut ? NULL : packet_record(NF_REC_FWD, p, f);

	if (!r) {
		nf_move.stats.unfinished++;
		return true;
	}
	commit(r);
	nf_move.stats.fwd++;
	if (nf_evlog_on)
		nf_evlog_put(NF_EV_SENT_FWD, p->id, &p->flow, f->version, f->epoch, false);
	return false;
}

/* A flow without an entry: one that began during the move, or that awaits its export. */
static struct nf_mflow *first_seen(const struct nfshim_flow *key)
{
	const struct nfshim_hooks *k = &nf_provider.hooks;
	struct nf_mflow *f;

	if (k->has(nf_provider.nf, NFSHIM_PER_FLOW, key)) {
		f = nf_move_add(key, NF_FLOW_LOCAL);
		if (f && nf_move.walk.done && (nf_move.barrier || export_flow(f)))
			nf_move_fail(-EPROTO, "a flow turned up that the listing had left out");
		return f;
	}
	f = nf_move_add(key, nf_move.finall ? NF_FLOW_FINSENT : NF_FLOW_CLONING);
	nf_move.stats.new_flows++;
	/* fin_slice walks the table in order of insertion: it will come to this one. */
	if (f && nf_move.phase == NF_PHASE_MARKED && !nf_move.cursor)
		nf_move.cursor = f;
	return f;
}

/* Between before() and after(): the flow and the clone that is being made. */
static struct nf_mflow *now;
static struct nf_rec *clone;

bool nf_src_before(const struct nf_packet_view *p, struct nf_sink *s)
{
	struct nfshim_flow key;

	now = NULL;
	clone = NULL;
	if (nf_mark_is(p->data, p->h->caplen)) {
		on_mark(p);
		return false;
	}
	if (nf_move.deleting) {
		/* Outside flows may start to use a record between two slices. */
		nf_move_flow_key(p, s->linktype, &key);
		mark_outside(&(struct slice){.until = UINT64_MAX}, &key);
		return true;
	}
	if (nf_move.failed || !nf_move_key(p, s->linktype, &key))
		return true;
	nf_move.bytes_in += p->h->caplen;
	now = nf_move_find(&key);
	if (!now)
		now = first_seen(&key);
	if (!now)
		return true;
	if (now->state == NF_FLOW_FINSENT || now->state == NF_FLOW_GONE)
		return forward(now, p);
	if (now->state != NF_FLOW_CLONING)
		return true;
	if (clean_records_of(&now->key) == 0)
		clone = packet_record(NF_REC_CLONE, p, now);
	return true;
}

void nf_src_after(const struct nf_packet_view *p, struct nf_sink *s)
{
	(void)s;
	if (!now || nf_move.failed)
		return;
	now->version++;
	if (now->state == NF_FLOW_LOCAL) {
		dirty_records_of(&now->key);
		return;
	}
	if (now->state != NF_FLOW_CLONING)
		return;
	if (!clone) {
		nf_move_fail(-ENOBUFS, nf_move.no_drop
				     ? "the helper did not take clones for 10 ms: the peer or the "
				       "link is too slow; try again, or raise --reserve-bytes"
				     : "the ring to nfxfer overflowed before PREPARE: the peer or "
				       "the link is too slow; try again at a lower rate");
		return;
	}
	clone->version = now->version;
	commit(clone);
	nf_move.stats.clones++;
	nf_move.stats.clone_bytes += p->h->caplen;
}

/* ---- orders ---- */

void nf_src_begin(const struct nf_rec *r)
{
	(void)r;
	nf_move.walk.scope = NFSHIM_PER_FLOW;
	nf_pause("begin-src");
	nf_report(NF_REC_BEGUN, 0, NULL, 0, NULL, 0);
	nf_move.begun = true;
}

static void done(const struct nf_rec *r)
{
	struct nf_mflow *f = nf_move_find(&r->flow);

	if (!f || f->state != NF_FLOW_FINSENT || r->epoch != f->epoch) {
		nf_move.stats.discarded++;
		return;
	}
	nf_pause("done");
	f->state = NF_FLOW_GONE;
	if (nf_move.waiting)
		nf_move.waiting--;
}

/* The route went back: what D had to itself is named, the rest was never away. */
static void revert(void)
{
	for (struct nf_mflow *f = nf_move.flows; f; f = f->hh.next)
		if (f->state == NF_FLOW_GONE)
			nf_report(NF_REC_UNFINISHED, 0, &f->key, f->epoch, NULL, 0);
	nf_move_over();
}

void nf_src_record(const struct nf_rec *r)
{
	switch (r->type) {
	case NF_REC_PREPARE:
		nf_pause("prepare");
		nf_move.no_drop = true;
		if (nf_move.phase < NF_PHASE_PREPARED)
			nf_move.phase = NF_PHASE_PREPARED;
		break;
	case NF_REC_ABORT:
		if (nf_move.phase < NF_PHASE_MARKED)
			nf_move_over();
		break;
	case NF_REC_REVERT:
		revert();
		break;
	case NF_REC_END:
		if (nf_move.phase == NF_PHASE_LINGER)
			nf_move.linger_until = 0;
		break;
	case NF_REC_DONE:
		done(r);
		break;
	default:
		nf_move.stats.discarded++;
	}
}

/* The helper died. Before PREPARE the move cannot have gone on; after it only MARK or a helper
 * that comes back can tell (DESIGN §6). */
void nf_src_link_lost(void)
{
	nf_move.cut = true;
	if (nf_move.phase < NF_PHASE_PREPARED) {
		nf_move_forget();
		return;
	}
	nf_move.failed = nf_move.phase < NF_PHASE_MARKED;
	if (nf_move.phase == NF_PHASE_MARKED) {
		for (struct nf_mflow *f = nf_move.flows; f; f = f->hh.next)
			f->state = NF_FLOW_GONE;
		nf_move.finall = true;
		nf_move.waiting = 0;
		released();
	}
}

void nf_src_quit(void)
{
	struct slice all = {.until = UINT64_MAX};

	if (nf_move.phase < NF_PHASE_LINGER) {
		nf_move_fail(-ESHUTDOWN, "the source NF ended during the move");
		return;
	}
	if (!nf_move.deleting)
		delete_start();
	while (nf_move.side == NF_SIDE_SRC && delete_slice(&all))
		;
}
