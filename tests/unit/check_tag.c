/* SPDX-License-Identifier: BSD-2-Clause */
/* The tag of a clone's frame: nothing passes for it but what the key's owner made. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tag.h"

#define MOVE  7
#define LARGE (9000 + 14) /* the lab's largest frame */

static const uint8_t key[NF_TAG_KEY] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const struct nf_tag tag = {MOVE, 41, -3, 999999999, 1514, 3};
static uint8_t frame[LARGE + NF_TAG_LEN + 8];
static struct nf_tag got;

/* SipHash-2-4 of the bytes 0 … n-1 with that key: the reference implementation's table. */
static const uint64_t vectors[64] = {
	0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
	0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
	0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
	0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
	0x3f2acc7f57c29bdb, 0x699ae9f52cbe4794, 0x4bc1b3f0968dd39c, 0xbb6dc91da77961bd,
	0xbed65cf21aa2ee98, 0xd0f2cbb02e3b67c7, 0x93536795e3a33e88, 0xa80c038ccd5ccec8,
	0xb8ad50c6f649af94, 0xbce192de8a85b8ea, 0x17d835b85bbb15f3, 0x2f2e6163076bcfad,
	0xde4daaaca71dc9a5, 0xa6a2506687956571, 0xad87a3535c49ef28, 0x32d892fad841c342,
	0x7127512f72f27cce, 0xa7f32346f95978e3, 0x12e0b01abb051238, 0x15e034d40fa197ae,
	0x314dffbe0815a3b4, 0x027990f029623981, 0xcadcd4e59ef40c4d, 0x9abfd8766a33735c,
	0x0e3ea96b5304a7d0, 0xad0c42d6fc585992, 0x187306c89bc215a9, 0xd4a60abcf3792b95,
	0xf935451de4f21df2, 0xa9538f0419755787, 0xdb9acddff56ca510, 0xd06c98cd5c0975eb,
	0xe612a3cb9ecba951, 0xc766e62cfcadaf96, 0xee64435a9752fe72, 0xa192d576b245165a,
	0x0a8787bf8ecb74b2, 0x81b3e73d20b49b6f, 0x7fa8220ba3b2ecea, 0x245731c13ca42499,
	0xb78dbfaf3a8d83bd, 0xea1ad565322a1a0b, 0x60e61c23a3795013, 0x6606d7e446282b93,
	0x6ca4ecb15c5f91e1, 0x9f626da15c9625f3, 0xe51b38608ef25f57, 0x958a324ceb064572,
};

START_TEST(siphash_vectors)
{
	uint8_t in[64];

	for (uint8_t i = 0; i < sizeof(in); i++)
		in[i] = i;
	for (size_t n = 0; n < sizeof(in); n++)
		ck_assert_uint_eq(nf_siphash(key, in, n), vectors[n]);
}
END_TEST

/* An IPv4 packet of @len bytes and its tag; the size of both. */
static uint32_t tagged(uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(i * 31);
	memcpy(frame + 12, "\x08\x00\x45", 3);
	nf_tag_put(key, &tag, frame, len);
	return len + NF_TAG_LEN;
}

static bool passes(uint32_t caplen, uint32_t len)
{
	return nf_tag_check(key, MOVE, frame, caplen, len, &got);
}

START_TEST(comes_back_whole)
{
	static const uint32_t sizes[] = {14, 60, 61, 1514, LARGE};
	uint32_t n;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		n = tagged(sizes[i]);
		memset(&got, 0, sizeof(got));
		ck_assert(passes(n, n));
		ck_assert_uint_eq(got.move, tag.move);
		ck_assert_uint_eq(got.seq, tag.seq);
		ck_assert_int_eq(got.sec, tag.sec);
		ck_assert_uint_eq(got.nsec, tag.nsec);
		ck_assert_uint_eq(got.wirelen, tag.wirelen);
		ck_assert_uint_eq(got.capture, tag.capture);
	}
}
END_TEST

START_TEST(every_bit_counts)
{
	uint32_t n = tagged(200);

	for (uint32_t bit = 0; bit < 8 * n; bit++) {
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_msg(!passes(n, n), "bit %u", bit);
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	ck_assert(passes(n, n));
}
END_TEST

START_TEST(another_key_or_move)
{
	uint8_t other[NF_TAG_KEY];
	uint32_t n = tagged(200);

	memcpy(other, key, sizeof(other));
	other[15] ^= 0x80;
	ck_assert(!nf_tag_check(other, MOVE, frame, n, n, &got));
	ck_assert(!nf_tag_check(key, MOVE + 1, frame, n, n, &got));
	ck_assert(nf_tag_like(frame, n, n));
}
END_TEST

START_TEST(truncated)
{
	uint32_t n = tagged(200);

	for (uint32_t k = 0; k < n; k++) {
		ck_assert(!passes(k, n)); /* by the capture */
		ck_assert(!passes(k, k)); /* on the wire */
	}
	memset(frame + n, 0, 8); /* padded */
	for (uint32_t k = 1; k <= 8; k++)
		ck_assert(!passes(n + k, n + k));
}
END_TEST

/* Each piece of a fragmented packet, with its tail where it is or behind each piece. */
START_TEST(fragmented)
{
	uint32_t n = tagged(200), cut;
	uint8_t whole[512];

	memcpy(whole, frame, n);
	for (cut = 40; cut < n - 8; cut += 8) {
		memcpy(frame, whole, 34); /* headers, then the second half */
		frame[20] = 0;
		frame[21] = (uint8_t)(cut / 8);
		memcpy(frame + 34, whole + cut, n - cut);
		ck_assert(!passes(34 + n - cut, 34 + n - cut));
		memcpy(frame, whole, cut);
		memcpy(frame + cut, whole + n - NF_TAG_LEN, NF_TAG_LEN);
		if (cut + NF_TAG_LEN != n)
			ck_assert(!passes(cut + NF_TAG_LEN, cut + NF_TAG_LEN));
	}
}
END_TEST

START_TEST(vlan_copy)
{
	uint32_t n = tagged(200);

	memmove(frame + 16, frame + 12, n - 12);
	memcpy(frame + 12, "\x81\x00\x00\x05", 4);
	ck_assert(!passes(n + 4, n + 4));
	ck_assert(nf_tag_like(frame, n + 4, n + 4));
}
END_TEST

/* The largest frame, and one more byte in front of, in and behind the packet. */
START_TEST(maximum_size)
{
	uint32_t n = tagged(LARGE);

	ck_assert(passes(n, n));
	frame[LARGE - 1] ^= 1;
	ck_assert(!passes(n, n));
	frame[LARGE - 1] ^= 1;
	frame[n] = 0;
	ck_assert(!passes(n + 1, n + 1));
	ck_assert(!nf_tag_check(key, MOVE, frame + 1, n - 1, n - 1, &got));
}
END_TEST

/* A tag alone, or behind less than an Ethernet header, is no frame's. */
START_TEST(too_short)
{
	for (uint32_t len = 0; len < 14; len++) {
		uint32_t n = (nf_tag_put(key, &tag, frame, len), len + NF_TAG_LEN);

		ck_assert(!passes(n, n) && !nf_tag_like(frame, n, n));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tag");
	TCase *t = tcase_create("tag");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, siphash_vectors);
	tcase_add_test(t, comes_back_whole);
	tcase_add_test(t, every_bit_counts);
	tcase_add_test(t, another_key_or_move);
	tcase_add_test(t, truncated);
	tcase_add_test(t, fragmented);
	tcase_add_test(t, vlan_copy);
	tcase_add_test(t, maximum_size);
	tcase_add_test(t, too_short);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
