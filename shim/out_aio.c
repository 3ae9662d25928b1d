/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output by asynchronous writes. A dropped one is complete when the call
 * returns: aio_error, aio_return and aio_suspend see that in the request, and
 * who asked for it is told. Earlier requests go on in threads of glibc's own.
 */
#include <aio.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "drop.h"
#include "real.h"

#define PRIO_MAX 20 /* AIO_PRIO_DELTA_MAX of glibc */

struct notice {
	void (*fn)(union sigval);
	union sigval value;
};

static void *notify(void *arg)
{
	struct notice n = *(struct notice *)arg;
	sigset_t none;

	free(arg);
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	n.fn(n.value);
	return NULL;
}

static void tell_thread(const struct sigevent *ev)
{
	pthread_attr_t own, *attr = ev->sigev_notify_attributes;
	struct notice *n = malloc(sizeof(*n));
	sigset_t all, old;
	pthread_t t;

	if (!n)
		return;
	*n = (struct notice){ev->sigev_notify_function, ev->sigev_value};
	pthread_attr_init(&own);
	pthread_attr_setdetachstate(&own, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&t, attr ? attr : &own, notify, n) != 0)
		free(n);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&own);
}

static void tell(const struct sigevent *ev)
{
	int e = errno;

	if (ev->sigev_notify == SIGEV_THREAD) {
		tell_thread(ev);
	} else if (ev->sigev_notify == SIGEV_SIGNAL) {
		siginfo_t info = {.si_signo = ev->sigev_signo, .si_code = SI_ASYNCIO};

		info.si_pid = getpid();
		info.si_uid = getuid();
		info.si_value = ev->sigev_value;
		nf_real.syscall(SYS_rt_sigqueueinfo, getpid(), ev->sigev_signo, &info);
	}
	errno = e;
}

#define DROP(drops, complete, request)                                                             \
	static bool drops(enum nf_fn fn, const struct request *r)                                  \
	{                                                                                          \
		return nf_dropping() && r->aio_reqprio >= 0 && r->aio_reqprio <= PRIO_MAX &&       \
		       r->aio_offset >= 0 && nf_drop_fd(fn, r->aio_fildes);                        \
	}                                                                                          \
                                                                                                   \
	static void complete(enum nf_fn fn, struct request *r)                                     \
	{                                                                                          \
		r->__return_value = nf_dropped(fn, r->aio_nbytes);                                 \
		__atomic_store_n(&r->__error_code, 0, __ATOMIC_RELEASE);                           \
		tell(&r->aio_sigevent);                                                            \
	}

DROP(drops, complete, aiocb)
DROP(drops64, complete64, aiocb64)

int aio_write(struct aiocb *r)
{
	if (!drops(NF_FN_aio_write, r))
		return nf_real.aio_write(r);
	complete(NF_FN_aio_write, r);
	return 0;
}

int aio_write64(struct aiocb64 *r)
{
	if (!drops64(NF_FN_aio_write64, r))
		return nf_real.aio_write64(r);
	complete64(NF_FN_aio_write64, r);
	return 0;
}

/* The others of a list stay, those that are dropped leave gaps, which is allowed. */
#define LIST(name, request, drops, complete)                                                       \
	int name(int mode, struct request *const list[], int n, struct sigevent *ev)               \
	{                                                                                          \
		struct request **rest;                                                             \
		int rc;                                                                            \
                                                                                                   \
		if (!nf_dropping() || (mode != LIO_WAIT && mode != LIO_NOWAIT) || n <= 0 ||        \
		    !(rest = malloc((size_t)n * sizeof(*rest))))                                   \
			return nf_real.name(mode, list, n, ev);                                    \
		memcpy(rest, list, (size_t)n * sizeof(*rest));                                     \
		for (int i = 0; i < n; i++) {                                                      \
			if (!rest[i] || rest[i]->aio_lio_opcode != LIO_WRITE ||                    \
			    !drops(NF_FN_##name, rest[i]))                                         \
				continue;                                                          \
			complete(NF_FN_##name, rest[i]);                                           \
			rest[i] = NULL;                                                            \
		}                                                                                  \
		rc = nf_real.name(mode, rest, n, ev);                                              \
		free(rest);                                                                        \
		return rc;                                                                         \
	}

LIST(lio_listio, aiocb, drops, complete)
LIST(lio_listio64, aiocb64, drops64, complete64)
