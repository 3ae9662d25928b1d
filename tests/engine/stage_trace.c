/* SPDX-License-Identifier: BSD-2-Clause */
/* The trace: written to a file, or sent to an interface. */
#include "stage_in.h"

#include <ctype.h>
#include <endian.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <pcap/pcap.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
	unsigned flow;
	enum play_what what;
	bool mark;
} frames[TRACE_MAX];
static unsigned nframes;

static void add(unsigned flow, enum play_what what, bool mark)
{
	ck_assert_uint_lt(nframes, TRACE_MAX);
	frames[nframes].flow = flow;
	frames[nframes].what = what;
	frames[nframes++].mark = mark;
}

void trace(const char *words)
{
	while (*words) {
		if (!strncmp(words, "MARK", 4)) {
			add(0, PLAY_COUNT, true);
			words += 4;
		} else {
			unsigned flow = (unsigned)(*words++ - '0');

			ck_assert_uint_lt(flow, PLAY_FLOWS);
			add(flow, islower(*words) ? (enum play_what) * words++ : PLAY_COUNT, false);
		}
		words += strspn(words, " ");
	}
}

void trace_rounds(unsigned rounds, unsigned flows)
{
	for (unsigned i = 0; i < rounds * flows; i++)
		add(i % flows, PLAY_COUNT, false);
}

unsigned trace_len(void)
{
	return nframes;
}

bool trace_is_mark(unsigned packet)
{
	return frames[packet].mark;
}

static void make_frame(uint8_t *frame, unsigned i)
{
	const uint8_t head[] = {2, 0,	 0,    0,   0,	 1,   2,   0, 0, 0, 0,
				2, 0x88, 0xb5, 'N', 'F', 'M', 'K', 1, 0, 0, 0};
	uint64_t move = htobe64(STAGE_MOVE);

	if (!frames[i].mark) {
		play_frame(frame, frames[i].flow, i, frames[i].what);
		return;
	}
	memset(frame, 0, PLAY_FRAME);
	memcpy(frame, head, sizeof(head));
	memcpy(frame + sizeof(head), &move, sizeof(move));
	memcpy(frame + sizeof(head) + sizeof(move), stage_secret, sizeof(stage_secret));
}

void trace_write(void)
{
	pcap_t *p = pcap_open_dead(DLT_EN10MB, 65535);
	pcap_dumper_t *out = pcap_dump_open(p, stage_path("trace"));
	struct pcap_pkthdr h = {.ts.tv_sec = 1000, .caplen = PLAY_FRAME, .len = PLAY_FRAME};
	uint8_t frame[PLAY_FRAME];

	ck_assert_ptr_nonnull(out);
	for (unsigned i = 0; i < nframes; i++) {
		make_frame(frame, i);
		h.ts.tv_sec++;
		pcap_dump((u_char *)out, &h, frame);
	}
	pcap_dump_close(out);
	pcap_close(p);
}

void frame_send(const char *interface, const uint8_t *frame, size_t len)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_ifindex = (int)if_nametoindex(interface)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(sendto(fd, frame, len, 0, (struct sockaddr *)&to, sizeof(to)), len);
	close(fd);
}

void trace_send_longer(const char *interface, size_t more)
{
	uint8_t frame[PLAY_FRAME + 1000] = {0};

	ck_assert_uint_le(PLAY_FRAME + more, sizeof(frame));
	for (unsigned i = 0; i < nframes; i++) {
		make_frame(frame, i);
		frame_send(interface, frame, PLAY_FRAME + more);
	}
}

void trace_send_from(const char *interface, unsigned first)
{
	uint8_t frame[PLAY_FRAME];

	for (unsigned i = first; i < nframes; i++) {
		make_frame(frame, i);
		frame_send(interface, frame, sizeof(frame));
	}
}

void trace_send(const char *interface)
{
	trace_send_longer(interface, 0);
}
