/* SPDX-License-Identifier: BSD-2-Clause */
/* A client of a shim's control socket that plays the helper: hello, rings, records. For tests. */
#ifndef NF_TESTS_CLIENT_H
#define NF_TESTS_CLIENT_H

#include "conn.h"
#include "ring.h"

struct client {
	struct nf_conn *conn;
	struct nf_ring *in, *out; /* as the shim sees them */
	int doorbell;
};

/* DIR/NAME.sock, tried again for @ms while nobody listens; NULL with errno. */
struct nf_conn *client_connect(const char *dir, const char *name, int ms);
/* Say hello as @name and wait for the answer, in @m. 0 or -errno. */
int client_hello(struct nf_conn *c, uint32_t version, enum nf_role role, const char *name,
		 struct nf_msg *m, int ms);
/* The rings that came with the answer to the hello on @c->conn. 0 or -errno. */
int client_take_rings(struct client *c);
void client_close(struct client *c);

/* Hand a record to the shim. 0, -EAGAIN if there is no room for ten seconds, -errno. */
int client_push(struct client *c, const struct nf_rec *r, const void *payload);
int client_order(struct client *c, enum nf_rec_type t, uint64_t move);
/* BEGIN_SRC or BEGIN_DST; space_len of @opt is filled in. */
int client_begin(struct client *c, enum nf_rec_type t, uint64_t move, const char *space,
		 const struct nf_rec_begin *opt);

#endif
