/* SPDX-License-Identifier: BSD-2-Clause */
#include "in_veth.h"

#include <stdlib.h>
#include <string.h>

#include "in_socket.h"
#include "inject.h"
#include "mark_filter.h"
#include "real.h"
#include "tag.h"
#include "threads.h"

#define SNAPLEN_MAX 262144 /* libpcap's */

bool nf_veth;

void nf_veth_init(void)
{
	nf_veth = getenv("NFSHIM_VETH") != NULL;
}

/* Whole packets: see mark_filter.c. */
int nf_veth_snaplen(int asked)
{
	return nf_veth && !nf_inert && asked > 0 ? SNAPLEN_MAX : asked;
}

int pcap_set_snaplen(pcap_t *p, int snaplen)
{
	struct nf_capture *c = nf_opening ? NULL : nf_capture_find(p, true);
	int rc;

	if (!c)
		return nf_real.pcap_set_snaplen(p, snaplen);
	rc = nf_real.pcap_set_snaplen(p, nf_veth_snaplen(snaplen));
	if (rc == 0)
		c->asked = snaplen;
	return rc;
}

int pcap_snapshot(pcap_t *p)
{
	struct nf_capture *c = nf_veth ? nf_capture_find(p, false) : NULL;
	int n = nf_real.pcap_snapshot(p);

	return c && c->asked > 0 && c->asked < n ? c->asked : n;
}

/* Did it come only since it ends like a tagged one, or ended so before it was cut? */
static bool unwanted(const struct nf_capture *c, const struct pcap_pkthdr *h, const u_char *data)
{
	return c && c->tags && !nf_mark_filter_wanted(c, h, data);
}

bool nf_veth_take(struct nf_sink *s, const struct pcap_pkthdr *h, const u_char *data)
{
	struct nf_capture *c = s->capture;
	bool like = nf_tag_like(data, h->caplen, h->len);

	if (!s->live || (!like && h->caplen == h->len))
		return false;
	if (like && nf_thread == &nf_threads[0] && nf_inject_frame(nf_capture_number(c), h, data)) {
		if (c)
			c->marks++;
		nf_engine_safe_point(s);
		return true;
	}
	if (!unwanted(c, h, data))
		return false;
	c->marks++;
	return true;
}

bool nf_veth_keeps(struct nf_capture *c, const struct pcap_pkthdr *h, const u_char *data)
{
	bool like = nf_tag_like(data, h->caplen, h->len);

	if ((!like && h->caplen == h->len) ||
	    (!(like && nf_inject_knows(h, data)) && !unwanted(c, h, data)))
		return false;
	c->marks++;
	return true;
}

const struct pcap_pkthdr *nf_veth_clip(int snaplen, const struct pcap_pkthdr *h,
				       struct pcap_pkthdr *own)
{
	if (snaplen <= 0 || h->caplen <= (bpf_u_int32)snaplen)
		return h;
	*own = *h;
	own->caplen = (bpf_u_int32)snaplen;
	return own;
}

const char *nf_veth_unfit(void)
{
	if (!nf_veth)
		return "the capture of the destination NF has no room for the mark of a clone: "
		       "start it with 'nfrun --veth', behind a bridge of veth-bridge.sh";
	if (nf_move.opt.others)
		return "the NF has several packet threads: clones come through a veth bridge only "
		       "to one; move with --inject ring";
	if (nf_socket_any_input())
		return "the destination NF reads packet sockets: clones come through a veth bridge "
		       "only to captures of libpcap; use --inject ring";
	if (!nf_capture_live())
		return "the destination NF reads a file: clones come through a veth bridge only to "
		       "a live capture";
	return NULL;
}
