/* SPDX-License-Identifier: BSD-2-Clause */
/* One line per message, written with one call. */
#include "log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t (*nf_log_write)(int fd, const void *line, size_t n) = write;

static const char *prefix = "nfshim";
static enum nf_log_level limit = NF_LOG_INFO;
static const char *const level_name[] = {"error", "warning", "info", "debug"};

void nf_log_init(const char *who)
{
	const char *e = getenv("NFSHIM_LOG");

	prefix = who;
	for (unsigned i = 0; e && i < sizeof(level_name) / sizeof(level_name[0]); i++)
		if (!strncmp(e, level_name[i], 3))
			limit = (enum nf_log_level)i;
}

void nf_log(enum nf_log_level level, const char *fmt, ...)
{
	char line[2048];
	size_t at;
	va_list ap;
	int n;

	if (level > limit)
		return;
	n = snprintf(line, sizeof(line), "%s: %s%s", prefix,
		     level == NF_LOG_INFO ? "" : level_name[level],
		     level == NF_LOG_INFO ? "" : ": ");
	at = n > 0 && (size_t)n < sizeof(line) ? (size_t)n : 0;
	va_start(ap, fmt);
	n = vsnprintf(line + at, sizeof(line) - at - 1, fmt, ap);
	va_end(ap);
	if (n > 0)
		at += (size_t)n < sizeof(line) - at - 1 ? (size_t)n : sizeof(line) - at - 2;
	line[at++] = '\n';
	if (nf_log_write(STDERR_FILENO, line, at) < 0)
		return; /* nowhere to say it */
}
