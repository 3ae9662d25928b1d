/* SPDX-License-Identifier: BSD-2-Clause */
/* Sequences of packet ids, and what one lacks of another. */
#ifndef NF_EVCHECK_SEQ_H
#define NF_EVCHECK_SEQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seq {
	uint64_t *id;
	uint32_t n, cap;
};

struct seq_diff {
	uint32_t missing, extra; /* as multisets */
	uint32_t first;		 /* position of the first difference, from 0 */
	bool one_gap;		 /* what is missing is one run of packets; nothing else is wrong */
};

void seq_add(struct seq *s, uint64_t id);
void seq_copy(struct seq *to, const struct seq *from);
void seq_clear(struct seq *s);
bool seq_equal(const struct seq *a, const struct seq *b);
struct seq_diff seq_compare(const struct seq *got, const struct seq *want);

#endif
