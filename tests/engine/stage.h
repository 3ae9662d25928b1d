/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One NF under the shim and one made-up helper, step by step. The NF reads a
 * trace that the test wrote and stops before the packets that the test named;
 * safe points go on there. All functions fail the test if what they wait for
 * does not come.
 */
#ifndef NF_TESTS_STAGE_H
#define NF_TESTS_STAGE_H

#include <check.h>

#include "client.h"
#include "play.h"

#define STAGE_MOVE 7

/* A record that the shim sent. */
struct stage_rec {
	struct nf_rec rec; /* with the thread that sent it */
	uint8_t *payload;
};

extern const char *stage_shim, *stage_nf; /* paths, from main */
extern struct play *play;
extern struct client helper;
extern struct stage_rec *stage_got; /* all since stage_setup */
extern unsigned stage_ngot;

/* For the whole program: where all its files are. */
void stage_begin(void);
void stage_end(void);
/* Move this process to a network namespace of its own. False: not allowed to. */
bool stage_own_net(void);
/* For each test. */
void stage_setup(void);

/* Append packets to the trace: words of a flow's digit and letters of enum play_what, or MARK. */
void trace(const char *words);
void trace_rounds(unsigned rounds, unsigned flows); /* 0 1 2 … 0 1 2 … */
unsigned trace_len(void);
void trace_send(const char *interface);
void trace_send_from(const char *interface, unsigned first);
void trace_send_longer(const char *interface, size_t more); /* bytes behind each packet */
void frame_send(const char *interface, const uint8_t *frame, size_t len);

/* @pauses: numbers of packets, with commas. @where NULL: the trace. */
void nf_start(const char *reader, int cnt, const char *pauses, const char *where);
void nf_reaches(unsigned packet);
void nf_goes_on(unsigned packet);  /* reaches, and does not stop any more */
void nf_waits_in(unsigned packet); /* a PLAY_WAIT packet: in the NF's callback */
void nf_gets(unsigned packets);	   /* at least so many, all in all */
void nf_gets_clones(unsigned clones);
void nf_has_seen(unsigned packets); /* given, held or kept back */
void nf_lands(unsigned times);	    /* out of packets */
void nf_is_sent(int sig);
void nf_ends(void); /* by itself, with exit code 0 */

void helper_up(void);
/* The connection ends, as when the helper dies; the shim has seen it, its packet thread maybe not.
 */
void helper_dies(void);
void helper_gone(void); /* the same, but the shim may not have noticed yet */
/* Another helper asks to be let in; the sentence it is refused with. */
const char *helper_refused(void);
/* The NF has so many packet threads; records are for and from that of the first capture now, */
void helper_has_threads(unsigned n);
/* ... of capture @thread. */
void helper_speaks_to(unsigned thread);
unsigned helper_speaks_to_now(void);
void helper_waits_for_idle(void); /* the shim's status says that it takes part in no move */

struct nf_rec_begin stage_options(void);
void send_begin(enum nf_rec_type t, const struct nf_rec_begin *opt);
void send_order(enum nf_rec_type t);
void send_flow(enum nf_rec_type t, unsigned flow, uint64_t version);
void send_of_epoch(enum nf_rec_type t, unsigned flow, uint32_t epoch);
void send_state(unsigned flow, uint64_t version, uint64_t count);
/* Packet @number of @flow (a number that no packet of the trace has), in the name of @named. */
void send_clone(unsigned flow, uint64_t version, uint32_t number, unsigned named);
/* The same, and the packet says what to do with it. */
void send_what(enum play_what what, unsigned flow, uint64_t version, uint32_t number);
/* A clone from the source's capture of that number. */
void send_clone_of(unsigned capture, unsigned flow, uint64_t version, uint32_t number);
/* The place in the order of a clone that comes as a frame of that number. */
void send_place(unsigned capture, unsigned flow, uint64_t version, uint64_t seq);
void send_malformed(void);

/* Wait for the next record of that type; any FAILED that is not waited for fails the test. */
const struct stage_rec *expect(enum nf_rec_type t);
void expect_failed(const char *words); /* that text occurs in the reason */
struct nf_rec_stats expect_stats(enum nf_rec_type t);
unsigned got_so_far(enum nf_rec_type t); /* without waiting */

/* The source's state of these flows when it deleted them is what STATE and CLONEs make of it, and
 * there is a FIN for each. */
void copies_are_exact(unsigned flows);

/* The diary. */
unsigned diary_count(enum play_event event);
unsigned diary_of(enum play_event event, unsigned flow);
int diary_find(enum play_event event, unsigned flow, unsigned from); /* first from there, or -1 */
/* Every packet of the trace from @first to @last was given once, those of a flow in order. */
void all_given(unsigned first, unsigned last);
/* Nothing that the NF wrote for a packet is missing, and nothing of clones is there. */
void output_is_whole(void);

#endif
