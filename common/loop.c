/* SPDX-License-Identifier: BSD-2-Clause */
/* epoll, timerfd and signalfd behind callbacks; see loop.h. */
#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define BATCH 32

struct watch {
	LIST_ENTRY(watch) next;
	int fd;
	uint32_t events;
	nf_loop_cb cb; /* NULL: removed, waits to be freed */
	void *arg;
};

struct nf_timer {
	LIST_ENTRY(nf_timer) next;
	struct nf_loop *loop;
	int fd;
	nf_timer_cb cb;
	void *arg;
};

struct nf_loop {
	int epfd;
	int sigfd;  /* -1: none */
	int signal; /* that stopped it */
	bool stop;
	LIST_HEAD(, watch) watches;
	LIST_HEAD(, watch) removed; /* an event for them may still be in the batch */
	LIST_HEAD(, nf_timer) timers;
};

uint64_t nf_loop_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void on_signal(void *arg, uint32_t events)
{
	struct nf_loop *l = arg;
	struct signalfd_siginfo si;

	(void)events;
	if (read(l->sigfd, &si, sizeof(si)) != sizeof(si))
		return;
	l->signal = (int)si.ssi_signo;
	l->stop = true;
}

static int take_signals(struct nf_loop *l)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	l->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (l->sigfd < 0)
		return -errno;
	return nf_loop_add(l, l->sigfd, EPOLLIN, on_signal, l);
}

int nf_loop_new(struct nf_loop **out, int signals)
{
	struct nf_loop *l = calloc(1, sizeof(*l));
	int err = 0;

	if (!l)
		return -ENOMEM;
	l->sigfd = -1;
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epfd < 0)
		err = -errno;
	if (!err && signals)
		err = take_signals(l);
	if (err) {
		nf_loop_free(l);
		return err;
	}
	*out = l;
	return 0;
}

static void free_removed(struct nf_loop *l)
{
	struct watch *w;

	while ((w = LIST_FIRST(&l->removed))) {
		LIST_REMOVE(w, next);
		free(w);
	}
}

void nf_loop_free(struct nf_loop *l)
{
	struct nf_timer *t;
	struct watch *w;

	if (!l)
		return;
	while ((t = LIST_FIRST(&l->timers)))
		nf_timer_free(t);
	while ((w = LIST_FIRST(&l->watches)))
		nf_loop_del(l, w->fd);
	free_removed(l);
	if (l->sigfd >= 0)
		close(l->sigfd);
	if (l->epfd >= 0)
		close(l->epfd);
	free(l);
}

static struct watch *find(struct nf_loop *l, int fd)
{
	struct watch *w;

	LIST_FOREACH(w, &l->watches, next)
	if (w->fd == fd)
		return w;
	return NULL;
}

int nf_loop_add(struct nf_loop *l, int fd, uint32_t events, nf_loop_cb cb, void *arg)
{
	struct epoll_event ev = {.events = events};
	struct watch *w;

	if (find(l, fd))
		return -EEXIST;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = (struct watch){.fd = fd, .events = events, .cb = cb, .arg = arg};
	ev.data.ptr = w;
	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		int err = -errno;

		free(w);
		return err;
	}
	LIST_INSERT_HEAD(&l->watches, w, next);
	return 0;
}

int nf_loop_mod(struct nf_loop *l, int fd, uint32_t events)
{
	struct watch *w = find(l, fd);
	struct epoll_event ev = {.events = events};

	if (!w)
		return -ENOENT;
	if (w->events == events)
		return 0;
	ev.data.ptr = w;
	if (epoll_ctl(l->epfd, EPOLL_CTL_MOD, fd, &ev) < 0)
		return -errno;
	w->events = events;
	return 0;
}

void nf_loop_del(struct nf_loop *l, int fd)
{
	struct watch *w = find(l, fd);

	if (!w)
		return;
	epoll_ctl(l->epfd, EPOLL_CTL_DEL, fd, NULL);
	LIST_REMOVE(w, next);
	w->cb = NULL;
	LIST_INSERT_HEAD(&l->removed, w, next);
}

static void on_timer(void *arg, uint32_t events)
{
	struct nf_timer *t = arg;
	uint64_t n;

	(void)events;
	/* Stopped or set anew by an earlier callback of the same batch: nothing to read. */
	if (read(t->fd, &n, sizeof(n)) == sizeof(n))
		t->cb(t->arg);
}

struct nf_timer *nf_timer_new(struct nf_loop *l, nf_timer_cb cb, void *arg)
{
	struct nf_timer *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return NULL;
	*t = (struct nf_timer){.loop = l, .cb = cb, .arg = arg};
	t->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (t->fd < 0) {
		free(t);
		return NULL;
	}
	err = nf_loop_add(l, t->fd, EPOLLIN, on_timer, t);
	if (err) {
		close(t->fd);
		free(t);
		errno = -err;
		return NULL;
	}
	LIST_INSERT_HEAD(&l->timers, t, next);
	return t;
}

static struct timespec to_timespec(uint64_t us)
{
	return (struct timespec){.tv_sec = (time_t)(us / 1000000u),
				 .tv_nsec = (long)(us % 1000000u) * 1000};
}

void nf_timer_set(struct nf_timer *t, uint64_t first_us, uint64_t every_us)
{
	struct itimerspec it = {.it_value = to_timespec(first_us),
				.it_interval = to_timespec(first_us ? every_us : 0)};

	timerfd_settime(t->fd, 0, &it, NULL);
}

void nf_timer_free(struct nf_timer *t)
{
	if (!t)
		return;
	nf_loop_del(t->loop, t->fd);
	close(t->fd);
	LIST_REMOVE(t, next);
	free(t);
}

int nf_loop_once(struct nf_loop *l, int ms)
{
	struct epoll_event ev[BATCH];
	int n = epoll_wait(l->epfd, ev, BATCH, ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n && !l->stop; i++) {
		struct watch *w = ev[i].data.ptr;

		if (w->cb)
			w->cb(w->arg, ev[i].events);
	}
	free_removed(l);
	return 0;
}

int nf_loop_run(struct nf_loop *l)
{
	int err = 0;

	while (!l->stop && !err)
		err = nf_loop_once(l, -1);
	return err ? err : l->signal;
}

void nf_loop_stop(struct nf_loop *l)
{
	l->stop = true;
}
