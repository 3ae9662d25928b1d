/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network, the NFs, and what a move must not change.
 *
 * N packets of F flows go through the switch, the flows in every mixture. Packet p is bit p of a
 * mask, and the state of a flow is the mask of the packets that made it. ref is the instance that
 * never moves: it processes each packet in the switch. What the property "loss-free and ordered"
 * means is said once, in process() and output(): whoever processes p, in whatever copy, must have
 * exactly the state that ref had before p, and p is output exactly once.
 */
#ifndef N
#define N 4 /* packets, at most 7 */
#endif
#ifndef F
#define F 1 /* flows, at most 2 */
#endif
#ifndef L
#define L 1 /* packets on the way to an instance; one more is still inside the switch */
#endif

#ifndef GROUP
#define GROUP 0 /* 1: the flows share a record */
#endif

#define BIT(p)	   (1 << (p))
#define ALL	   (BIT(N) - 1)
#define UPTO(m, p) ((m) & (BIT(p) - 1)) /* those of m that came before p */

#ifdef SELECTIVE /* packets with an odd number change no state */
#define CHANGES(p) (((p) & 1) == 0)
#else
#define CHANGES(p) true
#endif

#if F == 1
#define EVERY(predicate) (predicate(0))
#else
#define EVERY(predicate) (predicate(0) && predicate(1))
#endif

typedef Nf {
	byte flow[F];
	byte rec /* GROUP: the record that all flows share */
};
Nf src, dst, ref;
bool unordered[F]; /* order was given up for this flow, openly */

mtype = { PKT, MARK };
chan hand = [1] of { byte, byte };	 /* in the switch: the old port is chosen */
chan swS = [L] of { mtype, byte, byte }; /* f, p */
chan swD = [L] of { byte, byte };
byte sent, out, direct; /* direct: those sent to D */
bool routed;

inline update(nf, f, p)
{
	if
	:: CHANGES(p) ->
		nf.flow[f] = nf.flow[f] | BIT(p);
		nf.rec = nf.rec | (GROUP -> BIT(p) : 0)
	:: else
	fi
}

inline process(nf, f, p)
{
	assert(!(nf.flow[f] & BIT(p)));
	assert(unordered[f] || nf.flow[f] == UPTO(ref.flow[f], p));
	assert(nf.rec == UPTO(ref.rec, p));
	update(nf, f, p)
}

#define WRONG 7 /* a bit that no packet has: made on a record that was not as it should be */

inline redo(nf, f, p) /* reprocess */
{
	assert(!(nf.flow[f] & BIT(p)));
	if
	:: GROUP && nf.rec != UPTO(ref.rec, p) -> nf.flow[f] = nf.flow[f] | BIT(WRONG)
	:: else
	fi;
	update(nf, f, p)
}

inline output(p)
{
	assert(!(out & BIT(p)));
	out = out | BIT(p)
}

inline arrive(f)
{
	select (f : 0 .. F - 1);
	update(ref, f, sent)
}

proctype Switch()
{
	byte f, p;
end:	do
	:: atomic { sent < N && !routed && empty(hand) ->
		arrive(f); hand!f, sent; sent++; f = 0 }
	:: atomic { nempty(hand) && nfull(swS) ->
		hand?f, p; swS!PKT, f, p; f = 0; p = 0 }
	:: atomic { sent < N && routed && nfull(swD) ->
		arrive(f); swD!f, sent; direct = direct | BIT(sent); sent++; f = 0 }
	od
}
