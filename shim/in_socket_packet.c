/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages and frames. The kernel's message becomes a frame: what SOCK_DGRAM has
 * cut off and the VLAN tag, if the NF sees it as auxiliary data, are put back.
 * What the engine gives becomes a message: the very message that the kernel gave
 * just now, or, of a clone or a held packet, one with what the NF asked for.
 */
#include <errno.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "in_socket.h"
#include "real.h"

#define ETHER	  14
#define TAG	  4
#define HEAD	  (ETHER + TAG)
#define MOST	  262144
#define MACS	  (2 * ETH_ALEN)
#define IP_SOURCE 12

int nf_socket_room(struct nf_socket *k)
{
	if (!k->in.room)
		k->in.room = malloc(HEAD + MOST);
	if (!k->given.room)
		k->given.room = malloc(HEAD + MOST);
	return k->in.room && k->given.room ? 0 : -1;
}

void nf_socket_free(struct nf_socket *k)
{
	free(k->own.filter);
	free(k->in.room);
	free(k->given.room);
	free(k);
}

/* ---- from the kernel ---- */

static void note_stamp(struct pcap_pkthdr *h, int64_t sec, int64_t nsec)
{
	h->ts.tv_sec = sec;
	h->ts.tv_usec = nsec;
}

/* A message may have no time, when the NF asked for none: the kernel knows it. */
static void ask_stamp(struct pcap_pkthdr *h, int fd)
{
	struct timespec t;

	if (nf_real.ioctl(fd, SIOCGSTAMPNS_OLD, &t) < 0)
		clock_gettime(CLOCK_REALTIME, &t);
	note_stamp(h, t.tv_sec, t.tv_nsec);
}

static void insert_tag(struct nf_socket_packet *p, const struct tpacket_auxdata *a)
{
	uint16_t tag[2] = {
		htons(a->tp_status & TP_STATUS_VLAN_TPID_VALID ? a->tp_vlan_tpid : ETH_P_8021Q),
		htons(a->tp_vlan_tci)};

	memmove(p->data - TAG, p->data, MACS);
	p->data -= TAG;
	p->tag = true;
	memcpy(p->data + MACS, tag, TAG);
	p->h.caplen += TAG;
	p->h.len += TAG;
}

static void take_control(struct nf_socket_packet *p, struct msghdr *m, int fd)
{
	struct timespec ts;
	struct tpacket_auxdata a;
	struct timeval tv;

	p->h.ts.tv_sec = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
			memcpy(&a, CMSG_DATA(c), sizeof(a));
			if (a.tp_len <= MOST) /* the kernel forgets it when a packet is peeked at */
				p->h.len += a.tp_len - a.tp_snaplen;
			if (a.tp_status & TP_STATUS_VLAN_VALID)
				insert_tag(p, &a);
		} else if (c->cmsg_level != SOL_SOCKET) {
			continue;
		} else if (c->cmsg_type == SCM_TIMESTAMPNS || c->cmsg_type == SCM_TIMESTAMPING) {
			memcpy(&ts, CMSG_DATA(c), sizeof(ts));
			note_stamp(&p->h, ts.tv_sec, ts.tv_nsec);
		} else if (c->cmsg_type == SCM_TIMESTAMP) {
			memcpy(&tv, CMSG_DATA(c), sizeof(tv));
			note_stamp(&p->h, tv.tv_sec, tv.tv_usec * 1000);
		}
	}
	if (!p->h.ts.tv_sec)
		ask_stamp(&p->h, fd);
}

/* As much of the header as the NF can see; where it was sent to stands for its kind. */
static void add_header(const struct nf_socket *k, struct nf_socket_packet *p)
{
	static const u_char to[][ETH_ALEN] = {
		[PACKET_BROADCAST] = {255, 255, 255, 255, 255, 255},
		[PACKET_MULTICAST] = {1},
		[PACKET_OTHERHOST] = {2},
	};
	unsigned kind = p->from.sll_pkttype;

	p->data -= ETHER;
	memset(p->data, 0, MACS);
	memcpy(p->data + MACS, "\x08\x00", 2);
	if (k->family == AF_PACKET) {
		memcpy(p->data, to[kind <= PACKET_OTHERHOST ? kind : PACKET_HOST], ETH_ALEN);
		memcpy(p->data + ETH_ALEN, p->from.sll_addr, ETH_ALEN);
		memcpy(p->data + MACS, &p->from.sll_protocol, 2);
	}
	p->h.caplen += ETHER;
	p->h.len += ETHER;
}

int nf_socket_get(struct nf_socket *k, int fd, int flags)
{
	struct nf_socket_packet *p = &k->in;
	struct iovec v = {p->room + HEAD, MOST};
	struct msghdr m = {.msg_name = &p->from,
			   .msg_namelen = sizeof(p->from),
			   .msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = p->control,
			   .msg_controllen = sizeof(p->control)};
	ssize_t n = nf_real.recvmsg(fd, &m, flags);

	if (n < 0)
		return -1;
	p->data = p->room + HEAD;
	p->fresh = true;
	p->tag = false;
	p->controllen = m.msg_controllen;
	p->h.caplen = p->h.len = (bpf_u_int32)n;
	if (k->family == AF_PACKET)
		k->index = p->from.sll_ifindex;
	if (nf_socket_headless(k))
		add_header(k, p);
	take_control(p, &m, fd);
	return 0;
}

/* ---- to the NF ---- */

static bool asked_for(int fd, int level, int option)
{
	int on = 0;
	socklen_t n = sizeof(on);

	return nf_real.getsockopt(fd, level, option, &on, &n) == 0 && on;
}

/* As the kernel does it: what has no room is cut off, and told. */
static void put_control(struct msghdr *m, size_t room, int level, int type, const void *data,
			size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)((u_char *)m->msg_control + m->msg_controllen);
	size_t left = m->msg_control ? room - m->msg_controllen : 0;
	size_t whole = CMSG_LEN(len), space = CMSG_SPACE(len);

	if (left < sizeof(*c)) {
		m->msg_flags |= MSG_CTRUNC;
		return;
	}
	if (left < whole) {
		m->msg_flags |= MSG_CTRUNC;
		whole = left;
	}
	c->cmsg_len = whole;
	c->cmsg_level = level;
	c->cmsg_type = type;
	memcpy(CMSG_DATA(c), data, whole - sizeof(*c));
	m->msg_controllen += space < left ? space : left;
}

static void put_all_control(const struct nf_socket_packet *p, struct msghdr *m)
{
	struct msghdr from = {.msg_control = (void *)p->control, .msg_controllen = p->controllen};
	size_t room = m->msg_controllen;

	m->msg_controllen = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&from); c; c = CMSG_NXTHDR(&from, c))
		put_control(m, room, c->cmsg_level, c->cmsg_type, CMSG_DATA(c),
			    c->cmsg_len - CMSG_LEN(0));
}

static void make_stamp(struct msghdr *m, int fd, const struct timeval *at)
{
	struct timespec ns = {at->tv_sec, at->tv_usec};
	struct timeval us = {at->tv_sec, at->tv_usec / 1000};
	struct timespec all[3] = {ns}; /* by software, -, by hardware */
	int flags = 0;
	socklen_t n = sizeof(flags);

	if (asked_for(fd, SOL_SOCKET, SO_TIMESTAMPNS))
		put_control(m, NF_SOCKET_CONTROL, SOL_SOCKET, SCM_TIMESTAMPNS, &ns, sizeof(ns));
	else if (asked_for(fd, SOL_SOCKET, SO_TIMESTAMP))
		put_control(m, NF_SOCKET_CONTROL, SOL_SOCKET, SCM_TIMESTAMP, &us, sizeof(us));
	if (nf_real.getsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, &n) == 0 &&
	    (flags & SOF_TIMESTAMPING_SOFTWARE))
		put_control(m, NF_SOCKET_CONTROL, SOL_SOCKET, SCM_TIMESTAMPING, all, sizeof(all));
}

/* The kernel has taken the tag off; the NF gets it beside the packet, if it asked for that. */
static bool tag_is_beside(const struct nf_socket_packet *p, int fd)
{
	return p->h.caplen >= HEAD &&
	       (!memcmp(p->data + MACS, "\x81\x00", 2) || !memcmp(p->data + MACS, "\x88\xa8", 2)) &&
	       asked_for(fd, SOL_PACKET, PACKET_AUXDATA);
}

static void make_auxdata(const struct nf_socket *k, struct msghdr *m)
{
	const struct nf_socket_packet *p = &k->given;
	unsigned less = (p->tag ? TAG : 0) + (nf_socket_headless(k) ? ETHER : 0);
	struct tpacket_auxdata a = {.tp_status = TP_STATUS_USER,
				    .tp_len = p->h.len - less,
				    .tp_snaplen = p->h.caplen - less,
				    .tp_net = nf_socket_headless(k) ? 0 : ETHER};

	if (p->tag) {
		a.tp_status |= TP_STATUS_VLAN_VALID | TP_STATUS_VLAN_TPID_VALID;
		a.tp_vlan_tpid = (uint16_t)(p->data[MACS] << 8 | p->data[MACS + 1]);
		a.tp_vlan_tci = (uint16_t)(p->data[MACS + 2] << 8 | p->data[MACS + 3]);
	}
	put_control(m, NF_SOCKET_CONTROL, SOL_PACKET, PACKET_AUXDATA, &a, sizeof(a));
}

static bool is_own(const struct nf_socket *k, int fd, const u_char *mac)
{
	struct ifreq r = {0};

	return if_indextoname((unsigned)k->index, r.ifr_name) &&
	       nf_real.ioctl(fd, SIOCGIFHWADDR, &r) == 0 &&
	       !memcmp(r.ifr_hwaddr.sa_data, mac, ETH_ALEN);
}

static unsigned char kind_of(const struct nf_socket *k, int fd, const u_char *frame)
{
	static const u_char all[ETH_ALEN] = {255, 255, 255, 255, 255, 255}, none[ETH_ALEN];

	if (!memcmp(frame, all, ETH_ALEN))
		return PACKET_BROADCAST;
	if (frame[0] & 1)
		return PACKET_MULTICAST;
	if (!memcmp(frame, none, ETH_ALEN) || is_own(k, fd, frame))
		return PACKET_HOST;
	return PACKET_OTHERHOST;
}

static void describe_sender(struct nf_socket *k, int fd)
{
	struct nf_socket_packet *p = &k->given;

	if (k->family == AF_INET) {
		p->from_host = (struct sockaddr_in){.sin_family = AF_INET};
		memcpy(&p->from_host.sin_addr, p->data + ETHER + IP_SOURCE, 4);
		return;
	}
	p->from = (struct sockaddr_ll){.sll_family = AF_PACKET,
				       .sll_ifindex = k->index,
				       .sll_hatype = ARPHRD_ETHER,
				       .sll_halen = ETH_ALEN,
				       .sll_pkttype = kind_of(k, fd, p->data)};
	memcpy(&p->from.sll_protocol, p->data + MACS + (p->tag ? TAG : 0), 2);
	memcpy(p->from.sll_addr, p->data + ETH_ALEN, ETH_ALEN);
}

/* What the kernel would tell of the packet, had it come just now. */
static void describe(struct nf_socket *k, int fd)
{
	struct nf_socket_packet *p = &k->given;
	struct msghdr m = {.msg_control = p->control};

	p->tag = tag_is_beside(p, fd);
	describe_sender(k, fd);
	make_stamp(&m, fd, &p->h.ts);
	if (asked_for(fd, SOL_PACKET, PACKET_AUXDATA))
		make_auxdata(k, &m);
	p->controllen = m.msg_controllen;
	p->fresh = true;
}

static void put_name(const struct nf_socket *k, struct msghdr *m)
{
	const struct nf_socket_packet *p = &k->given;
	socklen_t n = k->family == AF_INET ? sizeof(p->from_host) : sizeof(p->from);

	if (!m->msg_name)
		return;
	memcpy(m->msg_name, &p->from, m->msg_namelen < n ? m->msg_namelen : n);
	m->msg_namelen = n;
}

/* The next @n bytes of the message, from its byte @at on. How many had room. */
static size_t scatter(const struct msghdr *m, size_t at, const u_char *data, size_t n)
{
	size_t done = 0, part;

	for (size_t i = 0; i < m->msg_iovlen && done < n; i++) {
		const struct iovec *v = &m->msg_iov[i];

		if (at >= v->iov_len) {
			at -= v->iov_len;
			continue;
		}
		part = v->iov_len - at < n - done ? v->iov_len - at : n - done;
		memcpy((u_char *)v->iov_base + at, data + done, part);
		done += part;
		at = 0;
	}
	return done;
}

ssize_t nf_socket_put(struct nf_socket *k, int fd, struct msghdr *m, int flags)
{
	struct nf_socket_packet *p = &k->given;
	size_t head = 0, skip = 0, whole, done;

	if (!p->fresh)
		describe(k, fd);
	if (p->tag)
		head = MACS, skip = MACS + TAG;
	if (nf_socket_headless(k))
		head = 0, skip = ETHER + (p->tag ? TAG : 0);
	if (skip > p->h.caplen)
		skip = p->h.caplen;
	whole = head + p->h.caplen - skip;
	done = scatter(m, 0, p->data, head);
	if (done == head)
		done += scatter(m, head, p->data + skip, p->h.caplen - skip);
	m->msg_flags = flags & MSG_CMSG_CLOEXEC;
	if (done < whole)
		m->msg_flags |= MSG_TRUNC;
	put_name(k, m);
	put_all_control(p, m);
	return (ssize_t)(flags & MSG_TRUNC ? whole : done);
}
