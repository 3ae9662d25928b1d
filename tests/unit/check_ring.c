/* SPDX-License-Identifier: BSD-2-Clause */
/* The ring: order and content under two threads, wrap-around, and a hostile other side. */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

/* The hostile cases write the shared header, and both sides share one mapping under TSan. */
#include "ring.c"

#define SMALL (64u << 10)

static struct nf_ring *prod, *cons;
static int memfd;

static void setup(void)
{
	ck_assert_int_eq(nf_ring_create(SMALL, "check", &prod, &memfd), 0);
	ck_assert_int_eq(nf_ring_attach(memfd, &cons), 0);
}

static void teardown(void)
{
	nf_ring_free(prod);
	nf_ring_free(cons);
	close(memfd);
}

static uint8_t byte_of(uint64_t n, uint32_t i)
{
	return (uint8_t)(n * 31 + i * 7 + (i >> 8));
}

static bool push(struct nf_ring *r, uint64_t n, uint32_t payload)
{
	struct nf_rec *rec = nf_ring_reserve(r, (uint32_t)sizeof(*rec) + payload);
	uint8_t *p;

	if (!rec)
		return false;
	memset(rec, 0, sizeof(*rec));
	rec->len = (uint32_t)sizeof(*rec) + payload;
	rec->type = NF_REC_CLONE;
	rec->version = n;
	p = (uint8_t *)(rec + 1);
	for (uint32_t i = 0; i < payload; i++)
		p[i] = byte_of(n, i);
	nf_ring_commit(r, rec);
	return true;
}

/* 1 taken and right, 0 empty, -1 wrong. */
static int pull(struct nf_ring *r, uint64_t n, uint32_t payload)
{
	struct nf_rec hdr;
	const uint8_t *p;
	int err;

	if (!nf_ring_peek(r, &hdr, &p, &err))
		return err ? -1 : 0;
	if (hdr.version != n || nf_rec_payload(&hdr) != payload)
		return -1;
	for (uint32_t i = 0; i < payload; i++)
		if (p[i] != byte_of(n, i))
			return -1;
	nf_ring_next(r);
	return 1;
}

START_TEST(empty_and_one)
{
	struct nf_rec hdr;
	const uint8_t *p;
	int err = 1;

	ck_assert(nf_ring_empty(cons));
	ck_assert_ptr_null(nf_ring_peek(cons, &hdr, &p, &err));
	ck_assert_int_eq(err, 0);
	ck_assert(push(prod, 1, 3));
	ck_assert(!nf_ring_empty(cons));
	ck_assert_ptr_nonnull(nf_ring_peek(cons, &hdr, &p, &err));
	ck_assert_int_eq(pull(cons, 1, 3), 1); /* peeking twice changes nothing */
	ck_assert(nf_ring_empty(cons));
}
END_TEST

START_TEST(limits)
{
	struct nf_ring *r;
	int fd;

	ck_assert_ptr_null(nf_ring_reserve(prod, sizeof(struct nf_rec) - 1));
	ck_assert_ptr_null(nf_ring_reserve(prod, NF_REC_MAX + 1));
	ck_assert_ptr_null(nf_ring_reserve(prod, UINT32_MAX));
	ck_assert_ptr_null(nf_ring_reserve(prod, SMALL + 8));
	ck_assert_ptr_nonnull(nf_ring_reserve(prod, SMALL));
	ck_assert_int_eq(nf_ring_create(SMALL + 8, "check", &r, &fd), -EINVAL);
	ck_assert_int_eq(nf_ring_create(SMALL / 2, "check", &r, &fd), -EINVAL);
	nf_ring_free(NULL);
}
END_TEST

START_TEST(full_then_room)
{
	uint64_t n = 0, out = 0;

	while (push(prod, n, 500))
		n++;
	ck_assert_uint_gt(n, SMALL / 600 - 2);
	ck_assert_uint_lt(nf_ring_room(prod), 592);
	ck_assert_int_eq(pull(cons, out++, 500), 1);
	ck_assert_uint_ge(nf_ring_room(prod), 592);
	ck_assert(push(prod, n++, 500));
	ck_assert(!push(prod, n, 500));
	while (out < n)
		ck_assert_int_eq(pull(cons, out++, 500), 1);
	ck_assert_uint_eq(nf_ring_room(prod),
			  SMALL - (prod->head & (SMALL - 1)) > (prod->head & (SMALL - 1))
				  ? SMALL - (prod->head & (SMALL - 1))
				  : prod->head & (SMALL - 1));
}
END_TEST

START_TEST(room_is_what_can_be_reserved)
{
	for (uint64_t n = 0; n < 5000; n++) {
		uint32_t payload = (uint32_t)((n * 7919) % 5000);
		size_t room;

		ck_assert(push(prod, n, payload));
		room = nf_ring_room(prod);
		if (room >= sizeof(struct nf_rec))
			ck_assert_ptr_nonnull(nf_ring_reserve(prod, (uint32_t)room));
		ck_assert_ptr_null(nf_ring_reserve(prod, (uint32_t)room + 8));
		ck_assert_int_eq(pull(cons, n, payload), 1);
	}
}
END_TEST

START_TEST(dropped_reservation_and_lowered_length)
{
	for (uint64_t n = 0; n < 3000; n++) {
		struct nf_rec *r = nf_ring_reserve(prod, 4000);

		ck_assert_ptr_nonnull(r);
		memset(r, 0xff, 4000);
		ck_assert_int_eq(pull(cons, n, 0), 0); /* not committed: not seen */
		r = nf_ring_reserve(prod, 3000);
		ck_assert_ptr_nonnull(r);
		memset(r, 0, sizeof(*r));
		r->type = NF_REC_STATE;
		r->version = n;
		r->len = (uint32_t)sizeof(*r) + (uint32_t)(n % 100);
		for (uint32_t i = 0; i < n % 100; i++)
			((uint8_t *)(r + 1))[i] = byte_of(n, i);
		nf_ring_commit(prod, r);
		ck_assert_int_eq(pull(cons, n, (uint32_t)(n % 100)), 1);
	}
}
END_TEST

/* ---- two threads ---- */

struct run {
	struct nf_ring *r;
	uint64_t count;
	bool wrong;
};

static uint32_t size_of(uint64_t n)
{
	uint64_t x = n * 0x9e3779b97f4a7c15ull;

	return (x >> 60) == 0 ? (uint32_t)(x >> 40) % 20000 : (uint32_t)(x >> 40) % 1600;
}

static void *produce(void *arg)
{
	struct run *w = arg;

	for (uint64_t n = 0; n < w->count;) {
		if (push(w->r, n, size_of(n)))
			n++;
		else
			sched_yield();
	}
	return NULL;
}

static void *consume(void *arg)
{
	struct run *w = arg;

	for (uint64_t n = 0; n < w->count && !w->wrong;) {
		int rc = pull(w->r, n, size_of(n));

		if (rc < 0)
			w->wrong = true;
		else if (rc)
			n++;
		else
			sched_yield();
	}
	return NULL;
}

START_TEST(two_threads)
{
	/* One mapping, two views: ThreadSanitizer sees payload and positions at one address. */
	struct nf_ring view = *prod;
	struct run p = {prod, 100000, false}, c = {_i ? cons : &view, 100000, false};
	pthread_t a, b;

	ck_assert_int_eq(pthread_create(&a, NULL, produce, &p), 0);
	ck_assert_int_eq(pthread_create(&b, NULL, consume, &c), 0);
	pthread_join(b, NULL);
	if (c.wrong)
		ck_abort_msg("a record came out wrong");
	pthread_join(a, NULL);
	ck_assert(nf_ring_empty(c.r));
}
END_TEST

/* ---- the other side is hostile ---- */

static int peek_error(void)
{
	struct nf_rec hdr;
	const uint8_t *p;
	int err = 0;

	ck_assert_ptr_null(nf_ring_peek(cons, &hdr, &p, &err));
	return err;
}

START_TEST(hostile_head)
{
	static const uint64_t head[] = {1, 7, SMALL + 1, SMALL + 8, UINT64_MAX, 1ull << 63};

	atomic_store(&prod->sh->head, head[_i]);
	ck_assert_int_eq(peek_error(), -EPROTO);
}
END_TEST

START_TEST(head_goes_back)
{
	for (uint64_t n = 0; n < 4; n++) {
		ck_assert(push(prod, n, 100));
		ck_assert_int_eq(pull(cons, n, 100), 1);
	}
	atomic_store(&prod->sh->head, 8);
	ck_assert_int_eq(peek_error(), -EPROTO);
}
END_TEST

START_TEST(hostile_length)
{
	static const uint32_t len[] = {0,	    1,	       87, 297, 1000, SMALL, NF_REC_MAX + 1,
				       0xfffffff9u, UINT32_MAX};
	uint32_t *rec;

	ck_assert(push(prod, 0, 200)); /* 296 bytes are there */
	rec = (uint32_t *)(void *)prod->data;
	rec[0] = len[_i];
	ck_assert_int_eq(peek_error(), -EPROTO);
}
END_TEST

START_TEST(hostile_filler)
{
	static const uint32_t skip[] = {0, 8, SMALL - 8, SMALL + 8, UINT32_MAX, SMALL};
	uint32_t *rec;

	ck_assert(push(prod, 0, 208));
	rec = (uint32_t *)(void *)prod->data;
	rec[0] = skip[_i]; /* the last one is true, but head does not cover it */
	rec[1] = 0;
	ck_assert_int_eq(peek_error(), -EPROTO);
}
END_TEST

START_TEST(header_at_the_very_end)
{
	uint32_t *rec;

	/* Bring both sides to 8 bytes before the end: no header fits there. */
	ck_assert(push(prod, 0, SMALL - 8 - (uint32_t)sizeof(struct nf_rec)));
	ck_assert_int_eq(pull(cons, 0, SMALL - 8 - (uint32_t)sizeof(struct nf_rec)), 1);
	rec = (uint32_t *)(void *)(prod->data + SMALL - 8);
	rec[0] = sizeof(struct nf_rec);
	rec[1] = NF_REC_CLONE;
	atomic_store(&prod->sh->head, prod->head + sizeof(struct nf_rec));
	ck_assert_int_eq(peek_error(), -EPROTO);
}
END_TEST

START_TEST(hostile_tail_never_lets_the_producer_out)
{
	static const uint64_t tail[] = {1, 13, SMALL, SMALL + 3, UINT64_MAX, 1ull << 63};

	/* Whatever the consumer claims, every reservation lies inside the data. */
	for (uint64_t n = 0; n < 2000; n++) {
		uint32_t len = (uint32_t)sizeof(struct nf_rec) + (uint32_t)(n * 37 % 3000);
		uint8_t *at;

		atomic_store(&prod->sh->tail, tail[_i] + n * 64);
		at = (uint8_t *)nf_ring_reserve(prod, len);
		if (!at)
			continue;
		ck_assert(at >= prod->data && at + len <= prod->data + prod->size);
		memset(at, 0, len);
		((struct nf_rec *)(void *)at)->len = n % 3 ? len : UINT32_MAX - (uint32_t)n;
		nf_ring_commit(prod, (struct nf_rec *)(void *)at);
	}
}
END_TEST

START_TEST(tail_ahead_leaves_no_room)
{
	ck_assert(push(prod, 0, 100));
	prod->tail = UINT64_MAX - SMALL; /* nothing cached that would do */
	atomic_store(&prod->sh->tail, prod->head + 64);
	ck_assert(!push(prod, 1, 100));
	ck_assert_uint_eq(nf_ring_room(prod), 0);
}
END_TEST

START_TEST(attach_refuses_bad_positions)
{
	static const uint64_t pos[][2] = {{4, 4},  {8, 4},	   {SMALL - 4, SMALL - 4},
					  {8, 16}, {SMALL + 8, 0}, {0, 8}};
	struct nf_ring *r = NULL;

	atomic_store(&prod->sh->head, pos[_i][0]);
	atomic_store(&prod->sh->tail, pos[_i][1]);
	ck_assert_int_eq(nf_ring_attach(memfd, &r), -EPROTO);
	ck_assert_ptr_null(r);
}
END_TEST

static int plain_memfd(size_t size, unsigned seals)
{
	int fd = memfd_create("check", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	if (seals)
		ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

START_TEST(attach_refuses_other_files)
{
	struct nf_ring *r = NULL;
	int fd[6];

	fd[0] = plain_memfd(PAGE + SMALL, 0); /* could be truncated under us */
	fd[1] = plain_memfd(PAGE + SMALL, F_SEAL_GROW | F_SEAL_SEAL);
	fd[2] = plain_memfd(PAGE + SMALL, SEALS);     /* no magic */
	fd[3] = plain_memfd(PAGE + SMALL + 8, SEALS); /* not a power of two */
	fd[4] = plain_memfd(PAGE, SEALS);
	fd[5] = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 6; i++) {
		ck_assert_int_eq(nf_ring_attach(fd[i], &r), -EPROTO);
		close(fd[i]);
	}
	prod->sh->bytes = SMALL * 2; /* header and file disagree */
	ck_assert_int_eq(nf_ring_attach(memfd, &r), -EPROTO);
	ck_assert_ptr_null(r);
	ck_assert_int_lt(ftruncate(memfd, 0), 0);
}
END_TEST

/* ---- cost; reported, never judged ---- */

static double ns_since(const struct timespec *t0)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)(t.tv_sec - t0->tv_sec) * 1e9 + (double)(t.tv_nsec - t0->tv_nsec);
}

START_TEST(cost)
{
	enum { ROUNDS = 200000, BYTES = 500 };
	static uint8_t packet[BYTES], copy[BYTES];
	struct timespec t0;
	double ring, take, plain;

	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (int i = 0; i < ROUNDS; i++) {
		memcpy(copy, packet, BYTES);
		__asm__ volatile("" : : "r"(copy) : "memory");
	}
	plain = ns_since(&t0);
	ring = take = 0;
	for (int i = 0; i < ROUNDS / 100; i++) {
		struct nf_rec hdr;
		const uint8_t *p;
		int err;

		clock_gettime(CLOCK_MONOTONIC, &t0);
		for (int j = 0; j < 100; j++) {
			struct nf_rec *r = nf_ring_reserve(prod, sizeof(*r) + BYTES);

			memset(r, 0, sizeof(*r));
			r->len = sizeof(*r) + BYTES;
			r->type = NF_REC_CLONE;
			memcpy(r + 1, packet, BYTES);
			nf_ring_commit(prod, r);
		}
		ring += ns_since(&t0);
		clock_gettime(CLOCK_MONOTONIC, &t0);
		while (nf_ring_peek(cons, &hdr, &p, &err)) {
			memcpy(copy, p, BYTES);
			nf_ring_next(cons);
		}
		take += ns_since(&t0);
	}
	printf("ring: %d-byte record in %.1f ns, out %.1f ns; memcpy of it %.1f ns\n", BYTES,
	       ring / ROUNDS, take / ROUNDS, plain / ROUNDS);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ring");
	TCase *t = tcase_create("ring");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, empty_and_one);
	tcase_add_test(t, limits);
	tcase_add_test(t, full_then_room);
	tcase_add_test(t, room_is_what_can_be_reserved);
	tcase_add_test(t, dropped_reservation_and_lowered_length);
	tcase_add_loop_test(t, two_threads, 0, 2);
	tcase_add_loop_test(t, hostile_head, 0, 6);
	tcase_add_test(t, head_goes_back);
	tcase_add_loop_test(t, hostile_length, 0, 9);
	tcase_add_loop_test(t, hostile_filler, 0, 6);
	tcase_add_test(t, header_at_the_very_end);
	tcase_add_loop_test(t, hostile_tail_never_lets_the_producer_out, 0, 6);
	tcase_add_test(t, tail_ahead_leaves_no_room);
	tcase_add_loop_test(t, attach_refuses_bad_positions, 0, 6);
	tcase_add_test(t, attach_refuses_other_files);
	tcase_add_test(t, cost);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
