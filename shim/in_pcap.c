/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Input by libpcap: our callback stands between libpcap and the NF's.
 *
 * Injected, held and MARK packets count as the NF's API defines: cnt and return
 * values count what the NF was given, pcap_stats shows the interface's own
 * packets only. Only the outermost input call of the packet thread is ours:
 * libpcap calls itself (pcap_next uses pcap_dispatch).
 */
#include "in_pcap.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "in_veth.h"
#include "link.h"
#include "mark_filter.h"
#include "move.h"
#include "provider.h"
#include "real.h"
#include "window.h"

#define CAPTURE_MS 20 /* longest read timeout of a capture under the shim */

__thread struct nf_sink *nf_sink_now __attribute__((tls_model("initial-exec")));
__thread bool nf_opening __attribute__((tls_model("initial-exec")));

static pthread_t packet_thread;
static struct nf_capture captures[NF_CAPTURES];

struct nf_capture *nf_capture_find(const pcap_t *p, bool add)
{
	struct nf_capture *free_slot = NULL;

	for (int i = 0; i < NF_CAPTURES; i++) {
		if (captures[i].handle == p)
			return &captures[i];
		if (!captures[i].handle && !free_slot)
			free_slot = &captures[i];
	}
	if (!add || !free_slot)
		return NULL;
	memset(free_slot, 0, sizeof(*free_slot));
	free_slot->fd = -1;
	free_slot->handle = p;
	return free_slot;
}

bool nf_capture_fd(int fd)
{
	for (int i = 0; i < NF_CAPTURES; i++)
		if (captures[i].handle && captures[i].fd == fd)
			return fd >= 0;
	return false;
}

bool nf_is_packet_thread(void)
{
	return atomic_load_explicit(&nf_packet_thread_known, memory_order_relaxed) &&
	       pthread_equal(packet_thread, pthread_self());
}

/* The first thread in the input loop is the packet thread; others pass by the shim. */
static bool ours(void)
{
	bool no = false;

	if (nf_inert && !nf_engine_armed())
		return false;
	if (nf_sink_now)
		return false;
	if (!atomic_load_explicit(&nf_packet_thread_known, memory_order_acquire)) {
		packet_thread = pthread_self();
		atomic_compare_exchange_strong(&nf_packet_thread_known, &no, true);
	}
	return nf_is_packet_thread();
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

static void on_packet(u_char *arg, const struct pcap_pkthdr *h, const u_char *data)
{
	struct nf_sink *s = (struct nf_sink *)arg;
	struct pcap_pkthdr own;

	atomic_store_explicit(&nf_packets_seen,
			      atomic_load_explicit(&nf_packets_seen, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	if (__builtin_expect(nf_veth, 0)) {
		if (nf_veth_take(s, h, data))
			return;
		h = nf_veth_clip(s, h, &own);
	}
	if (__builtin_expect(nf_mark_filter_hit(data, h->caplen), 0) && keep_mark(s, h, data))
		return;
	if (nf_engine_idle()) {
		s->in_callback = true;
		s->cb(s->user, h, data);
		s->in_callback = false;
		s->delivered++;
		return;
	}
	nf_engine_packet(s, h, data);
}

static struct nf_capture *find_capture(pcap_t *p)
{
	struct nf_capture *c = nf_capture_find(p, true);

	if (c)
		c->fd = nf_real.pcap_file(p) ? -1 : nf_real.pcap_get_selectable_fd(p);
	return c;
}

static void enter(struct nf_sink *s, pcap_t *p, int cnt, pcap_handler cb, u_char *user)
{
	static bool entered;

	memset(s, 0, sizeof(*s));
	s->cb = cb;
	s->user = user;
	s->limit = cnt > 0 ? cnt : 0;
	s->handle = p;
	s->linktype = nf_real.pcap_datalink(p);
	s->snaplen = pcap_snapshot(p);
	s->nanosec = nf_real.pcap_get_tstamp_precision(p) == PCAP_TSTAMP_PRECISION_NANO;
	s->live = nf_real.pcap_file(p) == NULL;
	s->capture = find_capture(p);
	if (!entered) {
		entered = true;
		nf_rendezvous_ensure();
		nf_provider_attach((const void *)cb, p, user);
	}
	nf_sink_now = s;
	nf_engine_safe_point(s);
}

static int leave(struct nf_sink *s, int rc, bool ended)
{
	int e = errno;

	if (nf_window)
		nf_window_close();
	s->in_callback = false;
	if (ended)
		nf_engine_input_end(s);
	else
		nf_engine_safe_point(NULL);
	nf_sink_now = NULL;
	errno = e;
	return rc;
}

/* A limit: libpcap is asked again for what it kept from the NF (MARK, held packets). */
static int loop_counted(struct nf_sink *s, int cnt)
{
	int n;

	while (s->delivered < cnt) {
		n = nf_real.pcap_dispatch(s->handle, cnt - s->delivered, on_packet, (u_char *)s);
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
	struct nf_sink s;
	int rc;

	if (!ours())
		return nf_real.pcap_loop(p, cnt, cb, user);
	enter(&s, p, cnt, cb, user);
	if (cnt > 0)
		rc = loop_counted(&s, cnt);
	else
		rc = nf_real.pcap_loop(p, cnt, on_packet, (u_char *)&s);
	return leave(&s, rc, rc < 0 || (!s.live && (cnt <= 0 || s.delivered < cnt)));
}

int pcap_dispatch(pcap_t *p, int cnt, pcap_handler cb, u_char *user)
{
	struct nf_sink s;
	int rc, before;

	if (!ours())
		return nf_real.pcap_dispatch(p, cnt, cb, user);
	enter(&s, p, cnt, cb, user);
	before = s.delivered;
	if (before && (!s.live || !nf_capture_readable(p)))
		return leave(&s, before, false); /* nothing else is there: do not block */
	if (s.limit && s.delivered >= s.limit)
		return leave(&s, s.delivered, false);
	do /* 0 would be the end of a file to the NF, not packets that are kept from it */
		rc = nf_real.pcap_dispatch(p, s.limit ? s.limit - s.delivered : cnt, on_packet,
					   (u_char *)&s);
	while (rc > 0 && !s.live && !s.delivered);
	if (rc >= 0 || (rc == PCAP_ERROR_BREAK && !s.broken && s.delivered)) {
		bool eof = rc == 0 && !s.live && !s.delivered;

		return leave(&s, s.delivered, eof);
	}
	return leave(&s, rc, true);
}

/* What the NF does with a packet after such a call is outside any window. */
static void refuse_next(pcap_t *p)
{
	static const char why[] = "the NF reads with pcap_next(): what it does with a packet after "
				  "that call cannot be kept from its output";
	static bool refused;

	if (!refused) {
		refused = true;
		nf_rendezvous_ensure();
		find_capture(p); /* BEGIN is answered while it waits */
		if (nf_engine_armed())
			nf_move_fail(-ENOTSUP, "%s", why);
		nf_provider_refuse(why);
	}
	nf_engine_safe_point(NULL);
}

const u_char *pcap_next(pcap_t *p, struct pcap_pkthdr *h)
{
	if (ours())
		refuse_next(p);
	return nf_real.pcap_next(p, h);
}

int pcap_next_ex(pcap_t *p, struct pcap_pkthdr **h, const u_char **data)
{
	if (ours())
		refuse_next(p);
	return nf_real.pcap_next_ex(p, h, data);
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
	p = nf_real.pcap_open_live(dev, nf_veth_snaplen(snaplen), promisc, capped(ms), err);
	nf_opening = false;
	c = p && nf_veth ? nf_capture_find(p, true) : NULL;
	if (c)
		c->asked = snaplen;
	return p;
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

	if (c)
		nf_mark_filter_forget(c);
	nf_real.pcap_close(p);
}
