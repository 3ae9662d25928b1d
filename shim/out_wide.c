/* SPDX-License-Identifier: BSD-2-Clause */
/* Output by wide-character stdio. */
#include <stdarg.h>
#include <stdio.h>
#include <wchar.h>

#include "drop.h"
#include "real.h"

/* There is no length-only vswprintf: format into the bit bucket. */
static int length(enum nf_fn fn, const wchar_t *fmt, va_list ap)
{
	FILE *f = fopen("/dev/null", "w");
	int rc = -1;

	if (f) {
		rc = nf_real.vfwprintf(f, fmt, ap);
		nf_real.fclose(f);
	}
	nf_dropped(fn, rc < 0 ? 0 : (size_t)rc);
	return rc;
}

int vfwprintf(FILE *f, const wchar_t *fmt, va_list ap)
{
	return nf_drop_file(NF_FN_vfwprintf, f) ? length(NF_FN_vfwprintf, fmt, ap)
						: nf_real.vfwprintf(f, fmt, ap);
}

int vwprintf(const wchar_t *fmt, va_list ap)
{
	return nf_drop_file(NF_FN_vwprintf, stdout) ? length(NF_FN_vwprintf, fmt, ap)
						    : nf_real.vwprintf(fmt, ap);
}

int __vfwprintf_chk(FILE *f, int flag, const wchar_t *fmt, va_list ap)
{
	return nf_drop_file(NF_FN___vfwprintf_chk, f) ? length(NF_FN___vfwprintf_chk, fmt, ap)
						      : nf_real.__vfwprintf_chk(f, flag, fmt, ap);
}

int __vwprintf_chk(int flag, const wchar_t *fmt, va_list ap)
{
	return nf_drop_file(NF_FN___vwprintf_chk, stdout) ? length(NF_FN___vwprintf_chk, fmt, ap)
							  : nf_real.__vwprintf_chk(flag, fmt, ap);
}

#define FORMATTED(call)                                                                            \
	do {                                                                                       \
		va_list ap;                                                                        \
		int rc;                                                                            \
                                                                                                   \
		va_start(ap, fmt);                                                                 \
		rc = call;                                                                         \
		va_end(ap);                                                                        \
		return rc;                                                                         \
	} while (0)

int wprintf(const wchar_t *fmt, ...)
{
	FORMATTED(vwprintf(fmt, ap));
}

int fwprintf(FILE *f, const wchar_t *fmt, ...)
{
	FORMATTED(vfwprintf(f, fmt, ap));
}

int __wprintf_chk(int flag, const wchar_t *fmt, ...);
int __fwprintf_chk(FILE *f, int flag, const wchar_t *fmt, ...);

int __wprintf_chk(int flag, const wchar_t *fmt, ...)
{
	FORMATTED(__vwprintf_chk(flag, fmt, ap));
}

int __fwprintf_chk(FILE *f, int flag, const wchar_t *fmt, ...)
{
	FORMATTED(__vfwprintf_chk(f, flag, fmt, ap));
}

int fputws(const wchar_t *s, FILE *f)
{
	return nf_drop_file(NF_FN_fputws, f) ? (nf_dropped(NF_FN_fputws, wcslen(s)), 1)
					     : nf_real.fputws(s, f);
}

int fputws_unlocked(const wchar_t *s, FILE *f)
{
	return nf_drop_file(NF_FN_fputws_unlocked, f)
		       ? (nf_dropped(NF_FN_fputws_unlocked, wcslen(s)), 1)
		       : nf_real.fputws_unlocked(s, f);
}

#define CHARACTER(name)                                                                            \
	wint_t name(wchar_t c, FILE *f)                                                            \
	{                                                                                          \
		return nf_drop_file(NF_FN_##name, f) ? (nf_dropped(NF_FN_##name, 1), (wint_t)c)    \
						     : nf_real.name(c, f);                         \
	}

CHARACTER(fputwc)
CHARACTER(fputwc_unlocked)
CHARACTER(putwc)
CHARACTER(putwc_unlocked)

wint_t putwchar(wchar_t c)
{
	return nf_drop_file(NF_FN_putwchar, stdout) ? (nf_dropped(NF_FN_putwchar, 1), (wint_t)c)
						    : nf_real.putwchar(c);
}

wint_t putwchar_unlocked(wchar_t c)
{
	return nf_drop_file(NF_FN_putwchar_unlocked, stdout)
		       ? (nf_dropped(NF_FN_putwchar_unlocked, 1), (wint_t)c)
		       : nf_real.putwchar_unlocked(c);
}
