/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parties' channels and state: DESIGN §4. S is the source, D the destination, C the controller.
 *
 * sd is S's out ring and the stream behind it, ds the way back; both are in order. buf is the buffer
 * of D's helper, with a cap of B clones, and the in ring behind it. Each record carries m, the number
 * of the move.
 */
#include "network.pml"
#include "mutants.pml"

#ifndef B
#define B 1 /* clones that D buffers, all flows together */
#endif
#ifndef K
#define K 2 /* records on the way from S to D */
#endif
#ifndef H
#define H N /* packets that D holds */
#endif
#ifndef MOVES
#define MOVES 1 /* what was aborted is tried again, so many moves in all */
#endif
#define BUF (B + N + 2)

mtype = { BEGIN, PREPARE, ABORT };				   /* C to S, C to D */
mtype = { STATE, ANSWER, CLONE, BARRIER, FIN, FINALL, FWD }; /* S to D */
mtype = { REEXP, DONE };					   /* D to S */
mtype = { LOCAL, CLONING, GAP, FINSENT, GONE };			   /* a flow at S */
mtype = { UNKNOWN, SYNC, DOWNGRADED, COMMITTED };	   /* a flow at D */

#define REC F /* the f of a shared record's STATE */

chan toS = [2] of { mtype };
chan toD = [2] of { mtype };
chan sd = [K] of { mtype, byte, byte, byte, byte, byte };  /* m, f, e, v, state or packet */
chan ds = [2 * F + 1] of { mtype, byte, byte, byte };	   /* m, f, e */
chan buf = [BUF] of { mtype, byte, byte, byte, byte };	   /* f, e, v, state or packet */
chan hold = [H] of { byte, byte };			   /* f, p: one queue, in the switch's order */

byte move;		 /* the last that C began */
bool exported, prepared, ready, committed; /* what was reported to C since BEGIN */
bool s_over, d_over;	 /* OVER */
bool failed;		 /* the move stays unfinished, and that is reported */

/* S */
byte s_id;
bool moving, s_nodrop, barrier_sent, marked, finall_sent;
bool dirty; /* D's copy of the record is not S's */
mtype s_state[F] = LOCAL;
byte s_e[F], s_v[F];
bool asked[F]; /* by D */

/* D: its helper */
byte d_id, buffered;
byte got[F];  /* e of the last STATE received */
byte want[F]; /* clones of an e below this are not kept */
bool stale[F]; /* REEXP has no answer yet */
byte clones[F];
bool waits; /* BARRIER, for the state of a stale flow */

/* D: its shim */
bool d_nodrop, barrier, finall;
mtype d_state[F] = UNKNOWN;
byte d_e[F], d_v[F];
