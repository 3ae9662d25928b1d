/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The algorithm of the paper, for one flow: Sections 4 (reprocessing, overflow), 5 (transfer from
 * peer to peer), and the statement of Section 6.3 that it is loss-free.
 *
 * B      capacity of the destination's buffer; B = N never overflows
 * CLEAN  the controller changes the route only in an instant in which the destination has imported
 *        everything, its buffer is empty and no re-export is pending: more than it could know
 * ORDER  asks for order too, which the paper does not promise
 *
 * Without overflow it is loss-free. With overflow it is not, even if CLEAN: packets that the switch
 * had sent before the route changed overflow the buffer, and the state that is exported again
 * replaces one that holds packets which came by the new route. The proof takes it that p_k..p_n
 * are applied after the last import; nothing makes it so.
 */
#include "network.pml"

#ifndef B
#define B 1
#endif
#define K 2 /* of the connection from S to D */

mtype = { STATE, CLONE };
chan sd = [K] of { mtype, byte };
chan buf = [B] of { byte }; /* clones that wait for their flow's import */
byte import;		    /* the state that is being imported */
bool moving, exported, importing, imported, stale, reexport;

proctype Source()
{
	byte f, p;
end:	do
	:: atomic { nempty(swS) && nfull(sd) ->
		swS?PKT, f, p;
		process(src, f, p); output(p);
		if
		:: exported -> sd!CLONE, p
		:: else
		fi; f = 0; p = 0 }
	:: atomic { moving && (!exported || reexport) && nfull(sd) ->
		exported = true; reexport = false;
		sd!STATE, src.flow[0] }
	od
}

inline empty_buffer() { do :: buf?_ :: empty(buf) -> break od }

proctype Destination()
{
	byte f, p;
end:	do
	:: atomic { sd?[STATE, _] ->
		sd?STATE, import;
		empty_buffer(); importing = true; stale = false }
	:: atomic { sd?[CLONE, _] ->
		sd?CLONE, p;
		if
		:: stale
		:: !stale && nfull(buf) -> buf!p
		:: !stale && full(buf) -> empty_buffer(); stale = true; reexport = true
		fi; p = 0 }
	:: atomic { importing ->
		dst.flow[0] = import; import = 0; importing = false; imported = true }
	:: atomic { !importing && !stale && nempty(buf) ->
		buf?p; process(dst, 0, p); p = 0 }
	:: atomic { swD?f, p -> process(dst, f, p); output(p); f = 0; p = 0 }
	od
}

#ifdef CLEAN
#define MAY_ROUTE (imported && !importing && !stale && !reexport && empty(buf) && empty(sd))
#else
#define MAY_ROUTE imported
#endif

proctype Controller()
{
	moving = true;
	atomic { MAY_ROUTE -> routed = true }
}

init {
#ifndef ORDER
	unordered[0] = true;
#endif
	atomic { run Switch(); run Source(); run Destination(); run Controller() };
	timeout;
	assert(routed && out == ALL);
	assert(dst.flow[0] == ref.flow[0]) /* no update is lost */
}
