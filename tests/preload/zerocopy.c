/* SPDX-License-Identifier: BSD-2-Clause */
/* Zero-copy sends: refused with an errno, so that no NF waits for the completion of a send that was
 * dropped; the flag without the option copies. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

static int far;

static int sender(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	far = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || far < 0 || bind(far, (struct sockaddr *)&at, len) < 0 ||
	    getsockname(far, (struct sockaddr *)&at, &len) < 0 ||
	    connect(fd, (struct sockaddr *)&at, len) < 0) {
		perror("no loopback");
		exit(2);
	}
	return fd;
}

static bool comes(const char *text)
{
	struct pollfd p = {.fd = far, .events = POLLIN};
	char got[16] = "";

	return poll(&p, 1, 10000) == 1 && recv(far, got, sizeof(got) - 1, 0) > 0 &&
	       !strcmp(got, text);
}

static bool has_errors(int fd)
{
	struct msghdr m = {0};

	return recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0;
}

static void option(int fd)
{
	int on = 1, off = 0;

	errno = 0;
	CHECK(setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) == -1);
	CHECK(errno == EOPNOTSUPP);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &off, sizeof(off)) == 0);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
	CHECK(setsockopt(-1, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 && errno == EBADF);
}

static void flag(int fd)
{
	ssize_t n;

	CHECK(send(fd, "before", 6, MSG_ZEROCOPY) == 6);
	CHECK(comes("before"));
	nfshim_test_window(1);
	n = send(fd, "inside", 6, MSG_ZEROCOPY);
	nfshim_test_window(0);
	CHECK(n == 6);
	CHECK(send(fd, "after", 5, MSG_ZEROCOPY) == 5);
	CHECK(comes("after"));
	CHECK(!has_errors(fd));
}

int main(void)
{
	int fd = sender();

	check_preloaded();
	option(fd);
	flag(fd);
	return failures != 0;
}
