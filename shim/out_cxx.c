/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output by libstdc++'s file streams: std::basic_filebuf<char> and <wchar_t>,
 * by the names that its virtual tables are bound by, without linking to it.
 * What std::cout prints by default comes through stdio.
 *
 * New text is dropped where it comes to a filebuf, so what a filebuf hands to
 * its __basic_file in the window is older and goes out.
 */
#include <stddef.h>
#include <wchar.h>

#include "drop.h"
#include "filebufs.h"
#include "real.h"

#define NARROW(member) _ZNSt13basic_filebufIcSt11char_traitsIcEE##member
#define WIDE(member)   _ZNSt13basic_filebufIwSt11char_traitsIwEE##member
#define FN(name)       FN_(name)
#define FN_(name)      NF_FN_##name
#define REAL(name)     (nf_real_late()->name)

static bool drop(enum nf_fn fn, struct nf_filebuf *fb)
{
	if (!nf_dropping() || !fb->file.file || !nf_drop_ask_fd(fn, fileno_unlocked(fb->file.file)))
		return false;
	nf_filebuf_close_up(fb);
	return true;
}

#define STREAM(put, over, type, int_type, eof)                                                     \
	ssize_t put(struct nf_filebuf *fb, const type *s, ssize_t n)                               \
	{                                                                                          \
		if (drop(FN(put), fb)) {                                                           \
			nf_dropped(FN(put), (size_t)n * sizeof(*s));                               \
			return n;                                                                  \
		}                                                                                  \
		nf_filebuf_used(fb);                                                               \
		return REAL(put)(fb, s, n);                                                        \
	}                                                                                          \
                                                                                                   \
	int_type over(struct nf_filebuf *fb, int_type c)                                           \
	{                                                                                          \
		if (c != eof && drop(FN(over), fb)) {                                              \
			nf_dropped(FN(over), sizeof(type));                                        \
			return c;                                                                  \
		}                                                                                  \
		nf_filebuf_used(fb);                                                               \
		c = REAL(over)(fb, c);                                                             \
		if (nf_dropping()) /* a flush makes room */                                        \
			nf_filebuf_close_up(fb);                                                   \
		return c;                                                                          \
	}

STREAM(NARROW(6xsputnEPKcl), NARROW(8overflowEi), char, int, EOF)
STREAM(WIDE(6xsputnEPKwl), WIDE(8overflowEj), wchar_t, wint_t, WEOF)

/* Put areas that come from another object. */
static void moved(struct nf_filebuf *fb)
{
	nf_filebuf_used(fb);
	if (nf_dropping())
		nf_filebuf_close_up(fb);
}

#define MOVE(construct, base_construct, assign, swapped)                                           \
	void construct(struct nf_filebuf *fb, struct nf_filebuf *from)                             \
	{                                                                                          \
		REAL(construct)(fb, from);                                                         \
		moved(fb);                                                                         \
	}                                                                                          \
                                                                                                   \
	void base_construct(struct nf_filebuf *fb, struct nf_filebuf *from)                        \
	{                                                                                          \
		REAL(base_construct)(fb, from);                                                    \
		moved(fb);                                                                         \
	}                                                                                          \
                                                                                                   \
	struct nf_filebuf *assign(struct nf_filebuf *fb, struct nf_filebuf *from)                  \
	{                                                                                          \
		REAL(assign)(fb, from);                                                            \
		moved(fb);                                                                         \
		return fb;                                                                         \
	}                                                                                          \
                                                                                                   \
	void swapped(struct nf_filebuf *fb, struct nf_filebuf *other)                              \
	{                                                                                          \
		REAL(swapped)(fb, other);                                                          \
		moved(fb);                                                                         \
		moved(other);                                                                      \
	}

MOVE(NARROW(C1EOS2_), NARROW(C2EOS2_), NARROW(aSEOS2_), NARROW(4swapERS2_))
MOVE(WIDE(C1EOS2_), WIDE(C2EOS2_), WIDE(aSEOS2_), WIDE(4swapERS2_))

/* ---- std::__basic_file<char>, below both ---- */

ssize_t _ZNSt12__basic_fileIcE6xsputnEPKcl(struct nf_basic_file *f, const char *s, ssize_t n)
{
	int window = nf_window;

	nf_window = 0;
	n = REAL(_ZNSt12__basic_fileIcE6xsputnEPKcl)(f, s, n);
	nf_window = window;
	return n;
}

static void gone(struct nf_basic_file *f)
{
	nf_filebuf_gone((void *)((char *)f - offsetof(struct nf_filebuf, file)));
}

void _ZNSt12__basic_fileIcED1Ev(struct nf_basic_file *f)
{
	gone(f);
	REAL(_ZNSt12__basic_fileIcED1Ev)(f);
}

void _ZNSt12__basic_fileIcED2Ev(struct nf_basic_file *f)
{
	gone(f);
	REAL(_ZNSt12__basic_fileIcED2Ev)(f);
}
