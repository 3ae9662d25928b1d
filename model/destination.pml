/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The destination: its helper, which buffers and drops, and its shim, which applies.
 *
 * A clone that was dropped leaves LOST in its place. There the flow is stale until it is exported
 * again, and the record tainted: a clone that would be reprocessed on a tainted record is lost too,
 * and so the flows that share the record follow, as far as it is needed and no further. The record
 * is whole with its next STATE.
 */

/* ---- the helper ---- */

inline ask_again(f, e)
{
	if
	:: !BUG_DROP_UNSAID -> assert(nfull(ds)); ds!REEXP, d_id, f, e
	:: else
	fi
}

inline drop_clones(g) /* t, a, x, w, y, i are scratch */
{
	i = len(buf);
	do
	:: i > 0 ->
		buf?t, a, x, w, y;
		if
		:: t == CLONE && a == g -> buf!LOST, a, x, w, 0
		:: else -> buf!t, a, x, w, y
		fi; i--
	:: else -> break
	od;
	t = 0; a = 0; x = 0; w = 0; y = 0;
	buffered = buffered - clones[g];
	clones[g] = 0;
	want[g] = got[g] + 1;
	ask_again(g, got[g])
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
	:: else -> buf!LOST, f, e, v, 0
	fi
}

#define WAITS (d_nodrop && buffered == B && sd?[CLONE, _, _, _, _, _] && !BUG_DROP_AFTER_PREPARE)

proctype Helper() provided (ALIVE(dst))
{
	byte m, f, e, v, p, g, a, x, w, y, i;
	mtype r, t;
end:	do
	:: atomic { nempty(sd) && nfull(buf) && !WAITS ->
		sd?r, m, f, e, v, p;
		if
		:: m != d_id && !BUG_NO_MOVE_ID && r != RESET
		:: else ->
			if
			:: r == RESET -> d_id = m; buf!RESET, 0, 0, 0, 0
			:: r == STATE ->
				if
				:: f != REC -> got[f] = e
				:: else
				fi;
				buf!STATE, f, e, v, p
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

#define IN_SYNC(f) (d_state[f] != STALE)
#define IS_OURS(f) (d_state[f] == COMMITTED || d_state[f] == UNKNOWN)

#ifdef LOSSFREE /* the guarantee without order: no hold */
#define MAY_PASS(f) true
#else
#define MAY_PASS(f) (d_state[f] == COMMITTED || d_state[f] == DOWNGRADED || (d_state[f] == UNKNOWN && finall))
#endif

inline lost(f)
{
	d_state[f] = STALE;
	tainted = GROUP && !BUG_DROP_FLOW_ONLY
}

inline import(f, e, v, s)
{
	if
	:: f == REC -> dst.rec = s; tainted = false
	:: f < F && d_state[f] == COMMITTED ->
		assert(d_id > move); /* I2: only after a reset */
		if
		:: !BUG_RESET_DONE_ONCE -> ds!DONE, d_id, f, e
		:: else
		fi
	:: f < F && d_state[f] != COMMITTED ->
		assert(!ready && d_state[f] != DOWNGRADED); /* I1, I2 */
		dst.flow[f] = s; d_e[f] = e; d_v[f] = v; d_state[f] = SYNC
	fi
}

inline reprocess(f, e, v, p)
{
	if
	:: d_state[f] == STALE -> lost(f)
	:: d_state[f] == COMMITTED || d_state[f] != STALE && e < d_e[f] && !BUG_V_UNCHECKED
	:: d_state[f] != COMMITTED && d_state[f] != STALE && (e >= d_e[f] || BUG_V_UNCHECKED) ->
		if
		:: !tainted && (e == d_e[f] && v == d_v[f] + 1 || BUG_V_UNCHECKED) ->
			process(dst, f, p);
			d_v[f] = v;
			d_state[f] = (d_state[f] == DOWNGRADED -> DOWNGRADED : SYNC)
		:: else ->
			failed = failed || ready;
			lost(f);
			ask_again(f, e)
		fi
	fi
}

inline commit(f, e, v)
{
	if
	:: d_state[f] == COMMITTED -> ds!DONE, d_id, f, e
	:: d_state[f] != COMMITTED && d_state[f] != STALE && e == d_e[f] && (v == d_v[f] || BUG_FIN_UNCHECKED) ->
		d_state[f] = COMMITTED;
		ds!DONE, d_id, f, e
	:: else -> failed = failed || d_id == move
	fi
}

inline reset_shim()
{
	barrier = false; ready = false
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
		d_state[h] = (d_state[h] == COMMITTED -> COMMITTED : DOWNGRADED);
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
	d_id = 0; d_nodrop = false; barrier = false; tainted = false; buffered = 0;
	do :: buf?_, _, _, _, _ :: empty(buf) -> break od;
	for (f : 0 .. F - 1) {
		dst.flow[f] = 0; d_state[f] = UNKNOWN;
		d_e[f] = 0; d_v[f] = 0; got[f] = 0; want[f] = 0; clones[f] = 0
	}
	f = 0;
	dst.rec = 0;
	d_over = true
}

inline finish() /* S is dead: what it delivered is what there is */
{
	for (f : 0 .. F - 1) {
		if
		:: d_state[f] != COMMITTED && d_state[f] != UNKNOWN -> d_state[f] = COMMITTED; unordered[f] = true
		:: else
		fi
	}
	f = 0; finall = true
}

#define HEAD_MAY_PASS(f) (hold?[f, _] && MAY_PASS(f))
#if F == 1
#define MAY_RELEASE HEAD_MAY_PASS(0)
#else
#define MAY_RELEASE (HEAD_MAY_PASS(0) || HEAD_MAY_PASS(1))
#endif

proctype Shim() provided (ALIVE(dst))
{
	byte f, e, v, p, h, y;
	mtype r;
end:	do
	:: atomic { nempty(buf) ->
		buf?r, f, e, v, p;
		if
		:: r == STATE -> import(f, e, v, p)
		:: r == CLONE -> buffered--; clones[f]--; reprocess(f, e, v, p)
#ifdef LOSE_CLONE
		:: r == CLONE && !lost_one -> buffered--; clones[f]--; lost_one = true
#endif
		:: r == LOST ->
			if
			:: !BUG_DROP_UNSAID && d_state[f] != COMMITTED -> lost(f)
			:: else
			fi
		:: r == BARRIER -> barrier = true
		:: r == FIN -> commit(f, e, v)
		:: r == FINALL -> finall = true
		:: r == FWD -> take(f, p)
		:: r == RESET -> reset_shim()
		fi; r = 0; f = 0; e = 0; v = 0; p = 0 }
	:: atomic { swD?f, p -> take(f, p); f = 0; p = 0 }
	:: atomic { nempty(hold) && MAY_RELEASE ->
		hold?f, p; give(f, p); f = 0; p = 0 }

	:: atomic { barrier && d_nodrop && !ready &&
		    (EVERY(IN_SYNC) && !tainted || BUG_READY_STALE) ->
		ready = true }
	:: atomic { finall && !committed && EVERY(IS_OURS) && empty(hold) -> committed = true }

	:: atomic { toD?BEGIN -> d_id = move }
	:: atomic { toD?PREPARE -> d_nodrop = true; prepared = true }
	:: atomic { toD?ABORT -> forget() }
	:: atomic { nempty(toD) && toD?[FINISH] && empty(sd) && empty(buf) -> toD?FINISH; finish() }
	od
}
