/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket and its service thread.
 *
 * Theory of operation. One thread with all signals blocked listens on
 * DIR/NAME.sock and serves one helper at a time: hello, rings, status. It never
 * touches the NF. A link (two rings) is published to the packet thread by one
 * pointer; when the helper goes, the link is marked down, and freed once the
 * packet thread has retired it (or at once if there is no packet thread yet).
 * All descriptors are hidden from the NF, which may close everything it sees.
 *
 * fork() leaves the child without the thread. It drops the parent's helper at
 * once, or the helper would not see the parent end; if it comes to read packets
 * (a daemon), it takes over the name. It can have lost the right to the directory
 * by then: the listening socket it inherited serves as well once the parent is gone.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "conn.h"
#include "drop.h"
#include "engine.h"
#include "fds.h"
#include "link.h"
#include "log.h"

#define TICK_MS	 200
#define STACK	 (256u << 10)
#define HELLO_MS 5000

_Atomic uint64_t nf_packets_seen;
_Atomic bool nf_packet_thread_known;
bool nf_rendezvous_forked;

_Atomic(struct nf_link *) nf_link_current;
static char name[NF_NAME_MAX];
static struct sockaddr_un addr = {.sun_family = AF_UNIX};
static int listener = -1, doorbell = -1;
static uid_t owner;
static pid_t thread_pid;
static bool forked; /* a child may have the name now */
static pid_t taken; /* by this process, if it is known */

static pthread_mutex_t status_lock = PTHREAD_MUTEX_INITIALIZER;
static struct nf_msg_status status;
static unsigned status_seq;

/* One helper, or none. Descriptors are hidden. */
static struct guest {
	struct nf_conn *conn;
	struct nf_link *link;
	int fd, in, out;
	unsigned told; /* status_seq that was sent */
} guest = {.fd = -1, .in = -1, .out = -1};
static pthread_mutex_t guest_lock = PTHREAD_MUTEX_INITIALIZER; /* its descriptors; for fork */

void nf_link_retire(struct nf_link *l)
{
	struct nf_link *was = l;

	/* From here on nf_link_get must not find it: it is about to be freed. */
	atomic_compare_exchange_strong(&nf_link_current, &was, NULL);
	atomic_store_explicit(&l->retired, true, memory_order_release);
}

int nf_doorbell(void)
{
	return doorbell;
}

void nf_status_publish(const struct nf_msg_status *s)
{
	/* The service thread holds the lock for a copy only. */
	pthread_mutex_lock(&status_lock);
	status = *s;
	status_seq++;
	pthread_mutex_unlock(&status_lock);
}

static struct nf_msg get_status(unsigned *seq)
{
	struct nf_msg m = {.type = NF_MSG_STATUS};

	pthread_mutex_lock(&status_lock);
	m.status = status;
	*seq = status_seq;
	pthread_mutex_unlock(&status_lock);
	m.status.packets = atomic_load_explicit(&nf_packets_seen, memory_order_relaxed);
	nf_drop_report(&m.status);
	return m;
}

/* ---- descriptors ---- */

static int hidden(int fd)
{
	return fd < 0 ? fd : nf_fd_hide(fd);
}

static void close_hidden(int *fd)
{
	if (*fd < 0)
		return;
	nf_fd_unhide(*fd);
	close(*fd);
	*fd = -1;
}

static int bind_listener(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err = 0;

	if (fd < 0)
		return -errno;
	/* The name gets the socket's mode: no need to touch the NF's umask. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(fd, 4) < 0)
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	return hidden(fd);
}

/* The process at the other end; 0: unknown. */
static pid_t peer_of(int fd)
{
	struct ucred cred = {0};
	socklen_t len = sizeof(cred);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ? 0 : cred.pid;
}

static int open_listener(void)
{
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive;

	if (probe < 0)
		return -errno;
	/* EAGAIN: somebody listens, but is slow to answer. */
	alive = connect(probe, (struct sockaddr *)&addr, sizeof(addr)) == 0 || errno == EAGAIN;
	if (alive)
		taken = peer_of(probe);
	close(probe);
	if (alive)
		return -EADDRINUSE;
	unlink(addr.sun_path);
	return bind_listener();
}

/* ---- one helper ---- */

static void refuse(struct nf_conn *c, const char *why)
{
	struct nf_msg m = {.type = NF_MSG_REFUSED};

	snprintf(m.text, sizeof(m.text), "%s", why);
	nf_conn_send(c, &m);
}

static bool may_connect(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	return cred.uid == 0 || cred.uid == owner;
}

static int make_rings(struct guest *g)
{
	int err, in, out;

	g->link = calloc(1, sizeof(*g->link));
	if (!g->link)
		return -ENOMEM;
	err = nf_ring_create(NF_RING_BYTES, "nfshim-in", &g->link->in, &in);
	if (err)
		return err;
	g->in = hidden(in);
	err = nf_ring_create(NF_RING_BYTES, "nfshim-out", &g->link->out, &out);
	if (err)
		return err;
	g->out = hidden(out);
	return 0;
}

/* The helper's HELLO, checked. 0 or a sentence. */
static const char *check_hello(const struct nf_msg *m)
{
	const char *why;

	if (m->type != NF_MSG_HELLO || m->hello.role != NF_ROLE_HELPER)
		return "a helper says HELLO first";
	why = nf_msg_version_why("this helper", m->hello.version);
	if (why)
		return why;
	if (nf_inert)
		return "the shim in this NF is inert; its messages on standard error say why";
	return NULL;
}

static int greet(struct guest *g)
{
	struct nf_msg m;
	const char *why;
	int fds[3], err = nf_conn_recv_wait(g->conn, &m, HELLO_MS);

	if (err)
		return err;
	why = check_hello(&m);
	if (why) {
		refuse(g->conn, why);
		return -EPROTO;
	}
	err = make_rings(g);
	if (err) {
		refuse(g->conn, "out of memory for the rings");
		return err;
	}
	memset(&m, 0, sizeof(m));
	m.type = NF_MSG_HELLO;
	m.hello.version = NF_PROTO_VERSION;
	m.hello.role = NF_ROLE_SHIM;
	snprintf(m.hello.name, sizeof(m.hello.name), "%s", name);
	fds[0] = g->in;
	fds[1] = g->out;
	fds[2] = doorbell;
	err = nf_conn_send_fds(g->conn, &m, fds, 3);
	if (err)
		return err;
	atomic_store(&g->link->up, true);
	atomic_store_explicit(&nf_link_current, g->link, memory_order_release);
	return 0;
}

static void wake_packet_thread(void)
{
	uint64_t one = 1;

	if (write(doorbell, &one, sizeof(one)) < 0)
		nf_warn("doorbell: %s", strerror(errno));
}

/* Wait until the packet thread lets go; a stalled NF delays the next helper, nothing else. */
static void take_back(struct nf_link *l)
{
	atomic_store(&l->up, false);
	if (!atomic_load(&nf_packet_thread_known)) {
		atomic_store(&nf_link_current, NULL);
		if (!atomic_load(&nf_packet_thread_known))
			return;
		atomic_store(&nf_link_current,
			     l); /* it may have got it just before: let it retire */
	}
	wake_packet_thread();
	while (!atomic_load(&l->retired) && !nf_inert)
		usleep(1000);
}

static void drop_link(struct guest *g)
{
	struct nf_link *l = g->link;

	if (!l)
		return;
	if (atomic_load(&l->up))
		take_back(l);
	nf_ring_free(l->in);
	nf_ring_free(l->out);
	free(l);
	g->link = NULL;
}

static void farewell(struct guest *g)
{
	drop_link(g);
	close_hidden(&g->in);
	close_hidden(&g->out);
	pthread_mutex_lock(&guest_lock);
	if (g->conn) {
		nf_fd_unhide(g->fd);
		nf_conn_free(g->conn);
	}
	*g = (struct guest){.fd = -1, .in = -1, .out = -1};
	pthread_mutex_unlock(&guest_lock);
}

static void welcome(struct guest *g)
{
	if (!may_connect(g->fd))
		refuse(g->conn, "only root and the user who started the NF may connect");
	else if (greet(g) == 0)
		return;
	farewell(g);
}

/* A connection, known to the fork handler from its first moment; NULL if there is none. */
static struct nf_conn *accept_hidden(struct guest *g)
{
	struct nf_conn *c = NULL;
	int fd;

	pthread_mutex_lock(&guest_lock);
	fd = hidden(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	if (fd >= 0) {
		c = nf_conn_new(fd);
		if (!c) {
			close_hidden(&fd);
		} else if (!g->conn) {
			g->conn = c;
			g->fd = fd;
		}
	}
	pthread_mutex_unlock(&guest_lock);
	return c;
}

static void accept_one(struct guest *g)
{
	struct nf_conn *c = accept_hidden(g);
	struct nf_msg m;

	if (!c) {
		usleep(TICK_MS * 1000); /* no descriptors left, most likely: do not spin */
	} else if (c == g->conn) {
		welcome(g);
	} else {
		/* It reads the answer only if its own HELLO could be sent. */
		nf_conn_recv_wait(c, &m, TICK_MS);
		refuse(c, "another nfxfer serves this NF already");
		nf_fd_unhide(nf_conn_fd(c));
		nf_conn_free(c);
	}
}

static int tell_status(struct guest *g)
{
	unsigned seq;
	struct nf_msg m = get_status(&seq);

	g->told = seq;
	return nf_conn_send(g->conn, &m);
}

static void listen_to(struct guest *g, bool readable)
{
	struct nf_msg m;
	int rc = readable ? nf_conn_fill(g->conn) : 0;

	while (rc == 0 && (rc = nf_conn_next(g->conn, &m)) == 1)
		rc = m.type == NF_MSG_ASK ? tell_status(g) : -EPROTO;
	if (rc == 0 && g->told != __atomic_load_n(&status_seq, __ATOMIC_RELAXED))
		rc = tell_status(g);
	if (rc == 0)
		rc = nf_conn_flush(g->conn);
	if (rc < 0)
		farewell(g);
}

static void *serve(void *arg)
{
	struct guest *g = &guest;
	struct pollfd p[2];

	(void)arg;
	for (;;) {
		p[0] = (struct pollfd){.fd = listener, .events = POLLIN};
		p[1] = (struct pollfd){.fd = g->conn ? g->fd : -1, .events = POLLIN};
		if (poll(p, 2, TICK_MS) < 0 && errno != EINTR)
			break;
		if (p[0].revents)
			accept_one(g);
		if (g->conn)
			listen_to(g, p[1].revents != 0);
	}
	nf_err("the control socket is lost: %s", strerror(errno));
	return NULL;
}

static int start_thread(void)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t t;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&t, &attr, serve, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (!err)
		pthread_setname_np(t, "nfshim");
	thread_pid = getpid();
	return -err;
}

/* ---- fork ---- */

static void before_fork(void)
{
	pthread_mutex_lock(&guest_lock);
}

static void in_parent(void)
{
	forked = true;
	pthread_mutex_unlock(&guest_lock);
}

static void in_child(void)
{
	if (guest.conn) {
		nf_fd_unhide(guest.fd);
		close(guest.fd);
		guest.fd = -1;
	}
	close_hidden(&guest.in);
	close_hidden(&guest.out);
	atomic_store(&nf_link_current, NULL);
	nf_rendezvous_forked = true;
	pthread_mutex_unlock(&guest_lock);
}

int nf_rendezvous_start(const char *dir, const char *n)
{
	int err;

	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s.sock", dir, n) >=
	    (int)sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	snprintf(name, sizeof(name), "%s", n);
	snprintf(status.name, sizeof(status.name), "%s", n);
	snprintf(status.program, sizeof(status.program), "%s", program_invocation_short_name);
	snprintf(status.reason, sizeof(status.reason), "the NF has not started its input yet");
	status.pid = (uint32_t)getpid();
	owner = geteuid();
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return -errno;
	doorbell = hidden(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (doorbell < 0)
		return -errno;
	listener = open_listener();
	if (listener < 0)
		return listener;
	err = -pthread_atfork(before_fork, in_parent, in_child);
	if (!err)
		err = start_thread();
	if (err)
		close_hidden(&listener);
	return err;
}

pid_t nf_rendezvous_pid(void)
{
	return thread_pid;
}

pid_t nf_rendezvous_taken(void)
{
	return taken;
}

bool nf_rendezvous_alone(void)
{
	struct stat st;

	/* Two links of the folder's own, this thread and ours. */
	return thread_pid == getpid() && stat("/proc/self/task", &st) == 0 && st.st_nlink <= 4;
}

void nf_rendezvous_ensure(void)
{
	int fd;

	nf_rendezvous_forked = false;
	if (thread_pid == getpid() || listener < 0)
		return;
	pthread_mutex_init(&status_lock, NULL); /* the parent's thread may have held it */
	/* Else the parent's threads were at work on it. */
	if (guest.link && atomic_load(&guest.link->up) && !atomic_load(&nf_packet_thread_known)) {
		nf_ring_free(guest.link->in);
		nf_ring_free(guest.link->out);
		free(guest.link);
	}
	guest = (struct guest){.fd = -1, .in = -1, .out = -1};
	forked = false;
	unlink(addr.sun_path);
	fd = bind_listener();
	if (fd >= 0) {
		close_hidden(&listener);
		listener = fd;
	} else {
		nf_info("%s: %s: sharing the control socket with process %d until it ends",
			addr.sun_path, strerror(-fd), (int)thread_pid);
	}
	if (start_thread())
		nf_engine_fail("the control thread could not be started again after fork");
}

/* The name belongs to this process, unless a child went on as the NF. */
__attribute__((destructor)) static void remove_socket(void)
{
	if (listener >= 0 && thread_pid == getpid() && !forked)
		unlink(addr.sun_path);
}
