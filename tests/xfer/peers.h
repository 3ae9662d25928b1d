/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands around a real nfxfer in these tests: made-up shims and a made-up
 * controller on real sockets and rings, all in the test's one thread. Nothing
 * happens but within wait_* and step().
 */
#ifndef NF_TEST_PEERS_H
#define NF_TEST_PEERS_H

#include <stdbool.h>
#include <sys/types.h>

#include "conn.h"
#include "ring.h"

#define EVENTS_MAX 4096
#define WAIT_MS	   20000

/* A shim: what it was told is in @got, data through @on_data if set. */
struct shim {
	char name[32];
	int listen_fd, bell;
	struct nf_conn *c;
	struct nf_ring *in, *out;
	struct nf_msg_status status;
	bool frozen;	/* takes nothing from the in ring */
	uint32_t epoch; /* of what it says */
	uint8_t flags, kind;
	unsigned links;	    /* times a helper has linked */
	struct nf_rec *got; /* headers of all records taken */
	size_t ngot, cap;
	uint64_t seen_bytes; /* sum over payloads, to be compared */
	uint64_t bad_payload;
};

/* A helper: the process, and the controller's end of its connection. */
struct helper {
	char name[32];
	pid_t pid;
	struct nf_conn *c;
	char listen[NF_ADDR_MAX];
	struct nf_msg_event ev[EVENTS_MAX];
	size_t nev, seen;
	struct nf_msg_status status;
	unsigned nstatus;
};

struct lab {
	char dir[64];
	int ctrl_fd; /* listening, -1: no controller */
	struct shim s, d;
	struct helper hs, hd;
};

extern struct lab lab;

void lab_up(void);   /* directory, controller, both shims, both helpers, all linked */
void lab_down(void); /* fails the test if a helper ended otherwise than by our SIGTERM */

void shim_open(struct shim *s, const char *name);
void shim_close(struct shim *s); /* as when the NF dies */
/* A second packet thread of @s begins, which reads capture 0 or 1, and the first the other one. It
 * speaks and waits as a shim that has no socket. shim_close() frees it. */
void shim_thread_begins(struct shim *s, struct shim *second, unsigned capture);
void shim_thread_ends(struct shim *s);
/* Push; waits for room while serving the rest. @payload is filled with a pattern from @seed. */
void shim_say(struct shim *s, enum nf_rec_type t, uint64_t move, uint64_t version, uint32_t flow,
	      uint32_t payload);
bool shim_try(struct shim *s, enum nf_rec_type t, uint64_t move, uint64_t version, uint32_t flow,
	      uint32_t payload); /* false: no room */
/* Wait for a record of type @t, not counting the first @from; returns its index. */
size_t shim_wait(struct shim *s, enum nf_rec_type t, size_t from);
size_t shim_count(const struct shim *s, enum nf_rec_type t);

void helper_start(struct helper *h, const char *name);
void helper_kill(struct helper *h, int sig); /* and reap; returns its status */
void helper_wait_link(struct helper *h);     /* HELLO exchanged */
void ctrl_close(void);			     /* the controller dies */
void ctrl_open(void);
void ctrl_send(struct helper *h, const struct nf_msg *m);
void order(struct helper *h, enum nf_rec_type what, uint64_t move);
void begin(struct helper *h, enum nf_side side, uint64_t move, struct nf_msg_begin b);
/* Next event of that kind (PROGRESS and others are passed over). */
struct nf_msg_event *wait_event(struct helper *h, enum nf_event what, enum nf_rec_type rec);
bool has_event(const struct helper *h, enum nf_event what, enum nf_rec_type rec);

void step(int ms); /* serve everybody once, wait at most @ms */
void run(int ms);  /* serve for that long */

/* A raw connection to a helper's listener. */
struct nf_conn *dial(const char *addr);
void hello_peer(struct nf_conn *c, uint64_t move, const uint8_t *token);
/* Of an NF with packet threads beside the first. */
void hello_threads(struct nf_conn *c, uint64_t move, const uint8_t *token, uint32_t others);

#endif
