/* SPDX-License-Identifier: BSD-2-Clause */
/* Framed connections: partial frames, limits, a peer that goes, descriptors that come along. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conn.h"

static int raw;		       /* the peer's end, to write any bytes at all */
static struct nf_conn *here;   /* the end under test */
static struct nf_conn *there;  /* the peer as a connection, once speak() made it */
static struct nf_msg msg, got; /* large */

static void setup(void)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	raw = sv[0];
	here = nf_conn_new(sv[1]);
	ck_assert_ptr_nonnull(here);
	there = NULL;
	memset(&msg, 0, sizeof(msg));
}

static void teardown(void)
{
	nf_conn_free(here);
	if (there)
		nf_conn_free(there);
	else if (raw >= 0)
		close(raw);
}

static void speak(void)
{
	there = nf_conn_new(raw);
	ck_assert_ptr_nonnull(there);
}

static size_t hello_frame(uint8_t **buf)
{
	size_t len = 0, cap = 0;

	msg.type = NF_MSG_HELLO;
	msg.hello.version = NF_PROTO_VERSION;
	msg.hello.role = NF_ROLE_HELPER;
	strcpy(msg.hello.name, "ids1");
	*buf = NULL;
	ck_assert_int_eq(nf_msg_encode(&msg, buf, &len, &cap), 0);
	return len;
}

START_TEST(sets_flags)
{
	ck_assert(fcntl(nf_conn_fd(here), F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(nf_conn_fd(here), F_GETFD) & FD_CLOEXEC);
	nf_conn_free(NULL);
}
END_TEST

START_TEST(byte_by_byte)
{
	uint8_t *f;
	size_t n = hello_frame(&f);

	ck_assert_int_eq(nf_conn_fill(here), 0); /* nothing there: not an error */
	for (size_t i = 0; i < n; i++) {
		ck_assert_int_eq(nf_conn_next(here, &got), 0);
		ck_assert_int_eq(write(raw, f + i, 1), 1);
		ck_assert_int_eq(nf_conn_fill(here), 0);
	}
	ck_assert_int_eq(nf_conn_next(here, &got), 1);
	ck_assert_int_eq(got.type, NF_MSG_HELLO);
	ck_assert_str_eq(got.hello.name, "ids1");
	ck_assert_int_eq(nf_conn_next(here, &got), 0);
	free(f);
}
END_TEST

START_TEST(many_in_one_read)
{
	speak();
	for (uint64_t i = 0; i < 100; i++) {
		msg.type = NF_MSG_ORDER;
		msg.order.move = i;
		msg.order.what = NF_REC_PREPARE;
		ck_assert_int_eq(nf_conn_send(there, &msg), 0);
	}
	for (uint64_t i = 0; i < 100; i++) {
		ck_assert_int_eq(nf_conn_recv_wait(here, &got, 1000), 0);
		ck_assert_uint_eq(got.order.move, i);
	}
	ck_assert_int_eq(nf_conn_recv_wait(here, &got, 10), -ETIMEDOUT);
}
END_TEST

START_TEST(oversize_is_refused_by_its_length_alone)
{
	uint32_t be = htonl((uint32_t)NF_MSG_MAX + 1 + (uint32_t)_i * 0x10000000u);

	ck_assert_int_eq(write(raw, &be, 4), 4);
	ck_assert_int_eq(nf_conn_fill(here), 0);
	ck_assert_int_eq(nf_conn_next(here, &got), -EMSGSIZE);
	ck_assert_int_eq(nf_conn_recv_wait(here, &got, 1000), -EMSGSIZE);
}
END_TEST

START_TEST(malformed_is_refused)
{
	static const uint8_t frame[][8] = {
		{0, 0, 0, 0},			/* no message at all */
		{0, 0, 0, 2, 0xff, 0xff},	/* no protobuf */
		{0, 0, 0, 2, 0x0a, 0x7f},	/* cut */
		{0, 0, 0, 4, 0xa2, 0x06, 1, 0}, /* unknown kind only */
	};
	ck_assert_int_eq(write(raw, frame[_i], 8), 8);
	ck_assert_int_eq(nf_conn_fill(here), 0);
	ck_assert_int_eq(nf_conn_next(here, &got), -EPROTO);
	ck_assert_int_eq(got.type, NF_MSG_NONE);
}
END_TEST

START_TEST(peer_closes_after_a_message)
{
	uint8_t *f;
	size_t n = hello_frame(&f);

	ck_assert_int_eq(write(raw, f, n), n);
	close(raw);
	raw = -1;
	ck_assert_int_eq(nf_conn_recv_wait(here, &got, 1000), 0); /* what came is still given */
	ck_assert_str_eq(got.hello.name, "ids1");
	ck_assert_int_eq(nf_conn_recv_wait(here, &got, 1000), -EPIPE);
	ck_assert_int_eq(nf_conn_send(here, &msg), -EPIPE); /* and no SIGPIPE */
	free(f);
}
END_TEST

START_TEST(peer_closes_in_a_frame)
{
	uint8_t *f;
	size_t n = hello_frame(&f);

	ck_assert_int_eq(write(raw, f, n - 1), n - 1);
	close(raw);
	raw = -1;
	ck_assert_int_eq(nf_conn_recv_wait(here, &got, 1000), -EPIPE);
	free(f);
}
END_TEST

static void make_record(uint64_t n, uint8_t *payload, uint32_t len)
{
	memset(&msg.record, 0, sizeof(msg.record));
	msg.type = NF_MSG_RECORD;
	msg.record.hdr.len = (uint32_t)sizeof(msg.record.hdr) + len;
	msg.record.hdr.type = NF_REC_CLONE;
	msg.record.hdr.version = n;
	memset(payload, (int)(n & 0xff), len);
	msg.record.payload = payload;
}

START_TEST(back_pressure_keeps_every_byte)
{
	static uint8_t payload[100000];
	uint64_t sent = 0, back = 0;

	speak();
	while (sent < 200) { /* 20 MB: far more than the socket takes */
		make_record(sent, payload, sizeof(payload));
		ck_assert_int_eq(nf_conn_send(there, &msg), 0);
		sent++;
	}
	ck_assert_uint_gt(nf_conn_unsent(there), 1000000);
	while (back < sent) {
		int rc = nf_conn_next(here, &got);

		ck_assert_int_ge(rc, 0);
		if (!rc) {
			ck_assert_int_eq(nf_conn_flush(there), 0);
			ck_assert_int_eq(nf_conn_fill(here), 0);
			continue;
		}
		ck_assert_uint_eq(got.record.hdr.version, back);
		ck_assert_uint_eq(nf_rec_payload(&got.record.hdr), sizeof(payload));
		ck_assert_int_eq(got.record.payload[0], (int)(back & 0xff));
		ck_assert_int_eq(got.record.payload[sizeof(payload) - 1], (int)(back & 0xff));
		back++;
	}
	ck_assert_uint_eq(nf_conn_unsent(there), 0);
}
END_TEST

START_TEST(largest_record_passes)
{
	uint32_t len = NF_REC_MAX - (uint32_t)sizeof(struct nf_rec);
	uint8_t *payload = malloc(len);
	int rc = 0;

	ck_assert_ptr_nonnull(payload);
	speak();
	make_record(7, payload, len);
	ck_assert_int_eq(nf_conn_send(there, &msg), 0);
	while (!rc) {
		ck_assert_int_eq(nf_conn_flush(there), 0);
		ck_assert_int_eq(nf_conn_fill(here), 0);
		rc = nf_conn_next(here, &got);
	}
	ck_assert_int_eq(rc, 1);
	ck_assert_uint_eq(nf_rec_payload(&got.record.hdr), len);
	ck_assert_mem_eq(got.record.payload, payload, len);
	free(payload);
}
END_TEST

START_TEST(reader_that_does_not_decode_is_bounded)
{
	static uint8_t payload[100000];
	uint64_t sent = 0;

	speak();
	for (int i = 0; i < 2000; i++) {
		if (nf_conn_unsent(there) < 1000000) {
			make_record(sent++, payload, sizeof(payload));
			ck_assert_int_eq(nf_conn_send(there, &msg), 0);
		}
		ck_assert_int_eq(nf_conn_flush(there), 0);
		ck_assert_int_eq(nf_conn_fill(here), 0);
	}
	/* One frame and a little in the buffer, the rest in the socket and at the sender. */
	ck_assert_uint_lt(sent * sizeof(payload), 2 * NF_MSG_MAX + 2000000);
}
END_TEST

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

START_TEST(descriptors_come_along)
{
	int p[2], fd[3], out[8], before;
	char c;

	speak();
	ck_assert_int_eq(pipe(p), 0);
	fd[0] = p[0];
	fd[1] = p[1];
	fd[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
	before = open_fds();
	msg.type = NF_MSG_HELLO;
	msg.hello.version = NF_PROTO_VERSION;
	msg.hello.role = NF_ROLE_SHIM;
	ck_assert_int_eq(nf_conn_send_fds(there, &msg, fd, 3), 0);
	ck_assert_int_eq(nf_conn_recv_wait(here, &got, 1000), 0);
	ck_assert_int_eq(nf_conn_take_fds(here, out, 8), 3);
	ck_assert_int_eq(nf_conn_take_fds(here, out + 3, 5), 0);
	for (int i = 0; i < 3; i++)
		ck_assert(fcntl(out[i], F_GETFD) & FD_CLOEXEC);
	ck_assert_int_eq(write(out[1], "x", 1), 1); /* in this order */
	ck_assert_int_eq(read(p[0], &c, 1), 1);
	ck_assert_int_eq(open_fds(), before + 3);
	for (int i = 0; i < 3; i++)
		close(out[i]);

	/* What is not taken is closed with the connection; what is taken in part, at once. */
	ck_assert_int_eq(nf_conn_send_fds(there, &msg, fd, 3), 0);
	ck_assert_int_eq(nf_conn_recv_wait(here, &got, 1000), 0);
	ck_assert_int_eq(nf_conn_take_fds(here, out, 1), 1);
	close(out[0]);
	ck_assert_int_eq(open_fds(), before);
	for (int i = 0; i < 5; i++) /* more than it keeps */
		ck_assert_int_eq(nf_conn_send_fds(there, &msg, fd, 3), 0);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(nf_conn_recv_wait(here, &got, 1000), 0);
	ck_assert_int_le(open_fds(), before + 8);
	nf_conn_free(here);
	here = NULL;
	ck_assert_int_eq(open_fds(), before - 1);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conn");
	TCase *t = tcase_create("conn");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, sets_flags);
	tcase_add_test(t, byte_by_byte);
	tcase_add_test(t, many_in_one_read);
	tcase_add_loop_test(t, oversize_is_refused_by_its_length_alone, 0, 16);
	tcase_add_loop_test(t, malformed_is_refused, 0, 4);
	tcase_add_test(t, peer_closes_after_a_message);
	tcase_add_test(t, peer_closes_in_a_frame);
	tcase_add_test(t, back_pressure_keeps_every_byte);
	tcase_add_test(t, largest_record_passes);
	tcase_add_test(t, reader_that_does_not_decode_is_bounded);
	tcase_add_test(t, descriptors_come_along);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
