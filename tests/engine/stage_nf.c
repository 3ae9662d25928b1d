/* SPDX-License-Identifier: BSD-2-Clause */
/* The NF as a child: start, stops, end. */
#include "stage_in.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t nf; /* 0: ended */
static int nf_status;

static void touch(const char *file)
{
	int fd = open(stage_path(file), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static const char *pause_file(unsigned packet, const char *suffix)
{
	static char name[64];

	snprintf(name, sizeof(name), "shim.nf.at.%u%s", packet, suffix);
	return name;
}

static void arm_pauses(const char *pauses)
{
	for (char *end; *pauses; pauses = *end ? end + 1 : end)
		touch(pause_file((unsigned)strtoul(pauses, &end, 10), ""));
}

static void redirect(int fd, const char *file)
{
	if (dup2(open(stage_path(file), O_WRONLY | O_CREAT | O_APPEND, 0600), fd) < 0)
		_exit(126);
}

void nf_start(const char *reader, int cnt, const char *pauses, const char *where)
{
	char number[16];

	arm_pauses(pauses);
	if (!where) {
		trace_write();
		where = stage_path("trace");
	}
	snprintf(number, sizeof(number), "%d", cnt);
	nf = fork();
	ck_assert_int_ge(nf, 0);
	if (nf)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails just ends */
	redirect(1, "output");
	redirect(2, "errors");
	setenv("NFSHIM_DIR", stage_dir, 1);
	setenv("NFSHIM_NAME", "nf", 1);
	setenv("NFSHIM_PAUSE_DIR", stage_dir, 1);
	if (*pauses)
		setenv("NFSHIM_PAUSE_AT", pauses, 1);
	setenv("LD_PRELOAD", stage_shim, 1);
	execl(stage_nf, stage_nf, stage_path("diary"), reader, number, where, (char *)NULL);
	_exit(127);
}

/* Why the NF ended, with what it said. */
static void died(int st)
{
	static char said[2000];
	int fd = open(stage_path("errors"), O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, said, sizeof(said) - 1);

	said[n > 0 ? n : 0] = 0;
	ck_abort_msg("the NF ended, %s %d: %s", WIFSIGNALED(st) ? "signal" : "exit code",
		     WIFSIGNALED(st) ? WTERMSIG(st) : WEXITSTATUS(st), said);
}

void nf_step(long end, const char *what, unsigned n)
{
	if (!nf)
		died(nf_status);
	if (now_ms() > end)
		ck_abort_msg("%s %u never came", what, n);
	if (waitpid(nf, &nf_status, WNOHANG) == nf)
		nf = 0;
	else
		usleep(500);
}

void nf_is_sent(int sig)
{
	ck_assert_int_eq(kill(nf, sig), 0);
}

void nf_reaches(unsigned packet)
{
	long end = now_ms() + PATIENCE_MS;

	while (access(stage_path(pause_file(packet, ".hit")), F_OK) < 0)
		nf_step(end, "the stop at packet", packet);
}

void nf_goes_on(unsigned packet)
{
	nf_reaches(packet);
	ck_assert_int_eq(unlink(stage_path(pause_file(packet, ""))), 0);
}

void nf_waits_in(unsigned packet)
{
	long end = now_ms() + PATIENCE_MS;

	for (;;) {
		for (unsigned i = 0; i < atomic_load(&play->used); i++)
			if (play->diary[i].event == PLAY_PACKET && play->diary[i].n == packet)
				return;
		nf_step(end, "packet", packet);
	}
}

static void wait_for(enum play_event event, unsigned n)
{
	long end = now_ms() + PATIENCE_MS;

	while (diary_count(event) < n)
		nf_step(end, "packet", n);
}

void nf_gets(unsigned packets)
{
	wait_for(PLAY_PACKET, packets);
}

void nf_gets_clones(unsigned clones)
{
	wait_for(PLAY_CLONE, clones);
}

void nf_lands(unsigned times)
{
	wait_for(PLAY_LANDED, times);
}

void nf_ends(void)
{
	long end = now_ms() + PATIENCE_MS;

	while (nf && waitpid(nf, &nf_status, WNOHANG) == 0) {
		if (now_ms() > end)
			ck_abort_msg("the NF does not end");
		usleep(500);
	}
	nf = 0;
	if (!WIFEXITED(nf_status) || WEXITSTATUS(nf_status))
		died(nf_status);
}
