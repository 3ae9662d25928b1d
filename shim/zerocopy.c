/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Zero-copy sends (MSG_ZEROCOPY) are completed by a message on the socket's
 * error queue, and the NF keeps its buffer until it comes. For a send that was
 * dropped none would. So there are no zero-copy sends: without SO_ZEROCOPY the
 * kernel takes the flag for nothing and copies.
 */
#include "zerocopy.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "engine.h"
#include "log.h"
#include "real.h"

bool nf_zerocopy_refuses(int level, int option, const void *value, socklen_t n)
{
	static atomic_bool told;
	int on = 0;

	if (level != SOL_SOCKET || option != SO_ZEROCOPY || nf_inert || n < sizeof(on))
		return false;
	memcpy(&on, value, sizeof(on));
	if (!on)
		return false;
	if (!atomic_exchange(&told, true))
		nf_warn("SO_ZEROCOPY is refused: a send that is dropped while reprocessing would "
			"never be completed; sends are copied");
	errno = EOPNOTSUPP;
	return true;
}
