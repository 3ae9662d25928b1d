/* SPDX-License-Identifier: BSD-2-Clause */
/* The key that names a flow, or a record shared by flows. Part of the public interface. */
#ifndef NFSHIM_FLOW_H
#define NFSHIM_FLOW_H

#include <stdint.h>

/* What a key names. */
enum nfshim_kind {
	NFSHIM_KIND_FLOW = 0, /* a bidirectional flow */
	NFSHIM_KIND_HOST = 1, /* a host: addr[0], and vlan[] where the NF tells them apart */
	NFSHIM_KIND_OTHER = 2 /* opaque to the shim: the adapter fills the bytes as it likes */
};

/*
 * A key. All bytes count: keys are compared and hashed as memory, so unused
 * bytes are zero. IPv4 addresses stand in the first 4 bytes of addr[i].
 * Flows are canonical: (addr[0], port[0]) <= (addr[1], port[1]) in memcmp
 * order of (addr, big-endian port). Ports and VLAN ids are in host order.
 */
struct nfshim_flow {
	uint8_t addr[2][16];
	uint16_t port[2];   /* ICMP echo: the identifier in port[0], port[1] 0 */
	uint16_t vlan[2];   /* outer and inner VLAN id, 0 if none */
	uint16_t ethertype; /* after VLAN tags: 0x0800, 0x86dd, 0x0806, … */
	uint8_t proto;	    /* IP protocol, 0 if not IP */
	uint8_t kind;	    /* enum nfshim_kind */
};

_Static_assert(sizeof(struct nfshim_flow) == 44, "a key has no padding");

#endif
