/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waits by epoll. The doorbell is not added to the NF's epoll: both are polled.
 * What the NF wants to be told of a capture is remembered from epoll_ctl.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "in_pcap.h"
#include "in_wait.h"
#include "link.h"
#include "real.h"

#define KNOWN 64 /* captures added to epolls */

static struct added {
	int epfd, fd;
	struct epoll_event ev; /* events 0: free, or disabled until the NF asks again */
} known[KNOWN];
static _Atomic int used; /* entries from here on are free */
static atomic_flag busy = ATOMIC_FLAG_INIT;

static struct added *find(int epfd, int fd)
{
	int n = atomic_load_explicit(&used, memory_order_acquire);

	for (int i = 0; i < n; i++)
		if (known[i].epfd == epfd && known[i].ev.events &&
		    (fd < 0 ? nf_capture_mine(known[i].fd) : known[i].fd == fd))
			return &known[i];
	return NULL;
}

bool nf_epoll_has(int epfd, int capture)
{
	return find(epfd, capture) != NULL;
}

int nf_epoll_capture(int epfd)
{
	const struct added *a = find(epfd, -1);

	return a ? a->fd : -1;
}

static void forget(int epfd, int fd)
{
	for (int i = 0; i < used; i++)
		if (known[i].epfd == epfd && known[i].fd == fd)
			known[i].ev.events = 0;
}

static void learn(int epfd, int fd, const struct epoll_event *ev)
{
	int i = 0;

	while (i < used && known[i].ev.events)
		i++;
	if (i == KNOWN)
		return;
	known[i] = (struct added){epfd, fd, *ev};
	if (i == used)
		atomic_store_explicit(&used, i + 1, memory_order_release);
}

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	int rc = nf_real.epoll_ctl(epfd, op, fd, ev);

	if (rc < 0 || (!nf_capture_fd(fd) && !used))
		return rc;
	while (atomic_flag_test_and_set(&busy))
		;
	forget(epfd, fd);
	if (op != EPOLL_CTL_DEL && nf_capture_fd(fd))
		learn(epfd, fd, ev);
	atomic_flag_clear(&busy);
	return rc;
}

struct epoll_wait {
	struct nf_wait w;
	int epfd, max;
	struct epoll_event *ev;
};

static bool same(const struct epoll_event *a, const struct epoll_event *b)
{
	return a->data.u64 == b->data.u64;
}

/* An event of a one-shot capture has disabled it. */
static void note_shots(const struct epoll_wait *e, int n)
{
	for (int i = 0; i < used; i++)
		for (int k = 0; k < n; k++)
			if (known[i].epfd == e->epfd && (known[i].ev.events & EPOLLONESHOT) &&
			    same(&known[i].ev, &e->ev[k]))
				known[i].ev.events = 0;
}

static int look(struct nf_wait *w, const struct timespec *t, const sigset_t *mask)
{
	struct epoll_wait *e = (struct epoll_wait *)w;
	struct pollfd p[] = {{.fd = e->epfd, .events = POLLIN},
			     {.fd = nf_doorbell(), .events = POLLIN}};
	int rc = nf_real.ppoll(p, 2, t, mask);

	if (rc < 0)
		return rc;
	if (p[1].revents)
		nf_wait_answer();
	rc = nf_real.epoll_wait(e->epfd, e->ev, e->max, 0);
	if (rc > 0)
		note_shots(e, rc);
	return rc;
}

static bool has(const struct nf_wait *w, int fd)
{
	const struct added *a = find(((const struct epoll_wait *)w)->epfd, fd);

	return a && (a->ev.events & EPOLLIN);
}

/* Asking for the same events again proves that the capture is still there. */
static bool still_there(struct added *a)
{
	struct epoll_event ev = a->ev;

	if (ev.events & EPOLLEXCLUSIVE)
		return true;
	if (ev.events & EPOLLONESHOT)
		ev.events = EPOLLONESHOT; /* this is the shot */
	if (nf_real.epoll_ctl(a->epfd, EPOLL_CTL_MOD, a->fd, &ev) < 0) {
		a->ev.events = 0;
		return false;
	}
	return true;
}

static int pretend(struct nf_wait *w, int fd, int rc)
{
	struct epoll_wait *e = (struct epoll_wait *)w;
	struct added *a = find(e->epfd, fd);
	int err = errno;

	for (int i = 0; a && i < rc; i++)
		if (same(&e->ev[i], &a->ev)) {
			e->ev[i].events |= EPOLLIN;
			return rc;
		}
	if (!a || rc == e->max || !still_there(a)) {
		errno = err;
		return rc;
	}
	e->ev[rc] = (struct epoll_event){.events = EPOLLIN, .data = a->ev.data};
	note_shots(e, rc + 1);
	return rc + 1;
}

static bool ours(int epfd, int max)
{
	return nf_wait_mine() && !nf_wait_inside() && max > 0 &&
	       nf_input_begin(nf_epoll_capture(epfd));
}

static int serve(int epfd, struct epoll_event *ev, int max, int64_t ns, const sigset_t *mask)
{
	struct epoll_wait e = {.w = {.look = look, .has = has, .pretend = pretend}};

	e.w.mask = mask;
	e.w.ns = ns;
	e.epfd = epfd;
	e.ev = ev;
	e.max = max;
	return nf_wait_serve(&e.w);
}

int epoll_wait(int epfd, struct epoll_event *ev, int max, int timeout)
{
	if (!ours(epfd, max))
		return nf_real.epoll_wait(epfd, ev, max, timeout);
	return serve(epfd, ev, max, nf_wait_ms(timeout), NULL);
}

int epoll_pwait(int epfd, struct epoll_event *ev, int max, int timeout, const sigset_t *mask)
{
	if (!ours(epfd, max))
		return nf_real.epoll_pwait(epfd, ev, max, timeout, mask);
	return serve(epfd, ev, max, nf_wait_ms(timeout), mask);
}

int epoll_pwait2(int epfd, struct epoll_event *ev, int max, const struct timespec *t,
		 const sigset_t *mask)
{
	int64_t ns;

	if (!ours(epfd, max) || !nf_wait_timespec(t, &ns))
		return nf_real.epoll_pwait2(epfd, ev, max, t, mask);
	return serve(epfd, ev, max, ns, mask);
}
