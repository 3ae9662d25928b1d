/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client of two rendezvous sockets that plays helpers and controller for a
 * move between NFs that read files: no nfxfer, no switch. The MARK frame is in
 * the source's file (tests/tools/split_at).
 *
 *   roundtrip DIR SRC DST SPACE SLICE_FLOWS MOVE SECRET_HEX GO_SRC GO_END GO_DST [drop-state]
 *
 * GO_* are pause files of the shims (common/pause.h); removing them lets the
 * source start into the move, meet its MARK, and the destination start.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "flow.h"

#define STALL_S 10

struct side {
	const char *name;
	struct client c;
};

static bool drop_state;
static struct nf_rec_stats over_stats[2];
static bool seen[2][256]; /* record types that came out */

static void die(const char *what, const char *why)
{
	fprintf(stderr, "roundtrip: %s: %s\n", what, why);
	exit(1);
}

static void dial(struct side *s, const char *dir)
{
	struct nf_msg m;
	int rc;

	s->c.conn = client_connect(dir, s->name, 5000);
	if (!s->c.conn)
		die(s->name, strerror(errno));
	rc = client_hello(s->c.conn, NF_PROTO_VERSION, NF_ROLE_HELPER, s->name, &m, 5000);
	if (rc || m.type != NF_MSG_HELLO)
		die(s->name, rc ? strerror(-rc) : m.type == NF_MSG_REFUSED ? m.text : "no HELLO");
	if (client_take_rings(&s->c))
		die(s->name, "no rings");
}

static void took(const struct side *s, int err)
{
	if (err)
		die(s->name, "does not take records");
}

static void order(struct side *s, enum nf_rec_type t, uint64_t move)
{
	took(s, client_order(&s->c, t, move));
}

static void begin(struct side *s, enum nf_rec_type t, uint64_t move, const char *space,
		  unsigned slice, const char *hex)
{
	struct nf_rec_begin b = {.slice_us = 1000000,
				 .slice_flows = slice,
				 .hold_packets = 1000000,
				 .hold_bytes = 1u << 30,
				 .marks = 1};
	unsigned byte;

	for (int i = 0; i < NF_MARK_SECRET && sscanf(hex + 2 * i, "%2x", &byte) == 1; i++)
		b.mark[0][i] = (uint8_t)byte;
	took(s, client_begin(&s->c, t, move, space, &b));
}

/* Pass on what the shims say until @want comes out of side @from. */
static void relay_until(struct side *sd, int from, enum nf_rec_type want)
{
	char text[NF_FLOW_TEXT];
	time_t start = time(NULL);

	while (!seen[from][want] && time(NULL) - start < STALL_S) {
		for (int i = 0; i < 2; i++) {
			const uint8_t *payload;
			struct nf_rec hdr;
			int err = 0;
			const struct nf_rec *r = nf_ring_peek(sd[i].c.out, &hdr, &payload, &err);

			if (err)
				die(sd[i].name, "malformed record");
			if (!r)
				continue;
			if (r->type == NF_REC_FAILED) {
				fprintf(stderr, "roundtrip: %s: %.*s\n", sd[i].name,
					(int)nf_rec_payload(r), (const char *)payload);
				exit(3);
			}
			if (r->type == NF_REC_OVER || r->type == NF_REC_COMMITTED)
				memcpy(&over_stats[i], payload, sizeof(over_stats[i]));
			if (r->type >= NF_REC_STATE && r->type <= NF_REC_DONE &&
			    !(drop_state && r->type == NF_REC_STATE))
				took(&sd[1 - i], client_push(&sd[1 - i].c, r, payload));
			if (getenv("ROUNDTRIP_DEBUG"))
				fprintf(stderr, "%s: %s %s v %llu\n", sd[i].name,
					nf_rec_name(r->type),
					nf_flow_format(&r->flow, text, sizeof(text)),
					(unsigned long long)r->version);
			seen[i][hdr.type] = true;
			nf_ring_next(sd[i].c.out);
		}
		usleep(20);
	}
	if (!seen[from][want])
		die(sd[from].name, "did not answer in time");
}

/* The shim has come to its pause point. */
static void wait_hit(const char *pause)
{
	char hit[512];

	snprintf(hit, sizeof(hit), "%s.hit", pause);
	for (int i = 0; access(hit, F_OK) < 0; i++)
		if (i > 10000 || usleep(1000))
			die(hit, "the NF did not come so far");
}

int main(int argc, char **argv)
{
	struct side sd[2] = {0};
	uint64_t move;

	if (argc < 11) {
		fprintf(stderr,
			"usage: roundtrip DIR SRC DST SPACE SLICE MOVE SECRET GO_SRC GO_END "
			"GO_DST [drop-state]\n");
		return 2;
	}
	drop_state = argc > 11;
	move = strtoull(argv[6], NULL, 10);
	sd[0].name = argv[2];
	sd[1].name = argv[3];
	dial(&sd[0], argv[1]);
	dial(&sd[1], argv[1]);
	wait_hit(argv[8]);
	wait_hit(argv[10]);
	begin(&sd[1], NF_REC_BEGIN_DST, move, argv[4], 0, argv[7]);
	relay_until(sd, 1, NF_REC_BEGUN);
	begin(&sd[0], NF_REC_BEGIN_SRC, move, argv[4], (unsigned)atoi(argv[5]), argv[7]);
	relay_until(sd, 0, NF_REC_BEGUN);
	if (getenv("ROUNDTRIP_PAUSED")) /* export all of it before the source goes on */
		relay_until(sd, 0, NF_REC_EXPORTED);
	unlink(argv[8]);
	relay_until(sd, 0, NF_REC_EXPORTED);
	order(&sd[1], NF_REC_PREPARE, move);
	relay_until(sd, 1, NF_REC_PREPARED);
	order(&sd[0], NF_REC_PREPARE, move);
	relay_until(sd, 1, NF_REC_READY);
	unlink(argv[10]);
	unlink(argv[9]);
	relay_until(sd, 0, NF_REC_MARKED);
	relay_until(sd, 1, NF_REC_COMMITTED);
	relay_until(sd, 0, NF_REC_OVER);
	printf("flows %llu/%llu records %llu/%llu shared %llu bytes %llu clones %llu/%llu "
	       "held %llu slices %llu slice_max_us %llu\n",
	       (unsigned long long)over_stats[0].flows, (unsigned long long)over_stats[1].flows,
	       (unsigned long long)over_stats[0].records, (unsigned long long)over_stats[1].records,
	       (unsigned long long)over_stats[0].shared,
	       (unsigned long long)over_stats[0].state_bytes,
	       (unsigned long long)over_stats[0].clones, (unsigned long long)over_stats[1].clones,
	       (unsigned long long)over_stats[1].held, (unsigned long long)over_stats[0].slices,
	       (unsigned long long)over_stats[0].slice_max_ns / 1000);
	return 0;
}
