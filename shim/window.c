/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The window's edges.
 *
 * putc_unlocked and its kin are inlined: at -O2 text enters a FILE's buffer
 * without any call. So the write pointer of every open FILE is noted when the
 * window opens and put back when it closes; in between, __overflow (called when
 * the buffer is full), fflush and fclose put it back first, so that text from
 * before the window is written and text from inside is not.
 */
#include "window.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "drop.h"
#include "nfshim.h"
#include "real.h"

#define MAX_FILES 64

__thread int nf_window;
_Atomic uint64_t nf_dropped_calls[NF_FAMILIES];

/* glibc's list of open streams and its lock. */
extern FILE *_IO_list_all;
void _IO_list_lock(void);
void _IO_list_unlock(void);

struct noted {
	FILE *f;
	char *base, *ptr;
};

static __thread struct noted noted[MAX_FILES];
static __thread unsigned n_noted;

__attribute__((visibility("default"))) bool nfshim_reprocessing(void)
{
	return nf_window != 0;
}

bool nf_file_is_output(FILE *f)
{
	int e = errno, fd = fileno_unlocked(f);

	errno = e;
	return fd >= 0 && nf_fd_is_output(fd);
}

void nf_window_open(void)
{
	n_noted = 0;
	_IO_list_lock();
	for (FILE *f = _IO_list_all; f && n_noted < MAX_FILES; f = f->_chain)
		if (f->_mode <= 0)
			noted[n_noted++] = (struct noted){f, f->_IO_write_base, f->_IO_write_ptr};
	_IO_list_unlock();
	nf_window = 1;
}

/* Forget what was put into @n's buffer since it was noted. */
static void put_back(struct noted *n)
{
	FILE *f = n->f;

	if (f && f->_IO_write_base == n->base && f->_IO_write_ptr > n->ptr && n->ptr &&
	    nf_file_is_output(f))
		f->_IO_write_ptr = n->ptr;
}

void nf_window_close(void)
{
	nf_window = 0;
	for (unsigned i = 0; i < n_noted; i++)
		put_back(&noted[i]);
	n_noted = 0;
}

static struct noted *find(const FILE *f)
{
	for (unsigned i = 0; i < n_noted; i++)
		if (noted[i].f == f)
			return &noted[i];
	return NULL;
}

static void note_again(struct noted *n)
{
	n->base = n->f->_IO_write_base;
	n->ptr = n->f->_IO_write_ptr;
}

int __overflow(FILE *f, int c)
{
	struct noted *n;

	if (!nf_drop_file(f))
		return nf_real.__overflow(f, c);
	n = find(f);
	if (n)
		put_back(n);
	return (unsigned char)c;
}

int __woverflow(FILE *f, wint_t c)
{
	if (!nf_drop_file(f))
		return (int)nf_real.__woverflow(f, c);
	return (int)c;
}

static int flush(FILE *f, int (*real)(FILE *))
{
	int rc;

	if (!nf_dropping())
		return real(f);
	for (unsigned i = 0; i < n_noted; i++)
		if (!f || noted[i].f == f)
			put_back(&noted[i]);
	rc = real(f);
	for (unsigned i = 0; i < n_noted; i++)
		if (noted[i].f && (!f || noted[i].f == f))
			note_again(&noted[i]);
	return rc;
}

int fflush(FILE *f)
{
	return flush(f, nf_real.fflush);
}

int fflush_unlocked(FILE *f)
{
	return flush(f, nf_real.fflush_unlocked);
}

int fclose(FILE *f)
{
	struct noted *n = nf_dropping() ? find(f) : NULL;

	if (n) {
		put_back(n);
		n->f = NULL;
	}
	return nf_real.fclose(f);
}
