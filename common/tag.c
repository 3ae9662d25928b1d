/* SPDX-License-Identifier: BSD-2-Clause */
#include "tag.h"

#include <endian.h>
#include <stddef.h>
#include <string.h>

#define VERSION 1
#define ETHER	14u /* the least a packet has */

struct trailer {
	uint32_t magic;
	uint8_t version, capture, zero[2];
	uint64_t move, seq, sec;
	uint32_t nsec, wirelen;
	uint64_t mac;
};

_Static_assert(sizeof(struct trailer) == NF_TAG_LEN, "layout of the trailer");

static uint64_t mac_of(const uint8_t *key, const uint8_t *frame, uint32_t len)
{
	return htobe64(nf_siphash(key, frame, len + offsetof(struct trailer, mac)));
}

void nf_tag_put(const uint8_t key[NF_TAG_KEY], const struct nf_tag *t, uint8_t *frame, uint32_t len)
{
	struct trailer o = {.magic = htobe32(NF_TAG_MAGIC),
			    .version = VERSION,
			    .capture = t->capture,
			    .move = htobe64(t->move),
			    .seq = htobe64(t->seq),
			    .sec = htobe64((uint64_t)t->sec),
			    .nsec = htobe32(t->nsec),
			    .wirelen = htobe32(t->wirelen)};

	memcpy(frame + len, &o, sizeof(o));
	o.mac = mac_of(key, frame, len);
	memcpy(frame + len, &o, sizeof(o));
}

bool nf_tag_like(const uint8_t *frame, uint32_t caplen, uint32_t len)
{
	uint32_t magic;

	if (caplen != len || len < ETHER + NF_TAG_LEN)
		return false;
	memcpy(&magic, frame + len - NF_TAG_LEN, sizeof(magic));
	return magic == htobe32(NF_TAG_MAGIC);
}

bool nf_tag_check(const uint8_t key[NF_TAG_KEY], uint64_t move, const uint8_t *frame,
		  uint32_t caplen, uint32_t len, struct nf_tag *t)
{
	struct trailer o;

	if (!nf_tag_like(frame, caplen, len))
		return false;
	len -= NF_TAG_LEN;
	memcpy(&o, frame + len, sizeof(o));
	if (o.version != VERSION || o.move != htobe64(move) || o.mac != mac_of(key, frame, len))
		return false;
	*t = (struct nf_tag){.move = move,
			     .seq = be64toh(o.seq),
			     .sec = (int64_t)be64toh(o.sec),
			     .nsec = be32toh(o.nsec),
			     .wirelen = be32toh(o.wirelen),
			     .capture = o.capture};
	return t->nsec < 1000000000u;
}
