/* SPDX-License-Identifier: BSD-2-Clause */
/* Sockets on the loopback: UDP, TCP, and a unix socket with a name as log daemons have. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "emit.h"

static int udp, udp_far, tcp, tcp_far, un, un_far, log_fd;
static struct sockaddr_in udp_to;
static struct sockaddr_un un_to = {.sun_family = AF_UNIX, .sun_path = "sock"};

const unsigned emit_variants = 1;

ssize_t __send(int fd, const void *buf, size_t n, int flags);

static int listener(int type, struct sockaddr_in *at)
{
	int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(*at);

	*at = (struct sockaddr_in){.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (fd < 0 || bind(fd, (struct sockaddr *)at, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)at, &len) < 0)
		emit_die("no loopback socket: %s", strerror(errno));
	return fd;
}

void emit_setup(unsigned v)
{
	struct sockaddr_in at;
	int l = listener(SOCK_STREAM, &at);

	(void)v;
	udp_far = listener(SOCK_DGRAM, &udp_to);
	udp = socket(AF_INET, SOCK_DGRAM, 0);
	tcp = socket(AF_INET, SOCK_STREAM, 0);
	if (listen(l, 1) < 0 || connect(tcp, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    (tcp_far = accept4(l, NULL, NULL, SOCK_NONBLOCK)) < 0 ||
	    connect(udp, (struct sockaddr *)&udp_to, sizeof(udp_to)) < 0)
		emit_die("no connection: %s", strerror(errno));
	un = socket(AF_UNIX, SOCK_DGRAM, 0);
	un_far = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (bind(un_far, (struct sockaddr *)&un_to, sizeof(un_to)) < 0)
		emit_die("no unix socket: %s", strerror(errno));
	log_fd = open("received", O_CREAT | O_WRONLY, 0600);
}

void emit_settle(void)
{
	const int far[] = {udp_far, tcp_far, un_far};
	char buf[4096];
	ssize_t n;

	for (int i = 0; i < 3; i++)
		while ((n = recv(far[i], buf, sizeof(buf), 0)) > 0)
			if (write(log_fd, buf, (size_t)n) != n)
				emit_die("cannot write the results");
}

void emit_finish(void)
{
	emit_settle();
	unlink("sock");
}

static struct msghdr *message(const char *t)
{
	static struct iovec iov[2];
	static struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};

	iov[0] = (struct iovec){(void *)t, 4};
	iov[1] = (struct iovec){(void *)(t + 4), strlen(t + 4)};
	return &m;
}

static long do_send(const char *t)
{
	return send(udp, t, strlen(t), 0);
}

static long do___send(const char *t)
{
	return __send(udp, t, strlen(t), 0);
}

static long do_send_tcp(const char *t)
{
	return send(tcp, t, strlen(t), MSG_NOSIGNAL);
}

static long do_sendto(const char *t)
{
	return sendto(udp, t, strlen(t), 0, (struct sockaddr *)&udp_to, sizeof(udp_to));
}

static long do_sendmsg(const char *t)
{
	return sendmsg(udp, message(t), 0);
}

static long do_sendmmsg(const char *t)
{
	struct mmsghdr m[2] = {{.msg_hdr = *message(t), .msg_len = 77},
			       {.msg_hdr = *message(t), .msg_len = 77}};
	long n = sendmmsg(udp, m, 2, 0);

	return n * 1000000 + m[0].msg_len * 1000 + m[1].msg_len;
}

static long do_write_udp(const char *t)
{
	return write(udp, t, strlen(t));
}

static long do_unix_sendto(const char *t)
{
	return sendto(un, t, strlen(t), 0, (struct sockaddr *)&un_to, sizeof(un_to));
}

static long do_unix_connected(const char *t)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	long rc;

	if (connect(fd, (struct sockaddr *)&un_to, sizeof(un_to)) < 0)
		return -1;
	rc = send(fd, t, strlen(t), 0);
	close(fd);
	return rc;
}

static long do_bad(const char *t)
{
	long bad = 0;

	send(udp, t, strlen(t), 0);
	bad += send(1000, t, 1, 0) < 0 && errno == EBADF;
	bad += sendmsg(1000, message(t), 0) < 0 && errno == EBADF;
	errno = 1234;
	return bad;
}

#define OP(name)                                                                                   \
	{                                                                                          \
#name, do_##name                                                                   \
	}

const struct emit_op emit_ops[] = {
	OP(send),      OP(__send),	OP(send_tcp),	    OP(sendto), OP(sendmsg), OP(sendmmsg),
	OP(write_udp), OP(unix_sendto), OP(unix_connected), OP(bad),	{0}};
