/* SPDX-License-Identifier: BSD-2-Clause */
/* Output by descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "drop.h"
#include "real.h"

ssize_t __write(int fd, const void *buf, size_t n);
ssize_t __pwrite64(int fd, const void *buf, size_t n, off64_t off);

ssize_t write(int fd, const void *buf, size_t n)
{
	if (nf_drop_fd(NF_FN_write, fd))
		return nf_dropped_data(NF_FN_write, buf, n);
	return nf_real.write(fd, buf, n);
}

ssize_t __write(int fd, const void *buf, size_t n)
{
	if (nf_drop_fd(NF_FN___write, fd))
		return nf_dropped_data(NF_FN___write, buf, n);
	return nf_real.__write(fd, buf, n);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t off)
{
	if (off >= 0 && nf_drop_fd(NF_FN_pwrite, fd))
		return nf_dropped_data(NF_FN_pwrite, buf, n);
	return nf_real.pwrite(fd, buf, n, off);
}

ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t off)
{
	if (off >= 0 && nf_drop_fd(NF_FN_pwrite64, fd))
		return nf_dropped_data(NF_FN_pwrite64, buf, n);
	return nf_real.pwrite64(fd, buf, n, off);
}

ssize_t __pwrite64(int fd, const void *buf, size_t n, off64_t off)
{
	if (off >= 0 && nf_drop_fd(NF_FN___pwrite64, fd))
		return nf_dropped_data(NF_FN___pwrite64, buf, n);
	return nf_real.__pwrite64(fd, buf, n, off);
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
	if (n >= 0 && nf_drop_fd(NF_FN_writev, fd))
		return nf_dropped_iov(NF_FN_writev, iov, (size_t)n);
	return nf_real.writev(fd, iov, n);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t off)
{
	if (n >= 0 && off >= 0 && nf_drop_fd(NF_FN_pwritev, fd))
		return nf_dropped_iov(NF_FN_pwritev, iov, (size_t)n);
	return nf_real.pwritev(fd, iov, n, off);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t off)
{
	if (n >= 0 && off >= 0 && nf_drop_fd(NF_FN_pwritev64, fd))
		return nf_dropped_iov(NF_FN_pwritev64, iov, (size_t)n);
	return nf_real.pwritev64(fd, iov, n, off);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	if (n >= 0 && nf_drop_fd(NF_FN_pwritev2, fd))
		return nf_dropped_iov(NF_FN_pwritev2, iov, (size_t)n);
	return nf_real.pwritev2(fd, iov, n, off, flags);
}

ssize_t pwritev64v2(int fd, const struct iovec *iov, int n, off64_t off, int flags)
{
	if (n >= 0 && nf_drop_fd(NF_FN_pwritev64v2, fd))
		return nf_dropped_iov(NF_FN_pwritev64v2, iov, (size_t)n);
	return nf_real.pwritev64v2(fd, iov, n, off, flags);
}

/* ---- copies inside the kernel: the source is consumed all the same, into /dev/null ---- */

static __thread int cancelling; /* what the thread's state was; it must not end in here */

static int null_fd(void)
{
	int fd;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelling);
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		pthread_setcancelstate(cancelling, NULL);
	return fd;
}

static ssize_t leave(enum nf_fn fn, int fd, ssize_t rc)
{
	int e = errno;

	nf_real.close(fd);
	pthread_setcancelstate(cancelling, NULL);
	errno = e;
	nf_dropped(fn, rc < 0 ? 0 : (size_t)rc);
	return rc;
}

ssize_t sendfile(int out, int in, off_t *off, size_t n)
{
	int fd;

	if (!nf_drop_fd(NF_FN_sendfile, out) || (fd = null_fd()) < 0)
		return nf_real.sendfile(out, in, off, n);
	return leave(NF_FN_sendfile, fd, nf_real.sendfile(fd, in, off, n));
}

ssize_t sendfile64(int out, int in, off64_t *off, size_t n)
{
	int fd;

	if (!nf_drop_fd(NF_FN_sendfile64, out) || (fd = null_fd()) < 0)
		return nf_real.sendfile64(out, in, off, n);
	return leave(NF_FN_sendfile64, fd, nf_real.sendfile64(fd, in, off, n));
}

ssize_t copy_file_range(int in, off64_t *inoff, int out, off64_t *outoff, size_t n, unsigned flags)
{
	ssize_t rc;
	int fd;

	if (!nf_drop_fd(NF_FN_copy_file_range, out) || (fd = null_fd()) < 0)
		return nf_real.copy_file_range(in, inoff, out, outoff, n, flags);
	rc = leave(NF_FN_copy_file_range, fd, nf_real.sendfile64(fd, in, inoff, n));
	if (rc > 0 && outoff)
		*outoff += rc;
	return rc;
}

ssize_t splice(int in, off64_t *inoff, int out, off64_t *outoff, size_t n, unsigned flags)
{
	int fd, e = errno;
	ssize_t rc;

	if (!nf_drop_fd(NF_FN_splice, out) || (fd = null_fd()) < 0)
		return nf_real.splice(in, inoff, out, outoff, n, flags);
	rc = nf_real.splice(in, inoff, fd, NULL, n, flags);
	if (rc < 0 && errno == EINVAL) { /* not from a pipe, so into a FIFO */
		errno = e;
		rc = nf_real.sendfile64(fd, in, inoff, n);
	}
	leave(NF_FN_splice, fd, rc);
	if (rc > 0 && outoff)
		*outoff += rc;
	return rc;
}

ssize_t vmsplice(int fd, const struct iovec *iov, size_t n, unsigned flags)
{
	if (nf_drop_fd(NF_FN_vmsplice, fd))
		return nf_dropped_iov(NF_FN_vmsplice, iov, n);
	return nf_real.vmsplice(fd, iov, n, flags);
}

/* Nothing is consumed: into a pipe of its own. */
ssize_t tee(int in, int out, size_t n, unsigned flags)
{
	int p[2], e;
	ssize_t rc;

	if (!nf_drop_fd(NF_FN_tee, out) || pipe2(p, O_CLOEXEC) < 0)
		return nf_real.tee(in, out, n, flags);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelling);
	rc = nf_real.tee(in, p[1], n, flags);
	e = errno;
	nf_real.close(p[1]);
	errno = e;
	return leave(NF_FN_tee, p[0], rc);
}
