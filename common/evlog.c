/* SPDX-License-Identifier: BSD-2-Clause */
/* Event log in a shared mapping; see evlog.h. */
#include "evlog.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_MB 64u

bool nf_evlog_on;

static struct nf_ev_head *head;
static struct nf_ev_rec *recs;
static uint64_t cap, count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of packet threads */

_Static_assert(sizeof(struct nf_ev_rec) == 88, "the checker reads this layout");

/* 0, or -ENAMETOOLONG: a shortened name would be another file. */
static int expand(const char *tmpl, const char *instance, char *out, size_t n)
{
	size_t at = 0;

	for (; *tmpl; tmpl++) {
		if (tmpl[0] == '%' && tmpl[1] == 'n') {
			at += (size_t)snprintf(out + at, n - at, "%s", instance);
			tmpl++;
		} else if (tmpl[0] == '%' && tmpl[1] == 'p') {
			at += (size_t)snprintf(out + at, n - at, "%d", getpid());
			tmpl++;
		} else {
			out[at++] = *tmpl;
		}
		if (at >= n)
			return -ENAMETOOLONG;
	}
	out[at] = 0;
	return 0;
}

int nf_evlog_open(const char *instance)
{
	const char *tmpl = getenv("NFSHIM_EVLOG"), *mb = getenv("NFSHIM_EVLOG_MB");
	size_t bytes = (size_t)(mb && atoi(mb) > 0 ? (unsigned)atoi(mb) : DEFAULT_MB) << 20;
	char path[4096];
	int fd, err = 0;
	void *p;

	if (!tmpl || !*tmpl)
		return 0;
	err = expand(tmpl, instance, path, sizeof(path));
	if (err)
		return err;
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes) < 0) {
		err = -errno;
		goto out;
	}
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		err = -errno;
		goto out;
	}
	head = p;
	recs = (struct nf_ev_rec *)((uint8_t *)p + NF_EV_HEAD);
	cap = (bytes - NF_EV_HEAD) / sizeof(*recs);
	snprintf(head->instance, sizeof(head->instance), "%s", instance);
	/* Last: what has the magic is a log. */
	atomic_thread_fence(memory_order_release);
	head->magic = NF_EV_MAGIC;
	nf_evlog_on = true;
out:
	close(fd);
	return err;
}

bool nf_evlog_is_at(const void *mapping)
{
	return head && mapping == head;
}

void nf_evlog_put(enum nf_ev what, uint64_t id, const struct nfshim_flow *f, uint64_t version,
		  uint32_t epoch, bool output)
{
	struct nf_ev_rec *r;
	struct timespec t;

	pthread_mutex_lock(&lock);
	if (count < cap) {
		clock_gettime(CLOCK_MONOTONIC, &t);
		r = &recs[count];
		r->seq = count + 1;
		r->id = id;
		r->ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
		r->version = version;
		r->epoch = epoch;
		r->what = (uint8_t)what;
		r->output = output;
		r->flow = *f;
	}
	count++;
	atomic_store_explicit(&head->count, count, memory_order_release);
	pthread_mutex_unlock(&lock);
}

/* FNV-1a over words, finished with a mix: fast, and equal packets are all that must collide. */
uint64_t nf_evlog_id(const uint8_t *data, uint32_t caplen, uint32_t len)
{
	uint64_t h = 0xcbf29ce484222325ull ^ len, w;

	while (caplen >= 8) {
		memcpy(&w, data, 8);
		h = (h ^ w) * 0x100000001b3ull;
		h ^= h >> 29;
		data += 8;
		caplen -= 8;
	}
	while (caplen--)
		h = (h ^ *data++) * 0x100000001b3ull;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ull;
	h ^= h >> 32;
	return h ? h : 1;
}
