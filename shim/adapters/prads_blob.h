/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blobs: little-endian, without padding. The writer and the reader remember a
 * failure, so that a caller checks once at the end. What is read is hostile.
 */
#ifndef NF_PRADS_BLOB_H
#define NF_PRADS_BLOB_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define NF_PRADS_VERSION 1
#define NF_PRADS_STR_MAX 4096	/* bytes of a text */
#define NF_PRADS_STR_NIL 0xffff /* length of a text that is not there */

struct nf_writer {
	uint8_t *p;
	size_t left;
	bool full;    /* @left was not enough */
	bool refused; /* a text is too long */
};

struct nf_reader {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static inline void nf_put(struct nf_writer *w, const void *v, size_t n)
{
	if (w->full || w->left < n) {
		w->full = true;
		return;
	}
	memcpy(w->p, v, n);
	w->p += n;
	w->left -= n;
}

/* The lower @n bytes of @v. */
static inline void nf_put_le(struct nf_writer *w, uint64_t v, unsigned n)
{
	uint8_t b[8];

	for (unsigned i = 0; i < n; i++)
		b[i] = (uint8_t)(v >> (8 * i));
	nf_put(w, b, n);
}

static inline void nf_put_u8(struct nf_writer *w, uint8_t v)
{
	nf_put_le(w, v, 1);
}

static inline void nf_put_u16(struct nf_writer *w, uint16_t v)
{
	nf_put_le(w, v, 2);
}

static inline void nf_put_u32(struct nf_writer *w, uint32_t v)
{
	nf_put_le(w, v, 4);
}

static inline void nf_put_u64(struct nf_writer *w, uint64_t v)
{
	nf_put_le(w, v, 8);
}

/* @s NULL: not there. */
static inline void nf_put_str(struct nf_writer *w, const void *s, size_t n)
{
	if (n > NF_PRADS_STR_MAX) {
		w->refused = true;
		return;
	}
	nf_put_u16(w, s ? (uint16_t)n : NF_PRADS_STR_NIL);
	if (s)
		nf_put(w, s, n);
}

static inline const uint8_t *nf_take(struct nf_reader *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || r->left < n) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	r->left -= n;
	return p;
}

static inline uint64_t nf_take_le(struct nf_reader *r, unsigned n)
{
	const uint8_t *p = nf_take(r, n);
	uint64_t v = 0;

	for (unsigned i = 0; p && i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static inline uint8_t nf_take_u8(struct nf_reader *r)
{
	return (uint8_t)nf_take_le(r, 1);
}

static inline uint16_t nf_take_u16(struct nf_reader *r)
{
	return (uint16_t)nf_take_le(r, 2);
}

static inline uint32_t nf_take_u32(struct nf_reader *r)
{
	return (uint32_t)nf_take_le(r, 4);
}

static inline uint64_t nf_take_u64(struct nf_reader *r)
{
	return nf_take_le(r, 8);
}

/* Bytes of a text, not terminated; NULL: not there, or bad. */
static inline const uint8_t *nf_take_str(struct nf_reader *r, size_t *n)
{
	*n = nf_take_u16(r);
	if (r->bad || *n == NF_PRADS_STR_NIL)
		return NULL;
	if (*n > NF_PRADS_STR_MAX) {
		r->bad = true;
		return NULL;
	}
	return nf_take(r, *n);
}

#endif
