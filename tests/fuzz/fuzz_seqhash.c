/* SPDX-License-Identifier: BSD-2-Clause */
/* Blobs for seqhash: taken and given back as they are, or refused without a trace. */
#include "fuzz.h"

#include "seqhash_state.c"

const enum nf_fuzz_kind nf_fuzz_kind = NF_FUZZ_SEQHASH;

/* Input: the scope, a key, the blob. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nfshim_flow key;
	struct blob got;
	enum nfshim_scope s;
	bool good;

	if (size < 1 + sizeof(key))
		return 0;
	s = (enum nfshim_scope)(data[0] & 3);
	state_options.hosts = data[0] & 4;
	memcpy(&key, data + 1, sizeof(key));
	data += 1 + sizeof(key);
	size -= 1 + sizeof(key);
	good = size == sizeof(got) &&
	       (s == NFSHIM_PER_FLOW || (s == NFSHIM_MULTI_FLOW && state_options.hosts));
	for (int again = 0; again < 2; again++)
		NF_FUZZ_PROMISE(hook_put(NULL, s, &key, data, size) == (good ? 0 : -EINVAL));
	NF_FUZZ_PROMISE(hook_has(NULL, s, &key) == good);
	NF_FUZZ_PROMISE(hook_get(NULL, s, &key, &got, sizeof(got) - 1) ==
			(good ? -ENOSPC : -ENOENT));
	if (good) {
		NF_FUZZ_PROMISE(hook_get(NULL, s, &key, &got, sizeof(got)) == sizeof(got));
		NF_FUZZ_PROMISE(!memcmp(&got, data, sizeof(got)));
	}
	NF_FUZZ_PROMISE(hook_del(NULL, s, &key) == (good ? 0 : -ENOENT));
	NF_FUZZ_PROMISE(!hook_has(NULL, s, &key));
	free_gone();
	flows.n = hosts.n = 0; /* both are empty again */
	return 0;
}
