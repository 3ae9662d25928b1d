/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MARK: the frame that the switch sends down the old path behind the last
 * packet of the old route, one per queue. Ethernet header, then magic "NFMK",
 * version, queue, two zero bytes, the move's id (big-endian), the queue's secret.
 */
#include <endian.h>
#include <string.h>

#include "move.h"

#define MARK_TYPE_OFF	12
#define MARK_MAGIC_OFF	14
#define MARK_VER_OFF	18
#define MARK_QUEUE_OFF	19
#define MARK_MOVE_OFF	22
#define MARK_SECRET_OFF 30
#define MARK_LEN	(MARK_SECRET_OFF + NF_MARK_SECRET)

bool nf_mark_is(const u_char *data, uint32_t caplen)
{
	static const u_char head[] = {0x88, 0xb5, 'N', 'F', 'M', 'K'};

	return caplen >= MARK_TYPE_OFF + sizeof(head) &&
	       !memcmp(data + MARK_TYPE_OFF, head, sizeof(head));
}

/* In time that does not depend on where the bytes differ. */
static bool secret_equal(const u_char *a, const u_char *b)
{
	unsigned char d = 0;

	for (int i = 0; i < NF_MARK_SECRET; i++)
		d |= a[i] ^ b[i];
	return d == 0;
}

/* The queue of a MARK of that move, or -1. */
static int queue_of(const u_char *data, uint32_t caplen, uint64_t move,
		    const struct nf_rec_begin *opt)
{
	uint64_t id;
	unsigned q;

	if (caplen < MARK_LEN || data[MARK_VER_OFF] != 1)
		return -1;
	q = data[MARK_QUEUE_OFF];
	memcpy(&id, data + MARK_MOVE_OFF, sizeof(id));
	if (q >= opt->marks || be64toh(id) != move ||
	    !secret_equal(data + MARK_SECRET_OFF, opt->mark[q]))
		return -1;
	return (int)q;
}

bool nf_mark_accept(const u_char *data, uint32_t caplen)
{
	int q = queue_of(data, caplen, nf_move.id, &nf_move.opt);

	if (q < 0)
		return false;
	nf_move.marks_seen |= 1u << q;
	return true;
}

/* This thread's last move as source. MARKs still on their way when it ends are not the NF's. */
static __thread struct nf_rec_begin last;
static __thread uint64_t last_move;
__thread bool nf_mark_expected;

void nf_mark_keep(void)
{
	last = nf_move.opt;
	last_move = nf_move.id;
	nf_mark_expected = true;
}

bool nf_mark_late(const u_char *data, uint32_t caplen)
{
	return nf_mark_expected && nf_mark_is(data, caplen) &&
	       queue_of(data, caplen, last_move, &last) >= 0;
}
