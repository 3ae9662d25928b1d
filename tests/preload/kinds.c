/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kinds of descriptors and streams: in the window, what the NF says to itself
 * goes through, and what it says to the world does not.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <pthread.h>
#include <pty.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static char got[64];

/* Bytes that can be read from @fd without waiting, also left in got[]. */
static ssize_t arrived(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	ssize_t n;

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	n = read(fd, got, sizeof(got));
	fcntl(fd, F_SETFL, flags);
	return n < 0 ? 0 : n;
}

static ssize_t say(int fd)
{
	ssize_t n;

	nfshim_test_window(1);
	n = write(fd, "12345678", 8);
	nfshim_test_window(0);
	return n;
}

static void to_itself(void)
{
	int p[2], s[2], e = eventfd(0, 0), m = memfd_create("m", 0);

	CHECK(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK(say(p[1]) == 8 && arrived(p[0]) == 8);
	CHECK(say(s[0]) == 8 && arrived(s[1]) == 8);
	CHECK(say(e) == 8 && arrived(e) == 8);
	CHECK(say(m) == 8 && lseek(m, 0, SEEK_END) == 8);
	nfshim_test_window(1);
	CHECK(send(s[0], "x", 1, 0) == 1 && dprintf(s[0], "yz") == 2);
	nfshim_test_window(0);
	CHECK(arrived(s[1]) == 3);
	close(p[0]), close(p[1]), close(s[0]), close(s[1]), close(e), close(m);
}

/* Asking the kernel is not output: the answer is waited for. */
static void to_the_kernel(void)
{
	struct {
		struct nlmsghdr h;
		struct rtgenmsg g;
	} ask = {.h = {.nlmsg_len = sizeof(ask),
		       .nlmsg_type = RTM_GETLINK,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	nfshim_test_window(1);
	CHECK(send(fd, &ask, sizeof(ask), 0) == sizeof(ask));
	nfshim_test_window(0);
	CHECK(arrived(fd) > 0);
	close(fd);
}

static void to_the_world(const char *where)
{
	char name[64];
	int file, master, slave, fifo;
	struct stat st;

	snprintf(name, sizeof(name), "%s/nfshim-kinds-XXXXXX", where);
	file = mkstemp(name);
	CHECK(openpty(&master, &slave, NULL, NULL, NULL) == 0);
	CHECK(say(file) == 8 && fstat(file, &st) == 0 && st.st_size == 0);
	CHECK(say(slave) == 8 && arrived(master) == 0);
	unlink(name);
	CHECK(say(file) == 8 && fstat(file, &st) == 0 && st.st_size == 0);
	CHECK(mkfifo(name, 0600) == 0);
	fifo = open(name, O_RDWR);
	CHECK(say(fifo) == 8 && arrived(fifo) == 0);
	unlink(name);
	close(file), close(master), close(slave), close(fifo);
}

/* Standard output that is a pipe has a reader elsewhere, under any number. */
static void piped_stdout(void)
{
	int p[2], keep = dup(STDOUT_FILENO), twin;

	CHECK(pipe(p) == 0);
	dup2(p[1], STDOUT_FILENO);
	twin = dup(STDOUT_FILENO);
	CHECK(say(STDOUT_FILENO) == 8 && arrived(p[0]) == 0);
	CHECK(say(twin) == 8 && arrived(p[0]) == 0);
	dup2(keep, STDOUT_FILENO);
	close(keep), close(twin), close(p[0]), close(p[1]);
}

/* A number that is used again is looked at again. */
static void used_again(void)
{
	char name[] = "/tmp/nfshim-kinds-XXXXXX";
	int file = mkstemp(name), e = eventfd(0, 0), p[2];
	struct stat st;

	CHECK(say(e) == 8 && say(file) == 8);
	CHECK(dup2(file, e) == e && say(e) == 8);
	CHECK(fstat(file, &st) == 0 && st.st_size == 0);
	CHECK(pipe(p) == 0 && dup2(p[1], file) == file);
	CHECK(say(file) == 8 && arrived(p[0]) == 8);
	unlink(name);
	close(file), close(e), close(p[0]), close(p[1]);
}

/* Also within one window. */
static void changed_inside(void)
{
	char name[] = "/tmp/nfshim-kinds-XXXXXX";
	int p[2], fd = mkstemp(name), twin;
	FILE *f = fdopen(dup(fd), "w");
	struct stat st;

	nfshim_test_window(1);
	CHECK(write(fd, "x", 1) == 1 && fputs("y", f) >= 0);
	CHECK(pipe(p) == 0);
	twin = fileno(f);
	fclose(f);
	CHECK(dup(p[1]) == twin && write(twin, "pipe", 4) == 4);
	close(fd);
	CHECK(dup(p[1]) == fd && write(fd, "again", 5) == 5);
	CHECK(close(fd) == 0 && write(fd, "z", 1) < 0 && errno == EBADF);
	nfshim_test_window(0);
	CHECK(arrived(p[0]) == 9);
	CHECK(stat(name, &st) == 0 && st.st_size == 0);
	unlink(name);
	close(p[0]), close(p[1]), close(twin);
}

static void streams(void)
{
	char *text = NULL, fixed[16] = "";
	size_t len = 0;
	FILE *mem = open_memstream(&text, &len), *fix = fmemopen(fixed, sizeof(fixed), "w");
	FILE *null = fopen("/dev/null", "r"), *self;
	int p[2];

	CHECK(pipe(p) == 0);
	self = fdopen(p[1], "w");
	nfshim_test_window(1);
	fprintf(mem, "%d", 42);
	putc_unlocked('!', mem);
	fputs("abc", fix);
	CHECK(fputs("x", null) == EOF && errno == EBADF);
	for (const char *s = "wake"; *s; s++)
		putc_unlocked(*s, self);
	fputs("-up", self);
	fflush(NULL);
	fflush(mem), fflush(fix), fflush(self);
	nfshim_test_window(0);
	CHECK(len == 3 && !strcmp(text, "42!"));
	CHECK(!strcmp(fixed, "abc"));
	CHECK(arrived(p[0]) == 7 && !memcmp(got, "wake-up", 7));
	fclose(mem), fclose(fix), fclose(null), fclose(self);
	close(p[0]);
	free(text);
}

static FILE *shared;

static void *other_thread(void *arg)
{
	(void)arg;
	CHECK(!nfshim_reprocessing());
	for (int i = 0; i < 100; i++)
		fputs("from another thread\n", shared);
	return NULL;
}

/* The window is one thread's; what others print into the same stream stays. */
static void threads(void)
{
	char name[] = "/tmp/nfshim-kinds-XXXXXX";
	int fd = mkstemp(name);
	pthread_t t;
	struct stat st;

	unlink(name);
	shared = fdopen(fd, "w");
	for (int i = 0; i < 3; i++) {
		fputs("before\n", shared);
		nfshim_test_window(1);
		putc_unlocked('x', shared);
		CHECK(nfshim_reprocessing());
		CHECK(pthread_create(&t, NULL, other_thread, NULL) == 0);
		pthread_join(t, NULL);
		fputs("inside\n", shared);
		nfshim_test_window(0);
	}
	fflush(shared);
	CHECK(fstat(fd, &st) == 0 && st.st_size == 3 * (7 + 100 * 20));
	fclose(shared);
}

/* A window opened twice (a longjmp out of a callback) and closed once. */
static void opened_twice(void)
{
	char name[] = "/tmp/nfshim-kinds-XXXXXX";
	int fd = mkstemp(name);
	FILE *f = fdopen(fd, "w");
	struct stat st;

	unlink(name);
	fputs("before\n", f);
	nfshim_test_window(1);
	putc_unlocked('x', f);
	nfshim_test_window(1);
	putc_unlocked('y', f);
	nfshim_test_window(0);
	CHECK(!nfshim_reprocessing());
	fputs("after\n", f);
	fflush(f);
	CHECK(fstat(fd, &st) == 0 && st.st_size == 13);
	fclose(f);
}

static int written_by_child(int fd)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0)
		_exit(write(fd, "child", 5) != 5);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	return (int)lseek(fd, 0, SEEK_END);
}

static void *fork_there(void *fd)
{
	return (void *)(intptr_t)written_by_child((int)(intptr_t)fd);
}

/* A child is about what the thread that forks it is about. */
static void forks(void)
{
	char name[] = "/tmp/nfshim-kinds-XXXXXX";
	int fd = mkstemp(name);
	void *size = NULL;
	pthread_t t;

	unlink(name);
	nfshim_test_window(1);
	CHECK(written_by_child(fd) == 0);
	CHECK(pthread_create(&t, NULL, fork_there, (void *)(intptr_t)fd) == 0);
	pthread_join(t, &size);
	nfshim_test_window(0);
	CHECK((intptr_t)size == 5);
	CHECK(written_by_child(fd) == 10);
	close(fd);
}

int main(void)
{
	check_preloaded();
	to_itself();
	to_the_kernel();
	to_the_world("/tmp");
	to_the_world("/dev/shm"); /* a tmpfs: its files can be sealed like memfds */
	piped_stdout();
	used_again();
	changed_inside();
	streams();
	threads();
	opened_twice();
	forks();
	return failures != 0;
}
