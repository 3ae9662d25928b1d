/* SPDX-License-Identifier: BSD-2-Clause */
/* Blobs as the PRADS adapter writes them. */
#include <string.h>

#include "adapters/prads_blob.h"
#include "fuzz_prads.h"
#include "seeds.h"

static void text(struct nf_writer *w, const char *s)
{
	nf_put_str(w, s, s ? strlen(s) : 0);
}

static void times(struct nf_writer *w, uint64_t first)
{
	nf_put_u64(w, first);
	nf_put_u64(w, first + 9);
}

static void conn(struct nf_writer *w, unsigned i)
{
	const uint8_t head[] = {'C', NF_PRADS_VERSION, (uint8_t)(i & 1), 0, 0x1b, 0x1b, 0x10, 0};

	nf_put(w, head, sizeof(head));
	nf_put_u16(w, 0x0800);
	times(w, 1000 + i);
	for (unsigned n = 0; n < 4; n++)
		nf_put_u64(w, 7ull << (n * 8));
}

static void service(struct nf_writer *w, uint16_t port)
{
	times(w, 500);
	nf_put_u16(w, 1);
	nf_put_u16(w, 6);
	nf_put_u16(w, port);
	nf_put_u8(w, 64);
	nf_put_u32(w, 2);
	nf_put_u32(w, 0);
	text(w, "http");
	text(w, port == 80 ? "nginx 1.22" : "@https");
}

static void os(struct nf_writer *w, uint8_t detection, uint32_t line, const char *name,
	       const char *raw)
{
	static const uint8_t fingerprint[42] = {[8] = 1, [11] = 2}; /* two options */

	times(w, 500);
	nf_put_u16(w, 1);
	nf_put_u8(w, detection);
	nf_put_u16(w, 80);
	nf_put_u16(w, 1500);
	nf_put_u8(w, 64);
	nf_put_u32(w, 360000);
	nf_put(w, fingerprint, sizeof(fingerprint));
	nf_put_u32(w, line);
	text(w, name);
	text(w, name ? "2.6" : NULL);
	text(w, raw);
}

static void asset(struct nf_writer *w, unsigned i)
{
	static const uint8_t mac[] = {0, 1, 2, 3, 4, 5}, oui[] = {0, 1, 2, 0, 0, 0};

	times(w, 400 + i);
	nf_put_u16(w, 3);
	nf_put_u16(w, 12);
	nf_put(w, mac, sizeof(mac));
	nf_put_u8(w, i & 1);
	if (i & 1) {
		nf_put(w, oui, sizeof(oui));
		nf_put_u8(w, 24);
		text(w, "Acme");
	}
	nf_put_u16(w, (uint16_t)(i & 2));
	for (unsigned n = 0; n < (i & 2); n++)
		service(w, n ? 443 : 80);
	nf_put_u16(w, i & 4 ? 5 : 0);
	if (!(i & 4))
		return;
	os(w, 0x02, 5, "Linux", "S10:64:1:60");
	os(w, 0x02, 9, "Linux", NULL);
	os(w, 0x01, 0, "Plan 9", NULL);
	os(w, 0x40, 0, NULL, "20:64:1:0:0:0:.");
	os(w, 0x40, 0, NULL, NULL); /* came doubled with each repetition */
}

static void assets(struct nf_writer *w, unsigned i)
{
	unsigned n = 1 + (i >> 2 & 1);

	nf_put_u8(w, 'A');
	nf_put_u8(w, NF_PRADS_VERSION);
	nf_put_u16(w, (uint16_t)n);
	while (n--)
		asset(w, i++);
}

size_t nf_fuzz_seed_prads(unsigned i, uint8_t *buf, size_t cap)
{
	struct fuzz_prads in = {.asset = i >= 4};
	struct nf_writer w = {.p = buf + sizeof(in), .left = cap - sizeof(in)};
	size_t first;

	if (i >= 12)
		return 0;
	in.key.ethertype = i & 2 ? 0x86dd : 0x0800;
	in.key.addr[0][0] = 10;
	in.key.kind = in.asset ? NFSHIM_KIND_HOST : NFSHIM_KIND_FLOW;
	if (!in.asset) {
		in.key.addr[1][0] = 11;
		in.key.proto = 6;
		in.key.port[0] = 40000;
		in.key.port[1] = 80;
	}
	(in.asset ? assets : conn)(&w, i);
	first = (size_t)(w.p - buf) - sizeof(in);
	in.first[0] = (uint8_t)first;
	in.first[1] = (uint8_t)(first >> 8);
	(in.asset ? assets : conn)(&w, i + 1);
	memcpy(buf, &in, sizeof(in));
	return (size_t)(w.p - buf);
}
