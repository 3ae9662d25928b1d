/* SPDX-License-Identifier: BSD-2-Clause */
/* Message queues of both kinds, read by this program itself. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <unistd.h>

#include "emit.h"

#define TEXT 128

struct message {
	long type;
	char text[TEXT];
};

static mqd_t mq;
static int sysv, log_fd;

const unsigned emit_variants = 1;

void emit_setup(unsigned v)
{
	struct mq_attr attr = {.mq_maxmsg = 8, .mq_msgsize = TEXT};
	char name[64];

	(void)v;
	snprintf(name, sizeof(name), "/nfshim-test.%d", getpid());
	(void)unshare(CLONE_NEWIPC); /* where it is allowed, no queue outlives this program */
	mq = mq_open(name, O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK, 0600, &attr);
	mq_unlink(name);
	sysv = msgget(IPC_PRIVATE, 0600);
	log_fd = open("received", O_CREAT | O_WRONLY, 0600);
	if (mq < 0 || sysv < 0 || log_fd < 0)
		emit_die("no queues: %s", strerror(errno));
}

static void keep(const char *text, ssize_t n)
{
	if (write(log_fd, text, (size_t)n) != n)
		emit_die("cannot write the results");
}

void emit_settle(void)
{
	struct message m;
	ssize_t n;

	while ((n = mq_receive(mq, m.text, TEXT, NULL)) >= 0)
		keep(m.text, n);
	while ((n = msgrcv(sysv, &m, TEXT, 0, IPC_NOWAIT)) >= 0)
		keep(m.text, n);
}

void emit_finish(void)
{
	emit_settle();
	msgctl(sysv, IPC_RMID, NULL);
}

static long do_mq_send(const char *t)
{
	return mq_send(mq, t, strlen(t), 1);
}

static long do_mq_timedsend(const char *t)
{
	static const struct timespec past = {0};

	return mq_timedsend(mq, t, strlen(t), 1, &past);
}

/* A full queue says nothing in the window: none of these is in it. */
static long do_mq_many(const char *t)
{
	long rc = 0;

	for (int i = 0; i < 8; i++)
		rc += mq_send(mq, t, strlen(t), 0);
	return rc;
}

static long do_msgsnd(const char *t)
{
	struct message m = {.type = 1};

	strcpy(m.text, t);
	return msgsnd(sysv, &m, strlen(t), IPC_NOWAIT);
}

static long do_bad(const char *t)
{
	static const char big[TEXT + 1];
	struct message m = {.type = 0};
	long bad = 0;

	mq_send(mq, t, strlen(t), 0);
	bad += mq_send(1000, t, 1, 0) < 0 && errno == EBADF;
	bad += mq_send(mq, big, sizeof(big), 0) < 0 && errno == EMSGSIZE;
	bad += mq_send(mq, t, 1, 1u << 31) < 0 && errno == EINVAL;
	bad += msgsnd(sysv, &m, 1, 0) < 0 && errno == EINVAL;
	m.type = 1;
	bad += msgsnd(-1, &m, 1, 0) < 0 && errno == EINVAL;
	errno = 1234;
	if (bad != 5)
		emit_die("bad calls: %ld of 5 are refused", bad);
	return bad;
}

#define OP(name)                                                                                   \
	{                                                                                          \
#name, do_##name                                                                   \
	}

const struct emit_op emit_ops[] = {OP(mq_send), OP(mq_timedsend), OP(mq_many),
				   OP(msgsnd),	OP(bad),	  {0}};
