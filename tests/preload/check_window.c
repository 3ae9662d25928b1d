/* SPDX-License-Identifier: BSD-2-Clause */
/* The window by itself: what is dropped in it, whose it is, and what its edges leave alone. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hooks.h"

#define ROOM 16 /* bytes of a stream's buffer */

static char path[] = "/tmp/check_window.XXXXXX";
static char buffer[ROOM];
static FILE *f;

static void setup(void)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	f = fdopen(fd, "w");
	ck_assert_ptr_nonnull(f);
	setvbuf(f, buffer, _IOFBF, sizeof(buffer));
}

static void teardown(void)
{
	nfshim_test_window(0);
	fclose(f);
	unlink(path);
	strcpy(path, "/tmp/check_window.XXXXXX");
}

/* What the file holds once the stream is flushed. */
static const char *content(void)
{
	static char text[4096];
	int fd = open(path, O_RDONLY);
	ssize_t n;

	ck_assert_int_eq(fflush(f), 0);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	ck_assert_int_ge(n, 0);
	text[n] = 0;
	return text;
}

/* By the inlined form where there is one: no call at all while the buffer has room. */
static void put(int n, char c)
{
	while (n-- > 0)
		ck_assert_int_eq(putc_unlocked(c, f), c);
}

/* Every fill level of the buffer before, in and after the window. */
START_TEST(only_what_is_inside_is_dropped)
{
	int before = _i % (ROOM + 2), inside = _i / (ROOM + 2);
	char want[4 * ROOM] = "";

	put(before, 'b');
	nfshim_test_window(1);
	put(inside, 'i');
	nfshim_test_window(0);
	put(3, 'a');
	memset(want, 'b', (size_t)before);
	strcat(want, "aaa");
	ck_assert_str_eq(content(), want);
}
END_TEST

START_TEST(flush_inside_writes_what_is_older)
{
	put(5, 'b');
	nfshim_test_window(1);
	put(2, 'i');
	ck_assert_str_eq(content(), "bbbbb");
	put(2 * ROOM, 'i');
	ck_assert_int_eq(fprintf(f, "%s", "inside"), 6);
	nfshim_test_window(0);
	put(1, 'a');
	ck_assert_str_eq(content(), "bbbbba");
}
END_TEST

/* Assigned, never counted: a longjmp out of a callback cannot leave it off by one. */
START_TEST(opened_twice_is_closed_once)
{
	nfshim_test_window(1);
	nfshim_test_window(1);
	ck_assert(nfshim_reprocessing());
	nfshim_test_window(0);
	ck_assert(!nfshim_reprocessing());
	put(1, 'a');
	ck_assert_str_eq(content(), "a");
}
END_TEST

START_TEST(suppressed_looks_like_done)
{
	int fd = fileno(f);
	uint64_t dropped = nfshim_test_dropped();

	nfshim_test_window(1);
	errno = ERANGE;
	ck_assert_int_eq(write(fd, "inside", 6), 6);
	ck_assert_int_eq(fputs("inside", f) >= 0, 1);
	ck_assert_int_eq(errno, ERANGE);
	ck_assert_int_eq(write(-1, "x", 1), -1);
	ck_assert_int_eq(errno, EBADF);
	nfshim_test_window(0);
	ck_assert_uint_ge(nfshim_test_dropped() - dropped, 2);
	ck_assert_str_eq(content(), "");
}
END_TEST

/* Not by assertions inside: check's own messages would be counted, too. */
START_TEST(drops_are_counted)
{
	uint64_t calls, bytes;
	ssize_t n;

	nfshim_test_window(1);
	calls = nfshim_test_dropped();
	bytes = nfshim_test_dropped_bytes();
	n = write(fileno(f), "inside", 6);
	n += fputs("in", f);
	n += (ssize_t)fwrite("side", 2, 2, f);
	n += fprintf(f, "%d", 123);
	n += write(-1, "x", 1);
	calls = nfshim_test_dropped() - calls;
	bytes = nfshim_test_dropped_bytes() - bytes;
	nfshim_test_window(0);
	ck_assert_int_eq(n, 6 + 1 + 2 + 3 - 1);
	ck_assert_uint_eq(calls, 4);
	ck_assert_uint_eq(bytes, 6 + 2 + 4 + 3);
}
END_TEST

START_TEST(own_memory_is_not_output)
{
	char *text;
	size_t n;
	FILE *m = open_memstream(&text, &n);

	nfshim_test_window(1);
	fprintf(m, "kept %d", 1);
	fclose(m);
	nfshim_test_window(0);
	ck_assert_str_eq(text, "kept 1");
	free(text);
}
END_TEST

static void *other(void *arg)
{
	bool *reprocessing = arg;

	*reprocessing = nfshim_reprocessing();
	put(3 * ROOM, 'o');
	return NULL;
}

/* The flag is the packet thread's; what another prints meanwhile goes out. */
START_TEST(other_threads_are_not_in_it)
{
	bool reprocessing = true;
	char want[3 * ROOM + 2] = "";
	pthread_t t;

	nfshim_test_window(1);
	ck_assert_int_eq(pthread_create(&t, NULL, other, &reprocessing), 0);
	pthread_join(t, NULL);
	put(1, 'i');
	nfshim_test_window(0);
	ck_assert(!reprocessing);
	memset(want, 'o', 3 * ROOM);
	ck_assert_str_eq(content(), want);
}
END_TEST

START_TEST(stream_opened_inside_works_afterwards)
{
	FILE *late;

	nfshim_test_window(1);
	late = fopen(path, "a");
	ck_assert_ptr_nonnull(late);
	fputs("inside", late);
	nfshim_test_window(0);
	fputs("after", late);
	fclose(late);
	ck_assert_str_eq(content(), "after");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("window");
	TCase *t = tcase_create("window");
	SRunner *r;
	int failed;

	if (!nfshim_test_window) {
		fprintf(stderr, "the library of the tests is not preloaded\n");
		return 2;
	}
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, only_what_is_inside_is_dropped, 0, (ROOM + 2) * (ROOM + 2));
	tcase_add_test(t, flush_inside_writes_what_is_older);
	tcase_add_test(t, opened_twice_is_closed_once);
	tcase_add_test(t, suppressed_looks_like_done);
	tcase_add_test(t, drops_are_counted);
	tcase_add_test(t, own_memory_is_not_output);
	tcase_add_test(t, other_threads_are_not_in_it);
	tcase_add_test(t, stream_opened_inside_works_afterwards);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
