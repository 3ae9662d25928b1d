/* SPDX-License-Identifier: BSD-2-Clause */
/* Codec: plain structs to protobuf and back. What comes from a peer is checked here, field by
 * field; behind this file it can be trusted in form. */
#include "msg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nfshim.pb-c.h"

/* Covers any decoded message but for record payloads, which are copied. */
#define ARENA (16u << 10)
#define STATS (sizeof(struct nf_rec_stats) / sizeof(uint64_t))

/* Decoding allocates from here; a record of a megabyte falls back to malloc. */
struct arena {
	size_t at;
	_Alignas(16) uint8_t mem[ARENA];
};

/* Made at a thread's first decode: in the thread's static storage it would not leave the NF's
 * other threads room on a smallest stack. One thread of a process decodes, until the end. */
static __thread struct arena *arena;
static __thread Nfpb__Msg *decoded; /* what the last RECORD's payload points into */

static void *arena_alloc(void *data, size_t n)
{
	struct arena *a = data;
	size_t at = (a->at + 15) & ~(size_t)15;

	if (n == 0 || n > ARENA || at > ARENA - n)
		return malloc(n);
	a->at = at + n;
	return a->mem + at;
}

static void arena_free(void *data, void *p)
{
	struct arena *a = data;
	uint8_t *b = p;

	if (b < a->mem || b >= a->mem + ARENA)
		free(p);
}

static ProtobufCAllocator allocator(void)
{
	return (ProtobufCAllocator){arena_alloc, arena_free, arena};
}

/* ---- encode ---- */

static ProtobufCBinaryData bin(const void *p, size_t n)
{
	return (ProtobufCBinaryData){n, (uint8_t *)(uintptr_t)p};
}

static int put_frame(const Nfpb__Msg *m, uint8_t **buf, size_t *len, size_t *cap)
{
	size_t n = nfpb__msg__get_packed_size(m), need = *len + 4 + n, grown = *cap ? *cap : 4096;
	uint32_t be = htonl((uint32_t)n);
	uint8_t *p;

	if (n > NF_MSG_MAX)
		return -EMSGSIZE;
	while (grown < need)
		grown *= 2;
	if (grown != *cap) {
		p = realloc(*buf, grown);
		if (!p)
			return -ENOMEM;
		*buf = p;
		*cap = grown;
	}
	memcpy(*buf + *len, &be, 4);
	nfpb__msg__pack(m, *buf + *len + 4);
	*len = need;
	return 0;
}

static void put_begin(const struct nf_msg_begin *b, Nfpb__Begin *o, ProtobufCBinaryData *marks)
{
	o->move = b->move;
	o->side = b->side;
	o->peer = (char *)(uintptr_t)b->peer;
	o->peer_addr = (char *)(uintptr_t)b->peer_addr;
	o->token = bin(b->token, sizeof(b->token));
	o->space = (char *)(uintptr_t)b->space;
	o->slice_us = b->opt.slice_us;
	o->slice_flows = b->opt.slice_flows;
	o->hold_packets = b->opt.hold_packets;
	o->hold_bytes = b->opt.hold_bytes;
	o->linger_ms = b->opt.linger_ms;
	for (uint32_t i = 0; i < b->opt.marks && i < NF_MARK_MAX; i++)
		marks[o->n_mark++] = bin(b->opt.mark[i], NF_MARK_SECRET);
	o->mark = marks;
	o->buffer_packets = b->buffer_packets;
	o->buffer_bytes = b->buffer_bytes;
	o->reserve_bytes = b->reserve_bytes;
	o->wait_ms = b->wait_ms;
	o->inject = b->opt.inject;
	o->guarantee = b->opt.guarantee;
}

/* Room for the parts of a STATUS. */
struct parts {
	Nfpb__Drops one[NF_FAMILIES_MAX];
	Nfpb__Drops *list[NF_FAMILIES_MAX];
	uint32_t threads[NF_THREADS];
};

static void put_status(const struct nf_msg_status *s, Nfpb__Status *o, struct parts *p)
{
	o->name = (char *)(uintptr_t)s->name;
	o->program = (char *)(uintptr_t)s->program;
	o->pid = s->pid;
	o->provider = (char *)(uintptr_t)s->provider;
	o->reason = (char *)(uintptr_t)s->reason;
	o->input = s->input;
	o->packets = s->packets;
	o->move = s->move;
	o->side = s->side;
	o->phase = s->phase;
	for (uint32_t i = 0; i < s->families && i < NF_FAMILIES_MAX; i++) {
		nfpb__drops__init(&p->one[i]);
		p->one[i].family = (char *)(uintptr_t)s->drops[i].family;
		p->one[i].calls = s->drops[i].calls;
		p->one[i].dropped = s->drops[i].dropped;
		p->one[i].bytes = s->drops[i].bytes;
		p->list[o->n_drops++] = &p->one[i];
	}
	o->drops = p->list;
	for (unsigned i = 0; i < NF_THREADS; i++)
		p->threads[i] = s->thread[i];
	o->thread = p->threads;
	o->n_thread = NF_THREADS;
}

static void put_event(const struct nf_msg_event *e, Nfpb__Event *o, uint64_t *stats)
{
	o->move = e->move;
	o->what = e->what;
	o->rec = e->rec;
	o->version = e->version;
	o->flow = bin(&e->flow, sizeof(e->flow));
	memcpy(stats, &e->stats, sizeof(e->stats));
	o->stats = stats;
	o->n_stats = STATS;
	o->buffered = e->buffered;
	o->buffered_bytes = e->buffered_bytes;
	o->reserve = e->reserve;
	o->dropped = e->dropped;
	o->reexports = e->reexports;
	o->text = (char *)(uintptr_t)e->text;
}

static void put_record(const struct nf_rec *r, const uint8_t *payload, Nfpb__Record *o)
{
	o->type = r->type;
	o->scope = r->scope;
	o->flags = r->flags;
	o->capture = r->capture;
	o->thread = r->thread;
	o->move = r->move;
	o->version = r->version;
	o->epoch = r->epoch;
	o->wirelen = r->wirelen;
	o->sec = r->sec;
	o->nsec = r->nsec;
	o->flow = bin(&r->flow, sizeof(r->flow));
	o->payload = bin(payload, nf_rec_payload(r));
}

int nf_msg_encode(const struct nf_msg *m, uint8_t **buf, size_t *len, size_t *cap)
{
	Nfpb__Msg out = NFPB__MSG__INIT;
	Nfpb__Hello hello = NFPB__HELLO__INIT;
	Nfpb__Status status = NFPB__STATUS__INIT;
	Nfpb__Begin begin = NFPB__BEGIN__INIT;
	Nfpb__Order order = NFPB__ORDER__INIT;
	Nfpb__Event event = NFPB__EVENT__INIT;
	Nfpb__List list = NFPB__LIST__INIT;
	Nfpb__Record record = NFPB__RECORD__INIT;
	Nfpb__Channel channel = NFPB__CHANNEL__INIT;
	ProtobufCBinaryData marks[NF_MARK_MAX];
	uint64_t stats[STATS];
	struct parts parts;

	out.kind_case = (Nfpb__Msg__KindCase)m->type;
	switch (m->type) {
	case NF_MSG_HELLO:
		hello.version = m->hello.version;
		hello.role = m->hello.role;
		hello.name = (char *)(uintptr_t)m->hello.name;
		hello.move = m->hello.move;
		if (m->hello.role == NF_ROLE_PEER)
			hello.token = bin(m->hello.token, sizeof(m->hello.token));
		hello.listen = (char *)(uintptr_t)m->hello.listen;
		hello.others = m->hello.others;
		out.hello = &hello;
		break;
	case NF_MSG_REFUSED:
		out.refused = (char *)(uintptr_t)m->text;
		break;
	case NF_MSG_ASK:
		out.ask = 1;
		break;
	case NF_MSG_STATUS:
		put_status(&m->status, &status, &parts);
		out.status = &status;
		break;
	case NF_MSG_BEGIN:
		put_begin(&m->begin, &begin, marks);
		out.begin = &begin;
		break;
	case NF_MSG_ORDER:
		order.move = m->order.move;
		order.what = m->order.what;
		out.order = &order;
		break;
	case NF_MSG_EVENT:
		put_event(&m->event, &event, stats);
		out.event = &event;
		break;
	case NF_MSG_LIST:
		list.id = m->list.id;
		list.space = (char *)(uintptr_t)m->list.space;
		out.list = &list;
		break;
	case NF_MSG_RECORD:
		put_record(&m->record.hdr, m->record.payload, &record);
		out.record = &record;
		break;
	case NF_MSG_CHANNEL:
		channel.thread = m->channel;
		out.channel = &channel;
		break;
	default:
		return -EINVAL;
	}
	return put_frame(&out, buf, len, cap);
}

/* ---- decode ---- */

/* Text that may reach a terminal: printable, UTF-8 passes, no control characters. */
static int get_text(const char *in, char *out, size_t cap)
{
	size_t n = in ? strlen(in) : 0;

	if (n >= cap)
		return -EPROTO;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)in[i] < 0x20 || in[i] == 0x7f)
			return -EPROTO;
	memset(out, 0, cap);
	memcpy(out, in, n);
	return 0;
}

static int get_name(const char *in, char *out, size_t cap)
{
	int err = get_text(in, out, cap);

	for (const char *c = out; !err && *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
		      (*c >= '0' && *c <= '9') || *c == '.' || *c == '_' || *c == '-'))
			err = -EPROTO;
	return err;
}

static int get_bytes(const ProtobufCBinaryData *in, void *out, size_t n)
{
	if (in->len != n)
		return -EPROTO;
	memcpy(out, in->data, n);
	return 0;
}

static int get_flow(const ProtobufCBinaryData *in, struct nfshim_flow *f)
{
	if (get_bytes(in, f, sizeof(*f)) || f->kind > NFSHIM_KIND_OTHER)
		return -EPROTO;
	return 0;
}

static int get_hello(const Nfpb__Hello *in, struct nf_msg_hello *h)
{
	int err;

	h->version = in->version;
	if (in->role > NF_ROLE_PEER)
		return -EPROTO;
	h->role = (enum nf_role)in->role;
	h->move = in->move;
	if (in->others >= NF_THREADS)
		return -EPROTO;
	h->others = in->others;
	err = get_name(in->name, h->name, sizeof(h->name));
	if (!err && h->role == NF_ROLE_PEER)
		err = get_bytes(&in->token, h->token, sizeof(h->token));
	if (!err)
		err = get_text(in->listen, h->listen, sizeof(h->listen));
	return err;
}

static int get_drops(const Nfpb__Status *in, struct nf_msg_status *s)
{
	int err = in->n_drops > NF_FAMILIES_MAX ? -EPROTO : 0;

	for (size_t i = 0; i < in->n_drops && !err; i++) {
		struct nf_msg_drops *d = &s->drops[s->families++];

		err = get_name(in->drops[i]->family, d->family, sizeof(d->family));
		d->calls = in->drops[i]->calls;
		d->dropped = in->drops[i]->dropped;
		d->bytes = in->drops[i]->bytes;
	}
	return err;
}

static int get_status(const Nfpb__Status *in, struct nf_msg_status *s)
{
	int err = get_name(in->name, s->name, sizeof(s->name));

	if (!err)
		err = get_text(in->program, s->program, sizeof(s->program));
	if (!err)
		err = get_text(in->provider, s->provider, sizeof(s->provider));
	if (!err)
		err = get_text(in->reason, s->reason, sizeof(s->reason));
	if (err || in->side > NF_SIDE_DST || in->phase > NF_PHASE_LINGER ||
	    in->n_thread > NF_THREADS)
		return -EPROTO;
	s->pid = in->pid;
	s->input = in->input;
	s->packets = in->packets;
	s->move = in->move;
	s->side = in->side;
	s->phase = in->phase;
	memset(s->thread, 0, sizeof(s->thread));
	for (size_t i = 0; i < in->n_thread; i++)
		s->thread[i] = (uint8_t)in->thread[i];
	return get_drops(in, s);
}

static int get_begin(const Nfpb__Begin *in, struct nf_msg_begin *b)
{
	int err;

	if (in->side != NF_SIDE_SRC && in->side != NF_SIDE_DST)
		return -EPROTO;
	if (in->n_mark > NF_MARK_MAX || in->hold_packets > 100000000u ||
	    in->inject > NF_INJECT_VETH || in->guarantee > NF_NONE)
		return -EPROTO;
	b->move = in->move;
	b->side = (enum nf_side)in->side;
	err = get_name(in->peer, b->peer, sizeof(b->peer));
	if (!err)
		err = get_text(in->peer_addr, b->peer_addr, sizeof(b->peer_addr));
	if (!err)
		err = get_bytes(&in->token, b->token, sizeof(b->token));
	if (!err)
		err = get_text(in->space, b->space, sizeof(b->space));
	for (size_t i = 0; i < in->n_mark && !err; i++)
		err = get_bytes(&in->mark[i], b->opt.mark[i], NF_MARK_SECRET);
	b->opt.marks = (uint32_t)in->n_mark;
	b->opt.slice_us = in->slice_us;
	b->opt.slice_flows = in->slice_flows;
	b->opt.hold_packets = in->hold_packets;
	b->opt.hold_bytes = in->hold_bytes;
	b->opt.linger_ms = in->linger_ms;
	b->opt.inject = in->inject;
	b->opt.guarantee = in->guarantee;
	b->buffer_packets = in->buffer_packets;
	b->buffer_bytes = in->buffer_bytes;
	b->reserve_bytes = in->reserve_bytes;
	b->wait_ms = in->wait_ms;
	return err;
}

static bool known_rec(uint32_t t)
{
	return t == 0 || *nf_rec_name((enum nf_rec_type)t) != '?';
}

static int get_event(const Nfpb__Event *in, struct nf_msg_event *e)
{
	if (in->what > NF_EVENT_FLOW || !known_rec(in->rec) || in->n_stats != STATS ||
	    get_flow(&in->flow, &e->flow))
		return -EPROTO;
	e->move = in->move;
	e->what = (enum nf_event)in->what;
	e->rec = (enum nf_rec_type)in->rec;
	e->version = in->version;
	memcpy(&e->stats, in->stats, sizeof(e->stats));
	e->buffered = in->buffered;
	e->buffered_bytes = in->buffered_bytes;
	e->reserve = in->reserve;
	e->dropped = in->dropped;
	e->reexports = in->reexports;
	return get_text(in->text, e->text, sizeof(e->text));
}

static int get_record(const Nfpb__Record *in, struct nf_msg *m)
{
	struct nf_rec *r = &m->record.hdr;

	if (in->type == 0 || in->type > 255 || !known_rec(in->type) || in->scope > 3 ||
	    in->flags & ~(uint32_t)NF_REC_STREAM_FLAGS || in->capture > 255 ||
	    in->thread >= NF_THREADS || in->nsec >= 1000000000u ||
	    in->payload.len > NF_REC_MAX - sizeof(*r) || get_flow(&in->flow, &r->flow))
		return -EPROTO;
	r->len = (uint32_t)(sizeof(*r) + in->payload.len);
	r->type = (uint8_t)in->type;
	r->scope = (uint8_t)in->scope;
	r->flags = (uint8_t)in->flags;
	r->capture = (uint8_t)in->capture;
	r->move = in->move;
	r->version = in->version;
	r->epoch = in->epoch;
	r->wirelen = in->wirelen;
	r->sec = in->sec;
	r->nsec = in->nsec;
	r->thread = in->thread;
	r->zero = 0;
	m->record.payload = in->payload.data;
	return 0;
}

static int get(const Nfpb__Msg *in, struct nf_msg *m)
{
	m->type = (enum nf_msg_type)in->kind_case;
	switch (in->kind_case) {
	case NFPB__MSG__KIND_HELLO:
		return get_hello(in->hello, &m->hello);
	case NFPB__MSG__KIND_REFUSED:
		return get_text(in->refused, m->text, sizeof(m->text));
	case NFPB__MSG__KIND_ASK:
		return 0;
	case NFPB__MSG__KIND_STATUS:
		return get_status(in->status, &m->status);
	case NFPB__MSG__KIND_BEGIN:
		return get_begin(in->begin, &m->begin);
	case NFPB__MSG__KIND_ORDER:
		if (in->order->what < NF_REC_PREPARE || in->order->what > NF_REC_END)
			return -EPROTO;
		m->order.move = in->order->move;
		m->order.what = (enum nf_rec_type)in->order->what;
		return 0;
	case NFPB__MSG__KIND_EVENT:
		return get_event(in->event, &m->event);
	case NFPB__MSG__KIND_LIST:
		m->list.id = in->list->id;
		return get_text(in->list->space, m->list.space, sizeof(m->list.space));
	case NFPB__MSG__KIND_RECORD:
		return get_record(in->record, m);
	case NFPB__MSG__KIND_CHANNEL:
		m->channel = in->channel->thread;
		return m->channel < NF_THREADS ? 0 : -EPROTO;
	default:
		return -EPROTO;
	}
}

int nf_msg_decode(const uint8_t *body, size_t len, struct nf_msg *m)
{
	ProtobufCAllocator a;
	int err;

	m->type = NF_MSG_NONE;
	if (!arena)
		arena = malloc(sizeof(*arena));
	if (!arena)
		return -ENOMEM;
	a = allocator();
	if (decoded) {
		nfpb__msg__free_unpacked(decoded, &a);
		decoded = NULL;
	}
	arena->at = 0;
	if (len > NF_MSG_MAX)
		return -EMSGSIZE;
	decoded = nfpb__msg__unpack(&a, len, body);
	if (!decoded)
		return -EPROTO;
	memset(m, 0, offsetof(struct nf_msg, hello));
	if (decoded->kind_case == NFPB__MSG__KIND_RECORD)
		memset(&m->record, 0, sizeof(m->record));
	else
		memset(m, 0, sizeof(*m));
	err = get(decoded, m);
	if (err)
		m->type = NF_MSG_NONE;
	return err;
}

/* ---- names ---- */

const char *nf_msg_version_why(const char *who, uint32_t version)
{
	static char why[NF_NAME_MAX + 160];

	if (version == NF_PROTO_VERSION)
		return NULL;
	snprintf(why, sizeof(why),
		 "%.80s speaks version %u of the protocol, this side version %d: install the same "
		 "nfshim for both",
		 who, version, NF_PROTO_VERSION);
	return why;
}

const char *nf_rec_name(enum nf_rec_type t)
{
	switch (t) {
#define N(x)                                                                                       \
	case NF_REC_##x:                                                                           \
		return #x;
		N(BEGIN_DST)
		N(BEGIN_SRC)
		N(PREPARE)
		N(ABORT)
		N(REVERT)
		N(FENCE)
		N(FINISH)
		N(END)
		N(LIST)
		N(STATE)
		N(CLONE)
		N(BARRIER)
		N(FIN)
		N(FINALL)
		N(FWD)
		N(DONE)
		N(REEXP)
		N(BEGUN)
		N(EXPORTED)
		N(PREPARED)
		N(READY)
		N(MARKED)
		N(COMMITTED)
		N(RELEASED)
		N(UNFINISHED)
		N(OVER)
		N(FAILED)
		N(LISTED)
		N(LIST_END)
		N(GOT)
		N(RESEND)
#undef N
	}
	return "?";
}

const char *nf_phase_name(enum nf_phase p)
{
	static const char *const name[] = {"idle",  "begun",  "exported", "prepared",
					   "ready", "marked", "linger"};

	return p < sizeof(name) / sizeof(name[0]) ? name[p] : "?";
}
