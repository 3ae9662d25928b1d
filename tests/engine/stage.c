/* SPDX-License-Identifier: BSD-2-Clause */
/* Files, and what all parts use. */
#include "stage_in.h"

#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

const char *stage_shim, *stage_nf;
struct play *play;
struct client helper;
struct stage_rec *stage_got;
unsigned stage_ngot;

char stage_dir[80];
const uint8_t stage_secret[NF_MARK_SECRET] = "0123456789abcdef";

static char top[64];

long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

const char *stage_path(const char *file)
{
	static char p[4][320];
	static unsigned i;

	i = (i + 1) % 4;
	snprintf(p[i], sizeof(p[i]), "%s/%s", stage_dir, file);
	return p[i];
}

bool stage_own_net(void)
{
	return geteuid() == 0 && unshare(CLONE_NEWNET) == 0;
}

static const char *base(void)
{
	const char *tmp = getenv("TMPDIR");

	return tmp && strlen(tmp) < 40 ? tmp : "/tmp";
}

void stage_begin(void)
{
	snprintf(top, sizeof(top), "%s/check_engine.XXXXXX", base());
	if (!mkdtemp(top)) {
		perror(top);
		exit(1);
	}
}

static int remove_one(const char *file, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(file);
}

void stage_end(void)
{
	nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void stage_setup(void)
{
	int fd;

	snprintf(stage_dir, sizeof(stage_dir), "%s/XXXXXX", top);
	ck_assert_ptr_nonnull(mkdtemp(stage_dir));
	fd = open(stage_path("diary"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, sizeof(*play)), 0);
	play = mmap(NULL, sizeof(*play), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert(play != MAP_FAILED);
	close(fd);
	stage_got = calloc(GOT_MAX, sizeof(*stage_got));
	ck_assert_ptr_nonnull(stage_got);
}
