/* SPDX-License-Identifier: BSD-2-Clause */
/* Sockets on the loopback: UDP, TCP, and a unix socket with a name as log daemons have. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
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

/* One queue of the loopback: it is per CPU. */
static void stay_on_one_cpu(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0)
		emit_die("cannot stay on one CPU: %s", strerror(errno));
}

/* connect() returns before the other side has the last word of the handshake. */
static int accepted(int l)
{
	struct pollfd p = {.fd = l, .events = POLLIN};

	return poll(&p, 1, 10000) == 1 ? accept4(l, NULL, NULL, SOCK_NONBLOCK) : -1;
}

void emit_setup(unsigned v)
{
	struct sockaddr_in at;
	int l = listener(SOCK_STREAM, &at);

	(void)v;
	stay_on_one_cpu();
	udp_far = listener(SOCK_DGRAM, &udp_to);
	udp = socket(AF_INET, SOCK_DGRAM, 0);
	tcp = socket(AF_INET, SOCK_STREAM, 0);
	if (listen(l, 1) < 0 || connect(tcp, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    (tcp_far = accepted(l)) < 0 ||
	    connect(udp, (struct sockaddr *)&udp_to, sizeof(udp_to)) < 0)
		emit_die("no connection: %s", strerror(errno));
	un = socket(AF_UNIX, SOCK_DGRAM, 0);
	un_far = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (bind(un_far, (struct sockaddr *)&un_to, sizeof(un_to)) < 0)
		emit_die("no unix socket: %s", strerror(errno));
	log_fd = open("received", O_CREAT | O_WRONLY, 0600);
}

static void take_all(int far)
{
	char buf[4096];
	ssize_t n;

	while ((n = recv(far, buf, sizeof(buf), 0)) > 0)
		if (write(log_fd, buf, (size_t)n) != n)
			emit_die("cannot write the results");
}

/* The loopback delivers in order, but on a busy machine not at once: what was sent before the fence
 * is there when the fence is. */
void emit_settle(void)
{
	static const char fence[] = "fence";
	struct pollfd p = {.fd = udp_far, .events = POLLIN};
	char buf[4096];
	ssize_t n;

	if (send(udp, fence, sizeof(fence), 0) != sizeof(fence))
		emit_die("no fence: %s", strerror(errno));
	for (;;) {
		if (poll(&p, 1, 10000) != 1)
			emit_die("datagrams do not arrive");
		n = recv(udp_far, buf, sizeof(buf), 0);
		if (n == sizeof(fence) && !memcmp(buf, fence, sizeof(fence)))
			break;
		if (n > 0 && write(log_fd, buf, (size_t)n) != n)
			emit_die("cannot write the results");
	}
	take_all(tcp_far);
	take_all(un_far);
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
