/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a frame keeps its addresses, ports and checksums, and how to change them. */
#ifndef TRACE_PACKET_H
#define TRACE_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "trace_pool.h"

struct trace_packet {
	uint8_t family; /* 4, 6, or 0: neither IP nor ARP */
	bool arp;
	bool has_ports;		/* TCP or UDP, ports within the captured bytes */
	bool fragment;		/* not the first fragment */
	uint8_t proto;		/* behind IPv6 extension headers */
	uint16_t src, dst;	/* offsets of the addresses */
	uint16_t l3;		/* offset of the IP header */
	uint16_t l4;		/* offset of the transport header */
	uint16_t l4_len;	/* its length and payload by the IP header; 0 for fragments */
	uint16_t sum;		/* offset of the transport checksum, 0: none */
	uint16_t port[2];	/* network order; 0 without ports */
	struct trace_addr a[2]; /* source, destination */
};

/* Fill @p from @data. False: nothing with addresses in the captured bytes. */
bool trace_packet_parse(const uint8_t *data, uint32_t caplen, struct trace_packet *p);

/* Write other addresses and ports (network order) into the frame; checksums follow step by step
 * (RFC 1624), so a bad one stays bad. */
void trace_packet_rewrite(uint8_t *data, const struct trace_packet *p, const struct trace_addr a[2],
			  const uint16_t port[2]);

/* PRADS 0.3.3's bucket of a connection: sum of words as they lie in memory, mod 31337. */
#define TRACE_BUCKETS 31337
unsigned trace_bucket(const struct trace_addr a[2], const uint16_t port[2], uint8_t proto);

#endif
