/* SPDX-License-Identifier: BSD-2-Clause */
#include "siphash.h"

#include <endian.h>
#include <string.h>

struct sip {
	uint64_t a, b, c, d;
};

static uint64_t rotl(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

static void rounds(struct sip *s, int n)
{
	while (n--) {
		s->a += s->b;
		s->b = rotl(s->b, 13) ^ s->a;
		s->a = rotl(s->a, 32);
		s->c += s->d;
		s->d = rotl(s->d, 16) ^ s->c;
		s->a += s->d;
		s->d = rotl(s->d, 21) ^ s->a;
		s->c += s->b;
		s->b = rotl(s->b, 17) ^ s->c;
		s->c = rotl(s->c, 32);
	}
}

static void take(struct sip *s, uint64_t word)
{
	s->d ^= word;
	rounds(s, 2);
	s->a ^= word;
}

static uint64_t word_at(const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return le64toh(w);
}

uint64_t nf_siphash(const uint8_t key[NF_SIPHASH_KEY], const void *data, size_t len)
{
	const uint64_t k0 = word_at(key), k1 = word_at(key + 8);
	struct sip s = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
			k1 ^ 0x7465646279746573};
	const uint8_t *p = data;
	uint8_t last[8] = {0};
	size_t left = len;

	for (; left >= 8; left -= 8, p += 8)
		take(&s, word_at(p));
	memcpy(last, p, left);
	last[7] = (uint8_t)len;
	take(&s, word_at(last));
	s.c ^= 0xff;
	rounds(&s, 4);
	return s.a ^ s.b ^ s.c ^ s.d;
}
