/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PRADS 0.3.3 in memory, on 64-bit machines: its records as its public header
 * at tag 0.3.3 describes them, declared anew. Only the fields' places matter.
 */
#ifndef NF_PRADS_LAYOUT_H
#define NF_PRADS_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define PRADS_BUCKETS  31337
#define PRADS_OPTIONS  16    /* TCP options a fingerprint holds */
#define PRADS_MAC_HASH 19963 /* buckets of the vendor table */

/* Protocols for which PRADS parses an inner packet; IPIP (4) is not among them. */
#define PRADS_PROTO_IP4 94
#define PRADS_PROTO_IP6 41

/* How an operating system was recognised: os.detection, one bit. */
enum prads_detection {
	PRADS_FIN = 0x01,
	PRADS_SYN = 0x02,
	PRADS_RST = 0x04,
	PRADS_SYNACK = 0x08,
	PRADS_ACK = 0x10,
	PRADS_ICMP = 0x20,
	PRADS_UDP = 0x40,
	PRADS_DHCP = 0x80,
};

/* Both tables chain their records by these two. */
struct prads_node {
	struct prads_node *prev, *next;
};

struct prads_conn {
	struct prads_node node;
	int64_t start, last;
	uint64_t cxid;
	uint8_t reversed;
	uint32_t af;
	uint16_t hw_proto;
	uint8_t proto;				      /* 0 for all but TCP, UDP and ICMP */
	uint8_t s_ip[16] __attribute__((aligned(4))); /* IPv4: 4 bytes, the rest is undefined */
	uint8_t d_ip[16];
	uint16_t s_port, d_port; /* network order */
	uint64_t s_pkts, s_bytes, d_pkts, d_bytes;
	uint8_t s_flags, pad, d_flags, check;
	void *c_asset, *s_asset; /* never set in this version */
};

struct prads_string { /* bstrlib's */
	int mlen, slen;
	unsigned char *data;
};

struct prads_serv {
	struct prads_node node; /* PRADS leaves prev NULL in all of a list */
	int64_t first, last;
	uint16_t attempts, proto;
	uint16_t port; /* network order */
	uint8_t ttl;
	struct prads_string *service, *application;
	int role, unknown;
};

struct prads_fp {
	char *os, *desc; /* of the signature that matched; PRADS compares the addresses */
	uint8_t no_detail, generic, userland;
	uint16_t wsize;
	uint8_t wsize_mod, ttl, df, zero_stamp;
	uint16_t size;
	uint8_t optcnt, opt[PRADS_OPTIONS];
	uint16_t wsc, mss;
	uint8_t wsc_mod, mss_mod;
	uint32_t quirks, line;
	struct prads_fp *next;
};

struct prads_os {
	struct prads_node node;
	int64_t first, last;
	uint16_t attempts;
	void *vendor, *os; /* unused */
	uint8_t detection;
	struct prads_string *raw_fp;
	void *matched_fp; /* unused */
	struct prads_fp fp;
	void *match_os, *match_desc; /* unused */
	uint16_t port, mtu;
	uint8_t ttl;
	uint32_t uptime;
};

struct prads_mac {
	uint8_t o[6], mask; /* mask: bits that count */
	char *vendor, *comment;
	struct prads_mac *next;
};

struct prads_asset {
	struct prads_node node;
	int64_t first, last;
	uint16_t attempts;
	int af;
	uint16_t vlan;				    /* network order */
	uint8_t ip[16] __attribute__((aligned(4))); /* IPv4: 4 bytes */
	uint8_t mac[6];
	struct prads_mac *vendor;
	struct prads_node *services; /* struct prads_serv */
	struct prads_node *os;	     /* struct prads_os */
};

#if UINTPTR_MAX == UINT64_MAX
_Static_assert(sizeof(struct prads_conn) == 144 && offsetof(struct prads_conn, s_ip) == 0x34 &&
		       offsetof(struct prads_conn, s_port) == 0x54 &&
		       offsetof(struct prads_conn, d_flags) == 0x7a,
	       "connection");
_Static_assert(sizeof(struct prads_serv) == 64 && offsetof(struct prads_serv, port) == 0x24 &&
		       offsetof(struct prads_serv, application) == 0x30,
	       "service");
_Static_assert(sizeof(struct prads_fp) == 72 && offsetof(struct prads_fp, wsc) == 46,
	       "fingerprint");
_Static_assert(sizeof(struct prads_os) == 184 && offsetof(struct prads_os, detection) == 0x38 &&
		       offsetof(struct prads_os, fp) == 0x50 &&
		       offsetof(struct prads_os, uptime) == 0xb0,
	       "operating system");
_Static_assert(sizeof(struct prads_mac) == 32, "vendor");
_Static_assert(sizeof(struct prads_asset) == 96 && offsetof(struct prads_asset, ip) == 0x2c &&
		       offsetof(struct prads_asset, services) == 0x50,
	       "asset");
#endif

#endif
