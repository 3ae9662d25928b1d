/* SPDX-License-Identifier: BSD-2-Clause */
/* The controller: the stages of a move, and its end. */

#ifdef WITH_ABORT /* a deadline, or trouble, may end any stage before the route */
#define AWAIT(report) if :: report :: goto give_up fi
#else
#define AWAIT(report) report
#endif

proctype Controller()
{
again:	atomic { move++;
		exported = false; prepared = false; ready = false; s_over = false; d_over = false };
	toD!BEGIN; AWAIT(d_id == move);
	toS!BEGIN; AWAIT(exported);
	if
	:: !BUG_NO_BARRIER ->
		toD!PREPARE; AWAIT(prepared);
		toS!PREPARE; AWAIT(ready)
	:: else
	fi;
	routed = true; /* no abort from here on */
	if
	:: BUG_LATE_ABORT -> goto give_up
	:: true
	fi;
	empty(hand) || BUG_NO_GRACE;
	swS!MARK, 0, 0;
	goto end;
give_up:
	toS!ABORT; toD!ABORT;
	s_over && d_over;
	if
	:: move < MOVES -> goto again
	:: else
	fi;
end:	skip
}
