/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers LIST: the NF's flows of a space, in slices; needs no move. */
#ifndef NF_LIST_H
#define NF_LIST_H

#include <stdbool.h>

#include "rec.h"

void nf_list_begin(const struct nf_rec *r, const uint8_t *payload);
bool nf_list_step(void); /* one slice; true if there is more to do */
void nf_list_drop(void); /* the helper that asked is gone */

#endif
