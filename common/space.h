/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flow spaces: the subset of pcap-filter(7) that a switch can match.
 *
 *   tcp|udp|icmp|icmp6|sctp|proto N   ip|ip6   [src|dst] host|net|port X
 *   and, or, parentheses; the word "all" for everything
 *
 * A flow belongs if a packet of it in either direction matches. A space by net
 * or host means IP packets and ARP for those addresses.
 */
#ifndef NF_SPACE_H
#define NF_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nfshim_flow.h"

#define NF_SPACE_TEXT  4096 /* longest text accepted, with the NUL */
#define NF_SPACE_TERMS 1024 /* most conjunctions after expansion */

/* One test of a packet's header, as a switch makes it. */
struct nf_space_test {
	enum nf_space_field {
		NF_SPACE_FAMILY, /* ethertype: 0x0800 or 0x86dd */
		NF_SPACE_PROTO,	 /* IP protocol: value */
		NF_SPACE_ADDR,	 /* family, addr/prefix; side */
		NF_SPACE_PORT,	 /* value; side (TCP, UDP, SCTP) */
	} field;
	enum nf_space_side { NF_SPACE_EITHER, NF_SPACE_SRC, NF_SPACE_DST } side;
	uint16_t value;	  /* ethertype (also for ADDR), protocol or port */
	uint8_t prefix;	  /* bits, ADDR only */
	uint8_t addr[16]; /* masked */
};

/* A conjunction: all of its tests hold for one packet. */
struct nf_space_term {
	unsigned n;
	struct nf_space_test *test;
};

/* A disjunction of terms. The switch drivers walk it; nobody else needs to. */
struct nf_space {
	bool all;	/* everything, also what is not IP */
	bool has_ports; /* non-first fragments cannot be matched by a switch */
	unsigned n;
	struct nf_space_term *term;
	char *text; /* canonical text */
};

/*
 * Parse @text. On failure returns -errno (-EINVAL syntax or unsupported word,
 * -E2BIG too large) and writes one sentence into @err that names the word at
 * fault and what to do.
 */
int nf_space_parse(const char *text, struct nf_space **out, char *err, size_t errlen);
void nf_space_free(struct nf_space *s); /* accepts NULL */

/* Does a packet of @f in either direction match? ARP keys match by address. */
bool nf_space_has_flow(const struct nf_space *s, const struct nfshim_flow *f);

/* Is host @addr (NFSHIM_KIND_HOST key) one that an address of the space names
 * (or is the space "all")? Spaces without addresses name no host. */
bool nf_space_has_host(const struct nf_space *s, const struct nfshim_flow *host);

/* Can some packet match both? May err on the side of true. */
bool nf_space_overlap(const struct nf_space *a, const struct nf_space *b);

#endif
