/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pause points for fault tests; absent from release builds (NFSHIM_PAUSE off).
 *
 * With $NFSHIM_PAUSE_DIR set, a process that reaches nf_pause("ready") as
 * "xfer.ids2" and finds the file DIR/xfer.ids2.ready creates
 * DIR/xfer.ids2.ready.hit and waits until the first file is removed (or for 60 s).
 */
#ifndef NF_PAUSE_H
#define NF_PAUSE_H

#include <stdbool.h>

#ifdef NFSHIM_PAUSE
void nf_pause_init(const char *who); /* "shim.ids1", "xfer.ids1", "ctrl"; copied */
void nf_pause(const char *point);
/* The same without waiting: is the point still to be waited at? Marks the hit. */
bool nf_pause_armed(const char *point);
#else
static inline void nf_pause_init(const char *who)
{
	(void)who;
}
static inline void nf_pause(const char *point)
{
	(void)point;
}
#endif

#endif
