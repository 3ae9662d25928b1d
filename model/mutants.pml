/* SPDX-License-Identifier: BSD-2-Clause */
/* Each turns one rule of the protocol off, with -DNAME. A check that cannot fail shows nothing. */

/* source */
#ifndef BUG_GAP_UNSEEN
#define BUG_GAP_UNSEEN 0 /* a clone that finds the ring full is forgotten: no GAP */
#endif
#ifndef BUG_REEXP_OLD_IGNORED
#define BUG_REEXP_OLD_IGNORED 0 /* REEXP is ignored if a gap led to a new e meanwhile */
#endif
#ifndef BUG_BARRIER_IN_GAP
#define BUG_BARRIER_IN_GAP 0 /* BARRIER while a re-export is pending */
#endif
#ifndef BUG_FIN_BEFORE_MARK
#define BUG_FIN_BEFORE_MARK 0 /* FIN when the route changes, packets are still on the way */
#endif
#ifndef BUG_NO_LINGER
#define BUG_NO_LINGER 0 /* deletes with the last DONE */
#endif

/* destination */
#ifndef BUG_DROP_UNSAID
#define BUG_DROP_UNSAID 0 /* drops a flow's clones without REEXP */
#endif
#ifndef BUG_STATE_DROPS
#define BUG_STATE_DROPS 0 /* state that comes again drops older clones that others of the group need */
#endif
#ifndef BUG_READY_STALE
#define BUG_READY_STALE 0 /* BARRIER does not wait for stale flows */
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
#ifndef BUG_DOWNGRADE_OWN
#define BUG_DOWNGRADE_OWN 0 /* gives up order for a flow that waits for nothing */
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

/* flows that share a record */
#ifndef BUG_RECORD_DIRTY
#define BUG_RECORD_DIRTY 0 /* a clone does not wait for the record to be clean at D */
#endif
#ifndef BUG_GROUP_AFTER
#define BUG_GROUP_AFTER 0 /* the rest of a group is sent behind the flow that was asked for */
#endif
#ifndef BUG_REEXP_FLOW_ONLY
#define BUG_REEXP_FLOW_ONLY 0 /* a re-export sends the flow, not its group */
#endif
