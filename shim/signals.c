/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NF's signal handlers stand behind one of ours. Faults are left alone:
 * they cannot be deferred, and belong to the NF.
 *
 * A handler that hits a packet thread waits for a safe point of this thread,
 * whose state it is about; one that hits any other thread, for that of any
 * packet thread, and sweeps among these until no thread is armed.
 */
#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "real.h"
#include "threads.h"
#include "window.h"

#define SIGNALS	  65
#define ELSEWHERE (1u << NF_THREADS)

static struct wrapped {
	struct sigaction nf;	/* what the NF asked for */
	_Atomic bool on;	/* ours is installed */
	_Atomic uint32_t waits; /* deferred, to be run: bit of the packet thread, or ELSEWHERE */
	siginfo_t info;
} table[SIGNALS];

static _Atomic pid_t armed; /* the process that last was; a child has no safe points */
static _Atomic unsigned armed_threads;
static __thread bool armed_here;
static _Atomic uint32_t some_wait; /* the same bits; sweeps do not count */
static const int *_Atomic sweeps;
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

	if (!pid || pid != getpid())
		return false;
	return nf_thread ? armed_here : atomic_load(&armed_threads) != 0;
}

static uint32_t bit(void)
{
	return nf_thread ? 1u << (nf_thread - nf_threads) : ELSEWHERE;
}

static bool take(_Atomic uint32_t *waits, uint32_t bits)
{
	return atomic_fetch_and(waits, ~bits) & bits;
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
	atomic_fetch_or(&w->waits, bit());
	if (!is_sweep(sig))
		atomic_fetch_or(&some_wait, bit());
	/* Disarmed by a packet thread meanwhile: has it seen this one? */
	if (!is_armed() && take(&w->waits, bit()))
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

static void run(uint32_t bits, uint32_t sweep_bits)
{
	atomic_fetch_and(&some_wait, ~bits);
	for (int sig = 1; sig < SIGNALS; sig++)
		if (take(&table[sig].waits, is_sweep(sig) ? sweep_bits : bits))
			run_deferred(sig);
}

void nf_signals_arm(const int *sweep)
{
	sweeps = sweep;
	armed_here = true;
	if (atomic_exchange(&armed, getpid()) != getpid())
		atomic_store(&armed_threads, 0);
	atomic_fetch_add(&armed_threads, 1);
}

void nf_signals_disarm(void)
{
	uint32_t bits = bit();

	if (!armed_here)
		return;
	armed_here = false;
	if (atomic_fetch_sub(&armed_threads, 1) == 1)
		bits |= ELSEWHERE;
	run(bits, bits);
}

bool nf_signals_pending(void)
{
	return atomic_load_explicit(&some_wait, memory_order_relaxed) & (bit() | ELSEWHERE);
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
	run(bit() | ELSEWHERE, 0);
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
