/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames whose mark is not what it seems are the NF's like any other; those with a true one pass
 * its filter as the packet does. */
#include <pcap/pcap.h>
#include <stdlib.h>

#include "cases.h"
#include "flow.h"
#include "tag.h"
#include "veth.h"

#define LARGEST (1514 - NF_TAG_LEN) /* packet that the link carries with its mark */
#define EVIL	3		    /* flow of the frames that are not clones */
#define NUMBER	77
#define ROOM	2048

struct frame {
	uint8_t data[ROOM];
	uint32_t len;
};

/* A packet of @len bytes, in @tags VLANs. */
static struct frame packet(unsigned flow, enum play_what what, uint32_t len, unsigned tags)
{
	static const uint8_t vlans[] = {0x88, 0xa8, 0, 5, 0x81, 0, 0, 6};
	struct frame f = {.len = len + 4 * tags};
	uint8_t plain[PLAY_FRAME];

	play_frame(plain, flow, NUMBER, what);
	memcpy(f.data, plain, 12);
	memcpy(f.data + 12, vlans + (tags == 1 ? 4 : 0), 4 * tags);
	memcpy(f.data + 12 + 4 * tags, plain + 12, PLAY_FRAME - 12);
	return f;
}

static struct frame marked(struct frame f, uint64_t seq)
{
	f.len = veth_mark(f.data, f.len, 0, seq);
	return f;
}

static void insert(struct frame *f, const char *vlan)
{
	memmove(f->data + 16, f->data + 12, f->len - 12);
	memcpy(f->data + 12, vlan, 4);
	f->len += 4;
}

static void send_it(const struct frame *f)
{
	frame_send("sw0", f->data, f->len);
}

/* ---- marks that are not ours ---- */

static void forged_mark(struct frame *f)
{
	f->data[f->len - 1] ^= 1;
}

static void forged_number(struct frame *f)
{
	f->data[f->len - NF_TAG_LEN + 23] ^= 4;
}

static void forged_packet(struct frame *f)
{
	f->data[PLAY_FRAME - 1] ^= 1;
}

static void other_packet(struct frame *f)
{
	struct frame own = packet(EVIL, PLAY_COUNT, 80, 0);

	memmove(f->data + own.len, f->data + f->len - NF_TAG_LEN, NF_TAG_LEN);
	memcpy(f->data, own.data, own.len);
	f->len = own.len + NF_TAG_LEN;
}

static void other_key(struct frame *f)
{
	static const uint8_t key[NF_TAG_KEY] = "sixteen of them";
	const struct nf_tag tag = {.move = STAGE_MOVE, .seq = 1, .wirelen = f->len - NF_TAG_LEN};

	nf_tag_put(key, &tag, f->data, f->len - NF_TAG_LEN);
}

static void truncated(struct frame *f)
{
	f->len--;
}

static void truncated_most(struct frame *f)
{
	f->len -= NF_TAG_LEN - 4;
}

static void padded(struct frame *f)
{
	f->data[f->len++] = 0;
}

/* The last fragment, which has the mark at its end. */
static void fragment(struct frame *f)
{
	f->data[14 + 7] = 24 / 8;
	memmove(f->data + PLAY_FRAME, f->data + PLAY_FRAME + 24, f->len - PLAY_FRAME - 24);
	f->len -= 24;
}

static void in_vlan(struct frame *f)
{
	insert(f, "\x81\0\0\5");
}

static void in_qinq(struct frame *f)
{
	insert(f, "\x81\0\0\6");
	insert(f, "\x88\xa8\0\5");
}

/* Of another flow, since the VLAN is another. */
static void other_vlan(struct frame *f)
{
	*f = marked(packet(EVIL, PLAY_COUNT, 200, 1), 1);
	f->data[15] ^= 1;
}

static void largest(struct frame *f)
{
	*f = marked(packet(EVIL, PLAY_COUNT, LARGEST, 0), 1);
	f->data[LARGEST - 1] ^= 1;
}

static const struct attack {
	const char *name;
	void (*make)(struct frame *f); /* of the true frame that is still to come; NULL: replayed */
	bool like;		       /* it ends like a marked one, and is counted */
} attacks[] = {
	{"replayed", NULL, true},
	{"forged mark", forged_mark, true},
	{"forged number", forged_number, true},
	{"forged packet", forged_packet, true},
	{"another packet", other_packet, true},
	{"another key", other_key, true},
	{"truncated", truncated, false},
	{"truncated by most", truncated_most, false},
	{"padded", padded, false},
	{"fragment", fragment, true},
	{"in a VLAN", in_vlan, true},
	{"in a VLAN of a VLAN", in_qinq, true},
	{"in another VLAN", other_vlan, true},
	{"largest", largest, true},
};
#define ATTACKS (sizeof(attacks) / sizeof(*attacks))

/* In the move the false one comes before the true one, whose place it must not take. Once it is
 * over the true one's number is used too. */
START_TEST(false_marks)
{
	static const char *const readers[] = {"loop", "next_ex", "poll"};
	const struct attack *a = &attacks[_i];
	struct frame used = marked(packet(EVIL, PLAY_COUNT, 200, 0), 0);
	struct frame next = marked(packet(EVIL, PLAY_COUNT, 200, 0), 1), evil = next;
	struct nf_rec_stats st;

	if (a->make)
		a->make(&evil);
	else
		evil = used;
	trace("0q");
	veth_begin(readers[(unsigned)_i % 3], "live:nf0");
	send_place(0, EVIL, 1, 0);
	send_it(&used);
	nf_gets_clones(1);
	send_it(&evil);
	nf_has_seen(2);
	send_place(0, EVIL, 2, 1);
	send_it(&next);
	nf_gets_clones(2);
	st = veth_abort();
	nf_gets(1); /* it was held */
	ck_assert_msg(st.forged == a->like, "%s: %u were counted as forged", a->name,
		      (unsigned)st.forged);
	send_it(a->make ? &evil : &next);
	nf_gets(2);
	trace_send("sw0");
	nf_ends();
	ck_assert_uint_eq(diary_of(PLAY_PACKET, EVIL), 2);
	ck_assert_uint_eq(diary_of(PLAY_CLONE, EVIL), 2);
	output_is_whole();
}
END_TEST

/* ---- filters ---- */

static const char *const filters[] = {
	"udp port 53",
	"less 100",
	"udp and less 100",
	"greater 100",
	"greater 1000",
	"ether host 02:00:00:00:00:01",
	"ip[8] = 64 and not vlan",
	"vlan",
	"vlan 6",
	"vlan and less 100",
	"vlan and greater 100",
	"vlan and vlan",
	"not vlan and less 100",
};
#define FILTERS (sizeof(filters) / sizeof(*filters))

/* Each is of a flow of its own. */
static const struct {
	uint32_t len;
	unsigned tags;
} kinds[] = {{PLAY_FRAME, 0}, {PLAY_FRAME, 1}, {PLAY_FRAME, 2}, {200, 0},
	     {200, 1},	      {200, 2},	       {LARGEST, 0},	{LARGEST, 1}};
#define KINDS (sizeof(kinds) / sizeof(*kinds))

static struct frame of_kind(unsigned k, enum play_what what)
{
	return packet(k, what, kinds[k].len, kinds[k].tags);
}

/* What libpcap says of these bytes; a filter that asks for no VLAN does not see one in a capture.
 */
static bool wants(const char *filter, struct frame f)
{
	pcap_t *p = pcap_open_dead(DLT_EN10MB, 65535);
	struct bpf_program prog;
	struct pcap_pkthdr h;
	bool does;

	if (!strstr(filter, "vlan") && (f.data[12] == 0x81 || f.data[12] == 0x88)) {
		f.len -= 4;
		memmove(f.data + 12, f.data + 16, f.len - 12);
	}
	h = (struct pcap_pkthdr){.caplen = f.len, .len = f.len};
	ck_assert_int_eq(pcap_compile(p, &prog, filter, 1, PCAP_NETMASK_UNKNOWN), 0);
	does = pcap_offline_filter(&prog, &h, f.data) != 0;
	pcap_freecode(&prog);
	pcap_close(p);
	return does;
}

static void send_place_of(const struct frame *f, uint64_t seq)
{
	struct nf_rec r = {.len = (uint32_t)(sizeof(r) + sizeof(seq)),
			   .type = NF_REC_CLONE,
			   .flags = NF_REC_WIRE,
			   .move = STAGE_MOVE,
			   .version = 1};

	nf_flow_parse(f->data, f->len, NULL, &r.flow, NULL);
	ck_assert_int_eq(client_push(&helper, &r, &seq), 0);
}

/* The packet, the same with a false mark, and as a clone if the source would have got it. */
static void send_three(const char *filter, unsigned k, unsigned *packets, unsigned *clones)
{
	struct frame plain = of_kind(k, PLAY_COUNT), evil = marked(plain, 99);

	forged_mark(&evil);
	packets[k] = wants(filter, plain) + wants(filter, evil);
	send_it(&plain);
	send_it(&evil);
	if (!wants(filter, plain))
		return;
	send_place_of(&plain, *clones);
	plain = marked(plain, (*clones)++);
	send_it(&plain);
}

static void send_quit(const char *filter)
{
	for (unsigned k = 0; k < KINDS; k++) {
		struct frame f = of_kind(k, PLAY_QUIT);

		if (wants(filter, f)) {
			send_it(&f);
			return;
		}
	}
	ck_abort_msg("%s takes nothing", filter);
}

START_TEST(filters_pass_marks)
{
	const char *filter = filters[(unsigned)_i % FILTERS];
	unsigned packets[KINDS], clones = 0, given = 1;

	setenv("PLAY_FILTER", filter, 1);
	veth_begin("loop", "live:nf0");
	unsetenv("PLAY_FILTER");
	for (unsigned k = 0; k < KINDS; k++)
		send_three(filter, k, packets, &clones);
	nf_gets_clones(clones);
	veth_abort();
	send_quit(filter);
	nf_ends();
	for (unsigned k = 0; k < KINDS; k++) {
		given += packets[k];
		ck_assert_msg(diary_of(PLAY_CLONE, k) == wants(filter, of_kind(k, PLAY_COUNT)),
			      "%s: clone %u: %u times", filter, k, diary_of(PLAY_CLONE, k));
	}
	ck_assert_uint_eq(diary_count(PLAY_PACKET), given);
	ck_assert_int_eq(play->diary[diary_find(PLAY_RECEIVED, 0, 0)].n, given);
	output_is_whole();
}
END_TEST

void add_veth_mark_cases(TCase *t)
{
	tcase_add_checked_fixture(t, make_link, NULL);
	tcase_add_loop_test(t, false_marks, 0, ATTACKS);
	add_some(t, filters_pass_marks, 5, FILTERS);
}
