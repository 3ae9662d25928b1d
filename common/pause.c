/* SPDX-License-Identifier: BSD-2-Clause */
/* Pause points by files; see pause.h. */
#include "pause.h"

#ifdef NFSHIM_PAUSE

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LONGEST_MS 60000

static const char *dir;
static char self[80];

void nf_pause_init(const char *who)
{
	dir = getenv("NFSHIM_PAUSE_DIR");
	snprintf(self, sizeof(self), "%s", who);
}

bool nf_pause_armed(const char *point)
{
	char path[512], hit[520];
	int fd;

	if (!dir)
		return false;
	snprintf(path, sizeof(path), "%s/%s.%s", dir, self, point);
	if (access(path, F_OK) < 0)
		return false;
	snprintf(hit, sizeof(hit), "%s.hit", path);
	if (access(hit, F_OK) < 0) {
		fd = open(hit, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		if (fd >= 0)
			close(fd);
	}
	return true;
}

void nf_pause(const char *point)
{
	struct timespec ms = {.tv_nsec = 1000000};

	for (int i = 0; i < LONGEST_MS && nf_pause_armed(point); i++)
		nanosleep(&ms, NULL);
}

#endif
