/* SPDX-License-Identifier: BSD-2-Clause */
/* Output by number. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emit.h"

#define SLOT 64

static int fd, fifo, to, far, source, copied, feed[2], sysv, log_fd;
static mqd_t mq;
static struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "sock"};

const unsigned emit_variants = 1;

/* What copy_file_range copies is in a file of the same file system. */
static void make_source(void)
{
	static const char *const tags[] = {"before", "inside", "after."};

	source = open("source.tmp", O_CREAT | O_RDWR, 0600);
	unlink("source.tmp");
	for (int i = 0; i < 3; i++)
		if (dprintf(source, "%s %-*s\n", tags[i], SLOT - 8, "copy_file_range") != SLOT)
			emit_die("cannot write the source");
}

void emit_setup(unsigned v)
{
	struct mq_attr attr = {.mq_maxmsg = 8, .mq_msgsize = 128};
	char name[64];

	(void)v;
	snprintf(name, sizeof(name), "/nfshim-test.%d", getpid());
	fd = open("file", O_CREAT | O_WRONLY | O_APPEND, 0600);
	copied = open("copied", O_CREAT | O_RDWR, 0600);
	log_fd = open("received", O_CREAT | O_WRONLY, 0600);
	(void)unshare(CLONE_NEWIPC); /* where it is allowed, no queue outlives this program */
	mq = mq_open(name, O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK, 0600, &attr);
	mq_unlink(name);
	sysv = msgget(IPC_PRIVATE, 0600);
	to = socket(AF_UNIX, SOCK_DGRAM, 0);
	far = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (fd < 0 || copied < 0 || log_fd < 0 || mq < 0 || sysv < 0 || pipe(feed) < 0 ||
	    mkfifo("fifo", 0600) < 0 || (fifo = open("fifo", O_RDWR | O_NONBLOCK)) < 0 ||
	    bind(far, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    connect(to, (struct sockaddr *)&at, sizeof(at)) < 0)
		emit_die("cannot open the results: %s", strerror(errno));
	make_source();
}

static void keep(const char *text, ssize_t n)
{
	if (write(log_fd, text, (size_t)n) != n)
		emit_die("cannot write the results");
}

void emit_settle(void)
{
	struct {
		long type;
		char text[4096];
	} m;
	ssize_t n;

	lseek(copied, 0, SEEK_END);
	while ((n = read(fifo, m.text, sizeof(m.text))) > 0)
		keep(m.text, n);
	while ((n = recv(far, m.text, sizeof(m.text), 0)) > 0)
		keep(m.text, n);
	while ((n = mq_receive(mq, m.text, sizeof(m.text), NULL)) >= 0)
		keep(m.text, n);
	while ((n = msgrcv(sysv, &m, sizeof(m.text), 0, IPC_NOWAIT)) >= 0)
		keep(m.text, n);
}

void emit_finish(void)
{
	emit_settle();
	msgctl(sysv, IPC_RMID, NULL);
	unlink("sock");
	unlink("fifo");
}

static struct iovec *parts(const char *t)
{
	static struct iovec iov[2];

	iov[0] = (struct iovec){(void *)t, 4};
	iov[1] = (struct iovec){(void *)(t + 4), strlen(t + 4)};
	return iov;
}

static struct msghdr message(const char *t)
{
	return (struct msghdr){.msg_iov = parts(t), .msg_iovlen = 2};
}

static long do_write(const char *t)
{
	return syscall(SYS_write, fd, t, strlen(t));
}

static long do_pwrite64(const char *t)
{
	return syscall(SYS_pwrite64, fd, t, strlen(t), 0L);
}

static long do_writev(const char *t)
{
	return syscall(SYS_writev, fd, parts(t), 2);
}

static long do_pwritev(const char *t)
{
	return syscall(SYS_pwritev, fd, parts(t), 2, 0L, 0L);
}

static long do_pwritev2(const char *t)
{
	return syscall(SYS_pwritev2, fd, parts(t), 2, -1L, -1L, 0) +
	       syscall(SYS_pwritev2, fd, parts(t), 2, 0L, 0L, 0);
}

static long do_vmsplice(const char *t)
{
	return syscall(SYS_vmsplice, fifo, parts(t), 2, 0);
}

/* The program's own memory is a source that a window leaves alone. */
static int memory(const char *t)
{
	int m = memfd_create("source", 0);

	if (m < 0 || pwrite(m, t, strlen(t), 0) != (ssize_t)strlen(t))
		emit_die("no memory file");
	return m;
}

static long do_sendfile(const char *t)
{
	int m = memory(t);
	long rc = syscall(SYS_sendfile, fifo, m, NULL, strlen(t));

	close(m);
	return rc;
}

static long do_splice(const char *t)
{
	if (write(feed[1], t, strlen(t)) != (ssize_t)strlen(t))
		emit_die("no pipe");
	return syscall(SYS_splice, feed[0], NULL, fifo, NULL, strlen(t), 0);
}

static long do_copy_file_range(const char *t)
{
	long off = *t == 'b' ? 0 : *t == 'i' ? SLOT : 2 * SLOT;

	return syscall(SYS_copy_file_range, source, &off, copied, NULL, (size_t)SLOT, 0);
}

static long do_sendto(const char *t)
{
	return syscall(SYS_sendto, to, t, strlen(t), 0, NULL, 0);
}

static long do_sendmsg(const char *t)
{
	struct msghdr m = message(t);

	return syscall(SYS_sendmsg, to, &m, 0);
}

static long do_sendmmsg(const char *t)
{
	struct mmsghdr m[2] = {{message(t), 77}, {message(t), 77}};
	long n = syscall(SYS_sendmmsg, to, m, 2, 0);

	return n * 1000000 + m[0].msg_len * 1000 + m[1].msg_len;
}

static long do_mq_timedsend(const char *t)
{
	return syscall(SYS_mq_timedsend, mq, t, strlen(t), 1, NULL);
}

static long do_msgsnd(const char *t)
{
	struct {
		long type;
		char text[128];
	} m = {.type = 1};

	strcpy(m.text, t);
	return syscall(SYS_msgsnd, sysv, &m, strlen(t), IPC_NOWAIT);
}

static long do_execve(const char *t)
{
	char line[256];
	char *argv[] = {"sh", "-c", line, NULL}, *env[] = {NULL};
	int status = -1;
	pid_t pid;

	snprintf(line, sizeof(line), "echo '%.*s' >>commands", (int)strlen(t) - 1, t);
	pid = fork();
	if (pid == 0) {
		syscall(SYS_execve, "/bin/sh", argv, env);
		_exit(6);
	}
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

/* What is no output passes, with all six arguments. */
static long do_others(const char *t)
{
	void *p = (void *)syscall(SYS_mmap, NULL, 4096UL, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
	long ok = p != MAP_FAILED && syscall(SYS_munmap, p, 4096UL) == 0 &&
		  syscall(SYS_getpid) == getpid() && syscall(-1L) == -1 && errno == ENOSYS;

	ok += syscall(SYS_write, 1000, t, 1UL) == -1 && errno == EBADF;
	syscall(SYS_write, fd, t, strlen(t));
	errno = 1234;
	if (ok != 2)
		emit_die("calls that are no output do not pass");
	return ok;
}

#define OP(name)                                                                                   \
	{                                                                                          \
#name, do_##name                                                                   \
	}

const struct emit_op emit_ops[] = {
	OP(write),    OP(pwrite64), OP(writev),	      OP(pwritev),	   OP(pwritev2),
	OP(vmsplice), OP(sendfile), OP(splice),	      OP(copy_file_range), OP(sendto),
	OP(sendmsg),  OP(sendmmsg), OP(mq_timedsend), OP(msgsnd),	   OP(execve),
	OP(others),   {0}};
