/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks of programs that judge themselves; a failure is told on standard error. */
#ifndef NF_CHECK_H
#define NF_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#include "hooks.h"

static int failures;

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			if (nfshim_reprocessing())                                                 \
				nfshim_test_window(0);                                             \
			fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__, __LINE__, __func__,   \
				#cond);                                                            \
			failures++;                                                                \
		}                                                                                  \
	} while (0)

static inline void check_preloaded(void)
{
	if (!nfshim_test_window) {
		fprintf(stderr, "the library of the tests is not preloaded\n");
		exit(2);
	}
}

#endif
