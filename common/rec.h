/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records: what the shim and its helper say to each other through the two
 * rings, and, wrapped by proto/, what the two helpers say on their stream.
 *
 * Everything about a move goes through the rings, in order, and is handled by
 * the NF's packet thread at a safe point; nothing reaches the NF's state by
 * another way. DESIGN §4 names the messages; S and D are source and
 * destination.
 */
#ifndef NF_REC_H
#define NF_REC_H

#include <stdint.h>

#include "nfshim_flow.h"
#include "tag.h"

#define NF_REC_MAX (1u << 20) /* largest record, header included, in bytes */

enum nf_rec_type {
	/* helper → shim: what the controller wants */
	NF_REC_BEGIN_DST = 1, /* accept(): payload is struct nf_rec_begin; answered by BEGUN */
	NF_REC_BEGIN_SRC,     /* transfer(): same payload; answered by BEGUN */
	NF_REC_PREPARE,	      /* no-drop mode; D answers PREPARED, S goes on to BARRIER */
	NF_REC_ABORT,	      /* before the route: D forgets, S goes on. Answered by OVER */
	NF_REC_REVERT,	      /* S, after the route went back: flows are LOCAL again. → OVER */
	NF_REC_FENCE,	      /* D, after the route went back: forget the move's flows. → OVER */
	NF_REC_FINISH, /* D, source is dead after the route: commit what came. → COMMITTED */
	NF_REC_END,    /* D: the source's linger is over. S: end the linger now. → OVER */
	NF_REC_LIST,   /* payload: space text. Answered by LISTED records, then LIST_END */

	/* shim → helper, helper → helper, helper → shim: the data path (S → D) */
	NF_REC_STATE = 32, /* (scope, f, e, v, blob); NF_REC_GONE: the flow ended at S */
	NF_REC_CLONE,	   /* (f, e, v, packet) reprocess, do not output */
	NF_REC_BARRIER,	   /* S is in no-drop mode and every flow is exported */
	NF_REC_FIN,	   /* (f, e, v) S will process no more packets of f */
	NF_REC_FINALL,	   /* no flow of the space is S's any more */
	NF_REC_FWD,	   /* (f, packet) came after FIN: process with output */

	/* D → S */
	NF_REC_DONE = 48, /* (f, e) f is D's */
	NF_REC_REEXP, /* (f, e) clones of f were dropped: its state is wanted again. By the helper
		       */

	/* shim → helper: acknowledgements and reports */
	NF_REC_BEGUN = 64, /* version: flows of the space that were here already */
	NF_REC_EXPORTED,   /* S: every flow and record exported once; payload nf_rec_stats */
	NF_REC_PREPARED,   /* D: in no-drop mode */
	NF_REC_READY,	   /* D: BARRIER seen, no-drop, every flow in SYNC; payload stats */
	NF_REC_MARKED,	   /* S: every MARK seen, FINs follow */
	NF_REC_COMMITTED,  /* D: FINALL seen and every flow committed; payload stats */
	NF_REC_RELEASED,   /* S: every flow's DONE seen, linger starts; payload stats */
	NF_REC_UNFINISHED, /* (f) by FINISH, FENCE, REVERT: flow not fully caught up */
	NF_REC_OVER,	   /* nothing of the move is left; payload stats */
	NF_REC_FAILED,	   /* version: errno; payload: one sentence of text */
	NF_REC_LISTED,	   /* (f) version: packets seen by the NF if it says so, else 0 */
	NF_REC_LIST_END,   /* version: how many */

	/* shim → helper, of clones that travel as frames; version: number of the frame */
	NF_REC_GOT,    /* D: this one and those before it are reprocessed */
	NF_REC_RESEND, /* D: it has not come */
};

enum nf_rec_flag {
	NF_REC_GONE = 1,   /* STATE: removed by the NF at S */
	NF_REC_WIRE = 2,   /* CLONE in an in ring: payload is the number (u64) of a tagged frame */
	NF_REC_ANSWER = 4, /* STATE: to a REEXP of this flow */
};

#define NF_REC_STREAM_FLAGS (NF_REC_GONE | NF_REC_ANSWER) /* those that helpers send */

/* Header of every record. Payload follows; records are padded to 8 bytes in the ring. */
struct nf_rec {
	uint32_t len;	  /* bytes: header and payload, without padding */
	uint8_t type;	  /* enum nf_rec_type */
	uint8_t scope;	  /* STATE: enum nfshim_scope */
	uint8_t flags;	  /* enum nf_rec_flag */
	uint8_t capture;  /* packet: which of the NF's captures, in the order they were opened */
	uint64_t move;	  /* id of the move */
	uint64_t version; /* v */
	uint32_t epoch;	  /* e */
	uint32_t wirelen; /* packet: length on the wire */
	int64_t sec;	  /* packet: original timestamp */
	uint32_t nsec;
	struct nfshim_flow flow;
	uint32_t thread; /* between helpers: which packet thread of the NF, 0 for the first */
	uint32_t zero;
};

_Static_assert(sizeof(struct nf_rec) == 96, "header layout is part of the ring's ABI");

static inline uint32_t nf_rec_payload(const struct nf_rec *r)
{
	return r->len - (uint32_t)sizeof(*r);
}

#define NF_THREADS 8 /* most packet threads of an NF */

#define NF_MARK_MAX    16 /* most queues of a path */
#define NF_MARK_SECRET 16 /* bytes per queue */

enum nf_inject { NF_INJECT_RING, NF_INJECT_VETH };
enum nf_guarantee { NF_ORDERED, NF_LOSS_FREE, NF_NONE };

/* Payload of BEGIN_*: followed by space_len bytes of the space's text, no NUL. */
struct nf_rec_begin {
	uint32_t slice_us;     /* a slice of export or import stops after this, microseconds */
	uint32_t slice_flows;  /* … or after so many flows, 0 for no such limit */
	uint32_t hold_packets; /* D: cap of held packets */
	uint32_t hold_bytes;   /* D: cap of held bytes */
	uint32_t linger_ms;    /* S: how long moved state is kept after the last DONE */
	uint32_t marks;	       /* S: MARK frames to wait for, one per queue; 1..NF_MARK_MAX */
	uint8_t mark[NF_MARK_MAX][NF_MARK_SECRET]; /* S: what each must carry */
	uint32_t space_len;
	uint32_t inject;	 /* D: enum nf_inject, how clones come */
	uint8_t tag[NF_TAG_KEY]; /* D, veth: the helper's secret, see tag.h */
	uint32_t guarantee;	 /* enum nf_guarantee */
	uint32_t others;	 /* packet threads that take part beside the receiver */
};

/* What a move did so far at one shim; all counts since BEGIN. */
struct nf_rec_stats {
	uint64_t flows;	      /* per-flow states sent or imported */
	uint64_t records;     /* multi-flow states sent or imported, repeats included */
	uint64_t shared;      /* records also used by flows outside the space */
	uint64_t state_bytes; /* blobs */
	uint64_t clones;      /* sent or reprocessed */
	uint64_t clone_bytes;
	uint64_t new_flows; /* began during the move */
	uint64_t fwd;	    /* sent or processed */
	uint64_t held;	    /* packets held, total */
	uint64_t held_max;  /* most at once */
	uint64_t held_bytes_max;
	uint64_t downgraded; /* flows */
	uint64_t unfinished; /* flows not fully caught up */
	uint64_t slices;
	uint64_t slice_max_ns;
	uint64_t wait_ns;      /* input waited for ring space in no-drop mode */
	uint64_t kernel_drops; /* of the capture handle since BEGIN */
	uint64_t discarded;    /* clones or marks refused (old, malformed, forged) */
	uint64_t resent;       /* D, veth: frames that had to be asked for again */
	uint64_t gaps;	       /* S: clones that the out ring had no room for */
	uint64_t again;	       /* S: per-flow states exported again */
	uint64_t again_bytes;
	uint64_t forged; /* D, veth: frames with a false or used tag, given to the NF as they are */
};

#endif
