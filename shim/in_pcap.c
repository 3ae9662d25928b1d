/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Input by libpcap: our callback stands between libpcap and the NF's.
 *
 * Injected, held and MARK packets count as the NF's API defines: cnt and return
 * values count what the NF was given, pcap_stats shows the interface's own
 * packets only. Only the outermost input call of a packet thread is ours:
 * libpcap calls itself (pcap_next uses pcap_dispatch).
 */
#include "in_pcap.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "engine.h"
#include "escape.h"
#include "in_pass.h"
#include "in_socket.h"
#include "in_veth.h"
#include "link.h"
#include "mark_filter.h"
#include "move.h"
#include "provider.h"
#include "real.h"
#include "threads.h"
#include "window.h"

#define CAPTURE_MS 20 /* longest read timeout of a capture under the shim */

__thread struct nf_sink *nf_sink_now __attribute__((tls_model("initial-exec")));
__thread bool nf_opening __attribute__((tls_model("initial-exec")));
__thread int nf_activating __attribute__((tls_model("initial-exec")));

static struct nf_capture captures[NF_CAPTURES];

static struct nf_capture *find(const void *p)
{
	for (int i = 0; i < NF_CAPTURES; i++)
		if (captures[i].handle == p)
			return &captures[i];
	return NULL;
}

struct nf_capture *nf_capture_add(const void *handle)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct nf_capture *c;

	pthread_mutex_lock(&lock);
	c = find(NULL);
	if (c) {
		c->fd = c->linktype = -1;
		c->handle = handle;
	}
	pthread_mutex_unlock(&lock);
	return c;
}

struct nf_capture *nf_capture_find(const pcap_t *p, bool or_add)
{
	struct nf_capture *c = find(p);

	return c || !or_add ? c : nf_capture_add(p);
}

unsigned nf_capture_number(const struct nf_capture *c)
{
	return c ? (unsigned)(c - captures) : NF_CAPTURES;
}

struct nf_capture *nf_capture_at(unsigned number)
{
	return number < NF_CAPTURES && captures[number].handle ? &captures[number] : NULL;
}

const char *nf_capture_unfit(void)
{
	for (unsigned i = 0; i < NF_CAPTURES; i++) {
		const struct nf_capture *c = nf_capture_at(i);

		if (c && c->elsewhere)
			return "another thread of the NF reads packets, too: only those of the "
			       "thread that began the input can be moved, unless each has "
			       "captures of its own and the hooks of the NF are made for that";
		if (c && c->inside)
			return "the NF reads packets inside the callback of another packet: these "
			       "cannot be moved";
		if (c && c->linktype >= 0 && c->linktype != DLT_EN10MB)
			return "the capture is not Ethernet: only Ethernet captures can be moved";
		if (c && c->unfit && nf_socket_is_input(c))
			return c->unfit;
	}
	return NULL;
}

/* Where the kernel spreads packets over sockets, it does so by what only it knows: another host
 * would give a flow to another thread. And a MARK would come to one of them only. */
const char *nf_capture_fanned(void)
{
	for (unsigned i = 0; i < NF_CAPTURES; i++) {
		const struct nf_capture *c = nf_capture_at(i);
		socklen_t len = sizeof(int);
		int group = 0;

		if (c && c->owner == nf_thread && c->fd >= 0 &&
		    getsockopt(c->fd, SOL_PACKET, PACKET_FANOUT, &group, &len) == 0 && group)
			return "a capture is part of a fanout group: nothing says which thread "
			       "would get a flow at the destination; give each packet thread a "
			       "filter instead";
	}
	return NULL;
}

bool nf_capture_takes(const struct nf_capture *c, const struct pcap_pkthdr *h, const u_char *data)
{
	return !c->has_filter || !c->reruns || nf_mark_filter_wanted(c, h, data);
}

bool nf_capture_live(void)
{
	for (unsigned i = 0; i < NF_CAPTURES; i++)
		if (captures[i].handle && captures[i].fd >= 0)
			return true;
	return false;
}

uint64_t nf_capture_drops(void)
{
	struct pcap_stat st;
	uint64_t n = 0;

	for (unsigned i = 0; i < NF_CAPTURES; i++) {
		const struct nf_capture *c = nf_capture_at(i);

		if (!c || c->fd < 0 || c->owner != nf_thread)
			continue;
		if (c->socket)
			n += nf_socket_drops(c);
		else if (nf_real.pcap_stats((pcap_t *)c->handle, &st) == 0)
			n += st.ps_drop;
	}
	return n;
}

static struct nf_capture *of_fd(int fd)
{
	for (int i = 0; i < NF_CAPTURES; i++)
		if (captures[i].handle && captures[i].fd == fd)
			return &captures[i];
	return NULL;
}

bool nf_capture_fd(int fd)
{
	return fd >= 0 && of_fd(fd);
}

bool nf_capture_mine(int fd)
{
	const struct nf_capture *c = fd < 0 ? NULL : of_fd(fd);

	return c && (!c->owner || c->owner == nf_thread);
}

void nf_capture_disown(void)
{
	for (int i = 0; i < NF_CAPTURES; i++)
		if (captures[i].owner == nf_thread)
			captures[i].owner = NULL;
}

bool nf_is_packet_thread(void)
{
	return nf_thread != NULL;
}

/* Libpcap calls itself; the NF does so in a callback only. */
static void note_inside(pcap_t *p)
{
	struct nf_capture *c = nf_sink_now->in_callback ? nf_capture_find(p, true) : NULL;

	if (c)
		c->inside = true;
}

/* Threads that cannot be packet threads pass by the shim. */
bool nf_input_ours(pcap_t *p)
{
	struct nf_capture *c;

	if (nf_inert && !nf_engine_armed()) {
		nf_inert_tell();
		return false;
	}
	if (nf_sink_now) {
		note_inside(p);
		return false;
	}
	if (nf_thread)
		return true;
	c = nf_capture_find(p, true);
	if (nf_thread_begin(nf_capture_number(c)))
		return true;
	if (c)
		c->elsewhere = true;
	return false;
}

bool nf_input_begin(int fd)
{
	bool first = !nf_thread;

	if (fd < 0 || !nf_thread_begin(nf_capture_number(of_fd(fd))))
		return false;
	if (first || nf_rendezvous_forked)
		nf_rendezvous_ensure();
	return true;
}

/* A frame of MARK's type: one that the NF's filter would not have let in is not counted as
 * received, and neither is a MARK of ours. True: it is not for the engine either. */
static bool keep_mark(struct nf_sink *s, const struct pcap_pkthdr *h, const u_char *data)
{
	bool wanted = !s->capture || !s->capture->has_filter ||
		      nf_mark_filter_wanted(s->capture, h, data);
	bool mark = nf_engine_armed() ? nf_mark_is(data, h->caplen) : nf_mark_late(data, h->caplen);

	if (s->capture && (mark || !wanted))
		s->capture->marks++;
	return !wanted && !mark;
}

static void give(struct nf_sink *s, const struct pcap_pkthdr *h, const u_char *data)
{
	s->in_callback = true;
	s->cb(s->user, h, data);
	s->in_callback = false;
	s->delivered++;
}

/* Apart, so that the way of an idle NF's packet needs no more registers than its callback. */
__attribute__((noinline)) static void look_at(struct nf_sink *s, const struct pcap_pkthdr *h,
					      const u_char *data)
{
	struct pcap_pkthdr own;

	if (nf_veth) {
		if (nf_veth_take(s, h, data))
			return;
		h = nf_veth_clip(s->snaplen, h, &own);
	}
	if (nf_mark_filter_hit(data, h->caplen) && keep_mark(s, h, data))
		return;
	if (nf_thread_is_idle(nf_thread))
		give(s, h, data);
	else
		nf_engine_packet(s, h, data);
}

void nf_input_packet(u_char *arg, const struct pcap_pkthdr *h, const u_char *data)
{
	struct nf_sink *s = (struct nf_sink *)arg;
	struct nf_thread *t = nf_thread;

	atomic_store_explicit(&t->packets,
			      atomic_load_explicit(&t->packets, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	if (nf_thread_is_idle(t) && !nf_veth && !nf_mark_filter_hit(data, h->caplen))
		give(s, h, data);
	else
		look_at(s, h, data);
}

static struct nf_capture *find_capture(pcap_t *p)
{
	struct nf_capture *c = nf_capture_find(p, true);

	if (!c)
		return NULL;
	c->fd = nf_real.pcap_file(p) ? -1 : nf_real.pcap_get_selectable_fd(p);
	c->linktype = nf_real.pcap_datalink(p);
	return c;
}

/* A capture that two threads read has no order. */
static void own(struct nf_capture *c)
{
	if (!c->owner)
		c->owner = nf_thread;
	else if (c->owner != nf_thread)
		c->elsewhere = true;
}

/* The first input call of the process, or of a child; others wait for what it finds out. */
static void begin(const struct nf_sink *s, const void *handle)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static _Atomic bool begun;

	if (nf_rendezvous_forked)
		nf_rendezvous_ensure();
	if (atomic_load_explicit(&begun, memory_order_acquire))
		return;
	pthread_mutex_lock(&lock);
	if (!begun) {
		nf_rendezvous_ensure();
		nf_escape_look();
		/* A pull call has no callback. */
		nf_provider_attach(s->pull ? NULL : (const void *)s->cb, handle,
				   s->pull ? NULL : s->user);
		begun = true;
	}
	pthread_mutex_unlock(&lock);
}

/* Of glibc, for code that was built before cleanups were unwound: functions to be called when a
 * longjmp, or the end of the thread, passes the frame that the buffer is in. */
void _pthread_cleanup_push(void *buffer, void (*fn)(void *), void *arg);
void _pthread_cleanup_pop(void *buffer, int run);
_Static_assert(sizeof(struct _pthread_cleanup_buffer) == sizeof(((struct nf_sink *)0)->jump),
	       "the buffer has another size");

static void left(void *sink)
{
	nf_engine_left(sink);
	nf_sink_now = NULL;
}

void nf_input_unwound(struct nf_sink *s)
{
	if (nf_sink_now == s)
		_pthread_cleanup_pop(s->jump, 1);
}

void nf_input_enter(struct nf_sink *s, pcap_t *p, int cnt, pcap_handler cb, u_char *user)
{
	nf_engine_returned();
	s->cb = cb;
	s->user = user;
	s->limit = cnt > 0 ? cnt : 0;
	s->handle = p;
	s->linktype = nf_real.pcap_datalink(p);
	s->snaplen = pcap_snapshot(p);
	s->nanosec = nf_real.pcap_get_tstamp_precision(p) == PCAP_TSTAMP_PRECISION_NANO;
	s->live = nf_real.pcap_file(p) == NULL;
	s->capture = find_capture(p);
	nf_input_enter_sink(s, p);
}

void nf_input_enter_sink(struct nf_sink *s, const void *handle)
{
	if (s->capture)
		own(s->capture);
	begin(s, handle);
	_pthread_cleanup_push(s->jump, left, s);
	nf_sink_now = s;
	nf_engine_safe_point(s);
}

int nf_input_leave(struct nf_sink *s, int rc, bool ended)
{
	int e = errno;

	if (nf_window)
		nf_window_close();
	s->in_callback = false;
	if (ended)
		nf_engine_input_end(s);
	else if (!s->pull || !s->delivered) /* else the NF has yet to work on the packet */
		nf_engine_safe_point(NULL);
	_pthread_cleanup_pop(s->jump, 0);
	nf_sink_now = NULL;
	if (s->window)
		nf_window_open();
	errno = e;
	return rc;
}

/* A limit: libpcap is asked again for what it kept from the NF (MARK, held packets). */
static int loop_counted(struct nf_sink *s, int cnt)
{
	int n;

	while (s->delivered < cnt) {
		n = nf_real.pcap_dispatch(s->handle, cnt - s->delivered, nf_input_packet,
					  (u_char *)s);
		if (n == PCAP_ERROR_BREAK && !s->broken && s->delivered >= cnt)
			break; /* our own, from a wait */
		if (n < 0)
			return n;
		if (n == 0 && !s->live)
			break;
	}
	return 0;
}

int pcap_loop(pcap_t *p, int cnt, pcap_handler cb, u_char *user)
{
	NF_SINK s = {0};
	int rc;

	if (!nf_input_ours(p))
		return nf_pass_loop(p, cnt, cb, user);
	nf_input_enter(&s, p, cnt, cb, user);
	if (cnt > 0)
		rc = loop_counted(&s, cnt);
	else
		rc = nf_real.pcap_loop(p, cnt, nf_input_packet, (u_char *)&s);
	return nf_input_leave(&s, rc, rc < 0 || (!s.live && (cnt <= 0 || s.delivered < cnt)));
}

int pcap_dispatch(pcap_t *p, int cnt, pcap_handler cb, u_char *user)
{
	NF_SINK s = {0};
	int rc, before;

	if (!nf_input_ours(p))
		return nf_pass_dispatch(p, cnt, cb, user);
	nf_input_enter(&s, p, cnt, cb, user);
	before = s.delivered;
	if (before && (!s.live || !nf_capture_readable(p)))
		return nf_input_leave(&s, before, false); /* nothing else is there: do not block */
	if (s.limit && s.delivered >= s.limit)
		return nf_input_leave(&s, s.delivered, false);
	do /* 0 would be the end of a file to the NF, not packets that are kept from it */
		rc = nf_real.pcap_dispatch(p, s.limit ? s.limit - s.delivered : cnt,
					   nf_input_packet, (u_char *)&s);
	while (rc > 0 && !s.live && !s.delivered);
	if (rc >= 0 || (rc == PCAP_ERROR_BREAK && !s.broken && nf_sink_full(&s))) { /* our own */
		bool eof = rc == 0 && !s.live && !s.delivered;

		return nf_input_leave(&s, s.delivered, eof);
	}
	return nf_input_leave(&s, rc, true);
}

void pcap_breakloop(pcap_t *p)
{
	if (nf_sink_now && nf_sink_now->handle == p)
		nf_sink_now->broken = true;
	nf_real.pcap_breakloop(p);
}

/*
 * The kernel hands packets over in blocks, when one is full or this time is over; a move cannot be
 * faster than that, since MARK waits in a block too. $NFSHIM_CAPTURE_MS caps it, 0 leaves it alone.
 */
static int capped(int ms)
{
	const char *e = getenv("NFSHIM_CAPTURE_MS");
	int cap = e ? atoi(e) : CAPTURE_MS;

	return !nf_inert && cap > 0 && ms > cap ? cap : ms;
}

pcap_t *pcap_open_live(const char *dev, int snaplen, int promisc, int ms, char *err)
{
	struct nf_capture *c;
	pcap_t *p;

	nf_opening = true; /* it calls pcap_set_snaplen() */
	nf_activating++;
	p = nf_real.pcap_open_live(dev, nf_veth_snaplen(snaplen), promisc, capped(ms), err);
	nf_activating--;
	nf_opening = false;
	c = p ? find_capture(p) : NULL;
	if (c)
		c->asked = snaplen;
	return p;
}

int pcap_activate(pcap_t *p)
{
	int rc;

	nf_activating++; /* it opens a packet socket */
	rc = nf_real.pcap_activate(p);
	nf_activating--;
	if (rc >= 0)
		find_capture(p);
	return rc;
}

int pcap_set_timeout(pcap_t *p, int ms)
{
	return nf_real.pcap_set_timeout(p, capped(ms));
}

int pcap_setfilter(pcap_t *p, struct bpf_program *prog)
{
	return nf_mark_filter_set(p, prog);
}

int pcap_stats(pcap_t *p, struct pcap_stat *st)
{
	int rc = nf_real.pcap_stats(p, st);
	struct nf_capture *c = rc == 0 ? nf_capture_find(p, false) : NULL;

	if (c && st->ps_recv >= c->marks)
		st->ps_recv -= c->marks;
	return rc;
}

void pcap_close(pcap_t *p)
{
	struct nf_capture *c = nf_capture_find(p, false);

	if (nf_is_packet_thread())
		nf_engine_returned();
	if (c) {
		free(c->next_data);
		nf_mark_filter_forget(c);
	}
	nf_real.pcap_close(p);
}
