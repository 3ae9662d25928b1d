/* SPDX-License-Identifier: BSD-2-Clause */
/* Well-formed inputs that mutation starts from. */
#include <string.h>

#include "fuzz.h"
#include "msg.h"
#include "seeds.h"

/* ---- messages ---- */

static void fill(struct nf_msg *m, unsigned type)
{
	static const uint8_t payload[100] = {1, 2, 3};

	memset(m, 0, sizeof(*m));
	m->type = (enum nf_msg_type)type;
	switch (m->type) {
	case NF_MSG_HELLO:
		m->hello.version = NF_PROTO_VERSION;
		m->hello.role = NF_ROLE_PEER;
		strcpy(m->hello.name, "ids1");
		strcpy(m->hello.listen, "127.0.0.1:4000");
		break;
	case NF_MSG_REFUSED:
		strcpy(m->text, "no");
		break;
	case NF_MSG_STATUS:
		strcpy(m->status.name, "ids1");
		strcpy(m->status.reason, "why");
		m->status.phase = NF_PHASE_READY;
		break;
	case NF_MSG_BEGIN:
		m->begin.side = NF_SIDE_SRC;
		strcpy(m->begin.peer, "ids2");
		strcpy(m->begin.space, "net 10.20.0.0/21");
		m->begin.opt.marks = 2;
		break;
	case NF_MSG_ORDER:
		m->order.what = NF_REC_PREPARE;
		break;
	case NF_MSG_EVENT:
		m->event.rec = NF_REC_OVER;
		m->event.stats.flows = 484;
		strcpy(m->event.text, "done");
		break;
	case NF_MSG_LIST:
		strcpy(m->list.space, "all");
		break;
	case NF_MSG_RECORD:
		m->record.hdr = (struct nf_rec){.len = sizeof(struct nf_rec) + sizeof(payload),
						.type = NF_REC_CLONE,
						.version = 7,
						.sec = -1};
		m->record.payload = payload;
		break;
	default:
		break;
	}
}

static size_t frame(unsigned type, uint8_t *buf, size_t cap)
{
	static struct nf_msg m;
	uint8_t *p = NULL;
	size_t len = 0, room = 0;

	fill(&m, type);
	if (nf_msg_encode(&m, &p, &len, &room) || len > cap)
		len = 0;
	memcpy(buf, p ? p : buf, len);
	free(p);
	return len;
}

static size_t seed_msg(unsigned i, uint8_t *buf, size_t cap)
{
	size_t n = i < NF_MSG_RECORD ? frame(i + 1, buf, cap) : 0;

	if (n)
		memmove(buf, buf + 4, n - 4);
	return n ? n - 4 : 0;
}

/* All messages after each other, cut into writes of the size in the first byte. */
static size_t seed_stream(unsigned i, uint8_t *buf, size_t cap)
{
	static const uint8_t chunk[] = {1, 5, 255};
	size_t n = 1;

	if (i >= COUNT(chunk))
		return 0;
	buf[0] = chunk[i];
	for (unsigned t = NF_MSG_HELLO; t <= NF_MSG_RECORD; t++)
		n += frame(t, buf + n, cap - n);
	return n;
}

/* ---- ring: head and tail, then what stands from the tail on ---- */

static size_t seed_ring(unsigned i, uint8_t *buf, size_t cap)
{
	static const uint64_t start[] = {0, 8, 65536 - 88, 65536 - 8, 1ull << 40};
	struct nf_rec r = {.type = NF_REC_CLONE};
	uint64_t pos[2];
	size_t n = sizeof(pos);

	if (i >= COUNT(start) || cap < 4096)
		return 0;
	for (unsigned k = 0; k < 8; k++) {
		r.len = (uint32_t)sizeof(r) + k * 8;
		memset(buf + n, 0xaa, r.len);
		memcpy(buf + n, &r, sizeof(r));
		n += r.len;
	}
	pos[0] = start[i] + n - sizeof(pos);
	pos[1] = start[i];
	memcpy(buf, pos, sizeof(pos));
	return n;
}

/* ---- flow spaces ---- */

static size_t seed_space(unsigned i, uint8_t *buf, size_t cap)
{
	static const char *const text[] = {
		"all",
		"net 10.20.0.0/21 or net 2001:db8:20::/61",
		"tcp and (port 80 or port 443) and src host 10.0.0.1",
		"udp port 53 or icmp or icmp6 or sctp",
		"ip proto 47 and dst net 192.168.0.0/16",
		"ip6 and host 2001:db8::1 and not tcp",
		"((((tcp))))",
		"(tcp or udp) and (port 1 or port 2) and (host 1.2.3.4 or host 5.6.7.8)",
	};
	size_t n = i < COUNT(text) ? strlen(text[i]) : 0;

	if (n > cap)
		return 0;
	memcpy(buf, n ? text[i] : "", n);
	return n;
}

/* ---- frames ---- */

static const uint8_t ip4_tcp[] = {0x45, 0, 0,  40, 0,	 1, 0,	  0, 64, 6,  0, 0, 10, 0,
				  0,	1, 10, 0,  0,	 2, 0xc0, 0, 0,	 80, 0, 0, 0,  1,
				  0,	0, 0,  0,  0x50, 2, 0,	  0, 0,	 0,  0, 0};
static const uint8_t ip4_frag1[] = {0x45, 0, 0,	 28, 0, 9, 0x20, 0,  64,   17,	 0, 0, 10, 0,
				    0,	  1, 10, 0,  0, 2, 0,	 53, 0x12, 0x34, 0, 8, 0,  0};
static const uint8_t ip4_frag2[] = {0x45, 0, 0,	 28, 0, 9, 0, 1, 64, 17, 0, 0, 10, 0,
				    0,	  1, 10, 0,  0, 2, 1, 2, 3,  4,	 5, 6, 7,  8};
static const uint8_t ip4_icmp[] = {0x46, 0, 0, 32, 0, 1, 0, 0, 64, 1, 0, 0, 10,	  0,	0, 1,
				   10,	 0, 0, 2,  1, 1, 1, 1, 8,  0, 0, 0, 0x12, 0x34, 0, 1};
static const uint8_t ip6_exts[] = {
	0x60, 0, 0, 0, 0, 36, 0, 64, 1,	 1, 1, 1, 1, 1, 1, 1, 1,  1,  1,    1,	  1, 1, 1, 1,
	2,    2, 2, 2, 2, 2,  2, 2,  2,	 2, 2, 2, 2, 2, 2, 2, 44, 0,  1,    4,	  0, 0, 0, 0,
	60,   0, 0, 1, 0, 0,  0, 9,  17, 0, 1, 4, 0, 0, 0, 0, 0,  53, 0x30, 0x39, 0, 8, 0, 0};
static const uint8_t ip6_icmp[] = {0x60, 0, 0, 0, 0, 8, 58, 64, 1,   1, 1, 1, 1,    1,	  1, 1,
				   1,	 1, 1, 1, 1, 1, 1,  1,	2,   2, 2, 2, 2,    2,	  2, 2,
				   2,	 2, 2, 2, 2, 2, 2,  2,	128, 0, 0, 0, 0x12, 0x34, 0, 1};
static const uint8_t arp[] = {0,  1, 8, 0, 6, 4, 0, 1, 2, 2, 2,	 2, 2, 2,
			      10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2};

static size_t seed_flow(unsigned i, uint8_t *buf, size_t cap)
{
	static const struct {
		uint16_t type;
		const uint8_t *p;
		size_t n;
	} body[] = {{0x0800, ip4_tcp, sizeof(ip4_tcp)},
		    {0x0800, ip4_frag1, sizeof(ip4_frag1)},
		    {0x0800, ip4_frag2, sizeof(ip4_frag2)},
		    {0x0800, ip4_icmp, sizeof(ip4_icmp)},
		    {0x86dd, ip6_exts, sizeof(ip6_exts)},
		    {0x86dd, ip6_icmp, sizeof(ip6_icmp)},
		    {0x0806, arp, sizeof(arp)},
		    {0x88cc, arp, sizeof(arp)}};
	unsigned kind = i / 3, tags = i % 3;
	size_t n = 12;

	if (kind >= COUNT(body) || cap < 256)
		return 0;
	memset(buf, 2, n);
	for (unsigned t = 0; t < tags; t++) {
		const uint8_t tag[] = {t + 1 < tags ? 0x88 : 0x81, t + 1 < tags ? 0xa8 : 0, 0,
				       (uint8_t)(5 + t)};

		memcpy(buf + n, tag, sizeof(tag));
		n += sizeof(tag);
	}
	buf[n++] = (uint8_t)(body[kind].type >> 8);
	buf[n++] = (uint8_t)body[kind].type;
	memcpy(buf + n, body[kind].p, body[kind].n);
	return n + body[kind].n;
}

size_t nf_fuzz_seed(enum nf_fuzz_kind kind, unsigned i, uint8_t *buf, size_t cap)
{
	static size_t (*const of[])(unsigned, uint8_t *, size_t) = {
		[NF_FUZZ_MSG] = seed_msg,
		[NF_FUZZ_STREAM] = seed_stream,
		[NF_FUZZ_RING] = seed_ring,
		[NF_FUZZ_SPACE] = seed_space,
		[NF_FUZZ_FLOW] = seed_flow,
		[NF_FUZZ_MARK] = nf_fuzz_seed_mark,
		[NF_FUZZ_PRADS] = nf_fuzz_seed_prads,
		[NF_FUZZ_SEQHASH] = nf_fuzz_seed_seqhash,
		[NF_FUZZ_HELPER] = nf_fuzz_seed_helper,
	};

	return of[kind](i, buf, cap);
}
