/* SPDX-License-Identifier: BSD-2-Clause */
/* The decoder: what it lets through can be encoded, and comes back the same. */
#include <string.h>

#include "fuzz.h"
#include "msg.h"

const enum nf_fuzz_kind nf_fuzz_kind = NF_FUZZ_MSG;

static void check_record(const struct nf_msg *m)
{
	NF_FUZZ_PROMISE(m->record.hdr.len >= sizeof(struct nf_rec));
	NF_FUZZ_PROMISE(m->record.hdr.len <= NF_REC_MAX);
	NF_FUZZ_PROMISE(*nf_rec_name((enum nf_rec_type)m->record.hdr.type) != '?');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct nf_msg m, again;
	static uint8_t *buf;
	static size_t cap;
	size_t len = 0, len2 = 0;
	uint8_t *buf2 = NULL;
	size_t cap2 = 0;

	if (nf_msg_decode(data, size, &m)) {
		NF_FUZZ_PROMISE(m.type == NF_MSG_NONE);
		return 0;
	}
	if (m.type == NF_MSG_RECORD)
		check_record(&m);
	NF_FUZZ_PROMISE(nf_msg_encode(&m, &buf, &len, &cap) == 0);
	NF_FUZZ_PROMISE(nf_msg_decode(buf + 4, len - 4, &again) == 0);
	NF_FUZZ_PROMISE(nf_msg_encode(&again, &buf2, &len2, &cap2) == 0);
	NF_FUZZ_PROMISE(len == len2 && memcmp(buf, buf2, len) == 0);
	free(buf2);
	return 0;
}
