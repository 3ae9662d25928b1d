/* SPDX-License-Identifier: BSD-2-Clause */
/* Output by the functions that complain: perror, error, warn, syslog and kin. */
#include <err.h>
#include <errno.h>
#include <error.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "drop.h"
#include "real.h"
#include "trace.h"

void __vsyslog_chk(int prio, int flag, const char *fmt, va_list ap);
void __syslog_chk(int prio, int flag, const char *fmt, ...);

static bool drop_stderr(enum nf_fn fn, const char *s)
{
	return nf_drop_file(fn, stderr) && nf_dropped_data(fn, s, s ? strlen(s) : 0) >= 0;
}

static bool dropped(enum nf_fn fn, const char *fmt, va_list ap)
{
	char text[NF_TRACE_TEXT + 1];
	int n = fmt ? vsnprintf(text, sizeof(text), fmt, ap) : 0;

	nf_dropped_data(fn, fmt ? text : NULL, n < 0 ? 0 : (size_t)n);
	return true;
}

static bool drop_message(enum nf_fn fn, const char *fmt, va_list ap)
{
	return nf_drop_file(fn, stderr) && dropped(fn, fmt, ap);
}

void perror(const char *s)
{
	if (!drop_stderr(NF_FN_perror, s))
		nf_real.perror(s);
}

void psignal(int sig, const char *s)
{
	if (!drop_stderr(NF_FN_psignal, s))
		nf_real.psignal(sig, s);
}

void psiginfo(const siginfo_t *si, const char *s)
{
	if (!drop_stderr(NF_FN_psiginfo, s))
		nf_real.psiginfo(si, s);
}

/* A program that ends itself with a message still ends. */
static void end(int status)
{
	if (status)
		exit(status);
}

void error(int status, int errnum, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	bool drop;

	va_start(ap, fmt);
	drop = drop_message(NF_FN_error, fmt, ap);
	va_end(ap);
	if (drop) {
		end(status);
		return;
	}
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	nf_real.error(status, errnum, "%s", text ? text : fmt);
	free(text);
}

void error_at_line(int status, int errnum, const char *file, unsigned line, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	bool drop;

	va_start(ap, fmt);
	drop = drop_message(NF_FN_error_at_line, fmt, ap);
	va_end(ap);
	if (drop) {
		end(status);
		return;
	}
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	nf_real.error_at_line(status, errnum, file, line, "%s", text ? text : fmt);
	free(text);
}

void vwarn(const char *fmt, va_list ap)
{
	if (!drop_message(NF_FN_vwarn, fmt, ap))
		nf_real.vwarn(fmt, ap);
}

void vwarnx(const char *fmt, va_list ap)
{
	if (!drop_message(NF_FN_vwarnx, fmt, ap))
		nf_real.vwarnx(fmt, ap);
}

void warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vwarn(fmt, ap);
	va_end(ap);
}

void warnx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vwarnx(fmt, ap);
	va_end(ap);
}

static bool drop_syslog(enum nf_fn fn, const char *fmt, va_list ap)
{
	return nf_drop_call(fn) && dropped(fn, fmt, ap);
}

void vsyslog(int prio, const char *fmt, va_list ap)
{
	if (!drop_syslog(NF_FN_vsyslog, fmt, ap))
		nf_real.vsyslog(prio, fmt, ap);
}

void __vsyslog_chk(int prio, int flag, const char *fmt, va_list ap)
{
	if (!drop_syslog(NF_FN___vsyslog_chk, fmt, ap))
		nf_real.__vsyslog_chk(prio, flag, fmt, ap);
}

void syslog(int prio, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsyslog(prio, fmt, ap);
	va_end(ap);
}

void __syslog_chk(int prio, int flag, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	__vsyslog_chk(prio, flag, fmt, ap);
	va_end(ap);
}
