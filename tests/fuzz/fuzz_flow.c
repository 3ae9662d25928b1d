/* SPDX-License-Identifier: BSD-2-Clause */
/* Flow keys: any frame has one, in canonical order, the same each time, and a text. */
#include <string.h>

#include "flow.h"
#include "fuzz.h"

const enum nf_fuzz_kind nf_fuzz_kind = NF_FUZZ_FLOW;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct nf_frags *frags;
	struct nfshim_flow a, b, canon;
	char text[NF_FLOW_TEXT];
	int src = -1;

	if (!frags)
		frags = nf_frags_new();
	NF_FUZZ_PROMISE(frags);
	memset(&a, 0x55, sizeof(a));
	memset(&b, 0xaa, sizeof(b));
	nf_flow_parse(data, size, NULL, &a, &src);
	NF_FUZZ_PROMISE(src == 0 || src == 1);
	nf_flow_parse(data, size, NULL, &b, NULL);
	NF_FUZZ_PROMISE(nf_flow_equal(&a, &b) && nf_flow_hash(&a) == nf_flow_hash(&b));
	NF_FUZZ_PROMISE(!memcmp(&a, &b, sizeof(a))); /* no byte is left as it was */
	canon = a;
	/* An ICMP identifier stands in port[0], also between equal addresses. */
	if (memcmp(a.addr[0], a.addr[1], 16) || (a.proto != 1 && a.proto != 58))
		NF_FUZZ_PROMISE(!nf_flow_canon(&canon) && !memcmp(&a, &canon, sizeof(a)));
	NF_FUZZ_PROMISE(nf_flow_format(&a, text, sizeof(text)) == text);
	NF_FUZZ_PROMISE(strlen(text) > 0 && strlen(text) < sizeof(text) - 1);
	nf_flow_format(&a, text, 8);
	NF_FUZZ_PROMISE(memchr(text, 0, 8));
	nf_flow_parse(data, size, frags, &b, &src);
	NF_FUZZ_PROMISE(b.ethertype == a.ethertype && b.kind == a.kind);
	return 0;
}
