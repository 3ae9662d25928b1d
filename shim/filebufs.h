/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libstdc++'s file streams at the window's edges. Characters enter a filebuf's
 * put area inline while there is room, as they do a FILE's buffer (window.c).
 * So in the window a filebuf has none either.
 *
 * A filebuf is known from its first output on, and is the thread's that wrote
 * to it last: only that thread's window touches it.
 */
#ifndef NF_FILEBUFS_H
#define NF_FILEBUFS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* std::__basic_file<char> and the head of std::basic_filebuf: private to libstdc++ but fixed by
 * its ABI, since programs hold such objects and inline what moves these pointers. */
struct nf_basic_file {
	FILE *file; /* NULL: not open */
	bool created;
};

struct nf_filebuf {
	const void *vtable;
	char *get, *get_cur, *get_end;
	char *put, *put_cur, *put_end;
	const void *locale;
	pthread_mutex_t lock;
	struct nf_basic_file file;
};

/* What this thread wrote to since owners last changed. Its address names the thread. */
#define NF_FILEBUFS_RECENT 16 /* power of two */
struct nf_filebufs_recent {
	unsigned at;
	const struct nf_filebuf *fb[NF_FILEBUFS_RECENT];
};
extern __thread struct nf_filebufs_recent nf_filebufs_recent
	__attribute__((tls_model("initial-exec")));
extern _Atomic unsigned nf_filebufs_changes;

static inline const struct nf_filebuf **nf_filebufs_slot(const struct nf_filebuf *fb)
{
	return &nf_filebufs_recent.fb[(uintptr_t)fb / 64 % NF_FILEBUFS_RECENT];
}

/* Make @fb this thread's. */
void nf_filebuf_claim(struct nf_filebuf *fb);

/* This thread writes to @fb, or has it in hand. */
static inline void nf_filebuf_used(struct nf_filebuf *fb)
{
	if (__builtin_expect(*nf_filebufs_slot(fb) != fb ||
				     nf_filebufs_recent.at !=
					     atomic_load_explicit(&nf_filebufs_changes,
								  memory_order_acquire),
			     0))
		nf_filebuf_claim(fb);
}

/* As above, in the window: leave it no room. */
void nf_filebuf_close_up(struct nf_filebuf *fb);
/* @fb is no more. */
void nf_filebuf_gone(struct nf_filebuf *fb);

extern _Atomic bool nf_filebufs_some; /* one was ever known */
void nf_filebufs_take_room(void);
void nf_filebufs_give_room(void);

static inline void nf_filebufs_window_opens(void)
{
	if (atomic_load_explicit(&nf_filebufs_some, memory_order_relaxed))
		nf_filebufs_take_room();
}

static inline void nf_filebufs_window_closed(void)
{
	if (atomic_load_explicit(&nf_filebufs_some, memory_order_relaxed))
		nf_filebufs_give_room();
}

#endif
