/* SPDX-License-Identifier: BSD-2-Clause */
/* setns there and back. */
#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int nf_netns_open(struct nf_netns *ns, const char *name)
{
	char path[300];

	*ns = (struct nf_netns){-1, -1};
	if (!name[0])
		return 0;
	snprintf(path, sizeof(path), "%s%s", strchr(name, '/') ? "" : "/run/netns/", name);
	ns->own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	ns->other = open(path, O_RDONLY | O_CLOEXEC);
	if (ns->own < 0 || ns->other < 0) {
		int err = -errno;

		nf_netns_close(ns);
		return err;
	}
	return 0;
}

void nf_netns_close(struct nf_netns *ns)
{
	if (ns->own >= 0)
		close(ns->own);
	if (ns->other >= 0)
		close(ns->other);
	*ns = (struct nf_netns){-1, -1};
}

int nf_netns_enter(const struct nf_netns *ns)
{
	return ns->other < 0 || setns(ns->other, CLONE_NEWNET) == 0 ? 0 : -errno;
}

void nf_netns_leave(const struct nf_netns *ns)
{
	int saved = errno;

	/* In the wrong namespace nothing that follows would be right. */
	if (ns->own >= 0 && setns(ns->own, CLONE_NEWNET) < 0)
		abort();
	errno = saved;
}
