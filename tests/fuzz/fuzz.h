/* SPDX-License-Identifier: BSD-2-Clause */
/* What each fuzz target is made of: one function, and the kind of seeds it starts from. */
#ifndef NF_FUZZ_H
#define NF_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* One input; aborts if a promise is broken. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum nf_fuzz_kind {
	NF_FUZZ_MSG,
	NF_FUZZ_STREAM,
	NF_FUZZ_RING,
	NF_FUZZ_SPACE,
	NF_FUZZ_FLOW,
	NF_FUZZ_MARK,
	NF_FUZZ_PRADS,
	NF_FUZZ_SEQHASH,
	NF_FUZZ_HELPER,
};
extern const enum nf_fuzz_kind nf_fuzz_kind; /* of this target */

/* Seed @i of @kind into @buf; its size, 0 if there are no more. */
size_t nf_fuzz_seed(enum nf_fuzz_kind kind, unsigned i, uint8_t *buf, size_t cap);

#define NF_FUZZ_PROMISE(x)                                                                         \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #x);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#endif
