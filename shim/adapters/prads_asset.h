/* SPDX-License-Identifier: BSD-2-Clause */
/* One asset: to and from bytes (prads_record.c). Its lists are allocated as PRADS does. */
#ifndef NF_PRADS_ASSET_H
#define NF_PRADS_ASSET_H

#include "prads.h"
#include "prads_blob.h"

void nf_prads_asset_write(const struct nf_prads *p, struct nf_writer *w,
			  const struct prads_asset *a);
/* Fill a zeroed asset but for its address. 0, -EINVAL, -ENOMEM: the caller frees it in any case. */
int nf_prads_asset_read(const struct nf_prads *p, struct nf_reader *r, struct prads_asset *a);

void nf_prads_serv_free(struct prads_node *n);
void nf_prads_os_free(struct prads_node *n);
void nf_prads_asset_free(struct prads_asset *a); /* with its lists; it is in no table */

#endif
