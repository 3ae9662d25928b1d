/* SPDX-License-Identifier: BSD-2-Clause */
/* Work in the switch's network namespace for a moment. One thread only. */
#ifndef NF_NETNS_H
#define NF_NETNS_H

struct nf_netns {
	int own, other; /* fds; other -1: nowhere to go */
};

/* @name: under /run/netns, or a path; "" for the own one. 0 or -errno. */
int nf_netns_open(struct nf_netns *ns, const char *name);
void nf_netns_close(struct nf_netns *ns);
int nf_netns_enter(const struct nf_netns *ns);
void nf_netns_leave(const struct nf_netns *ns); /* keeps errno; aborts if it cannot */

#endif
