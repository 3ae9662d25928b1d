/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NF's signal handlers stand behind one of ours. Faults are left alone:
 * they cannot be deferred, and belong to the NF.
 */
#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "real.h"
#include "window.h"

#define SIGNALS 65

static struct wrapped {
	struct sigaction nf; /* what the NF asked for */
	_Atomic bool on;     /* ours is installed */
	_Atomic bool waits;  /* deferred, to be run */
	siginfo_t info;
} table[SIGNALS];

static _Atomic pid_t armed;    /* the process, 0: idle; a child has no safe points */
static _Atomic bool some_wait; /* sweeps do not count */
static const int *sweeps;
static atomic_flag busy = ATOMIC_FLAG_INIT; /* table[].nf; held with all signals blocked */

static __thread unsigned came;
static __thread int latest;

void (*nf_signals_on_terminate)(void);

static bool is_fault(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL ||
	       sig == SIGTRAP || sig == SIGABRT || sig == SIGSYS;
}

static bool is_sweep(int sig)
{
	for (const int *s = sweeps; s && *s; s++)
		if (*s == sig)
			return true;
	return false;
}

static void lock(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, old);
	while (atomic_flag_test_and_set(&busy))
		;
}

static void unlock(const sigset_t *old)
{
	atomic_flag_clear(&busy);
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

static struct sigaction asked_for(int sig)
{
	struct sigaction nf;
	sigset_t old;

	lock(&old);
	nf = table[sig].nf;
	unlock(&old);
	return nf;
}

static bool ends_process(int sig)
{
	return sig == SIGTERM || sig == SIGINT || sig == SIGQUIT;
}

static void call(int sig, siginfo_t *info, void *context)
{
	struct sigaction nf = asked_for(sig);
	int window = nf_window;

	if (nf.sa_flags & (int)SA_RESETHAND) {
		atomic_store(&table[sig].on, false);
		nf_real.sigaction(sig, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
	}
	nf_window = 0;
	if (nf.sa_flags & SA_SIGINFO)
		nf.sa_sigaction(sig, info, context);
	else
		nf.sa_handler(sig);
	if (window)
		nf_window_open(); /* the handler may have made room in streams */
}

static bool is_armed(void)
{
	pid_t pid = atomic_load(&armed);

	return pid && pid == getpid();
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	struct wrapped *w = &table[sig];

	came++;
	latest = sig;
	if (!is_armed()) {
		call(sig, info, context);
		return;
	}
	w->info = *info;
	atomic_store(&w->waits, true);
	if (!is_sweep(sig))
		atomic_store(&some_wait, true);
	/* Disarmed by the packet thread meanwhile: has it seen this one? */
	if (!is_armed() && atomic_exchange(&w->waits, false))
		call(sig, info, context);
}

/* As the kernel delivers a signal that was blocked: to whoever is there now. */
static void run_deferred(int sig)
{
	struct sigaction nf = asked_for(sig);
	ucontext_t context = {0};
	sigset_t mask = nf.sa_mask;

	if (!atomic_load(&table[sig].on)) {
		if (nf_real.sigaction(sig, NULL, &nf) == 0 && nf.sa_handler == SIG_DFL)
			raise(sig);
		return;
	}
	if (!(nf.sa_flags & SA_NODEFER))
		sigaddset(&mask, sig);
	pthread_sigmask(SIG_BLOCK, &mask, &context.uc_sigmask);
	if (ends_process(sig) && nf_signals_on_terminate)
		nf_signals_on_terminate();
	call(sig, &table[sig].info, &context);
	pthread_sigmask(SIG_SETMASK, &context.uc_sigmask, NULL);
}

static void run(bool sweeps_too)
{
	atomic_store(&some_wait, false);
	for (int sig = 1; sig < SIGNALS; sig++)
		if ((sweeps_too || !is_sweep(sig)) && atomic_exchange(&table[sig].waits, false))
			run_deferred(sig);
}

void nf_signals_arm(const int *sweep)
{
	sweeps = sweep;
	atomic_store(&armed, getpid());
}

void nf_signals_disarm(void)
{
	if (atomic_exchange(&armed, 0))
		run(true);
}

bool nf_signals_pending(void)
{
	return atomic_load_explicit(&some_wait, memory_order_relaxed);
}

unsigned nf_signals_came(void)
{
	return came;
}

bool nf_signals_restart(void)
{
	struct sigaction now; /* siginterrupt() changes it behind our back */

	return nf_real.sigaction(latest, NULL, &now) == 0 && (now.sa_flags & (int)SA_RESTART);
}

void nf_signals_safe_point(void)
{
	run(false);
}

/* ---- what the NF calls ---- */

/* What the kernel has, as the NF is to see it. libc's own functions may have changed it. */
static void reveal(int sig, struct sigaction *sa)
{
	int restart = sa->sa_flags & SA_RESTART;

	if (!(sa->sa_flags & SA_SIGINFO) || sa->sa_sigaction != on_signal)
		return;
	*sa = table[sig].nf;
	sa->sa_flags = (sa->sa_flags & ~SA_RESTART) | restart; /* siginterrupt */
}

static int set(int sig, const struct sigaction *act, struct sigaction *old)
{
	bool handler = act->sa_handler != SIG_DFL && act->sa_handler != SIG_IGN;
	struct sigaction ours = *act;
	int rc;

	if (handler) {
		ours.sa_sigaction = on_signal;
		ours.sa_flags = (act->sa_flags | SA_SIGINFO) & ~(int)SA_RESETHAND;
	}
	rc = nf_real.sigaction(sig, &ours, old);
	if (rc < 0)
		return rc;
	reveal(sig, old);
	if (handler)
		table[sig].nf = *act;
	atomic_store(&table[sig].on, handler);
	return 0;
}

int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction before;
	sigset_t mask;
	int rc, e;

	if (sig <= 0 || sig >= SIGNALS || is_fault(sig))
		return nf_real.sigaction(sig, act, old);
	lock(&mask);
	if (act) {
		rc = set(sig, act, &before);
	} else {
		rc = nf_real.sigaction(sig, NULL, &before);
		if (rc == 0)
			reveal(sig, &before);
	}
	e = errno;
	unlock(&mask);
	errno = e;
	if (rc == 0 && old)
		*old = before;
	return rc;
}

static nf_handler install(int sig, nf_handler h, int flags)
{
	struct sigaction act = {.sa_handler = h, .sa_flags = flags}, old;

	sigemptyset(&act.sa_mask);
	if (sigaction(sig, &act, &old) < 0)
		return SIG_ERR;
	return old.sa_handler;
}

nf_handler signal(int sig, nf_handler h)
{
	return install(sig, h, SA_RESTART);
}

nf_handler bsd_signal(int sig, nf_handler h);
nf_handler __sysv_signal(int sig, nf_handler h);
nf_handler sysv_signal(int sig, nf_handler h);

nf_handler bsd_signal(int sig, nf_handler h)
{
	return install(sig, h, SA_RESTART);
}

nf_handler __sysv_signal(int sig, nf_handler h)
{
	return install(sig, h, (int)SA_RESETHAND | SA_NODEFER);
}

nf_handler sysv_signal(int sig, nf_handler h)
{
	return install(sig, h, (int)SA_RESETHAND | SA_NODEFER);
}
