/* SPDX-License-Identifier: BSD-2-Clause */
/* Output by syscall(): in the window a call by number is the call by name, which decides. */
#include <fcntl.h>
#include <mqueue.h>
#include <sys/msg.h>
#include <sys/syscall.h>

#include "drop.h"
#include "escape.h"
#include "real.h"

#define PTR(arg) ((void *)(arg))

static bool by_descriptor(long nr, const long *x, long *rc)
{
	int fd = (int)x[0];

	switch (nr) {
	case SYS_write:
		*rc = write(fd, PTR(x[1]), (size_t)x[2]);
		return true;
	case SYS_pwrite64:
		*rc = pwrite64(fd, PTR(x[1]), (size_t)x[2], x[3]);
		return true;
	case SYS_writev:
		*rc = writev(fd, PTR(x[1]), (int)x[2]);
		return true;
	case SYS_pwritev:
		*rc = pwritev64(fd, PTR(x[1]), (int)x[2], x[3]);
		return true;
	case SYS_pwritev2:
		*rc = pwritev64v2(fd, PTR(x[1]), (int)x[2], x[3], (int)x[5]);
		return true;
	case SYS_vmsplice:
		*rc = vmsplice(fd, PTR(x[1]), (size_t)x[2], (unsigned)x[3]);
		return true;
	case SYS_sendfile:
		*rc = sendfile64(fd, (int)x[1], PTR(x[2]), (size_t)x[3]);
		return true;
	case SYS_splice:
		*rc = splice(fd, PTR(x[1]), (int)x[2], PTR(x[3]), (size_t)x[4], (unsigned)x[5]);
		return true;
	case SYS_tee:
		*rc = tee(fd, (int)x[1], (size_t)x[2], (unsigned)x[3]);
		return true;
	case SYS_copy_file_range:
		*rc = copy_file_range(fd, PTR(x[1]), (int)x[2], PTR(x[3]), (size_t)x[4],
				      (unsigned)x[5]);
		return true;
	case SYS_ftruncate:
		*rc = ftruncate64(fd, x[1]);
		return true;
	case SYS_fallocate:
		*rc = fallocate64(fd, (int)x[1], x[2], x[3]);
		return true;
	default:
		return false;
	}
}

static bool by_socket_or_queue(long nr, const long *x, long *rc)
{
	int fd = (int)x[0];

	switch (nr) {
	case SYS_sendto:
		*rc = sendto(fd, PTR(x[1]), (size_t)x[2], (int)x[3], PTR(x[4]), (socklen_t)x[5]);
		return true;
	case SYS_sendmsg:
		*rc = sendmsg(fd, PTR(x[1]), (int)x[2]);
		return true;
	case SYS_sendmmsg:
		*rc = sendmmsg(fd, PTR(x[1]), (unsigned)x[2], (int)x[3]);
		return true;
	case SYS_mq_timedsend:
		*rc = mq_timedsend(fd, PTR(x[1]), (size_t)x[2], (unsigned)x[3], PTR(x[4]));
		return true;
	case SYS_msgsnd:
		*rc = msgsnd(fd, PTR(x[1]), (size_t)x[2], (int)x[3]);
		return true;
	default:
		return false;
	}
}

static bool by_name(long nr, const long *x, long *rc)
{
	int at = (int)x[0];

	switch (nr) {
	case SYS_openat:
		*rc = openat(at, PTR(x[1]), (int)x[2], (mode_t)x[3]);
		return true;
	case SYS_renameat2:
		*rc = renameat2(at, PTR(x[1]), (int)x[2], PTR(x[3]), (unsigned)x[4]);
		return true;
	case SYS_unlinkat:
		*rc = unlinkat(at, PTR(x[1]), (int)x[2]);
		return true;
	case SYS_mkdirat:
		*rc = mkdirat(at, PTR(x[1]), (mode_t)x[2]);
		return true;
	case SYS_mknodat:
		*rc = mknodat(at, PTR(x[1]), (mode_t)x[2], (dev_t)x[3]);
		return true;
	case SYS_linkat:
		*rc = linkat(at, PTR(x[1]), (int)x[2], PTR(x[3]), (int)x[4]);
		return true;
	case SYS_symlinkat:
		*rc = symlinkat(PTR(x[0]), (int)x[1], PTR(x[2]));
		return true;
	case SYS_truncate:
		*rc = truncate64(PTR(x[0]), x[1]);
		return true;
	case SYS_execve:
		*rc = execve(PTR(x[0]), PTR(x[1]), PTR(x[2]));
		return true;
	case SYS_execveat:
		*rc = execveat(at, PTR(x[1]), PTR(x[2]), PTR(x[3]), (int)x[4]);
		return true;
	default:
		return false;
	}
}

/* The ones that newer systems do without. */
static bool by_old_name(long nr, const long *x, long *rc)
{
	switch (nr) {
#ifdef SYS_open
	case SYS_open:
		*rc = open(PTR(x[0]), (int)x[1], (mode_t)x[2]);
		return true;
	case SYS_creat:
		*rc = creat(PTR(x[0]), (mode_t)x[1]);
		return true;
	case SYS_rename:
		*rc = rename(PTR(x[0]), PTR(x[1]));
		return true;
	case SYS_renameat:
		*rc = renameat((int)x[0], PTR(x[1]), (int)x[2], PTR(x[3]));
		return true;
	case SYS_unlink:
		*rc = unlink(PTR(x[0]));
		return true;
	case SYS_rmdir:
		*rc = rmdir(PTR(x[0]));
		return true;
	case SYS_mkdir:
		*rc = mkdir(PTR(x[0]), (mode_t)x[1]);
		return true;
	case SYS_mknod:
		*rc = mknod(PTR(x[0]), (mode_t)x[1], (dev_t)x[2]);
		return true;
	case SYS_link:
		*rc = link(PTR(x[0]), PTR(x[1]));
		return true;
	case SYS_symlink:
		*rc = symlink(PTR(x[0]), PTR(x[1]));
		return true;
#endif
	default:
		return false;
	}
}

static bool by_its_name(long nr, const long *x, long *rc)
{
	return by_descriptor(nr, x, rc) || by_socket_or_queue(nr, x, rc) || by_name(nr, x, rc) ||
	       by_old_name(nr, x, rc);
}

long syscall(long nr, ...)
{
	long x[6], rc;
	va_list ap;

	/* Read only, however many there are: what is on the stack may be the caller's. */
	va_start(ap, nr);
	for (unsigned i = 0; i < 6; i++)
		x[i] = va_arg(ap, long);
	va_end(ap);
	if (nf_escape_refuses_call(nr, x))
		return -1;
	if (nf_dropping() && by_its_name(nr, x, &rc))
		return rc;
	return nf_real.syscall(nr, x[0], x[1], x[2], x[3], x[4], x[5]);
}
