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

static int length(const char *fmt, va_list ap)
{
	return vsnprintf(NULL, 0, fmt, ap);
}

#define DROP_FILE(f, value)                                                                        \
	do {                                                                                       \
		if (nf_drop_file(f))                                                               \
			return value;                                                              \
	} while (0)

/* A formatted call: @test decides, @real has a va_list form. */
#define FORMATTED(test, real)                                                                      \
	do {                                                                                       \
		va_list ap;                                                                        \
		int rc;                                                                            \
                                                                                                   \
		va_start(ap, fmt);                                                                 \
		if (test)                                                                          \
			rc = length(fmt, ap);                                                      \
		else                                                                               \
			rc = real;                                                                 \
		va_end(ap);                                                                        \
		return rc;                                                                         \
	} while (0)

int vprintf(const char *fmt, va_list ap)
{
	DROP_FILE(stdout, length(fmt, ap));
	return nf_real.vprintf(fmt, ap);
}

int vfprintf(FILE *f, const char *fmt, va_list ap)
{
	DROP_FILE(f, length(fmt, ap));
	return nf_real.vfprintf(f, fmt, ap);
}

int _IO_vfprintf(FILE *f, const char *fmt, va_list ap)
{
	DROP_FILE(f, length(fmt, ap));
	return nf_real.vfprintf(f, fmt, ap);
}

int vdprintf(int fd, const char *fmt, va_list ap)
{
	if (nf_drop_fd(NF_FAM_STDIO, fd))
		return length(fmt, ap);
	return nf_real.vdprintf(fd, fmt, ap);
}

int __vprintf_chk(int flag, const char *fmt, va_list ap)
{
	DROP_FILE(stdout, length(fmt, ap));
	return nf_real.__vprintf_chk(flag, fmt, ap);
}

int __vfprintf_chk(FILE *f, int flag, const char *fmt, va_list ap)
{
	DROP_FILE(f, length(fmt, ap));
	return nf_real.__vfprintf_chk(f, flag, fmt, ap);
}

int __vdprintf_chk(int fd, int flag, const char *fmt, va_list ap)
{
	if (nf_drop_fd(NF_FAM_STDIO, fd))
		return length(fmt, ap);
	return nf_real.__vdprintf_chk(fd, flag, fmt, ap);
}

int printf(const char *fmt, ...)
{
	FORMATTED(nf_drop_file(stdout), nf_real.vprintf(fmt, ap));
}

int _IO_printf(const char *fmt, ...)
{
	FORMATTED(nf_drop_file(stdout), nf_real.vprintf(fmt, ap));
}

int fprintf(FILE *f, const char *fmt, ...)
{
	FORMATTED(nf_drop_file(f), nf_real.vfprintf(f, fmt, ap));
}

int _IO_fprintf(FILE *f, const char *fmt, ...)
{
	FORMATTED(nf_drop_file(f), nf_real.vfprintf(f, fmt, ap));
}

int dprintf(int fd, const char *fmt, ...)
{
	FORMATTED(nf_drop_fd(NF_FAM_STDIO, fd), nf_real.vdprintf(fd, fmt, ap));
}

int __printf_chk(int flag, const char *fmt, ...)
{
	FORMATTED(nf_drop_file(stdout), nf_real.__vprintf_chk(flag, fmt, ap));
}

int __fprintf_chk(FILE *f, int flag, const char *fmt, ...)
{
	FORMATTED(nf_drop_file(f), nf_real.__vfprintf_chk(f, flag, fmt, ap));
}

int __dprintf_chk(int fd, int flag, const char *fmt, ...)
{
	FORMATTED(nf_drop_fd(NF_FAM_STDIO, fd), nf_real.__vdprintf_chk(fd, flag, fmt, ap));
}

/* ---- strings and characters ---- */

int puts(const char *s)
{
	DROP_FILE(stdout, (int)strlen(s) + 1);
	return nf_real.puts(s);
}

int _IO_puts(const char *s)
{
	DROP_FILE(stdout, (int)strlen(s) + 1);
	return nf_real.puts(s);
}

int fputs(const char *s, FILE *f)
{
	DROP_FILE(f, 1);
	return nf_real.fputs(s, f);
}

int _IO_fputs(const char *s, FILE *f)
{
	DROP_FILE(f, 1);
	return nf_real.fputs(s, f);
}

int fputs_unlocked(const char *s, FILE *f)
{
	DROP_FILE(f, 1);
	return nf_real.fputs_unlocked(s, f);
}

#define CHARACTER(name)                                                                            \
	int name(int c, FILE *f)                                                                   \
	{                                                                                          \
		DROP_FILE(f, (unsigned char)c);                                                    \
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
	DROP_FILE(stdout, (unsigned char)c);
	return nf_real.putchar(c);
}

int putchar_unlocked(int c)
{
	DROP_FILE(stdout, (unsigned char)c);
	return nf_real.putchar_unlocked(c);
}

int putw(int w, FILE *f)
{
	DROP_FILE(f, 0);
	return nf_real.putw(w, f);
}

size_t fwrite(const void *p, size_t size, size_t n, FILE *f)
{
	DROP_FILE(f, size ? n : 0);
	return nf_real.fwrite(p, size, n, f);
}

size_t _IO_fwrite(const void *p, size_t size, size_t n, FILE *f)
{
	DROP_FILE(f, size ? n : 0);
	return nf_real.fwrite(p, size, n, f);
}

size_t fwrite_unlocked(const void *p, size_t size, size_t n, FILE *f)
{
	DROP_FILE(f, size ? n : 0);
	return nf_real.fwrite_unlocked(p, size, n, f);
}
