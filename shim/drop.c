/* SPDX-License-Identifier: BSD-2-Clause */
/* Is a call in the window to be dropped, and what was. */
#include "drop.h"

#include <errno.h>
#include <pthread.h>

#include "fds.h"

#define NO_WRITES 0x0008 /* libio's flag, private to glibc but fixed by its ABI */

struct nf_drop_count nf_drop_counts[NF_FAMILIES];

static const struct {
	const char *name;
	enum nf_family family;
} fns[] = {
#define FN(ret, name, params)
#define RF(ret, name, params)
#define OUT(fam, ret, name, params) {#name, NF_FAM_##fam},
#include "interpose.list"
#undef FN
#undef RF
#undef OUT
};

const char *nf_fn_name(enum nf_fn fn)
{
	return fns[fn].name;
}

enum nf_family nf_fn_family(enum nf_fn fn)
{
	return fns[fn].family;
}

static void add(_Atomic uint64_t *count, uint64_t n)
{
	atomic_fetch_add_explicit(count, n, memory_order_relaxed);
}

static bool decide(enum nf_fn fn, bool output)
{
	struct nf_drop_count *c = &nf_drop_counts[fns[fn].family];

	add(&c->calls, 1);
	if (output)
		add(&c->dropped, 1);
	return output;
}

/* Of the families that only may have some, none is one. */
static bool is_cancellation_point(enum nf_fn fn)
{
	return (fns[fn].family == NF_FAM_FD || fns[fn].family == NF_FAM_SOCKET) &&
	       fn != NF_FN_sendfile && fn != NF_FN_sendfile64;
}

bool nf_drop_ask_fd(enum nf_fn fn, int fd)
{
	bool drop = decide(fn, nf_fd_is_output(fd));

	if (drop && is_cancellation_point(fn))
		pthread_testcancel();
	return drop;
}

bool nf_drop_ask_file(enum nf_fn fn, FILE *f)
{
	int e = errno, fd = fileno_unlocked(f);

	errno = e;
	return decide(fn, fd >= 0 && !(f->_flags & NO_WRITES) && nf_fd_is_output(fd));
}

bool nf_drop_ask(enum nf_fn fn)
{
	return decide(fn, true);
}

ssize_t nf_dropped(enum nf_fn fn, size_t n)
{
	add(&nf_drop_counts[fns[fn].family].bytes, n);
	return (ssize_t)n;
}
