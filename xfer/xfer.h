/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nfxfer: the helper beside one NF. What its parts know of each other.
 *
 *   controller ── ctrl_link ─┐
 *                            ├─ move ─┬─ source: out ring → stream
 *   shim ─────── shim_link ──┘        └─ dest:   stream → buffer → in ring
 *   other helper ─ listener, stream ──┘
 *
 * One thread. Each callback of the loop ends with nf_xfer_turn, which moves on
 * whatever can move and sets the pace of polling.
 *
 * The shim never wakes its helper, so the out ring is polled, but only during
 * a move. A wake-up costs 5 to 30 µs of a CPU that the NF may need, and so does
 * a segment with a single clone: the pace follows what is found. It falls from
 * 50 µs to a few hundred while little comes, which makes a batch of it, and
 * rises again under load and when an answer is awaited.
 */
#ifndef NF_XFER_H
#define NF_XFER_H

#include <stdbool.h>
#include <stdint.h>

#include "loop.h"
#include "move.h"
#include "msg.h"

struct nf_shim_link;
struct nf_ctrl_link;
struct nf_listener;
struct nf_injector;

struct nf_xfer {
	struct nf_loop *loop;
	struct nf_timer *poll; /* runs only while something is to be expected soon */
	struct nf_timer *tick; /* always: deadlines, reconnects, a look at the ring */
	uint64_t poll_us;      /* pace of the poll timer, 0: stopped */
	uint64_t want_us;      /* pace that the last looks suggest */
	char name[NF_NAME_MAX];
	struct nf_shim_link *shim;
	struct nf_ctrl_link *ctrl;
	struct nf_listener *listener;
	struct nf_injector *inject; /* NULL: no device for it */
	struct nf_xmove move;
	struct nf_parts strays; /* reports of a move that is not (any more) this helper's */
	struct nf_parts list;
	uint64_t fast_until_us; /* an answer of the shim is awaited */
};

#define NF_XFER_PACE_MIN  50u
#define NF_XFER_TICK_US	  50000u
#define NF_XFER_DIAL_US	  5000000u /* a peer must have answered by then */
#define NF_XFER_HELLO_US  5000000u /* … and said who it is */
#define NF_XFER_RETRY_MAX 1000000u /* longest pause between attempts to connect */

void nf_xfer_turn(struct nf_xfer *x);
/* An order was pushed: look for the answer often for a while. */
void nf_xfer_expect(struct nf_xfer *x);

#endif
