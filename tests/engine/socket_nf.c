/* SPDX-License-Identifier: BSD-2-Clause */
#include "socket_nf.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROOM  2000
#define ETHER 14
#define BATCH 4

static bool is(const char *reader, const char *what)
{
	return !strcmp(reader + strlen("socket-"), what);
}

bool socket_reader(const char *reader)
{
	return !strncmp(reader, "socket-", 7);
}

/* ---- opening ---- */

static void must(int rc, const char *what)
{
	if (rc >= 0)
		return;
	perror(what);
	exit(1);
}

static void set(int fd, int level, int option, int value)
{
	must(setsockopt(fd, level, option, &value, sizeof(value)), "setsockopt");
}

static void filter(int fd)
{
	struct sock_filter ip[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_IP, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, ROOM),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog f = {sizeof(ip) / sizeof(*ip), ip};

	must(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &f, sizeof(f)), "SO_ATTACH_FILTER");
}

/* linux/bpf.h and pcap/bpf.h cannot be had together. */
static void ebpf_filter(int fd)
{
	const uint64_t take[] = {0xb7 | (uint64_t)ROOM << 32, 0x95}; /* r0 = ROOM; exit */
	struct {
		uint32_t type, count;
		uint64_t insns, license;
	} load = {1, 2, (uintptr_t)take, (uintptr_t) "GPL"};
	int prog = (int)syscall(SYS_bpf, 5, &load, sizeof(load));

	must(prog, "bpf");
	set(fd, SOL_SOCKET, SO_ATTACH_BPF, prog);
}

static void ring(int fd)
{
	struct tpacket_req r = {
		.tp_block_size = 4096, .tp_block_nr = 4, .tp_frame_size = 2048, .tp_frame_nr = 8};

	must(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &r, sizeof(r)), "PACKET_RX_RING");
}

int socket_open(const char *reader, const char *interface)
{
	int protocol = is(reader, "one") ? ETH_P_IP : ETH_P_ALL, fd;
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(protocol),
				 .sll_ifindex = (int)if_nametoindex(interface)};

	if (is(reader, "host"))
		fd = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
	else
		fd = socket(AF_PACKET, is(reader, "dgram") ? SOCK_DGRAM : SOCK_RAW, 0);
	must(fd, "socket");
	if (is(reader, "host"))
		return fd;
	if (is(reader, "filter") || is(reader, "locked"))
		filter(fd);
	if (is(reader, "locked"))
		set(fd, SOL_SOCKET, SO_LOCK_FILTER, 1);
	if (is(reader, "bpf"))
		ebpf_filter(fd);
	if (is(reader, "ring"))
		ring(fd);
	if (is(reader, "vnet"))
		set(fd, SOL_PACKET, PACKET_VNET_HDR, 1);
	if (is(reader, "recvmsg"))
		set(fd, SOL_SOCKET, SO_TIMESTAMP, 1);
	if (is(reader, "recvmmsg") || is(reader, "dgram") || is(reader, "poll"))
		set(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	must(bind(fd, (struct sockaddr *)&at, sizeof(at)), interface);
	return fd;
}

/* ---- reading ---- */

struct message {
	struct sockaddr_ll from;
	struct iovec v;
	_Alignas(struct cmsghdr) char control[200];
	u_char data[ROOM];
};

static struct msghdr header(struct message *m)
{
	m->v = (struct iovec){m->data + ETHER, ROOM - ETHER};
	return (struct msghdr){.msg_name = &m->from,
			       .msg_namelen = sizeof(m->from),
			       .msg_iov = &m->v,
			       .msg_iovlen = 1,
			       .msg_control = m->control,
			       .msg_controllen = sizeof(m->control)};
}

/* Without a control message as the socket has it. */
static struct timeval time_of(struct msghdr *m, int fd)
{
	struct timeval t = {0};

	for (struct cmsghdr *c = m ? CMSG_FIRSTHDR(m) : NULL; c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_SOCKET)
			memcpy(&t, CMSG_DATA(c), sizeof(t));
	if (!t.tv_sec)
		ioctl(fd, SIOCGSTAMP_OLD, &t);
	return t;
}

static void give(const u_char *frame, ssize_t n, struct timeval t, pcap_handler work)
{
	const struct pcap_pkthdr h = {.ts = t, .caplen = (bpf_u_int32)n, .len = (bpf_u_int32)n};

	work(NULL, &h, frame);
}

static void by_message(int fd, bool dgram, int flags, pcap_handler work)
{
	static struct message m;
	struct msghdr h = header(&m);
	ssize_t n = recvmsg(fd, &h, flags);

	if (n < 0 && errno == EAGAIN && flags)
		return; /* poll may promise too much: the packet is held */
	must((int)n, "recvmsg");
	if (m.from.sll_family != AF_PACKET || m.from.sll_pkttype == PACKET_OUTGOING)
		abort();
	if (!dgram) {
		give(m.data + ETHER, n, time_of(&h, fd), work);
		return;
	}
	memcpy(m.data + 2 * ETH_ALEN, &m.from.sll_protocol, 2);
	give(m.data, n + ETHER, time_of(&h, fd), work);
}

static void by_messages(int fd, pcap_handler work)
{
	static struct message all[BATCH];
	struct mmsghdr m[BATCH];
	int n;

	for (int i = 0; i < BATCH; i++)
		m[i].msg_hdr = header(&all[i]);
	n = recvmmsg(fd, m, BATCH, MSG_WAITFORONE, NULL);
	must(n, "recvmmsg");
	for (int i = 0; i < n; i++)
		give(all[i].data + ETHER, m[i].msg_len, time_of(&m[i].msg_hdr, fd), work);
}

static void by_bytes(const char *reader, int fd, pcap_handler work)
{
	static u_char data[ROOM], again[ROOM];
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);
	ssize_t n, before = 0;

	if (is(reader, "peek"))
		before = recv(fd, again, sizeof(again), MSG_PEEK);
	if (is(reader, "read"))
		n = read(fd, data, sizeof(data));
	else if (is(reader, "recvfrom"))
		n = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &len);
	else
		n = recv(fd, data, sizeof(data), 0);
	must((int)n, reader);
	if (is(reader, "peek") && (before != n || memcmp(again, data, (size_t)n)))
		abort();
	if (is(reader, "recvfrom") &&
	    (len != sizeof(from) || memcmp(from.sll_addr, data + ETH_ALEN, ETH_ALEN)))
		abort();
	give(data, n, time_of(NULL, fd), work);
}

static void by_host(int fd, pcap_handler work)
{
	static u_char data[ROOM] = {[12] = 8};
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(fd, data + ETHER, ROOM - ETHER, 0, (struct sockaddr *)&from, &len);

	must((int)n, "recvfrom");
	if (len != sizeof(from) || from.sin_family != AF_INET ||
	    memcmp(&from.sin_addr, data + ETHER + 12, sizeof(from.sin_addr)))
		abort();
	give(data, n + ETHER, time_of(NULL, fd), work);
}

static int by_poll(const int *fds, int n, int *rc)
{
	struct pollfd p[2];

	for (int i = 0; i < n; i++)
		p[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	*rc = poll(p, (nfds_t)n, -1);
	while (n-- && !p[n].revents)
		;
	return n;
}

static int by_epoll(const int *fds, int n, int *rc)
{
	static int epfd = -1;
	struct epoll_event ev;

	for (int i = 0; epfd < 0 || i < n; i++) {
		if (epfd < 0)
			epfd = epoll_create1(EPOLL_CLOEXEC);
		ev = (struct epoll_event){.events = EPOLLIN, .data.u32 = (uint32_t)i};
		epoll_ctl(epfd, EPOLL_CTL_ADD, fds[i], &ev); /* once */
	}
	*rc = epoll_wait(epfd, &ev, 1, -1);
	return *rc < 1 ? -1 : (int)ev.data.u32;
}

int socket_next(const char *reader, const int *fds, int n, pcap_handler work, int *waited)
{
	bool waits = is(reader, "poll") || is(reader, "epoll");
	int i = 0;

	*waited = 0;
	if (is(reader, "poll"))
		i = by_poll(fds, n, waited);
	else if (is(reader, "epoll"))
		i = by_epoll(fds, n, waited);
	must(i, "wait");
	if (is(reader, "host"))
		by_host(fds[i], work);
	else if (is(reader, "recvmmsg"))
		by_messages(fds[i], work);
	else if (waits || is(reader, "recvmsg") || is(reader, "dgram"))
		by_message(fds[i], is(reader, "dgram"), waits ? MSG_DONTWAIT : 0, work);
	else
		by_bytes(reader, fds[i], work);
	return i;
}

unsigned socket_received(int fd)
{
	struct tpacket_stats st = {0};
	socklen_t n = sizeof(st);

	return getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &n) < 0 ? 0 : st.tp_packets;
}

unsigned socket_filter(int fd)
{
	socklen_t n = 0;

	must((int)syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_GET_FILTER, NULL, &n),
	     "SO_GET_FILTER");
	return n;
}
