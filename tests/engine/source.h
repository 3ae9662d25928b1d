/* SPDX-License-Identifier: BSD-2-Clause */
/* Steps that sources of three flows share. */
#ifndef NF_TESTS_SOURCE_H
#define NF_TESTS_SOURCE_H

/* It has exported, and reads on up to the MARK that is packet @mark: that was its last. */
void source_goes_to_mark(unsigned mark);
/* The destination has all of it; what comes after @mark is the source's. */
void source_is_done(unsigned mark);

#endif
