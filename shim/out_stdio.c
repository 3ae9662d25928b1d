/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output by stdio. glibc's own writes bypass the PLT, so it is dropped here,
 * at the functions that the NF calls. Formatted calls return the length that
 * they would have written.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drop.h"
#include "real.h"
#include "trace.h"

static int length(enum nf_fn fn, const char *fmt, va_list ap)
{
	char text[NF_TRACE_TEXT + 1];
	int n = vsnprintf(text, sizeof(text), fmt, ap);

	nf_dropped_data(fn, text, n < 0 ? 0 : (size_t)n);
	return n;
}

/* @n bytes dropped, for which @value is returned. */
#define DROP_FILE(fn, f, data, n, value)                                                           \
	do {                                                                                       \
		if (nf_drop_file(fn, f)) {                                                         \
			nf_dropped_data(fn, data, n);                                              \
			return value;                                                              \
		}                                                                                  \
	} while (0)

/* A formatted call: @test decides, @real has a va_list form. */
#define FORMATTED(fn, test, real)                                                                  \
	do {                                                                                       \
		va_list ap;                                                                        \
		int rc;                                                                            \
                                                                                                   \
		va_start(ap, fmt);                                                                 \
		if (test)                                                                          \
			rc = length(fn, fmt, ap);                                                  \
		else                                                                               \
			rc = real;                                                                 \
		va_end(ap);                                                                        \
		return rc;                                                                         \
	} while (0)

int vprintf(const char *fmt, va_list ap)
{
	if (nf_drop_file(NF_FN_vprintf, stdout))
		return length(NF_FN_vprintf, fmt, ap);
	return nf_real.vprintf(fmt, ap);
}

/*
 * An NF that prints for every packet spends its time in the next two, so without a window they are
 * a test and a jump. What else there is to do needs a stack frame, and therefore a function of its
 * own.
 */
static inline bool is_idle(void)
{
	return __builtin_expect(!nf_dropping() && nf_real_ready, 1);
}

__attribute__((cold, noinline)) static int busy_vfprintf(FILE *f, const char *fmt, va_list ap)
{
	if (nf_drop_file(NF_FN_vfprintf, f))
		return length(NF_FN_vfprintf, fmt, ap);
	return nf_real.vfprintf(f, fmt, ap);
}

int vfprintf(FILE *f, const char *fmt, va_list ap)
{
	return is_idle() ? nf_real.vfprintf(f, fmt, ap) : busy_vfprintf(f, fmt, ap);
}

int _IO_vfprintf(FILE *f, const char *fmt, va_list ap)
{
	if (nf_drop_file(NF_FN__IO_vfprintf, f))
		return length(NF_FN__IO_vfprintf, fmt, ap);
	return nf_real.vfprintf(f, fmt, ap);
}

int vdprintf(int fd, const char *fmt, va_list ap)
{
	if (nf_drop_fd(NF_FN_vdprintf, fd))
		return length(NF_FN_vdprintf, fmt, ap);
	return nf_real.vdprintf(fd, fmt, ap);
}

int __vprintf_chk(int flag, const char *fmt, va_list ap)
{
	if (nf_drop_file(NF_FN___vprintf_chk, stdout))
		return length(NF_FN___vprintf_chk, fmt, ap);
	return nf_real.__vprintf_chk(flag, fmt, ap);
}

__attribute__((cold, noinline)) static int busy_vfprintf_chk(FILE *f, int flag, const char *fmt,
							     va_list ap)
{
	if (nf_drop_file(NF_FN___vfprintf_chk, f))
		return length(NF_FN___vfprintf_chk, fmt, ap);
	return nf_real.__vfprintf_chk(f, flag, fmt, ap);
}

int __vfprintf_chk(FILE *f, int flag, const char *fmt, va_list ap)
{
	return is_idle() ? nf_real.__vfprintf_chk(f, flag, fmt, ap)
			 : busy_vfprintf_chk(f, flag, fmt, ap);
}

int __vdprintf_chk(int fd, int flag, const char *fmt, va_list ap)
{
	if (nf_drop_fd(NF_FN___vdprintf_chk, fd))
		return length(NF_FN___vdprintf_chk, fmt, ap);
	return nf_real.__vdprintf_chk(fd, flag, fmt, ap);
}

int printf(const char *fmt, ...)
{
	FORMATTED(NF_FN_printf, nf_drop_file(NF_FN_printf, stdout), nf_real.vprintf(fmt, ap));
}

int _IO_printf(const char *fmt, ...)
{
	FORMATTED(NF_FN__IO_printf, nf_drop_file(NF_FN__IO_printf, stdout),
		  nf_real.vprintf(fmt, ap));
}

int fprintf(FILE *f, const char *fmt, ...)
{
	FORMATTED(NF_FN_fprintf, nf_drop_file(NF_FN_fprintf, f), nf_real.vfprintf(f, fmt, ap));
}

int _IO_fprintf(FILE *f, const char *fmt, ...)
{
	FORMATTED(NF_FN__IO_fprintf, nf_drop_file(NF_FN__IO_fprintf, f),
		  nf_real.vfprintf(f, fmt, ap));
}

int dprintf(int fd, const char *fmt, ...)
{
	FORMATTED(NF_FN_dprintf, nf_drop_fd(NF_FN_dprintf, fd), nf_real.vdprintf(fd, fmt, ap));
}

int __printf_chk(int flag, const char *fmt, ...)
{
	FORMATTED(NF_FN___printf_chk, nf_drop_file(NF_FN___printf_chk, stdout),
		  nf_real.__vprintf_chk(flag, fmt, ap));
}

int __fprintf_chk(FILE *f, int flag, const char *fmt, ...)
{
	FORMATTED(NF_FN___fprintf_chk, nf_drop_file(NF_FN___fprintf_chk, f),
		  nf_real.__vfprintf_chk(f, flag, fmt, ap));
}

int __dprintf_chk(int fd, int flag, const char *fmt, ...)
{
	FORMATTED(NF_FN___dprintf_chk, nf_drop_fd(NF_FN___dprintf_chk, fd),
		  nf_real.__vdprintf_chk(fd, flag, fmt, ap));
}

/* ---- strings and characters ---- */

int puts(const char *s)
{
	DROP_FILE(NF_FN_puts, stdout, s, strlen(s) + 1, (int)strlen(s) + 1);
	return nf_real.puts(s);
}

int _IO_puts(const char *s)
{
	DROP_FILE(NF_FN__IO_puts, stdout, s, strlen(s) + 1, (int)strlen(s) + 1);
	return nf_real.puts(s);
}

int fputs(const char *s, FILE *f)
{
	DROP_FILE(NF_FN_fputs, f, s, strlen(s), 1);
	return nf_real.fputs(s, f);
}

int _IO_fputs(const char *s, FILE *f)
{
	DROP_FILE(NF_FN__IO_fputs, f, s, strlen(s), 1);
	return nf_real.fputs(s, f);
}

int fputs_unlocked(const char *s, FILE *f)
{
	DROP_FILE(NF_FN_fputs_unlocked, f, s, strlen(s), 1);
	return nf_real.fputs_unlocked(s, f);
}

#define CHARACTER(name)                                                                            \
	int name(int c, FILE *f)                                                                   \
	{                                                                                          \
		DROP_FILE(NF_FN_##name, f, &(char){(char)c}, 1, (unsigned char)c);                 \
		return nf_real.name(c, f);                                                         \
	}

int _IO_putc(int c, FILE *f);

CHARACTER(fputc)
CHARACTER(fputc_unlocked)
CHARACTER(putc)
CHARACTER(_IO_putc)
CHARACTER(putc_unlocked)

int putchar(int c)
{
	DROP_FILE(NF_FN_putchar, stdout, &(char){(char)c}, 1, (unsigned char)c);
	return nf_real.putchar(c);
}

int putchar_unlocked(int c)
{
	DROP_FILE(NF_FN_putchar_unlocked, stdout, &(char){(char)c}, 1, (unsigned char)c);
	return nf_real.putchar_unlocked(c);
}

int putw(int w, FILE *f)
{
	DROP_FILE(NF_FN_putw, f, &w, sizeof(w), 0);
	return nf_real.putw(w, f);
}

size_t fwrite(const void *p, size_t size, size_t n, FILE *f)
{
	DROP_FILE(NF_FN_fwrite, f, p, size * n, size ? n : 0);
	return nf_real.fwrite(p, size, n, f);
}

size_t _IO_fwrite(const void *p, size_t size, size_t n, FILE *f)
{
	DROP_FILE(NF_FN__IO_fwrite, f, p, size * n, size ? n : 0);
	return nf_real.fwrite(p, size, n, f);
}

size_t fwrite_unlocked(const void *p, size_t size, size_t n, FILE *f)
{
	DROP_FILE(NF_FN_fwrite_unlocked, f, p, size * n, size ? n : 0);
	return nf_real.fwrite_unlocked(p, size, n, f);
}
