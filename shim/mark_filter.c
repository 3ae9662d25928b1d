/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Before the NF's filter: accept EtherType 0x88b5 and, behind a veth bridge, tagged frames. Not for
 * files: a frame cut off before its type would be rejected there, and it is the NF's to say whether
 * it wants that one.
 */
#include "mark_filter.h"

#include <stdlib.h>
#include <string.h>

#include "in_veth.h"
#include "real.h"
#include "tag.h"

#define SNAP	   262144
#define MARK_INSNS 3
#define TYPE_OFF   12
#define TAG_LEN	   4 /* of a VLAN */

/* What the kernel knows of a packet besides its bytes (linux/filter.h, whose names are libpcap's).
 */
#define KERNEL_KNOWS 0xfffff000u
#define VLAN_TCI     (KERNEL_KNOWS + 44)
#define VLAN_THERE   (KERNEL_KNOWS + 48)

static int keep_own(struct nf_capture *c, const struct bpf_program *prog)
{
	struct bpf_insn *insns = malloc(prog->bf_len * sizeof(*insns));

	if (!insns)
		return -1;
	memcpy(insns, prog->bf_insns, prog->bf_len * sizeof(*insns));
	free(c->own.bf_insns);
	c->own.bf_insns = insns;
	c->own.bf_len = prog->bf_len;
	c->has_filter = true;
	return 0;
}

static bool asks_kernel(const struct bpf_insn *i)
{
	return BPF_CLASS(i->code) == BPF_LD && BPF_MODE(i->code) == BPF_ABS && i->k >= KERNEL_KNOWS;
}

/* Does it look at what cannot be known here, as "inbound" does? Then it cannot be run again. Nor is
 * one changed that computes how much it takes. */
static bool stays_as_it_is(const struct bpf_program *prog)
{
	for (unsigned i = 0; i < prog->bf_len; i++) {
		const struct bpf_insn *insn = &prog->bf_insns[i];

		if (insn->code == (BPF_RET | BPF_A) ||
		    (asks_kernel(insn) && insn->k != VLAN_TCI && insn->k != VLAN_THERE))
			return true;
	}
	return false;
}

/* Whole packets: libpcap too runs the filter, on what came at about the time it was set, and the
 * load of a tag's magic behind what was captured would reject them. */
static void take_whole(struct bpf_insn *insns, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (insns[i].code == (BPF_RET | BPF_K) && insns[i].k)
			insns[i].k = SNAP;
}

int nf_mark_filter_set(pcap_t *p, struct bpf_program *prog)
{
	const struct bpf_insn head[] = {
		BPF_STMT(BPF_LD + BPF_H + BPF_ABS, 12),
		BPF_JUMP(BPF_JMP + BPF_JEQ + BPF_K, NF_MARK_TYPE, 0, 1),
		BPF_STMT(BPF_RET + BPF_K, SNAP),
		BPF_STMT(BPF_LD + BPF_W + BPF_LEN, 0),
		BPF_JUMP(BPF_JMP + BPF_JGE + BPF_K, 14 + NF_TAG_LEN, 0, 5),
		BPF_STMT(BPF_ALU + BPF_SUB + BPF_K, NF_TAG_LEN),
		BPF_STMT(BPF_MISC + BPF_TAX, 0),
		BPF_STMT(BPF_LD + BPF_W + BPF_IND, 0),
		BPF_JUMP(BPF_JMP + BPF_JEQ + BPF_K, NF_TAG_MAGIC, 0, 1),
		BPF_STMT(BPF_RET + BPF_K, SNAP),
	};
	struct nf_capture *c = nf_capture_find(p, true);
	struct bpf_program both;
	unsigned n = sizeof(head) / sizeof(head[0]);
	int rc;

	if (!prog || !prog->bf_insns || !c || nf_inert || nf_real.pcap_file(p) ||
	    nf_real.pcap_datalink(p) != DLT_EN10MB || keep_own(c, prog) < 0)
		return nf_real.pcap_setfilter(p, prog);
	c->reruns = !stays_as_it_is(prog);
	c->tags = nf_veth && !nf_real.pcap_file(p) && c->reruns;
	if (!c->tags)
		n = MARK_INSNS;
	both.bf_len = prog->bf_len + n;
	both.bf_insns = malloc(both.bf_len * sizeof(*both.bf_insns));
	if (!both.bf_insns)
		return nf_real.pcap_setfilter(p, prog);
	memcpy(both.bf_insns, head, n * sizeof(*head));
	memcpy(both.bf_insns + n, prog->bf_insns, prog->bf_len * sizeof(*both.bf_insns));
	if (c->tags)
		take_whole(both.bf_insns + n, prog->bf_len);
	rc = nf_real.pcap_setfilter(p, &both);
	free(both.bf_insns);
	/* A program at libpcap's limit of length leaves no room: the NF's own must still work. */
	if (rc == 0)
		return 0;
	c->tags = false;
	return nf_real.pcap_setfilter(p, prog);
}

void nf_mark_filter_forget(struct nf_capture *c)
{
	free(c->own.bf_insns);
	memset(c, 0, sizeof(*c));
	c->fd = c->linktype = -1;
}

/* Behind the type of a VLAN's frame; NULL: it is none's. */
static const u_char *vlan_of(const u_char *data, bpf_u_int32 caplen)
{
	bool there = caplen >= TYPE_OFF + TAG_LEN + 2 && (!memcmp(data + TYPE_OFF, "\x81\x00", 2) ||
							  !memcmp(data + TYPE_OFF, "\x88\xa8", 2));

	return there ? data + TYPE_OFF + 2 : NULL;
}

static u_int kernel_said(u_int what, const u_char *vlan)
{
	if (what == VLAN_THERE)
		return vlan != NULL;
	return what == VLAN_TCI && vlan ? (u_int)(vlan[0] << 8 | vlan[1]) : 0;
}

/* The kernel had taken the VLAN tag off, which libpcap has put back, and told the filter of it. */
bool nf_mark_filter_wanted(const struct nf_capture *c, const struct pcap_pkthdr *h,
			   const u_char *data)
{
	const u_char *vlan = vlan_of(data, h->caplen);
	bpf_u_int32 off = vlan ? TAG_LEN : 0, caplen = h->caplen - off;
	size_t size = c->own.bf_len * sizeof(struct bpf_insn);
	struct bpf_insn *insns = malloc(size + caplen);
	u_char *bare = (u_char *)insns + size;
	bool wanted;

	if (!insns)
		return true;
	memcpy(insns, c->own.bf_insns, size);
	for (unsigned i = 0; i < c->own.bf_len; i++)
		if (asks_kernel(&insns[i]))
			insns[i] = (struct bpf_insn)BPF_STMT(BPF_LD + BPF_IMM,
							     kernel_said(insns[i].k, vlan));
	if (vlan) {
		memcpy(bare, data, TYPE_OFF);
		memcpy(bare + TYPE_OFF, data + TYPE_OFF + TAG_LEN, caplen - TYPE_OFF);
	}
	wanted = nf_real.bpf_filter(insns, vlan ? bare : data, h->len - off, caplen) != 0;
	free(insns);
	return wanted;
}
