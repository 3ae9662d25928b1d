/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The destination: its helper, which buffers and drops, and its shim, which applies.
 *
 * The helper drops clones, asks for their flow again, and until its state comes takes nothing of it.
 * BARRIER waits there until no flow is stale. The shim knows nothing of it: what it gets of a flow
 * in one epoch has no gap.
 *
 * A clone may be reprocessed on a shared record that lacks others' clones. What it makes of its flow
 * may be WRONG then; so the whole group is exported again.
 */

/* ---- the helper ---- */

inline ask_again(f, e)
{
	if
	:: !BUG_DROP_UNSAID -> assert(nfull(ds)); ds!REEXP, d_id, f, e
	:: else
	fi
}

inline take_clones(g) /* out of the buffer; t, a, x, w, y, i are scratch */
{
	i = len(buf);
	do
	:: i > 0 ->
		buf?t, a, x, w, y;
		if
		:: t == CLONE && a == g
		:: else -> buf!t, a, x, w, y
		fi; i--
	:: else -> break
	od;
	t = 0; a = 0; x = 0; w = 0; y = 0;
	buffered = buffered - clones[g];
	clones[g] = 0
}

inline drop_clones(g)
{
	take_clones(g);
	want[g] = got[g] + 1;
	if
	:: !stale[g] -> stale[g] = true; ask_again(g, got[g])
	:: else /* the answer will be newer */
	fi
}

inline overflow(f) /* a clone of f has no room: drop the largest flow's */
{
	assert(!d_nodrop || BUG_DROP_AFTER_PREPARE);
	if
	:: clones[f] + 1 >= clones[F - 1 - f] -> g = f
#if F == 2
	:: clones[F - 1 - f] >= clones[f] + 1 -> g = F - 1 - f
#endif
	fi;
	drop_clones(g);
	g = 0
}

inline keep(f, e, v, p)
{
	if
	:: e >= want[f] && buffered < B -> buf!CLONE, f, e, v, p; buffered++; clones[f]++
	:: else /* of a flow that is stale */
	fi
}

#if F == 1
#define NONE_STALE (!stale[0])
#else
#define NONE_STALE (!stale[0] && !stale[1])
#endif

#define WAITS (d_nodrop && buffered == B && sd?[CLONE, _, _, _, _, _] && !BUG_DROP_AFTER_PREPARE)

proctype Helper()
{
	byte m, f, e, v, p, g, a, x, w, y, i;
	mtype r, t;
end:	do
	:: atomic { nempty(sd) && nfull(buf) && !WAITS ->
		sd?r, m, f, e, v, p;
		if
		:: m != d_id && !BUG_NO_MOVE_ID
		:: else ->
			if
			:: r == STATE || r == ANSWER ->
				if
				:: f != REC ->
					got[f] = e; stale[f] = stale[f] && r != ANSWER;
					if
					:: BUG_STATE_DROPS -> take_clones(f)
					:: else
					fi
				:: else
				fi;
				buf!STATE, f, e, v, p;
				if
				:: waits && NONE_STALE -> buf!BARRIER, 0, 0, 0, 0; waits = false
				:: else
				fi
			:: r == BARRIER && !NONE_STALE && !BUG_READY_STALE -> waits = true
			:: r == CLONE ->
				if
				:: e >= want[f] && buffered == B -> overflow(f)
				:: else
				fi;
				keep(f, e, v, p)
			:: else -> buf!r, f, e, v, p
			fi
		fi; r = 0; m = 0; f = 0; e = 0; v = 0; p = 0 }
	od
}

/* ---- the shim ---- */

#define IS_OURS(f) (d_state[f] == COMMITTED || d_state[f] == UNKNOWN)

#ifdef LOSSFREE /* the guarantee without order: no hold */
#define MAY_PASS(f) true
#else
#define MAY_PASS(f) (d_state[f] == COMMITTED || d_state[f] == DOWNGRADED || (d_state[f] == UNKNOWN && finall))
#endif

inline import(f, e, v, s)
{
	if
	:: f == REC -> dst.rec = s
	:: f < F ->
		assert(!ready && d_state[f] != DOWNGRADED && d_state[f] != COMMITTED); /* I1, I2 */
		dst.flow[f] = s; d_e[f] = e; d_v[f] = v; d_state[f] = SYNC
	fi
}

inline reprocess(f, e, v, p)
{
	if
	:: d_state[f] == COMMITTED || e != d_e[f] /* of no use any more */
	:: else ->
		if
		:: v == d_v[f] + 1 ->
			redo(dst, f, p);
			d_v[f] = v;
			d_state[f] = (d_state[f] == DOWNGRADED -> DOWNGRADED : SYNC)
		:: else -> failed = true
		fi
	fi
}

inline commit(f, e, v)
{
	if
	:: d_state[f] != COMMITTED && e == d_e[f] && v == d_v[f] ->
		d_state[f] = COMMITTED;
		ds!DONE, d_id, f, e
	:: else -> failed = true
	fi
}

inline settle_downgraded() /* flows that S never had: no FIN comes for them */
{
	for (f : 0 .. F - 1) {
		d_state[f] = (d_state[f] == DOWNGRADED -> COMMITTED : d_state[f])
	}
}

inline give(f, p)
{
	if
	:: d_state[f] != COMMITTED && !(d_state[f] == UNKNOWN && finall) -> unordered[f] = !BUG_NO_HOLD
	:: else
	fi;
	process(dst, f, p);
	output(p)
}

inline make_room() /* the flow at the head gives up order */
{
	if
	:: len(hold) == H ->
		hold?h, y;
		d_state[h] = (MAY_PASS(h) && !BUG_DOWNGRADE_OWN -> d_state[h] : DOWNGRADED);
		give(h, y); h = 0; y = 0
	:: else
	fi
}

inline take(f, p) /* a packet straight from the switch, or forwarded */
{
	if
	:: (MAY_PASS(f) || BUG_NO_HOLD) && (len(hold) == 0 || BUG_PASS_HELD) -> give(f, p)
	:: else -> make_room(); hold!f, p
	fi
}

inline forget()
{
	d_id = 0; d_nodrop = false; barrier = false; waits = false; buffered = 0;
	do :: buf?_, _, _, _, _ :: empty(buf) -> break od;
	for (f : 0 .. F - 1) {
		dst.flow[f] = 0; d_state[f] = UNKNOWN;
		d_e[f] = 0; d_v[f] = 0; got[f] = 0; want[f] = 0; stale[f] = false; clones[f] = 0
	}
	f = 0;
	dst.rec = 0;
	d_over = true
}

#define HEAD_MAY_PASS(f) (hold?[f, _] && MAY_PASS(f))
#if F == 1
#define MAY_RELEASE HEAD_MAY_PASS(0)
#else
#define MAY_RELEASE (HEAD_MAY_PASS(0) || HEAD_MAY_PASS(1))
#endif

proctype Shim()
{
	byte f, e, v, p, h, y;
	mtype r;
end:	do
	:: atomic { nempty(buf) ->
		buf?r, f, e, v, p;
		if
		:: r == STATE -> import(f, e, v, p)
		:: r == CLONE -> buffered--; clones[f]--; reprocess(f, e, v, p)
		:: r == BARRIER -> barrier = true
		:: r == FIN -> commit(f, e, v)
		:: r == FINALL -> finall = true; settle_downgraded()
		:: r == FWD -> take(f, p)
		fi; r = 0; f = 0; e = 0; v = 0; p = 0 }
	:: atomic { swD?f, p -> take(f, p); f = 0; p = 0 }
	:: atomic { nempty(hold) && MAY_RELEASE ->
		hold?f, p; give(f, p); f = 0; p = 0 }

	:: atomic { barrier && d_nodrop && !ready ->
		ready = true }
	:: atomic { finall && !committed && EVERY(IS_OURS) && empty(hold) -> committed = true }

	:: atomic { toD?BEGIN -> d_id = move }
	:: atomic { toD?PREPARE -> d_nodrop = true; prepared = true }
	:: atomic { toD?ABORT -> forget() }
	od
}
