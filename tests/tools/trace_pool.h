/* SPDX-License-Identifier: BSD-2-Clause */
/* Pools of addresses: a copy of a host gets a fresh address out of the pool of the original. */
#ifndef TRACE_POOL_H
#define TRACE_POOL_H

#include <stdbool.h>
#include <stdint.h>

struct trace_addr {
	uint8_t family; /* 4 or 6 */
	uint8_t b[16];	/* network order; IPv4 in the first four, zeros behind */
};

struct trace_pools;

struct trace_pools *trace_pools_new(void);
void trace_pools_free(struct trace_pools *p);			/* accepts NULL */
int trace_pools_add(struct trace_pools *p, const char *prefix); /* -EINVAL */

/* Index of the first pool that has @a, -1 if none has. */
int trace_pools_find(const struct trace_pools *p, const struct trace_addr *a);

/* @a is in use and is not given out (until the pool wraps). */
int trace_pools_take(struct trace_pools *p, const struct trace_addr *a);

/*
 * The next free address of @pool. When the pool is used up it starts again from its first address;
 * *@again counts that. 0, -ENOMEM.
 */
int trace_pools_next(struct trace_pools *p, int pool, struct trace_addr *out, unsigned long *again);

#endif
