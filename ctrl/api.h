/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nfctl's side of the controller: JSON lines over a unix socket.
 *
 * Request: {"cmd":"move",…}. Answer: lines with "event" accepted or progress,
 * and exactly one last line {"event":"result","ok":…,"code":…,…}.
 */
#ifndef NF_API_H
#define NF_API_H

#include <jansson.h>

#include "instance.h"

struct nf_move;

void nf_api_listen(struct nf_ctrl *c); /* serves c->api_fd */
void nf_api_fini(struct nf_ctrl *c);

/* For clients that wait for a move. */
void nf_api_move_progress(const struct nf_move *m);
void nf_api_move_result(const struct nf_move *m);
void nf_api_move_gone(const struct nf_move *m);

/* For clients that wait for a list of flows. */
void nf_api_list_event(struct nf_instance *i, const struct nf_msg_event *e);
/* For clients that wait for fresh counters: an instance answered, or is gone. */
void nf_api_stats_heard(struct nf_ctrl *c);
void nf_api_helper_gone(struct nf_instance *i);

/* ---- between api.c and api_cmd.c ---- */

struct nf_client {
	LIST_ENTRY(nf_client) next;
	struct nf_ctrl *c;
	int fd;
	char *in, *out;
	size_t in_len, in_cap, out_len, out_at;
	bool broken, skips;	     /* the rest of a line that is too long */
	const struct nf_move *waits; /* for its result */
	struct nf_instance *lists;   /* whose flows are coming */
	uint64_t list_id;
	json_t *flows;
	struct nf_timer *timer;	      /* of the list, or of the counters */
	uint64_t stats;		      /* 0, or the question whose answers are awaited … */
	struct nf_instance *stats_of; /* … of this instance, NULL: of all */
};

/* ---- api_stats.c ---- */
void nf_api_stats(struct nf_client *cl, const json_t *req);
void nf_api_stats_send(struct nf_client *cl); /* what is known */

void nf_api_send(struct nf_client *cl, const char *event, json_t *o); /* takes @o over */
void nf_api_ok(struct nf_client *cl, json_t *o);		      /* takes @o over */
void nf_api_error(struct nf_client *cl, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void nf_api_request(struct nf_client *cl, const json_t *req);

#endif
