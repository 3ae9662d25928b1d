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

#include "real.h"
#include "window.h"

#define SIGNALS 65

static struct wrapped {
	struct sigaction nf; /* what the NF asked for */
	_Atomic bool on;     /* ours is installed */
	_Atomic bool waits;  /* deferred, to be run */
	siginfo_t info;
} table[SIGNALS];

static _Atomic bool armed;
static _Atomic bool some_wait;
static const int *sweeps;

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

static bool ends_process(int sig)
{
	return sig == SIGTERM || sig == SIGINT || sig == SIGQUIT;
}

static void call(int sig, siginfo_t *info, void *context)
{
	struct wrapped *w = &table[sig];
	struct sigaction nf = w->nf;
	int window = nf_window;

	if (nf.sa_flags & (int)SA_RESETHAND) {
		atomic_store(&w->on, false);
		nf_real.sigaction(sig, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
	}
	nf_window = 0;
	if (nf.sa_flags & SA_SIGINFO)
		nf.sa_sigaction(sig, info, context);
	else
		nf.sa_handler(sig);
	nf_window = window;
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	if (!atomic_load(&armed)) {
		call(sig, info, context);
		return;
	}
	table[sig].info = *info;
	atomic_store(&table[sig].waits, true);
	atomic_store(&some_wait, true);
}

static void run_deferred(int sig)
{
	struct wrapped *w = &table[sig];
	sigset_t mask = w->nf.sa_mask, old;

	if (!(w->nf.sa_flags & SA_NODEFER))
		sigaddset(&mask, sig);
	pthread_sigmask(SIG_BLOCK, &mask, &old);
	if (ends_process(sig) && nf_signals_on_terminate)
		nf_signals_on_terminate();
	call(sig, &w->info, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void run(bool sweeps_too)
{
	bool left = false;

	atomic_store(&some_wait, false);
	for (int sig = 1; sig < SIGNALS; sig++) {
		if (!atomic_load(&table[sig].waits))
			continue;
		if (!sweeps_too && is_sweep(sig)) {
			left = true;
			continue;
		}
		atomic_store(&table[sig].waits, false);
		if (atomic_load(&table[sig].on))
			run_deferred(sig);
	}
	if (left)
		atomic_store(&some_wait, true);
}

void nf_signals_arm(const int *sweep)
{
	sweeps = sweep;
	atomic_store(&armed, true);
}

void nf_signals_disarm(void)
{
	if (!atomic_exchange(&armed, false))
		return;
	if (atomic_load(&some_wait))
		run(true);
}

bool nf_signals_pending(void)
{
	return atomic_load_explicit(&some_wait, memory_order_relaxed);
}

void nf_signals_safe_point(void)
{
	run(false);
}

/* ---- what the NF calls ---- */

int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction before, ours;
	bool was_on;
	int rc;

	if (sig <= 0 || sig >= SIGNALS || is_fault(sig))
		return nf_real.sigaction(sig, act, old);
	was_on = atomic_load(&table[sig].on);
	before = table[sig].nf;
	if (!act) {
		rc = nf_real.sigaction(sig, NULL, old);
		if (rc == 0 && was_on && old)
			*old = before;
		return rc;
	}
	if (act->sa_handler == SIG_DFL || act->sa_handler == SIG_IGN) {
		rc = nf_real.sigaction(sig, act, old);
		if (rc == 0)
			atomic_store(&table[sig].on, false);
	} else {
		ours = *act;
		ours.sa_sigaction = on_signal;
		ours.sa_flags = (act->sa_flags | SA_SIGINFO) & ~(int)SA_RESETHAND;
		table[sig].nf = *act;
		atomic_store(&table[sig].on, true);
		rc = nf_real.sigaction(sig, &ours, old);
		if (rc < 0)
			atomic_store(&table[sig].on, was_on);
	}
	if (rc == 0 && was_on && old)
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
