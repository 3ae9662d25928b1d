/* SPDX-License-Identifier: BSD-2-Clause */
/* Wide stdio. */
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>

#include "emit.h"

static FILE *f;
static wchar_t wide[128];

static const struct {
	const char *name;
	int how;
} variants[] = {{"full", _IOFBF}, {"line", _IOLBF}, {"none", _IONBF}};

const unsigned emit_variants = sizeof(variants) / sizeof(variants[0]);

void emit_setup(unsigned v)
{
	char name[64];

	if (!setlocale(LC_ALL, "C.UTF-8"))
		emit_die("no locale C.UTF-8");
	snprintf(name, sizeof(name), "wide.%s", variants[v].name);
	f = fopen(name, "w");
	snprintf(name, sizeof(name), "wstdout.%s", variants[v].name);
	if (!f || !freopen(name, "w", stdout))
		emit_die("cannot open the results");
	setvbuf(f, NULL, variants[v].how, 0);
	setvbuf(stdout, NULL, variants[v].how, 0);
}

void emit_settle(void)
{
}

void emit_finish(void)
{
	fclose(f);
	fflush(stdout);
}

static const wchar_t *widen(const char *t)
{
	swprintf(wide, sizeof(wide) / sizeof(wide[0]), L"\u00e9\u4e2d %s", t);
	return wide;
}

static long do_wprintf(const char *t)
{
	return wprintf(L"%ls", widen(t));
}

static long do_fwprintf(const char *t)
{
	return fwprintf(f, L"%ls%d\n", widen(t), 42);
}

static long via_list(FILE *to, const wchar_t *fmt, ...)
{
	va_list ap;
	long rc;

	va_start(ap, fmt);
	rc = to ? vfwprintf(to, fmt, ap) : vwprintf(fmt, ap);
	va_end(ap);
	return rc;
}

static long do_vwprintf(const char *t)
{
	return via_list(NULL, L"%ls", widen(t));
}

static long do_vfwprintf(const char *t)
{
	return via_list(f, L"%ls", widen(t));
}

static long do_long(const char *t)
{
	return fwprintf(f, L"%s%9000d\n", t, 1); /* longer than any buffer */
}

static long do_fputws(const char *t)
{
	return fputws(widen(t), f);
}

static long do_fputws_unlocked(const char *t)
{
	return fputws_unlocked(widen(t), f);
}

int __woverflow(FILE *to, wint_t c);

static long do_woverflow(const char *t)
{
	fputws(widen(t), f);
	return __woverflow(f, L'\u00fc');
}

#define LAST(name, call)                                                                           \
	static long name(const char *t)                                                            \
	{                                                                                          \
		long last = 0;                                                                     \
                                                                                                   \
		for (const wchar_t *w = widen(t); *w; w++)                                         \
			last = (long)(call);                                                       \
		return last;                                                                       \
	}

LAST(do_fputwc, fputwc(*w, f))
LAST(do_fputwc_unlocked, fputwc_unlocked(*w, f))
LAST(do_putwc, putwc(*w, f))
LAST(do_putwc_unlocked, putwc_unlocked(*w, f))
LAST(do_putwchar, putwchar(*w))
LAST(do_putwchar_unlocked, putwchar_unlocked(*w))

#define OP(name)                                                                                   \
	{                                                                                          \
#name, do_##name                                                                   \
	}

const struct emit_op emit_ops[] = {OP(wprintf),
				   OP(fwprintf),
				   OP(vwprintf),
				   OP(vfwprintf),
				   OP(long),
				   OP(fputws),
				   OP(fputws_unlocked),
				   OP(fputwc),
				   OP(fputwc_unlocked),
				   OP(putwc),
				   OP(putwc_unlocked),
				   OP(putwchar),
				   OP(putwchar_unlocked),
				   OP(woverflow),
				   {0}};
