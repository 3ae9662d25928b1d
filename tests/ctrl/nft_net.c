/* SPDX-License-Identifier: BSD-2-Clause */
#include "nft_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char setup[] = "set -e\n"
			    "for p in gen:swin sw1:p1 sw2:p2 swr:pr; do a=${p%:*} b=${p#*:}\n"
			    " ip link add $a type veth peer name $b\n"
			    " for d in $a $b; do\n"
			    "  echo 1 >/proc/sys/net/ipv6/conf/$d/disable_ipv6\n"
			    "  ip link set $d arp off multicast off up; done; done\n";

int net_up(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	return system(setup) ? -EIO : 0;
}

int net_socket(const char *dev)
{
	struct sockaddr_ll a = {.sll_family = AF_PACKET,
				.sll_protocol = htons(ETH_P_ALL),
				.sll_ifindex = (int)if_nametoindex(dev)};
	int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), bytes = 256 << 20, on = 1;

	setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	setsockopt(s, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on));
	setsockopt(s, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
	if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	return s;
}

unsigned net_drops(int sock)
{
	struct tpacket_stats st = {0};
	socklen_t n = sizeof(st);

	getsockopt(sock, SOL_PACKET, PACKET_STATISTICS, &st, &n);
	return st.tp_drops;
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static size_t ether(uint8_t *f, unsigned type, int tags)
{
	size_t n = 12;

	memset(f, 0, 256);
	f[0] = f[6] = 2;
	f[5] = 1;
	f[11] = 2;
	for (int i = 0; i < tags; i++, n += 4) {
		put16(f + n, 0x8100);
		put16(f + n + 2, 5u + (unsigned)i);
	}
	put16(f + n, type);
	return n + 2;
}

static size_t ipv4(uint8_t *p, const void *src, const void *dst, int proto)
{
	uint32_t sum = 0;

	p[0] = 0x45;
	put16(p + 2, 20 + 32);
	p[8] = 64;
	p[9] = (uint8_t)proto;
	memcpy(p + 12, src, 4);
	memcpy(p + 16, dst, 4);
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	put16(p + 10, ~sum & 0xffff);
	return 20;
}

static size_t ipv6(uint8_t *p, const void *src, const void *dst, int proto)
{
	p[0] = 0x60;
	put16(p + 4, 32);
	p[6] = (uint8_t)proto;
	p[7] = 64;
	memcpy(p + 8, src, 16);
	memcpy(p + 24, dst, 16);
	return 40;
}

static size_t transport(uint8_t *p, int proto, uint16_t sport, uint16_t dport)
{
	if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
		return 32;
	put16(p, sport);
	put16(p + 2, dport);
	if (proto == IPPROTO_TCP)
		p[12] = 0x50;
	else if (proto == IPPROTO_UDP)
		put16(p + 4, 32);
	return 32;
}

size_t frame_ip(uint8_t *f, const char *src, const char *dst, int proto, uint16_t sport,
		uint16_t dport, int tags)
{
	uint8_t a[16], b[16];
	int six = strchr(src, ':') != NULL, af = six ? AF_INET6 : AF_INET;
	size_t n = ether(f, six ? 0x86dd : 0x0800, tags);

	inet_pton(af, src, a);
	inet_pton(af, dst, b);
	n += six ? ipv6(f + n, a, b, proto) : ipv4(f + n, a, b, proto);
	return n + transport(f + n, proto, sport, dport);
}

size_t frame_udp(uint8_t *f, uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport)
{
	uint32_t a = htonl(src), b = htonl(dst);
	size_t n = ether(f, 0x0800, 0);

	n += ipv4(f + n, &a, &b, IPPROTO_UDP);
	return n + transport(f + n, IPPROTO_UDP, sport, dport);
}

size_t frame_arp(uint8_t *f, const char *sender, const char *target)
{
	static const uint8_t head[] = {0, 1, 8, 0, 6, 4, 0, 1};
	size_t n = ether(f, 0x0806, 0);

	memcpy(f + n, head, sizeof(head));
	inet_pton(AF_INET, sender, f + n + 14);
	inet_pton(AF_INET, target, f + n + 24);
	return 60;
}
