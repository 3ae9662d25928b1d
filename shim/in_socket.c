/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which descriptors are packet sockets of the NF's own. Those that libpcap
 * opens are not: their packets come by libpcap's functions.
 */
#include "in_socket.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "escape.h"
#include "mark_filter.h"
#include "real.h"

_Atomic unsigned char nf_socket_kinds[NF_SOCKET_FDS];
struct nf_capture *nf_socket_peeked;

static void set_kind(int fd, unsigned kind)
{
	if ((unsigned)fd < NF_SOCKET_FDS)
		atomic_store(&nf_socket_kinds[fd], (unsigned char)kind);
}

static void forget(int fd)
{
	struct nf_capture *c = nf_socket_known(fd);

	set_kind(fd, 0);
	if (!c)
		return;
	if (nf_socket_peeked == c)
		nf_socket_peeked = NULL;
	nf_socket_free(c->socket);
	nf_mark_filter_forget(c);
}

/* Sockets for ARP, LLDP and the like are no input: a move has nothing to do with their packets. */
static bool may_carry_flows(unsigned protocol)
{
	return protocol == 0 || protocol == ETH_P_ALL || protocol == ETH_P_IP ||
	       protocol == ETH_P_IPV6 || protocol == ETH_P_8021Q;
}

static const char *unfit(const struct nf_socket *k, int fd, unsigned hardware)
{
	int on = 0;
	socklen_t n = sizeof(on);

	if (k->ring)
		return "the NF reads packets from a ring of its own (PACKET_RX_RING): only those "
		       "that it reads by libpcap or by calls can be moved";
	if (hardware != ARPHRD_ETHER && hardware != ARPHRD_LOOPBACK && hardware != ARPHRD_VOID)
		return "the capture is not Ethernet: only Ethernet captures can be moved";
	if (nf_real.getsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, &n) == 0 && on)
		return "the NF's packet socket puts virtio headers before packets "
		       "(PACKET_VNET_HDR): such packets cannot be moved";
	n = sizeof(on);
	if ((k->own.filter || k->own.len) &&
	    nf_real.getsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, &n) == 0 && on)
		return "the filter of the NF's packet socket is locked (SO_LOCK_FILTER): MARK "
		       "could not be made to pass it";
	if (k->own.len && !k->own.filter)
		return "the NF's packet socket has an eBPF filter, which MARK cannot be made to "
		       "pass";
	return NULL;
}

void nf_socket_learn(struct nf_capture *c)
{
	struct sockaddr_ll at = {.sll_hatype = ARPHRD_VOID};
	socklen_t n = sizeof(at);
	struct nf_socket *k = c->socket;
	int e = errno;

	if (k->family == AF_INET) {
		k->protocol = ETH_P_IP;
		return;
	}
	if (nf_real.getsockname(c->fd, (struct sockaddr *)&at, &n) == 0) {
		k->protocol = ntohs(at.sll_protocol);
		k->bound = at.sll_ifindex;
		if (at.sll_ifindex)
			k->index = at.sll_ifindex;
		if (!at.sll_ifindex)
			at.sll_hatype = ARPHRD_VOID; /* of all interfaces */
	}
	if (!may_carry_flows(k->protocol)) {
		int fd = c->fd;

		forget(fd);
		set_kind(fd, NF_SOCKET_NOT);
	} else {
		nf_socket_keep_filter(k, c->fd);
		c->unfit = unfit(k, c->fd, at.sll_hatype);
	}
	errno = e;
}

static void add(int fd, int family, int type)
{
	struct nf_socket *k = calloc(1, sizeof(*k));
	struct nf_capture *c = k ? nf_capture_add(k) : NULL;

	if (!c) {
		free(k);
		set_kind(fd, NF_SOCKET_NOT);
		return;
	}
	k->family = family;
	k->type = type;
	c->socket = k;
	c->linktype = DLT_EN10MB;
	c->fd = fd;
	set_kind(fd, NF_SOCKET_CAPTURE + nf_capture_number(c));
	nf_socket_learn(c);
}

/* A socket for ICMP is a ping; one for IPPROTO_RAW only sends; of IPv6 the header is missing. */
static bool takes_packets(int domain, int type, int protocol)
{
	if (domain == AF_PACKET)
		return type == SOCK_RAW || type == SOCK_DGRAM;
	return domain == AF_INET && type == SOCK_RAW && protocol != IPPROTO_RAW &&
	       protocol != IPPROTO_ICMP && protocol != IPPROTO_IGMP;
}

static int ask(int fd, int option)
{
	int value = -1;
	socklen_t n = sizeof(value);

	return nf_real.getsockopt(fd, SOL_SOCKET, option, &value, &n) < 0 ? -1 : value;
}

struct nf_capture *nf_socket_ask(int fd)
{
	int domain, type, e = errno;

	if ((unsigned)fd >= NF_SOCKET_FDS)
		return NULL;
	domain = ask(fd, SO_DOMAIN);
	type = ask(fd, SO_TYPE);
	if (!nf_inert && !nf_capture_fd(fd) && takes_packets(domain, type, ask(fd, SO_PROTOCOL)))
		add(fd, domain, type);
	else
		set_kind(fd, domain < 0 && errno == EBADF ? 0 : NF_SOCKET_NOT);
	errno = e;
	return nf_socket_known(fd);
}

int socket(int domain, int type, int protocol)
{
	const long x[] = {domain, type, protocol};
	int kind = type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK), fd;

	if (nf_escape_refuses_call(SYS_socket, x))
		return -1;
	fd = nf_real.socket(domain, type, protocol);
	if (fd < 0)
		return fd;
	if (!nf_activating && !nf_inert && takes_packets(domain, kind, protocol))
		add(fd, domain, kind);
	else
		set_kind(fd, NF_SOCKET_NOT);
	return fd;
}

int bind(int fd, const struct sockaddr *at, socklen_t n)
{
	int rc = nf_real.bind(fd, at, n);
	struct nf_capture *c = rc == 0 ? nf_socket_known(fd) : NULL;

	if (c)
		nf_socket_learn(c);
	return rc;
}

void nf_socket_closed(int first, int last)
{
	for (int fd = first < 0 ? 0 : first; fd <= last && fd < NF_SOCKET_FDS; fd++)
		forget(fd);
}

/* PACKET_STATISTICS would do, but the NF's next look would not find them. */
uint64_t nf_socket_drops(const struct nf_capture *c)
{
	uint32_t mem[SK_MEMINFO_VARS] = {0};
	socklen_t n = sizeof(mem);

	if (nf_real.getsockopt(c->fd, SOL_SOCKET, SO_MEMINFO, mem, &n) < 0)
		return 0;
	return mem[SK_MEMINFO_DROPS];
}

bool nf_socket_is_input(const struct nf_capture *c)
{
	if (!c->socket || c->socket->used)
		return c->socket != NULL;
	for (unsigned i = 0; i < NF_CAPTURES; i++)
		if (nf_capture_at(i) && !nf_capture_at(i)->socket)
			return false;
	return true;
}

bool nf_socket_any_input(void)
{
	for (unsigned i = 0; i < NF_CAPTURES; i++)
		if (nf_capture_at(i) && nf_socket_is_input(nf_capture_at(i)))
			return true;
	return false;
}
