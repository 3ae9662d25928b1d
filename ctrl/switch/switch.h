/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the controller wants of a switch (DESIGN §9): send the packets of a flow
 * space to the port of an instance, say when no packet takes the old way any
 * more, and send the MARK behind the last one.
 */
#ifndef NF_SWITCH_H
#define NF_SWITCH_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "msg.h"
#include "routes.h"
#include "space.h"

#define NF_SWITCH_INPUTS 16
#define NF_SWITCH_PORTS	 64

struct nf_switch; /* a driver's own */

struct nf_switch_port {
	char name[NF_NAME_MAX]; /* of the instance */
	char dev[IFNAMSIZ];
};

struct nf_switch_conf {
	char driver[16];
	char netns[256]; /* name under /run/netns or a path; "": own */
	char table[32];
	char input[NF_SWITCH_INPUTS][IFNAMSIZ];
	unsigned inputs;
	char fallback[NF_NAME_MAX]; /* instance that gets what no route names */
	char reference[IFNAMSIZ];   /* gets a copy of everything; "": none */
	int cpu[NF_MARK_MAX];	    /* that serve the path's devices; none: all */
	unsigned cpus;
	struct nf_switch_port port[NF_SWITCH_PORTS];
	unsigned ports;
};

/* Port of @instance, NULL if the switch has none. */
const struct nf_switch_port *nf_switch_port(const struct nf_switch_conf *c, const char *instance);

/* @what: an instance's name, "reference" or "input". */
typedef void (*nf_switch_count_cb)(void *arg, const char *what, uint64_t packets, uint64_t bytes);

#define NF_SWITCH_ERR 512 /* room for a sentence */

/* All return 0 or -errno; those with @err write one sentence there on failure. */
struct nf_switch_ops {
	const char *name;

	/* @conf is borrowed. Rules of an earlier run stay, with their routes. */
	int (*attach)(const struct nf_switch_conf *conf, struct nf_switch **out, char *err);

	/* Can it match @s? *rules: how many tests each packet then meets, roughly. */
	int (*can_match)(struct nf_switch *sw, const struct nf_space *s, unsigned *rules,
			 char *err);

	/* In one transaction, so that each packet meets the old routes or the new ones. A
	 * generation not above the last one is ignored, successfully. Copies @s. */
	int (*set_route)(struct nf_switch *sw, uint64_t gen, const struct nf_space *s,
			 const char *instance, char *err);

	/* Returns when every packet that met the old routes has left the switch's ports. */
	int (*grace)(struct nf_switch *sw, char *err);

	/* Queues that a MARK has to follow; queue numbers are below it. */
	unsigned (*queues)(const struct nf_switch *sw);
	/* Send @frame out of the port of @instance, behind the packets of @queue. */
	int (*mark)(struct nf_switch *sw, const char *instance, unsigned queue,
		    const uint8_t *frame, size_t len);

	/* What the switch itself says its routes are; the caller clears @out. */
	int (*read_back)(struct nf_switch *sw, struct nf_routes *out, char *err);
	int (*counters)(struct nf_switch *sw, nf_switch_count_cb cb, void *arg, char *err);

	int (*detach)(struct nf_switch *sw, char *err); /* takes the rules away */
	void (*free)(struct nf_switch *sw);		/* the rules stay; accepts NULL */
};

extern const struct nf_switch_ops nf_switch_nft;

/* The drivers that the program was built with; NULL if @name is none of them. */
const struct nf_switch_ops *nf_switch_find(const char *name);

#endif
