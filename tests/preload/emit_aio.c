/* SPDX-License-Identifier: BSD-2-Clause */
/* Asynchronous writes: complete, returned, waited for and told of in all ways there are. */
#include <aio.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "emit.h"

#define SECONDS 60
#define VALUE	4711

static int fd, own;
static sem_t told;
static struct timespec most = {.tv_sec = SECONDS};

const unsigned emit_variants = 1;

void emit_setup(unsigned v)
{
	sigset_t set;

	(void)v;
	fd = open("file", O_CREAT | O_WRONLY | O_APPEND, 0600);
	own = memfd_create("own", 0);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	if (fd < 0 || own < 0 || sem_init(&told, 0, 0) < 0 ||
	    sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		emit_die("cannot open the results");
}

void emit_settle(void)
{
}

void emit_finish(void)
{
	close(fd);
}

#define REQUEST(to, t)                                                                             \
	{                                                                                          \
		.aio_fildes = to, .aio_buf = (void *)(t), .aio_nbytes = strlen(t),                 \
		.aio_lio_opcode = LIO_WRITE, .aio_sigevent.sigev_notify = SIGEV_NONE               \
	}

/* Wait for @r; how it ended. */
static long ended(struct aiocb *r)
{
	const struct aiocb *list[] = {r};
	long error;

	while (aio_error(r) == EINPROGRESS)
		if (aio_suspend(list, 1, &most) < 0)
			emit_die("no end of a request: %s", strerror(errno));
	error = aio_error(r);
	return aio_suspend(list, 1, &most) * 100000 + error * 1000 + aio_return(r);
}

static long do_aio_write(const char *t)
{
	struct aiocb r = REQUEST(fd, t);
	long rc = aio_write(&r);

	return rc * 1000000 + ended(&r);
}

static long do_aio_write64(const char *t)
{
	struct aiocb64 r = REQUEST(fd, t);
	long rc = aio_write64(&r);

	return rc * 1000000 + ended((struct aiocb *)&r);
}

static long do_cancelled(const char *t)
{
	struct aiocb r = REQUEST(fd, t);

	aio_write(&r);
	ended(&r);
	return aio_cancel(fd, &r);
}

static long signalled(void)
{
	siginfo_t info = {0};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	if (sigtimedwait(&set, &info, &most) != SIGRTMIN)
		emit_die("no signal came");
	return info.si_code == SI_ASYNCIO && info.si_value.sival_int == VALUE &&
	       info.si_pid == getpid();
}

static struct sigevent by_signal(void)
{
	return (struct sigevent){.sigev_notify = SIGEV_SIGNAL,
				 .sigev_signo = SIGRTMIN,
				 .sigev_value.sival_int = VALUE};
}

static long do_signal(const char *t)
{
	struct aiocb r = REQUEST(fd, t);
	long rc;

	r.aio_sigevent = by_signal();
	rc = aio_write(&r);
	return signalled() * 10000000 + rc * 1000000 + ended(&r);
}

static void tell(union sigval v)
{
	if (v.sival_int == VALUE)
		sem_post(&told);
}

static void wait_to_be_told(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += SECONDS;
	if (sem_timedwait(&told, &until) < 0)
		emit_die("no thread told");
}

static long do_thread(const char *t)
{
	struct aiocb r = REQUEST(fd, t);

	r.aio_sigevent = (struct sigevent){.sigev_notify = SIGEV_THREAD,
					   .sigev_notify_function = tell,
					   .sigev_value.sival_int = VALUE};
	aio_write(&r);
	wait_to_be_told();
	return ended(&r);
}

/* A list with a gap, a request that is none, and one to the NF itself that goes on. */
static long do_lio_listio(const char *t)
{
	struct aiocb a = REQUEST(fd, t), b = REQUEST(own, t), none = {.aio_lio_opcode = LIO_NOP};
	struct aiocb *list[] = {&a, NULL, &none, &b};
	char got[128];
	long rc = lio_listio(LIO_WAIT, list, 4, NULL);

	rc = rc * 1000000 + ended(&a) + ended(&b);
	if (pread(own, got, sizeof(got), 0) < (ssize_t)strlen(t) || memcmp(got, t, strlen(t)) != 0)
		emit_die("what the program writes to itself is lost");
	return rc;
}

static long do_lio_listio64(const char *t)
{
	struct aiocb64 a = REQUEST(fd, t);
	struct aiocb64 *list[] = {&a};
	struct sigevent ev = by_signal();
	long rc = lio_listio64(LIO_NOWAIT, list, 1, &ev);

	return signalled() * 10000000 + rc * 1000000 + ended((struct aiocb *)&a);
}

static long do_lio_each(const char *t)
{
	struct aiocb a = REQUEST(fd, t);
	struct aiocb *list[] = {&a};

	a.aio_sigevent = by_signal();
	lio_listio(LIO_WAIT, list, 1, NULL);
	return signalled() * 10000000 + ended(&a);
}

static long do_fsync(const char *t)
{
	struct aiocb r = REQUEST(fd, t), sync = {.aio_fildes = fd};
	long rc;

	aio_write(&r);
	rc = aio_fsync(O_SYNC, &sync);
	return rc * 1000000 + ended(&sync) + ended(&r);
}

static long do_bad(const char *t)
{
	struct aiocb r = REQUEST(fd, t);
	long bad = 0;

	aio_write(&r);
	ended(&r);
	r.aio_reqprio = -1;
	bad += aio_write(&r) < 0 && errno == EINVAL;
	r.aio_reqprio = 0;
	r.aio_fildes = 1000;
	bad += aio_write(&r) == 0 ? ended(&r) == EBADF * 1000 - 1 : errno == EBADF;
	r.aio_fildes = fd; /* the request is used again */
	bad += aio_write(&r) == 0 && ended(&r) == (long)strlen(t);
	errno = 1234;
	if (bad != 3)
		emit_die("bad calls: %ld of 3 are as they should be", bad);
	return bad;
}

#define OP(name)                                                                                   \
	{                                                                                          \
#name, do_##name                                                                   \
	}

const struct emit_op emit_ops[] = {
	OP(aio_write),	  OP(aio_write64), OP(cancelled), OP(signal), OP(thread), OP(lio_listio),
	OP(lio_listio64), OP(lio_each),	   OP(fsync),	  OP(bad),    {0}};
