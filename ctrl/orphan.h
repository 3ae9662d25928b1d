/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves that an earlier nfctrld left behind, or that ended here while a helper
 * was away: whoever still takes part in one is brought to its end.
 */
#ifndef NF_ORPHAN_H
#define NF_ORPHAN_H

#include "ctrl.h"

int nf_orphans_init(struct nf_ctrl *c);	 /* 0 or -errno; the loop frees it */
void nf_orphans_look(struct nf_ctrl *c); /* a status has come */

#endif
