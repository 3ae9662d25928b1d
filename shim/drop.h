/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the output families ask: is this call to be dropped? A family drops in
 * two steps, `if (nf_drop_fd(NF_FN_write, fd)) return nf_dropped(NF_FN_write, n);`
 * since some only know afterwards how much it was.
 */
#ifndef NF_DROP_H
#define NF_DROP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "outputs.h"
#include "window.h"

enum nf_family {
	NF_FAM_PACKET,
	NF_FAM_SOCKET,
	NF_FAM_FD,
	NF_FAM_STDIO,
	NF_FAM_SYSLOG,
	NF_FAM_CXX,
	NF_FAM_IPC,
	NF_FAM_AIO,
	NF_FAM_PROCESS,
	NF_FAM_FILE,
	NF_FAMILIES,
};

enum nf_family nf_fn_family(enum nf_fn fn);
const char *nf_family_text(enum nf_family f, char *text); /* as nf_fn_family_text */

/* Calls in windows, those of them that were dropped, and how many bytes these had. Several
 * threads may have a window: relaxed atomics. */
struct nf_drop_count {
	_Atomic uint64_t calls, dropped, bytes;
};
extern struct nf_drop_count nf_drop_counts[NF_FAMILIES];

/* The counts, for the helper. */
struct nf_msg_status;
void nf_drop_report(struct nf_msg_status *s);

/* In a window only. */
bool nf_drop_ask_fd(enum nf_fn fn, int fd);
bool nf_drop_ask_file(enum nf_fn fn, FILE *f);
bool nf_drop_ask(enum nf_fn fn);
bool nf_drop_ask_name(enum nf_fn fn, int at, const char *name, bool follow);

/* To be dropped: a call that would write to @fd? */
static inline bool nf_drop_fd(enum nf_fn fn, int fd)
{
	return nf_dropping() && nf_drop_ask_fd(fn, fd);
}

/* … to a stream? One without a descriptor (open_memstream, fmemopen, cookies) is the NF's own
 * memory. */
static inline bool nf_drop_file(enum nf_fn fn, FILE *f)
{
	return nf_dropping() && nf_drop_ask_file(fn, f);
}

/* … to something that is no descriptor of the NF's? */
static inline bool nf_drop_call(enum nf_fn fn)
{
	return nf_dropping() && nf_drop_ask(fn);
}

/* … that would take the content of the file @name away? If so it is to be opened for appending;
 * counts and traces by itself. */
bool nf_drop_truncation(enum nf_fn fn, int at, const char *name);

/* It was dropped, with @n bytes; returns @n. */
ssize_t nf_dropped(enum nf_fn fn, size_t n);
/* The same where the bytes are at hand, for the trace. */
ssize_t nf_dropped_data(enum nf_fn fn, const void *data, size_t n);

ssize_t nf_dropped_iov(enum nf_fn fn, const struct iovec *iov, size_t n);

static inline size_t nf_iov_len(const struct iovec *iov, size_t n)
{
	size_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += iov[i].iov_len;
	return sum;
}

#endif
