/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The source: the NF's packet thread in its shim. Everything here is one safe point.
 *
 * Flows that share a record: before a packet of an exported flow is processed, D's copy of the
 * record is clean, which means that no flow has changed it since without a clone. So D, which takes
 * everything in order, makes the same change to the same record.
 */
#define ROOM(n)	  (K - len(sd) >= (n))
#define TO_D(n)	  (ROOM((n) + (dirty && !BUG_RECORD_DIRTY))) /* with the record before it */
#define ABSENT(f) (s_state[f] == LOCAL && !src.flow[f])
#define LEFT(f)	  (s_state[f] == FINSENT || s_state[f] == GONE || (ABSENT(f) && finall_sent))

#define EXPORTED(f) (s_state[f] != LOCAL || ABSENT(f))
#define SETTLED(f)  (EXPORTED(f) && s_state[f] != GAP)
#define OFFERED(f)  (s_state[f] == FINSENT || s_state[f] == GONE || ABSENT(f))
#define TAKEN(f)    (s_state[f] == GONE || ABSENT(f))

inline clean()
{
	if
	:: dirty -> sd!STATE, s_id, REC, 0, 0, src.rec; dirty = false
	:: else
	fi
}

inline changed_alone() /* the record, without a clone */
{
	dirty = GROUP
}

inline work(f, p)
{
	if
	:: moving && ABSENT(f) -> s_state[f] = CLONING /* begins during the move, at v = 0 */
	:: else
	fi;
	if
	:: moving && s_state[f] == CLONING && CHANGES(p) && TO_D(1) ->
		if
		:: !BUG_RECORD_DIRTY -> clean()
		:: else
		fi;
		process(src, f, p);
		s_v[f]++;
		sd!CLONE, s_id, f, s_e[f], s_v[f], p
	:: moving && CHANGES(p) && !(s_state[f] == CLONING && TO_D(1)) ->
		process(src, f, p);
		s_v[f]++;
		changed_alone();
		if
		:: s_state[f] == CLONING -> /* the ring is full */
			assert(!s_nodrop);
			s_state[f] = (BUG_GAP_UNSEEN -> CLONING : GAP)
		:: else
		fi
	:: !moving || !CHANGES(p) -> process(src, f, p)
	fi;
	output(p)
}

inline begin_source()
{
	s_id = move;
	moving = true;
	for (f : 0 .. F - 1) {
		s_state[f] = LOCAL; s_e[f] = 0; s_v[f] = 0
	}
	f = 0;
	dirty = src.rec != 0
}

inline let_go() /* of the move; the NF goes on with the state that it has */
{
	moving = false; s_nodrop = false; barrier_sent = false; finall_sent = false;
	marked = false; s_id = 0; s_over = true;
	for (f : 0 .. F - 1) {
		s_state[f] = LOCAL; s_e[f] = 0; s_v[f] = 0
	}
	f = 0; dirty = false
}

inline delete_all()
{
	for (f : 0 .. F - 1) {
		src.flow[f] = 0
	}
	src.rec = 0;
	let_go()
}

/* The linger is longer than any packet of the old route is on its way. */
#define LINGERED (!swS?[PKT, _, _] && empty(hand) || BUG_NO_LINGER)

proctype Source()
{
	byte f, p, e, m;
end:	do
	/* packets; in no-drop mode the input waits for room */
	:: atomic { swS?[PKT, _, _] && (TO_D(1) || !s_nodrop) ->
		swS?PKT, f, p;
		if
		:: moving && marked && LEFT(f) -> sd!FWD, s_id, f, s_e[f], 0, p
		:: else -> work(f, p)
		fi; f = 0; p = 0 }
	:: atomic { swS?[MARK, _, _] ->
		swS?MARK, _, _; marked = moving }

	:: atomic { moving && !exported && EVERY(EXPORTED) -> exported = true }
	:: atomic { moving && s_nodrop && !barrier_sent && ROOM(1) &&
		    (EVERY(SETTLED) || BUG_BARRIER_IN_GAP) ->
		barrier_sent = true; sd!BARRIER, s_id, 0, 0, 0, 0 }
	:: atomic { moving && marked && !finall_sent && EVERY(OFFERED) && ROOM(1) ->
		finall_sent = true; sd!FINALL, s_id, 0, 0, 0, 0 }
	:: atomic { moving && finall_sent && LINGERED &&
		    EVERY(TAKEN) ->
		delete_all() }

	:: atomic { ds?[REEXP, _, _, _] ->
		ds?REEXP, m, f, e;
		if
		:: m == s_id && (e == s_e[f] || !BUG_REEXP_OLD_IGNORED) &&
		   (s_state[f] == CLONING || s_state[f] == GAP) ->
			s_state[f] = GAP; asked[f] = true;
			changed_alone();
			if
			:: GROUP && !BUG_REEXP_FLOW_ONLY && s_state[F - 1 - f] == CLONING ->
				s_state[F - 1 - f] = GAP /* the group goes with it */
			:: else
			fi
		:: else
		fi; m = 0; f = 0; e = 0 }
	:: atomic { ds?[DONE, _, _, _] ->
		ds?DONE, m, f, e;
		if
		:: m == s_id && e == s_e[f] && s_state[f] == FINSENT -> s_state[f] = GONE
		:: else
		fi; m = 0; f = 0; e = 0 }
	:: atomic { toS?BEGIN -> begin_source() }
	:: atomic { toS?PREPARE -> s_nodrop = moving }
	:: atomic { toS?ABORT -> let_go() }
	od
}

/* D's BARRIER may wait for what was asked for: with it comes the rest of its group, so that goes before. */
#define OTHER(f)       (F - 1 - f)
#define HAS_TO_WAIT(f) (GROUP && asked[f] && s_state[OTHER(f)] == GAP && !asked[OTHER(f)] && !BUG_GROUP_AFTER)

/* A flow that leaves: the export, the export again, and FIN. */
proctype SourceFlow(byte f)
{
end:	do
	:: atomic { moving && s_state[f] == LOCAL && src.flow[f] && TO_D(1) ->
		clean();
		sd!STATE, s_id, f, s_e[f], s_v[f], src.flow[f];
		s_state[f] = CLONING }
	:: atomic { moving && s_state[f] == GAP && !HAS_TO_WAIT(f) && TO_D(1) ->
		clean();
		s_e[f]++;
		if
		:: asked[f] -> sd!ANSWER, s_id, f, s_e[f], s_v[f], src.flow[f]
		:: else -> sd!STATE, s_id, f, s_e[f], s_v[f], src.flow[f]
		fi;
		asked[f] = false;
		s_state[f] = CLONING }
	:: atomic { moving && s_state[f] == CLONING && ROOM(1) &&
		    (marked || BUG_FIN_BEFORE_MARK && routed) ->
		sd!FIN, s_id, f, s_e[f], s_v[f], 0;
		s_state[f] = FINSENT }
	od
}
