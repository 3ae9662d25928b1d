/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A move as one shim sees it: as source (move_src.c) or destination
 * (move_dst.c). Private to the engine; of one packet thread.
 */
#ifndef NF_MOVE_H
#define NF_MOVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uthash.h>

#include "engine.h"
#include "evlog.h"
#include "flow.h"
#include "hold.h"
#include "link.h"
#include "nfshim.h"
#include "rec.h"
#include "space.h"

/* DESIGN §4, "A flow at S" and "A flow at D". */
enum nf_flow_state {
	NF_FLOW_LOCAL,	    /* S: not yet exported, or to be exported again */
	NF_FLOW_CLONING,    /* S: exported, packets are cloned */
	NF_FLOW_FINSENT,    /* S: offered to D for good */
	NF_FLOW_GONE,	    /* S: D's; state kept for the linger */
	NF_FLOW_OWN,	    /* no part of the move: D's from before, S's again once deleted */
	NF_FLOW_SYNC,	    /* D: imported, clones applied up to v */
	NF_FLOW_DOWNGRADED, /* D: hold was full; order given up */
	NF_FLOW_COMMITTED,  /* D: ours */
};

struct nf_mflow {
	struct nfshim_flow key;
	enum nf_flow_state state;
	uint32_t epoch;	  /* e */
	uint64_t version; /* v */
	bool imported;	  /* D: STATE came */
	bool again;	  /* S: to be exported again, in nf_move.again or asked */
	bool asked;	  /* S: by D */
	TAILQ_ENTRY(nf_mflow) next_again;
	UT_hash_handle hh;
};

/* A multi-flow record that flows of the move touch. */
struct nf_mrecord {
	struct nfshim_flow key;
	bool exported; /* S: D has it, or will make it by reprocessing */
	bool dirty;    /* S: changed since by a flow that is not cloned yet */
	bool lost;     /* S: D's copy lacks clones that were dropped */
	bool outside;  /* S: a flow outside the space uses it too */
	bool was_here; /* D: existed before the move */
	UT_hash_handle hh;
};

/* Where a sliced walk over the NF's keys stands. */
struct nf_walk {
	enum nfshim_scope scope;
	uint64_t cursor;
	bool left; /* the NF has named all its flows: those it freed meanwhile are left */
	bool done;
};

struct nf_move {
	uint64_t id;
	enum nf_side side;
	enum nf_phase phase;
	bool failed;	/* reported; waits for ABORT */
	bool no_drop;	/* PREPARE seen */
	bool listed;	/* S: no flow is LOCAL any more */
	bool finall;	/* S: sent; D: seen */
	bool barrier;	/* S: sent; D: seen */
	bool deleting;	/* S: the linger is over */
	bool forgotten; /* D: what came is out of the NF again */
	bool aborted;	/* D: over as soon as the hold is empty */
	bool cut;	/* S: the helper that the move began with is gone */
	struct nf_rec_begin opt;
	struct nf_space *space;
	struct nf_frags *frags;
	struct nf_mflow *flows;
	struct nf_mrecord *records;
	struct nf_walk walk;
	struct nf_hold hold;	 /* D */
	uint32_t marks_seen;	 /* S: bit per queue */
	unsigned waiting;	 /* S: flows in FINSENT; D: flows in SYNC or DOWNGRADED */
	uint64_t linger_until;	 /* ns, monotonic; 0: not lingering */
	uint64_t drops_at_begin; /* of the capture handle */
	uint64_t bytes_in;	 /* packets of the space, for the wait limit */
	uint64_t began;		 /* ns */
	TAILQ_HEAD(nf_again, nf_mflow) again, asked; /* S: in this order */
	bool group_lost;	 /* S: … and flows that share a record with the asked */
	struct nf_mflow *cursor; /* flow that the next slice looks at */
	struct nf_rec_stats stats;
};

/* Of this packet thread; side NF_SIDE_NONE: none. */
extern __thread struct nf_move nf_move __attribute__((tls_model("initial-exec")));

struct nf_packet_view {
	const struct pcap_pkthdr *h;
	const u_char *data;
	struct nf_capture *capture; /* that it came from; NULL: unknown */
	int64_t sec;
	uint32_t nsec;
	uint64_t id;		 /* for the event log, else 0 */
	struct nfshim_flow flow; /* for the event log: the key before key_of */
};

uint64_t nf_now_ns(void);

/* Room for a record of any size: of this thread, made when it is first needed. NULL: no memory. */
uint8_t *nf_scratch(void);
void nf_scratch_free(void);

/* move.c: what both sides share. */
struct nf_mflow *nf_move_find(const struct nfshim_flow *key);
struct nf_mflow *nf_move_add(const struct nfshim_flow *key, enum nf_flow_state st);
struct nf_mrecord *nf_move_record(const struct nfshim_flow *key); /* adds; NULL: no memory */
unsigned nf_move_records_of(const struct nfshim_flow *flow, struct nfshim_flow *keys);
#define NF_RECORDS_MAX 8 /* most records a flow touches */
/* Key of a packet as the NF keys it. */
void nf_move_flow_key(const struct nf_packet_view *p, int linktype, struct nfshim_flow *key);
/* The same; false if the packet, by its outer headers, is outside the space. */
bool nf_move_key(const struct nf_packet_view *p, int linktype, struct nfshim_flow *key);
void nf_move_fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void nf_move_over(void);   /* reports OVER, frees everything, disarms */
void nf_move_forget(void); /* the same without the report */
void nf_move_log(enum nf_ev what, const struct nf_mflow *f);

/* report.c: small records to the helper that must not get lost when the ring is full. */
void nf_report_init(void); /* of this thread */
void nf_report(enum nf_rec_type t, uint64_t version, const struct nfshim_flow *f, uint32_t epoch,
	       const void *payload, uint32_t len);
void nf_report_stats(enum nf_rec_type t);
bool nf_report_flush(void); /* true when nothing waits */
void nf_report_drop_all(void);

/* Called by the engine for the side it is on. The _before functions return true if the NF is to
 * process the packet now. */
void nf_src_begin(const struct nf_rec *r);
bool nf_src_before(const struct nf_packet_view *p, struct nf_sink *s);
void nf_src_after(const struct nf_packet_view *p);
void nf_src_mark(const struct nf_packet_view *p);
void nf_src_record(const struct nf_rec *r); /* PREPARE ABORT REVERT END DONE REEXP */
bool nf_src_step(void);			    /* one slice; true if there is more to do at once */
void nf_src_link_lost(void);
void nf_src_quit(void); /* the NF is about to end */

void nf_dst_begin(const struct nf_rec *r);
bool nf_dst_before(const struct nf_packet_view *p, struct nf_sink *s);
void nf_dst_record(const struct nf_rec *r, const uint8_t *payload, struct nf_sink *s);
bool nf_dst_step(struct nf_sink *s);
void nf_dst_link_lost(void);
void nf_dst_quit(void);

bool nf_dst_give_all(struct nf_sink *s); /* true: nothing is held any more */
/* The input call is full, but the input has one more packet: it waits for the next call. */
void nf_dst_keep(const struct nf_packet_view *p);
bool nf_dst_can_give(void); /* the head of the hold waits for nothing but an input call */
struct nf_capture *nf_dst_gives_to(void); /* of this capture */

/* Does this record need a callback to give a packet to? */
bool nf_dst_wants_sink(const struct nf_rec *r);

/* mark.c */
bool nf_mark_is(const u_char *data, uint32_t caplen); /* by its EtherType and magic */
/* A MARK of the current move: notes its queue. False if it is forged, old or malformed. */
bool nf_mark_accept(const u_char *data, uint32_t caplen);
/* This thread was a source: late ones may come. */
extern __thread bool nf_mark_expected __attribute__((tls_model("initial-exec")));
void nf_mark_keep(void); /* the move ends: know its MARK for as long as no other has ended */
bool nf_mark_late(const u_char *data, uint32_t caplen); /* a MARK of the last move */

/* engine.c: give a packet to the NF. @window: reprocess, do not output. */
void nf_give(struct nf_sink *s, const struct pcap_pkthdr *h, const u_char *data, bool window);
/* @p is in the hold: if it is the packet that the input brought, it is no more under way. */
void nf_engine_held(const struct nf_packet_view *p);

#endif
