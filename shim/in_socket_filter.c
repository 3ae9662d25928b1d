/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MARK passes the filter of a packet socket of the source. While no move needs
 * it the kernel has the NF's own filter and nothing is different. What passes is
 * MARK's EtherType with its magic, so nothing else comes that the NF did not ask for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "in_socket.h"
#include "real.h"

#define MARK_TYPE  0x88b5
#define MARK_MAGIC 0x4e464d4b /* "NFMK" */
#define ETHER	   14
#define SNAP	   262144

bool nf_socket_marks_pass;

void nf_socket_keep_filter(struct nf_socket *k, int fd)
{
	socklen_t n = 0, got;
	int rc;

	if (k->prefixed)
		return;
	free(k->own.filter);
	k->own = (struct sock_fprog){0};
	rc = nf_real.getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &n);
	if (rc < 0 && errno == EACCES)
		k->own.len = 1; /* one of another kind */
	if (rc < 0 || !n)
		return;
	k->own.filter = calloc(n, sizeof(*k->own.filter));
	got = n;
	if (k->own.filter &&
	    nf_real.getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, k->own.filter, &got) == 0)
		k->own.len = (unsigned short)n;
}

static int attach(int fd, const struct sock_fprog *f)
{
	return nf_real.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, f, sizeof(*f)) < 0 ? -errno : 0;
}

int nf_socket_prefix(struct nf_socket *k, int fd)
{
	const struct sock_filter head[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MARK_TYPE, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, k->type == SOCK_RAW ? ETHER : 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MARK_MAGIC, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SNAP),
	};
	const unsigned n = sizeof(head) / sizeof(head[0]);
	struct sock_fprog both;
	int rc;

	if (!k->own.filter || k->prefixed || nf_socket_takes_one(k))
		return 0;
	both.len = (unsigned short)(n + k->own.len);
	both.filter = malloc(both.len * sizeof(*both.filter));
	if (!both.filter)
		return -ENOMEM;
	memcpy(both.filter, head, sizeof(head));
	memcpy(both.filter + n, k->own.filter, k->own.len * sizeof(*both.filter));
	rc = attach(fd, &both);
	free(both.filter);
	k->prefixed = rc == 0;
	return rc;
}

static int restore(struct nf_socket *k, int fd)
{
	if (!k->prefixed)
		return 0;
	k->prefixed = false;
	return attach(fd, &k->own);
}

int nf_socket_mark_passes(bool on)
{
	int rc = 0, one;

	nf_socket_marks_pass = on;
	if (on)
		rc = nf_socket_mark_beside();
	else
		nf_socket_no_mark_beside();
	for (unsigned i = 0; i < NF_CAPTURES; i++) {
		struct nf_capture *c = nf_capture_at(i);

		if (!c || !c->socket)
			continue;
		one = on ? nf_socket_prefix(c->socket, c->fd) : restore(c->socket, c->fd);
		rc = rc ? rc : one;
	}
	return rc;
}
