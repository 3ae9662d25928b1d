/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which file streams there are, and whose. Streams have no lock of their own:
 * what another thread writes to must not be touched, or its write pointer and
 * the end of its put area would part. A stream whose room is not given back is
 * in order too, it only flushes earlier.
 */
#include "filebufs.h"

#include <stdlib.h>

#define BUCKETS 256 /* power of two */

struct stream {
	struct stream *next, *chain; /* of all, of its bucket */
	struct nf_filebuf *fb;
	const void *owner;
	char *put, *put_end; /* the put area whose room was taken; put_end NULL: none */
};

_Atomic bool nf_filebufs_some;
__thread struct nf_filebufs_recent nf_filebufs_recent;
_Atomic unsigned nf_filebufs_changes = 1;

static struct stream *all, *buckets[BUCKETS];
/* Recursive, and links are set last: a signal handler in the window ends with its edge. */
static pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void lock(void)
{
	pthread_mutex_lock(&mutex);
}

static void unlock(void)
{
	pthread_mutex_unlock(&mutex);
}

static void in_child(void)
{
	mutex = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
}

static void at_fork(void)
{
	pthread_atfork(lock, unlock, in_child);
}

static unsigned hash(const struct nf_filebuf *fb)
{
	return (unsigned)((uintptr_t)fb >> 4 ^ (uintptr_t)fb >> 12);
}

static struct stream *find(const struct nf_filebuf *fb)
{
	struct stream *s = buckets[hash(fb) % BUCKETS];

	while (s && s->fb != fb)
		s = s->chain;
	return s;
}

static struct stream *add(struct nf_filebuf *fb)
{
	struct stream **bucket = &buckets[hash(fb) % BUCKETS];
	struct stream *s = malloc(sizeof(*s));

	if (!s)
		return NULL;
	*s = (struct stream){.next = all, .chain = *bucket, .fb = fb, .owner = &nf_filebufs_recent};
	*bucket = s;
	all = s;
	atomic_store(&nf_filebufs_some, true);
	return s;
}

static void change(void)
{
	atomic_fetch_add_explicit(&nf_filebufs_changes, 1, memory_order_release);
}

/* Make it this thread's. */
static struct stream *claim(struct nf_filebuf *fb)
{
	struct stream *s = find(fb);

	if (!s)
		return add(fb);
	if (s->owner != &nf_filebufs_recent) {
		s->owner = &nf_filebufs_recent;
		s->put_end = NULL;
		change();
	}
	return s;
}

static void take(struct stream *s)
{
	struct nf_filebuf *fb = s->fb;

	if (fb->put_cur >= fb->put_end)
		return;
	s->put = fb->put;
	s->put_end = fb->put_end;
	fb->put_end = fb->put_cur;
}

static void give(struct stream *s)
{
	struct nf_filebuf *fb = s->fb;

	if (s->put_end && fb->put == s->put && fb->put_end == fb->put_cur)
		fb->put_end = s->put_end;
	s->put_end = NULL;
}

void nf_filebuf_claim(struct nf_filebuf *fb)
{
	unsigned now = atomic_load_explicit(&nf_filebufs_changes, memory_order_acquire);

	if (nf_filebufs_recent.at != now)
		nf_filebufs_recent = (struct nf_filebufs_recent){.at = now};
	pthread_once(&once, at_fork);
	lock();
	if (claim(fb))
		*nf_filebufs_slot(fb) = fb;
	unlock();
}

void nf_filebuf_close_up(struct nf_filebuf *fb)
{
	struct stream *s;

	if (fb->put_cur >= fb->put_end)
		return;
	lock();
	s = claim(fb);
	if (s)
		take(s);
	unlock();
}

void nf_filebuf_gone(struct nf_filebuf *fb)
{
	struct stream *s, **at;

	if (!atomic_load_explicit(&nf_filebufs_some, memory_order_relaxed))
		return;
	lock();
	s = find(fb);
	if (s) {
		for (at = &buckets[hash(fb) % BUCKETS]; *at != s;)
			at = &(*at)->chain;
		*at = s->chain;
		for (at = &all; *at != s;)
			at = &(*at)->next;
		*at = s->next;
		change();
	}
	unlock();
	free(s);
}

static void each_of_mine(void (*fn)(struct stream *))
{
	lock();
	for (struct stream *s = all; s; s = s->next)
		if (s->owner == &nf_filebufs_recent)
			fn(s);
	unlock();
}

void nf_filebufs_take_room(void)
{
	each_of_mine(take);
}

void nf_filebufs_give_room(void)
{
	each_of_mine(give);
}
