/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel hands packets over in blocks, and the shim caps how long one
 * lasts: a packet comes long before the NF's own timeout, unless
 * NFSHIM_CAPTURE_MS is 0. On the loopback of a network namespace of its own.
 */
#include <pcap/pcap.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "own_net.h"

#define LONG_MS 600000 /* never passes */

static int sender;

/* A packet comes to a capture with a timeout of LONG_MS; is it there after so long? */
static bool comes_in(int ms, pcap_t *p)
{
	static const unsigned char frame[60] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb6};
	struct pollfd f = {.events = POLLIN};

	CHECK(p && send(sender, frame, sizeof(frame), 0) == sizeof(frame));
	f.fd = p ? pcap_get_selectable_fd(p) : -1;
	return poll(&f, 1, ms) == 1;
}

static pcap_t *open_live(void)
{
	char err[PCAP_ERRBUF_SIZE];

	return pcap_open_live("lo", 2000, 0, LONG_MS, err);
}

static pcap_t *create(void)
{
	char err[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_create("lo", err);

	CHECK(p && pcap_set_timeout(p, LONG_MS) == 0 && pcap_activate(p) >= 0);
	return p;
}

int main(void)
{
	check_preloaded();
	sender = own_net();
	CHECK(comes_in(60000, open_live()));
	CHECK(comes_in(60000, create()));
	setenv("NFSHIM_CAPTURE_MS", "0", 1);
	CHECK(!comes_in(300, open_live()));
	CHECK(!comes_in(300, create()));
	return failures != 0;
}
