/* SPDX-License-Identifier: BSD-2-Clause */
/* What source and destination share: the move's flows and records, its end. */
#include "move.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "evlog.h"
#include "in_socket.h"
#include "inject.h"
#include "log.h"
#include "provider.h"
#include "signals.h"

__thread struct nf_move nf_move;

uint64_t nf_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static __thread uint8_t *scratch;

uint8_t *nf_scratch(void)
{
	if (!scratch)
		scratch = malloc(NF_REC_MAX);
	return scratch;
}

void nf_scratch_free(void)
{
	free(scratch);
	scratch = NULL;
}

struct nf_mflow *nf_move_find(const struct nfshim_flow *key)
{
	struct nf_mflow *f;

	HASH_FIND(hh, nf_move.flows, key, sizeof(*key), f);
	return f;
}

struct nf_mflow *nf_move_add(const struct nfshim_flow *key, enum nf_flow_state st)
{
	struct nf_mflow *f = calloc(1, sizeof(*f));

	if (!f) {
		nf_engine_fail("out of memory");
		return NULL;
	}
	f->key = *key;
	f->state = st;
	HASH_ADD(hh, nf_move.flows, key, sizeof(f->key), f);
	return f;
}

struct nf_mrecord *nf_move_record(const struct nfshim_flow *key)
{
	struct nf_mrecord *r;

	HASH_FIND(hh, nf_move.records, key, sizeof(*key), r);
	if (r)
		return r;
	r = calloc(1, sizeof(*r));
	if (!r) {
		nf_engine_fail("out of memory");
		return NULL;
	}
	r->key = *key;
	HASH_ADD(hh, nf_move.records, key, sizeof(r->key), r);
	return r;
}

unsigned nf_move_records_of(const struct nfshim_flow *flow, struct nfshim_flow *keys)
{
	const struct nfshim_hooks *k = &nf_provider.hooks;
	unsigned n;

	if (!k->records_of)
		return 0;
	n = k->records_of(nf_provider.nf, flow, keys, NF_RECORDS_MAX);
	return n < NF_RECORDS_MAX ? n : NF_RECORDS_MAX;
}

static void adapt_key(const struct nf_packet_view *p, int linktype, struct nfshim_flow *key)
{
	struct nfshim_packet pkt = {p->data, p->h->caplen, p->h->len, p->sec, p->nsec, linktype};

	if (nf_provider.hooks.key_of)
		nf_provider.hooks.key_of(nf_provider.nf, &pkt, key);
}

void nf_move_flow_key(const struct nf_packet_view *p, int linktype, struct nfshim_flow *key)
{
	nf_flow_parse(p->data, p->h->caplen, nf_move.frags, key, NULL);
	adapt_key(p, linktype, key);
}

bool nf_move_key(const struct nf_packet_view *p, int linktype, struct nfshim_flow *key)
{
	nf_flow_parse(p->data, p->h->caplen, nf_move.frags, key, NULL);
	if (!nf_space_has_flow(nf_move.space, key))
		return false;
	adapt_key(p, linktype, key);
	return true;
}

void nf_move_fail(int err, const char *fmt, ...)
{
	char text[NF_TEXT_MAX];
	va_list ap;
	int n;

	if (nf_move.failed)
		return;
	nf_move.failed = true;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof(text))
		n = (int)sizeof(text) - 1;
	nf_warn("move %llu: %s", (unsigned long long)nf_move.id, text);
	nf_report(NF_REC_FAILED, (uint64_t)-err, NULL, 0, text, (uint32_t)n);
}

void nf_move_log(enum nf_ev what, const struct nf_mflow *f)
{
	if (nf_evlog_on)
		nf_evlog_put(what, 0, &f->key, f->version, f->epoch, false);
}

void nf_move_forget(void)
{
	struct nf_mflow *f, *ftmp;
	struct nf_mrecord *r, *rtmp;

	HASH_ITER (hh, nf_move.flows, f, ftmp) {
		HASH_DEL(nf_move.flows, f);
		free(f);
	}
	HASH_ITER (hh, nf_move.records, r, rtmp) {
		HASH_DEL(nf_move.records, r);
		free(r);
	}
	if (nf_move.side == NF_SIDE_SRC)
		nf_mark_keep();
	if (nf_move.opt.inject == NF_INJECT_VETH)
		nf_inject_end();
	if (!nf_move.opt.others)
		nf_socket_mark_passes(false);
	nf_hold_clear(&nf_move.hold);
	nf_space_free(nf_move.space);
	nf_frags_free(nf_move.frags);
	memset(&nf_move, 0, sizeof(nf_move));
	STAILQ_INIT(&nf_move.hold.q);
	nf_signals_disarm();
}

void nf_move_over(void)
{
	nf_report_stats(NF_REC_OVER);
	nf_move_forget();
}
