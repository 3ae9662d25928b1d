/* SPDX-License-Identifier: BSD-2-Clause */
/* Our descriptors survive what NFs do to all of theirs; theirs do not. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static int ours;

/* Does the hidden eventfd still count, under its number? */
static bool alive(void)
{
	uint64_t n = 1, back = 0;

	return write(ours, &n, sizeof(n)) == sizeof(n) &&
	       read(ours, &back, sizeof(back)) == sizeof(back) && back == 1;
}

/* The shim's control socket takes a connection. */
static bool reachable(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = 5};
	char buf[64];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	int rc;

	snprintf(to.sun_path, sizeof(to.sun_path), "%s/ours.sock", getenv("NFSHIM_DIR"));
	rc = connect(fd, (struct sockaddr *)&to, sizeof(to));
	/* Until the shim is done with it: a descriptor that it has just accepted is a low number.
	 */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	shutdown(fd, SHUT_WR);
	while (rc == 0 && recv(fd, buf, sizeof(buf), 0) > 0)
		;
	close(fd);
	return rc == 0;
}

static void theirs(int *fd)
{
	fd[0] = open("/dev/null", O_RDONLY);
	fd[1] = dup2(fd[0], 900); /* above ours */
	fd[2] = dup(fd[0]);
	CHECK(fd[0] > 2 && fd[1] == 900);
}

static void all_gone(const int *fd)
{
	for (int i = 0; i < 3; i++)
		CHECK(fcntl(fd[i], F_GETFD) < 0);
	CHECK(alive());
	CHECK(reachable());
}

static void close_loop(void)
{
	int fd[3];

	theirs(fd);
	for (int i = 3; i < 1024; i++)
		close(i);
	all_gone(fd);
	errno = 0;
	CHECK(close(ours) < 0 && errno == EBADF);
}

static void close_ranges(void)
{
	int fd[3];

	theirs(fd);
	CHECK(close_range(3, ~0u, 0) == 0);
	all_gone(fd);
	theirs(fd);
	CHECK(close_range(3, 901, 0) == 0);
	all_gone(fd);
	theirs(fd);
	closefrom(3);
	all_gone(fd);
	theirs(fd);
	CHECK(close_range((unsigned)ours, (unsigned)ours, 0) == 0 && alive());
	CHECK(close_range((unsigned)ours, 900, 0) == 0 && alive());
	CHECK(fcntl(fd[1], F_GETFD) < 0 && fcntl(fd[0], F_GETFD) >= 0);
	errno = 0;
	CHECK(close_range(5, 4, 0) < 0 && errno == EINVAL);
	errno = 0;
	CHECK(close_range(3, ~0u, 0x80) < 0 && errno == EINVAL);
	close_range(3, ~0u, 0);
	all_gone(fd);
}

/* The service thread must not keep what the NF closes afterwards, nor lose what is ours. */
static void close_range_unshare(void)
{
	int fd[3], p[2];
	char c;

	theirs(fd);
	CHECK(pipe2(p, O_NONBLOCK) == 0);
	CHECK(close_range(900, 901, CLOSE_RANGE_UNSHARE) == 0);
	CHECK(fcntl(fd[1], F_GETFD) < 0 && fcntl(fd[0], F_GETFD) >= 0);
	close(p[1]);
	CHECK(read(p[0], &c, 1) == 0);
	CHECK(close_range(3, ~0u, CLOSE_RANGE_UNSHARE) == 0);
	all_gone(fd);
}

static void close_range_cloexec(void)
{
	int fd[3];

	theirs(fd);
	CHECK(close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(fcntl(fd[i], F_GETFD) == FD_CLOEXEC);
	CHECK(alive() && reachable());
	closefrom(3);
}

/* A child that shares our memory, but not our descriptors. */
static void close_in_vfork(void)
{
	int fd[3], status = -1;
	pid_t child;

	theirs(fd);
	child = vfork();
	if (child == 0) {
		closefrom(3);
		_exit(close_range(3, ~0u, 0));
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	for (int i = 0; i < 3; i++)
		CHECK(fcntl(fd[i], F_GETFD) >= 0);
	CHECK(alive() && reachable());
	closefrom(3);
}

static void dup_onto(void)
{
	for (int to = 3; to < 1024; to++)
		dup2(STDIN_FILENO, to);
	CHECK(alive() && reachable());
	closefrom(3);
	for (int to = 3; to < 1024; to++)
		dup3(STDIN_FILENO, to, O_CLOEXEC);
	CHECK(alive() && reachable());
	closefrom(3);
	CHECK(alive() && reachable());
}

/* p0f and argus close by the list of /proc. */
static void close_by_proc(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	int fd[3];

	theirs(fd);
	while ((e = readdir(d)))
		if (atoi(e->d_name) > 2 && atoi(e->d_name) != dirfd(d))
			close(atoi(e->d_name));
	closedir(d);
	all_gone(fd);
}

static void hide_and_seek(void)
{
	int fd = eventfd(0, 0), high = nfshim_test_hide(fd);

	CHECK(high >= 0 && (high == fd || fcntl(fd, F_GETFD) < 0));
	CHECK(close(high) < 0 && errno == EBADF);
	nfshim_test_unhide(high);
	CHECK(close(high) == 0);
	CHECK(dup2(STDIN_FILENO, high) == high && close(high) == 0);
}

static void low_limit(void)
{
	struct rlimit r = {64, 64};
	int fd, high;

	setrlimit(RLIMIT_NOFILE, &r);
	fd = eventfd(0, 0);
	high = nfshim_test_hide(fd);
	CHECK(high >= 0 && high < 64);
	closefrom(3);
	CHECK(fcntl(high, F_GETFD) >= 0);
}

int main(void)
{
	check_preloaded();
	ours = nfshim_test_hide(eventfd(0, 0));
	CHECK(ours > 2 && alive() && reachable());
	close_loop();
	close_ranges();
	close_range_unshare();
	close_range_cloexec();
	close_in_vfork();
	dup_onto();
	close_by_proc();
	hide_and_seek();
	if (fork() == 0) {
		low_limit();
		_exit(failures != 0);
	} else {
		int status = -1;

		wait(&status);
		CHECK(status == 0);
	}
	return failures != 0;
}
