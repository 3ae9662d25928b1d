/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files and names. Each call finds the same folder: file "a" with text, file
 * "b", an empty folder "d". When something in it has changed afterwards, that
 * is told in "results", and the folder is made as it was.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "emit.h"

#define FILE_A "work/a"
#define NEW    "work/new"

const unsigned emit_variants = 1;

static int results, work; /* the folder, for the *at calls */
static char said[96];

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int at, const char *path, int flags);
int __openat64_2(int at, const char *path, int flags);

static void put(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd))
		emit_die("cannot write %s", path);
}

static void empty_folder(void)
{
	DIR *d = opendir("work");
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (*e->d_name != '.')
			unlinkat(work, e->d_name, e->d_type == DT_DIR ? AT_REMOVEDIR : 0);
	closedir(d);
}

static void prepare(void)
{
	empty_folder();
	put(FILE_A, "what was there before");
	put("work/b", "b");
	if (mkdir("work/d", 0700) < 0)
		emit_die("cannot make a folder: %s", strerror(errno));
}

static bool as_prepared(void)
{
	DIR *d = opendir("work");
	struct stat a, b, dir;
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n == 2 + 3 && stat(FILE_A, &a) == 0 && a.st_size == 21 && a.st_blocks <= 8 &&
	       stat("work/b", &b) == 0 && b.st_size == 1 && a.st_ino != b.st_ino &&
	       stat("work/d", &dir) == 0 && S_ISDIR(dir.st_mode);
}

void emit_setup(unsigned v)
{
	(void)v;
	results = open("results", O_CREAT | O_WRONLY, 0600);
	if (results < 0 || mkdir("work", 0700) < 0 || (work = open("work", O_RDONLY)) < 0)
		emit_die("cannot make the folder: %s", strerror(errno));
	prepare();
}

void emit_settle(void)
{
	if (as_prepared())
		return;
	if (write(results, said, strlen(said)) != (ssize_t)strlen(said))
		emit_die("cannot write the results");
	prepare();
}

void emit_finish(void)
{
	empty_folder();
	rmdir("work");
}

static long done(const char *t, long rc)
{
	strcpy(said, t);
	return rc;
}

/* Could it be opened? */
static long opened(const char *t, int fd)
{
	close(fd);
	return done(t, fd >= 0);
}

static long opened_file(const char *t, FILE *f)
{
	if (f)
		fclose(f);
	return done(t, f != NULL);
}

#define OPS(X)                                                                                     \
	X(open, opened(t, open(FILE_A, O_WRONLY | O_TRUNC)))                                       \
	X(open64, opened(t, open64(FILE_A, O_CREAT | O_RDWR | O_TRUNC, 0600)))                     \
	X(open_reading, opened(t, open(FILE_A, O_RDONLY | O_TRUNC)))                               \
	X(__open_2, opened(t, __open_2(FILE_A, O_WRONLY | O_TRUNC)))                               \
	X(__open64_2, opened(t, __open64_2(FILE_A, O_WRONLY | O_TRUNC)))                           \
	X(openat, opened(t, openat(work, "a", O_WRONLY | O_TRUNC)))                                \
	X(openat64, opened(t, openat64(work, "a", O_CREAT | O_WRONLY | O_TRUNC, 0600)))            \
	X(__openat_2, opened(t, __openat_2(work, "a", O_WRONLY | O_TRUNC)))                        \
	X(__openat64_2, opened(t, __openat64_2(work, "a", O_WRONLY | O_TRUNC)))                    \
	X(creat, opened(t, creat(FILE_A, 0600)))                                                   \
	X(creat64, opened(t, creat64(FILE_A, 0600)))                                               \
	X(fopen, opened_file(t, fopen(FILE_A, "w")))                                               \
	X(fopen64, opened_file(t, fopen64(FILE_A, "w+e")))                                         \
	X(freopen, opened_file(t, freopen(FILE_A, "w", writer())))                                 \
	X(freopen64, opened_file(t, freopen64(FILE_A, "wb", writer())))                            \
	X(freopen_itself, opened_file(t, freopen(NULL, "w", writer())))                            \
	X(truncate, done(t, truncate(FILE_A, 3)))                                                  \
	X(truncate64, done(t, truncate64(FILE_A, 100)))                                            \
	X(ftruncate, done(t, ftruncate(fd_a(), 0)))                                                \
	X(ftruncate64, done(t, ftruncate64(fd_a(), 4)))                                            \
	X(fallocate, done(t, fallocate(fd_a(), 0, 0, 100000)))                                     \
	X(fallocate64, done(t, fallocate64(fd_a(), FALLOC_FL_KEEP_SIZE, 0, 1 << 20)))              \
	X(posix_fallocate, done(t, posix_fallocate(fd_a(), 0, 100000)))                            \
	X(posix_fallocate64, done(t, posix_fallocate64(fd_a(), 10, 100000)))                       \
	X(rename, done(t, rename(FILE_A, NEW)))                                                    \
	X(rename_over, done(t, rename(FILE_A, "work/b")))                                          \
	X(renameat, done(t, renameat(work, "a", work, "new")))                                     \
	X(renameat2, done(t, renameat2(work, "a", work, "new", RENAME_NOREPLACE)))                 \
	X(unlink, done(t, unlink(FILE_A)))                                                         \
	X(unlinkat, done(t, unlinkat(work, "d", AT_REMOVEDIR)))                                    \
	X(remove, done(t, remove("work/d")))                                                       \
	X(rmdir, done(t, rmdir("work/d")))                                                         \
	X(mkdir, done(t, mkdir(NEW, 0700)))                                                        \
	X(mkdirat, done(t, mkdirat(work, "new", 0700)))                                            \
	X(mkfifo, done(t, mkfifo(NEW, 0600)))                                                      \
	X(mkfifoat, done(t, mkfifoat(work, "new", 0600)))                                          \
	X(mknod, done(t, mknod(NEW, S_IFREG | 0600, 0)))                                           \
	X(mknodat, done(t, mknodat(work, "new", S_IFIFO | 0600, 0)))                               \
	X(link, done(t, link(FILE_A, NEW)))                                                        \
	X(linkat, done(t, linkat(work, "a", work, "new", 0)))                                      \
	X(symlink, done(t, symlink("nowhere", NEW)))                                               \
	X(symlinkat, done(t, symlinkat("nowhere", work, "new")))

/* Of file "a" as it is now; one at a time. */
static int fd_a(void)
{
	static int fd = -1;

	close(fd);
	fd = open(FILE_A, O_RDWR);
	return fd;
}

static FILE *writer(void)
{
	return fdopen(dup(fd_a()), "r+");
}

#define X(name, call)                                                                              \
	static long do_##name(const char *t)                                                       \
	{                                                                                          \
		return call;                                                                       \
	}
OPS(X)
#undef X

#define X(name, call) {#name, do_##name},
const struct emit_op emit_ops[] = {OPS(X){0}};
