/* SPDX-License-Identifier: BSD-2-Clause */
/* The instances of the NF and the helpers (nfxfer) that speak for them. */
#ifndef NF_INSTANCE_H
#define NF_INSTANCE_H

#include <stdbool.h>
#include <sys/queue.h>

#include "conn.h"
#include "ctrl.h"

/* A connection to a helper. */
struct nf_helper {
	LIST_ENTRY(nf_helper) next;
	struct nf_ctrl *c;
	struct nf_conn *conn;
	struct nf_instance *inst; /* NULL until its HELLO */
	bool broken;		  /* sending failed; closed when the loop comes by */
};

struct nf_instance {
	LIST_ENTRY(nf_instance) next;
	struct nf_ctrl *c;
	char name[NF_NAME_MAX];
	char listen[NF_ADDR_MAX];
	struct nf_helper *helper; /* NULL: none is connected */
	bool has_status;
	struct nf_msg_status status;
	uint64_t asked, heard;	   /* the last question for fresh counters, and that answered */
	char refused[NF_TEXT_MAX]; /* why its helper was turned away last, "" */
	struct nf_move *move;	   /* that it takes part in; NULL: free */
	struct nf_move *waiting;   /* a move that begins when @move is over; NULL */
	uint64_t orphan;	   /* a move that nobody leads, and the last order given for it */
	enum nf_rec_type orphan_order;
};

/* Instances of the configuration; helpers may bring more. 0 or -ENOMEM. */
int nf_instances_init(struct nf_ctrl *c);
void nf_instances_fini(struct nf_ctrl *c);
void nf_instances_listen(struct nf_ctrl *c); /* serves c->helper_fd */

struct nf_instance *nf_instance_find(struct nf_ctrl *c, const char *name);
/* "ids1, ids2": writes at most @n bytes and returns @buf. */
char *nf_instance_names(struct nf_ctrl *c, char *buf, size_t n);

/* 0 or -errno; a connection that fails is closed soon. */
int nf_instance_send(struct nf_instance *i, const struct nf_msg *m);

/* NULL if it can take part in a move, or why not, in static memory. */
const char *nf_instance_unfit(const struct nf_instance *i);

#endif
