/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the NF asks of its packet sockets, and what it is told: as without the
 * shim, though MARK was in its queue and a packet came from another instance.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "escape.h"
#include "in_socket.h"
#include "real.h"

static bool is_filter(int option)
{
	return option == SO_ATTACH_FILTER || option == SO_DETACH_FILTER ||
	       option == SO_ATTACH_BPF || option == SO_LOCK_FILTER;
}

static void note(struct nf_capture *c, int level, int option, const void *value, socklen_t n)
{
	struct nf_socket *k = c->socket;
	struct tpacket_req req = {0};

	if (level == SOL_SOCKET && is_filter(option) && option != SO_LOCK_FILTER)
		k->prefixed = false;
	if (level == SOL_PACKET && option == PACKET_RX_RING) {
		memcpy(&req, value, n < sizeof(req) ? n : sizeof(req));
		k->ring = req.tp_block_nr != 0;
	}
	if (level == SOL_PACKET || is_filter(option))
		nf_socket_learn(c);
	if (nf_socket_marks_pass)
		nf_socket_prefix(k, c->fd);
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t n)
{
	const long x[] = {fd, level, option, (long)value, n};
	struct nf_capture *c;
	int rc, e;

	if (nf_escape_refuses_call(SYS_setsockopt, x))
		return -1;
	rc = nf_real.setsockopt(fd, level, option, value, n);
	e = errno;
	c = rc == 0 ? nf_socket_known(fd) : NULL;
	if (c && (level == SOL_SOCKET || level == SOL_PACKET))
		note(c, level, option, value, n);
	errno = e;
	return rc;
}

/* MARK is not among the packets. */
static void correct(struct nf_socket *k, struct tpacket_stats *st, socklen_t n)
{
	if (n < sizeof(*st))
		return;
	st->tp_packets -= k->marks < st->tp_packets ? k->marks : st->tp_packets;
	k->marks = 0;
}

/* The NF's filter, not the one that MARK passes. */
static int own_filter(const struct nf_socket *k, void *value, socklen_t *n)
{
	socklen_t room = *n;

	if (room && room < k->own.len) {
		errno = EINVAL;
		return -1;
	}
	*n = k->own.len;
	if (room)
		memcpy(value, k->own.filter, k->own.len * sizeof(*k->own.filter));
	return 0;
}

int getsockopt(int fd, int level, int option, void *value, socklen_t *n)
{
	struct nf_capture *c = nf_socket_known(fd);
	int rc;

	if (c && level == SOL_SOCKET && option == SO_GET_FILTER && c->socket->prefixed)
		return own_filter(c->socket, value, n);
	rc = nf_real.getsockopt(fd, level, option, value, n);
	if (c && rc == 0 && level == SOL_PACKET && option == PACKET_STATISTICS)
		correct(c->socket, value, *n);
	return rc;
}

/* When the packet that the NF got last came. */
static int last_stamp(const struct nf_socket *k, unsigned long request, void *at, int rc)
{
	const struct timeval *ts = &k->given.h.ts;

	if (rc < 0 && errno != ENOENT)
		return rc;
	if (request == SIOCGSTAMPNS_OLD)
		*(struct timespec *)at = (struct timespec){ts->tv_sec, ts->tv_usec};
	else
		*(struct timeval *)at = (struct timeval){ts->tv_sec, ts->tv_usec / 1000};
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	struct nf_capture *c;
	void *arg;
	va_list ap;
	int rc;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	rc = nf_real.ioctl(fd, request, arg);
	if (request != SIOCGSTAMP_OLD && request != SIOCGSTAMPNS_OLD)
		return rc;
	c = nf_socket_known(fd);
	return c && c->socket->ours ? last_stamp(c->socket, request, arg, rc) : rc;
}
