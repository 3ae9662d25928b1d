/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emit list           names of the functions
 * emit plain DIR      calls before and after only: what is to be expected
 * emit window DIR     all calls, those in between in the window
 * emit control DIR    all calls, no window: each function does put something out
 */
#include "emit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hooks.h"

#define ERRNO 1234 /* a dropped call leaves it alone */

enum mode { PLAIN, WINDOW, CONTROL };

static int complaints = STDERR_FILENO; /* a family may turn stderr into a result */

void emit_die(const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	if (nfshim_test_window)
		nfshim_test_window(0);
	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	line[n++] = '\n';
	if (write(complaints, line, (size_t)n) < 0)
		_exit(3);
	_exit(1);
}

static long call(const struct emit_op *op, const char *tag)
{
	char text[96];
	long rc;

	snprintf(text, sizeof(text), "%s %s\n", tag, op->name);
	errno = ERRNO;
	rc = op->run(text);
	return rc;
}

static void in_window(const struct emit_op *op, enum mode mode, long want)
{
	int err;
	long rc;

	if (mode == WINDOW)
		nfshim_test_window(1);
	rc = call(op, "inside");
	err = errno;
	if (mode == WINDOW)
		nfshim_test_window(0);
	emit_settle();
	if (rc != want)
		emit_die("%s: returned %ld in the window, %ld before it", op->name, rc, want);
	if (mode == WINDOW && err != ERRNO)
		emit_die("%s: changed errno to %d (%s)", op->name, err, strerror(err));
}

static void around(const struct emit_op *op, enum mode mode)
{
	long before = call(op, "before"), after;

	emit_settle();
	if (mode != PLAIN)
		in_window(op, mode, before);
	after = call(op, "after.");
	emit_settle();
	if (before != after)
		emit_die("%s: returned %ld after the window, %ld before it", op->name, after,
			 before);
}

static enum mode mode_of(const char *name)
{
	if (!strcmp(name, "window") && !nfshim_test_window)
		emit_die("the library of the tests is not preloaded");
	return !strcmp(name, "window") ? WINDOW : !strcmp(name, "control") ? CONTROL : PLAIN;
}

int main(int argc, char **argv)
{
	enum mode mode;

	if (argc == 2 && !strcmp(argv[1], "list")) {
		for (const struct emit_op *op = emit_ops; op->name; op++)
			puts(op->name);
		return 0;
	}
	if (argc != 3)
		emit_die("usage: %s list | (plain|window|control) DIR", argv[0]);
	mode = mode_of(argv[1]);
	complaints = dup(STDERR_FILENO);
	if (complaints < 0 || chdir(argv[2]) < 0)
		emit_die("%s: %s", argv[2], strerror(errno));
	for (unsigned v = 0; v < emit_variants; v++) {
		emit_setup(v);
		for (const struct emit_op *op = emit_ops; op->name; op++)
			around(op, mode);
		emit_finish();
	}
	return 0;
}
