/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PRADS adapter, inside. Everything works on the roots in struct nf_prads,
 * so that tests can run it on tables of their own.
 *
 *   prads.c        hooks, registration
 *   prads_map.c    where the roots are in a known build, and proof that it is that build
 *   prads_table.c  both tables: find, walk with a cursor, unlink
 *   prads_conn.c   per-flow state: connections
 *   prads_asset.c  multi-flow state: assets; prads_record.c: one asset to bytes and back
 *   prads_sig.c    fingerprints and vendors: addresses of one process to those of another
 *   prads_key.c    which connection a packet belongs to, as PRADS sees it
 */
#ifndef NF_PRADS_H
#define NF_PRADS_H

#include <stdbool.h>
#include <sys/types.h>

#include "nfshim.h"
#include "prads_layout.h"

#define NF_PRADS_SIGS 5 /* fingerprint tables: SYN, SYN+ACK, stray ACK, FIN, RST */

struct nf_prads {
	struct prads_node **conns;  /* [PRADS_BUCKETS], struct prads_conn */
	struct prads_node **assets; /* [PRADS_BUCKETS], struct prads_asset */
	uint64_t *cxid;		    /* last connection id given out */
	const int *inpacket;	    /* not 0: got_packet is at work */
	int *intr_flag; /* a signal that came meanwhile, to be served at the next packet */
	struct prads_fp ***sigs[NF_PRADS_SIGS];
	const uint32_t *sig_buckets; /* of each fingerprint table */
	struct prads_mac ***macs;
	const uint32_t *mac_buckets;
};

/* ---- prads_map.c ---- */

struct nf_prads_map;

/* Is the program that @callback is in a build that we know? Fills @p. 0, or -ENOTSUP and a
 * sentence. */
int nf_prads_map_find(struct nf_prads *p, const struct nf_prads_map **map, const void *callback,
		      char *why, size_t whylen);
/* Is it in the state in which it enters pcap_loop(@handle, …, @callback, …)? */
int nf_prads_map_check(const struct nf_prads *p, const struct nf_prads_map *map,
		       const void *callback, const void *handle, char *why, size_t whylen);

/* ---- prads_table.c ---- */

struct nf_prads_table {
	/* Key of a record; false: it is none that PRADS can have made. */
	bool (*key)(const struct prads_node *n, struct nfshim_flow *key);
	/* Bucket of a key; false: PRADS has no record for such a key. */
	bool (*bucket)(const struct nfshim_flow *key, uint32_t *index);
};

extern const struct nf_prads_table nf_prads_conns, nf_prads_assets;

/* First record of @key in the chain *@head, NULL: none. */
struct prads_node *nf_prads_find(const struct nf_prads_table *t, struct prads_node *head,
				 const struct nfshim_flow *key);
int nf_prads_list(const struct nf_prads_table *t, struct prads_node *const *heads, uint64_t *cursor,
		  unsigned max, nfshim_key_cb cb, void *arg);
/* Put @n before @next in the chain *@head; NULL: at its end. */
void nf_prads_link(struct prads_node **head, struct prads_node *n, struct prads_node *next);
/* Take @n out of *@head. PRADS' own way may lose the rest of the chain; this one does not. */
void nf_prads_unlink(struct prads_node **head, struct prads_node *n);
/* Hash, chain and family of a sample of records; false if PRADS cannot have made this table. */
bool nf_prads_sane(const struct nf_prads_table *t, struct prads_node *const *heads);

/* ---- prads_conn.c, prads_asset.c: as in struct nfshim_hooks ---- */

bool nf_prads_conn_has(const struct nf_prads *p, const struct nfshim_flow *key);
ssize_t nf_prads_conn_get(const struct nf_prads *p, const struct nfshim_flow *key, void *buf,
			  size_t cap);
int nf_prads_conn_put(struct nf_prads *p, const struct nfshim_flow *key, const void *blob,
		      size_t len);
int nf_prads_conn_del(struct nf_prads *p, const struct nfshim_flow *key);

bool nf_prads_asset_has(const struct nf_prads *p, const struct nfshim_flow *key);
ssize_t nf_prads_asset_get(const struct nf_prads *p, const struct nfshim_flow *key, void *buf,
			   size_t cap);
int nf_prads_asset_put(struct nf_prads *p, const struct nfshim_flow *key, const void *blob,
		       size_t len);
int nf_prads_asset_del(struct nf_prads *p, const struct nfshim_flow *key);

/* ---- prads_sig.c ---- */

/* Line of the signature that @os was recognised by; 0: none, or not in our tables. */
uint32_t nf_prads_sig_line(const struct nf_prads *p, const struct prads_os *os);
/* Texts as this process has them: those of the same signature, else kept copies. 0 or -ENOMEM. */
int nf_prads_sig_link(const struct nf_prads *p, struct prads_os *os, uint32_t line,
		      const char *name, const char *desc);
/* The same vendor entry in our table, or NULL. */
struct prads_mac *nf_prads_mac_link(const struct nf_prads *p, const uint8_t o[6], uint8_t mask,
				    const char *vendor);
void nf_prads_sig_forget(void); /* the tables were replaced (tests) */

/* ---- prads_key.c ---- */

void nf_prads_key_of(const struct nfshim_packet *pkt, struct nfshim_flow *key);
unsigned nf_prads_records_of(const struct nfshim_flow *flow, struct nfshim_flow *keys,
			     unsigned max);

#endif
