/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket and its service thread.
 *
 * Theory of operation. One thread with all signals blocked listens on
 * DIR/NAME.sock and serves one helper at a time: hello, rings, status. It never
 * touches the NF. A link (two rings) is published to its packet thread by one
 * pointer; when the helper goes, the link is marked down, and freed once the
 * packet thread has retired it (or at once if there is no packet thread yet).
 * The first link goes with the hello, before any packet thread is known; those
 * of other packet threads follow as CHANNEL when these begin.
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
#include "threads.h"

#define TICK_MS	 200
#define STACK	 (256u << 10)
#define HELLO_MS 5000

_Atomic bool nf_rendezvous_forked;

static char name[NF_NAME_MAX];
static struct sockaddr_un addr = {.sun_family = AF_UNIX};
static int listener = -1;
static uid_t owner;
static _Atomic pid_t thread_pid;
static bool forked; /* a child may have the name now */
static pid_t taken; /* by this process, if it is known */

static pthread_mutex_t status_lock = PTHREAD_MUTEX_INITIALIZER;
static struct nf_msg_status status;
static _Atomic unsigned status_seq;

/* One helper, or none. Descriptors are hidden. */
static struct guest {
	struct nf_conn *conn;
	struct nf_link *link[NF_THREADS];
	int fd, in,
		out;   /* the first link's rings, until it goes: the child of a fork has them too */
	unsigned told; /* status_seq that was sent */
} guest = {.fd = -1, .in = -1, .out = -1};
static pthread_mutex_t guest_lock = PTHREAD_MUTEX_INITIALIZER; /* its descriptors; for fork */

struct nf_link *nf_link_get(void)
{
	return nf_thread ? atomic_load_explicit(&nf_thread->link, memory_order_acquire) : NULL;
}

void nf_link_retire(struct nf_link *l)
{
	struct nf_link *was = l;

	/* From here on nf_link_get must not find it: it is about to be freed. */
	atomic_compare_exchange_strong(&nf_thread->link, &was, NULL);
	atomic_store_explicit(&l->retired, true, memory_order_release);
}

int nf_doorbell(void)
{
	return nf_thread ? nf_thread->doorbell : -1;
}

void nf_status_publish(const struct nf_msg_status *s)
{
	/* The service thread holds the lock for a copy only. */
	pthread_mutex_lock(&status_lock);
	status = *s;
	nf_thread->move = s->move;
	nf_thread->side = s->side;
	nf_thread->phase = s->phase;
	status_seq++;
	pthread_mutex_unlock(&status_lock);
}

void nf_status_changed(void)
{
	pthread_mutex_lock(&status_lock);
	status_seq++;
	pthread_mutex_unlock(&status_lock);
}

/* A move is as far as the packet thread that is least so. */
static void add_thread(struct nf_msg_status *s, unsigned i)
{
	const struct nf_thread *t = &nf_threads[i];

	if (!atomic_load(&t->known))
		return;
	s->thread[i] = (uint8_t)(atomic_load(&t->number) + 1);
	s->packets += atomic_load_explicit(&t->packets, memory_order_relaxed);
	if (t->side == NF_SIDE_NONE || (s->side != NF_SIDE_NONE && s->phase <= t->phase))
		return;
	s->move = t->move;
	s->side = t->side;
	s->phase = t->phase;
}

static struct nf_msg get_status(unsigned *seq)
{
	struct nf_msg m = {.type = NF_MSG_STATUS};

	pthread_mutex_lock(&status_lock);
	m.status = status;
	m.status.move = 0;
	m.status.side = NF_SIDE_NONE;
	m.status.phase = NF_PHASE_IDLE;
	for (unsigned i = 0; i < NF_THREADS; i++)
		add_thread(&m.status, i);
	*seq = status_seq;
	pthread_mutex_unlock(&status_lock);
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

static int make_link(struct nf_link **l, int *in, int *out)
{
	int err;

	*l = calloc(1, sizeof(**l));
	if (!*l)
		return -ENOMEM;
	err = nf_ring_create(NF_RING_BYTES, "nfshim-in", &(*l)->in, in);
	if (err)
		return err;
	*in = hidden(*in);
	err = nf_ring_create(NF_RING_BYTES, "nfshim-out", &(*l)->out, out);
	if (err)
		return err;
	*out = hidden(*out);
	return 0;
}

static void free_link(struct nf_link **l)
{
	if (!*l)
		return;
	nf_ring_free((*l)->in);
	nf_ring_free((*l)->out);
	free(*l);
	*l = NULL;
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

static void publish(struct nf_link *l, unsigned thread)
{
	atomic_store(&l->up, true);
	atomic_store_explicit(&nf_threads[thread].link, l, memory_order_release);
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
	err = make_link(&g->link[0], &g->in, &g->out);
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
	fds[2] = nf_threads[0].doorbell;
	err = nf_conn_send_fds(g->conn, &m, fds, 3);
	if (err)
		return err;
	publish(g->link[0], 0);
	return 0;
}

static int send_channel(struct guest *g, unsigned i)
{
	struct nf_msg m = {.type = NF_MSG_CHANNEL, .channel = i};
	int fds[3] = {-1, -1, nf_threads[i].doorbell}, err;

	if (nf_conn_unsent(g->conn)) /* next time */
		return 0;
	err = make_link(&g->link[i], &fds[0], &fds[1]);
	if (!err)
		err = nf_conn_send_fds(g->conn, &m, fds, 3);
	close_hidden(&fds[0]);
	close_hidden(&fds[1]);
	if (!err)
		publish(g->link[i], i);
	return err;
}

/* Packet threads that began or ended since. */
static int follow_threads(struct guest *g)
{
	int err = 0;

	for (unsigned i = 0; i < NF_THREADS && !err && !nf_inert; i++) {
		if (g->link[i] && atomic_load(&g->link[i]->retired))
			free_link(&g->link[i]);
		if (!g->link[i] && atomic_load(&nf_threads[i].known))
			err = send_channel(g, i);
	}
	return err;
}

static void wake(const struct nf_thread *t)
{
	uint64_t one = 1;

	if (write(t->doorbell, &one, sizeof(one)) < 0)
		nf_warn("doorbell: %s", strerror(errno));
}

/* True: the packet thread has, or soon will have, let go of it. */
static bool take_back(struct nf_link *l, struct nf_thread *t)
{
	struct nf_link *was = l;

	atomic_store(&l->up, false);
	if (atomic_load(&t->known)) {
		wake(t);
		return true;
	}
	atomic_compare_exchange_strong(&t->link, &was, NULL);
	if (!atomic_load(&t->known))
		return false;
	atomic_store(&t->link, l); /* it may have got it just before: let it retire */
	wake(t);
	return true;
}

/* Wait until the packet threads let go; a stalled NF delays the next helper, nothing else. A link
 * that an inert shim's thread may still look at is left to it. */
static void drop_links(struct guest *g)
{
	bool lent[NF_THREADS] = {false};

	for (unsigned i = 0; i < NF_THREADS; i++)
		if (g->link[i] && atomic_load(&g->link[i]->up))
			lent[i] = take_back(g->link[i], &nf_threads[i]);
	for (unsigned i = 0; i < NF_THREADS; i++) {
		while (lent[i] && !atomic_load(&g->link[i]->retired) && !nf_inert)
			usleep(1000);
		if (lent[i] && !atomic_load(&g->link[i]->retired))
			g->link[i] = NULL;
		else
			free_link(&g->link[i]);
	}
}

static void farewell(struct guest *g)
{
	drop_links(g);
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
	if (rc == 0)
		rc = follow_threads(g);
	if (rc == 0 && g->told != atomic_load_explicit(&status_seq, memory_order_relaxed))
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
	nf_thread_never();
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
	for (unsigned i = 0; i < NF_THREADS; i++)
		if (atomic_load(&nf_threads[i].known)) /* its thread is at work on it */
			guest.link[i] = NULL;
	nf_threads_forked();
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
	nf_threads[0].doorbell = hidden(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (nf_threads[0].doorbell < 0)
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

static void start_again(void)
{
	int fd;

	pthread_mutex_init(&status_lock, NULL); /* the parent's thread may have held it */
	for (unsigned i = 0; i < NF_THREADS; i++)
		if (guest.link[i] &&
		    atomic_load(&guest.link[i]->up)) /* else it was at work on it */
			free_link(&guest.link[i]);
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

void nf_rendezvous_ensure(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	nf_rendezvous_forked = false;
	if (thread_pid == getpid() || listener < 0)
		return;
	pthread_mutex_lock(&lock);
	if (thread_pid != getpid())
		start_again();
	pthread_mutex_unlock(&lock);
}

/* The name belongs to this process, unless a child went on as the NF. */
__attribute__((destructor)) static void remove_socket(void)
{
	if (listener >= 0 && thread_pid == getpid() && !forked)
		unlink(addr.sun_path);
}
