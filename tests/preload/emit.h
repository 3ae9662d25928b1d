/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program of a family of output functions: each function is called before,
 * in and after the window with texts of one length, and the text says where.
 */
#ifndef NF_EMIT_H
#define NF_EMIT_H

#include <stdbool.h>

/* Put out "TAG NAME" in the way of this function; returns what the function returned. */
struct emit_op {
	const char *name;
	long (*run)(const char *text);
};

/* What a family's file provides. */
extern const struct emit_op emit_ops[]; /* ends with a NULL name */
extern const unsigned emit_variants;	/* ways to set up, each runs all functions */
void emit_setup(unsigned variant);	/* in the directory for results */
void emit_settle(void);			/* after each call */
void emit_finish(void);			/* end of a variant */

/* Say what failed and end. */
void emit_die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
