/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waits: libpcap's own poll inside an input call, and the NF's poll before one.
 *
 * Inside, the doorbell is added to what is waited for and safe points are
 * served; packets from the in ring go to the current callback. Outside, the
 * same is done if the packet thread waits on a capture descriptor; packets to
 * deliver make that descriptor readable, and the next input call delivers them.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"
#include "in_pcap.h"
#include "inject.h"
#include "link.h"
#include "move.h"
#include "real.h"

#define MAX_FDS	   64
#define ARMED_MS   5 /* longest sleep while a move is on */
#define NO_TIMEOUT -1

static void empty_doorbell(void)
{
	uint64_t n;

	if (nf_real.read(nf_doorbell(), &n, sizeof(n)) < 0)
		return;
}

static int nap_ms(int left, bool more)
{
	if (more)
		return 0;
	if (!nf_engine_armed())
		return left;
	return left == NO_TIMEOUT || left > ARMED_MS ? ARMED_MS : left;
}

static bool stop_input(const struct nf_sink *s)
{
	return s && nf_sink_full(s);
}

/* Mark the capture descriptors readable. */
static int pretend_readable(struct pollfd *fds, nfds_t n)
{
	int ready = 0;

	for (nfds_t i = 0; i < n; i++) {
		if ((fds[i].events & POLLIN) && nf_capture_fd(fds[i].fd))
			fds[i].revents |= POLLIN;
		ready += fds[i].revents != 0;
	}
	return ready;
}

static bool packets_wait(void)
{
	struct nf_link *l = nf_inert ? NULL : nf_link_get();
	struct nf_rec hdr;
	const uint8_t *payload;
	int err;
	const struct nf_rec *r = l ? nf_ring_peek(l->in, &hdr, &payload, &err) : NULL;

	return (r && nf_dst_wants_sink(r) && !nf_inject_awaits(r, payload)) || nf_dst_can_give();
}

/* @s is NULL outside an input call. */
static int serve(struct pollfd *fds, nfds_t n, int timeout, const sigset_t *mask, struct nf_sink *s)
{
	uint64_t end = timeout > 0 ? nf_now_ns() + (uint64_t)timeout * 1000000u : 0;
	struct pollfd all[MAX_FDS + 1];
	int left = timeout, nap, rc;
	bool more;

	memcpy(all, fds, n * sizeof(*fds));
	all[n] = (struct pollfd){.fd = nf_doorbell(), .events = POLLIN};
	for (;;) {
		more = nf_engine_safe_point(s);
		if (stop_input(s)) {
			nf_real.pcap_breakloop(s->handle);
			more = true;
		}
		nap = nap_ms(left, more);
		rc = mask ? nf_real.ppoll(
				    all, n + 1,
				    nap < 0 ? NULL
					    : &(struct timespec){nap / 1000, nap % 1000 * 1000000L},
				    mask)
			  : nf_real.poll(all, n + 1, nap);
		if (rc < 0) {
			int e = errno;

			nf_engine_safe_point(s); /* deferred handlers */
			errno = e;
			return rc;
		}
		if (all[n].revents) {
			empty_doorbell();
			rc--;
		}
		if (rc == 0)
			nf_inject_quiet();
		memcpy(fds, all, n * sizeof(*fds));
		if (!s && packets_wait())
			return pretend_readable(fds, n);
		if (rc > 0 || stop_input(s))
			return rc;
		if (timeout == 0)
			return 0;
		if (timeout > 0) {
			uint64_t now = nf_now_ns();

			if (now >= end)
				return 0;
			left = (int)((end - now + 999999u) / 1000000u);
		}
	}
}

static bool outside_wait(const struct pollfd *fds, nfds_t n)
{
	if (!nf_is_packet_thread())
		return false;
	for (nfds_t i = 0; i < n; i++)
		if (nf_capture_fd(fds[i].fd))
			return true;
	return false;
}

static bool ours(const struct pollfd *fds, nfds_t n)
{
	if (nf_inert || n > MAX_FDS || nf_doorbell() < 0)
		return false;
	if (nf_sink_now)
		return !nf_sink_now->in_callback;
	return outside_wait(fds, n);
}

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	if (!ours(fds, n))
		return nf_real.poll(fds, n, timeout);
	return serve(fds, n, timeout < 0 ? NO_TIMEOUT : timeout, NULL, nf_sink_now);
}

int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *t, const sigset_t *mask)
{
	if (!ours(fds, n) || (t && (t->tv_sec < 0 || t->tv_sec > 1000000)))
		return nf_real.ppoll(fds, n, t, mask);
	return serve(fds, n,
		     t ? (int)(t->tv_sec * 1000 + (t->tv_nsec + 999999) / 1000000) : NO_TIMEOUT,
		     mask, nf_sink_now);
}

bool nf_capture_readable(pcap_t *p)
{
	struct nf_capture *c = nf_capture_find(p, false);
	struct pollfd f = {.fd = c ? c->fd : -1, .events = POLLIN};

	return f.fd >= 0 && nf_real.poll(&f, 1, 0) > 0;
}

/* Fortified callers: n that does not fit @size ends the program there. */
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size)
{
	if (n > size / sizeof(*fds) || !ours(fds, n))
		return nf_real.__poll_chk(fds, n, timeout, size);
	return serve(fds, n, timeout < 0 ? NO_TIMEOUT : timeout, NULL, nf_sink_now);
}

int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *t, const sigset_t *mask,
		size_t size)
{
	if (n > size / sizeof(*fds) || !ours(fds, n))
		return nf_real.__ppoll_chk(fds, n, t, mask, size);
	return ppoll(fds, n, t, mask);
}
