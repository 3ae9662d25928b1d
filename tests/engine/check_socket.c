/* SPDX-License-Identifier: BSD-2-Clause */
/* NFs that read packet sockets of their own, whichever call they read by. */
#include <endian.h>
#include <signal.h>
#include <stdlib.h>

#include "cases.h"
#include "destination.h"
#include "source.h"

static const char *const readers[] = {"socket-recv",	 "socket-recvfrom", "socket-recvmsg",
				      "socket-recvmmsg", "socket-read",	    "socket-filter",
				      "socket-peek",	 "socket-dgram",    "socket-poll",
				      "socket-epoll",	 "socket-host"};
#define READERS 10 /* and socket-host */
#define WAITERS 2  /* the last ones */
#define CLONE_S 5  /* seconds, of clones */

static void start(const char *reader, const char *pauses)
{
	if (!strcmp(reader, "socket-host"))
		ck_assert_int_eq(system("ip link set nf0 address 02:00:00:00:00:01 && "
					"ip addr add 10.0.1.1/8 dev nf0 && "
					"echo 0 >/proc/sys/net/ipv4/conf/nf0/rp_filter && "
					"echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter"),
				 0);
	nf_start(reader, 0, pauses, "live:nf0");
}

/* Clones have the source's time, packets the capture's. */
static void times_are_right(void)
{
	for (unsigned i = 1; i < atomic_load(&play->used); i++) {
		const struct play_entry *e = &play->diary[i], *before = e - 1;

		if (e->event != PLAY_CLONE && e->event != PLAY_PACKET)
			continue;
		ck_assert_int_eq(before->event, PLAY_TIME);
		if (e->event == PLAY_CLONE)
			ck_assert_int_eq(before->n, CLONE_S);
		else
			ck_assert_int_gt(before->n, 1000000000);
	}
}

/* Nothing comes in: the NF's call serves the move, and clones end it. Each window is closed before
 * the next packet. */
START_TEST(clones_are_given)
{
	trace("0 1 0q");
	start(readers[_i], "");
	clones_come_to_a_wait();
	times_are_right();
}
END_TEST

START_TEST(held_packets_are_released)
{
	trace("0 1 2 0 1 2q");
	start(readers[_i], "");
	held_packets_come_back();
}
END_TEST

/* The NF works on the packet after the call: its clone follows when the NF comes back. MARK passes
 * a filter, which is the NF's own again afterwards, and is not counted. */
START_TEST(clones_are_made)
{
	bool filters = !strcmp(readers[_i], "socket-filter");
	unsigned mark;
	char stops[32];

	trace("0 1 2 0w 0 1 2 0");
	mark = trace_len();
	trace("MARK 9q");
	snprintf(stops, sizeof(stops), "3,%u,%u", mark, mark + 1);
	nf_start(readers[_i], 0, stops, "live:nf0");
	helper_up();
	helper_waits_for_idle();
	send_begin(NF_REC_BEGIN_SRC, NULL);
	expect(NF_REC_EXPORTED);
	trace_send("sw0");
	nf_goes_on(3);
	nf_waits_in(3);
	ck_assert_uint_eq(got_so_far(NF_REC_CLONE), 3);
	atomic_store(&play->go, true);
	source_goes_to_mark(mark);
	source_is_done(mark);
	ck_assert_int_eq(play->diary[diary_find(PLAY_RECEIVED, 0, 0)].n, trace_len() - 1);
	ck_assert_int_eq(play->diary[diary_find(PLAY_FILTER, 0, 0)].n, filters ? 4 : 0);
}
END_TEST

static void send_mark(void)
{
	struct nf_rec_begin o = stage_options();
	const uint8_t head[] = {2, 0,	 0,    0,   0,	 1,   2,   0, 0, 0, 0,
				2, 0x88, 0xb5, 'N', 'F', 'M', 'K', 1, 0, 0, 0};
	uint64_t move = htobe64(STAGE_MOVE);
	uint8_t frame[PLAY_FRAME] = {0};

	memcpy(frame, head, sizeof(head));
	memcpy(frame + sizeof(head), &move, sizeof(move));
	memcpy(frame + sizeof(head) + sizeof(move), o.mark[0], sizeof(o.mark[0]));
	frame_send("sw0", frame, sizeof(frame));
}

static void send_packet(unsigned flow, uint32_t number, enum play_what what)
{
	uint8_t frame[PLAY_FRAME];

	play_frame(frame, flow, number, what);
	frame_send("sw0", frame, sizeof(frame));
}

/* A socket for IP alone, or of IP, gets no MARK. What is in its queue when MARK comes beside it is
 * cloned, what comes afterwards is sent on. */
START_TEST(mark_comes_beside)
{
	trace("0 1 2 0w 1 2 0 9q");
	start(_i & 2 ? "socket-host" : "socket-one", "4");
	helper_up();
	helper_waits_for_idle();
	send_begin(NF_REC_BEGIN_SRC, NULL);
	expect(NF_REC_EXPORTED);
	for (unsigned i = 0; i < 3; i++)
		send_packet(i, i, PLAY_COUNT);
	nf_gets(3);
	send_order(NF_REC_PREPARE);
	expect(NF_REC_BARRIER);
	send_packet(0, 3, PLAY_WAIT);
	nf_waits_in(3);
	send_packet(1, 4, PLAY_COUNT);
	send_packet(2, 5, PLAY_COUNT);
	send_mark();
	atomic_store(&play->go, true);
	nf_reaches(4); /* MARK was read */
	if (_i & 1)
		send_packet(0, 6, PLAY_COUNT);
	nf_goes_on(4);
	expect(NF_REC_FINALL);
	ck_assert_uint_eq(got_so_far(NF_REC_CLONE), 6);
	for (unsigned i = 0; i < 3; i++)
		send_flow(NF_REC_DONE, i, 0);
	expect(NF_REC_RELEASED);
	expect(NF_REC_OVER);
	ck_assert_uint_eq(got_so_far(NF_REC_FWD), _i & 1);
	copies_are_exact(3);
	send_packet(9, 7, PLAY_QUIT);
	nf_ends();
	all_given(0, 5);
	output_is_whole();
}
END_TEST

/* The capture, by its number, that each packet and clone came from. */
static void sockets_were(const char *numbers)
{
	for (unsigned i = 0; i < atomic_load(&play->used); i++)
		if (play->diary[i].event == PLAY_READS)
			ck_assert_int_eq(*numbers++ - '0', play->diary[i].n);
	ck_assert_int_eq(*numbers, 0);
}

START_TEST(two_sockets)
{
	trace("0q");
	nf_start(readers[READERS - WAITERS + _i], 0, "", "live:nf0,nf1");
	begin_dst(1000);
	send_clone_of(1, 1, 1, 900);
	nf_gets_clones(1);
	send_clone_of(0, 2, 1, 901);
	nf_gets_clones(2);
	send_clone_of(1, 1, 2, 902);
	nf_gets_clones(3);
	send_clone_of(2, 1, 3, 903);
	expect_failed("no such capture");
	send_order(NF_REC_ABORT);
	expect(NF_REC_OVER);
	trace_send("sw1");
	everything_came();
	sockets_were("1011");
}
END_TEST

static const struct {
	const char *reader, *why;
} refused[] = {{"socket-ring", "PACKET_RX_RING"},
	       {"socket-bpf", "eBPF filter"},
	       {"socket-locked", "SO_LOCK_FILTER"},
	       {"socket-vnet", "PACKET_VNET_HDR"}};
#define REFUSED 4

START_TEST(refused_by_name)
{
	trace("0");
	nf_start(refused[_i].reader, 0, "", "live:nf0");
	helper_up();
	send_begin(NF_REC_BEGIN_SRC, NULL);
	expect_failed(refused[_i].why);
}
END_TEST

START_TEST(frames_are_refused)
{
	struct nf_rec_begin o = stage_options();

	trace("0q");
	o.inject = NF_INJECT_VETH;
	setenv("NFSHIM_VETH", "1", 1);
	nf_start("socket-recv", 0, "", "live:nf0");
	unsetenv("NFSHIM_VETH");
	helper_up();
	send_begin(NF_REC_BEGIN_DST, &o);
	expect_failed("reads packet sockets");
	trace_send("sw0");
	everything_came();
}
END_TEST

/* Packets that another thread reads would be missed. */
START_TEST(another_thread_reads)
{
	trace("0 1t 2w 0q");
	nf_start("socket-recv", 0, "", "live:nf0,nf1");
	helper_up();
	helper_waits_for_idle();
	send_begin(NF_REC_BEGIN_SRC, NULL);
	expect(NF_REC_EXPORTED);
	trace_send("sw0");
	nf_waits_in(2);
	atomic_store(&play->go, true);
	expect_failed("another thread");
	everything_came();
}
END_TEST

/* A handler leaves the call that a packet has just come in: the next call gives it, and the move
 * goes on. */
START_TEST(handler_leaves_the_call)
{
	unsigned last;

	trace("0 1 2 0 1 2");
	last = trace_len();
	start(readers[_i], "2");
	begin_dst(1000);
	trace_send("sw0");
	nf_reaches(2);
	nf_is_sent(SIGUSR1);
	nf_lands(1);
	send_clone(1, 1, 900, 1);
	nf_gets_clones(1);
	send_order(NF_REC_ABORT);
	expect(NF_REC_OVER);
	trace("0q");
	trace_send_from("sw0", last);
	everything_came();
}
END_TEST

void add_socket_cases(TCase *t)
{
	tcase_add_checked_fixture(t, make_link, NULL);
	tcase_add_loop_test(t, clones_are_given, 0, READERS + 1);
	tcase_add_loop_test(t, held_packets_are_released, 0, READERS + 1);
	tcase_add_loop_test(t, clones_are_made, 0, READERS);
	tcase_add_loop_test(t, mark_comes_beside, 0, 4);
	tcase_add_loop_test(t, two_sockets, 0, WAITERS);
	tcase_add_loop_test(t, refused_by_name, 0, REFUSED);
	tcase_add_test(t, frames_are_refused);
	tcase_add_test(t, another_thread_reads);
	tcase_add_loop_test(t, handler_leaves_the_call, 0, 5);
}
