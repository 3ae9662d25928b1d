/* SPDX-License-Identifier: BSD-2-Clause */
#include "inject.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "in_pcap.h"
#include "move_dst.h"

#define EARLY	  2048	      /* frames that may wait for their turn; the helper has fewer out */
#define ASK_NS	  100000000u  /* a frame has not come, and the capture is empty */
#define ASK_BUSY  1000000000u /* ... or it never is */
#define ASK_MOST  20
#define GOT_EVERY 32
#define MOVES	  4 /* whose late frames are known */
#define ASK_BATCH 256
#define TWINS	  1024 /* frames asked for again, of a move */

struct frame {
	struct nf_tag tag;
	uint32_t len;
	u_char data[];
};

/* Of frames with a number from due on none is reprocessed, of the others all are. */
struct inject {
	uint8_t key[NF_TAG_KEY];
	uint64_t move; /* 0: none */
	uint64_t due;
	struct {
		uint64_t seq;
		unsigned copies; /* that may come beside the one that was used */
	} twin[TWINS];
	unsigned twins; /* asked for, ever */
};

static struct inject moves[MOVES], *now;		 /* NULL: no move of this kind is on */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of key and move, for other threads */
static unsigned begun;
static struct frame *early[EARLY];
static uint64_t asked_at; /* ns; 0: not waiting */
static unsigned asked;
static uint64_t asked_to;	      /* what was overtaken was asked for below this number */
static bool quiet;		      /* the capture was empty since then */
static unsigned waits_at;	      /* number of that capture */
static uint64_t highest[NF_CAPTURES]; /* number that came by each */

static void clear_early(void)
{
	for (unsigned i = 0; i < EARLY; i++) {
		free(early[i]);
		early[i] = NULL;
	}
}

void nf_inject_begin(void)
{
	now = &moves[begun++ % MOVES];
	pthread_mutex_lock(&lock);
	*now = (struct inject){.move = nf_move.id};
	memcpy(now->key, nf_move.opt.tag, sizeof(now->key));
	pthread_mutex_unlock(&lock);
	asked_at = asked = asked_to = 0;
	memset(highest, 0, sizeof(highest));
}

void nf_inject_end(void)
{
	now = NULL;
	asked_at = 0;
	clear_early();
}

/* ---- frames ---- */

static struct inject *move_of(const struct pcap_pkthdr *h, const u_char *data, struct nf_tag *t)
{
	for (unsigned i = 0; i < MOVES; i++)
		if (moves[i].move &&
		    nf_tag_check(moves[i].key, moves[i].move, data, h->caplen, h->len, t))
			return &moves[i];
	return NULL;
}

bool nf_inject_knows(const struct pcap_pkthdr *h, const u_char *data)
{
	struct nf_tag t;
	bool known;

	pthread_mutex_lock(&lock);
	known = move_of(h, data, &t) != NULL;
	pthread_mutex_unlock(&lock);
	return known;
}

static bool used(const struct inject *in, uint64_t seq)
{
	return seq < in->due || (in == now && seq - in->due < EARLY && early[seq % EARLY]);
}

static bool is_twin(struct inject *in, uint64_t seq)
{
	for (unsigned i = 0; i < TWINS; i++)
		if (in->twin[i].seq == seq && in->twin[i].copies) {
			in->twin[i].copies--;
			return true;
		}
	return false;
}

static void keep(const struct nf_tag *t, const u_char *data, uint32_t len)
{
	struct frame *f = malloc(sizeof(*f) + len);

	if (!f) {
		nf_engine_fail("out of memory");
		return;
	}
	f->tag = *t;
	f->len = len;
	memcpy(f->data, data, len);
	early[t->seq % EARLY] = f;
}

bool nf_inject_frame(unsigned capture, const struct pcap_pkthdr *h, const u_char *data)
{
	struct nf_tag t;
	struct inject *in = move_of(h, data, &t);

	if (in && t.capture != capture)
		return true;
	if (!in || (used(in, t.seq) && !is_twin(in, t.seq))) {
		nf_move.stats.forged++;
		return false;
	}
	if (in == now && t.seq > highest[capture])
		highest[capture] = t.seq;
	if (in == now && !nf_move.failed && t.seq >= in->due && t.seq - in->due < EARLY &&
	    !early[t.seq % EARLY])
		keep(&t, data, h->caplen - NF_TAG_LEN);
	return true;
}

/* ---- records ---- */

static uint64_t number_of(const struct nf_rec *r, const uint8_t *payload)
{
	uint64_t seq = UINT64_MAX;

	if (nf_rec_payload(r) == sizeof(seq))
		memcpy(&seq, payload, sizeof(seq));
	return seq;
}

static void ask_again(uint64_t seq)
{
	unsigned i = now->twins++ % TWINS;

	nf_move.stats.resent++;
	now->twin[i].seq = seq;
	now->twin[i].copies = 1;
	nf_report(NF_REC_RESEND, seq, NULL, 0, NULL, 0);
}

/* With it for all that are missing before the last that came: one after the other would take a way
 * there and back for each. */
static void ask_for_missing(uint64_t seq)
{
	uint64_t end = highest[waits_at];
	unsigned left = ASK_BATCH;

	if (end > seq + EARLY)
		end = seq + EARLY;
	do
		if (!early[seq % EARLY]) {
			ask_again(seq);
			left--;
		}
	while (++seq < end && left);
	asked_to = seq;
}

/* Is it time to ask? One that a later frame has overtaken is lost for sure. */
static bool overdue(uint64_t seq, uint64_t t)
{
	if (!asked && seq >= asked_to && highest[waits_at] > seq)
		return true;
	if (!asked_at)
		asked_at = t;
	return t - asked_at >= (quiet ? ASK_NS : ASK_BUSY);
}

static void check_wait(uint64_t seq)
{
	uint64_t t = nf_now_ns();

	if (!overdue(seq, t))
		return;
	if (asked == ASK_MOST) {
		nf_move_fail(-ETIMEDOUT,
			     "a clone sent through the veth bridge did not come, though it was "
			     "asked for %u times: is the bridge whole, and its MTU large enough?",
			     asked);
		return;
	}
	asked++;
	asked_at = t;
	quiet = false;
	ask_for_missing(seq);
}

const struct nf_capture *nf_inject_waits_at(void)
{
	return asked_at ? nf_capture_at(waits_at) : NULL;
}

void nf_inject_quiet(void)
{
	quiet = true;
}

bool nf_inject_awaits(const struct nf_rec *r, const uint8_t *payload)
{
	uint64_t seq;

	if (r->type != NF_REC_CLONE || !(r->flags & NF_REC_WIRE) || !now || r->move != nf_move.id ||
	    nf_move.failed)
		return false;
	seq = number_of(r, payload);
	if (seq != now->due || early[seq % EARLY] || !nf_capture_at(r->capture))
		return false;
	waits_at = r->capture;
	check_wait(seq);
	return true;
}

void nf_inject_clone(const struct nf_rec *r, const uint8_t *payload, struct nf_sink *s)
{
	uint64_t seq = number_of(r, payload);
	struct nf_rec whole = *r;
	struct frame *f;

	if (now && seq < now->due) /* the NF jumped out of its callback */
		return;
	f = now && seq == now->due ? early[seq % EARLY] : NULL;
	if (!f) {
		nf_move_fail(-EPROTO, "nfxfer numbered a clone's frame wrongly");
		return;
	}
	early[seq % EARLY] = NULL;
	now->due++;
	asked_at = asked = 0;
	whole.flags = 0;
	whole.len = (uint32_t)sizeof(whole) + f->len;
	whole.sec = f->tag.sec;
	whole.nsec = f->tag.nsec;
	whole.wirelen = f->tag.wirelen;
	nf_dst_data(&whole, f->data, s);
	free(f);
	if (now && (seq + 1) % GOT_EVERY == 0)
		nf_report(NF_REC_GOT, seq, NULL, 0, NULL, 0);
}
