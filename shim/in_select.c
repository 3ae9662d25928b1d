/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waits by select. The doorbell may have a number that the NF's sets have no
 * room for, so the kernel gets sets of our own; the NF's are written as the
 * kernel would, whole words up to nfds, and not at all on errors.
 */
#include <limits.h>
#include <string.h>
#include <sys/select.h>

#include "in_pcap.h"
#include "in_wait.h"
#include "link.h"
#include "move.h"
#include "real.h"

#define WORD	  ((int)(CHAR_BIT * sizeof(unsigned long)))
#define WORDS	  64
#define SECOND_NS 1000000000

struct set {
	unsigned long word[WORDS];
};

struct select_wait {
	struct nf_wait w;
	int n;
	struct set asked[3], got[3]; /* to read, to write, exceptions */
	bool used[3];
};

static bool is_in(const struct set *s, int fd)
{
	return s->word[fd / WORD] >> (fd % WORD) & 1;
}

static void put(struct set *s, int fd)
{
	s->word[fd / WORD] |= 1ul << (fd % WORD);
}

static void take(struct set *s, int fd)
{
	s->word[fd / WORD] &= ~(1ul << (fd % WORD));
}

static size_t bytes(int n)
{
	return (size_t)((n + WORD - 1) / WORD) * sizeof(unsigned long);
}

static fd_set *got(struct select_wait *s, int i)
{
	return s->used[i] ? (fd_set *)&s->got[i] : NULL;
}

static int look(struct nf_wait *w, const struct timespec *t, const sigset_t *mask)
{
	struct select_wait *s = (struct select_wait *)w;
	int bell = nf_doorbell(), rc;

	memcpy(s->got, s->asked, sizeof(s->got));
	put(&s->got[0], bell);
	rc = nf_real.pselect(s->n > bell ? s->n : bell + 1, got(s, 0), got(s, 1), got(s, 2), t,
			     mask);
	if (rc <= 0 || !is_in(&s->got[0], bell))
		return rc;
	take(&s->got[0], bell);
	nf_wait_answer();
	return rc - 1;
}

static bool has(const struct nf_wait *w, int fd)
{
	const struct select_wait *s = (const struct select_wait *)w;

	for (int i = 0; i < s->n; i++)
		if (is_in(&s->asked[0], i) && nf_wait_leads_to(i, fd))
			return true;
	return false;
}

static int pretend(struct nf_wait *w, int fd, int rc)
{
	struct select_wait *s = (struct select_wait *)w;

	for (int i = 0; i < s->n; i++) {
		if (!is_in(&s->asked[0], i) || !nf_wait_leads_to(i, fd))
			continue;
		rc += !is_in(&s->got[0], i);
		put(&s->got[0], i);
	}
	return rc;
}

static int capture(int n, const fd_set *to_read)
{
	int fd = -1;

	for (int i = 0; i < n && fd < 0; i++)
		if (is_in((const struct set *)to_read, i))
			fd = nf_wait_capture(i);
	return fd;
}

static bool ours(int n, const fd_set *to_read)
{
	return nf_wait_mine() && !nf_wait_inside() && to_read && n > 0 && n <= WORDS * WORD &&
	       nf_input_begin(capture(n, to_read)) && nf_doorbell() < WORDS * WORD;
}

static int serve(int n, fd_set *const sets[3], int64_t ns, const sigset_t *mask)
{
	struct select_wait s = {.w = {.look = look, .has = has, .pretend = pretend}};
	int rc;

	s.w.mask = mask;
	s.w.ns = ns;
	s.n = n;
	for (int i = 0; i < 3; i++) {
		s.used[i] = sets[i] != NULL;
		if (!sets[i])
			continue;
		memcpy(&s.asked[i], sets[i], bytes(n));
		for (int fd = n; fd % WORD; fd++) /* more than the NF asks for */
			take(&s.asked[i], fd);
	}
	rc = nf_wait_serve(&s.w);
	for (int i = 0; rc >= 0 && i < 3; i++)
		if (sets[i])
			memcpy(sets[i], &s.got[i], bytes(n));
	return rc;
}

int select(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *t)
{
	uint64_t start;
	int64_t ns = NF_WAIT_FOREVER, left;
	int rc;

	if (!ours(n, r) || (t && (t->tv_sec < 0 || t->tv_usec < 0)))
		return nf_real.select(n, r, w, x, t);
	if (t && t->tv_sec < INT_MAX)
		ns = t->tv_sec * (int64_t)SECOND_NS + (int64_t)t->tv_usec * 1000;
	start = nf_now_ns();
	rc = serve(n, (fd_set *const[]){r, w, x}, ns, NULL);
	if (!t || ns == NF_WAIT_FOREVER)
		return rc;
	left = ns - (int64_t)(nf_now_ns() - start);
	left = left > 0 && rc ? left / 1000 : 0;
	*t = (struct timeval){left / 1000000, left % 1000000}; /* as Linux does */
	return rc;
}

int pselect(int n, fd_set *r, fd_set *w, fd_set *x, const struct timespec *t, const sigset_t *mask)
{
	int64_t ns;

	if (!ours(n, r) || !nf_wait_timespec(t, &ns))
		return nf_real.pselect(n, r, w, x, t, mask);
	return serve(n, (fd_set *const[]){r, w, x}, ns, mask);
}
