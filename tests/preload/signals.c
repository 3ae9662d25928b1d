/* SPDX-License-Identifier: BSD-2-Clause */
/* The NF's signal handlers: seen as its own, run outside the window, deferred while armed. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "check.h"

static volatile int ran[65], nested, deepest, was_window, value;
static volatile int terminate_before;
static volatile sig_atomic_t has_context;
static sigset_t mask_inside;
static FILE *out;

static void count(int sig)
{
	ran[sig]++;
}

static void other(int sig)
{
	ran[sig] += 100;
}

static void with_info(int sig, siginfo_t *si, void *context)
{
	ran[sig]++;
	value = si->si_value.sival_int;
	has_context = context != NULL && ((ucontext_t *)context)->uc_flags != ~0ul;
}

static void reset(void)
{
	memset((void *)ran, 0, sizeof(ran));
}

static struct sigaction asked(int sig)
{
	struct sigaction sa;

	memset(&sa, 0xff, sizeof(sa));
	CHECK(sigaction(sig, NULL, &sa) == 0);
	return sa;
}

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* siginterrupt, sigset */

static void own_handlers_are_seen(void)
{
	struct sigaction sa = {.sa_handler = other, .sa_flags = SA_NODEFER}, old;

	CHECK(signal(SIGUSR1, count) == SIG_DFL);
	CHECK(asked(SIGUSR1).sa_handler == count);
	CHECK(asked(SIGUSR1).sa_flags == SA_RESTART ||
	      asked(SIGUSR1).sa_flags == (SA_RESTART | 0x04000000));
	sigaddset(&sa.sa_mask, SIGHUP);
	CHECK(sigaction(SIGUSR1, &sa, &old) == 0 && old.sa_handler == count);
	CHECK(!(old.sa_flags & SA_SIGINFO));
	CHECK(sigaction(SIGUSR1, NULL, &old) == 0 && old.sa_handler == other);
	CHECK((old.sa_flags & SA_NODEFER) && !(old.sa_flags & SA_SIGINFO));
	CHECK(sigismember(&old.sa_mask, SIGHUP) == 1 && sigismember(&old.sa_mask, SIGTERM) == 0);
	CHECK(signal(SIGUSR1, SIG_IGN) == other);
	CHECK(signal(SIGUSR1, count) == SIG_IGN);
	CHECK(signal(SIGUSR1, SIG_DFL) == count && signal(SIGUSR1, SIG_DFL) == SIG_DFL);
	errno = 0;
	CHECK(signal(SIGKILL, count) == SIG_ERR && errno == EINVAL);
	CHECK(signal(999, count) == SIG_ERR && errno == EINVAL);
	/* libc's own ways in. */
	CHECK(signal(SIGUSR1, count) == SIG_DFL && siginterrupt(SIGUSR1, 1) == 0);
	raise(SIGUSR1);
	CHECK(ran[SIGUSR1] == 1 && asked(SIGUSR1).sa_handler == count);
	CHECK(sigset(SIGUSR1, SIG_DFL) == count || sigset(SIGUSR1, SIG_DFL) == SIG_DFL);
	CHECK(asked(SIGUSR1).sa_handler == SIG_DFL);
	reset();
}

static void at_once_when_idle(void)
{
	struct sigaction sa = {.sa_sigaction = with_info, .sa_flags = SA_SIGINFO};

	signal(SIGUSR1, count);
	raise(SIGUSR1);
	raise(SIGUSR1);
	CHECK(ran[SIGUSR1] == 2);
	CHECK(sigaction(SIGUSR2, &sa, NULL) == 0);
	sigqueue(getpid(), SIGUSR2, (union sigval){.sival_int = 77});
	CHECK(ran[SIGUSR2] == 1 && value == 77 && has_context);
	reset();
}

static void note_mask(int sig)
{
	ran[sig]++;
	sigprocmask(SIG_BLOCK, NULL, &mask_inside);
	nested++;
	if (nested > deepest)
		deepest = nested;
	if (ran[sig] == 1 && sig != SIGHUP) {
		raise(sig);
		raise(SIGHUP);
	}
	nested--;
}

static void masks_are_kept(bool armed)
{
	struct sigaction sa = {.sa_handler = note_mask};
	sigset_t now;

	sigaddset(&sa.sa_mask, SIGHUP);
	signal(SIGHUP, note_mask);
	CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
	deepest = 0;
	if (armed)
		nfshim_test_arm(NULL);
	raise(SIGUSR1);
	for (int i = 0; armed && i < 4; i++)
		nfshim_test_safe_point();
	CHECK(ran[SIGUSR1] == 2 && ran[SIGHUP] == 1 && deepest == 1);
	if (armed)
		nfshim_test_disarm();
	sigprocmask(SIG_BLOCK, NULL, &now);
	CHECK(!sigismember(&now, SIGUSR1) && !sigismember(&now, SIGHUP));
	reset();
	signal(SIGHUP, SIG_IGN);
	sa.sa_flags = SA_NODEFER;
	sigemptyset(&sa.sa_mask);
	CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
	deepest = 0;
	raise(SIGUSR1);
	CHECK(ran[SIGUSR1] == 2 && deepest == 2 && !sigismember(&mask_inside, SIGUSR1));
	signal(SIGHUP, SIG_DFL);
	reset();
}

static void one_shot(void)
{
	struct sigaction sa = {.sa_handler = count, .sa_flags = (int)SA_RESETHAND};

	CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
	CHECK(asked(SIGUSR1).sa_flags & (int)SA_RESETHAND);
	raise(SIGUSR1);
	CHECK(ran[SIGUSR1] == 1 && asked(SIGUSR1).sa_handler == SIG_DFL);
	CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
	nfshim_test_arm(NULL);
	raise(SIGUSR1);
	CHECK(ran[SIGUSR1] == 1);
	nfshim_test_safe_point();
	CHECK(ran[SIGUSR1] == 2 && asked(SIGUSR1).sa_handler == SIG_DFL);
	nfshim_test_disarm();
	reset();
}

static void look_at_window(int sig)
{
	ran[sig]++;
	was_window = nfshim_reprocessing();
	fprintf(out, "from the handler\n");
	putc_unlocked('\n', out);
}

static void outside_the_window(void)
{
	struct sigaction sa = {.sa_handler = look_at_window};

	out = tmpfile();
	fputs("before\n", out);
	CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
	was_window = -1;
	nfshim_test_window(1);
	fputs("inside\n", out);
	raise(SIGUSR1);
	CHECK(nfshim_reprocessing());
	fputs("inside\n", out);
	nfshim_test_window(0);
	CHECK(was_window == 0);
	fflush(out);
	CHECK(ftell(out) == 7 + 17 + 1);
	fclose(out);
	signal(SIGUSR1, SIG_DFL);
	reset();
}

static void deferred_while_armed(void)
{
	const int sweeps[] = {SIGALRM, 0};
	struct sigaction sa = {.sa_sigaction = with_info, .sa_flags = SA_SIGINFO};

	signal(SIGUSR1, count);
	signal(SIGALRM, count);
	sigaction(SIGUSR2, &sa, NULL);
	nfshim_test_arm(sweeps);
	CHECK(!nfshim_test_pending());
	raise(SIGUSR1);
	raise(SIGUSR1);
	sigqueue(getpid(), SIGUSR2, (union sigval){.sival_int = 78});
	raise(SIGALRM);
	CHECK(ran[SIGUSR1] == 0 && ran[SIGUSR2] == 0 && ran[SIGALRM] == 0);
	CHECK(nfshim_test_pending());
	nfshim_test_safe_point();
	CHECK(ran[SIGUSR1] == 1 && ran[SIGUSR2] == 1 && ran[SIGALRM] == 0);
	CHECK(value == 78 && has_context);
	CHECK(!nfshim_test_pending()); /* a sweep does not count */
	raise(SIGALRM);
	CHECK(!nfshim_test_pending());
	nfshim_test_disarm();
	CHECK(ran[SIGALRM] == 1);
	raise(SIGALRM);
	CHECK(ran[SIGALRM] == 2 && ran[SIGUSR1] == 1);
	nfshim_test_arm(NULL);
	raise(SIGUSR1);
	nfshim_test_disarm();
	CHECK(ran[SIGUSR1] == 2);
	reset();
}

/* What the NF asked for last counts, as with a signal that was blocked. */
static void changed_while_deferred(void)
{
	signal(SIGUSR1, count);
	nfshim_test_arm(NULL);
	raise(SIGUSR1);
	signal(SIGUSR1, other);
	nfshim_test_safe_point();
	CHECK(ran[SIGUSR1] == 100);
	raise(SIGUSR1);
	signal(SIGUSR1, SIG_IGN);
	nfshim_test_safe_point();
	nfshim_test_disarm();
	signal(SIGUSR1, count);
	CHECK(ran[SIGUSR1] == 100);
	reset();
}

static void faults_are_not_deferred(void)
{
	signal(SIGSEGV, count);
	nfshim_test_arm(NULL);
	raise(SIGSEGV);
	CHECK(ran[SIGSEGV] == 1);
	nfshim_test_disarm();
	signal(SIGSEGV, SIG_DFL);
	reset();
}

static void on_terminate(void)
{
	terminate_before = ran[SIGTERM] == 0;
}

static void termination_is_told(void)
{
	nfshim_test_on_terminate(on_terminate);
	signal(SIGTERM, count);
	nfshim_test_arm(NULL);
	raise(SIGTERM);
	CHECK(ran[SIGTERM] == 0);
	nfshim_test_safe_point();
	CHECK(ran[SIGTERM] == 1 && terminate_before);
	nfshim_test_disarm();
	nfshim_test_on_terminate(NULL);
	reset();
}

/* A child has no safe points. */
static void forked_child(void)
{
	int status = -1;
	pid_t child;

	signal(SIGUSR1, count);
	nfshim_test_arm(NULL);
	child = fork();
	if (child == 0) {
		raise(SIGUSR1);
		_exit(ran[SIGUSR1] == 1 ? 0 : 1);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	nfshim_test_disarm();
	reset();
}

static volatile int go;

static void *woken(void *arg)
{
	(void)arg;
	while (!go)
		usleep(1000);
	raise(SIGUSR1); /* to this thread alone */
	return NULL;
}

/* Of another thread: nothing is lost, whichever thread runs it. */
static void other_threads(void)
{
	pthread_t t;

	signal(SIGUSR1, count);
	go = 0;
	CHECK(pthread_create(&t, NULL, woken, NULL) == 0);
	nfshim_test_arm(NULL);
	go = 1;
	pthread_join(t, NULL);
	nfshim_test_disarm();
	CHECK(ran[SIGUSR1] == 1);
	reset();
}

extern __sighandler_t __sysv_signal(int sig, __sighandler_t h);
extern __sighandler_t bsd_signal(int sig, __sighandler_t h);

static void old_names(void)
{
	CHECK(__sysv_signal(SIGUSR1, count) != SIG_ERR);
	raise(SIGUSR1);
	CHECK(ran[SIGUSR1] == 1 && asked(SIGUSR1).sa_handler == SIG_DFL);
	CHECK(sysv_signal(SIGUSR1, count) == SIG_DFL);
	CHECK(bsd_signal(SIGUSR1, other) == count);
	raise(SIGUSR1);
	CHECK(ran[SIGUSR1] == 101 && asked(SIGUSR1).sa_handler == other);
	signal(SIGUSR1, SIG_DFL);
	reset();
}

int main(void)
{
	check_preloaded();
	own_handlers_are_seen();
	at_once_when_idle();
	masks_are_kept(false);
	masks_are_kept(true);
	one_shot();
	outside_the_window();
	deferred_while_armed();
	changed_while_deferred();
	faults_are_not_deferred();
	termination_is_told();
	forked_child();
	other_threads();
	old_names();
	return failures != 0;
}
