/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happens to a packet, and what is done at a safe point.
 *
 * Theory of operation. Everything here runs in a packet thread (threads.h): it
 * takes records from its in ring, does a slice of whatever move it is part of,
 * and only then lets the next packet through. So no state hook ever races with
 * the NF, and a packet is never between "processed" and "cloned" when something
 * else happens. A packet thread has a move of its own, of its own flows: what
 * other packet threads do meanwhile cannot matter to it.
 */
#include "engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "escape.h"
#include "evlog.h"
#include "in_pcap.h"
#include "in_socket.h"
#include "in_veth.h"
#include "inject.h"
#include "list.h"
#include "log.h"
#include "move.h"
#include "pause.h"
#include "provider.h"
#include "real.h"
#include "signals.h"
#include "threads.h"
#include "trace.h"
#include "window.h"

#define END_WAIT_NS 5000000000u /* at the end of input a move that can still finish may take */
#define SLICE_NS    100000u	/* default slice */

_Atomic bool nf_inert;

static __thread struct nf_link *current; /* the link that the last safe point saw */
static char instance[NF_NAME_MAX];

#ifdef NFSHIM_PAUSE
static bool pausing;
#else
enum { pausing = 0 };
#endif

void nf_engine_init(const char *name)
{
	strncpy(instance, name, sizeof(instance) - 1);
	nf_veth_init();
#ifdef NFSHIM_PAUSE
	for (char **e = environ; *e && !pausing; e++)
		pausing = !strncmp(*e, "NFSHIM_PAUSE_AT", strlen("NFSHIM_PAUSE_AT"));
#endif
}

bool nf_engine_armed(void)
{
	return nf_move.side != NF_SIDE_NONE;
}

/* Looked at once at each safe point, so that a packet of an idle NF costs one test. */
static void look(void)
{
	nf_thread->busy =
		current || nf_engine_armed() || nf_evlog_on || pausing || nf_mark_expected;
}

/* The packet that the input brought last. */
static __thread struct {
	bool waits;  /* nothing was done with it yet */
	bool source; /* nf_src_after is still to come */
	struct pcap_pkthdr h;
	struct nf_packet_view p;
} last;

/* The NF works on a packet outside an input call: until it has come back there is no safe point. */
static __thread bool pulled;
static __thread bool taking; /* a record; a callback that is left leaves it to be done */

static void pull(struct nf_sink *s, const struct pcap_pkthdr *h, const u_char *data, bool window)
{
	pulled = true;
	s->window = window;
	s->cb(s->user, h, data);
	s->delivered++;
}

void nf_engine_returned(void)
{
	bool source = last.source, took = taking;

	if (nf_window)
		nf_window_close();
	pulled = last.source = taking = false;
	if (took && current)
		nf_ring_next(current->in);
	if (source)
		nf_src_after(&last.p);
}

void nf_engine_held(const struct nf_packet_view *p)
{
	if (p->data == last.p.data)
		last.waits = false;
}

/* Libpcap gives the packet of a live capture again, since its callback has not returned. From a
 * file it takes the next one, and so does a packet socket. */
static bool comes_again(const struct nf_sink *s)
{
	return s->live && s->handle;
}

void nf_engine_left(const struct nf_sink *s)
{
	pulled = s->in_callback;
	if (last.waits && !comes_again(s) && nf_move.side == NF_SIDE_DST)
		nf_dst_keep(&last.p);
	last.waits = false;
	last.p.data = NULL;
}

void nf_give(struct nf_sink *s, const struct pcap_pkthdr *h, const u_char *data, bool window)
{
	if (window && nf_trace_on)
		nf_trace_packet(h, data, s->nanosec);
	if (s->pull) {
		pull(s, h, data, window);
		return;
	}
	if (window)
		nf_window_open();
	s->in_callback = true;
	s->cb(s->user, h, data);
	s->in_callback = false;
	if (window)
		nf_window_close();
	s->delivered++;
}

/* Called at every safe point: what cannot have changed is not looked at. */
static void publish(void)
{
	static __thread uint64_t move;
	static __thread enum nf_side side;
	static __thread enum nf_phase phase;
	static __thread uint32_t hooks;
	static __thread pid_t pid; /* 0: nothing yet */
	struct nf_msg_status st;

	if (move == nf_move.id && side == nf_move.side && phase == nf_move.phase &&
	    hooks == nf_provider.hooks.size && pid == nf_rendezvous_pid())
		return;
	move = nf_move.id;
	side = nf_move.side;
	phase = nf_move.phase;
	hooks = nf_provider.hooks.size;
	pid = nf_rendezvous_pid();
	st = (struct nf_msg_status){
		.pid = (uint32_t)pid, .input = 1, .move = move, .side = side, .phase = phase};
	strncpy(st.name, instance, sizeof(st.name) - 1);
	strncpy(st.program, program_invocation_short_name, sizeof(st.program) - 1);
	if (hooks)
		strncpy(st.provider, nf_provider.hooks.name, sizeof(st.provider) - 1);
	strncpy(st.reason, nf_provider.why, sizeof(st.reason) - 1);
	nf_status_publish(&st);
}

/* ---- the link ---- */

static void link_changed(struct nf_link *l)
{
	if (current && l != current) {
		if (nf_move.side == NF_SIDE_SRC)
			nf_src_link_lost();
		else if (nf_move.side == NF_SIDE_DST)
			nf_dst_link_lost();
		nf_report_drop_all();
		nf_list_drop();
		nf_link_retire(current);
	}
	current = l;
}

static void check_link(void)
{
	struct nf_link *l = nf_link_get();

	if (l && !atomic_load_explicit(&l->up, memory_order_acquire)) {
		if (l != current) /* came and went unseen: nobody else will let it go */
			nf_link_retire(l);
		l = NULL;
	}
	if (l != current)
		link_changed(l);
}

/* ---- records from the helper ---- */

static const char *unfit(void)
{
	const char *why = nf_capture_unfit();

	return why ? why : nf_escape_unfit();
}

/* -errno and a sentence why this shim cannot take part in a move. */
static int refuse_begin(const char **why)
{
	*why = NULL;
	if (!nf_provider.hooks.size) {
		*why = nf_provider.why;
		return -ENOTSUP;
	}
	if (nf_engine_armed()) {
		*why = "this instance is part of another move";
		return -EBUSY;
	}
	nf_escape_look();
	*why = unfit();
	return *why ? -ENOTSUP : 0;
}

static int take_options(const struct nf_rec *r, const uint8_t *payload, char *err, size_t n)
{
	char text[NF_SPACE_TEXT];
	uint32_t len = nf_rec_payload(r);

	strncpy(err, "malformed BEGIN", n);
	if (len < sizeof(nf_move.opt))
		return -EPROTO;
	memcpy(&nf_move.opt, payload, sizeof(nf_move.opt));
	len -= (uint32_t)sizeof(nf_move.opt);
	if (nf_move.opt.space_len != len || len >= sizeof(text) || nf_move.opt.marks > NF_MARK_MAX)
		return -EPROTO;
	memcpy(text, payload + sizeof(nf_move.opt), len);
	text[len] = 0;
	if (!nf_move.opt.slice_us)
		nf_move.opt.slice_us = SLICE_NS / 1000;
	return nf_space_parse(text, &nf_move.space, err, n);
}

static void refuse(const struct nf_rec *r, int err, const char *why)
{
	struct nf_move keep = nf_move;

	nf_move.id = r->move;
	nf_report(NF_REC_FAILED, (uint64_t)-err, NULL, 0, why, (uint32_t)strlen(why));
	nf_move = keep;
}

static bool by_veth(const struct nf_rec *begin)
{
	return begin->type == NF_REC_BEGIN_DST && nf_move.opt.inject == NF_INJECT_VETH;
}

/* Each packet thread takes part, or the flows of those that do not would be lost. */
static const char *threads_unfit(void)
{
	if (nf_threads_count() != nf_move.opt.others + 1)
		return "packet threads of the NF began or ended just now: try again";
	if (nf_move.opt.others && nf_socket_any_input())
		return "the NF has several packet threads and reads packet sockets: these can be "
		       "moved with one only";
	return nf_capture_fanned();
}

static void begin(const struct nf_rec *r, const uint8_t *payload)
{
	const char *why;
	char err[NF_TEXT_MAX];
	int rc = refuse_begin(&why);

	if (rc) {
		refuse(r, rc, why);
		return;
	}
	rc = take_options(r, payload, err, sizeof(err));
	if (!rc && by_veth(r)) {
		why = nf_veth_unfit();
		rc = why ? -ENOTSUP : 0;
		strncpy(err, why ? why : "", sizeof(err) - 1);
	}
	if (!rc && (why = threads_unfit())) {
		rc = -EAGAIN;
		strncpy(err, why, sizeof(err) - 1);
	}
	if (!rc && r->type == NF_REC_BEGIN_SRC) {
		rc = nf_socket_mark_passes(true);
		strncpy(err,
			"MARK cannot be made to reach the NF's packet socket: its filter is too "
			"long, it "
			"is one of several that take one protocol, or the NF may open none any "
			"more",
			sizeof(err) - 1);
	}
	if (!rc)
		nf_move.frags = nf_frags_new();
	if (rc || !nf_move.frags || !nf_scratch()) {
		nf_move_forget();
		refuse(r, rc ? rc : -ENOMEM, rc ? err : "out of memory");
		return;
	}
	nf_move.id = r->move;
	nf_move.side = r->type == NF_REC_BEGIN_SRC ? NF_SIDE_SRC : NF_SIDE_DST;
	nf_move.phase = NF_PHASE_BEGUN;
	nf_move.began = nf_now_ns();
	nf_move.drops_at_begin = nf_capture_drops();
	nf_signals_arm(nf_provider.hooks.sweep_signals);
	if (by_veth(r))
		nf_inject_begin();
	if (nf_move.side == NF_SIDE_SRC)
		nf_src_begin(r);
	else
		nf_dst_begin(r);
}

/* A record of a move that this shim does not know (any more). Orders are answered, so that a
 * controller that repeats itself comes to an end; data is dropped. */
static void stray(const struct nf_rec *r)
{
	if (r->type >= NF_REC_ABORT && r->type <= NF_REC_END) {
		struct nf_move keep = nf_move;

		nf_move.id = r->move;
		nf_report(NF_REC_OVER, 0, NULL, 0, NULL, 0);
		nf_move = keep;
	} else {
		nf_move.stats.discarded++;
	}
}

static void dispatch(const struct nf_rec *r, const uint8_t *payload, struct nf_sink *s)
{
	if (r->type == NF_REC_BEGIN_DST || r->type == NF_REC_BEGIN_SRC)
		begin(r, payload);
	else if (r->type == NF_REC_LIST)
		nf_list_begin(r, payload);
	else if (!nf_engine_armed() || r->move != nf_move.id)
		stray(r);
	else if (nf_move.side == NF_SIDE_SRC)
		nf_src_record(r);
	else
		nf_dst_record(r, payload, s);
}

/* A packet needs an input call of its capture; of one that is not open it only needs the answer. */
static bool may_take(const struct nf_rec *r, const struct nf_sink *s)
{
	const struct nf_capture *c = nf_capture_at(r->capture);

	return !nf_dst_wants_sink(r) || !c || (s && s->capture == c);
}

/* True if records are left that can be taken. */
static bool take_records(struct nf_sink *s)
{
	uint64_t slice = nf_move.opt.slice_us ? nf_move.opt.slice_us * 1000u : SLICE_NS;
	uint64_t until = 0;
	const uint8_t *payload;
	const struct nf_rec *r;
	struct nf_rec hdr;
	unsigned left = nf_move.opt.slice_flows;
	int err = 0;

	while (current && (r = nf_ring_peek(current->in, &hdr, &payload, &err))) {
		if (s && nf_sink_full(s))
			return true;
		if (!may_take(r, s) || nf_inject_awaits(r, payload))
			return false;
		taking = true;
		dispatch(r, payload, s);
		taking = false;
		if (!current)
			return false;
		nf_ring_next(current->in);
		if (!until)
			until = nf_now_ns() + slice;
		if ((left && --left == 0) || nf_now_ns() >= until)
			return true;
	}
	if (err)
		nf_engine_fail("nfxfer wrote a malformed record: is it of the same version?");
	return false;
}

/* Of the link, whatever it is by now. */
static void let_go(void)
{
	struct nf_link *l = nf_link_get();

	if (current && current != l)
		nf_link_retire(current);
	if (l)
		nf_link_retire(l);
	current = NULL;
}

/* Inert with a move on: what is held belongs to the NF; its state is not touched again. A call that
 * is full may be about to bring one more packet, which needs the hold. */
static void wind_down(struct nf_sink *s)
{
	if (!s || !nf_engine_armed())
		return;
	if (nf_move.side == NF_SIDE_SRC || (nf_dst_give_all(s) && !nf_sink_full(s)))
		nf_move_forget();
}

static void check_fitness(void)
{
	const char *why = unfit();

	if (why)
		nf_move_fail(-ENOTSUP, "%s", why);
	else if (nf_threads_count() != nf_move.opt.others + 1)
		nf_move_fail(-ENOTSUP,
			     "a packet thread of the NF began or ended during the move, which had "
			     "%u",
			     nf_move.opt.others + 1);
}

static bool safe_point(struct nf_sink *s)
{
	bool more = false;

	if (nf_inert) {
		let_go();
		wind_down(s);
		return false;
	}
	check_link();
	if (nf_engine_armed() && nf_signals_pending())
		nf_signals_safe_point();
	if (nf_engine_armed() && !nf_move.failed)
		check_fitness();
	if (current) {
		more = take_records(s);
		nf_report_flush();
		more |= nf_list_step();
	}
	if (nf_move.side == NF_SIDE_SRC)
		more |= nf_src_step();
	else if (nf_move.side == NF_SIDE_DST)
		more |= nf_dst_step(s);
	publish();
	return more;
}

bool nf_engine_safe_point(struct nf_sink *s)
{
	bool more;

	if (pulled)
		return false;
	more = safe_point(s);
	look();
	return more;
}

/* ---- packets ---- */

#ifdef NFSHIM_PAUSE
/* $NFSHIM_PAUSE_AT=N,M,…: tests stop the packet thread before packets N, M, … of its input, and
 * safe points go on. $NFSHIM_PAUSE_AT_C: that of capture C, if it is not the first. */
static void pause_at(struct nf_sink *s)
{
	static __thread const char *next;
	static __thread uint64_t n;
	static __thread bool started;
	unsigned thread = atomic_load(&nf_thread->number);
	char point[48], name[32] = "NFSHIM_PAUSE_AT";

	if (thread)
		snprintf(name, sizeof(name), "NFSHIM_PAUSE_AT_%u", thread);
	if (!started) {
		next = getenv(name);
		started = true;
	}
	if (!next || n++ != strtoull(next, NULL, 10))
		return;
	snprintf(point, sizeof(point), thread ? "at.%llu.%u" : "at.%llu",
		 (unsigned long long)(n - 1), thread);
	next = strchr(next, ',');
	next = next ? next + 1 : NULL;
	while (nf_pause_armed(point)) {
		nf_engine_safe_point(s);
		usleep(200);
	}
}
#else
static inline void pause_at(struct nf_sink *s)
{
	(void)s;
}
#endif

static void remember(const struct nf_packet_view *p)
{
	last.waits = true;
	last.h = *p->h;
	last.p = *p;
	last.p.h = &last.h;
}

/* Give the packet to the NF. In a pull call it has worked on it when it comes back. */
static void give(struct nf_sink *s, const struct nf_packet_view *p)
{
	last.waits = false;
	last.source = nf_move.side == NF_SIDE_SRC;
	nf_give(s, p->h, p->data, false);
	if (s->pull)
		last.p.data = NULL;
	else
		nf_engine_returned();
}

static void take(struct nf_sink *s, struct nf_packet_view *p)
{
	bool process = true;

	if (!nf_engine_armed() && nf_mark_late(p->data, p->h->caplen))
		return;
	if (nf_evlog_on) {
		p->id = nf_evlog_id(p->data, p->h->caplen, p->h->len);
		nf_flow_parse(p->data, p->h->caplen, nf_move.frags, &p->flow, NULL);
	}
	if (nf_move.side == NF_SIDE_SRC)
		process = nf_src_before(p, s);
	else if (nf_move.side == NF_SIDE_DST)
		process = nf_dst_before(p, s);
	if (!process)
		return;
	if (nf_move.side == NF_SIDE_DST && nf_sink_full(s)) {
		nf_dst_keep(p);
		return;
	}
	if (nf_evlog_on)
		nf_evlog_put(NF_EV_PROCESSED, p->id, &p->flow, 0, 0, true);
	give(s, p);
}

void nf_engine_packet(struct nf_sink *s, const struct pcap_pkthdr *h, const u_char *data)
{
	struct nf_packet_view p = {
		.h = h, .data = data, .capture = s->capture, .sec = h->ts.tv_sec};

	p.nsec = (uint32_t)(s->nanosec ? h->ts.tv_usec : h->ts.tv_usec * 1000);
	remember(&p);
	pause_at(s);
	nf_engine_safe_point(s);
	take(s, &p);
	last.waits = false;
}

/* ---- ends ---- */

static void on_terminate(void)
{
	if (nf_move.side == NF_SIDE_SRC)
		nf_src_quit();
	else if (nf_move.side == NF_SIDE_DST)
		nf_dst_quit();
}

/* A move that is past the route can be finished, and must be, unless what is held cannot be given:
 * the NF has broken off its input. */
static bool can_finish(const struct nf_sink *s)
{
	return nf_engine_armed() && current && !nf_move.failed &&
	       (nf_move.phase == NF_PHASE_MARKED || nf_move.phase == NF_PHASE_READY) &&
	       !(nf_sink_full(s) && nf_dst_can_give());
}

void nf_engine_input_end(struct nf_sink *s)
{
	uint64_t until = nf_now_ns() + END_WAIT_NS;
	struct timespec nap = {.tv_nsec = 100000};

	nf_engine_safe_point(s);
	while (can_finish(s) && nf_now_ns() < until)
		if (!nf_engine_safe_point(s))
			nanosleep(&nap, NULL);
	on_terminate();
	nf_report_flush();
}

/* The link goes at once: this thread may never come to a safe point again. */
void nf_engine_fail(const char *why)
{
	static atomic_flag failing = ATOMIC_FLAG_INIT;

	if (atomic_flag_test_and_set(&failing))
		return;
	nf_err("inert from now on: %s", why);
	strncpy(nf_provider.why, why, sizeof(nf_provider.why) - 1);
	nf_provider.hooks.size = 0;
	nf_move_fail(-EIO, "the shim of this NF stopped: %s", why);
	nf_report_flush();
	publish();
	nf_inert = true;
	let_go();
	nf_thread->busy = true;
}

/* ---- threads ---- */

void nf_engine_thread_begins(void)
{
	STAILQ_INIT(&nf_move.hold.q);
	nf_report_init();
}

void nf_engine_thread_ends(void)
{
	if (nf_move.phase == NF_PHASE_LINGER)
		nf_move_over();
	else if (nf_engine_armed())
		nf_move_fail(-ESHUTDOWN, "a packet thread of the NF ended during the move");
	nf_report_flush();
	if (nf_engine_armed())
		nf_move_forget();
	nf_list_drop();
	nf_report_drop_all();
	let_go();
	nf_scratch_free();
}

__attribute__((constructor)) static void set_terminate(void)
{
	nf_signals_on_terminate = on_terminate;
}
