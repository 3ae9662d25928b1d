/* SPDX-License-Identifier: BSD-2-Clause */
/* Leaving a function by a C++ exception. */
#ifndef NF_TESTS_LEAVE_H
#define NF_TESTS_LEAVE_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

void leave_by_throw(void) __attribute__((noreturn));
/* *@rc = @call(@arg); false: it was left. */
bool leave_catch(int (*call)(int), int arg, int *rc);

#ifdef __cplusplus
}
#endif
#endif
