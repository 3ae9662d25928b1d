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

bool nf_mark_accept(const u_char *data, uint32_t caplen)
{
	uint64_t id;
	unsigned q;

	if (caplen < MARK_LEN || data[MARK_VER_OFF] != 1)
		return false;
	q = data[MARK_QUEUE_OFF];
	memcpy(&id, data + MARK_MOVE_OFF, sizeof(id));
	if (q >= nf_move.opt.marks || be64toh(id) != nf_move.id ||
	    !secret_equal(data + MARK_SECRET_OFF, nf_move.opt.mark[q]))
		return false;
	nf_move.marks_seen |= 1u << q;
	return true;
}
