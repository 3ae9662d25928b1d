/* SPDX-License-Identifier: BSD-2-Clause */
/* An asset to bytes and back. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "prads_asset.h"

#define ENTRIES_MAX 65535u /* services or operating systems of an asset */

static void write_str(struct nf_writer *w, const struct prads_string *s)
{
	bool there = s && s->data && s->slen >= 0;

	nf_put_str(w, there ? s->data : NULL, there ? (size_t)s->slen : 0);
}

static void write_cstr(struct nf_writer *w, const char *s)
{
	nf_put_str(w, s, s ? strlen(s) : 0);
}

static unsigned length(const struct prads_node *list)
{
	unsigned n = 0;

	for (; list; list = list->next)
		n++;
	return n;
}

static void write_serv(struct nf_writer *w, const struct prads_serv *s)
{
	nf_put_u64(w, (uint64_t)s->first);
	nf_put_u64(w, (uint64_t)s->last);
	nf_put_u16(w, s->attempts);
	nf_put_u16(w, s->proto);
	nf_put_u16(w, ntohs(s->port));
	nf_put_u8(w, s->ttl);
	nf_put_u32(w, (uint32_t)s->role);
	nf_put_u32(w, (uint32_t)s->unknown);
	write_str(w, s->service);
	write_str(w, s->application);
}

static void write_fp(struct nf_writer *w, const struct prads_fp *f)
{
	nf_put_u8(w, f->no_detail);
	nf_put_u8(w, f->generic);
	nf_put_u8(w, f->userland);
	nf_put_u16(w, f->wsize);
	nf_put_u8(w, f->wsize_mod);
	nf_put_u8(w, f->ttl);
	nf_put_u8(w, f->df);
	nf_put_u8(w, f->zero_stamp);
	nf_put_u16(w, f->size);
	nf_put_u8(w, f->optcnt);
	nf_put(w, f->opt, sizeof(f->opt));
	nf_put_u16(w, f->wsc);
	nf_put_u16(w, f->mss);
	nf_put_u8(w, f->wsc_mod);
	nf_put_u8(w, f->mss_mod);
	nf_put_u32(w, f->quirks);
	nf_put_u32(w, f->line);
}

static void write_os(const struct nf_prads *p, struct nf_writer *w, const struct prads_os *o)
{
	nf_put_u64(w, (uint64_t)o->first);
	nf_put_u64(w, (uint64_t)o->last);
	nf_put_u16(w, o->attempts);
	nf_put_u8(w, o->detection);
	nf_put_u16(w, o->port);
	nf_put_u16(w, o->mtu);
	nf_put_u8(w, o->ttl);
	nf_put_u32(w, o->uptime);
	write_fp(w, &o->fp);
	nf_put_u32(w, nf_prads_sig_line(p, o));
	write_cstr(w, o->fp.os);
	write_cstr(w, o->fp.desc);
	write_str(w, o->raw_fp);
}

static void write_vendor(struct nf_writer *w, const struct prads_mac *m)
{
	nf_put_u8(w, m && m->vendor);
	if (!m || !m->vendor)
		return;
	nf_put(w, m->o, sizeof(m->o));
	nf_put_u8(w, m->mask);
	write_cstr(w, m->vendor);
}

void nf_prads_asset_write(const struct nf_prads *p, struct nf_writer *w,
			  const struct prads_asset *a)
{
	unsigned services = length(a->services), os = length(a->os);

	nf_put_u64(w, (uint64_t)a->first);
	nf_put_u64(w, (uint64_t)a->last);
	nf_put_u16(w, a->attempts);
	nf_put_u16(w, ntohs(a->vlan));
	nf_put(w, a->mac, sizeof(a->mac));
	write_vendor(w, a->vendor);
	if (services > ENTRIES_MAX || os > ENTRIES_MAX) {
		w->refused = true;
		return;
	}
	nf_put_u16(w, (uint16_t)services);
	for (const struct prads_node *n = a->services; n; n = n->next)
		write_serv(w, (const struct prads_serv *)n);
	nf_put_u16(w, (uint16_t)os);
	for (const struct prads_node *n = a->os; n; n = n->next)
		write_os(p, w, (const struct prads_os *)n);
}

/* ---- and back ---- */

static void str_free(struct prads_string *s)
{
	if (s)
		free(s->data);
	free(s);
}

void nf_prads_serv_free(struct prads_node *n)
{
	struct prads_serv *s = (struct prads_serv *)n;

	str_free(s->service);
	str_free(s->application);
	free(s);
}

void nf_prads_os_free(struct prads_node *n)
{
	struct prads_os *o = (struct prads_os *)n;

	str_free(o->raw_fp);
	free(o);
}

void nf_prads_asset_free(struct prads_asset *a)
{
	struct prads_node *next;

	for (struct prads_node *n = a->services; n; n = next) {
		next = n->next;
		nf_prads_serv_free(n);
	}
	for (struct prads_node *n = a->os; n; n = next) {
		next = n->next;
		nf_prads_os_free(n);
	}
	free(a);
}

static int read_str(struct nf_reader *r, struct prads_string **out)
{
	size_t n;
	const uint8_t *b = nf_take_str(r, &n);
	struct prads_string *s;

	if (!b)
		return 0;
	s = malloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->data = malloc(n + 1);
	if (!s->data) {
		free(s);
		return -ENOMEM;
	}
	memcpy(s->data, b, n);
	s->data[n] = 0;
	s->slen = (int)n;
	s->mlen = (int)n + 1;
	*out = s;
	return 0;
}

/* A text of ours, terminated; NULL if it is not there. */
static const char *read_cstr(struct nf_reader *r, char buf[NF_PRADS_STR_MAX + 1])
{
	size_t n;
	const uint8_t *b = nf_take_str(r, &n);

	if (!b)
		return NULL;
	memcpy(buf, b, n);
	buf[n] = 0;
	return buf;
}

static int read_serv(struct nf_reader *r, struct prads_serv *s)
{
	int err;

	s->first = (int64_t)nf_take_u64(r);
	s->last = (int64_t)nf_take_u64(r);
	s->attempts = nf_take_u16(r);
	s->proto = nf_take_u16(r);
	s->port = htons(nf_take_u16(r));
	s->ttl = nf_take_u8(r);
	s->role = (int)nf_take_u32(r);
	s->unknown = (int)nf_take_u32(r);
	err = read_str(r, &s->service);
	if (!err)
		err = read_str(r, &s->application);
	if (!err && (r->bad || !s->service || !s->application))
		err = -EINVAL; /* PRADS looks at their first byte without asking */
	return err;
}

static void read_fp(struct nf_reader *r, struct prads_fp *f)
{
	const uint8_t *opt;

	f->no_detail = nf_take_u8(r);
	f->generic = nf_take_u8(r);
	f->userland = nf_take_u8(r);
	f->wsize = nf_take_u16(r);
	f->wsize_mod = nf_take_u8(r);
	f->ttl = nf_take_u8(r);
	f->df = nf_take_u8(r);
	f->zero_stamp = nf_take_u8(r);
	f->size = nf_take_u16(r);
	f->optcnt = nf_take_u8(r);
	opt = nf_take(r, sizeof(f->opt));
	if (opt)
		memcpy(f->opt, opt, sizeof(f->opt));
	f->wsc = nf_take_u16(r);
	f->mss = nf_take_u16(r);
	f->wsc_mod = nf_take_u8(r);
	f->mss_mod = nf_take_u8(r);
	f->quirks = nf_take_u32(r);
	f->line = nf_take_u32(r);
	if (f->optcnt > PRADS_OPTIONS)
		r->bad = true;
}

static int read_os(const struct nf_prads *p, struct nf_reader *r, struct prads_os *o)
{
	char name[NF_PRADS_STR_MAX + 1], desc[NF_PRADS_STR_MAX + 1];
	const char *n, *d;
	uint32_t line;
	int err;

	o->first = (int64_t)nf_take_u64(r);
	o->last = (int64_t)nf_take_u64(r);
	o->attempts = nf_take_u16(r);
	o->detection = nf_take_u8(r);
	o->port = nf_take_u16(r);
	o->mtu = nf_take_u16(r);
	o->ttl = nf_take_u8(r);
	o->uptime = nf_take_u32(r);
	read_fp(r, &o->fp);
	line = nf_take_u32(r);
	n = read_cstr(r, name);
	d = read_cstr(r, desc);
	err = read_str(r, &o->raw_fp);
	if (err)
		return err;
	if (r->bad || !o->detection || (o->detection & (o->detection - 1)))
		return -EINVAL;
	return nf_prads_sig_link(p, o, line, n, d);
}

static void read_vendor(const struct nf_prads *p, struct nf_reader *r, struct prads_asset *a)
{
	char vendor[NF_PRADS_STR_MAX + 1];
	uint8_t there = nf_take_u8(r), mask;
	const uint8_t *o;

	if (there > 1)
		r->bad = true;
	if (r->bad || !there)
		return;
	o = nf_take(r, sizeof(a->mac));
	mask = nf_take_u8(r);
	if (read_cstr(r, vendor) && o)
		a->vendor = nf_prads_mac_link(p, o, mask, vendor);
	else
		r->bad = true;
}

static int read_services(struct nf_reader *r, struct prads_asset *a)
{
	struct prads_node **tail = &a->services;
	int err = 0;

	for (unsigned n = nf_take_u16(r); n && !err && !r->bad; n--) {
		struct prads_serv *s = calloc(1, sizeof(*s));

		if (!s)
			return -ENOMEM;
		*tail = &s->node;
		tail = &s->node.next;
		err = read_serv(r, s);
	}
	return err;
}

static int read_systems(const struct nf_prads *p, struct nf_reader *r, struct prads_asset *a)
{
	struct prads_node **tail = &a->os, *prev = NULL;
	int err = 0;

	for (unsigned n = nf_take_u16(r); n && !err && !r->bad; n--) {
		struct prads_os *o = calloc(1, sizeof(*o));

		if (!o)
			return -ENOMEM;
		o->node.prev = prev;
		*tail = prev = &o->node;
		tail = &o->node.next;
		err = read_os(p, r, o);
	}
	return err;
}

int nf_prads_asset_read(const struct nf_prads *p, struct nf_reader *r, struct prads_asset *a)
{
	const uint8_t *mac;
	int err;

	a->first = (int64_t)nf_take_u64(r);
	a->last = (int64_t)nf_take_u64(r);
	a->attempts = nf_take_u16(r);
	a->vlan = htons(nf_take_u16(r));
	mac = nf_take(r, sizeof(a->mac));
	if (mac)
		memcpy(a->mac, mac, sizeof(a->mac));
	read_vendor(p, r, a);
	err = r->bad ? -EINVAL : read_services(r, a);
	if (!err)
		err = r->bad ? -EINVAL : read_systems(p, r, a);
	return !err && r->bad ? -EINVAL : err;
}
