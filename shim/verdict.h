/* SPDX-License-Identifier: BSD-2-Clause */
/* What the output policy says of functions, descriptors and names. */
#ifndef NF_VERDICT_H
#define NF_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#include "policy.h"

/* From the constructor: the policy of @file instead of what is built in. 0 or -errno, with a
 * sentence in @err; what is built in stays. */
int nf_verdict_init(const char *file, char *err, size_t n);

enum nf_verdict nf_verdict_fn(enum nf_fn fn); /* may be UNSAID */
enum nf_verdict nf_verdict_kind(enum nf_kind k);
/* Of @fd by the path of its file, else by its kind. */
enum nf_verdict nf_verdict_fd(int fd, enum nf_kind k);
/* Of a call on @name in the directory @at; @follow: on what a symbolic link of that name leads to.
 */
enum nf_verdict nf_verdict_at(int at, const char *name, bool follow);

/* The kernel's name of @fd; false if it does not tell. */
bool nf_fd_name(int fd, char *name, size_t n);

#endif
