/* SPDX-License-Identifier: BSD-2-Clause */
/* Buffered, framed, non-blocking connection. */
#include "conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READ_CHUNK (64u << 10)
#define MAX_FDS	   8

struct buffer {
	uint8_t *p;
	size_t at, len, cap; /* bytes at..len are waiting */
};

struct nf_conn {
	int fd;
	struct buffer in, out;
	int fds[MAX_FDS];
	unsigned nfds;
};

struct nf_conn *nf_conn_new(int fd)
{
	struct nf_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->fd = fd;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return c;
}

void nf_conn_free(struct nf_conn *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->nfds; i++)
		close(c->fds[i]);
	close(c->fd);
	free(c->in.p);
	free(c->out.p);
	free(c);
}

int nf_conn_fd(const struct nf_conn *c)
{
	return c->fd;
}

static void compact(struct buffer *b)
{
	if (b->at == b->len) {
		b->at = b->len = 0;
	} else if (b->at > b->cap / 2) {
		memmove(b->p, b->p + b->at, b->len - b->at);
		b->len -= b->at;
		b->at = 0;
	}
}

size_t nf_conn_unsent(const struct nf_conn *c)
{
	return c->out.len - c->out.at;
}

int nf_conn_flush(struct nf_conn *c)
{
	while (nf_conn_unsent(c)) {
		ssize_t n = send(c->fd, c->out.p + c->out.at, nf_conn_unsent(c), MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n < 0)
			return errno == ECONNRESET ? -EPIPE : -errno;
		c->out.at += (size_t)n;
	}
	compact(&c->out);
	return 0;
}

int nf_conn_send(struct nf_conn *c, const struct nf_msg *m)
{
	int err = nf_msg_encode(m, &c->out.p, &c->out.len, &c->out.cap);

	/* Records come in bursts: the caller flushes those once. */
	if (!err && (m->type != NF_MSG_RECORD || nf_conn_unsent(c) > READ_CHUNK))
		err = nf_conn_flush(c);
	return err;
}

int nf_conn_send_fds(struct nf_conn *c, const struct nf_msg *m, const int *fd, unsigned n)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * MAX_FDS)];
		struct cmsghdr align;
	} ctl;
	struct iovec iov;
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.buf};
	struct cmsghdr *cm;
	ssize_t sent;
	int err;

	if (n > MAX_FDS || nf_conn_unsent(c))
		return -EINVAL;
	err = nf_msg_encode(m, &c->out.p, &c->out.len, &c->out.cap);
	if (err)
		return err;
	memset(&ctl, 0, sizeof(ctl));
	h.msg_controllen = CMSG_SPACE(sizeof(int) * n);
	cm = CMSG_FIRSTHDR(&h);
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int) * n);
	memcpy(CMSG_DATA(cm), fd, sizeof(int) * n);
	iov = (struct iovec){c->out.p + c->out.at, nf_conn_unsent(c)};
	sent = sendmsg(c->fd, &h, MSG_NOSIGNAL);
	if (sent < 0)
		return -errno;
	c->out.at += (size_t)sent;
	return nf_conn_flush(c);
}

int nf_conn_take_fds(struct nf_conn *c, int *fd, unsigned max)
{
	unsigned n = c->nfds < max ? c->nfds : max;

	memcpy(fd, c->fds, n * sizeof(*fd));
	for (unsigned i = n; i < c->nfds; i++)
		close(c->fds[i]);
	c->nfds = 0;
	return (int)n;
}

static void keep_fds(struct nf_conn *c, struct msghdr *h)
{
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(h); cm; cm = CMSG_NXTHDR(h, cm)) {
		size_t n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int got[MAX_FDS];

		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS || n > MAX_FDS)
			continue;
		memcpy(got, CMSG_DATA(cm), n * sizeof(int));
		for (size_t i = 0; i < n; i++) {
			if (c->nfds < MAX_FDS)
				c->fds[c->nfds++] = got[i];
			else
				close(got[i]);
		}
	}
}

static int grow(struct buffer *b)
{
	uint8_t *p;

	compact(b);
	if (b->cap - b->len >= READ_CHUNK)
		return 0;
	p = realloc(b->p, b->cap + 2 * READ_CHUNK);
	if (!p)
		return -ENOMEM;
	b->p = p;
	b->cap += 2 * READ_CHUNK;
	return 0;
}

int nf_conn_fill(struct nf_conn *c)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * MAX_FDS)];
		struct cmsghdr align;
	} ctl;
	struct iovec iov;
	struct msghdr h;
	ssize_t n;
	int err;

	/* A frame is at most NF_MSG_MAX: no reason to keep more than one and a chunk. */
	if (c->in.len - c->in.at > NF_MSG_MAX + READ_CHUNK)
		return 0;
	err = grow(&c->in);
	if (err)
		return err;
	iov = (struct iovec){c->in.p + c->in.len, READ_CHUNK};
	h = (struct msghdr){.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = ctl.buf,
			    .msg_controllen = sizeof(ctl.buf)};
	n = recvmsg(c->fd, &h, MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0
		       : errno == ECONNRESET					 ? -EPIPE
										 : -errno;
	if (n == 0)
		return -EPIPE;
	keep_fds(c, &h);
	c->in.len += (size_t)n;
	return 0;
}

int nf_conn_next(struct nf_conn *c, struct nf_msg *m)
{
	size_t have = c->in.len - c->in.at;
	uint32_t n;
	int err;

	if (have < 4)
		return 0;
	memcpy(&n, c->in.p + c->in.at, 4);
	n = ntohl(n);
	if (n > NF_MSG_MAX)
		return -EMSGSIZE;
	if (have < 4 + (size_t)n)
		return 0;
	err = nf_msg_decode(c->in.p + c->in.at + 4, n, m);
	if (err)
		return err;
	c->in.at += 4 + (size_t)n;
	return 1;
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int nf_conn_recv_wait(struct nf_conn *c, struct nf_msg *m, int ms)
{
	long end = now_ms() + ms, left;
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	int rc, err;

	for (;;) {
		rc = nf_conn_next(c, m);
		if (rc)
			return rc < 0 ? rc : 0;
		left = end - now_ms();
		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)left) > 0) {
			err = nf_conn_fill(c);
			if (err)
				return err;
		}
	}
}
