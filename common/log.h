/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages for people: "nfxfer[ids1] warning: …" on standard error. */
#ifndef NF_LOG_H
#define NF_LOG_H

#include <sys/types.h>

enum nf_log_level { NF_LOG_ERR, NF_LOG_WARN, NF_LOG_INFO, NF_LOG_DEBUG };

/* Name that starts each line; borrowed for ever. Level: from $NFSHIM_LOG (err…debug). */
void nf_log_init(const char *who);
void nf_log(enum nf_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Where lines go: write(2) of the C library, unless the program says otherwise. */
extern ssize_t (*nf_log_write)(int fd, const void *line, size_t n);

#define nf_err(...)   nf_log(NF_LOG_ERR, __VA_ARGS__)
#define nf_warn(...)  nf_log(NF_LOG_WARN, __VA_ARGS__)
#define nf_info(...)  nf_log(NF_LOG_INFO, __VA_ARGS__)
#define nf_debug(...) nf_log(NF_LOG_DEBUG, __VA_ARGS__)

#endif
