/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cancellation points stay what they are: in the window each function acts on
 * a cancellation that is pending exactly if it does so outside.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "check.h"

ssize_t __write(int fd, const void *buf, size_t n);
ssize_t __pwrite64(int fd, const void *buf, size_t n, off64_t off);
ssize_t __send(int fd, const void *buf, size_t n, int flags);

static int file, source, fifo, udp, feed[2];
static struct iovec one = {(void *)"text", 4};
static struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1};
static struct mmsghdr messages = {.msg_hdr = {.msg_iov = &one, .msg_iovlen = 1}};

#define CALL(name, expression)                                                                     \
	static void do_##name(void)                                                                \
	{                                                                                          \
		off64_t off = 0;                                                                   \
                                                                                                   \
		(void)off;                                                                         \
		(void)!(expression);                                                               \
	}

CALL(write, write(file, "text", 4))
CALL(__write, __write(file, "text", 4))
CALL(pwrite, pwrite(file, "text", 4, 0))
CALL(pwrite64, pwrite64(file, "text", 4, 0))
CALL(__pwrite64, __pwrite64(file, "text", 4, 0))
CALL(writev, writev(file, &one, 1))
CALL(pwritev, pwritev(file, &one, 1, 0))
CALL(pwritev64, pwritev64(file, &one, 1, 0))
CALL(pwritev2, pwritev2(file, &one, 1, 0, 0))
CALL(pwritev64v2, pwritev64v2(file, &one, 1, 0, 0))
CALL(send, send(udp, "text", 4, 0))
CALL(__send, __send(udp, "text", 4, 0))
CALL(sendto, sendto(udp, "text", 4, 0, NULL, 0))
CALL(sendmsg, sendmsg(udp, &message, 0))
CALL(sendmmsg, sendmmsg(udp, &messages, 1, 0))
CALL(sendfile, sendfile(file, source, &off, 4))
CALL(sendfile64, sendfile64(file, source, &off, 4))
CALL(copy_file_range, copy_file_range(source, &off, file, NULL, 4, 0))
CALL(splice, splice(source, &off, fifo, NULL, 4, 0))
CALL(tee, tee(feed[0], fifo, 4, 0))
CALL(vmsplice, vmsplice(fifo, &one, 1, 0))

#define ENTRY(name)                                                                                \
	{                                                                                          \
#name, do_##name                                                                   \
	}
static const struct call {
	const char *name;
	void (*make)(void);
} calls[] = {ENTRY(write),	ENTRY(__write),		ENTRY(pwrite),	 ENTRY(pwrite64),
	     ENTRY(__pwrite64), ENTRY(writev),		ENTRY(pwritev),	 ENTRY(pwritev64),
	     ENTRY(pwritev2),	ENTRY(pwritev64v2),	ENTRY(send),	 ENTRY(__send),
	     ENTRY(sendto),	ENTRY(sendmsg),		ENTRY(sendmmsg), ENTRY(sendfile),
	     ENTRY(sendfile64), ENTRY(copy_file_range), ENTRY(splice),	 ENTRY(tee),
	     ENTRY(vmsplice)};

static bool window;
static bool enabled;

/* NULL: it went on. */
static void *thread(void *arg)
{
	const struct call *c = arg;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_cancel(pthread_self());
	nfshim_test_window(window);
	if (enabled)
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	c->make();
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	nfshim_test_window(0);
	return NULL;
}

static bool is_cancelled(const struct call *c, bool in_window, bool may)
{
	void *rc = NULL;
	pthread_t t;

	window = in_window;
	enabled = may;
	CHECK(pthread_create(&t, NULL, thread, (void *)c) == 0 && pthread_join(t, &rc) == 0);
	return rc == PTHREAD_CANCELED;
}

static void open_all(void)
{
	char name[] = "/tmp/nfshim-cancel-XXXXXX", other[] = "/tmp/nfshim-cancel-XXXXXX";

	file = mkstemp(name);
	unlink(name);
	source = mkstemp(other);
	unlink(other);
	CHECK(write(source, "source text", 11) == 11 && pipe(feed) == 0);
	CHECK(write(feed[1], "pipe text", 9) == 9);
	CHECK(mkfifo(name, 0600) == 0);
	fifo = open(name, O_RDWR | O_NONBLOCK);
	unlink(name);
	udp = socket(AF_INET, SOCK_DGRAM, 0); /* not connected: nothing is sent */
	CHECK(file >= 0 && source >= 0 && fifo >= 0 && udp >= 0);
}

int main(void)
{
	unsigned points = 0;

	check_preloaded();
	open_all();
	for (unsigned i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		bool point = is_cancelled(&calls[i], false, true);

		points += point;
		if (is_cancelled(&calls[i], true, true) == point &&
		    !is_cancelled(&calls[i], true, false))
			continue;
		fprintf(stderr, "%s: %s cancellation point outside the window only\n",
			calls[i].name, point ? "a" : "no");
		failures++;
	}
	CHECK(points > 10 && points < sizeof(calls) / sizeof(*calls));
	return failures != 0;
}
