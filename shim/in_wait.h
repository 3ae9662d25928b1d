/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waits for input, whatever call makes them. in_poll.c, in_select.c and
 * in_epoll.c say how to wait for what the NF waits for and the doorbell;
 * in_wait.c serves safe points meanwhile.
 */
#ifndef NF_IN_WAIT_H
#define NF_IN_WAIT_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define NF_WAIT_FOREVER INT64_MAX

struct nf_wait {
	/* Wait so long for what the NF waits for and the doorbell, which is emptied. Returns what
	 * the NF's call would. */
	int (*look)(struct nf_wait *w, const struct timespec *t, const sigset_t *mask);
	/* Is @fd waited for, to be read? */
	bool (*has)(const struct nf_wait *w, int fd);
	/* After look() returned @rc: make @fd, which has() confirmed, readable too. The new rc. */
	int (*pretend)(struct nf_wait *w, int fd, int rc);
	const sigset_t *mask; /* NULL: as it is */
	int64_t ns;	      /* the NF's timeout */
};

/* Is a wait of this thread ours, if it waits for a capture? Tells the engine that the NF is back.
 */
bool nf_wait_mine(void);
/* Is it one inside libpcap, in an input call of ours? */
bool nf_wait_inside(void);
/* What the NF's call returns. */
int nf_wait_serve(struct nf_wait *w);
int nf_wait_poll(struct pollfd *fds, nfds_t n, int64_t ns); /* one by poll */

int64_t nf_wait_ms(int ms); /* negative: forever */
/* False: not a timeout that the kernel takes. NULL: forever. */
bool nf_wait_timespec(const struct timespec *t, int64_t *ns);

/* The capture that @fd is, or that was added to the epoll that it is; -1: none of this thread's. */
int nf_wait_capture(int fd);
/* Is @fd the capture, or an epoll that it was added to? */
bool nf_wait_leads_to(int fd, int capture);
/* in_epoll.c */
bool nf_epoll_has(int epfd, int capture);
int nf_epoll_capture(int epfd);

/* Empty the doorbell. */
void nf_wait_answer(void);

#endif
