/* SPDX-License-Identifier: BSD-2-Clause */
/* The codec: every message there and back, what a peer may not say, and broken bytes. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "msg.h"

static struct nf_msg m, got; /* large */
static uint8_t *buf;
static size_t len, cap;
static uint8_t payload[2000];

static void setup(void)
{
	memset(&m, 0, sizeof(m));
	memset(&got, 0xa5, sizeof(got));
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 13);
	len = 0;
}

static void teardown(void)
{
	free(buf);
	buf = NULL;
	len = cap = 0;
}

/* Encode m and decode it into got; the result of the decoder. */
static int there_and_back(void)
{
	uint32_t be;

	len = 0;
	ck_assert_int_eq(nf_msg_encode(&m, &buf, &len, &cap), 0);
	memcpy(&be, buf, 4);
	ck_assert_uint_eq(ntohl(be), len - 4);
	return nf_msg_decode(buf + 4, len - 4, &got);
}

static struct nfshim_flow a_flow(void)
{
	struct nfshim_flow f = {
		.port = {443, 50503}, .vlan = {5, 7}, .ethertype = 0x0800, .proto = 6};

	memcpy(f.addr[0], "\x0a\x14\x00\x0a", 4);
	memcpy(f.addr[1], "\xc6\x12\x00\x14", 4);
	return f;
}

static void fill_hello(void)
{
	m.type = NF_MSG_HELLO;
	m.hello.version = 77; /* another version is decoded: the receiver refuses it by name */
	m.hello.role = NF_ROLE_PEER;
	strcpy(m.hello.name, "ids-1.A_z");
	m.hello.move = UINT64_MAX;
	memset(m.hello.token, 0xee, sizeof(m.hello.token));
	strcpy(m.hello.listen, "[2001:db8::1]:4000");
	m.hello.others = NF_THREADS - 1;
}

static void fill_status(void)
{
	struct nf_msg_status *s = &m.status;

	m.type = NF_MSG_STATUS;
	strcpy(s->name, "ids1");
	strcpy(s->program, "prads");
	strcpy(s->provider, "prads 0.3.3");
	memset(s->reason, 'r', sizeof(s->reason) - 1);
	s->pid = UINT32_MAX;
	s->input = 1;
	s->packets = 1ull << 60;
	s->move = 3;
	s->side = NF_SIDE_DST;
	s->phase = NF_PHASE_LINGER;
	for (uint32_t i = 0; i < NF_FAMILIES_MAX; i++)
		s->drops[s->families++] = (struct nf_msg_drops){.family = "fifteen-letters",
								.calls = i,
								.dropped = i + 1,
								.bytes = 1ull << i};
	s->thread[1] = 17;
	s->thread[NF_THREADS - 1] = 1;
}

static void fill_begin(void)
{
	struct nf_msg_begin *b = &m.begin;

	m.type = NF_MSG_BEGIN;
	b->move = 9;
	b->side = NF_SIDE_SRC;
	strcpy(b->peer, "ids2");
	strcpy(b->peer_addr, "127.0.0.1:4001");
	memset(b->token, 7, sizeof(b->token));
	memset(b->space, 's', sizeof(b->space) - 1);
	b->opt.slice_us = 1;
	b->opt.slice_flows = 2;
	b->opt.hold_packets = 3;
	b->opt.hold_bytes = 4;
	b->opt.linger_ms = 5;
	b->opt.marks = NF_MARK_MAX;
	for (int i = 0; i < NF_MARK_MAX; i++)
		memset(b->opt.mark[i], i + 1, NF_MARK_SECRET);
	b->buffer_packets = 1ull << 33;
	b->buffer_bytes = 1ull << 34;
	b->reserve_bytes = 1ull << 35;
	b->wait_ms = 6;
	b->opt.inject = NF_INJECT_VETH;
	b->opt.guarantee = NF_LOSS_FREE;
}

static void fill_event(void)
{
	uint64_t *stats = (uint64_t *)&m.event.stats;

	m.type = NF_MSG_EVENT;
	m.event.move = 4;
	m.event.what = NF_EVENT_REC;
	m.event.rec = NF_REC_COMMITTED;
	m.event.version = 5;
	m.event.flow = a_flow();
	for (size_t i = 0; i < sizeof(m.event.stats) / sizeof(*stats); i++)
		stats[i] = (i + 1) << i;
	m.event.buffered = 6;
	m.event.buffered_bytes = 7;
	m.event.reserve = 8;
	strcpy(m.event.text, "größer: UTF-8 passes");
}

static void fill_record(void)
{
	struct nf_rec *r = &m.record.hdr;

	m.type = NF_MSG_RECORD;
	*r = (struct nf_rec){.len = sizeof(*r) + 1500,
			     .type = NF_REC_STATE,
			     .scope = 2,
			     .flags = NF_REC_GONE | NF_REC_ANSWER,
			     .capture = 9,
			     .move = 1,
			     .version = 2,
			     .epoch = 3,
			     .wirelen = 4,
			     .sec = -5,
			     .nsec = 999999999,
			     .flow = a_flow(),
			     .thread = NF_THREADS - 1};
	m.record.payload = payload;
}

static void fill(int type)
{
	switch (type) {
	case NF_MSG_HELLO:
		fill_hello();
		break;
	case NF_MSG_REFUSED:
		m.type = NF_MSG_REFUSED;
		memset(m.text, 'x', sizeof(m.text) - 1);
		break;
	case NF_MSG_ASK:
		m.type = NF_MSG_ASK;
		break;
	case NF_MSG_STATUS:
		fill_status();
		break;
	case NF_MSG_BEGIN:
		fill_begin();
		break;
	case NF_MSG_ORDER:
		m.type = NF_MSG_ORDER;
		m.order.move = 8;
		m.order.what = NF_REC_END;
		break;
	case NF_MSG_EVENT:
		fill_event();
		break;
	case NF_MSG_LIST:
		m.type = NF_MSG_LIST;
		m.list.id = 1;
		strcpy(m.list.space, "net 10.20.0.0/21 or net 2001:db8:20::/61");
		break;
	case NF_MSG_RECORD:
		fill_record();
		break;
	case NF_MSG_CHANNEL:
		m.type = NF_MSG_CHANNEL;
		m.channel = NF_THREADS - 1;
		break;
	}
}

START_TEST(every_message)
{
	fill(_i);
	ck_assert_int_eq(there_and_back(), 0);
	ck_assert_int_eq(got.type, _i);
	if (_i == NF_MSG_RECORD) {
		ck_assert_mem_eq(&got.record.hdr, &m.record.hdr, sizeof(m.record.hdr));
		ck_assert_mem_eq(got.record.payload, payload, 1500);
	} else {
		ck_assert_mem_eq(&got, &m, sizeof(m));
	}
}
END_TEST

/* All fields zero or empty, which proto3 leaves out on the wire. */
START_TEST(every_record_type_empty)
{
	m.type = NF_MSG_RECORD;
	m.record.hdr = (struct nf_rec){.len = sizeof(struct nf_rec), .type = (uint8_t)_i};
	if (*nf_rec_name((enum nf_rec_type)_i) == '?') {
		ck_assert_int_eq(there_and_back(), -EPROTO);
		return;
	}
	ck_assert_int_eq(there_and_back(), 0);
	ck_assert_mem_eq(&got.record.hdr, &m.record.hdr, sizeof(m.record.hdr));
}
END_TEST

START_TEST(helper_hello_without_token)
{
	m.type = NF_MSG_HELLO;
	m.hello.version = NF_PROTO_VERSION;
	m.hello.role = NF_ROLE_HELPER;
	strcpy(m.hello.name, "ids1");
	ck_assert_int_eq(there_and_back(), 0);
	ck_assert_mem_eq(&got, &m, sizeof(m));
}
END_TEST

START_TEST(frames_append)
{
	size_t first;

	fill(NF_MSG_ORDER);
	ck_assert_int_eq(nf_msg_encode(&m, &buf, &len, &cap), 0);
	first = len;
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(nf_msg_encode(&m, &buf, &len, &cap), 0);
	ck_assert_uint_eq(len, 1001 * first);
	ck_assert_mem_eq(buf, buf + 1000 * first, first);
	m.type = NF_MSG_NONE;
	ck_assert_int_eq(nf_msg_encode(&m, &buf, &len, &cap), -EINVAL);
	ck_assert_uint_eq(len, 1001 * first);
}
END_TEST

/* ---- what a peer may not say: encoded by us, refused by the decoder ---- */

struct bad {
	const char *what;
	int type;
	void (*spoil)(void);
};

static void role(void)
{
	m.hello.role = 5;
}
static void name_space(void)
{
	strcpy(m.hello.name, "ids 1");
}
static void name_slash(void)
{
	strcpy(m.hello.name, "../ids1");
}
static void listen_newline(void)
{
	strcpy(m.hello.listen, "a\nb");
}
static void text_escape(void)
{
	strcpy(m.text, "\x1b[2J");
}
static void text_delete(void)
{
	strcpy(m.text, "a\x7f");
}
static void status_name(void)
{
	strcpy(m.status.name, "a/b");
}
static void status_side(void)
{
	m.status.side = 3;
}
static void status_phase(void)
{
	m.status.phase = NF_PHASE_LINGER + 1;
}
static void begin_side_none(void)
{
	m.begin.side = NF_SIDE_NONE;
}
static void begin_side(void)
{
	m.begin.side = 3;
}
static void begin_guarantee(void)
{
	m.begin.opt.guarantee = NF_NONE + 1;
}

static void begin_inject(void)
{
	m.begin.opt.inject = NF_INJECT_VETH + 1;
}
static void begin_peer(void)
{
	strcpy(m.begin.peer, "a b");
}
static void begin_space(void)
{
	strcpy(m.begin.space, "net 1.2.3.4\t");
}
static void order_none(void)
{
	m.order.what = 0;
}
static void order_begin(void)
{
	m.order.what = NF_REC_BEGIN_SRC;
}
static void order_list(void)
{
	m.order.what = NF_REC_LIST;
}
static void order_state(void)
{
	m.order.what = NF_REC_STATE;
}
static void event_what(void)
{
	m.event.what = NF_EVENT_FLOW + 1;
}
static void event_rec(void)
{
	m.event.rec = 63;
}
static void event_kind(void)
{
	m.event.flow.kind = 3;
}
static void event_text(void)
{
	strcpy(m.event.text, "a\rb");
}
static void rec_type(void)
{
	m.record.hdr.type = 0;
}
static void rec_scope(void)
{
	m.record.hdr.scope = 4;
}
static void rec_flags(void)
{
	m.record.hdr.flags = 2;
}
static void rec_nsec(void)
{
	m.record.hdr.nsec = 1000000000;
}
static void rec_kind(void)
{
	m.record.hdr.flow.kind = 255;
}

static void hello_others(void)
{
	m.hello.others = NF_THREADS;
}
static void rec_thread(void)
{
	m.record.hdr.thread = NF_THREADS;
}
static void channel(void)
{
	m.channel = NF_THREADS;
}

static const struct bad bad[] = {
	{"role", NF_MSG_HELLO, role},
	{"name with a space", NF_MSG_HELLO, name_space},
	{"name with a slash", NF_MSG_HELLO, name_slash},
	{"listen with a newline", NF_MSG_HELLO, listen_newline},
	{"text with an escape", NF_MSG_REFUSED, text_escape},
	{"text with a delete", NF_MSG_REFUSED, text_delete},
	{"status name", NF_MSG_STATUS, status_name},
	{"status side", NF_MSG_STATUS, status_side},
	{"status phase", NF_MSG_STATUS, status_phase},
	{"begin without a side", NF_MSG_BEGIN, begin_side_none},
	{"begin side", NF_MSG_BEGIN, begin_side},
	{"begin peer", NF_MSG_BEGIN, begin_peer},
	{"begin space", NF_MSG_BEGIN, begin_space},
	{"begin inject", NF_MSG_BEGIN, begin_inject},
	{"begin guarantee", NF_MSG_BEGIN, begin_guarantee},
	{"no order", NF_MSG_ORDER, order_none},
	{"order begin", NF_MSG_ORDER, order_begin},
	{"order list", NF_MSG_ORDER, order_list},
	{"order state", NF_MSG_ORDER, order_state},
	{"event", NF_MSG_EVENT, event_what},
	{"event record", NF_MSG_EVENT, event_rec},
	{"event flow", NF_MSG_EVENT, event_kind},
	{"event text", NF_MSG_EVENT, event_text},
	{"record type", NF_MSG_RECORD, rec_type},
	{"record scope", NF_MSG_RECORD, rec_scope},
	{"record flags", NF_MSG_RECORD, rec_flags},
	{"record time", NF_MSG_RECORD, rec_nsec},
	{"record flow", NF_MSG_RECORD, rec_kind},
	{"packet threads", NF_MSG_HELLO, hello_others},
	{"record of a thread", NF_MSG_RECORD, rec_thread},
	{"channel", NF_MSG_CHANNEL, channel},
};

#define BAD (int)(sizeof(bad) / sizeof(bad[0]))

START_TEST(refuses)
{
	const struct bad *b = &bad[_i];

	fill(b->type);
	b->spoil();
	if (there_and_back() != -EPROTO)
		ck_abort_msg("accepted: %s", b->what);
	ck_assert_int_eq(got.type, NF_MSG_NONE);
}
END_TEST

/* ---- sizes, written by hand because the encoder cannot make them ---- */

static size_t put_varint(uint8_t *p, uint64_t v)
{
	size_t n = 0;

	do {
		p[n++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		v >>= 7;
	} while (v);
	return n;
}

/* Message @kind with one length-delimited field @field of @n bytes. */
static int decode_field(unsigned kind, unsigned field, size_t n)
{
	uint8_t *p = malloc(n + 64), *inner = malloc(n + 32);
	size_t at = 0, in = 0;
	int rc;

	ck_assert(p && inner);
	in += put_varint(inner, field << 3 | 2);
	in += put_varint(inner + in, n);
	memset(inner + in, 'a', n);
	in += n;
	at += put_varint(p, kind << 3 | 2);
	at += put_varint(p + at, in);
	memcpy(p + at, inner, in);
	rc = nf_msg_decode(p, at + in, &got);
	free(inner);
	free(p);
	return rc;
}

START_TEST(sizes)
{
	ck_assert_int_eq(decode_field(1, 3, NF_NAME_MAX - 1), 0); /* Hello.name */
	ck_assert_uint_eq(strlen(got.hello.name), NF_NAME_MAX - 1);
	ck_assert_int_eq(decode_field(1, 3, NF_NAME_MAX), -EPROTO);
	ck_assert_int_eq(decode_field(1, 3, 100000), -EPROTO);
	ck_assert_int_eq(decode_field(4, 5, 2000), -EPROTO);		     /* Status.reason */
	ck_assert_int_eq(decode_field(8, 2, sizeof(got.list.space) - 1), 0); /* List.space */
	ck_assert_int_eq(decode_field(8, 2, sizeof(got.list.space)), -EPROTO);
	ck_assert_int_eq(decode_field(9, 10, 43), -EPROTO); /* Record.flow, without a type */
	ck_assert_int_eq(nf_msg_decode(payload, NF_MSG_MAX + 1, &got), -EMSGSIZE);
	ck_assert_int_eq(nf_msg_decode(payload, 0, &got), -EPROTO);
}
END_TEST

/* One byte less or more in a field of fixed size: found by its length byte, then decoded. */
static void resize(size_t n, int by)
{
	uint8_t tag = 0, *at = NULL;

	for (size_t i = 6; i + n < len && !at; i++)
		if (buf[i] == n && (buf[i - 1] & 7) == 2)
			at = buf + i;
	ck_assert_ptr_nonnull(at);
	tag = at[-1];
	ck_assert_uint_eq(tag & 7, 2);
	*at = (uint8_t)(*at + by);
}

START_TEST(fixed_sizes)
{
	static const struct {
		int type;
		size_t n;
	} field[] = {{NF_MSG_HELLO, NF_TOKEN_BYTES},
		     {NF_MSG_BEGIN, NF_TOKEN_BYTES},
		     {NF_MSG_EVENT, sizeof(struct nfshim_flow)},
		     {NF_MSG_RECORD, sizeof(struct nfshim_flow)}};

	fill(field[_i].type);
	ck_assert_int_eq(there_and_back(), 0);
	resize(field[_i].n, -1);
	ck_assert_int_eq(nf_msg_decode(buf + 4, len - 4, &got), -EPROTO);
	resize(field[_i].n - 1, 2);
	ck_assert_int_eq(nf_msg_decode(buf + 4, len - 4, &got), -EPROTO);
}
END_TEST

START_TEST(too_large_to_encode)
{
	uint8_t *big = calloc(1, NF_MSG_MAX + 100);

	ck_assert_ptr_nonnull(big);
	fill(NF_MSG_RECORD);
	m.record.payload = big;
	m.record.hdr.len = NF_MSG_MAX + 100;
	ck_assert_int_eq(nf_msg_encode(&m, &buf, &len, &cap), -EMSGSIZE);
	ck_assert_uint_eq(len, 0);
	free(big);
}
END_TEST

/* ---- broken bytes: whatever is decoded is in form, nothing crashes ---- */

static void check_form(void)
{
	switch (got.type) {
	case NF_MSG_HELLO:
		ck_assert_ptr_nonnull(memchr(got.hello.name, 0, sizeof(got.hello.name)));
		ck_assert_ptr_nonnull(memchr(got.hello.listen, 0, sizeof(got.hello.listen)));
		ck_assert_int_le(got.hello.role, NF_ROLE_PEER);
		break;
	case NF_MSG_BEGIN:
		ck_assert_uint_le(got.begin.opt.marks, NF_MARK_MAX);
		ck_assert_ptr_nonnull(memchr(got.begin.space, 0, sizeof(got.begin.space)));
		break;
	case NF_MSG_RECORD:
		ck_assert_uint_le(got.record.hdr.len, NF_REC_MAX);
		ck_assert_uint_ge(got.record.hdr.len, sizeof(struct nf_rec));
		for (uint32_t i = 0, sum = 0; i < nf_rec_payload(&got.record.hdr); i++) {
			sum += got.record.payload[i]; /* readable, says the sanitizer */
			__asm__ volatile("" : : "r"(sum));
		}
		break;
	default:
		break;
	}
}

START_TEST(truncated)
{
	fill(_i);
	ck_assert_int_eq(there_and_back(), 0);
	for (size_t n = 0; n < len - 4; n++) {
		uint8_t *cut = malloc(n + 1); /* of its own, so that a sanitizer sees the end */

		memcpy(cut, buf + 4, n);
		ck_assert_int_eq(nf_msg_decode(cut, n, &got), -EPROTO);
		free(cut);
	}
}
END_TEST

START_TEST(mutated)
{
	unsigned seed = 1, ok = 0;

	fill(_i);
	ck_assert_int_eq(there_and_back(), 0);
	for (int round = 0; round < 20000; round++) {
		uint8_t *copy = malloc(len - 4);
		int flips = 1 + rand_r(&seed) % 4, rc;

		memcpy(copy, buf + 4, len - 4);
		while (flips--) {
			/* Mostly in the first bytes, where the structure is. */
			size_t range = rand_r(&seed) % 4 && len > 68 ? 64 : len - 4;

			copy[(size_t)rand_r(&seed) % range] ^= (uint8_t)(1u << rand_r(&seed) % 8);
		}
		rc = nf_msg_decode(copy, len - 4, &got);
		ck_assert(rc == 0 || rc == -EPROTO || rc == -EMSGSIZE || rc == -ENOMEM);
		free(copy);
		if (!rc) {
			check_form();
			ok++;
		}
	}
	ck_assert(_i == NF_MSG_ASK || ok);
}
END_TEST

/* ---- threads ---- */

/* An NF may make threads with the smallest stack; the shim brings the codec into its process. */
static void *idle(void *arg)
{
	return arg;
}

START_TEST(small_stacks_still_work)
{
	pthread_attr_t attr;
	pthread_t t;

	ck_assert_int_eq(pthread_attr_init(&attr), 0);
	ck_assert_int_eq(pthread_attr_setstacksize(&attr, 16384), 0);
	ck_assert_int_eq(pthread_create(&t, &attr, idle, NULL), 0);
	pthread_join(t, NULL);
}
END_TEST

START_TEST(names)
{
	ck_assert_str_eq(nf_rec_name(NF_REC_FINALL), "FINALL");
	ck_assert_str_eq(nf_rec_name(0), "?");
	ck_assert_str_eq(nf_phase_name(NF_PHASE_LINGER), "linger");
	ck_assert_str_eq(nf_phase_name(NF_PHASE_LINGER + 1), "?");
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
	enum { ROUNDS = 100000 };
	struct timespec t0;
	double enc;

	fill(NF_MSG_RECORD);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (int i = 0; i < ROUNDS; i++) {
		len = 0;
		nf_msg_encode(&m, &buf, &len, &cap);
	}
	enc = ns_since(&t0) / ROUNDS;
	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (int i = 0; i < ROUNDS; i++)
		nf_msg_decode(buf + 4, len - 4, &got);
	printf("codec: record with 1500 bytes of payload: encode %.0f ns, decode %.0f ns\n", enc,
	       ns_since(&t0) / ROUNDS);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("proto");
	TCase *t = tcase_create("proto");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, every_message, NF_MSG_HELLO, NF_MSG_CHANNEL + 1);
	tcase_add_loop_test(t, every_record_type_empty, 0, 256);
	tcase_add_test(t, helper_hello_without_token);
	tcase_add_test(t, frames_append);
	tcase_add_loop_test(t, refuses, 0, BAD);
	tcase_add_test(t, sizes);
	tcase_add_loop_test(t, fixed_sizes, 0, 4);
	tcase_add_test(t, too_large_to_encode);
	tcase_add_loop_test(t, truncated, NF_MSG_HELLO, NF_MSG_RECORD + 1);
	tcase_add_loop_test(t, mutated, NF_MSG_HELLO, NF_MSG_RECORD + 1);
	tcase_add_test(t, small_stacks_still_work);
	tcase_add_test(t, names);
	tcase_add_test(t, cost);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
