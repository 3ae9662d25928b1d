/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Matches functions, descriptors and names against the policy. Paths are those
 * that the kernel has for open files; names are made such: absolute, without
 * links, dots and double slashes.
 */
#include "verdict.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct nf_policy policy = NF_POLICY_DEFAULT;
static uint8_t by_fn[NF_FNS];

int nf_verdict_init(const char *file, char *err, size_t n)
{
	int rc = nf_policy_read(file, &policy, err, n);

	for (unsigned f = 0; !rc && f < NF_FNS; f++)
		by_fn[f] = (uint8_t)nf_policy_of_fn(&policy, (enum nf_fn)f);
	return rc;
}

enum nf_verdict nf_verdict_fn(enum nf_fn fn)
{
	return (enum nf_verdict)by_fn[fn];
}

enum nf_verdict nf_verdict_kind(enum nf_kind k)
{
	return (enum nf_verdict)policy.kind[k];
}

bool nf_fd_name(int fd, char *name, size_t n)
{
	char link[32];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, name, n - 1);
	name[len < 0 ? 0 : len] = 0;
	return len >= 0;
}

/* The kernel marks a file without a name at the end of the last one. */
static void take_mark_off(int fd, char *path)
{
	static const char mark[] = " (deleted)";
	size_t n = strlen(path), m = sizeof(mark) - 1;
	struct stat st;

	if (n > m && !strcmp(path + n - m, mark) && fstat(fd, &st) == 0 && st.st_nlink == 0)
		path[n - m] = 0;
}

enum nf_verdict nf_verdict_fd(int fd, enum nf_kind k)
{
	enum nf_verdict says = NF_UNSAID;
	char path[PATH_MAX];

	if (policy.paths && nf_fd_name(fd, path, sizeof(path)) && *path == '/') {
		take_mark_off(fd, path);
		says = nf_policy_of_path(&policy, path);
	}
	return says ? says : nf_verdict_kind(k);
}

/* ---- names ---- */

/* @name as from the root, not yet cleaned. */
static bool absolute(int at, const char *name, char *out)
{
	char dir[PATH_MAX] = "";

	if (*name != '/' &&
	    !(at == AT_FDCWD ? getcwd(dir, sizeof(dir)) != NULL : nf_fd_name(at, dir, sizeof(dir))))
		return false;
	return snprintf(out, PATH_MAX, "%s%s%s", dir, *dir ? "/" : "", name) < PATH_MAX;
}

/* Links in the directory are followed, the last part stays as it is. A directory that is not there
 * leaves all as it is. */
static void clean_directory(char *path)
{
	char dir[PATH_MAX], base[NAME_MAX + 1], *last;
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		path[--n] = 0;
	last = strrchr(path, '/');
	if (!strcmp(last, "/.") || !strcmp(last, "/..")) {
		if (realpath(path, dir))
			strcpy(path, dir);
		return;
	}
	if (strlen(last + 1) > NAME_MAX)
		return;
	strcpy(base, last + 1);
	*last = 0;
	if (!realpath(last == path ? "/" : path, dir))
		*last = '/';
	else if (strlen(dir) + 1 + strlen(base) < PATH_MAX)
		sprintf(path, "%s/%s", dir[1] ? dir : "", base);
}

enum nf_verdict nf_verdict_at(int at, const char *name, bool follow)
{
	char path[PATH_MAX], real[PATH_MAX];
	enum nf_verdict says = NF_UNSAID;
	int e = errno;

	if (policy.paths && absolute(at, name, path)) {
		if (follow && realpath(path, real))
			strcpy(path, real);
		else
			clean_directory(path);
		says = nf_policy_of_path(&policy, path);
	}
	errno = e;
	return says ? says : nf_verdict_kind(NF_KIND_NAME);
}
