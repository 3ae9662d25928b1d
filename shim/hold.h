/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hold: packets that came straight from the switch to the destination
 * before their flow was committed. One FIFO for the whole space, so that what
 * is released keeps the switch's order across flows too (flows that share a
 * record need it). Capped in packets and bytes.
 */
#ifndef NF_HOLD_H
#define NF_HOLD_H

#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "nfshim_flow.h"

struct nf_capture;

struct nf_held {
	STAILQ_ENTRY(nf_held) next;
	struct nfshim_flow flow;
	struct nf_capture *capture;
	bool moving; /* of the space, else only in the queue for its order */
	struct pcap_pkthdr h;
	uint64_t id;
	uint8_t data[]; /* h.caplen bytes */
};

struct nf_hold {
	STAILQ_HEAD(, nf_held) q;
	uint64_t packets, bytes;	 /* now */
	uint64_t max_packets, max_bytes; /* caps */
};

void nf_hold_init(struct nf_hold *h, uint64_t max_packets, uint64_t max_bytes);
bool nf_hold_empty(const struct nf_hold *h);
/* A packet of @caplen bytes would be over a cap. */
bool nf_hold_full(const struct nf_hold *h, uint32_t caplen);
/* Copy a packet of flow @f to the end, whatever the caps; of none (NULL): it only waits its turn.
 * NULL: no memory. */
struct nf_held *nf_hold_push(struct nf_hold *h, const struct nfshim_flow *f,
			     const struct pcap_pkthdr *ph, const uint8_t *data, uint64_t id);
struct nf_held *nf_hold_head(struct nf_hold *h);
struct nf_held *nf_hold_pop(struct nf_hold *h);		    /* caller frees */
void nf_hold_append(struct nf_hold *h, struct nf_held *e);  /* gives @e away */
void nf_hold_take(struct nf_hold *h, struct nf_hold *from); /* all packets of @from, to the end */
void nf_hold_clear(struct nf_hold *h);

#endif
