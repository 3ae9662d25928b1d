/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Input by pcap_next and pcap_next_ex, which return the packet: the NF works on
 * it until its next input call or wait (engine.h, pull).
 */
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "in_pass.h"
#include "in_pcap.h"
#include "real.h"

/* Of handles beyond NF_CAPTURES. */
static __thread struct nf_capture other;

/* As libpcap does: the packet's place is given back when the callback returns. */
static void keep(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	struct nf_capture *c = (struct nf_capture *)user;

	c->next_header = *h;
	if (h->caplen > c->next_room)
		c->next_header.caplen = c->next_room;
	memcpy(c->next_data, data, c->next_header.caplen);
}

static int make_room(struct nf_capture *c, pcap_t *p)
{
	int snaplen = pcap_snapshot(p);
	uint32_t room = snaplen > 0 ? (uint32_t)snaplen : 0;
	u_char *data;

	if (c->next_data && room <= c->next_room)
		return 0;
	data = realloc(c->next_data, room);
	if (!data)
		return -1;
	c->next_data = data;
	c->next_room = room;
	return 0;
}

/* 1, 0: none came in time, or, of a file, no more; or libpcap's error. */
static int pull(pcap_t *p, struct nf_capture *c)
{
	NF_SINK s = {.pull = true};
	int rc = 0;

	if (make_room(c, p) < 0)
		return PCAP_ERROR;
	nf_input_enter(&s, p, 1, keep, (u_char *)c);
	while (!s.delivered) { /* 0 is a timeout or the end of a file, not a packet kept back */
		rc = nf_real.pcap_dispatch(p, 1, nf_input_packet, (u_char *)&s);
		if (rc <= 0)
			break;
	}
	if (s.delivered)
		return nf_input_leave(&s, 1, false);
	return nf_input_leave(&s, rc, rc < 0 || !s.live);
}

static struct nf_capture *capture_of(pcap_t *p)
{
	struct nf_capture *c = nf_capture_find(p, true);

	return c ? c : &other;
}

const u_char *pcap_next(pcap_t *p, struct pcap_pkthdr *h)
{
	struct nf_capture *c;

	if (!nf_input_ours(p))
		return nf_pass_next(p, h);
	c = capture_of(p);
	if (pull(p, c) <= 0)
		return NULL;
	*h = c->next_header;
	return c->next_data;
}

int pcap_next_ex(pcap_t *p, struct pcap_pkthdr **h, const u_char **data)
{
	struct nf_capture *c;
	int rc;

	if (!nf_input_ours(p))
		return nf_pass_next_ex(p, h, data);
	c = capture_of(p);
	rc = pull(p, c);
	if (rc == 0 && nf_real.pcap_file(p))
		return PCAP_ERROR_BREAK; /* the end, as libpcap has it */
	*h = &c->next_header;
	*data = c->next_data;
	return rc;
}
