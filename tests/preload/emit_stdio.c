/* SPDX-License-Identifier: BSD-2-Clause */
/* stdio: every way of buffering, with buffers so small that they fill up inside the window. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emit.h"

static FILE *f;
static char small[2][16];

static const struct {
	const char *name;
	int how;
	size_t size; /* 0: stdio's own buffer */
} variants[] = {
	{"full", _IOFBF, 0}, {"line", _IOLBF, 0}, {"none", _IONBF, 0}, {"small", _IOFBF, 16}};

const unsigned emit_variants = sizeof(variants) / sizeof(variants[0]);

void emit_setup(unsigned v)
{
	char name[64];

	snprintf(name, sizeof(name), "file.%s", variants[v].name);
	f = fopen(name, "w");
	snprintf(name, sizeof(name), "stdout.%s", variants[v].name);
	if (!f || !freopen(name, "w", stdout))
		emit_die("cannot open the results");
	setvbuf(f, variants[v].size ? small[0] : NULL, variants[v].how, variants[v].size);
	setvbuf(stdout, variants[v].size ? small[1] : NULL, variants[v].how, variants[v].size);
}

void emit_settle(void)
{
}

void emit_finish(void)
{
	fclose(f);
	fflush(stdout);
}

/* The names that no header declares. */
int _IO_printf(const char *fmt, ...);
int _IO_fprintf(FILE *to, const char *fmt, ...);
int _IO_vfprintf(FILE *to, const char *fmt, va_list ap);
int __vprintf_chk(int flag, const char *fmt, va_list ap);
int _IO_puts(const char *s);
int _IO_fflush(FILE *to);
int _IO_fputs(const char *s, FILE *to);
int _IO_putc(int c, FILE *to);
size_t _IO_fwrite(const void *p, size_t size, size_t n, FILE *to);

static long do_printf(const char *t)
{
	return printf("%s", t) + printf("%d%%\n", 7);
}

static long do_IO_printf(const char *t)
{
	return _IO_printf("%s", t);
}

static long do_fprintf(const char *t)
{
	return fprintf(f, "%s%5.2f\n", t, 1.5);
}

static long do_IO_fprintf(const char *t)
{
	return _IO_fprintf(f, "%s", t);
}

static long via_list(int (*fn)(FILE *, const char *, va_list), FILE *to, const char *fmt, ...)
{
	va_list ap;
	long rc;

	va_start(ap, fmt);
	if (fn)
		rc = fn(to, fmt, ap);
	else if (to)
		rc = vfprintf(to, fmt, ap);
	else
		rc = vprintf(fmt, ap);
	va_end(ap);
	return rc;
}

static long do_vprintf(const char *t)
{
	return via_list(NULL, NULL, "%s", t);
}

static int checked_list(FILE *to, const char *fmt, va_list ap)
{
	(void)to;
	return __vprintf_chk(1, fmt, ap);
}

static long do_vprintf_chk(const char *t)
{
	return via_list(checked_list, NULL, "%s", t);
}

static long do_vfprintf(const char *t)
{
	return via_list(NULL, f, "%s", t);
}

static long do_IO_vfprintf(const char *t)
{
	return via_list(_IO_vfprintf, f, "%s", t);
}

/* %n gets what it would have got. */
static long do_count(const char *t)
{
	int n = -1;
	int rc = fprintf(f, "%s%n\n", t, &n);

	return rc * 1000 + n;
}

static long do_puts(const char *t)
{
	return puts(t);
}

static long do_IO_puts(const char *t)
{
	return _IO_puts(t);
}

static long do_fputs(const char *t)
{
	return fputs(t, f);
}

static long do_IO_fputs(const char *t)
{
	return _IO_fputs(t, f);
}

static long do_fputs_unlocked(const char *t)
{
	return fputs_unlocked(t, f);
}

/* What the last call returned. */
#define LAST(name, call)                                                                           \
	static long name(const char *t)                                                            \
	{                                                                                          \
		long last = 0;                                                                     \
                                                                                                   \
		for (; *t; t++)                                                                    \
			last = (call);                                                             \
		return last;                                                                       \
	}

LAST(do_fputc, fputc(*t, f))
LAST(do_fputc_unlocked, fputc_unlocked(*t, f))
LAST(do_putc, putc(*t, f))
LAST(do_IO_putc, _IO_putc(*t, f))
LAST(do_putc_unlocked, putc_unlocked(*t, f))
LAST(do_putchar, putchar(*t))
LAST(do_putchar_unlocked, putchar_unlocked(*t))

static long do_putc_high(const char *t)
{
	fputs(t, f);
	return putc(0xe9, f) + putc_unlocked(-3, f);
}

static long do_putw(const char *t)
{
	long rc = 0;
	int w;

	for (size_t n = strlen(t); n >= sizeof(w); n -= sizeof(w), t += sizeof(w)) {
		memcpy(&w, t, sizeof(w));
		rc += putw(w, f);
	}
	return rc;
}

static long do_fwrite(const char *t)
{
	return (long)(fwrite(t, strlen(t), 1, f) + 10 * fwrite(t, 1, strlen(t), f) +
		      100000 * fwrite(t, 0, 7, f));
}

static long do_IO_fwrite(const char *t)
{
	return (long)_IO_fwrite(t, 1, strlen(t), f);
}

static long do_fwrite_unlocked(const char *t)
{
	return (long)fwrite_unlocked(t, 1, strlen(t), f);
}

/* Text that inlined calls put into the buffer, and then a flush of some kind. */
static void inlined(const char *t)
{
	for (; *t; t++)
		putc_unlocked(*t, f);
}

static long do_inlined_locked(const char *t)
{
	flockfile(f);
	inlined(t);
	funlockfile(f);
	if (ftrylockfile(f))
		return -1;
	inlined(t);
	funlockfile(f);
	return 0;
}

static long do_inlined_fflush(const char *t)
{
	inlined(t);
	return fflush(f);
}

static long do_inlined_fflush_all(const char *t)
{
	inlined(t);
	return fflush(NULL);
}

static long do_inlined_fflush_unlocked(const char *t)
{
	inlined(t);
	return fflush_unlocked(f);
}

static long do_inlined_IO_fflush(const char *t)
{
	inlined(t);
	return _IO_fflush(f);
}

static long do_inlined_fseek(const char *t)
{
	inlined(t);
	return *t == 'i' ? fseek(f, 0, SEEK_END) : 0; /* text from before waits in the buffer */
}

/* Nothing of a line that began before the window is lost. */
static long do_half_line(const char *t)
{
	static const char half[] = "half ";

	if (*t != 'i')
		for (const char *p = half; *p; p++)
			putc_unlocked(*p, f);
	inlined(t);
	fputs(t, f);
	return 0;
}

static long do_own_file(const char *t)
{
	FILE *own = fopen("own", "a");
	long rc;

	if (!own)
		return -1;
	for (; *t; t++)
		putc_unlocked(*t, own);
	rc = fclose(own);
	return rc;
}

#define OP(name)                                                                                   \
	{                                                                                          \
#name, do_##name                                                                   \
	}

const struct emit_op emit_ops[] = {OP(printf),
				   OP(IO_printf),
				   OP(fprintf),
				   OP(IO_fprintf),
				   OP(vprintf),
				   OP(vprintf_chk),
				   OP(vfprintf),
				   OP(IO_vfprintf),
				   OP(count),
				   OP(puts),
				   OP(inlined_locked),
				   OP(IO_puts),
				   OP(fputs),
				   OP(IO_fputs),
				   OP(fputs_unlocked),
				   OP(fputc),
				   OP(fputc_unlocked),
				   OP(putc),
				   OP(IO_putc),
				   OP(putc_unlocked),
				   OP(putchar),
				   OP(putchar_unlocked),
				   OP(putc_high),
				   OP(putw),
				   OP(fwrite),
				   OP(IO_fwrite),
				   OP(fwrite_unlocked),
				   OP(inlined_fflush),
				   OP(inlined_fflush_all),
				   OP(inlined_fflush_unlocked),
				   OP(inlined_IO_fflush),
				   OP(inlined_fseek),
				   OP(half_line),
				   OP(own_file),
				   {0}};
