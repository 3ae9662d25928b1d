/* SPDX-License-Identifier: BSD-2-Clause */
#include "socket_input.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define ROOM	65536
#define BATCH	16
#define WAIT_MS 200
#define ETHER	14

struct message {
	struct sockaddr_ll from;
	struct iovec v;
	unsigned char control[256];
	u_char data[ETHER + ROOM];
};

static int attach(int fd, int linktype, const char *filter)
{
	pcap_t *p = pcap_open_dead(linktype, ROOM);
	struct bpf_program prog;
	struct sock_fprog own;
	int rc;

	if (pcap_compile(p, &prog, filter, 1, PCAP_NETMASK_UNKNOWN) < 0) {
		fprintf(stderr, "seqhash: %s\n", pcap_geterr(p));
		pcap_close(p);
		return -1;
	}
	own = (struct sock_fprog){(unsigned short)prog.bf_len, (struct sock_filter *)prog.bf_insns};
	rc = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &own, sizeof(own));
	pcap_freecode(&prog);
	pcap_close(p);
	return rc;
}

static int set_options(int fd, enum socket_way way, int index)
{
	struct packet_mreq all = {.mr_ifindex = index, .mr_type = PACKET_MR_PROMISC};
	struct timeval wait = {0, WAIT_MS * 1000};
	int on = 1, room = 16 << 20, rc;

	rc = setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (way == SOCKET_RECVFROM || way == SOCKET_READ)
		return rc | setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (way == SOCKET_RECVMMSG)
		rc |= setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on));
	return rc | setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
}

int socket_open(const char *dev, const char *filter, enum socket_way way)
{
	bool dgram = way == SOCKET_DGRAM;
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, dgram ? SOCK_DGRAM : SOCK_RAW, 0);

	at.sll_ifindex = (int)if_nametoindex(dev);
	if (fd < 0 || !at.sll_ifindex ||
	    (filter && attach(fd, dgram ? DLT_RAW : DLT_EN10MB, filter) < 0) ||
	    set_options(fd, way, at.sll_ifindex) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		fprintf(stderr, "seqhash: %s: %s\n", dev, strerror(errno));
		return -1;
	}
	return fd;
}

static void give(const u_char *data, ssize_t n, struct timespec at, pcap_handler cb)
{
	struct pcap_pkthdr h = {.ts = {at.tv_sec, at.tv_nsec / 1000},
				.caplen = (bpf_u_int32)n,
				.len = (bpf_u_int32)n};

	cb(NULL, &h, data);
}

static int one(int fd, enum socket_way way, pcap_handler cb)
{
	static u_char data[ROOM];
	struct timespec at = {0};
	struct timeval tv;
	ssize_t n = way == SOCKET_READ ? read(fd, data, sizeof(data))
				       : recvfrom(fd, data, sizeof(data), 0, NULL, NULL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (way == SOCKET_READ && ioctl(fd, SIOCGSTAMP_OLD, &tv) == 0)
		at = (struct timespec){tv.tv_sec, tv.tv_usec * 1000};
	else if (way == SOCKET_RECVFROM)
		ioctl(fd, SIOCGSTAMPNS_OLD, &at);
	give(data, n, at, cb);
	return 1;
}

static struct timespec time_of(struct msghdr *m)
{
	struct timespec t = {0};

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS)
			memcpy(&t, CMSG_DATA(c), sizeof(t));
	return t;
}

static struct msghdr header(struct message *m)
{
	m->v = (struct iovec){m->data + ETHER, ROOM};
	return (struct msghdr){.msg_name = &m->from,
			       .msg_namelen = sizeof(m->from),
			       .msg_iov = &m->v,
			       .msg_iovlen = 1,
			       .msg_control = m->control,
			       .msg_controllen = sizeof(m->control)};
}

static int batch(int fd, int most, pcap_handler cb)
{
	static struct message all[BATCH];
	struct mmsghdr m[BATCH];
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int n;

	if (poll(&p, 1, WAIT_MS) <= 0)
		return 0;
	for (int i = 0; i < BATCH; i++)
		m[i].msg_hdr = header(&all[i]);
	n = recvmmsg(fd, m, (unsigned)(most < BATCH ? most : BATCH), MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		give(all[i].data + ETHER, m[i].msg_len, time_of(&m[i].msg_hdr), cb);
	return n >= 0 ? n : errno == EAGAIN || errno == EINTR ? 0 : -1;
}

/* The header that the kernel has cut off, as far as it tells. */
static int headless(int fd, pcap_handler cb)
{
	static struct message m;
	static int epfd = -1;
	struct epoll_event ev = {.events = EPOLLIN};
	struct msghdr h = header(&m);
	ssize_t n;

	if (epfd < 0) {
		epfd = epoll_create1(EPOLL_CLOEXEC);
		epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev);
	}
	if (epoll_wait(epfd, &ev, 1, WAIT_MS) <= 0)
		return 0;
	n = recvmsg(fd, &h, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	memset(m.data, 0, ETH_ALEN);
	memcpy(m.data + ETH_ALEN, m.from.sll_addr, ETH_ALEN);
	memcpy(m.data + 2 * ETH_ALEN, &m.from.sll_protocol, 2);
	give(m.data, n + ETHER, time_of(&h), cb);
	return 1;
}

int socket_read(int fd, enum socket_way way, int most, pcap_handler cb)
{
	if (way == SOCKET_RECVMMSG)
		return batch(fd, most, cb);
	return way == SOCKET_DGRAM ? headless(fd, cb) : one(fd, way, cb);
}

void socket_stats(int fd, unsigned *received, unsigned *dropped)
{
	struct tpacket_stats st = {0};
	socklen_t n = sizeof(st);

	getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &n);
	*received = st.tp_packets;
	*dropped = st.tp_drops;
}
