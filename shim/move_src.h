/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of a move's source: send, export, delete. Private to move_src*.c. */
#ifndef NF_MOVE_SRC_H
#define NF_MOVE_SRC_H

#include "move.h"

#define NF_WALK_BUCKETS 64u /* buckets the NF walks per call */

/* The work between two packets. */
struct nf_slice {
	uint64_t until; /* ns, monotonic */
	unsigned left;	/* flows, 0: no limit */
	bool full;	/* the out ring is */
	int err;
};

bool nf_slice_over(struct nf_slice *sl);

/* move_src_send.c: records to the helper. */
struct nf_link *nf_src_link(void); /* NULL: no helper, or it has just gone */
/* Room in the out ring; NULL if there is none (in the no-drop phase: after a wait) or no helper. */
struct nf_rec *nf_src_reserve(uint32_t len);
bool nf_src_has_room(void); /* for the largest step of a slice */
void nf_src_commit(struct nf_rec *r);
bool nf_src_push(enum nf_rec_type t, const struct nf_mflow *f);

/* move_src_export.c: 0, or -errno; -ENOBUFS: the ring is full, others are reported. */
int nf_src_export_flow(struct nf_mflow *f);
int nf_src_clean_records_of(const struct nfshim_flow *flow);
void nf_src_dirty_records_of(const struct nfshim_flow *flow);
bool nf_src_export_slice(struct nf_slice *sl); /* true if there is more */

/* move_src_again.c: clones of a flow were lost. */
void nf_src_gap(struct nf_mflow *f);	      /* here, for want of room */
void nf_src_reexp(const struct nf_rec *r);    /* at the destination, which says so */
void nf_src_lose_group(void);		      /* … and of those that share records with it */
void nf_src_again_done(struct nf_mflow *f);   /* it is exported */
bool nf_src_again_pending(void);	      /* something can be exported again now */
bool nf_src_again_slice(struct nf_slice *sl); /* true if there is more */

/* move_src_delete.c: the end of the linger. */
void nf_src_delete_start(void);
bool nf_src_delete_slice(struct nf_slice *sl); /* true if there is more */
/* A packet comes while it lasts: what the NF still has of its flow goes first, its records stay. */
void nf_src_delete_before(const struct nfshim_flow *key);

#endif
