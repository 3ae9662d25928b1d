/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waits: libpcap's own poll inside an input call, and the NF's waits before one.
 *
 * Inside, safe points are served, and packets from the in ring go to the
 * current callback. Outside, the same is done if the packet thread waits for a
 * capture descriptor; packets to deliver make that descriptor readable, and
 * the next input call delivers them.
 */
#include "in_wait.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "engine.h"
#include "in_pcap.h"
#include "in_socket.h"
#include "inject.h"
#include "link.h"
#include "move.h"
#include "real.h"
#include "threads.h"

#define ARMED_NS  5000000 /* longest sleep while a move is on */
#define SECOND_NS 1000000000

void nf_wait_answer(void)
{
	uint64_t n;

	if (nf_real.read(nf_doorbell(), &n, sizeof(n)) < 0)
		return;
}

int64_t nf_wait_ms(int ms)
{
	return ms < 0 ? NF_WAIT_FOREVER : (int64_t)ms * 1000000;
}

bool nf_wait_timespec(const struct timespec *t, int64_t *ns)
{
	*ns = NF_WAIT_FOREVER;
	if (!t)
		return true;
	if (t->tv_sec < 0 || t->tv_nsec < 0 || t->tv_nsec >= SECOND_NS)
		return false;
	if (t->tv_sec < INT64_MAX / SECOND_NS)
		*ns = t->tv_sec * SECOND_NS + t->tv_nsec;
	return true;
}

int nf_wait_capture(int fd)
{
	return nf_capture_mine(fd) ? fd : nf_epoll_capture(fd);
}

bool nf_wait_leads_to(int fd, int capture)
{
	return fd == capture || nf_epoll_has(fd, capture);
}

bool nf_wait_inside(void)
{
	return nf_sink_now != NULL;
}

bool nf_wait_mine(void)
{
	if (nf_sink_now)
		return !nf_inert && nf_doorbell() >= 0 && !nf_sink_now->in_callback;
	if (nf_is_packet_thread() && !nf_socket_peeked)
		nf_engine_returned();
	return !nf_inert && nf_thread_may_begin();
}

/* The capture that the next packet of the move is for, if it waits for @w; else -1. */
static int wanted(const struct nf_wait *w)
{
	struct nf_link *l = nf_inert ? NULL : nf_link_get();
	struct nf_rec hdr;
	const uint8_t *payload;
	int err;
	const struct nf_rec *r = l ? nf_ring_peek(l->in, &hdr, &payload, &err) : NULL;
	const struct nf_capture *c = NULL;

	if (nf_socket_peeked)
		return w->has(w, nf_socket_peeked->fd) ? nf_socket_peeked->fd : -1;
	if (nf_dst_can_give())
		c = nf_dst_gives_to();
	else if (r && nf_dst_wants_sink(r))
		c = nf_capture_at(r->capture);
	if (!c || c->fd < 0 || !w->has(w, c->fd))
		return -1;
	return !nf_dst_can_give() && nf_inject_awaits(r, payload) ? -1 : c->fd;
}

static int64_t nap(int64_t left, bool more)
{
	if (more)
		return 0;
	return nf_engine_armed() && left > ARMED_NS ? ARMED_NS : left;
}

static int look(struct nf_wait *w, int64_t ns)
{
	struct timespec t = {ns / SECOND_NS, ns % SECOND_NS};

	return w->look(w, ns == NF_WAIT_FOREVER ? NULL : &t, w->mask);
}

/* True: do not sleep. */
static bool safe_point(const struct nf_wait *w, struct nf_sink *s)
{
	bool more = nf_engine_safe_point(s);

	if (s && nf_sink_full(s)) {
		if (s->handle)
			nf_real.pcap_breakloop(s->handle);
		return true;
	}
	return more || (!s && wanted(w) >= 0);
}

/* Where a clone's frame would have come, none did. */
static void note_silence(const struct nf_wait *w, const struct nf_sink *s)
{
	const struct nf_capture *c = nf_inject_waits_at();

	if (c && (s ? s->capture == c : c->fd >= 0 && w->has(w, c->fd)))
		nf_inject_quiet();
}

int nf_wait_serve(struct nf_wait *w)
{
	uint64_t start = nf_now_ns(), passed;
	struct nf_sink *s = nf_sink_now;
	int64_t left = w->ns;
	const struct nf_capture *marked;
	bool more;
	int rc, e, fd;

	for (;;) {
		more = safe_point(w, s);
		marked = nf_socket_look_beside();
		rc = look(w, nap(left, more));
		if (rc < 0) {
			e = errno;
			nf_engine_safe_point(s); /* deferred handlers */
			errno = e;
			return rc;
		}
		if (rc == 0) {
			note_silence(w, s);
			if (marked && w->has(w, marked->fd))
				nf_socket_mark_holds();
		}
		fd = s ? -1 : wanted(w);
		if (fd >= 0)
			rc = w->pretend(w, fd, rc);
		if (rc > 0 || (s && nf_sink_full(s)))
			return rc;
		if (w->ns == NF_WAIT_FOREVER)
			continue;
		passed = nf_now_ns() - start;
		if (passed >= (uint64_t)w->ns)
			return 0;
		left = w->ns - (int64_t)passed;
	}
}

bool nf_capture_readable(pcap_t *p)
{
	struct nf_capture *c = nf_capture_find(p, false);
	struct pollfd f = {.fd = c ? c->fd : -1, .events = POLLIN};

	return f.fd >= 0 && nf_real.poll(&f, 1, 0) > 0;
}
