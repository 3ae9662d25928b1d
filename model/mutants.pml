/* SPDX-License-Identifier: BSD-2-Clause */
/* Each turns one rule of the protocol off, with -DNAME. A check that cannot fail shows nothing. */

/* source */
#ifndef BUG_GAP_UNSEEN
#define BUG_GAP_UNSEEN 0 /* a clone that finds the ring full is forgotten: no GAP */
#endif
#ifndef BUG_REEXP_ANY_EPOCH
#define BUG_REEXP_ANY_EPOCH 0 /* REEXP is honoured whatever its e */
#endif
#ifndef BUG_BARRIER_IN_GAP
#define BUG_BARRIER_IN_GAP 0 /* BARRIER while a re-export is pending */
#endif
#ifndef BUG_FIN_BEFORE_MARK
#define BUG_FIN_BEFORE_MARK 0 /* FIN when the route changes, packets are still on the way */
#endif
#ifndef BUG_DELETE_BEFORE_DONE
#define BUG_DELETE_BEFORE_DONE 0 /* deletes when it has said FIN */
#endif
#ifndef BUG_NO_LINGER
#define BUG_NO_LINGER 0 /* deletes with the last DONE */
#endif

/* destination */
#ifndef BUG_DROP_UNSAID
#define BUG_DROP_UNSAID 0 /* drops a flow's clones without REEXP */
#endif
#ifndef BUG_V_UNCHECKED
#define BUG_V_UNCHECKED 0 /* applies a clone whatever its v */
#endif
#ifndef BUG_FIN_UNCHECKED
#define BUG_FIN_UNCHECKED 0 /* commits whatever FIN's v */
#endif
#ifndef BUG_READY_STALE
#define BUG_READY_STALE 0 /* READY while a flow is not in SYNC */
#endif
#ifndef BUG_DROP_AFTER_PREPARE
#define BUG_DROP_AFTER_PREPARE 0 /* a full buffer drops in no-drop mode too */
#endif
#ifndef BUG_NO_HOLD
#define BUG_NO_HOLD 0 /* packets from the switch do not wait for FIN */
#endif
#ifndef BUG_PASS_HELD
#define BUG_PASS_HELD 0 /* a committed flow's packet passes those that are held */
#endif
#ifndef BUG_NO_MOVE_ID
#define BUG_NO_MOVE_ID 0 /* takes messages of another move or connection */
#endif

/* controller */
#ifndef BUG_NO_BARRIER
#define BUG_NO_BARRIER 0 /* changes the route without PREPARE, BARRIER and READY */
#endif
#ifndef BUG_NO_GRACE
#define BUG_NO_GRACE 0 /* MARK does not wait for packets still in the switch */
#endif
#ifndef BUG_LATE_ABORT
#define BUG_LATE_ABORT 0 /* aborts after the route intent */
#endif
#ifndef BUG_ROUTE_BEFORE_REVERT
#define BUG_ROUTE_BEFORE_REVERT 0 /* the route goes back before the source knows */
#endif

/* flows that share a record */
#ifndef BUG_RECORD_DIRTY
#define BUG_RECORD_DIRTY 0 /* a clone does not wait for the record to be clean at D */
#endif
#ifndef BUG_REEXP_FLOW_ONLY
#define BUG_REEXP_FLOW_ONLY 0 /* a re-export sends the flow, not the record */
#endif
#ifndef BUG_DROP_FLOW_ONLY
#define BUG_DROP_FLOW_ONLY 0 /* clones of others are reprocessed on a record that lacks some */
#endif

/* reset of the connection */
#ifndef BUG_RESET_NO_REEXPORT
#define BUG_RESET_NO_REEXPORT 0 /* the source goes on where it was */
#endif
#ifndef BUG_RESET_DONE_ONCE
#define BUG_RESET_DONE_ONCE 0 /* a committed flow does not say DONE again */
#endif

/* shadow */
#ifndef BUG_SHADOW_UNTIL_FIN
#define BUG_SHADOW_UNTIL_FIN 0 /* the source keeps shadowed packets until FIN, not DONE */
#endif
