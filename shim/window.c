/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The window's edges.
 *
 * putc_unlocked and its kin are inlined: at -O2 text enters a FILE's buffer
 * without any call, as long as there is room between its write pointer and
 * the end of its put area. So, while the window is open, no stream has room:
 * the end is set to the write pointer. Each such character then comes to
 * __overflow, which is ours. What stood in the buffer before is untouched and
 * may be flushed by anything at any time, and so may what other threads print
 * meanwhile: glibc flushes a full buffer and goes on. The room that this makes
 * in a stream is taken again when the reprocessing thread locks it, as it must
 * to share it. The last window that closes gives it back.
 *
 * Nothing is remembered: of a fully buffered stream in put mode, the end of
 * the put area is the end of the buffer.
 */
#include "window.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "drop.h"
#include "fds.h"
#include "filebufs.h"
#include "nfshim.h"
#include "real.h"
#include "threads.h"

/* libio's flags, private to glibc but fixed by its ABI. */
#define UNBUFFERED	  0x0002
#define LINE_BUFFERED	  0x0200
#define CURRENTLY_PUTTING 0x0800

__thread int nf_window;

/* glibc's list of open streams and its lock. */
extern FILE *_IO_list_all;
void _IO_list_lock(void);
void _IO_list_unlock(void);

__attribute__((visibility("default"))) bool nfshim_reprocessing(void)
{
	return nf_window != 0;
}

/* A byte stream with a descriptor that is being written to. */
static bool is_putting(const FILE *f)
{
	return (f->_flags & CURRENTLY_PUTTING) && f->_mode <= 0 && f->_fileno >= 0;
}

static void take_room(FILE *f)
{
	if (is_putting(f) && f->_IO_write_ptr < f->_IO_write_end)
		f->_IO_write_end = f->_IO_write_ptr;
}

static void give_room(FILE *f)
{
	if (is_putting(f) && !(f->_flags & (LINE_BUFFERED | UNBUFFERED)))
		f->_IO_write_end = f->_IO_buf_end;
}

/* A stream that another thread holds is left alone: waiting for it could take for ever. */
static void each_stream(void (*fn)(FILE *))
{
	_IO_list_lock();
	for (FILE *f = _IO_list_all; f; f = f->_chain) {
		if (!is_putting(f) || nf_real.ftrylockfile(f) != 0)
			continue;
		fn(f);
		funlockfile(f);
	}
	_IO_list_unlock();
}

void nf_window_open(void)
{
	nf_fds_forget();
	each_stream(take_room);
	nf_filebufs_window_opens();
	nf_window = 1;
	if (nf_thread)
		nf_thread->window = true;
}

void nf_window_close(void)
{
	nf_window = 0;
	if (nf_thread)
		nf_thread->window = false;
	if (!nf_threads_in_window())
		each_stream(give_room);
	nf_filebufs_window_closed();
}

/* A flush makes room. */
static inline int flushed(int rc)
{
	if (nf_dropping())
		each_stream(take_room);
	return rc;
}

/* So does other threads' output to the same stream. */
void flockfile(FILE *f)
{
	nf_real.flockfile(f);
	if (nf_dropping())
		take_room(f);
}

int ftrylockfile(FILE *f)
{
	int rc = nf_real.ftrylockfile(f);

	if (rc == 0 && nf_dropping())
		take_room(f);
	return rc;
}

int __overflow(FILE *f, int c)
{
	if (c == EOF)
		return flushed(nf_real.__overflow(f, c));
	if (!nf_drop_file(NF_FN___overflow, f))
		return nf_real.__overflow(f, c);
	nf_dropped_data(NF_FN___overflow, &(char){(char)c}, 1);
	return (unsigned char)c;
}

int __woverflow(FILE *f, wint_t c)
{
	if (c == WEOF || !nf_drop_file(NF_FN___woverflow, f))
		return (int)nf_real.__woverflow(f, c);
	nf_dropped(NF_FN___woverflow, 1);
	return (int)c;
}

int fflush(FILE *f)
{
	return flushed(nf_real.fflush(f));
}

int _IO_fflush(FILE *f)
{
	return flushed(nf_real._IO_fflush(f));
}

int fflush_unlocked(FILE *f)
{
	return flushed(nf_real.fflush_unlocked(f));
}
