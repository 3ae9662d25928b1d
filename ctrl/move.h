/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A move as the controller sees it (DESIGN §4, §6): a table of stages, each
 * with what it does on entry, what it waits for, and how long.
 *
 *   clear → begin-dst → begin-src → export → prepare-dst → prepare-src
 *        → route → mark → commit → linger → end → over
 *   before the route: abort → over.  After it: revert (destination dead) or
 *   finish (source dead) → end → over.
 */
#ifndef NF_CTRL_MOVE_H
#define NF_CTRL_MOVE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "instance.h"
#include "space.h"

#define NF_LIST_ID    (1ull << 63) /* ids of LIST stand above those of moves */
#define NF_MOVES_KEPT 1000	   /* moves that are over and still shown */
#define NF_MOVE_NAMED 2000	   /* unfinished flows kept by name */

struct nf_move_options {
	uint64_t buffer_packets, buffer_bytes;
	uint64_t reserve_bytes;
	uint32_t hold_packets, hold_bytes;
	uint32_t slice_us, slice_flows;
	uint32_t linger_ms;
	uint32_t deadline_ms; /* PREPARE to ROUTE */
	enum nf_inject inject;
	enum nf_guarantee guarantee;
};

extern const struct nf_move_options nf_move_defaults;
extern const char *const nf_guarantee_names[NF_NONE + 1]; /* by enum nf_guarantee */

enum nf_move_state { NF_MOVE_RUNNING, NF_MOVE_DONE, NF_MOVE_ABORTED, NF_MOVE_FAILED };

enum nf_stage_id {
	NF_STAGE_CLEAR, /* an earlier move of an instance lingers: end it first */
	NF_STAGE_BEGIN_DST,
	NF_STAGE_BEGIN_SRC,
	NF_STAGE_EXPORT,
	NF_STAGE_PREPARE_DST,
	NF_STAGE_PREPARE_SRC,
	NF_STAGE_ROUTE,
	NF_STAGE_MARK,
	NF_STAGE_COMMIT,
	NF_STAGE_LINGER,
	NF_STAGE_END,
	NF_STAGE_ABORT,
	NF_STAGE_FINISH,
	NF_STAGE_REVERT,
	NF_STAGE_OVER,
	NF_STAGES
};

struct nf_move_side {
	struct nf_instance *inst;
	bool begun;		      /* BEGIN was sent */
	bool gone;		      /* its helper or its NF is */
	bool nf_gone;		      /* its NF is */
	uint64_t seen;		      /* bit (type - NF_REC_BEGUN) for each acknowledgement */
	uint64_t unfinished;	      /* flows it said so of */
	struct nf_rec_stats stats;    /* the shim's own words */
	struct nf_rec_stats progress; /* the helper's count so far */
};

struct nf_move {
	TAILQ_ENTRY(nf_move) next;
	struct nf_ctrl *c;
	uint64_t id;
	struct nf_move_side side[NF_SIDE_DST + 1]; /* by enum nf_side */
	struct nf_space *space;
	struct nf_move_options opt;
	enum nf_move_state state;
	enum nf_stage_id stage;
	char reason[NF_TEXT_MAX + 128];
	uint8_t token[NF_TOKEN_BYTES];
	uint32_t marks;
	uint8_t mark[NF_MARK_MAX][NF_MARK_SECRET];

	bool intent;   /* logged: no way back but a dead destination */
	bool reported; /* the user has the result */
	bool fence;    /* the destination has to be told that it lost */
	bool hurry;    /* END was sent or is due: somebody waits for the linger's end */
	bool end_sent;
	bool peer_gone; /* the stream between the helpers is */
	bool vague;	/* the reason is only that */
	uint32_t mark_rounds;

	uint64_t entered_us[NF_STAGES]; /* 0: never */
	uint64_t left_us[NF_STAGES];
	uint64_t reported_us;
	uint64_t own_flows; /* of the space, at the destination before */
	uint64_t buffered, buffered_bytes, reserve, dropped, reexports;
	char **unfinished;
	unsigned unfinished_n; /* named; stats may know of more */
	json_t *warnings;      /* array of strings */

	struct nf_timer *deadline, *tick, *marker;
	uint64_t asked_us;
};

/* What nfctl asks for. 0 and *out; or -errno and one sentence in @err: nothing has changed. */
int nf_move_start(struct nf_ctrl *c, const char *src, const char *dst, const char *space,
		  const struct nf_move_options *opt, struct nf_move **out, char *err,
		  size_t errlen);
/* 0, or -EPERM: the route is set (or the move over), with the reason in @err. */
int nf_move_abort(struct nf_move *m, const char *why, char *err, size_t errlen);
struct nf_move *nf_move_find(struct nf_ctrl *c, uint64_t id);
void nf_moves_fini(struct nf_ctrl *c);

/* What helpers say. */
void nf_moves_event(struct nf_instance *i, const struct nf_msg_event *e);
void nf_moves_status(struct nf_instance *i);
void nf_moves_helper_gone(struct nf_instance *i);
void nf_moves_helper_back(struct nf_instance *i);

/* move_json.c; all return new references. */
json_t *nf_move_result(const struct nf_move *m);   /* everything there is to tell */
json_t *nf_move_progress(const struct nf_move *m); /* one line while it runs */
const char *nf_move_state_name(const struct nf_move *m);
double nf_move_ms(const struct nf_move *m); /* since it was accepted, until it was done */

/* ---- between move.c, move_stage.c, move_check.c and move_trouble.c ---- */

#define nf_src(m) ((m)->side[NF_SIDE_SRC].inst)
#define nf_dst(m) ((m)->side[NF_SIDE_DST].inst)

const char *nf_stage_name(enum nf_stage_id id);
void nf_stage_enter(struct nf_move *m, enum nf_stage_id id);
void nf_stage_advance(struct nf_move *m); /* as far as what has been seen allows */
void nf_stage_late(struct nf_move *m);	  /* its deadline has passed */
void nf_stage_moves(struct nf_move *m);	  /* it gets on: a stall begins anew */
/* A helper's count of what went by, and the one before: does the move get on? */
void nf_stage_progress(struct nf_move *m, const struct nf_rec_stats *was,
		       const struct nf_rec_stats *is);

bool nf_move_saw(const struct nf_move *m, enum nf_side side, enum nf_rec_type ack);
void nf_move_order(struct nf_move *m, enum nf_side side, enum nf_rec_type what);
void nf_move_report(struct nf_move *m, enum nf_move_state state); /* once */
void nf_move_reason(struct nf_move *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void nf_move_warn(struct nf_move *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void nf_move_over(struct nf_move *m);  /* frees the instances for other moves */
void nf_move_hurry(struct nf_move *m); /* end the linger now */

/* Something broke at @side (NONE: between them): abort, revert or finish, as DESIGN §6 says. */
void nf_move_trouble(struct nf_move *m, enum nf_side side, const char *why);
/* The stream is broken, and nobody turned out to be dead. */
void nf_move_unsettled(struct nf_move *m);
#define NF_SETTLE_US 300000u /* a broken stream: whose fault it is shows by then */

/* 0, or -errno and the reason: can this move be? Adds warnings to @warnings. */
int nf_move_check(struct nf_ctrl *c, const char *src, const char *dst, const char *text,
		  struct nf_space **space, json_t *warnings, char *err, size_t errlen);

#endif
