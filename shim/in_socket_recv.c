/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Input calls on packet sockets. They return the packet: the NF works on it
 * until its next input call or wait (engine.h, pull).
 *
 * With no helper there the kernel's call is made with the NF's own arguments, if
 * there is a packet. A call that would block waits for its socket and the doorbell.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>

#include "in_socket.h"
#include "in_wait.h"
#include "inject.h"
#include "link.h"
#include "move.h"
#include "real.h"
#include "signals.h"
#include "threads.h"

#define SECOND_NS 1000000000
#define FLAGS	  (MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT | MSG_WAITFORONE) /* of packet sockets */

struct call {
	struct nf_sink s;
	struct nf_capture *c;
	int flags;
	bool batch;	/* the NF already has packets of this call: no safe point */
	unsigned came;	/* signals, before */
	uint64_t began; /* 0: has not waited */
	int64_t ns;	/* the socket's timeout */
};

/* As NF_SINK. */
#define CALL __attribute__((cleanup(unwound))) struct call

static void unwound(struct call *k)
{
	nf_input_unwound(&k->s);
}

static struct nf_capture *capture_of(int fd, bool ask)
{
	struct nf_capture *c = nf_socket_known(fd);

	if (c || !ask || (unsigned)fd >= NF_SOCKET_FDS || nf_socket_kinds[fd] == NF_SOCKET_NOT)
		return c;
	return nf_socket_ask(fd);
}

/* Errors, or not about packets. */
static bool is_other(const struct nf_capture *c, int flags)
{
	return flags & (c->socket->family == AF_INET ? MSG_ERRQUEUE | MSG_OOB : ~FLAGS);
}

/* Who makes an input call. */
enum by {
	KERNEL, /* it is none of ours */
	EITHER, /* the kernel if a packet is there; else we wait, for the doorbell too */
	ENGINE,
};

static enum by by(struct nf_capture *c, int flags)
{
	if (!c || (nf_inert && !nf_engine_armed()) || is_other(c, flags))
		return KERNEL;
	if (nf_sink_now) {
		c->inside |= nf_sink_now->in_callback;
		return KERNEL;
	}
	if (!nf_input_begin(c->fd)) {
		c->elsewhere = true;
		return KERNEL;
	}
	if (c->socket->peeked)
		return ENGINE;
	nf_engine_returned();
	if (nf_socket_room(c->socket) < 0)
		return KERNEL;
	if (!nf_thread_is_idle(nf_thread))
		return ENGINE;
	c->socket->ours = false;
	return nf_doorbell() < 0 ? KERNEL : EITHER;
}

static int kernel_flags(enum by by, int flags)
{
	return by == EITHER ? flags | MSG_DONTWAIT : flags;
}

/* Is what the kernel said the NF's answer? */
static bool settled(enum by by, ssize_t rc, int flags)
{
	return by == KERNEL || rc >= 0 || errno != EAGAIN || (flags & MSG_DONTWAIT);
}

static ssize_t count(struct nf_capture *c, ssize_t rc)
{
	if (c && nf_thread && rc >= 0)
		atomic_store_explicit(&nf_thread->packets, nf_thread->packets + 1,
				      memory_order_relaxed);
	return rc;
}

/* ---- a packet ---- */

/* The engine gives one: the NF's message is made of it when the engine is left. */
static void keep(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	struct nf_socket *k = ((struct nf_capture *)user)->socket;
	struct nf_socket_packet *p = &k->given;

	p->fresh = k->in.fresh && data == k->in.data;
	p->tag = p->fresh && k->in.tag;
	p->h = *h;
	p->data = p->room;
	memcpy(p->data, data, h->caplen);
	if (!p->fresh)
		return;
	p->from = k->in.from;
	p->controllen = k->in.controllen;
	memcpy(p->control, k->in.control, k->in.controllen);
}

static void enter(struct call *k)
{
	k->came = nf_signals_came();
	k->s.pull = k->s.live = k->s.nanosec = true;
	k->s.limit = 1;
	k->s.linktype = DLT_EN10MB;
	k->s.capture = k->c;
	k->s.cb = keep;
	k->s.user = (u_char *)k->c;
	if (nf_socket_peeked && nf_socket_peeked != k->c && nf_engine_armed())
		nf_move_fail(-ENOTSUP,
			     "the NF peeked at a packet of one socket and then read another");
	if (!k->c->socket->used) {
		k->c->socket->used = true;
		if (nf_socket_marks_pass && nf_socket_mark_beside() < 0)
			nf_move_fail(
				-ENOTSUP,
				"MARK cannot be made to reach a socket that the NF began to read");
	}
	nf_input_enter_sink(&k->s, NULL);
}

static void take(struct call *k)
{
	struct nf_socket_packet *p = &k->c->socket->in;

	count(k->c, 0);
	if (nf_engine_armed() ? nf_mark_is(p->data, p->h.caplen)
			      : nf_mark_late(p->data, p->h.caplen))
		k->c->socket->marks++;
	nf_engine_packet(&k->s, &p->h, p->data);
	p->fresh = false;
}

/* ---- waiting ---- */

static bool blocks(const struct call *k)
{
	return !(k->flags & MSG_DONTWAIT) && !(fcntl(k->c->fd, F_GETFL) & O_NONBLOCK);
}

static void begin_waiting(struct call *k)
{
	struct timeval t = {0};
	socklen_t n = sizeof(t);

	k->began = nf_now_ns();
	k->ns = NF_WAIT_FOREVER;
	nf_real.getsockopt(k->c->fd, SOL_SOCKET, SO_RCVTIMEO, &t, &n);
	if ((t.tv_sec || t.tv_usec) && t.tv_sec < INT_MAX)
		k->ns = t.tv_sec * (int64_t)SECOND_NS + t.tv_usec * 1000;
}

/* Has a handler run that the kernel's call would not have gone on after? */
static bool interrupted(struct call *k)
{
	bool came = k->came != nf_signals_came();

	k->came = nf_signals_came();
	return came && (k->batch || k->ns != NF_WAIT_FOREVER || !nf_signals_restart());
}

/* The NF has packets already: what the helper wants must wait until it is back, which is now. */
static int wait_for_more(struct call *k, int64_t left)
{
	struct pollfd p[] = {{.fd = k->c->fd, .events = POLLIN},
			     {.fd = nf_doorbell(), .events = POLLIN}};
	struct timespec t = {left / SECOND_NS, left % SECOND_NS};
	int rc = nf_real.ppoll(p, 2, left == NF_WAIT_FOREVER ? NULL : &t, NULL);

	return rc > 0 && !p[0].revents ? 0 : rc;
}

/* 0: look again; else -1 and errno is the call's. */
static int wait_once(struct call *k)
{
	struct pollfd p = {.fd = k->c->fd, .events = POLLIN};
	int64_t left;
	int rc;

	if (!k->began)
		begin_waiting(k);
	if (interrupted(k)) {
		errno = EINTR;
		return -1;
	}
	left = k->ns;
	if (left != NF_WAIT_FOREVER)
		left -= (int64_t)(nf_now_ns() - k->began);
	rc = left <= 0 ? 0 : k->batch ? wait_for_more(k, left) : nf_wait_poll(&p, 1, left);
	if (rc > 0 || k->s.delivered || (rc < 0 && errno == EINTR && !interrupted(k)))
		return 0;
	if (rc == 0)
		errno = EAGAIN;
	return -1;
}

/* ---- a call ---- */

/* One packet into k->given. 0 or -1 and errno. */
static int receive(struct call *k)
{
	struct nf_socket *sock = k->c->socket;
	bool waits = !nf_inert && nf_doorbell() >= 0;
	int flags = waits ? MSG_DONTWAIT : k->flags & MSG_DONTWAIT;
	bool marked;
	int rc, e;

	while (!k->s.delivered) {
		marked = nf_socket_look_beside() == k->c;
		rc = nf_socket_get(sock, k->c->fd, flags);
		if (marked && (rc == 0 ? nf_socket_is_behind_mark(&sock->in.h) : errno == EAGAIN)) {
			e = errno;
			nf_socket_mark_holds();
			errno = e;
		}
		if (rc == 0)
			take(k);
		else if (!waits || errno != EAGAIN || !blocks(k) || wait_once(k) < 0)
			break;
	}
	return nf_input_leave(&k->s, k->s.delivered ? 0 : -1, false);
}

static ssize_t give(struct nf_capture *c, struct msghdr *m, int flags)
{
	c->socket->peeked = flags & MSG_PEEK;
	nf_socket_peeked = c->socket->peeked ? c : NULL;
	c->socket->ours = true;
	return nf_socket_put(c->socket, c->fd, m, flags);
}

static ssize_t serve(struct nf_capture *c, struct msghdr *m, int flags)
{
	CALL k = {.c = c, .flags = flags};

	if (c->socket->peeked)
		return give(c, m, flags);
	enter(&k);
	return receive(&k) < 0 ? -1 : give(c, m, flags);
}

/* ---- what the NF calls ---- */

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	struct nf_capture *c = capture_of(fd, true);
	enum by who = by(c, flags);
	ssize_t rc;

	if (who != ENGINE) {
		rc = nf_real.recvmsg(fd, m, kernel_flags(who, flags));
		if (settled(who, rc, flags))
			return count(c, rc);
	}
	return serve(c, m, flags);
}

ssize_t recv(int fd, void *buf, size_t n, int flags)
{
	struct nf_capture *c = capture_of(fd, true);
	struct iovec v = {buf, n};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	enum by who = by(c, flags);
	ssize_t rc;

	if (who != ENGINE) {
		rc = nf_real.recv(fd, buf, n, kernel_flags(who, flags));
		if (settled(who, rc, flags))
			return count(c, rc);
	}
	return serve(c, &m, flags);
}

ssize_t recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *len)
{
	struct nf_capture *c = capture_of(fd, true);
	struct iovec v = {buf, n};
	struct msghdr m = {.msg_name = from, .msg_iov = &v, .msg_iovlen = 1};
	enum by who = by(c, flags);
	ssize_t rc;

	if (who != ENGINE) {
		rc = nf_real.recvfrom(fd, buf, n, kernel_flags(who, flags), from, len);
		if (settled(who, rc, flags))
			return count(c, rc);
	}
	m.msg_namelen = from ? *len : 0;
	rc = serve(c, &m, flags);
	if (rc >= 0 && from)
		*len = m.msg_namelen;
	return rc;
}

/* To read no bytes is no input call. */
ssize_t read(int fd, void *buf, size_t n)
{
	struct nf_capture *c = capture_of(fd, false);

	return c && n ? recv(fd, buf, n, 0) : nf_real.read(fd, buf, n);
}

static bool has_room(const struct iovec *v, int n)
{
	for (int i = 0; i < n && n <= IOV_MAX; i++)
		if (v[i].iov_len)
			return true;
	return false;
}

ssize_t readv(int fd, const struct iovec *v, int n)
{
	struct nf_capture *c = capture_of(fd, false);
	struct msghdr m = {.msg_iov = (struct iovec *)v, .msg_iovlen = (size_t)n};

	return c && has_room(v, n) ? recvmsg(fd, &m, 0) : nf_real.readv(fd, v, n);
}

static bool passed(uint64_t began, const struct timespec *t)
{
	return t && nf_now_ns() - began >= (uint64_t)(t->tv_sec * SECOND_NS + t->tv_nsec);
}

/* Packets behind the first one, as long as no move is on: then each has its own call. */
static unsigned serve_more(struct nf_capture *c, struct mmsghdr *m, unsigned n, int flags,
			   uint64_t began, const struct timespec *t)
{
	CALL k = {.c = c, .flags = flags, .batch = true};
	ssize_t rc;
	unsigned i;

	for (i = 0; i < n && !passed(began, t) && !nf_engine_armed() && !nf_inert; i++) {
		k.s = (struct nf_sink){0};
		k.began = 0;
		enter(&k);
		if (receive(&k) < 0)
			break;
		rc = give(c, &m[i].msg_hdr, flags);
		m[i].msg_len = (unsigned)rc;
	}
	return i;
}

/* Does it wait until its last message has one? */
static bool fills(const struct nf_capture *c, int flags)
{
	return !(flags & (MSG_WAITFORONE | MSG_DONTWAIT)) && !(fcntl(c->fd, F_GETFL) & O_NONBLOCK);
}

int recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *timeout)
{
	struct nf_capture *c = capture_of(fd, true);
	uint64_t began = nf_now_ns(), left;
	int64_t ns;
	unsigned more = 0;
	ssize_t rc;
	enum by who = n && nf_wait_timespec(timeout, &ns) ? by(c, flags) : KERNEL;

	if (who == EITHER && fills(c, flags))
		who = ENGINE;
	if (who != ENGINE) {
		rc = nf_real.recvmmsg(fd, m, n, kernel_flags(who, flags), timeout);
		if (settled(who, rc, flags))
			return (int)count(c, rc);
	}
	rc = serve(c, &m[0].msg_hdr, flags);
	if (rc < 0)
		return -1;
	m[0].msg_len = (unsigned)rc;
	if (flags & MSG_WAITFORONE)
		flags |= MSG_DONTWAIT;
	if (!(flags & MSG_PEEK))
		more = serve_more(c, m + 1, n - 1, flags, began, timeout);
	if (timeout && ns != NF_WAIT_FOREVER) {
		left = passed(began, timeout) ? 0 : (uint64_t)ns - (nf_now_ns() - began);
		*timeout = (struct timespec){(time_t)(left / SECOND_NS), (long)(left % SECOND_NS)};
	}
	return 1 + (int)more;
}

/* Fortified callers: @n that does not fit @room ends the program there. */
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags)
{
	return n > room ? nf_real.__recv_chk(fd, buf, n, room, flags) : recv(fd, buf, n, flags);
}

ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags, struct sockaddr *from,
		       socklen_t *len)
{
	return n > room ? nf_real.__recvfrom_chk(fd, buf, n, room, flags, from, len)
			: recvfrom(fd, buf, n, flags, from, len);
}

ssize_t __read_chk(int fd, void *buf, size_t n, size_t room)
{
	return n > room ? nf_real.__read_chk(fd, buf, n, room) : read(fd, buf, n);
}
