/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A move with overflow, of one flow or two: DESIGN §4.
 *
 * LOSSFREE    the guarantee without order
 * SELECTIVE   only packets that change state are cloned
 * WITH_ABORT  the controller may give up at any stage before the route; MOVES: it tries again
 * STRAGGLERS  paths reorder: MARK may overtake a packet, which is then a FWD
 * GROUP       the flows share a record (group.pml)
 */
#include "protocol.pml"
#ifdef STRAGGLERS
#undef BUG_NO_GRACE
#define BUG_NO_GRACE 1
#endif
#include "source.pml"
#include "destination.pml"
#include "controller.pml"

#define MOVED(f)  (dst.flow[f] == ref.flow[f] && src.flow[f] == 0)
#define STAYED(f) (src.flow[f] == ref.flow[f] && dst.flow[f] == 0)

init {
#if defined(LOSSFREE) || defined(STRAGGLERS)
	unordered[0] = true; unordered[F - 1] = true;
#endif
	atomic {
		run Switch(); run Controller(); run Source(); run SourceFlow(0);
		run Helper(); run Shim();
#if F == 2
		run SourceFlow(1)
#endif
	};
	timeout;
	assert(!failed && out == ALL && empty(swS) && empty(swD) && empty(sd));
	assert(routed -> committed && s_over && EVERY(MOVED) : EVERY(STAYED))
}
