/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parties' channels and state: DESIGN §4. S is the source, D the destination, C the controller.
 *
 * sd is S's out ring and the stream behind it, ds the way back; both are in order. buf is the buffer
 * of D's helper, with a cap of B clones, and the in ring behind it. Each record carries m, the number
 * of the move or, after a reset, of the connection.
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

mtype = { BEGIN, PREPARE, ABORT, REVERT, FINISH };		   /* C to S, C to D */
mtype = { STATE, CLONE, BARRIER, FIN, FINALL, FWD, RESET };	   /* S to D */
mtype = { REEXP, DONE };					   /* D to S */
mtype = { LOCAL, CLONING, GAP, FINSENT, GONE };			   /* a flow at S */
mtype = { UNKNOWN, SYNC, STALE, DOWNGRADED, COMMITTED };	   /* a flow at D */
mtype = { LOST };						   /* in buf: a clone was here */

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

/* D: its helper */
byte d_id, buffered;
byte got[F];  /* e of the last STATE received */
byte want[F]; /* clones of an e below this are not kept */
byte clones[F];

/* D: its shim */
bool d_nodrop, barrier, finall;
bool tainted; /* the record lacks a packet of a clone that was lost */
mtype d_state[F] = UNKNOWN;
byte d_e[F], d_v[F];

#ifndef ALIVE
#define ALIVE(party) true
#endif
