/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the NF of these tests and the tests share: frames that carry what the NF
 * is to do with them, and a diary, in shared memory, of all that was done to it.
 */
#ifndef NF_TESTS_PLAY_H
#define NF_TESTS_PLAY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nfshim_flow.h"

#define PLAY_FLOWS   10
#define PLAY_ENTRIES 4096
#define PLAY_FRAME   60

/* What the NF does with a packet, apart from counting it. */
enum play_what {
	PLAY_COUNT = ' ',
	PLAY_FREE = 'f',     /* forget the flow */
	PLAY_WAIT = 'w',     /* wait for play->go in the middle of it */
	PLAY_BREAK = 'b',    /* pcap_breakloop, and go on with the next input call */
	PLAY_JUMP = 'j',     /* leave the callback by longjmp, then write the line */
	PLAY_THROW = 'x',    /* the same by a C++ exception */
	PLAY_SIGNAL = 's',   /* raise a signal whose handler leaves the input call */
	PLAY_ESCAPE = 'e',   /* set up output that passes by the shim */
	PLAY_NEST = 'n',     /* read the second capture inside the callback, once */
	PLAY_STALL = 'l',    /* of a clone: wait for play->go in the middle of it */
	PLAY_CALL = 'p',     /* print it by a call, not character by character */
	PLAY_BEGIN = 'm',    /* the second packet thread begins */
	PLAY_EXIT = 'd',     /* this packet thread ends at once */
	PLAY_THREAD = 't',   /* another thread reads the second capture, once */
	PLAY_OTHER = 'o',    /* another thread reads one packet of the second capture */
	PLAY_QUIT = 'q',     /* pcap_stats, pcap_breakloop, and end */
	PLAY_REGISTER = 'r', /* nfshim_register once more */
};

enum play_event {
	PLAY_NONE,
	PLAY_PACKET,	 /* n: its number; noted before the NF works on it */
	PLAY_CLONE,	 /* the same, to be reprocessed */
	PLAY_STAMP,	 /* n: the clone's time in microseconds */
	PLAY_PUT,	 /* n: packets that the state has counted */
	PLAY_DEL,	 /* n: the state's hash */
	PLAY_RETURN,	 /* n: what the input call returned */
	PLAY_WAITED,	 /* n: what poll, select or epoll_wait returned */
	PLAY_ELSEWHERE,	 /* another thread read the packet */
	PLAY_READS,	 /* n: the number of the capture that it reads now */
	PLAY_RECEIVED,	 /* n: ps_recv */
	PLAY_LANDED,	 /* out of a callback; n: is the window open? */
	PLAY_REGISTERED, /* n: what nfshim_register returned */
	PLAY_TIME,	 /* n: seconds, of the packet noted next; from sockets only */
	PLAY_FILTER,	 /* n: instructions of the filter of its socket */
	PLAY_STATE,	 /* at the end of the input, each flow: n is its hash */
};

struct play_entry {
	uint8_t event, flow;
	int64_t n;
};

struct play {
	_Atomic bool go;
	_Atomic uint32_t used;
	struct play_entry diary[PLAY_ENTRIES];
};

/* Per-flow state: how many packets, and which in which order. */
struct play_state {
	uint64_t count, hash;
};

/* One packet; 0 if there is no state afterwards, else 1. */
int play_apply(struct play_state *st, uint32_t number, enum play_what what);

struct nfshim_flow play_key(unsigned flow);
int play_flow(const struct nfshim_flow *key); /* -1: none of these */

/* UDP over IPv4, PLAY_FRAME bytes. It may be read in a VLAN of a VLAN. */
void play_frame(uint8_t *frame, unsigned flow, uint32_t number, enum play_what what);
bool play_read(const uint8_t *frame, size_t len, unsigned *flow, uint32_t *number,
	       enum play_what *what);

#endif
