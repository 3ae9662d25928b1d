/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A move as one helper sees it (DESIGN §4). A helper is source or destination
 * of one move at a time.
 *
 * Theory of operation. The controller's orders become records in the in ring;
 * the shim's acknowledgements become events. Data flows one way: at the
 * source from the out ring to the stream, at the destination from the stream
 * through a bounded buffer to the in ring; only DONE comes back.
 *
 * Until a point of no return the helper aborts by itself when the controller
 * is lost or silent: at the destination that point is READY told to the
 * controller, at the source the order PREPARE, since the source cannot know
 * when READY was told. A destination that aborts says so on the stream, and a
 * source that reads this may abort whatever was ordered: READY will not come.
 *
 * The move ends when the shim says OVER, or is gone.
 */
#ifndef NF_XFER_MOVE_H
#define NF_XFER_MOVE_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "msg.h"
#include "overflow.h"
#include "parts.h"
#include "stream.h"

struct nf_xfer;

struct nf_xmove {
	bool active;
	bool dialing;	/* S: the stream is not agreed upon yet */
	bool attached;	/* D: the source has dialed in; it does so once */
	bool no_drop;	/* PREPARE was ordered; D: and passed on */
	bool settling;	/* D: PREPARE waits until little is left to import */
	bool no_return; /* may not abort by itself any more */
	bool marked;	/* S: the route has changed for sure */
	bool settled;	/* D: COMMITTED, S: RELEASED */
	bool failed;	/* at this helper; told to the controller, which will abort */
	bool dropping;	/* aborted, or the other end is gone: the source's data has no taker */
	bool aborting;	/* ABORT, REVERT or FENCE is with the shim */
	bool draining;	/* S: take all that the shim has left, then close the stream */
	bool nf_gone;	/* S, draining: no OVER will come */
	bool reserve_told;
	bool finish, end; /* D: to be pushed behind the last data */
	bool over;	  /* S: OVER came and is told when the stream has everything */
	uint32_t begun;	  /* threads that are in it: what they said of older moves is behind us */
	uint32_t finall;  /* D: threads of which only stragglers may follow */
	struct nf_parts parts;
	struct nf_msg_begin b;
	struct nf_stream peer;	     /* the stream to the other helper */
	struct nf_buffer buf;	     /* D: bounded; S: the reserve */
	struct nf_overflow overflow; /* D */
	struct nf_buffer waiting;    /* a record from the stream that nobody has room for yet */
	struct nf_rec_stats seen;    /* what passed through */
	struct nf_msg_event last;    /* S: OVER that waits */
	uint64_t unfinished;
	struct nfshim_flow unfinished_flow;
	uint64_t heard_us;    /* the controller's last word */
	uint64_t progress_us; /* last PROGRESS */
	uint64_t dial_us;     /* S: when dialing began */
	uint64_t rx_us;	      /* D: last byte from the source */
	uint64_t settle_us;   /* D: when PREPARE was ordered */
	struct nf_conn *dial; /* S: not connected yet */
	size_t unsent;	      /* S: at the last tick */
	uint64_t blocked_us;  /* S: since when the peer takes nothing, 0: it does */
	uint64_t stray;	      /* records that belong to no move of ours */
};

/* From the controller. */
void nf_xmove_begin(struct nf_xfer *x, const struct nf_msg_begin *b);
void nf_xmove_order(struct nf_xfer *x, const struct nf_msg_order *o);
void nf_xmove_list(struct nf_xfer *x, const struct nf_msg_list *l);
void nf_xmove_heard(struct nf_xfer *x); /* any word at all */
void nf_xmove_ctrl_lost(struct nf_xfer *x);

/* From the shim. A record: 0, or -EPROTO and a sentence in @why. */
bool nf_xmove_takes(struct nf_xfer *x); /* is there room for the shim's records now? */
int nf_xmove_record(struct nf_xfer *x, const struct nf_rec *r, const uint8_t *payload, char *why,
		    size_t n);
void nf_xmove_shim_dying(struct nf_xfer *x); /* what its ring still holds comes next */
void nf_xmove_shim_gone(struct nf_xfer *x, const char *why);
void nf_xmove_thread_gone(struct nf_xfer *x, unsigned thread); /* of those that it began with */

/* From the other helper. */
void nf_xmove_peer_gone(struct nf_xfer *x, const char *why);

void nf_xmove_pump(struct nf_xfer *x); /* move on what can move */
void nf_xmove_tick(struct nf_xfer *x); /* deadlines */
/* Longest pause between two looks at the out ring, microseconds; 0: no need to poll. */
uint64_t nf_xmove_pace(const struct nf_xfer *x);
void nf_xmove_stop(struct nf_xfer *x); /* the helper ends: close, free */

/* Shared by source.c and dest.c. */
void nf_xmove_fail(struct nf_xfer *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Tell the shim; @payload may be NULL. */
void nf_xmove_push(struct nf_xfer *x, enum nf_rec_type t, uint64_t move, const void *payload,
		   uint32_t len);
void nf_xmove_push_begin(struct nf_xfer *x);
void nf_xmove_pause(enum nf_rec_type t); /* test-only pause point of a record */
void nf_xmove_count(struct nf_xmove *mv, const struct nf_rec *r); /* for PROGRESS */
/* The other side broke the rules: close, fail. */
void nf_xmove_bad_peer(struct nf_xfer *x, const char *what);
void nf_xmove_end(struct nf_xfer *x); /* nothing of the move is left */
/* Abort without being told to. */
void nf_xmove_abort(struct nf_xfer *x, const char *why);

/* source.c */
void nf_source_begin(struct nf_xfer *x);
bool nf_source_takes(struct nf_xfer *x);
void nf_source_record(struct nf_xfer *x, const struct nf_rec *r, const uint8_t *payload);
void nf_source_pump(struct nf_xfer *x);
void nf_source_tick(struct nf_xfer *x);

/* dest.c */
bool nf_dest_waits(const struct nf_xfer *x);		   /* is a connection wanted? */
void nf_dest_attach(struct nf_xfer *x, struct nf_conn *c); /* takes @c */
void nf_dest_prepare(struct nf_xfer *x);
void nf_dest_done(struct nf_xfer *x, const struct nf_rec *r);
void nf_dest_pump(struct nf_xfer *x);

#endif
