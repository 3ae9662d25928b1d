/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors: a regular file, and a FIFO that this program reads itself. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "emit.h"

static int fd, fifo, fifo_log, feed[2], slots, reader;

const unsigned emit_variants = 1;

ssize_t __write(int to, const void *buf, size_t n);
ssize_t __pwrite64(int to, const void *buf, size_t n, off64_t off);

/* 64 bytes for each place of a call: copy_file_range wants a file of the same file system. */
static void make_slots(void)
{
	static const char *const tags[] = {"before", "inside", "after."};
	char text[65];

	slots = open("slots.tmp", O_CREAT | O_RDWR, 0600);
	for (int i = 0; i < 3; i++) {
		snprintf(text, sizeof(text), "%s copy_file_range%*s\n", tags[i], 41, "");
		if (write(slots, text, 64) != 64)
			emit_die("cannot write the source");
	}
	reader = open("slots.tmp", O_RDONLY);
	unlink("slots.tmp");
}

void emit_setup(unsigned v)
{
	(void)v;
	fd = open("file", O_CREAT | O_RDWR, 0600);
	fifo_log = open("fifo.log", O_CREAT | O_WRONLY, 0600);
	if (mkfifo("fifo", 0600) < 0 || (fifo = open("fifo", O_RDWR | O_NONBLOCK)) < 0 || fd < 0 ||
	    fifo_log < 0 || pipe(feed) < 0)
		emit_die("cannot open the results");
	make_slots();
}

void emit_settle(void)
{
	char buf[4096];
	ssize_t n;

	lseek(fd, 0, SEEK_END);
	while ((n = read(fifo, buf, sizeof(buf))) > 0)
		if (write(fifo_log, buf, (size_t)n) != n)
			emit_die("cannot write the results");
}

void emit_finish(void)
{
	unlink("fifo");
}

static off_t end(void)
{
	return lseek(fd, 0, SEEK_END);
}

static struct iovec *two(const char *t)
{
	static struct iovec iov[2];

	iov[0] = (struct iovec){(void *)t, 3};
	iov[1] = (struct iovec){(void *)(t + 3), strlen(t + 3)};
	return iov;
}

static long do_write(const char *t)
{
	return write(fd, t, strlen(t));
}

static long do___write(const char *t)
{
	return __write(fd, t, strlen(t));
}

static long do_pwrite(const char *t)
{
	return pwrite(fd, t, strlen(t), end());
}

static long do_pwrite64(const char *t)
{
	return pwrite64(fd, t, strlen(t), end());
}

static long do___pwrite64(const char *t)
{
	return __pwrite64(fd, t, strlen(t), end());
}

static long do_writev(const char *t)
{
	return writev(fd, two(t), 2);
}

static long do_pwritev(const char *t)
{
	return pwritev(fd, two(t), 2, end());
}

static long do_pwritev64(const char *t)
{
	return pwritev64(fd, two(t), 2, end());
}

static long do_pwritev2(const char *t)
{
	return pwritev2(fd, two(t), 2, end(), 0);
}

static long do_pwritev64v2(const char *t)
{
	return pwritev64v2(fd, two(t), 2, end(), 0);
}

static long do_dprintf(const char *t)
{
	return dprintf(fd, "%s%d\n", t, 7);
}

static long listed(const char *fmt, ...)
{
	va_list ap;
	long rc;

	va_start(ap, fmt);
	rc = vdprintf(fd, fmt, ap);
	va_end(ap);
	return rc;
}

static long do_vdprintf(const char *t)
{
	return listed("%s", t);
}

static long do_fifo_write(const char *t)
{
	return write(fifo, t, strlen(t));
}

static long do_vmsplice(const char *t)
{
	static char keep[3][96]; /* the pipe may refer to the pages */
	static int i;

	strcpy(keep[i % 3], t);
	return vmsplice(fifo, two(keep[i++ % 3]), 2, 0);
}

/* A file in memory that holds @t; writing to it is no output. */
static int source(const char *t)
{
	int in = memfd_create("source", 0);

	if (in < 0 || write(in, t, strlen(t)) != (ssize_t)strlen(t))
		emit_die("cannot make a source");
	lseek(in, 0, SEEK_SET);
	return in;
}

/* Bytes, and how far the source was read. */
static long consumed(int in, ssize_t n)
{
	long at = lseek(in, 0, SEEK_CUR);

	close(in);
	return n * 1000 + at;
}

static long do_sendfile(const char *t)
{
	int in = source(t);

	return consumed(in, sendfile(fd, in, NULL, strlen(t)));
}

static long do_sendfile_offset(const char *t)
{
	int in = source(t);
	off_t off = 0;
	ssize_t n = sendfile(fd, in, &off, 1000);

	return consumed(in, n) * 1000 + off;
}

static long do_sendfile64(const char *t)
{
	int in = source(t);
	off64_t off = 0;
	ssize_t n = sendfile64(fd, in, &off, strlen(t));

	return consumed(in, n) * 1000 + off;
}

/* From a file of this file system: the results' own first line of this kind. */
static long do_copy_file_range(const char *t)
{
	off64_t from = *t == 'b' ? 0 : *t == 'i' ? 64 : 128, to = end(), start = to;
	ssize_t n = copy_file_range(slots, &from, fd, &to, 64, 0);

	return n * 1000000 + (from % 64) * 1000 + (to - start);
}

static long do_splice(const char *t)
{
	ssize_t len = (ssize_t)strlen(t), n;
	int left = -1;

	if (write(feed[1], t, (size_t)len) != len)
		return -1;
	n = splice(feed[0], NULL, fd, NULL, (size_t)len, 0);
	ioctl(feed[0], FIONREAD, &left);
	return n * 1000 + left;
}

static long do_splice_offset(const char *t)
{
	ssize_t len = (ssize_t)strlen(t), n;
	off64_t to = end(), start = to;

	if (write(feed[1], t, (size_t)len) != len)
		return -1;
	n = splice(feed[0], NULL, fd, &to, (size_t)len, 0);
	return n * 1000 + (to - start);
}

static long do_splice_to_fifo(const char *t)
{
	int in = source(t);

	return consumed(in, splice(in, NULL, fifo, NULL, strlen(t), 0));
}

/* Into a FIFO; the pipe keeps what it has. */
static long do_tee(const char *t)
{
	ssize_t len = (ssize_t)strlen(t), n;
	char back[128];

	if (write(feed[1], t, (size_t)len) != len)
		return -1;
	n = tee(feed[0], fifo, (size_t)len, 0);
	return n * 1000 + read(feed[0], back, sizeof(back));
}

static long do_bad(const char *t)
{
	struct iovec *iov = two(t);
	volatile int minus_one = -1;
	long bad = 0;

	bad += write(1000, t, 1) < 0 && errno == EBADF;
	bad += writev(fd, iov, minus_one) < 0 && errno == EINVAL;
	bad += pwrite(fd, t, 1, -5) < 0 && errno == EINVAL;
	bad += write(reader, t, 1) < 0 && errno == EBADF;
	bad += dprintf(1000, "%s", t) < 0 && errno == EBADF;
	bad += sendfile(1000, fd, NULL, 1) < 0 && errno == EBADF;
	dprintf(fd, "%s", t);
	errno = 1234;
	return bad;
}

#define OP(name)                                                                                   \
	{                                                                                          \
#name, do_##name                                                                   \
	}

const struct emit_op emit_ops[] = {OP(write),
				   OP(__write),
				   OP(pwrite),
				   OP(pwrite64),
				   OP(__pwrite64),
				   OP(writev),
				   OP(pwritev),
				   OP(pwritev64),
				   OP(pwritev2),
				   OP(pwritev64v2),
				   OP(dprintf),
				   OP(vdprintf),
				   OP(fifo_write),
				   OP(vmsplice),
				   OP(sendfile),
				   OP(sendfile_offset),
				   OP(sendfile64),
				   OP(copy_file_range),
				   OP(splice),
				   OP(splice_offset),
				   OP(splice_to_fifo),
				   OP(tee),
				   OP(bad),
				   {0}};
