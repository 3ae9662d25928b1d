/* SPDX-License-Identifier: BSD-2-Clause */
/* What the controller is told about the move. */
#ifndef NF_XFER_EVENT_H
#define NF_XFER_EVENT_H

#include "msg.h"

struct nf_xfer;

/* A report of the shim; @payload has nf_rec_payload(r) bytes. */
void nf_event_record(struct nf_xfer *x, const struct nf_rec *r, const uint8_t *payload);
void nf_event_fill(const struct nf_rec *r, const uint8_t *payload, struct nf_msg_event *e);
void nf_event_send(struct nf_xfer *x, const struct nf_msg_event *e);
void nf_event_unfinished(struct nf_xfer *x, const struct nf_rec *r);
void nf_event_trouble(struct nf_xfer *x, uint64_t move, enum nf_event what, const char *text);
void nf_event_failed(struct nf_xfer *x, uint64_t move, const char *text);
void nf_event_progress(struct nf_xfer *x);
void nf_event_listed(struct nf_xfer *x, const struct nf_rec *r);

#endif
