/* SPDX-License-Identifier: BSD-2-Clause */
/* What the library of the tests exports on top of the shim's own names. */
#ifndef NF_TEST_HOOKS_H
#define NF_TEST_HOOKS_H

#include <stdbool.h>
#include <stdint.h>

#define HOOK __attribute__((weak, visibility("default")))

HOOK void nfshim_test_window(int on);
HOOK uint64_t nfshim_test_dropped(void); /* calls, all families */
HOOK uint64_t nfshim_test_dropped_bytes(void);
HOOK void nfshim_test_arm(const int *sweep);
HOOK void nfshim_test_disarm(void);
HOOK bool nfshim_test_pending(void);
HOOK void nfshim_test_safe_point(void);
HOOK void nfshim_test_on_terminate(void (*fn)(void));
HOOK int nfshim_test_hide(int fd);
HOOK void nfshim_test_unhide(int fd);
/* Looks at what the process has. */
HOOK const char *nfshim_test_unfit(void);
HOOK bool nfshim_reprocessing(void);

#endif
