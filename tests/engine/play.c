/* SPDX-License-Identifier: BSD-2-Clause */
#include "play.h"

#include <string.h>

#include "flow.h"

#define PORT	1000
#define SERVICE 53
#define PAYLOAD 42 /* behind Ethernet, IPv4 and UDP: flow, what, number */

struct nfshim_flow play_key(unsigned flow)
{
	uint8_t frame[PLAY_FRAME];
	struct nfshim_flow key;

	play_frame(frame, flow, 0, PLAY_COUNT);
	nf_flow_parse(frame, sizeof(frame), NULL, &key, NULL);
	return key;
}

int play_flow(const struct nfshim_flow *key)
{
	for (unsigned i = 0; i < PLAY_FLOWS; i++) {
		struct nfshim_flow k = play_key(i);

		if (nf_flow_equal(&k, key))
			return (int)i;
	}
	return -1;
}

static void put16(uint8_t *at, unsigned v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static unsigned checksum(const uint8_t *ip)
{
	unsigned sum = 0;

	for (int i = 0; i < 20; i += 2)
		sum += (unsigned)(ip[i] << 8 | ip[i + 1]);
	return ~(sum + (sum >> 16));
}

void play_frame(uint8_t *frame, unsigned flow, uint32_t number, enum play_what what)
{
	const uint8_t head[] = {2,  0, 0,  0, 0, 1, 2, 0,  0,  0, 0, 2,	 8, 0, 0x45,
				0,  0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, (uint8_t)(1 + flow),
				10, 0, 1,  1};

	memset(frame, 0, PLAY_FRAME);
	memcpy(frame, head, sizeof(head));
	put16(frame + 24, checksum(frame + 14));
	put16(frame + 34, PORT + flow);
	put16(frame + 36, SERVICE);
	put16(frame + 38, 26);
	frame[PAYLOAD] = (uint8_t)flow;
	frame[PAYLOAD + 1] = (uint8_t)what;
	memcpy(frame + PAYLOAD + 2, &number, sizeof(number));
}

bool play_read(const uint8_t *frame, size_t len, unsigned *flow, uint32_t *number,
	       enum play_what *what)
{
	if (len != PLAY_FRAME)
		return false;
	for (int tags = 0; tags < 2 && (frame[12] == 0x81 || frame[12] == 0x88); tags++)
		frame += 4;
	if (frame[12] != 8 || frame[13] != 0 || frame[PAYLOAD] >= PLAY_FLOWS)
		return false;
	*flow = frame[PAYLOAD];
	*what = frame[PAYLOAD + 1];
	memcpy(number, frame + PAYLOAD + 2, sizeof(*number));
	return true;
}

int play_apply(struct play_state *st, uint32_t number, enum play_what what)
{
	st->count++;
	st->hash = st->hash * 31 + number + 1;
	if (what == PLAY_FREE)
		*st = (struct play_state){0};
	return st->count != 0;
}
