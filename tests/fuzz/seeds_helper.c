/* SPDX-License-Identifier: BSD-2-Clause */
/* What helpers say, good ones and others: descriptors, size of a piece, messages. */
#include <stdlib.h>
#include <string.h>

#include "msg.h"
#include "seeds.h"

static const struct {
	uint8_t descriptors, piece;
	enum nf_role role;
	uint32_t version;
	unsigned asks; /* behind the HELLO */
	enum nf_msg_type last;
} helpers[] = {
	{0, 0, NF_ROLE_HELPER, NF_PROTO_VERSION, 0, NF_MSG_NONE},
	{0, 7, NF_ROLE_HELPER, NF_PROTO_VERSION, 1, NF_MSG_NONE},
	{3, 0, NF_ROLE_HELPER, NF_PROTO_VERSION, 200, NF_MSG_NONE},
	{12, 3, NF_ROLE_HELPER, NF_PROTO_VERSION, 2, NF_MSG_STATUS},
	{1, 0, NF_ROLE_HELPER, NF_PROTO_VERSION + 1, 0, NF_MSG_NONE},
	{0, 0, NF_ROLE_PEER, NF_PROTO_VERSION, 1, NF_MSG_LIST},
	{0, 0, NF_ROLE_HELPER, NF_PROTO_VERSION, 1, NF_MSG_HELLO},
};

static size_t put(const struct nf_msg *m, uint8_t *buf, size_t cap)
{
	uint8_t *p = NULL;
	size_t len = 0, room = 0;

	if (nf_msg_encode(m, &p, &len, &room) || len > cap)
		len = 0;
	if (len)
		memcpy(buf, p, len);
	free(p);
	return len;
}

size_t nf_fuzz_seed_helper(unsigned i, uint8_t *buf, size_t cap)
{
	static struct nf_msg m;
	size_t n = 2;

	if (i >= COUNT(helpers) || cap < 2)
		return 0;
	buf[0] = helpers[i].descriptors;
	buf[1] = helpers[i].piece;
	m = (struct nf_msg){.type = NF_MSG_HELLO};
	m.hello.version = helpers[i].version;
	m.hello.role = helpers[i].role;
	strcpy(m.hello.name, "fuzz");
	n += put(&m, buf + n, cap - n);
	m = (struct nf_msg){.type = NF_MSG_ASK};
	for (unsigned k = 0; k < helpers[i].asks; k++)
		n += put(&m, buf + n, cap - n);
	m = (struct nf_msg){.type = helpers[i].last};
	if (m.type != NF_MSG_NONE)
		n += put(&m, buf + n, cap - n);
	return n;
}
