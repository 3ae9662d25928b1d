/* SPDX-License-Identifier: BSD-2-Clause */
/* The buffer of records, and the event loop. */
#include <check.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "buffer.h"
#include "loop.h"

static struct nf_rec rec(enum nf_rec_type t, uint64_t v, uint32_t payload)
{
	return (struct nf_rec){
		.len = (uint32_t)sizeof(struct nf_rec) + payload, .type = (uint8_t)t, .version = v};
}

START_TEST(fifo)
{
	static const uint8_t data[100] = "state";
	const struct nf_rec *h;
	const uint8_t *p;
	struct nf_buffer b;
	struct nf_rec r;

	nf_buffer_init(&b, 0, 0);
	ck_assert_ptr_null(nf_buffer_head(&b, &p));
	for (uint64_t i = 0; i < 10; i++) {
		r = rec(i % 2 ? NF_REC_CLONE : NF_REC_STATE, i, 100);
		ck_assert(!nf_buffer_over(&b, &r));
		ck_assert_int_eq(nf_buffer_put(&b, &r, data), 0);
	}
	ck_assert_uint_eq(b.packets, 5);
	ck_assert_uint_eq(b.bytes, 5 * r.len);
	ck_assert_uint_eq(b.total, 10 * r.len);
	for (uint64_t i = 0; i < 10; i++) {
		h = nf_buffer_head(&b, &p);
		ck_assert_uint_eq(h->version, i);
		ck_assert_int_eq(memcmp(p, data, sizeof(data)), 0);
		nf_buffer_pop(&b);
	}
	ck_assert(nf_buffer_empty(&b));
	ck_assert_uint_eq(b.packets + b.bytes + b.total, 0);
	ck_assert_uint_eq(b.packets_max, 5);
	ck_assert_uint_eq(b.total_max, 10 * r.len);
}
END_TEST

START_TEST(caps)
{
	struct nf_rec clone = rec(NF_REC_CLONE, 1, 0), state = rec(NF_REC_STATE, 1, 0),
		      large = rec(NF_REC_FWD, 1, 4000);
	static const uint8_t data[4000];
	struct nf_buffer b;

	nf_buffer_init(&b, 2, 1000);
	ck_assert(!nf_buffer_over(&b, &large)); /* or it could never pass */
	nf_buffer_put(&b, &clone, data);
	ck_assert(nf_buffer_over(&b, &large));
	ck_assert(!nf_buffer_over(&b, &clone));
	nf_buffer_put(&b, &clone, data);
	ck_assert(nf_buffer_over(&b, &clone));
	ck_assert(!nf_buffer_over(&b, &state)); /* state does not count */
	nf_buffer_pop(&b);
	ck_assert(!nf_buffer_over(&b, &clone));
	nf_buffer_clear(&b);
	ck_assert(nf_buffer_empty(&b));
	ck_assert_uint_eq(b.packets_max, 2);
}
END_TEST

static struct nf_rec clone_of(unsigned flow, uint64_t v)
{
	struct nf_rec r = rec(NF_REC_CLONE, v, 0);

	r.flow.port[0] = (uint16_t)flow;
	return r;
}

#define FLOWS 12u

/* What a buffer should hold, kept the simple way. */
struct model {
	unsigned flow[4000];
	uint64_t v[4000];
	unsigned n, count[FLOWS];
};

static void model_remove(struct model *m, unsigned at)
{
	m->count[m->flow[at]]--;
	m->n--;
	for (unsigned i = at; i < m->n; i++) {
		m->flow[i] = m->flow[i + 1];
		m->v[i] = m->v[i + 1];
	}
}

static void model_drop(struct model *m, unsigned flow)
{
	for (unsigned i = m->n; i-- > 0;)
		if (m->flow[i] == flow)
			model_remove(m, i);
}

static void is_as(const struct nf_buffer *b, const struct model *m)
{
	const struct nf_rec *largest = nf_buffer_largest(b), *head;
	const uint8_t *payload;
	unsigned most = 0;

	ck_assert_uint_eq(b->packets, m->n);
	ck_assert_int_eq(nf_buffer_empty(b), !m->n);
	for (unsigned i = 0; i < FLOWS; i++)
		most = m->count[i] > most ? m->count[i] : most;
	ck_assert_int_eq(!largest, !m->n);
	if (!m->n)
		return;
	ck_assert_uint_eq(m->count[largest->flow.port[0]], most);
	head = nf_buffer_head(b, &payload);
	ck_assert_uint_eq(head->version, m->v[0]);
	ck_assert_uint_eq(head->flow.port[0], m->flow[0]);
}

/* Flows of unlike sizes come and go; the largest is dropped now and then. */
START_TEST(largest)
{
	static struct model m;
	struct nf_buffer b;
	struct nf_rec r;
	uint64_t dropped = 0;
	unsigned draw = 1, f;

	nf_buffer_init(&b, 0, 0);
	for (uint64_t v = 0; v < 20000; v++) {
		draw = draw * 1103515245u + 12345u;
		f = (draw >> 16) % FLOWS * ((draw >> 24) % FLOWS) / FLOWS;
		if (draw >> 8 & 1 && m.n) {
			nf_buffer_pop(&b);
			model_remove(&m, 0);
		} else if (m.n < 4000) {
			r = clone_of(f, v);
			ck_assert_int_eq(nf_buffer_put(&b, &r, NULL), 0);
			m.flow[m.n] = f;
			m.v[m.n++] = v;
			m.count[f]++;
		}
		if (v % 97 == 0 && nf_buffer_largest(&b)) {
			r = *nf_buffer_largest(&b);
			f = m.count[r.flow.port[0]];
			ck_assert_uint_eq(nf_buffer_drop(&b, &r), f);
			model_drop(&m, r.flow.port[0]);
			dropped += f;
		}
		is_as(&b, &m);
	}
	ck_assert_uint_gt(dropped, 500);
	nf_buffer_clear(&b);
	ck_assert_ptr_null(nf_buffer_largest(&b));
}
END_TEST

/* A flow is one of a thread; state and stragglers are nobody's to drop. */
START_TEST(drop_is_of_one_thread)
{
	struct nf_rec r = clone_of(1, 1), state = rec(NF_REC_STATE, 2, 0), fwd = clone_of(1, 3);
	struct nf_buffer b;
	const uint8_t *payload;

	nf_buffer_init(&b, 0, 0);
	fwd.type = NF_REC_FWD;
	state.flow = r.flow;
	nf_buffer_put(&b, &r, NULL);
	nf_buffer_put(&b, &state, NULL);
	nf_buffer_put(&b, &fwd, NULL);
	r.thread = 1;
	nf_buffer_put(&b, &r, NULL);
	nf_buffer_put(&b, &r, NULL);
	ck_assert_uint_eq(nf_buffer_largest(&b)->thread, 1);
	ck_assert_uint_eq(nf_buffer_drop(&b, &r), 2);
	ck_assert_uint_eq(nf_buffer_drop(&b, &r), 0);
	r.thread = 0;
	ck_assert_uint_eq(nf_buffer_drop(&b, &r), 1);
	ck_assert_uint_eq(nf_buffer_head(&b, &payload)->version, 2);
	nf_buffer_pop(&b);
	ck_assert_uint_eq(nf_buffer_head(&b, &payload)->version, 3);
	ck_assert_ptr_null(nf_buffer_largest(&b));
	nf_buffer_clear(&b);
}
END_TEST

static unsigned called[2];
static struct nf_loop *loop;
static int fds[2][2];

/* Whoever comes first takes the other away, whose event is in the same batch. */
static void on_fd(void *arg, uint32_t events)
{
	unsigned me = *(unsigned *)arg;

	(void)events;
	called[me]++;
	nf_loop_del(loop, fds[!me][0]);
	nf_loop_stop(loop);
}

START_TEST(removal_in_callback)
{
	unsigned id[2] = {0, 1};

	ck_assert_int_eq(nf_loop_new(&loop, 0), 0);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(pipe(fds[i]), 0);
		ck_assert_int_eq(write(fds[i][1], "x", 1), 1);
		ck_assert_int_eq(nf_loop_add(loop, fds[i][0], EPOLLIN, on_fd, &id[i]), 0);
	}
	ck_assert_int_lt(nf_loop_add(loop, fds[0][0], EPOLLIN, on_fd, &id[0]), 0);
	ck_assert_int_eq(nf_loop_run(loop), 0);
	ck_assert_uint_eq(called[0] + called[1], 1);
	nf_loop_free(loop);
}
END_TEST

static struct nf_timer *timer;
static unsigned ticks;

static void on_tick(void *arg)
{
	(void)arg;
	if (++ticks < 5)
		return;
	nf_timer_free(timer); /* from within its own callback */
	timer = NULL;
	raise(SIGTERM);
}

START_TEST(timer_and_signal)
{
	ck_assert_int_eq(nf_loop_new(&loop, 1), 0);
	timer = nf_timer_new(loop, on_tick, NULL);
	ck_assert_ptr_nonnull(timer);
	nf_timer_set(timer, 100, 100);
	ck_assert_int_eq(nf_loop_run(loop), SIGTERM);
	ck_assert_uint_ge(ticks, 5);
	nf_loop_free(loop);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("buffer");
	TCase *t = tcase_create("buffer");
	SRunner *r;
	int failed;

	tcase_add_test(t, fifo);
	tcase_add_test(t, caps);
	tcase_add_test(t, largest);
	tcase_add_test(t, drop_is_of_one_thread);
	tcase_add_test(t, removal_in_callback);
	tcase_add_test(t, timer_and_signal);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
