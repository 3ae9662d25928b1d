/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket of an NF under the shim: hello, refusals, helpers that come and go, and what
 * NFs do to their process: daemonise, drop privileges, close everything, die. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

#define SKIP	    77
#define PATIENCE_MS 15000

static const char *shim, *nf_program;
static char dir[64], errors[96];
static struct sockaddr_un addr = {.sun_family = AF_UNIX};

static struct nf_msg msg;
static pid_t pids[16]; /* to be killed at the end */
static unsigned npids;
static int to_nf = -1, from_nf = -1;

/* ---- the NF ---- */

static void remember(pid_t pid)
{
	ck_assert_uint_lt(npids, 16);
	pids[npids++] = pid;
}

static pid_t start(const char *steps, const char *env)
{
	int in[2], out[2];
	pid_t pid;

	ck_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(open(errors, O_WRONLY | O_CREAT | O_APPEND, 0644), 2);
		if (env)
			putenv(strdup(env));
		setenv("NFSHIM_DIR", dir, 1);
		setenv("NFSHIM_NAME", "nf", 1);
		setenv("LD_PRELOAD", shim, 1);
		execl(nf_program, nf_program, steps, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	to_nf = in[1];
	from_nf = out[0];
	remember(pid);
	return pid;
}

static void go(void)
{
	ck_assert_int_eq(write(to_nf, "x", 1), 1);
}

/* The next pid that a 'p' step prints. */
static pid_t next_pid(void)
{
	struct pollfd p = {.fd = from_nf, .events = POLLIN};
	char line[32];
	size_t n = 0;

	do {
		ck_assert_int_eq(poll(&p, 1, PATIENCE_MS), 1);
		ck_assert_int_eq(read(from_nf, line + n, 1), 1);
	} while (line[n++] != '\n' && n < sizeof(line));
	remember(atoi(line));
	return pids[npids - 1];
}

static void reap(pid_t pid)
{
	int st;

	ck_assert_int_eq(waitpid(pid, &st, 0), pid);
	for (unsigned i = 0; i < npids; i++)
		if (pids[i] == pid)
			pids[i] = 0;
}

static void setup(void)
{
	strcpy(dir, "/tmp/check_rendezvous.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	chmod(dir, 0755);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/nf.sock", dir);
	snprintf(errors, sizeof(errors), "%s/errors", dir);
	/* Orphans (daemons) come to us, so that killing them can be waited for. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static void teardown(void)
{
	for (unsigned i = 0; i < npids; i++)
		if (pids[i])
			kill(pids[i], SIGKILL);
	for (unsigned i = 0; i < npids; i++)
		if (pids[i])
			waitpid(pids[i], NULL, 0);
	unlink(addr.sun_path);
	unlink(errors);
	rmdir(dir);
}

/* ---- the helper ---- */

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct nf_conn *dial(void)
{
	struct nf_conn *c = client_connect(dir, "nf", PATIENCE_MS);

	if (!c)
		ck_abort_msg("nobody listens on %s: %s", addr.sun_path, strerror(errno));
	return c;
}

/* Say hello and wait for the answer, in msg. */
static int say_hello(struct nf_conn *c, uint32_t version, enum nf_role role)
{
	return client_hello(c, version, role, "nf", &msg, PATIENCE_MS);
}

static bool try_link(struct client *h)
{
	h->conn = dial();
	if (say_hello(h->conn, NF_PROTO_VERSION, NF_ROLE_HELPER) || msg.type != NF_MSG_HELLO) {
		nf_conn_free(h->conn);
		return false;
	}
	ck_assert_int_eq(msg.hello.role, NF_ROLE_SHIM);
	ck_assert_str_eq(msg.hello.name, "nf");
	ck_assert_int_eq(client_take_rings(h), 0);
	return true;
}

/* As nfxfer does: again and again until it is let in. */
static void link_up(struct client *h)
{
	long end = now_ms() + PATIENCE_MS;

	while (!try_link(h)) {
		if (now_ms() > end)
			ck_abort_msg("not let in: %s",
				     msg.type == NF_MSG_REFUSED ? msg.text : "no answer");
		usleep(10000);
	}
}

static void ask(struct client *h)
{
	struct nf_msg m = {.type = NF_MSG_ASK};

	ck_assert_int_eq(nf_conn_send(h->conn, &m), 0);
	ck_assert_int_eq(nf_conn_recv_wait(h->conn, &msg, PATIENCE_MS), 0);
	ck_assert_int_eq(msg.type, NF_MSG_STATUS);
}

/* Wait until the status says that process @pid reads packets. */
static void wait_input(struct client *h, pid_t pid)
{
	long end = now_ms() + PATIENCE_MS;

	do {
		ask(h);
		if (msg.status.input && msg.status.pid == (uint32_t)pid)
			return;
		usleep(5000);
	} while (now_ms() < end);
	ck_abort_msg("status of %u (input %u), not of %d", msg.status.pid, msg.status.input, pid);
}

/* The next thing the connection says is that it is over. */
static void expect_eof(struct client *h)
{
	int rc;

	do {
		rc = nf_conn_recv_wait(h->conn, &msg, PATIENCE_MS);
	} while (rc == 0 && msg.type == NF_MSG_STATUS);
	ck_assert_int_eq(rc, -EPIPE);
}

static void expect_served(pid_t pid)
{
	struct client h;

	link_up(&h);
	wait_input(&h, pid);
	client_close(&h);
}

/* ---- hello ---- */

START_TEST(hello_and_status)
{
	pid_t pid = start("wowi", NULL);
	struct client h;
	struct stat st;

	link_up(&h);
	ask(&h);
	ck_assert_str_eq(msg.status.name, "nf");
	ck_assert_str_eq(msg.status.program, "rendezvous_nf");
	ck_assert_uint_eq(msg.status.pid, (uint32_t)pid);
	ck_assert_uint_eq(msg.status.input, 0);
	ck_assert_str_ne(msg.status.reason, "");
	ck_assert_int_eq(stat(addr.sun_path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	go();
	go();
	/* Unasked: the change is told. */
	ck_assert_int_eq(nf_conn_recv_wait(h.conn, &msg, PATIENCE_MS), 0);
	ck_assert_int_eq(msg.type, NF_MSG_STATUS);
	wait_input(&h, pid);
	client_close(&h);
}
END_TEST

static void expect_refused(uint32_t version, enum nf_role role, const char *word)
{
	struct nf_conn *c = dial();

	ck_assert_int_eq(say_hello(c, version, role), 0);
	ck_assert_int_eq(msg.type, NF_MSG_REFUSED);
	if (!strstr(msg.text, word))
		ck_abort_msg("the refusal does not say '%s': %s", word, msg.text);
	ck_assert_int_eq(nf_conn_recv_wait(c, &msg, PATIENCE_MS), -EPIPE);
	nf_conn_free(c);
}

START_TEST(refusals)
{
	struct nf_conn *c;
	struct client h;
	pid_t pid = start("oi", NULL);

	expect_refused(NF_PROTO_VERSION + 1, NF_ROLE_HELPER, "version 3");
	expect_refused(0, NF_ROLE_HELPER, "version");
	expect_refused(NF_PROTO_VERSION, NF_ROLE_PEER, "HELLO");
	c = dial(); /* no message of ours at all */
	ck_assert_int_eq(write(nf_conn_fd(c), "GET / HTTP/1.0\r\n\r\n", 18), 18);
	ck_assert_int_eq(nf_conn_recv_wait(c, &msg, PATIENCE_MS), -EPIPE);
	nf_conn_free(c);
	link_up(&h);
	expect_refused(NF_PROTO_VERSION, NF_ROLE_HELPER, "another nfxfer");
	wait_input(&h, pid); /* the first one is not disturbed */
	ck_assert_int_eq(write(nf_conn_fd(h.conn), "\377\377\377\377", 4), 4);
	expect_eof(&h); /* an oversized frame */
	client_close(&h);
	expect_served(pid);
}
END_TEST

START_TEST(other_users)
{
	pid_t child;
	int st;

	start("oi", NULL);
	nf_conn_free(dial());
	ck_assert_int_eq(chmod(addr.sun_path, 0666), 0); /* past the file mode: SO_PEERCRED */
	child = fork();
	if (child == 0) {
		struct nf_conn *c;

		if (setuid(65534))
			_exit(1);
		c = dial();
		_exit(nf_conn_recv_wait(c, &msg, PATIENCE_MS) || msg.type != NF_MSG_REFUSED ||
		      !strstr(msg.text, "may connect"));
	}
	ck_assert_int_eq(waitpid(child, &st, 0), child);
	ck_assert_int_eq(st, 0);
}
END_TEST

/* ---- helpers come and go ---- */

START_TEST(helper_comes_and_goes)
{
	static const char *const steps[] = {"w", "oi"}; /* before the input loop, and in it */
	pid_t pid = start(steps[_i], NULL);
	struct client h;

	for (int i = 0; i < 10; i++) {
		link_up(&h);
		if (_i)
			wait_input(&h, pid);
		client_close(&h); /* the NF is idle and has never looked at this link */
	}
}
END_TEST

START_TEST(helper_whose_link_was_used)
{
	pid_t pid = start("oi", NULL);
	struct client h;

	for (int i = 0; i < 10; i++) {
		struct nf_rec hdr, r = {.len = sizeof(r) + 3, .type = NF_REC_LIST};
		const uint8_t *payload;
		long end = now_ms() + PATIENCE_MS;
		int err;

		link_up(&h);
		wait_input(&h, pid);
		ck_assert_int_eq(client_push(&h, &r, "all"), 0);
		while (!nf_ring_peek(h.out, &hdr, &payload, &err) && now_ms() < end)
			usleep(1000);
		if (!nf_ring_peek(h.out, &hdr, &payload, &err))
			ck_abort_msg("the NF does not answer through the ring");
		client_close(&h);
	}
}
END_TEST

/* ---- what NFs do to their process ---- */

START_TEST(daemon_while_linked)
{
	static const char *const steps[] = {"wdpoi",   "wepoi",	 "wdopui", "weopui", "wdoprui",
					    "weoprui", "wdpxoi", "wddpoi", "wogdpi", "wogepui"};
	pid_t parent = start(steps[_i], NULL), child;
	struct client h;

	link_up(&h);
	go();
	child = next_pid();
	ck_assert_int_ne(child, parent);
	expect_eof(&h);
	client_close(&h);
	reap(parent);
	expect_served(child);
	expect_served(child);
}
END_TEST

START_TEST(privileges_and_descriptors_gone)
{
	static const char *const steps[] = {"woui", "worui", "woi"};
	pid_t pid = start(steps[_i], NULL);
	struct client h;

	link_up(&h);
	go();
	wait_input(&h, pid);
	client_close(&h);
	expect_served(pid);
}
END_TEST

START_TEST(closes_all_before_input)
{
	pid_t pid = start("wxoi", NULL);
	struct client h;

	link_up(&h);
	go();
	wait_input(&h, pid);
	client_close(&h);
	expect_served(pid);
}
END_TEST

START_TEST(worker_outlives_the_nf)
{
	pid_t pid = start("wcoi", NULL), worker;
	struct client h;

	link_up(&h);
	go();
	worker = next_pid();
	wait_input(&h, pid); /* the worker did not take the name */
	kill(pid, SIGKILL);
	reap(pid);
	ck_assert_int_eq(kill(worker, 0), 0);
	expect_eof(&h);
	client_close(&h);
}
END_TEST

static const char *said(void)
{
	static char text[4096];
	int fd = open(errors, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n < 0 ? 0 : n] = 0;
	return text;
}

START_TEST(name_is_taken)
{
	pid_t first = start("oi", NULL), second;
	struct stat before, after;

	expect_served(first);
	ck_assert_int_eq(stat(addr.sun_path, &before), 0);
	close(to_nf);
	second = start("", NULL);
	reap(second);
	ck_assert_ptr_nonnull(strstr(said(), "inert: cannot open the control socket"));
	/* ends as if without the shim, and leaves the name alone */
	ck_assert_int_eq(stat(addr.sun_path, &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	expect_served(first);
}
END_TEST

/* Programs that the NF starts inherit its environment. They are not the NF, and nobody needs to be
 * told; but one that reads packets was meant to be it. */
START_TEST(programs_of_the_nf)
{
	pid_t pid = start("kwnoi", NULL), child;
	long end = now_ms() + PATIENCE_MS;
	char words[64];

	go();
	child = next_pid();
	ck_assert_int_ne(child, pid);
	snprintf(words, sizeof(words), "process %d, which started", (int)pid);
	while (!strstr(said(), words) && now_ms() < end)
		usleep(5000);
	ck_assert_ptr_nonnull(strstr(said(), words));
	ck_assert_ptr_null(strstr(strstr(said(), "inert:") + 1, "inert:"));
	expect_served(pid);
}
END_TEST

START_TEST(killed_and_started_again)
{
	pid_t pid = start("oi", NULL);

	expect_served(pid);
	kill(pid, SIGKILL);
	reap(pid);
	ck_assert_int_eq(access(addr.sun_path, F_OK), 0); /* stale */
	close(to_nf);
	pid = start("woi", NULL);
	go();
	expect_served(pid);
}
END_TEST

START_TEST(end_removes_the_name)
{
	pid_t pid = start("w", NULL);
	struct client h;

	link_up(&h);
	go();
	expect_eof(&h);
	client_close(&h);
	reap(pid);
	ck_assert_int_lt(access(addr.sun_path, F_OK), 0);
	start("pw", "NFSHIM_OFF=1");
	next_pid();
	ck_assert_int_lt(access(addr.sun_path, F_OK), 0);
}
END_TEST

/* ---- what can be seen of it from outside ---- */

static void read_proc(char *buf, size_t n, const char *fmt, int pid, const char *what,
		      const char *file)
{
	char path[600];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), fmt, pid, what, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? -1 : read(fd, buf, n - 1);
	ck_assert_int_ge(got, 0);
	buf[got] = 0;
	close(fd);
}

START_TEST(thread_and_descriptors)
{
	pid_t pid = start("oi", NULL);
	char path[64], text[4096];
	unsigned found = 0, fds = 0;
	struct client h;
	struct dirent *e;
	DIR *d;

	link_up(&h);
	wait_input(&h, pid);
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	while ((e = readdir(d))) {
		if (*e->d_name == '.' || atoi(e->d_name) == pid)
			continue;
		read_proc(text, sizeof(text), "/proc/%d/task/%s/%s", pid, e->d_name, "comm");
		ck_assert_str_eq(text, "nfshim\n");
		read_proc(text, sizeof(text), "/proc/%d/task/%s/%s", pid, e->d_name, "status");
		/* all but KILL, STOP and the two of the C library */
		ck_assert_ptr_nonnull(strstr(text, "SigBlk:\tfffffffe7ffbfeff"));
		found++;
	}
	closedir(d);
	ck_assert_uint_eq(found, 1);
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	while ((e = readdir(d))) {
		if (*e->d_name == '.' || atoi(e->d_name) < 512)
			continue;
		read_proc(text, sizeof(text), "/proc/%d/fdinfo/%s%s", pid, e->d_name, "");
		ck_assert(strtoul(strstr(text, "flags:") + 6, NULL, 8) & O_CLOEXEC);
		fds++;
	}
	closedir(d);
	ck_assert_uint_eq(fds, 5); /* listener, doorbell, connection, two rings */
	client_close(&h);
}
END_TEST

/* ---- main ---- */

static bool own_loopback(void)
{
	struct ifreq r = {.ifr_name = "lo"};
	int fd, rc;

	if (unshare(CLONE_NEWNET))
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	r.ifr_flags = IFF_UP;
	rc = ioctl(fd, SIOCSIFFLAGS, &r);
	close(fd);
	return rc == 0;
}

static void add_tests(TCase *t)
{
	tcase_add_test(t, hello_and_status);
	tcase_add_test(t, refusals);
	tcase_add_test(t, other_users);
	tcase_add_loop_test(t, helper_comes_and_goes, 0, 2);
	tcase_add_test(t, helper_whose_link_was_used);
	tcase_add_loop_test(t, daemon_while_linked, 0, 10);
	tcase_add_loop_test(t, privileges_and_descriptors_gone, 0, 3);
	tcase_add_test(t, closes_all_before_input);
	tcase_add_test(t, worker_outlives_the_nf);
	tcase_add_test(t, name_is_taken);
	tcase_add_test(t, programs_of_the_nf);
	tcase_add_test(t, killed_and_started_again);
	tcase_add_test(t, end_removes_the_name);
	tcase_add_test(t, thread_and_descriptors);
}

int main(int argc, char **argv)
{
	Suite *s = suite_create("rendezvous");
	TCase *t = tcase_create("rendezvous");
	SRunner *r;
	int failed;

	if (argc != 3) {
		fprintf(stderr, "usage: check_rendezvous LIBNFSHIM NF\n");
		return 2;
	}
	if (geteuid() != 0 || !own_loopback()) {
		fprintf(stderr, "skipped: needs root\n");
		return SKIP;
	}
	shim = argv[1];
	nf_program = argv[2];
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
