/* SPDX-License-Identifier: BSD-2-Clause */
/* Output by message queues. What the kernel would refuse it is asked to refuse. */
#include <errno.h>
#include <limits.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>

#include "drop.h"
#include "real.h"

/* Too long for the queue, or a priority that there is not. */
static bool is_wrong(mqd_t q, size_t n, unsigned prio)
{
	struct mq_attr attr;
	int e = errno;
	bool wrong = prio >= (unsigned)sysconf(_SC_MQ_PRIO_MAX) || mq_getattr(q, &attr) < 0 ||
		     n > (size_t)attr.mq_msgsize;

	errno = e;
	return wrong;
}

int mq_send(mqd_t q, const char *msg, size_t n, unsigned prio)
{
	if (!nf_dropping() || is_wrong(q, n, prio) || !nf_drop_fd(NF_FN_mq_send, q))
		return nf_real.mq_send(q, msg, n, prio);
	nf_dropped(NF_FN_mq_send, n);
	return 0;
}

int mq_timedsend(mqd_t q, const char *msg, size_t n, unsigned prio, const struct timespec *until)
{
	if (!nf_dropping() || is_wrong(q, n, prio) || !nf_drop_fd(NF_FN_mq_timedsend, q))
		return nf_real.mq_timedsend(q, msg, n, prio, until);
	nf_dropped(NF_FN_mq_timedsend, n);
	return 0;
}

/* A queue that may be written to but not read cannot be asked about. */
static bool is_queue(int q)
{
	struct msqid_ds ds;
	int e = errno;
	bool there = msgctl(q, IPC_STAT, &ds) == 0 || errno == EACCES;

	errno = e;
	return there;
}

int msgsnd(int q, const void *msg, size_t n, int flags)
{
	const long *type = msg;

	if (!nf_dropping() || n > SSIZE_MAX || *type < 1 || !is_queue(q) ||
	    !nf_drop_call(NF_FN_msgsnd))
		return nf_real.msgsnd(q, msg, n, flags);
	nf_dropped(NF_FN_msgsnd, n);
	return 0;
}
