/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NF's signal handlers. Idle: they run at once, with the window saved and
 * cleared around them. Armed (a move is on in this packet thread; other threads:
 * in any): they run at the next safe point, and those of the sweep signals wait
 * until disarmed.
 */
#ifndef NF_SIGNALS_H
#define NF_SIGNALS_H

#include <stdbool.h>

/* @sweep: 0-terminated, borrowed, may be NULL. */
void nf_signals_arm(const int *sweep);
void nf_signals_disarm(void);  /* runs what waited */
bool nf_signals_pending(void); /* a handler (not of a sweep signal) waits */
/* Run the handlers that wait, sweep signals excepted. At a safe point only. */
void nf_signals_safe_point(void);
/* Signals that came to this thread so far. Would the kernel start a call again that the latest
 * one interrupted? */
unsigned nf_signals_came(void);
bool nf_signals_restart(void);

/* Called before a deferred handler of TERM, INT or QUIT runs. */
extern void (*nf_signals_on_terminate)(void);

#endif
