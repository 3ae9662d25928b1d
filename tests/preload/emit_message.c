/* SPDX-License-Identifier: BSD-2-Clause */
/* The functions that complain, all on standard error (syslog by LOG_PERROR). */
#include <err.h>
#include <errno.h>
#include <error.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "emit.h"

const unsigned emit_variants = 1;

void emit_setup(unsigned v)
{
	(void)v;
	if (!freopen("stderr", "w", stderr))
		emit_die("cannot open the results");
	openlog("emit", LOG_PERROR, LOG_USER);
}

void emit_settle(void)
{
}

void emit_finish(void)
{
	fflush(stderr);
}

static const char *name_of(const char *t)
{
	static char line[96];

	snprintf(line, sizeof(line), "%s", t);
	line[strcspn(line, "\n")] = 0;
	errno = ENOENT;
	return line;
}

/* The line's errno is the text's; the caller compares with its own. */
#define VOID(name, call)                                                                           \
	static long do_##name(const char *t)                                                       \
	{                                                                                          \
		const char *s = name_of(t);                                                        \
		int e = 1234;                                                                      \
                                                                                                   \
		call;                                                                              \
		errno = e;                                                                         \
		return 0;                                                                          \
	}

static siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_USER};

static void listed(int which, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (which == 0)
		vwarn(fmt, ap);
	else if (which == 1)
		vwarnx(fmt, ap);
	else
		vsyslog(LOG_INFO, fmt, ap);
	va_end(ap);
}

VOID(perror, perror(s))
VOID(psignal, psignal(SIGUSR1, s))
VOID(psiginfo, psiginfo(&info, s))
VOID(error, error(0, ENOENT, "%s %m", s))
VOID(error_at_line, error_at_line(0, 0, "file", (unsigned)strlen(t), "%s", s))
VOID(warn, warn("%s", s))
VOID(warnx, warnx("%s", s))
VOID(vwarn, listed(0, "%s", s))
VOID(vwarnx, listed(1, "%s", s))
VOID(syslog, syslog(LOG_INFO, "%s %m", s))
VOID(vsyslog, listed(2, "%s", s))

#define OP(name)                                                                                   \
	{                                                                                          \
#name, do_##name                                                                   \
	}

const struct emit_op emit_ops[] = {OP(perror),	      OP(psignal), OP(psiginfo), OP(error),
				   OP(error_at_line), OP(warn),	   OP(warnx),	 OP(vwarn),
				   OP(vwarnx),	      OP(syslog),  OP(vsyslog),	 {0}};
