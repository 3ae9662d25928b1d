/* SPDX-License-Identifier: BSD-2-Clause */
/* The source's records at the destination, applied in the order of the stream. */
#include <errno.h>
#include <string.h>

#include "evlog.h"
#include "flow.h"
#include "in_pcap.h"
#include "inject.h"
#include "move_dst.h"
#include "pause.h"
#include "provider.h"

static __thread char text[NF_FLOW_TEXT];

static const char *name_of(const struct nfshim_flow *f)
{
	return nf_flow_format(f, text, sizeof(text));
}

static struct nf_mrecord *note_record(const struct nfshim_flow *key)
{
	struct nf_mrecord *r;

	HASH_FIND(hh, nf_move.records, key, sizeof(*key), r);
	if (r)
		return r;
	r = nf_move_record(key);
	if (r)
		r->was_here = nf_provider.hooks.has(nf_provider.nf, NFSHIM_MULTI_FLOW, key);
	return r;
}

/* The entry of a flow that the source speaks of; a flow of ours aborts the move. */
static struct nf_mflow *moving_flow(const struct nfshim_flow *key)
{
	struct nfshim_flow rec[NF_RECORDS_MAX];
	struct nf_mflow *f = nf_move_find(key);
	unsigned n;

	if (!f && nf_provider.hooks.has(nf_provider.nf, NFSHIM_PER_FLOW, key))
		f = nf_move_add(key, NF_FLOW_OWN);
	if (f && f->state == NF_FLOW_OWN) {
		nf_move_fail(-EEXIST, "the destination already has a live flow %s of its own",
			     name_of(key));
		return NULL;
	}
	if (f)
		return f;
	f = nf_move_add(key, NF_FLOW_SYNC);
	if (!f)
		return NULL;
	nf_move.waiting++;
	n = nf_move_records_of(key, rec);
	for (unsigned i = 0; i < n; i++)
		note_record(&rec[i]);
	return f;
}

static void on_state_shared(const struct nf_rec *r, const uint8_t *payload)
{
	int err;

	if (!note_record(&r->flow))
		return;
	err = nf_provider.hooks.put(nf_provider.nf, NFSHIM_MULTI_FLOW, &r->flow, payload,
				    nf_rec_payload(r));
	if (err) {
		nf_move_fail(err, "%s could not import %s: %s", nf_provider.hooks.name,
			     name_of(&r->flow), strerror(-err));
		return;
	}
	nf_move.stats.records++;
	nf_move.stats.state_bytes += nf_rec_payload(r);
}

static void on_state(const struct nf_rec *r, const uint8_t *payload)
{
	struct nf_mflow *f = moving_flow(&r->flow);
	int err = 0;

	if (!f)
		return;
	if (f->state != NF_FLOW_SYNC || nf_move.phase >= NF_PHASE_READY) {
		nf_move_fail(-EPROTO, "the source sent state of %s when it was too late for it",
			     name_of(&r->flow));
		return;
	}
	if (r->epoch < f->epoch) {
		nf_move.stats.discarded++;
		return;
	}
	if (r->flags & NF_REC_GONE)
		nf_provider.hooks.del(nf_provider.nf, NFSHIM_PER_FLOW, &r->flow);
	else
		err = nf_provider.hooks.put(nf_provider.nf, NFSHIM_PER_FLOW, &r->flow, payload,
					    nf_rec_payload(r));
	if (err) {
		nf_move_fail(err, "%s could not import %s: %s", nf_provider.hooks.name,
			     name_of(&r->flow), strerror(-err));
		return;
	}
	f->epoch = r->epoch;
	f->version = r->version;
	f->imported = true;
	nf_move.stats.flows += !r->epoch;
	nf_move.stats.state_bytes += nf_rec_payload(r);
	nf_move_log(NF_EV_IMPORT, f);
}

/* The NF must not see memory that the helper can change under it. */
static const struct pcap_pkthdr *packet_of(const struct nf_rec *r, const uint8_t *payload,
					   const struct nf_sink *s)
{
	static __thread struct pcap_pkthdr h;
	uint32_t n = nf_rec_payload(r);

	if (s->snaplen > 0 && n > (uint32_t)s->snaplen)
		n = (uint32_t)s->snaplen;
	memcpy(nf_scratch(), payload, n);
	h.ts.tv_sec = r->sec;
	h.ts.tv_usec = s->nanosec ? r->nsec : r->nsec / 1000;
	h.caplen = n;
	h.len = r->wirelen < n ? n : r->wirelen;
	return &h;
}

/* Output of a packet that is another flow's must not be dropped, whatever the source says. Of a
 * fragment whose first one was not cloned only the ports are unknown. */
static bool is_of(const struct nf_packet_view *p, int linktype, const struct nfshim_flow *f)
{
	struct nfshim_flow key, bare = *f;

	nf_move_flow_key(p, linktype, &key);
	bare.port[0] = bare.port[1] = 0;
	nf_flow_canon(&bare);
	return !memcmp(&key, f, sizeof(key)) || !memcmp(&key, &bare, sizeof(key));
}

/* With several packet threads it matters which of them gets a packet. */
static bool takes_alike(const struct nf_rec *r, const struct pcap_pkthdr *h, const u_char *packet,
			const struct nf_sink *s)
{
	if (!nf_move.opt.others || nf_capture_takes(s->capture, h, packet))
		return true;
	nf_move_fail(-EINVAL,
		     "the source got a packet from the %u. capture that it opened; the filter of "
		     "that capture here does not let it in: start both in the same way",
		     r->capture + 1u);
	return false;
}

static void on_clone(const struct nf_rec *r, const uint8_t *payload, struct nf_sink *s)
{
	const struct pcap_pkthdr *h = packet_of(r, payload, s);
	const u_char *packet = nf_scratch();
	struct nf_packet_view p = {
		.h = h, .data = packet, .capture = s->capture, .sec = r->sec, .nsec = r->nsec};
	struct nf_mflow *f;

	if (!is_of(&p, s->linktype, &r->flow)) {
		nf_move_fail(-EPROTO, "the source sent a packet of another flow as one of %s",
			     name_of(&r->flow));
		return;
	}
	if (!takes_alike(r, h, packet, s))
		return;
	f = moving_flow(&r->flow);
	if (!f)
		return;
	if (f->state == NF_FLOW_COMMITTED || r->epoch != f->epoch || r->version <= f->version) {
		nf_move.stats.discarded++;
		return;
	}
	if (r->version != f->version + 1) {
		nf_move_fail(-EPROTO, "updates of %s are missing", name_of(&r->flow));
		return;
	}
	if (!f->version && !f->imported)
		nf_move.stats.new_flows++;
	f->version = r->version;
	if (nf_evlog_on)
		nf_dst_log(NF_EV_REPROCESSED, nf_evlog_id(payload, nf_rec_payload(r), h->len),
			   payload, nf_rec_payload(r), f);
	nf_move.stats.clones++;
	nf_move.stats.clone_bytes += nf_rec_payload(r);
	nf_give(s, h, packet, true);
}

void nf_dst_commit(struct nf_mflow *f)
{
	if (f->state != NF_FLOW_SYNC && f->state != NF_FLOW_DOWNGRADED)
		return;
	f->state = NF_FLOW_COMMITTED;
	nf_move.waiting--;
	nf_move_log(NF_EV_COMMIT, f);
	nf_pause("done");
	nf_report(NF_REC_DONE, f->version, &f->key, f->epoch, NULL, 0);
}

static void on_fin(const struct nf_rec *r)
{
	struct nf_mflow *f = moving_flow(&r->flow);

	if (!f || f->state == NF_FLOW_COMMITTED)
		return;
	if (r->epoch == f->epoch && r->version == f->version)
		nf_dst_commit(f);
	else
		nf_move_fail(-EPROTO, "updates of %s are missing at the end", name_of(&r->flow));
}

/* Downgraded flows that the source never spoke of began here: no FIN comes for them. */
static void on_finall(void)
{
	struct nf_mflow *f, *tmp;

	nf_move.finall = true;
	HASH_ITER (hh, nf_move.flows, f, tmp) {
		if (f->state != NF_FLOW_DOWNGRADED)
			continue;
		f->state = NF_FLOW_COMMITTED;
		nf_move.waiting--;
		nf_move_log(NF_EV_COMMIT, f);
	}
}

static void on_fwd(const struct nf_rec *r, const uint8_t *payload, struct nf_sink *s)
{
	const struct pcap_pkthdr *h = packet_of(r, payload, s);
	const u_char *packet = nf_scratch();
	struct nf_mflow *f = nf_move_find(&r->flow);
	struct nf_packet_view p = {
		.h = h, .data = packet, .capture = s->capture, .sec = r->sec, .nsec = r->nsec};

	nf_move.stats.fwd++;
	if (nf_evlog_on)
		p.id = nf_evlog_id(payload, nf_rec_payload(r), h->len);
	if (!nf_dst_may_pass(f) || !nf_hold_empty(&nf_move.hold)) {
		if (!nf_dst_hold(&p, &r->flow, s))
			return;
		if (nf_sink_full(s)) { /* by what was released meanwhile */
			nf_dst_keep(&p);
			return;
		}
	}
	if (nf_evlog_on)
		nf_dst_log(NF_EV_FORWARDED, p.id, packet, h->caplen, f);
	nf_give(s, h, packet, false);
}

/* A packet is given in an input call of its capture. */
static bool has_capture(const struct nf_rec *r, const struct nf_sink *s)
{
	if (s && s->capture == nf_capture_at(r->capture))
		return true;
	nf_move_fail(-ENODEV,
		     "the source got a packet from the %u. capture that it opened; this NF has no "
		     "such capture: start both in the same way",
		     r->capture + 1u);
	return false;
}

void nf_dst_data(const struct nf_rec *r, const uint8_t *payload, struct nf_sink *s)
{
	switch (r->type) {
	case NF_REC_STATE:
		if (r->scope == NFSHIM_PER_FLOW)
			on_state(r, payload);
		else
			on_state_shared(r, payload);
		break;
	case NF_REC_CLONE:
		if (!has_capture(r, s))
			break;
		if (r->flags & NF_REC_WIRE)
			nf_inject_clone(r, payload, s);
		else
			on_clone(r, payload, s);
		break;
	case NF_REC_BARRIER:
		nf_move.barrier = true;
		break;
	case NF_REC_FIN:
		on_fin(r);
		break;
	case NF_REC_FINALL:
		nf_pause("finall");
		on_finall();
		break;
	case NF_REC_FWD:
		if (has_capture(r, s))
			on_fwd(r, payload, s);
		break;
	}
}
