/* SPDX-License-Identifier: BSD-2-Clause */
#include "threads.h"

#include <pthread.h>
#include <sys/eventfd.h>

#include "engine.h"
#include "fds.h"
#include "in_pcap.h"
#include "link.h"
#include "provider.h"
#include "window.h"

struct nf_thread nf_threads[NF_THREADS] = {[0 ... NF_THREADS - 1] = {.doorbell = -1}};
__thread struct nf_thread *nf_thread;

static _Atomic unsigned count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t key;
static bool has_key;
static __thread bool never;

/* The thread ends. Its state in the NF may be gone already: hooks are not called any more. */
static void end(void *place)
{
	struct nf_thread *t = place;

	nf_engine_thread_ends();
	nf_capture_disown();
	atomic_store(&t->window, false);
	nf_window = 0;
	nf_thread = NULL;
	atomic_fetch_sub(&count, 1);
	atomic_store(&t->known, false);
	nf_status_changed();
}

static bool make_doorbell(struct nf_thread *t)
{
	if (t->doorbell < 0)
		t->doorbell = nf_fd_hide(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	return t->doorbell >= 0;
}

static struct nf_thread *free_place(void)
{
	for (unsigned i = 0; i < NF_THREADS; i++)
		if (!atomic_load(&nf_threads[i].known))
			return &nf_threads[i];
	return NULL;
}

static bool one_more(void)
{
	return !atomic_load(&count) || (nf_provider.hooks.size && nf_provider.hooks.threads);
}

void nf_thread_never(void)
{
	never = true;
}

bool nf_thread_may_begin(void)
{
	return nf_thread ||
	       (!never && nf_provider.hooks.size && !nf_provider.hooks.check && one_more());
}

bool nf_thread_begin(unsigned number)
{
	struct nf_thread *t = NULL;

	if (nf_thread)
		return true;
	pthread_mutex_lock(&lock);
	if (!has_key)
		has_key = pthread_key_create(&key, end) == 0;
	if (has_key && one_more())
		t = free_place();
	if (t && make_doorbell(t)) {
		atomic_store(&t->number, number);
		atomic_store(&t->packets, 0);
		t->busy = true;
		t->side = NF_SIDE_NONE;
		nf_thread = t;
		nf_engine_thread_begins();
		atomic_store(&t->known, true);
		atomic_fetch_add(&count, 1);
		pthread_setspecific(key, t);
	}
	pthread_mutex_unlock(&lock);
	if (nf_thread)
		nf_status_changed();
	return nf_thread != NULL;
}

unsigned nf_threads_count(void)
{
	return atomic_load_explicit(&count, memory_order_relaxed);
}

bool nf_threads_in_window(void)
{
	for (unsigned i = 0; i < NF_THREADS; i++)
		if (atomic_load_explicit(&nf_threads[i].window, memory_order_relaxed))
			return true;
	return false;
}

void nf_threads_forked(void)
{
	pthread_mutex_init(&lock, NULL); /* another thread may have held it */
	for (unsigned i = 0; i < NF_THREADS; i++) {
		atomic_store(&nf_threads[i].link, NULL);
		if (&nf_threads[i] != nf_thread) {
			atomic_store(&nf_threads[i].known, false);
			atomic_store(&nf_threads[i].window, false);
			nf_threads[i].side = NF_SIDE_NONE;
		}
	}
	atomic_store(&count, nf_thread ? 1 : 0);
}
