/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the stage use of each other. */
#ifndef NF_TESTS_STAGE_IN_H
#define NF_TESTS_STAGE_IN_H

#include "stage.h"

#define PATIENCE_MS 20000
#define TRACE_MAX   1000
#define GOT_MAX	    4096

extern char stage_dir[80];
extern const uint8_t stage_secret[NF_MARK_SECRET];

long now_ms(void);
const char *stage_path(const char *file); /* in stage_dir; valid for the next three calls */

void trace_write(void); /* to the file "trace" */
bool trace_is_mark(unsigned packet);

/* A step of waiting until @end for what must come. When the NF has ended there is one more look. */
void nf_step(long end, const char *what, unsigned n);

#endif
