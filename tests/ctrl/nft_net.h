/* SPDX-License-Identifier: BSD-2-Clause */
/* A private network: a sender, a switch with two ports and a reference, and who listens there. */
#ifndef NFT_NET_H
#define NFT_NET_H

#include <stddef.h>
#include <stdint.h>

/* gen → swin | sw1 → p1, sw2 → p2, swr → pr. Enters a namespace of its own. 0 or -errno. */
int net_up(void);
int net_socket(const char *dev); /* AF_PACKET, sees what arrives at @dev; large buffer */
unsigned net_drops(int sock);

/* Frames: return their length. Addresses and ports in host order. */
size_t frame_udp(uint8_t *f, uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport);
/* Any IP packet of text addresses, IPv4 or IPv6, with @tags of 802.1Q before it. */
size_t frame_ip(uint8_t *f, const char *src, const char *dst, int proto, uint16_t sport,
		uint16_t dport, int tags);
size_t frame_arp(uint8_t *f, const char *sender, const char *target);

#endif
