/* SPDX-License-Identifier: BSD-2-Clause */
#include "in_pass.h"

#include "in_veth.h"
#include "real.h"

struct pass {
	pcap_handler cb;
	u_char *user;
	struct nf_capture *capture;
	int given;
};

/* NULL: nothing stands between libpcap and the NF. */
static struct nf_capture *bridged(pcap_t *p)
{
	return nf_veth && !nf_real.pcap_file(p) ? nf_capture_find(p, false) : NULL;
}

static void give(u_char *arg, const struct pcap_pkthdr *h, const u_char *data)
{
	struct pass *x = (struct pass *)arg;
	struct pcap_pkthdr own;

	if (nf_veth_keeps(x->capture, h, data))
		return;
	x->given++;
	x->cb(x->user, nf_veth_clip(x->capture->asked, h, &own), data);
}

int nf_pass_loop(pcap_t *p, int cnt, pcap_handler cb, u_char *user)
{
	struct pass x = {cb, user, bridged(p), 0};
	int n = 0;

	if (!x.capture)
		return nf_real.pcap_loop(p, cnt, cb, user);
	if (cnt <= 0)
		return nf_real.pcap_loop(p, cnt, give, (u_char *)&x);
	while (n >= 0 && x.given < cnt)
		n = nf_real.pcap_loop(p, cnt - x.given, give, (u_char *)&x);
	return n;
}

int nf_pass_dispatch(pcap_t *p, int cnt, pcap_handler cb, u_char *user)
{
	struct pass x = {cb, user, bridged(p), 0};
	int n;

	if (!x.capture)
		return nf_real.pcap_dispatch(p, cnt, cb, user);
	n = nf_real.pcap_dispatch(p, cnt, give, (u_char *)&x);
	return n < 0 ? n : x.given;
}

const u_char *nf_pass_next(pcap_t *p, struct pcap_pkthdr *h)
{
	const u_char *data = nf_real.pcap_next(p, h);
	struct nf_capture *c = data ? bridged(p) : NULL;
	struct pcap_pkthdr own;

	if (!c)
		return data;
	if (nf_veth_keeps(c, h, data))
		return NULL;
	h->caplen = nf_veth_clip(c->asked, h, &own)->caplen;
	return data;
}

int nf_pass_next_ex(pcap_t *p, struct pcap_pkthdr **h, const u_char **data)
{
	int rc = nf_real.pcap_next_ex(p, h, data);
	struct nf_capture *c = rc == 1 ? bridged(p) : NULL;
	struct pcap_pkthdr own;

	if (!c)
		return rc;
	if (nf_veth_keeps(c, *h, *data))
		return 0;
	(*h)->caplen = nf_veth_clip(c->asked, *h, &own)->caplen;
	return rc;
}
