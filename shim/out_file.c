/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output that changes files and names. A dropped call looks like success, but
 * what is sure to fail does fail: it goes to the real function.
 *
 * Opening is different: the descriptor is needed for what the NF writes when
 * the window is closed. So a file is opened, and made if it is not there; one
 * that would be truncated keeps its content and is opened for appending, so
 * that what comes later stands behind it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drop.h"
#include "fds.h"
#include "real.h"
#include "verdict.h"

static bool there(int at, const char *path)
{
	int e = errno;
	struct stat st;
	bool yes = fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW) == 0;

	errno = e;
	return yes;
}

/* A call on a name that has to be there, or must not be. */
static bool drop_name(enum nf_fn fn, int at, const char *path, bool present)
{
	return nf_dropping() && path && there(at, path) == present &&
	       nf_drop_ask_name(fn, at, path, false);
}

#define DROP_NAME(fn, at, path, present)                                                           \
	do {                                                                                       \
		if (drop_name(fn, at, path, present))                                              \
			return (int)nf_dropped(fn, 0);                                             \
	} while (0)

/* ---- opening ---- */

bool nf_drop_truncation(enum nf_fn fn, int at, const char *path)
{
	int e = errno;
	struct stat st;
	bool drop;

	if (!nf_dropping())
		return false;
	nf_fds_forget();
	drop = path && fstatat(at, path, &st, 0) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
	       nf_drop_ask_name(fn, at, path, true);
	if (drop)
		nf_dropped(fn, 0);
	errno = e;
	return drop;
}

static int flags_for(enum nf_fn fn, int at, const char *path, int flags)
{
	if (!nf_dropping())
		return flags;
	nf_fds_forget();
	if (!(flags & O_TRUNC) || !nf_drop_truncation(fn, at, path))
		return flags;
	return (flags & ~O_TRUNC) | O_APPEND;
}

/* The mode is there only if it is needed. */
#define MODE(flags, mode)                                                                          \
	do {                                                                                       \
		va_list ap;                                                                        \
                                                                                                   \
		va_start(ap, flags);                                                               \
		if ((flags) & (O_CREAT | __O_TMPFILE))                                             \
			mode = va_arg(ap, mode_t);                                                 \
		va_end(ap);                                                                        \
	} while (0)

#define OPEN(name)                                                                                 \
	int name(const char *path, int flags, ...)                                                 \
	{                                                                                          \
		mode_t mode = 0;                                                                   \
                                                                                                   \
		MODE(flags, mode);                                                                 \
		return nf_real.name(path, flags_for(NF_FN_##name, AT_FDCWD, path, flags), mode);   \
	}

#define OPENAT(name)                                                                               \
	int name(int at, const char *path, int flags, ...)                                         \
	{                                                                                          \
		mode_t mode = 0;                                                                   \
                                                                                                   \
		MODE(flags, mode);                                                                 \
		return nf_real.name(at, path, flags_for(NF_FN_##name, at, path, flags), mode);     \
	}

#define OPEN_2(name)                                                                               \
	int name(const char *path, int flags);                                                     \
	int name(const char *path, int flags)                                                      \
	{                                                                                          \
		return nf_real.name(path, flags_for(NF_FN_##name, AT_FDCWD, path, flags));         \
	}

#define OPENAT_2(name)                                                                             \
	int name(int at, const char *path, int flags);                                             \
	int name(int at, const char *path, int flags)                                              \
	{                                                                                          \
		return nf_real.name(at, path, flags_for(NF_FN_##name, at, path, flags));           \
	}

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
OPEN_2(__open_2)
OPEN_2(__open64_2)
OPENAT_2(__openat_2)
OPENAT_2(__openat64_2)

#define CREAT(name)                                                                                \
	int name(const char *path, mode_t mode)                                                    \
	{                                                                                          \
		if (nf_drop_truncation(NF_FN_##name, AT_FDCWD, path))                              \
			return nf_real.open(path, O_CREAT | O_WRONLY | O_APPEND, mode);            \
		return nf_real.name(path, mode);                                                   \
	}

CREAT(creat)
CREAT(creat64)

/* "w…" becomes "a…" if the file keeps its content. */
static const char *mode_for(enum nf_fn fn, const char *path, const char *mode, char *room, size_t n)
{
	if (*mode != 'w' || strlen(mode) >= n || !nf_drop_truncation(fn, AT_FDCWD, path))
		return mode;
	strcpy(room, mode);
	*room = 'a';
	return room;
}

#define FOPEN(name)                                                                                \
	FILE *name(const char *path, const char *mode)                                             \
	{                                                                                          \
		char room[64];                                                                     \
                                                                                                   \
		if (nf_dropping()) {                                                               \
			nf_fds_forget();                                                           \
			mode = mode_for(NF_FN_##name, path, mode, room, sizeof(room));             \
		}                                                                                  \
		return nf_real.name(path, mode);                                                   \
	}

FOPEN(fopen)
FOPEN(fopen64)

/* Without a path it is the stream's own file again. */
#define FREOPEN(name)                                                                              \
	FILE *name(const char *path, const char *mode, FILE *f)                                    \
	{                                                                                          \
		char room[64], own[32];                                                            \
                                                                                                   \
		if (nf_dropping()) {                                                               \
			snprintf(own, sizeof(own), "/proc/self/fd/%d", fileno(f));                 \
			mode = mode_for(NF_FN_##name, path ? path : own, mode, room,               \
					sizeof(room));                                             \
		}                                                                                  \
		f = nf_real.name(path, mode, f);                                                   \
		nf_fds_forget();                                                                   \
		return f;                                                                          \
	}

FREOPEN(freopen)
FREOPEN(freopen64)

/* ---- sizes ---- */

#define TRUNCATE(name, off)                                                                        \
	int name(const char *path, off len)                                                        \
	{                                                                                          \
		if (len >= 0)                                                                      \
			DROP_NAME(NF_FN_##name, AT_FDCWD, path, true);                             \
		return nf_real.name(path, len);                                                    \
	}

TRUNCATE(truncate, off_t)
TRUNCATE(truncate64, off64_t)

/* Shared memory is given its size: it is mapped next, and touching it would kill the NF. */
static bool drop_size(enum nf_fn fn, int fd)
{
	static const char shm[] = "/dev/shm/";
	char name[sizeof(shm)];

	if (!nf_dropping())
		return false;
	if (nf_fd_name(fd, name, sizeof(name)) && !strcmp(name, shm))
		return false;
	return nf_drop_fd(fn, fd);
}

#define FTRUNCATE(name, off)                                                                       \
	int name(int fd, off len)                                                                  \
	{                                                                                          \
		if (len >= 0 && drop_size(NF_FN_##name, fd))                                       \
			return (int)nf_dropped(NF_FN_##name, 0);                                   \
		return nf_real.name(fd, len);                                                      \
	}

FTRUNCATE(ftruncate, off_t)
FTRUNCATE(ftruncate64, off64_t)

#define FALLOCATE(name, off)                                                                       \
	int name(int fd, int mode, off at, off len)                                                \
	{                                                                                          \
		if (at >= 0 && len > 0 && drop_size(NF_FN_##name, fd))                             \
			return (int)nf_dropped(NF_FN_##name, 0);                                   \
		return nf_real.name(fd, mode, at, len);                                            \
	}

FALLOCATE(fallocate, off_t)
FALLOCATE(fallocate64, off64_t)

#define POSIX_FALLOCATE(name, off)                                                                 \
	int name(int fd, off at, off len)                                                          \
	{                                                                                          \
		if (at >= 0 && len > 0 && drop_size(NF_FN_##name, fd))                             \
			return (int)nf_dropped(NF_FN_##name, 0);                                   \
		return nf_real.name(fd, at, len);                                                  \
	}

POSIX_FALLOCATE(posix_fallocate, off_t)
POSIX_FALLOCATE(posix_fallocate64, off64_t)

/* ---- names that go ---- */

int unlink(const char *path)
{
	DROP_NAME(NF_FN_unlink, AT_FDCWD, path, true);
	return nf_real.unlink(path);
}

int unlinkat(int at, const char *path, int flags)
{
	DROP_NAME(NF_FN_unlinkat, at, path, true);
	return nf_real.unlinkat(at, path, flags);
}

int remove(const char *path)
{
	DROP_NAME(NF_FN_remove, AT_FDCWD, path, true);
	return nf_real.remove(path);
}

int rmdir(const char *path)
{
	DROP_NAME(NF_FN_rmdir, AT_FDCWD, path, true);
	return nf_real.rmdir(path);
}

/* ---- names that change: dropped if either of the two is ---- */

static bool drop_rename(enum nf_fn fn, int fromat, const char *from, int toat, const char *to)
{
	if (!nf_dropping() || !to || !there(fromat, from))
		return false;
	if (nf_verdict_at(fromat, from, false) == NF_PASS)
		return nf_drop_ask_name(fn, toat, to, false);
	return nf_drop_ask_name(fn, fromat, from, false);
}

int rename(const char *from, const char *to)
{
	if (drop_rename(NF_FN_rename, AT_FDCWD, from, AT_FDCWD, to))
		return (int)nf_dropped(NF_FN_rename, 0);
	return nf_real.rename(from, to);
}

int renameat(int fromat, const char *from, int toat, const char *to)
{
	if (drop_rename(NF_FN_renameat, fromat, from, toat, to))
		return (int)nf_dropped(NF_FN_renameat, 0);
	return nf_real.renameat(fromat, from, toat, to);
}

int renameat2(int fromat, const char *from, int toat, const char *to, unsigned flags)
{
	if (!((flags & RENAME_NOREPLACE) && nf_dropping() && there(toat, to)) &&
	    drop_rename(NF_FN_renameat2, fromat, from, toat, to))
		return (int)nf_dropped(NF_FN_renameat2, 0);
	return nf_real.renameat2(fromat, from, toat, to, flags);
}

/* ---- names that come ---- */

#define MAKE(name)                                                                                 \
	int name(const char *path, mode_t mode)                                                    \
	{                                                                                          \
		DROP_NAME(NF_FN_##name, AT_FDCWD, path, false);                                    \
		return nf_real.name(path, mode);                                                   \
	}

#define MAKEAT(name)                                                                               \
	int name(int at, const char *path, mode_t mode)                                            \
	{                                                                                          \
		DROP_NAME(NF_FN_##name, at, path, false);                                          \
		return nf_real.name(at, path, mode);                                               \
	}

MAKE(mkdir)
MAKE(mkfifo)
MAKEAT(mkdirat)
MAKEAT(mkfifoat)

int mknod(const char *path, mode_t mode, dev_t dev)
{
	DROP_NAME(NF_FN_mknod, AT_FDCWD, path, false);
	return nf_real.mknod(path, mode, dev);
}

int mknodat(int at, const char *path, mode_t mode, dev_t dev)
{
	DROP_NAME(NF_FN_mknodat, at, path, false);
	return nf_real.mknodat(at, path, mode, dev);
}

int link(const char *from, const char *to)
{
	if (nf_dropping() && there(AT_FDCWD, from))
		DROP_NAME(NF_FN_link, AT_FDCWD, to, false);
	return nf_real.link(from, to);
}

int linkat(int fromat, const char *from, int toat, const char *to, int flags)
{
	if (nf_dropping() && (there(fromat, from) || (flags & AT_EMPTY_PATH)))
		DROP_NAME(NF_FN_linkat, toat, to, false);
	return nf_real.linkat(fromat, from, toat, to, flags);
}

int symlink(const char *to, const char *path)
{
	DROP_NAME(NF_FN_symlink, AT_FDCWD, path, false);
	return nf_real.symlink(to, path);
}

int symlinkat(const char *to, int at, const char *path)
{
	DROP_NAME(NF_FN_symlinkat, at, path, false);
	return nf_real.symlinkat(to, at, path);
}
