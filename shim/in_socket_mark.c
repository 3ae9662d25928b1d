/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MARK for a socket of the source that takes one protocol only: a socket of ours
 * beside it, for as long as the move lasts.
 *
 * Each has its own queue. When MARK is in ours, all packets before it are in the
 * NF's: it holds once that queue was empty after MARK was read, or a packet comes
 * out of it that is later than that. A MARK that holds too late does no harm: what
 * comes behind it is sent on.
 */
#include <errno.h>
#include <netinet/in.h>
#include <time.h>

#include "fds.h"
#include "in_socket.h"
#include "move.h"
#include "real.h"

#define MARK_TYPE 0x88b5
#define MARK_ROOM 64

static struct {
	int fd;
	struct nf_capture *beside;
	unsigned n; /* MARKs that do not hold yet */
	struct pcap_pkthdr h[NF_MARK_MAX];
	u_char data[NF_MARK_MAX][MARK_ROOM];
	struct timespec last; /* when the latest was read */
} side = {.fd = -1};

static int open_beside(struct nf_capture *c)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(MARK_TYPE),
				 .sll_ifindex = c->socket->bound};
	int fd = nf_real.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	fd = nf_fd_hide(fd);
	if (fd < 0)
		return fd;
	side.fd = fd;
	side.beside = c;
	side.n = 0;
	return nf_real.bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ? -errno : 0;
}

int nf_socket_mark_beside(void)
{
	int rc = 0;

	for (unsigned i = 0; i < NF_CAPTURES && !rc; i++) {
		struct nf_capture *c = nf_capture_at(i);

		if (!c || !nf_socket_is_input(c) || !nf_socket_takes_one(c->socket) ||
		    c == side.beside)
			continue;
		rc = side.fd < 0 ? open_beside(c) : -ENOTSUP; /* there is one place for it */
	}
	return rc;
}

void nf_socket_no_mark_beside(void)
{
	if (side.fd < 0)
		return;
	nf_fd_unhide(side.fd);
	nf_real.close(side.fd);
	side.fd = -1;
	side.beside = NULL;
}

struct nf_capture *nf_socket_look_beside(void)
{
	ssize_t n;

	while (side.fd >= 0 && side.n < NF_MARK_MAX) {
		u_char *data = side.data[side.n];

		n = nf_real.recv(side.fd, data, MARK_ROOM, MSG_DONTWAIT);
		if (n < 0)
			break;
		if (!nf_mark_is(data, (uint32_t)n))
			continue;
		side.h[side.n++].caplen = (bpf_u_int32)n;
		clock_gettime(CLOCK_REALTIME, &side.last);
	}
	return side.n ? side.beside : NULL;
}

bool nf_socket_is_behind_mark(const struct pcap_pkthdr *h)
{
	return h->ts.tv_sec > side.last.tv_sec ||
	       (h->ts.tv_sec == side.last.tv_sec && h->ts.tv_usec > side.last.tv_nsec);
}

void nf_socket_mark_holds(void)
{
	for (unsigned i = 0; i < side.n; i++) {
		const struct nf_packet_view p = {.h = &side.h[i], .data = side.data[i]};

		nf_src_mark(&p);
	}
	side.n = 0;
}
