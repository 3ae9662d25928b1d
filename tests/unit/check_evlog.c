/* SPDX-License-Identifier: BSD-2-Clause */
/* Event log: its file, its limits, and that a killed process loses nothing. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "evlog.h"

#define PER_MB (((1u << 20) - NF_EV_HEAD) / sizeof(struct nf_ev_rec))

static char dir[32], path[64];

struct seen {
	void *map;
	size_t bytes;
	const struct nf_ev_head *head;
	const struct nf_ev_rec *rec;
};

static void setup(void)
{
	strcpy(dir, "/tmp/evlogXXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
	setenv("NFSHIM_EVLOG", path, 1);
	setenv("NFSHIM_EVLOG_MB", "1", 1);
	nf_evlog_on = false;
}

static void teardown(void)
{
	unlink(path);
	rmdir(dir);
}

static struct seen look(void)
{
	int fd = open(path, O_RDONLY);
	struct seen s;
	struct stat st;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	s.bytes = (size_t)st.st_size;
	s.map = mmap(NULL, s.bytes, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	ck_assert_ptr_ne(s.map, MAP_FAILED);
	s.head = s.map;
	s.rec = (const struct nf_ev_rec *)((const uint8_t *)s.map + NF_EV_HEAD);
	return s;
}

static void done(struct seen *s)
{
	munmap(s->map, s->bytes);
}

static struct nfshim_flow a_flow(uint8_t n)
{
	struct nfshim_flow f = {.port = {1000, 80}, .ethertype = 0x0800, .proto = 6};

	f.addr[0][0] = 10;
	f.addr[0][3] = n;
	f.addr[1][0] = 198;
	return f;
}

START_TEST(unset_is_off)
{
	unsetenv("NFSHIM_EVLOG");
	ck_assert_int_eq(nf_evlog_open("ids1"), 0);
	ck_assert(!nf_evlog_on);
	setenv("NFSHIM_EVLOG", "", 1);
	ck_assert_int_eq(nf_evlog_open("ids1"), 0);
	ck_assert(!nf_evlog_on);
}
END_TEST

START_TEST(what_was_put_is_there)
{
	struct nfshim_flow f = a_flow(7);
	struct seen s;

	ck_assert_int_eq(nf_evlog_open("ids1"), 0);
	ck_assert(nf_evlog_on);
	nf_evlog_put(NF_EV_PROCESSED, 0x1122334455667788ull, &f, 5, 3, true);
	nf_evlog_put(NF_EV_EXPORT, 0, &f, 6, 4, false);
	s = look();
	ck_assert_uint_eq(s.head->magic, NF_EV_MAGIC);
	ck_assert_str_eq(s.head->instance, "ids1");
	ck_assert_uint_eq(s.head->count, 2);
	ck_assert_uint_eq(s.rec[0].seq, 1);
	ck_assert_uint_eq(s.rec[0].id, 0x1122334455667788ull);
	ck_assert_uint_eq(s.rec[0].version, 5);
	ck_assert_uint_eq(s.rec[0].epoch, 3);
	ck_assert_uint_eq(s.rec[0].what, NF_EV_PROCESSED);
	ck_assert_uint_eq(s.rec[0].output, 1);
	ck_assert_mem_eq(&s.rec[0].flow, &f, sizeof(f));
	ck_assert_uint_eq(s.rec[1].seq, 2);
	ck_assert_uint_eq(s.rec[1].what, NF_EV_EXPORT);
	ck_assert_uint_eq(s.rec[1].output, 0);
	ck_assert_uint_ge(s.rec[1].ns, s.rec[0].ns);
	ck_assert_uint_gt(s.rec[0].ns, 0);
	done(&s);
}
END_TEST

START_TEST(names_are_filled_in)
{
	char tmpl[96], was[64];

	strcpy(was, path);
	snprintf(tmpl, sizeof(tmpl), "%s/%%n.%%p.100%%.ev", dir);
	setenv("NFSHIM_EVLOG", tmpl, 1);
	ck_assert_int_eq(nf_evlog_open("a-b"), 0);
	snprintf(path, sizeof(path), "%s/a-b.%d.100%%.ev", dir, getpid());
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(refused_with_the_reason)
{
	char tmpl[8192];

	snprintf(tmpl, sizeof(tmpl), "%s/none/log", dir);
	setenv("NFSHIM_EVLOG", tmpl, 1);
	ck_assert_int_eq(nf_evlog_open("ids1"), -ENOENT);
	ck_assert(!nf_evlog_on);
	/* Never another file than the one that was named. */
	memset(tmpl, 'x', sizeof(tmpl) - 1);
	memcpy(tmpl, path, strlen(path));
	tmpl[sizeof(tmpl) - 1] = 0;
	setenv("NFSHIM_EVLOG", tmpl, 1);
	ck_assert_int_eq(nf_evlog_open("ids1"), -ENAMETOOLONG);
	memcpy(tmpl + 4000, "%n%n", 4);
	tmpl[4004] = 0;
	setenv("NFSHIM_EVLOG", tmpl, 1);
	ck_assert_int_eq(nf_evlog_open("an-instance-whose-name-takes-more-than-forty-eight-bytes"),
			 -ENAMETOOLONG);
	ck_assert(!nf_evlog_on);
}
END_TEST

START_TEST(full_log_goes_on_counting)
{
	struct nfshim_flow f = a_flow(1);
	struct seen s;

	ck_assert_int_eq(nf_evlog_open("ids1"), 0);
	for (unsigned i = 1; i <= PER_MB + 5; i++)
		nf_evlog_put(NF_EV_PROCESSED, i, &f, 0, 0, true);
	s = look();
	ck_assert_uint_eq(s.bytes, 1u << 20);
	ck_assert_uint_eq(s.head->count, PER_MB + 5);
	ck_assert_uint_eq(s.rec[PER_MB - 1].id, PER_MB);
	done(&s);
}
END_TEST

START_TEST(size_is_as_told)
{
	static const struct {
		const char *text;
		size_t mb;
	} cases[] = {{"3", 3}, {NULL, 64}, {"", 64}, {"-1", 64}, {"much", 64}};
	struct stat st;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (cases[i].text)
			setenv("NFSHIM_EVLOG_MB", cases[i].text, 1);
		else
			unsetenv("NFSHIM_EVLOG_MB");
		ck_assert_int_eq(nf_evlog_open("ids1"), 0);
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_uint_eq((size_t)st.st_size, cases[i].mb << 20);
		ck_assert_uint_lt((size_t)st.st_blocks * 512, 1u << 20); /* sparse */
	}
}
END_TEST

START_TEST(killed_process_loses_nothing)
{
	struct nfshim_flow f = a_flow(9);
	int status, to_parent[2];
	struct seen s;
	pid_t pid;
	char c;

	ck_assert_int_eq(pipe(to_parent), 0);
	pid = fork();
	if (!pid) {
		if (nf_evlog_open("ids1"))
			_exit(1);
		for (uint64_t i = 1; i <= 1000; i++)
			nf_evlog_put(NF_EV_PROCESSED, i, &f, i, 0, true);
		if (write(to_parent[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	ck_assert_int_eq(read(to_parent[0], &c, 1), 1);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	close(to_parent[0]);
	close(to_parent[1]);
	s = look();
	ck_assert_uint_eq(s.head->magic, NF_EV_MAGIC);
	ck_assert_uint_eq(s.head->count, 1000);
	for (uint64_t i = 0; i < 1000; i++)
		ck_assert(s.rec[i].seq == i + 1 && s.rec[i].id == i + 1);
	done(&s);
}
END_TEST

/* A reader beside the writer: each record that the count covers is whole. */
START_TEST(count_comes_after_the_record)
{
	struct nfshim_flow f = a_flow(4);
	int status;
	pid_t pid;

	ck_assert_int_eq(nf_evlog_open("ids1"), 0);
	pid = fork();
	if (!pid) {
		struct seen s = look();
		uint64_t n;

		do {
			n = s.head->count;
			if (n && (s.rec[n - 1].seq != n || s.rec[n - 1].id != ~n))
				_exit(1);
		} while (n < PER_MB);
		_exit(0);
	}
	for (uint64_t i = 1; i <= PER_MB; i++)
		nf_evlog_put(NF_EV_PROCESSED, ~i, &f, 0, 0, true);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && !WEXITSTATUS(status));
}
END_TEST

START_TEST(ids_tell_packets_apart)
{
	uint8_t p[80], q[80];
	uint64_t id;

	for (unsigned i = 0; i < sizeof(p); i++)
		p[i] = q[i] = (uint8_t)(i * 7);
	for (uint32_t n = 0; n <= sizeof(p); n++) {
		id = nf_evlog_id(p, n, 80);
		ck_assert_uint_ne(id, 0); /* 0 is no packet */
		ck_assert_uint_eq(id, nf_evlog_id(q, n, 80));
		ck_assert_uint_ne(id, nf_evlog_id(p, n, 81));
		for (uint32_t i = 0; i < n; i++) {
			q[i] ^= 1;
			ck_assert_uint_ne(id, nf_evlog_id(q, n, 80));
			q[i] ^= 1;
		}
	}
	/* The frame need not be aligned. */
	memmove(q + 1, p, 79);
	ck_assert_uint_eq(nf_evlog_id(q + 1, 79, 79), nf_evlog_id(p, 79, 79));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("evlog");
	TCase *t = tcase_create("evlog");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, unset_is_off);
	tcase_add_test(t, what_was_put_is_there);
	tcase_add_test(t, names_are_filled_in);
	tcase_add_test(t, refused_with_the_reason);
	tcase_add_test(t, full_log_goes_on_counting);
	tcase_add_test(t, size_is_as_told);
	tcase_add_test(t, killed_process_loses_nothing);
	tcase_add_test(t, count_comes_after_the_record);
	tcase_add_test(t, ids_tell_packets_apart);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
