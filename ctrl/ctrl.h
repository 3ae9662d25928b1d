/* SPDX-License-Identifier: BSD-2-Clause */
/* The controller's own state; its parts share it and nothing else. */
#ifndef NF_CTRL_H
#define NF_CTRL_H

#include <stdint.h>
#include <sys/queue.h>

#include "loop.h"
#include "switch.h"

struct nf_instance;
struct nf_helper;
struct nf_move;
struct nf_client;

struct nf_ctrl {
	struct nf_loop *loop;
	struct nf_switch_conf conf;
	const struct nf_switch_ops *ops;
	struct nf_switch *sw;
	uint64_t gen;	    /* of the last route set; not below any move's id that set one */
	uint64_t last_move; /* highest id in use */
	uint64_t last_list;
	uint64_t last_ask;  /* for fresh counters */
	uint64_t found_gen; /* that the switch had when we came */
	struct nf_timer *orphans;
	uint64_t orphans_since_us; /* 0: none */
	int helper_fd, api_fd;
	char helper_path[108], api_path[108];
	LIST_HEAD(, nf_instance) instances;
	LIST_HEAD(, nf_helper) helpers;
	TAILQ_HEAD(nf_moves, nf_move) moves; /* oldest first */
	LIST_HEAD(, nf_client) clients;
};

/* What nfctl is told, and its exit code. */
enum nf_code {
	NF_CODE_DONE = 0,
	NF_CODE_FAILED = 1,
	NF_CODE_USAGE = 2,
	NF_CODE_REFUSED = 3,
	NF_CODE_UNREACHABLE = 4,
};

#endif
