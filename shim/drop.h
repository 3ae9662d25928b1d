/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the output families: is this call to be dropped, and count it. */
#ifndef NF_DROP_H
#define NF_DROP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/uio.h>

#include "fds.h"
#include "window.h"

static inline bool nf_drop_count(enum nf_family fam)
{
	atomic_fetch_add_explicit(&nf_dropped_calls[fam], 1, memory_order_relaxed);
	return true;
}

/* In the window, on a descriptor whose writes are output. */
static inline bool nf_drop_fd(enum nf_family fam, int fd)
{
	return nf_dropping() && nf_fd_is_output(fd) && nf_drop_count(fam);
}

/* A stream without a descriptor (open_memstream, fmemopen, cookies) is the NF's own memory. */
bool nf_file_is_output(FILE *f);

static inline bool nf_drop_file(FILE *f)
{
	return nf_dropping() && nf_file_is_output(f) && nf_drop_count(NF_FAM_STDIO);
}

static inline ssize_t nf_iov_len(const struct iovec *iov, size_t n)
{
	ssize_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (ssize_t)iov[i].iov_len;
	return sum;
}

#endif
