/* SPDX-License-Identifier: BSD-2-Clause */
/* Our descriptors, and the kinds of the NF's. */
#include "fds.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "in_socket.h"
#include "link.h"
#include "out_process.h"
#include "real.h"
#include "verdict.h"

#define KNOWN 8	  /* descriptors that one packet's processing writes to; more are asked for again */
#define HIGH  512 /* ours live from here on if the limit allows */

static _Atomic int ours[NF_FDS_OURS]; /* fd + 1, 0: free */
static _Atomic int lowest = INT_MAX;

/* What a thread learnt about descriptors since the last change. */
struct known {
	unsigned at, n;
	int fd[KNOWN];
	uint8_t says[KNOWN];
};

static _Atomic unsigned changes = 1;

bool nf_fd_is_ours(int fd)
{
	if (fd < atomic_load_explicit(&lowest, memory_order_relaxed))
		return false;
	for (int i = 0; i < NF_FDS_OURS; i++)
		if (atomic_load_explicit(&ours[i], memory_order_relaxed) == fd + 1)
			return true;
	return false;
}

int nf_fd_hide(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH), zero;

	if (high < 0) /* the NF has a low limit */
		high = fd;
	else
		nf_real.close(fd);
	for (int i = 0; i < NF_FDS_OURS; i++) {
		zero = 0;
		if (atomic_compare_exchange_strong(&ours[i], &zero, high + 1)) {
			if (high < atomic_load(&lowest))
				atomic_store(&lowest, high);
			return high;
		}
	}
	nf_real.close(high);
	return -EMFILE;
}

void nf_fd_unhide(int fd)
{
	for (int i = 0; i < NF_FDS_OURS; i++) {
		int want = fd + 1;

		if (atomic_compare_exchange_strong(&ours[i], &want, 0))
			return;
	}
}

/* A unix socket to a named peer is output (syslog, a log daemon); a socketpair is not. */
static enum nf_kind unix_kind(int fd)
{
	union {
		struct sockaddr sa;
		struct sockaddr_un un;
		char room[256];
	} peer;
	socklen_t len = sizeof(peer);

	memset(&peer, 0, sizeof(peer));
	if (getpeername(fd, &peer.sa, &len) < 0)
		return NF_KIND_UNIX_NAMED; /* sendto by name */
	return len > offsetof(struct sockaddr_un, sun_path) ? NF_KIND_UNIX_NAMED
							    : NF_KIND_UNIX_PAIR;
}

static enum nf_kind socket_kind(int fd)
{
	socklen_t len = sizeof(int);
	int domain = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0)
		return NF_KIND_SOCKET;
	switch (domain) {
	case AF_INET:
	case AF_INET6:
		return NF_KIND_INET;
	case AF_PACKET:
		return NF_KIND_PACKET;
	case AF_UNIX:
		return unix_kind(fd);
	case AF_NETLINK:
		return NF_KIND_NETLINK;
	case AF_ALG:
		return NF_KIND_ALG;
	default:
		return NF_KIND_SOCKET;
	}
}

static bool is_called(int fd, const char *what)
{
	char name[64];

	return nf_fd_name(fd, name, sizeof(name)) && !strncmp(name, what, strlen(what));
}

static bool same_as(int fd, const struct stat *st)
{
	struct stat other;

	return fstat(fd, &other) == 0 && other.st_dev == st->st_dev && other.st_ino == st->st_ino;
}

/* Standard output into a pipe, under any number, is read by another process; so is popen's. */
static enum nf_kind pipe_kind(int fd, const struct stat *st)
{
	if (same_as(STDOUT_FILENO, st) || same_as(STDERR_FILENO, st) || nf_popen_has(st->st_ino))
		return NF_KIND_STDPIPE;
	return is_called(fd, "pipe:") ? NF_KIND_PIPE : NF_KIND_FIFO;
}

static enum nf_kind device_kind(int fd, const struct stat *st)
{
	if (st->st_rdev == makedev(10, 200) || is_called(fd, "/dev/tap"))
		return NF_KIND_TUN;
	return isatty(fd) ? NF_KIND_TTY : NF_KIND_CHARDEV;
}

static enum nf_kind kind(int fd, const struct stat *st)
{
	switch (st->st_mode & S_IFMT) {
	case S_IFSOCK:
		return socket_kind(fd);
	case S_IFIFO:
		return pipe_kind(fd, st);
	case S_IFREG:
		return is_called(fd, "/memfd:") ? NF_KIND_MEMFD : NF_KIND_REGULAR;
	case S_IFCHR:
		return device_kind(fd, st);
	case S_IFBLK:
		return NF_KIND_BLOCK;
	default:
		return is_called(fd, "anon_inode:[eventfd]") ? NF_KIND_EVENTFD : NF_KIND_ANON;
	}
}

static bool can_write(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

static enum nf_verdict ask(int fd)
{
	struct stat st;

	if (!can_write(fd) || nf_fd_is_ours(fd) || fstat(fd, &st) != 0)
		return NF_UNSAID;
	return nf_verdict_fd(fd, kind(fd, &st));
}

void nf_fds_forget(void)
{
	atomic_fetch_add_explicit(&changes, 1, memory_order_acq_rel);
}

enum nf_verdict nf_fd_verdict(int fd)
{
	static __thread struct known known;
	unsigned now = atomic_load_explicit(&changes, memory_order_acquire);
	int e = errno;
	enum nf_verdict says;

	if (known.at != now)
		known = (struct known){.at = now};
	for (unsigned i = 0; i < known.n; i++)
		if (known.fd[i] == fd)
			return (enum nf_verdict)known.says[i];
	says = ask(fd);
	errno = e;
	if (known.n < KNOWN) {
		known.fd[known.n] = fd;
		known.says[known.n++] = (uint8_t)says;
	}
	return says;
}

/* ---- the NF closes ---- */

static inline int changed(int rc)
{
	nf_fds_forget();
	return rc;
}

int close(int fd)
{
	if (nf_fd_is_ours(fd)) {
		errno = EBADF;
		return -1;
	}
	nf_socket_closed(fd, fd);
	return changed(nf_real.close(fd));
}

/* Close [first, last] but for ours. */
static int close_around(unsigned first, unsigned last, int flags)
{
	unsigned from = first;
	int rc = 0;

	for (;;) {
		unsigned stop = UINT_MAX;

		for (int i = 0; i < NF_FDS_OURS; i++) {
			int fd = atomic_load(&ours[i]) - 1;

			if (fd >= 0 && (unsigned)fd >= from && (unsigned)fd < stop)
				stop = (unsigned)fd;
		}
		if (stop > last)
			return from <= last ? nf_real.close_range(from, last, flags) : rc;
		if (stop > from)
			rc = nf_real.close_range(from, stop - 1, flags);
		if (rc < 0 || stop == UINT_MAX)
			return rc;
		from = stop + 1;
	}
}

int close_range(unsigned first, unsigned last, int flags)
{
	if (first > last) {
		errno = EINVAL;
		return -1;
	}
	if (!(flags & (int)CLOSE_RANGE_CLOEXEC))
		nf_socket_closed((int)first, last > INT_MAX ? INT_MAX : (int)last);
	/* A thread that nobody shares with but ours is not to leave ours behind: with all that it
	 * closes from now on still open. */
	if ((flags & (int)CLOSE_RANGE_UNSHARE) && nf_rendezvous_alone())
		flags &= ~(int)CLOSE_RANGE_UNSHARE;
	return changed(close_around(first, last, flags));
}

void closefrom(int low)
{
	nf_socket_closed(low, INT_MAX);
	if (close_around(low < 0 ? 0 : (unsigned)low, UINT_MAX, 0) < 0)
		for (int fd = low < 0 ? 0 : low; fd < 65536;
		     fd++) /* a kernel without close_range */
			close(fd);
	nf_fds_forget();
}

int dup2(int from, int to)
{
	if (nf_fd_is_ours(to) || nf_fd_is_ours(from)) {
		errno = EBADF;
		return -1;
	}
	if (from != to)
		nf_socket_closed(to, to);
	return changed(nf_real.dup2(from, to));
}

int dup3(int from, int to, int flags)
{
	if (nf_fd_is_ours(to) || nf_fd_is_ours(from)) {
		errno = EBADF;
		return -1;
	}
	if (from != to)
		nf_socket_closed(to, to);
	return changed(nf_real.dup3(from, to, flags));
}

int fclose(FILE *f)
{
	int fd = f ? fileno(f) : -1;

	nf_socket_closed(fd, fd);
	return changed(nf_real.fclose(f));
}
