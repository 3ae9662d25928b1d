/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where PRADS keeps its state. Debian's binary is stripped, so the places are
 * known per build: a map belongs to one build-id, and is believed only if the
 * loaded image ends where that build ends, the instructions that use each place
 * are there byte for byte, and PRADS enters its input as that build does.
 * Anything else is refused: writing to the wrong place would be worse than not
 * moving at all.
 */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "prads.h"

#define BUILD_ID 20
#define PAGE	 4096u /* holds the ELF header and the program headers */

struct probe {
	uint32_t at;
	uint8_t len;
	uint8_t code[16];
};

struct nf_prads_map {
	const char *package;
	uint8_t build_id[BUILD_ID];
	uint64_t end; /* of the image */
	uint32_t conns, assets, cxid, inpacket, intr_flag, handle;
	uint32_t sigs[NF_PRADS_SIGS], sig_buckets, macs, mac_buckets;
	uint32_t got_packet, set_end_sessions;
	const struct probe *probes; /* len 0 at the end */
};

static const struct probe debian12_amd64[] = {
	/* got_packet: counts in config, sets tstamp, looks at intr_flag */
	{0x1570b, 7, {0x83, 0x05, 0x22, 0x0b, 0x0d, 0x00, 0x01}},
	{0x15742,
	 13,
	 {0x48, 0x89, 0x0d, 0xb7, 0x0a, 0x0d, 0x00, 0x8b, 0x0d, 0x91, 0x0a, 0x05, 0x00}},
	/* set_end_sessions: inpacket, intr_flag = 3 */
	{0x13274,
	 16,
	 {0x8b, 0x05, 0x6e, 0x2f, 0x05, 0x00, 0xc7, 0x05, 0x5c, 0x2f, 0x05, 0x00, 0x03, 0x00, 0x00,
	  0x00}},
	/* cx_track: % 31337 of bucket[] */
	{0x1b008, 6, {0x69, 0xfb, 0x69, 0x7a, 0x00, 0x00}},
	{0x1b014, 7, {0x48, 0x8d, 0x15, 0xa5, 0x8f, 0x14, 0x00}},
	/* cxt_new: calloc of 144 bytes, cxtrackerid */
	{0x1ada1, 5, {0xbe, 0x90, 0x00, 0x00, 0x00}},
	{0x1adb3, 7, {0x48, 0x8b, 0x05, 0x4e, 0x65, 0x18, 0x00}},
	/* asset_lookup: % 31337 of passet[]; add_asset: calloc of 96 bytes */
	{0x10d11, 6, {0x69, 0xd2, 0x69, 0x7a, 0x00, 0x00}},
	{0x10d19, 7, {0x48, 0x8d, 0x15, 0x60, 0x69, 0x01, 0x00}},
	{0x10e51, 5, {0xbe, 0x60, 0x00, 0x00, 0x00}},
	/* update_asset_service: calloc of 64 bytes; update_asset_os: of 184 */
	{0x111f5, 5, {0xbe, 0x40, 0x00, 0x00, 0x00}},
	{0x11981, 5, {0xbe, 0xb8, 0x00, 0x00, 0x00}},
	/* fp_tcp: the signature table for SYN, SYN+ACK, RST, FIN, stray ACK */
	{0xe1a9, 7, {0x48, 0x8b, 0x3d, 0x78, 0x4d, 0x15, 0x00}},
	{0xe1b9,
	 13,
	 {0x40, 0x80, 0xfd, 0x02, 0x74, 0x41, 0x48, 0x8b, 0x3d, 0x6a, 0x4d, 0x15, 0x00}},
	{0xe1c6,
	 13,
	 {0x40, 0x80, 0xfd, 0x08, 0x74, 0x34, 0x48, 0x8b, 0x3d, 0x75, 0x4d, 0x15, 0x00}},
	{0xe1d3,
	 13,
	 {0x40, 0x80, 0xfd, 0x04, 0x74, 0x27, 0x48, 0x8b, 0x3d, 0x60, 0x4d, 0x15, 0x00}},
	{0xe1f1, 7, {0x48, 0x8b, 0x3d, 0x40, 0x4d, 0x15, 0x00}},
	/* unload_tcp_sigs: sig_hashsize; update_asset_arp: the vendor table */
	{0x1016b, 6, {0x8b, 0x35, 0xaf, 0x2d, 0x15, 0x00}},
	{0x11ff0, 7, {0x48, 0x8b, 0x3d, 0x59, 0x0f, 0x15, 0x00}},
	/* main: mac_hashsize */
	{0x3a4f, 6, {0x8b, 0x15, 0xcf, 0xf4, 0x15, 0x00}},
	{0, 0, {0}},
};

static const struct nf_prads_map maps[] = {
	{
		.package = "prads 0.3.3-7+b2 of Debian 12 (amd64)",
		.build_id = {0xd2, 0x54, 0x81, 0x5d, 0xf8, 0x41, 0xb0, 0xae, 0x74, 0x1e,
			     0x69, 0x5c, 0xbe, 0x05, 0x09, 0x4e, 0x6f, 0x0b, 0x78, 0x68},
		.end = 0x1a2860,
		.conns = 0x163fc0,
		.assets = 0x27680,
		.cxid = 0x1a1308,
		.inpacket = 0x661e8,
		.intr_flag = 0x661e0,
		.handle = 0xe6220,
		.sigs = {0x162f28, 0x162f30, 0x162f38, 0x162f40, 0x162f48},
		.sig_buckets = 0x162f20,
		.macs = 0x162f50,
		.mac_buckets = 0x162f24,
		.got_packet = 0x156e0,
		.set_end_sessions = 0x13270,
		.probes = debian12_amd64,
	},
};

struct image {
	uintptr_t base;
	uint64_t end;
	uint64_t text, text_end;
	uint8_t build_id[BUILD_ID];
	bool has_id;
};

static struct image image; /* of the running program */

static void read_notes(struct image *im, const uint8_t *p, size_t left, size_t align)
{
	while (left >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr h;
		size_t name, desc;

		memcpy(&h, p, sizeof(h));
		name = ((size_t)h.n_namesz + align - 1) & ~(align - 1);
		desc = ((size_t)h.n_descsz + align - 1) & ~(align - 1);
		if (name > left - sizeof(h) || desc > left - sizeof(h) - name)
			return;
		if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 && h.n_descsz == BUILD_ID &&
		    !memcmp(p + sizeof(h), "GNU", 4)) {
			memcpy(im->build_id, p + sizeof(h) + name, BUILD_ID);
			im->has_id = true;
			return;
		}
		p += sizeof(h) + name + desc;
		left -= sizeof(h) + name + desc;
	}
}

static void read_segment(struct image *im, const Elf64_Phdr *ph)
{
	if (ph->p_type == PT_LOAD && ph->p_vaddr + ph->p_memsz > im->end)
		im->end = ph->p_vaddr + ph->p_memsz;
	if (ph->p_type == PT_LOAD && (ph->p_flags & PF_X) && (ph->p_flags & PF_R)) {
		im->text = ph->p_vaddr;
		im->text_end = ph->p_vaddr + ph->p_filesz;
	}
	if (ph->p_type == PT_NOTE)
		read_notes(im, (const uint8_t *)im->base + ph->p_vaddr, ph->p_memsz,
			   ph->p_align == 8 ? 8 : 4);
}

/* The object that the packets go to. */
static void read_image(struct image *im, const void *callback)
{
	const Elf64_Ehdr *eh;
	const Elf64_Phdr *ph;
	Dl_info info;

	*im = (struct image){0};
	if (!dladdr(callback, &info) || !info.dli_fbase)
		return;
	eh = info.dli_fbase;
	if (memcmp(eh->e_ident, ELFMAG, SELFMAG) || eh->e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh->e_phoff > PAGE || eh->e_phnum > (PAGE - eh->e_phoff) / sizeof(*ph))
		return;
	im->base = (uintptr_t)eh;
	ph = (const Elf64_Phdr *)(im->base + eh->e_phoff);
	for (int i = 0; i < eh->e_phnum; i++)
		read_segment(im, &ph[i]);
}

static void id_text(const struct image *im, char out[2 * BUILD_ID + 1])
{
	for (int i = 0; i < BUILD_ID; i++)
		snprintf(out + 2 * i, 3, "%02x", im->build_id[i]);
}

static const struct nf_prads_map *find(const struct image *im)
{
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		if (im->has_id && !memcmp(im->build_id, maps[i].build_id, BUILD_ID))
			return &maps[i];
	return NULL;
}

static const struct probe *failed_probe(const struct image *im, const struct probe *p)
{
	for (; p->len; p++)
		if (p->at < im->text || p->at + p->len > im->text_end ||
		    memcmp((const void *)(im->base + p->at), p->code, p->len))
			return p;
	return NULL;
}

static void *at(uint32_t offset)
{
	return (void *)(image.base + offset);
}

static void set_roots(struct nf_prads *p, const struct nf_prads_map *m)
{
	p->conns = at(m->conns);
	p->assets = at(m->assets);
	p->cxid = at(m->cxid);
	p->inpacket = at(m->inpacket);
	p->intr_flag = at(m->intr_flag);
	for (int i = 0; i < NF_PRADS_SIGS; i++)
		p->sigs[i] = at(m->sigs[i]);
	p->sig_buckets = at(m->sig_buckets);
	p->macs = at(m->macs);
	p->mac_buckets = at(m->mac_buckets);
}

int nf_prads_map_find(struct nf_prads *p, const struct nf_prads_map **map, const void *callback,
		      char *why, size_t whylen)
{
	const struct nf_prads_map *m;
	const struct probe *bad;
	char id[2 * BUILD_ID + 1];

	read_image(&image, callback);
	m = find(&image);
	id_text(&image, id);
	if (!m) {
		snprintf(why, whylen,
			 "this PRADS (build-id %s) is not a build that the adapter knows: install "
			 "%s, whose state can be moved",
			 image.has_id ? id : "none", maps[0].package);
		return -ENOTSUP;
	}
	bad = failed_probe(&image, m->probes);
	if (image.end != m->end || bad) {
		snprintf(why, whylen,
			 "this PRADS says that it is %s, but its %s differs (at 0x%x): it was "
			 "modified; reinstall the package",
			 m->package, bad ? "code" : "size", bad ? bad->at : (unsigned)image.end);
		return -ENOTSUP;
	}
	set_roots(p, m);
	*map = m;
	return 0;
}

static int refuse(char *why, size_t whylen, const char *what)
{
	snprintf(why, whylen,
		 "PRADS is not as the adapter knows it: %s; is another library preloaded that "
		 "changes it?",
		 what);
	return -ENOTSUP;
}

int nf_prads_map_check(const struct nf_prads *p, const struct nf_prads_map *m, const void *callback,
		       const void *handle, char *why, size_t whylen)
{
	struct sigaction alarm_now;

	if (callback != at(m->got_packet))
		return refuse(why, whylen, "its input goes to another function than got_packet");
	if (*(void **)at(m->handle) != handle)
		return refuse(why, whylen, "its configuration names another capture handle");
	if (sigaction(SIGALRM, NULL, &alarm_now) < 0 ||
	    (void *)alarm_now.sa_handler != at(m->set_end_sessions))
		return refuse(why, whylen, "SIGALRM does not run set_end_sessions");
	if (*p->inpacket)
		return refuse(why, whylen, "it is processing a packet already");
	if (!nf_prads_sane(&nf_prads_conns, p->conns) ||
	    !nf_prads_sane(&nf_prads_assets, p->assets))
		return refuse(why, whylen, "its tables do not hold what they should");
	return 0;
}
