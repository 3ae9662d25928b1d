/* SPDX-License-Identifier: BSD-2-Clause */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define FULL_MS 10000

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct nf_conn *client_connect(const char *dir, const char *name, int ms)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	long end = now_ms() + ms;
	int fd, err;

	if (snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s.sock", dir, name) >=
	    (int)sizeof(a.sun_path)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	for (;;) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			return NULL;
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
			return nf_conn_new(fd);
		err = errno;
		close(fd);
		if (now_ms() > end) {
			errno = err;
			return NULL;
		}
		usleep(5000);
	}
}

int client_hello(struct nf_conn *c, uint32_t version, enum nf_role role, const char *name,
		 struct nf_msg *m, int ms)
{
	int err;

	memset(m, 0, sizeof(*m));
	m->type = NF_MSG_HELLO;
	m->hello.version = version;
	m->hello.role = role;
	snprintf(m->hello.name, sizeof(m->hello.name), "%s", name);
	err = nf_conn_send(c, m);
	return err ? err : nf_conn_recv_wait(c, m, ms);
}

int client_take_rings(struct client *c)
{
	int fd[3], err;

	if (nf_conn_take_fds(c->conn, fd, 3) != 3)
		return -EPROTO;
	err = nf_ring_attach(fd[0], &c->in);
	if (!err)
		err = nf_ring_attach(fd[1], &c->out);
	close(fd[0]);
	close(fd[1]);
	c->doorbell = fd[2];
	return err;
}

void client_close(struct client *c)
{
	nf_ring_free(c->in);
	nf_ring_free(c->out);
	if (c->conn)
		close(c->doorbell);
	nf_conn_free(c->conn);
	memset(c, 0, sizeof(*c));
}

int client_push(struct client *c, const struct nf_rec *r, const void *payload)
{
	long end = now_ms() + FULL_MS;
	struct nf_rec *slot;
	uint64_t one = 1;

	while (!(slot = nf_ring_reserve(c->in, r->len))) {
		if (now_ms() > end)
			return -EAGAIN;
		usleep(1000);
	}
	memcpy(slot, r, sizeof(*r));
	if (nf_rec_payload(r))
		memcpy(slot + 1, payload, nf_rec_payload(r));
	nf_ring_commit(c->in, slot);
	return write(c->doorbell, &one, sizeof(one)) < 0 ? -errno : 0;
}

int client_order(struct client *c, enum nf_rec_type t, uint64_t move)
{
	struct nf_rec r = {.len = sizeof(r), .type = (uint8_t)t, .move = move};

	return client_push(c, &r, NULL);
}

int client_begin(struct client *c, enum nf_rec_type t, uint64_t move, const char *space,
		 const struct nf_rec_begin *opt)
{
	uint8_t buf[sizeof(*opt) + 4096];
	struct nf_rec_begin *b = (struct nf_rec_begin *)buf;
	struct nf_rec r = {.type = (uint8_t)t, .move = move};

	*b = *opt;
	b->space_len = (uint32_t)strlen(space);
	if (b->space_len > sizeof(buf) - sizeof(*b))
		return -EMSGSIZE;
	memcpy(buf + sizeof(*b), space, b->space_len);
	r.len = (uint32_t)(sizeof(r) + sizeof(*b) + b->space_len);
	return client_push(c, &r, buf);
}
