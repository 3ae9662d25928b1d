/* SPDX-License-Identifier: BSD-2-Clause */
/* Waits by poll: libpcap's own and the NF's. */
#include <poll.h>
#include <string.h>

#include "in_pcap.h"
#include "in_wait.h"
#include "link.h"
#include "real.h"

#define MAX_FDS 1024 /* a wait for more is the NF's alone */

struct poll_wait {
	struct nf_wait w;
	struct pollfd *fds;
	nfds_t n;
};

static int look(struct nf_wait *w, const struct timespec *t, const sigset_t *mask)
{
	struct poll_wait *p = (struct poll_wait *)w;
	struct pollfd all[MAX_FDS + 1];
	int rc;

	memcpy(all, p->fds, p->n * sizeof(*all));
	all[p->n] = (struct pollfd){.fd = nf_doorbell(), .events = POLLIN};
	rc = nf_real.ppoll(all, p->n + 1, t, mask);
	memcpy(p->fds, all, p->n * sizeof(*all)); /* the kernel writes them on EINTR, too */
	if (rc <= 0 || !all[p->n].revents)
		return rc;
	nf_wait_answer();
	return rc - 1;
}

static bool has(const struct nf_wait *w, int fd)
{
	const struct poll_wait *p = (const struct poll_wait *)w;

	for (nfds_t i = 0; i < p->n; i++)
		if ((p->fds[i].events & (POLLIN | POLLRDNORM)) &&
		    nf_wait_leads_to(p->fds[i].fd, fd))
			return true;
	return false;
}

static int pretend(struct nf_wait *w, int fd, int rc)
{
	struct poll_wait *p = (struct poll_wait *)w;

	for (nfds_t i = 0; i < p->n; i++) {
		struct pollfd *f = &p->fds[i];

		if (!(f->events & (POLLIN | POLLRDNORM)) || !nf_wait_leads_to(f->fd, fd))
			continue;
		rc += !f->revents;
		f->revents |= f->events & (POLLIN | POLLRDNORM);
	}
	return rc;
}

static int capture(const struct pollfd *fds, nfds_t n)
{
	int fd = -1;

	for (nfds_t i = 0; i < n && fd < 0; i++)
		fd = nf_wait_capture(fds[i].fd);
	return fd;
}

static bool ours(const struct pollfd *fds, nfds_t n)
{
	return n <= MAX_FDS && nf_wait_mine() &&
	       (nf_wait_inside() || nf_input_begin(capture(fds, n)));
}

static int serve(struct pollfd *fds, nfds_t n, int64_t ns, const sigset_t *mask)
{
	struct poll_wait p = {.w = {.look = look, .has = has, .pretend = pretend}};

	p.w.mask = mask;
	p.w.ns = ns;
	p.fds = fds;
	p.n = n;
	return nf_wait_serve(&p.w);
}

int nf_wait_poll(struct pollfd *fds, nfds_t n, int64_t ns)
{
	return serve(fds, n, ns, NULL);
}

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	if (!ours(fds, n))
		return nf_real.poll(fds, n, timeout);
	return serve(fds, n, nf_wait_ms(timeout), NULL);
}

int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *t, const sigset_t *mask)
{
	int64_t ns;

	if (!ours(fds, n) || !nf_wait_timespec(t, &ns))
		return nf_real.ppoll(fds, n, t, mask);
	return serve(fds, n, ns, mask);
}

/* Fortified callers: n that does not fit @size ends the program there. */
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size)
{
	if (n > size / sizeof(*fds))
		return nf_real.__poll_chk(fds, n, timeout, size);
	return poll(fds, n, timeout);
}

int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *t, const sigset_t *mask,
		size_t size)
{
	if (n > size / sizeof(*fds))
		return nf_real.__ppoll_chk(fds, n, t, mask, size);
	return ppoll(fds, n, t, mask);
}
