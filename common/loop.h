/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small event loop: descriptors, timers, and a clean stop on SIGTERM and SIGINT.
 *
 * One thread. Level-triggered: a callback is called again as long as its event
 * holds. Anything may be added or removed from within a callback; a watch
 * that was removed is not called any more, not even for an event that was
 * already waiting.
 */
#ifndef NF_LOOP_H
#define NF_LOOP_H

#include <stdint.h>

struct nf_loop;
struct nf_timer;

typedef void (*nf_loop_cb)(void *arg,
			   uint32_t events); /* EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP */
typedef void (*nf_timer_cb)(void *arg);

/* 0 or -errno. With @signals nonzero SIGTERM and SIGINT are blocked and stop the loop. */
int nf_loop_new(struct nf_loop **out, int signals);
void nf_loop_free(struct nf_loop *l); /* frees watches (fds stay open) and timers; accepts NULL */

/* Watch @fd (borrowed) for @events. 0 or -errno (-EEXIST: watched already). */
int nf_loop_add(struct nf_loop *l, int fd, uint32_t events, nf_loop_cb cb, void *arg);
int nf_loop_mod(struct nf_loop *l, int fd, uint32_t events); /* no system call if unchanged */
/* Before the fd is closed. Ignores fds that are not watched. */
void nf_loop_del(struct nf_loop *l, int fd);

/* A timer that does not run yet; NULL if it cannot be made (errno says why). */
struct nf_timer *nf_timer_new(struct nf_loop *l, nf_timer_cb cb, void *arg);
/* Fire after @first_us, then every @every_us (0: once). @first_us 0 stops it. */
void nf_timer_set(struct nf_timer *t, uint64_t first_us, uint64_t every_us);
void nf_timer_free(struct nf_timer *t); /* accepts NULL */

/* Serve until stopped. 0; the number of the signal that stopped it; or -errno. */
int nf_loop_run(struct nf_loop *l);
/* Wait at most @ms (-1: for ever) and serve what is there once. 0 or -errno. */
int nf_loop_once(struct nf_loop *l, int ms);
void nf_loop_stop(struct nf_loop *l);

uint64_t nf_loop_now_us(void); /* CLOCK_MONOTONIC */

#endif
