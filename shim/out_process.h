/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs that the NF starts, and the pipes to those that run. */
#ifndef NF_OUT_PROCESS_H
#define NF_OUT_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/* Does the pipe with this inode lead to a program that popen started? */
bool nf_popen_has(ino_t pipe);

#endif
