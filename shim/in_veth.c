/* SPDX-License-Identifier: BSD-2-Clause */
#include "in_veth.h"

#include <stdlib.h>

#include "inject.h"
#include "mark_filter.h"
#include "real.h"
#include "tag.h"

#define SNAPLEN_MAX 262144 /* libpcap's */

bool nf_veth;

void nf_veth_init(void)
{
	nf_veth = getenv("NFSHIM_VETH") != NULL;
}

int nf_veth_snaplen(int asked)
{
	if (!nf_veth || nf_inert || asked <= 0)
		return asked;
	return asked < SNAPLEN_MAX - (int)NF_TAG_LEN ? asked + (int)NF_TAG_LEN : SNAPLEN_MAX;
}

int pcap_set_snaplen(pcap_t *p, int snaplen)
{
	struct nf_capture *c;

	if (!nf_veth || nf_inert || nf_opening)
		return nf_real.pcap_set_snaplen(p, snaplen);
	c = nf_capture_find(p, true);
	if (!c)
		return nf_real.pcap_set_snaplen(p, snaplen);
	c->asked = snaplen;
	return nf_real.pcap_set_snaplen(p, nf_veth_snaplen(snaplen));
}

int pcap_snapshot(pcap_t *p)
{
	struct nf_capture *c = nf_veth ? nf_capture_find(p, false) : NULL;
	int n = nf_real.pcap_snapshot(p);

	return c && c->asked > 0 && c->asked < n ? c->asked : n;
}

bool nf_veth_take(struct nf_sink *s, const struct pcap_pkthdr *h, const u_char *data)
{
	struct nf_capture *c = s->capture;
	bool like = nf_tag_like(data, h->caplen, h->len);

	if (!s->live || (!like && h->caplen == h->len))
		return false;
	if (like && nf_inject_frame(h, data)) {
		if (c)
			c->marks++;
		nf_engine_safe_point(s);
		return true;
	}
	if (!c || !c->tags || nf_mark_filter_wanted(c, h, data))
		return false;
	c->marks++;
	return true;
}

const struct pcap_pkthdr *nf_veth_clip(const struct nf_sink *s, const struct pcap_pkthdr *h,
				       struct pcap_pkthdr *own)
{
	if (s->snaplen <= 0 || h->caplen <= (bpf_u_int32)s->snaplen)
		return h;
	*own = *h;
	own->caplen = (bpf_u_int32)s->snaplen;
	return own;
}

const char *nf_veth_unfit(bool live)
{
	if (!nf_veth)
		return "the capture of the destination NF has no room for the mark of a clone: "
		       "start it with 'nfrun --veth', behind a bridge of veth-bridge.sh";
	if (!live)
		return "the destination NF reads a file: clones come through a veth bridge only to "
		       "a live capture";
	return NULL;
}
