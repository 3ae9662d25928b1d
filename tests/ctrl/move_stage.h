/* SPDX-License-Identifier: BSD-2-Clause */
/* The controller, two made-up helpers and the steps of a move. */
#ifndef NF_TESTS_MOVE_STAGE_H
#define NF_TESTS_MOVE_STAGE_H

#include <check.h>

#include "fake.h"

#define SPACE "net 10.20.0.0/21 or net 2001:db8:20::/61"
#define MOVE  "move|ids1|ids2|" SPACE "|--wait"

extern struct fake s, d; /* ids1 and ids2, the source and the destination */
extern struct ctl mover; /* the nfctl that asked for the move */
extern const struct nf_rec_stats sent, applied;

void move_setup(void);
void move_teardown(void);

/* Stages as the helpers see them: run_to(n) stops when the controller waits for the n-th answer. */
enum { AT_BEGIN_DST, AT_BEGIN_SRC, AT_EXPORT, AT_PREPARE_DST, AT_PREPARE_SRC, AT_MARK, AT_COMMIT };
void run_to(const char *words, int stage);

struct failure {
	const char *name;
	bool at_source; /* the side that fails */
	int kind;	/* 0: FAILED, 1: NF gone, 2: helper gone, 3: stream broken */
};
void fail_at(const struct failure *f);

/* Wait for the mover's end; what it printed (new reference). */
json_t *result(int code, const char *state);
/* The stage that `show` tells; waits until it is the one that is wanted. */
void wait_stage(uint64_t id, const char *stage);

#endif
