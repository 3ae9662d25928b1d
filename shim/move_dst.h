/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of a move's destination: hold, data. Private to move_dst*.c. */
#ifndef NF_MOVE_DST_H
#define NF_MOVE_DST_H

#include "move.h"

/* move_dst_hold.c: packets straight from the switch. */
bool nf_dst_may_pass(const struct nf_mflow *f); /* NULL: a flow nobody has spoken of */
/* The move has failed here, and no packet is anybody else's. */
bool nf_dst_all_is_ours(void);
/* Into the hold, or, where it is full, one out of it. True: the caller gives it to the NF itself.
 */
bool nf_dst_hold(const struct nf_packet_view *p, const struct nfshim_flow *key, struct nf_sink *s);
void nf_dst_release(struct nf_sink *s); /* what may pass, from the head; @s may be NULL */
/* Packets of the space are not ours to process (an errno says why); the others wait on. */
void nf_dst_drop_held(int why);
void nf_dst_log(enum nf_ev what, uint64_t id, const u_char *data, uint32_t caplen,
		const struct nf_mflow *f);

/* move_dst_data.c: the source's records, STATE to FWD. */
void nf_dst_data(const struct nf_rec *r, const uint8_t *payload, struct nf_sink *s);
void nf_dst_commit(struct nf_mflow *f);

/* move_dst.c */
void nf_dst_failed(void); /* what came is out of the NF again */

#endif
