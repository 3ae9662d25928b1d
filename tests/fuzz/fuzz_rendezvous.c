/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a helper may say at the shim's control socket. Input: how many descriptors
 * come with each piece, the size of a piece, then the bytes. Whatever it says, it is
 * served to its end, answered in order, and leaves neither descriptors nor memory.
 */
#include "fuzz.h"

#include "rendezvous.c"

const enum nf_fuzz_kind nf_fuzz_kind = NF_FUZZ_HELPER;

#define LONGEST	    16384
#define PIECES	    16
#define DESCRIPTORS 12 /* more than a connection keeps */
#define UNSENT	    (256u << 10)

/* The engine, and what hides descriptors from an NF. */
_Atomic bool nf_inert;
struct nf_thread nf_threads[NF_THREADS] = {[0 ... NF_THREADS - 1] = {.doorbell = -1}};
__thread struct nf_thread *nf_thread = nf_threads;
static int hiding;

void nf_threads_forked(void)
{
}

void nf_thread_never(void)
{
}

void nf_engine_fail(const char *why)
{
	(void)why;
}

void nf_drop_report(struct nf_msg_status *s)
{
	s->families = 0;
}

int nf_fd_hide(int fd)
{
	hiding++;
	return fd;
}

void nf_fd_unhide(int fd)
{
	(void)fd;
	hiding--;
}

static void say(int fd, const uint8_t *data, size_t size, unsigned descriptors)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * DESCRIPTORS)];
		struct cmsghdr align;
	} ctl = {0};
	struct iovec iov = {(void *)data, size};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};

	if (descriptors) {
		h.msg_control = ctl.buf;
		h.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors);
		CMSG_FIRSTHDR(&h)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&h)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&h)->cmsg_len = CMSG_LEN(sizeof(int) * descriptors);
		for (unsigned i = 0; i < descriptors; i++)
			((int *)CMSG_DATA(CMSG_FIRSTHDR(&h)))[i] = fd;
	}
	NF_FUZZ_PROMISE(sendmsg(fd, &h, 0) == (ssize_t)size);
}

static void say_all(int fd, const uint8_t *data, size_t size, unsigned descriptors, size_t piece)
{
	if (piece * PIECES < size)
		piece = size / PIECES + 1;
	for (size_t at = 0; at < size; at += piece)
		say(fd, data + at, size - at < piece ? size - at : piece, descriptors);
	NF_FUZZ_PROMISE(shutdown(fd, SHUT_WR) == 0);
}

/* As the service thread does, until the helper is gone. */
static void serve_guest(int fd)
{
	struct guest *g = &guest;

	g->fd = hidden(fd);
	g->conn = nf_conn_new(fd);
	NF_FUZZ_PROMISE(g->conn);
	welcome(g);
	for (unsigned n = 0; g->conn; n++) {
		NF_FUZZ_PROMISE(n <= 2 * PIECES);
		NF_FUZZ_PROMISE(nf_link_get() == g->link[0] && atomic_load(&g->link[0]->up));
		NF_FUZZ_PROMISE(nf_conn_unsent(g->conn) < UNSENT);
		listen_to(g, true);
	}
	NF_FUZZ_PROMISE(!nf_link_get() && !g->link[0] && g->fd < 0 && g->in < 0 && g->out < 0);
	NF_FUZZ_PROMISE(hiding == 0);
}

static void check_rings(struct nf_conn *c)
{
	struct nf_ring *r;
	int fd[3];

	NF_FUZZ_PROMISE(nf_conn_take_fds(c, fd, 3) == 3);
	for (int i = 0; i < 3; i++) {
		if (i < 2) {
			NF_FUZZ_PROMISE(nf_ring_attach(fd[i], &r) == 0);
			nf_ring_free(r);
		}
		close(fd[i]);
	}
}

/* What the helper says first: 1 a HELLO that is to be taken, 0 another message, -1 none. */
static int opening(const uint8_t *data, size_t size)
{
	static struct nf_msg m;
	size_t len;

	if (size < 4)
		return -1;
	len = (size_t)data[0] << 24 | (size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3];
	if (len > size - 4 || nf_msg_decode(data + 4, len, &m))
		return -1;
	return m.type == NF_MSG_HELLO && m.hello.role == NF_ROLE_HELPER &&
	       m.hello.version == NF_PROTO_VERSION;
}

/* REFUSED and nothing else; or HELLO with the rings, and then status. */
static void check_answers(int fd, int wanted)
{
	static struct nf_msg m;
	struct nf_conn *c = nf_conn_new(fd);
	bool refused = false;
	unsigned n = 0;
	int rc;

	NF_FUZZ_PROMISE(c);
	do {
		rc = nf_conn_fill(c);
		while (nf_conn_next(c, &m) == 1) {
			NF_FUZZ_PROMISE(!refused);
			refused = m.type == NF_MSG_REFUSED;
			NF_FUZZ_PROMISE(n ? m.type == NF_MSG_STATUS
					  : m.type == (wanted ? NF_MSG_HELLO : NF_MSG_REFUSED));
			if (n++ == 0 && !refused)
				check_rings(c);
		}
	} while (rc == 0);
	NF_FUZZ_PROMISE((n > 0) == (wanted >= 0));
	nf_conn_free(c);
}

static int lowest_free(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int sv[2], free_before;

	if (size < 3 || size > LONGEST)
		return 0;
	if (nf_threads[0].doorbell < 0) {
		owner = geteuid();
		nf_threads[0].doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		snprintf(name, sizeof(name), "fuzz");
	}
	free_before = lowest_free();
	NF_FUZZ_PROMISE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
	say_all(sv[0], data + 2, size - 2, data[0] % (DESCRIPTORS + 1), data[1] ? data[1] : size);
	serve_guest(sv[1]);
	check_answers(sv[0], opening(data + 2, size - 2));
	NF_FUZZ_PROMISE(lowest_free() == free_before);
	return 0;
}
