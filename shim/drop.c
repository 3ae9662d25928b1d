/* SPDX-License-Identifier: BSD-2-Clause */
/* Is a call in the window to be dropped, and what was. */
#include "drop.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "fds.h"
#include "msg.h"
#include "trace.h"
#include "verdict.h"

#define NO_WRITES 0x0008 /* libio's flag, private to glibc but fixed by its ABI */

struct nf_drop_count nf_drop_counts[NF_FAMILIES];

static const enum nf_family families[] = {
#define FN(ret, name, params)
#define RF(ret, name, params)
#define OUT(fam, ret, name, params) NF_FAM_##fam,
#include "interpose.list"
#undef FN
#undef RF
#undef OUT
};

enum nf_family nf_fn_family(enum nf_fn fn)
{
	return families[fn];
}

const char *nf_family_text(enum nf_family f, char *text)
{
	unsigned fn = 0;

	while (fn < NF_FNS - 1 && families[fn] != f)
		fn++;
	return nf_fn_family_text((enum nf_fn)fn, text);
}

void nf_drop_report(struct nf_msg_status *s)
{
	_Static_assert(NF_FAMILIES <= NF_FAMILIES_MAX, "a STATUS has room for all");
	_Static_assert(NF_FAMILY_TEXT <= sizeof(s->drops[0].family), "… and their names");
	for (unsigned f = 0; f < NF_FAMILIES; f++) {
		struct nf_drop_count *c = &nf_drop_counts[f];
		struct nf_msg_drops *d = &s->drops[f];

		nf_family_text((enum nf_family)f, d->family);
		d->calls = atomic_load_explicit(&c->calls, memory_order_relaxed);
		d->dropped = atomic_load_explicit(&c->dropped, memory_order_relaxed);
		d->bytes = atomic_load_explicit(&c->bytes, memory_order_relaxed);
	}
	s->families = NF_FAMILIES;
}

static void add(_Atomic uint64_t *count, uint64_t n)
{
	atomic_fetch_add_explicit(count, n, memory_order_relaxed);
}

/* What the policy says of the function goes before @says, that of the descriptor or name. */
static bool decide(enum nf_fn fn, enum nf_verdict says)
{
	struct nf_drop_count *c = &nf_drop_counts[families[fn]];
	enum nf_verdict own = nf_verdict_fn(fn);
	bool drop = says != NF_UNSAID && (own ? own : says) == NF_DROP;

	add(&c->calls, 1);
	if (drop)
		add(&c->dropped, 1);
	return drop;
}

/* Of the families that only may have some, none is one. */
static bool is_cancellation_point(enum nf_fn fn)
{
	return (families[fn] == NF_FAM_FD || families[fn] == NF_FAM_SOCKET) &&
	       fn != NF_FN_sendfile && fn != NF_FN_sendfile64;
}

bool nf_drop_ask_fd(enum nf_fn fn, int fd)
{
	bool drop = decide(fn, nf_fd_verdict(fd));

	if (drop && is_cancellation_point(fn))
		pthread_testcancel();
	if (drop && nf_trace_on)
		nf_trace_fd(fd);
	return drop;
}

bool nf_drop_ask_file(enum nf_fn fn, FILE *f)
{
	int e = errno, fd = fileno_unlocked(f);

	errno = e;
	if (fd >= 0 && !(f->_flags & NO_WRITES))
		return nf_drop_ask_fd(fn, fd);
	return decide(fn, NF_UNSAID);
}

bool nf_drop_ask(enum nf_fn fn)
{
	bool drop = decide(fn, nf_verdict_kind(NF_KIND_NONE));

	if (drop && nf_trace_on)
		nf_trace_fd(-1);
	return drop;
}

bool nf_drop_ask_name(enum nf_fn fn, int at, const char *name, bool follow)
{
	bool drop = decide(fn, nf_verdict_at(at, name, follow));

	if (drop && nf_trace_on)
		nf_trace_name(name);
	return drop;
}

ssize_t nf_dropped_data(enum nf_fn fn, const void *data, size_t n)
{
	add(&nf_drop_counts[families[fn]].bytes, n);
	if (nf_trace_on)
		nf_trace_drop(fn, data, n);
	return (ssize_t)n;
}

ssize_t nf_dropped(enum nf_fn fn, size_t n)
{
	return nf_dropped_data(fn, NULL, n);
}

static const char *first_bytes(char *text, const struct iovec *iov, size_t n)
{
	size_t at = 0, len;

	for (size_t i = 0; i < n && at < NF_TRACE_TEXT; i++) {
		len = iov[i].iov_len < NF_TRACE_TEXT - at ? iov[i].iov_len : NF_TRACE_TEXT - at;
		memcpy(text + at, iov[i].iov_base, len);
		at += len;
	}
	return text;
}

ssize_t nf_dropped_iov(enum nf_fn fn, const struct iovec *iov, size_t n)
{
	char text[NF_TRACE_TEXT];

	return nf_dropped_data(fn, nf_trace_on ? first_bytes(text, iov, n) : NULL,
			       nf_iov_len(iov, n));
}
