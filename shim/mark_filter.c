/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Three instructions before the NF's filter: accept EtherType 0x88b5, else go on. Not for files: a
 * frame cut off before its type would be rejected there, and it is the NF's to say whether it wants
 * that one.
 */
#include "mark_filter.h"

#include <stdlib.h>
#include <string.h>

#include "real.h"

#define MARK_TYPE 0x88b5
#define SNAP	  262144

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

int nf_mark_filter_set(pcap_t *p, struct bpf_program *prog)
{
	const struct bpf_insn head[] = {
		BPF_STMT(BPF_LD + BPF_H + BPF_ABS, 12),
		BPF_JUMP(BPF_JMP + BPF_JEQ + BPF_K, MARK_TYPE, 0, 1),
		BPF_STMT(BPF_RET + BPF_K, SNAP),
	};
	const unsigned n = sizeof(head) / sizeof(head[0]);
	struct nf_capture *c = nf_capture_find(p, true);
	struct bpf_program both;
	int rc;

	if (!prog || !prog->bf_insns || !c || nf_inert || nf_real.pcap_file(p) ||
	    nf_real.pcap_datalink(p) != DLT_EN10MB || keep_own(c, prog) < 0)
		return nf_real.pcap_setfilter(p, prog);
	both.bf_len = prog->bf_len + n;
	both.bf_insns = malloc(both.bf_len * sizeof(*both.bf_insns));
	if (!both.bf_insns)
		return nf_real.pcap_setfilter(p, prog);
	memcpy(both.bf_insns, head, sizeof(head));
	memcpy(both.bf_insns + n, prog->bf_insns, prog->bf_len * sizeof(*both.bf_insns));
	rc = nf_real.pcap_setfilter(p, &both);
	free(both.bf_insns);
	/* A program at libpcap's limit of length leaves no room: the NF's own must still work. */
	return rc == 0 ? 0 : nf_real.pcap_setfilter(p, prog);
}

void nf_mark_filter_forget(struct nf_capture *c)
{
	free(c->own.bf_insns);
	memset(c, 0, sizeof(*c));
	c->fd = -1;
}

bool nf_mark_filter_hit(const u_char *data, bpf_u_int32 caplen)
{
	return caplen >= 14 && data[12] == (MARK_TYPE >> 8) && data[13] == (MARK_TYPE & 0xff);
}

bool nf_mark_filter_wanted(const struct nf_capture *c, const struct pcap_pkthdr *h,
			   const u_char *data)
{
	return nf_real.bpf_filter(c->own.bf_insns, data, h->len, h->caplen) != 0;
}
