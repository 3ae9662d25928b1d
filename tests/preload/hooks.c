/* SPDX-License-Identifier: BSD-2-Clause */
/* The tests' way to the inside of the shim. */
#include "hooks.h"

#include "drop.h"
#include "escape.h"
#include "fds.h"
#include "signals.h"
#include "window.h"

void nfshim_test_window(int on)
{
	if (on)
		nf_window_open();
	else
		nf_window_close();
}

uint64_t nfshim_test_dropped(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < NF_FAMILIES; i++)
		sum += nf_drop_counts[i].dropped;
	return sum;
}

uint64_t nfshim_test_dropped_bytes(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < NF_FAMILIES; i++)
		sum += nf_drop_counts[i].bytes;
	return sum;
}

void nfshim_test_arm(const int *sweep)
{
	nf_signals_arm(sweep);
}

void nfshim_test_disarm(void)
{
	nf_signals_disarm();
}

bool nfshim_test_pending(void)
{
	return nf_signals_pending();
}

void nfshim_test_safe_point(void)
{
	nf_signals_safe_point();
}

void nfshim_test_on_terminate(void (*fn)(void))
{
	nf_signals_on_terminate = fn;
}

int nfshim_test_hide(int fd)
{
	return nf_fd_hide(fd);
}

void nfshim_test_unhide(int fd)
{
	nf_fd_unhide(fd);
}

const char *nfshim_test_unfit(void)
{
	nf_escape_look();
	return nf_escape_unfit();
}

bool nfshim_test_refuses_call(long nr, const long *x)
{
	return nf_escape_refuses_call(nr, x);
}
