/* SPDX-License-Identifier: BSD-2-Clause */
/* Single-producer single-consumer ring of records in a sealed memfd; see ring.h. */
#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC	  0x474e49524d494853ull /* "SHIMRING" */
#define PAGE	  4096u
#define MIN_BYTES (64u << 10)
#define MAX_BYTES (1u << 30)
#define SEALS	  (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define PADDED(n) (((n) + 7u) & ~7u)

struct shared {
	uint64_t magic;
	uint64_t bytes;
	_Alignas(64) _Atomic uint64_t head; /* bytes ever written */
	_Alignas(64) _Atomic uint64_t tail; /* bytes ever read */
};

struct nf_ring {
	struct shared *sh;
	uint8_t *data;
	uint64_t size; /* private copy */
	uint64_t head; /* producer: own; consumer: cached */
	uint64_t tail; /* consumer: own; producer: cached */
	uint64_t
		pending; /* producer: where the reservation starts; consumer: bytes of the record */
};

static int map_ring(int fd, size_t size, struct nf_ring **out)
{
	struct nf_ring *r = calloc(1, sizeof(*r));
	void *p;

	if (!r)
		return -ENOMEM;
	p = mmap(NULL, PAGE + size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		int err = -errno;

		free(r);
		return err;
	}
	r->sh = p;
	r->data = (uint8_t *)p + PAGE;
	r->size = size;
	*out = r;
	return 0;
}

int nf_ring_create(size_t bytes, const char *name, struct nf_ring **out, int *fd)
{
	int f, err;

	if (bytes < MIN_BYTES || bytes > MAX_BYTES || (bytes & (bytes - 1)))
		return -EINVAL;
	f = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (f < 0)
		return -errno;
	err = ftruncate(f, (off_t)(PAGE + bytes)) < 0 || fcntl(f, F_ADD_SEALS, SEALS) < 0 ? -errno
											  : 0;
	if (!err)
		err = map_ring(f, bytes, out);
	if (err) {
		close(f);
		return err;
	}
	(*out)->sh->magic = MAGIC;
	(*out)->sh->bytes = bytes;
	*fd = f;
	return 0;
}

int nf_ring_attach(int fd, struct nf_ring **out)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	uint64_t size;
	int err;

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0 ||
	    st.st_size < (off_t)(PAGE + MIN_BYTES) || st.st_size > (off_t)(PAGE + MAX_BYTES))
		return -EPROTO;
	size = (uint64_t)st.st_size - PAGE;
	if (size & (size - 1))
		return -EPROTO;
	err = map_ring(fd, size, out);
	if (err)
		return err;
	if ((*out)->sh->magic != MAGIC || (*out)->sh->bytes != size) {
		nf_ring_free(*out);
		*out = NULL;
		return -EPROTO;
	}
	(*out)->head = atomic_load(&(*out)->sh->head);
	(*out)->tail = atomic_load(&(*out)->sh->tail);
	/* Positions off their grid would make an access at the end leave the mapping. */
	if (((*out)->head | (*out)->tail) & 7 || (*out)->head - (*out)->tail > size) {
		nf_ring_free(*out);
		*out = NULL;
		return -EPROTO;
	}
	return 0;
}

void nf_ring_free(struct nf_ring *r)
{
	if (!r)
		return;
	munmap(r->sh, PAGE + r->size);
	free(r);
}

static uint64_t free_bytes(struct nf_ring *r, uint64_t want)
{
	uint64_t used = r->head - r->tail;

	if (used > r->size || r->size - used < want) {
		r->tail = atomic_load_explicit(&r->sh->tail, memory_order_acquire);
		used = r->head - r->tail;
	}
	/* A tail that makes no sense leaves no room: the other side only hurts itself. */
	return used > r->size ? 0 : r->size - used;
}

struct nf_rec *nf_ring_reserve(struct nf_ring *r, uint32_t len)
{
	uint64_t need = PADDED(len), at = r->head & (r->size - 1), to_end = r->size - at;
	uint64_t skip = to_end < need ? to_end : 0;

	if (len < sizeof(struct nf_rec) || len > NF_REC_MAX)
		return NULL;
	if (free_bytes(r, need + skip) < need + skip)
		return NULL;
	if (skip) {
		/* Positions are multiples of 8, so the two words of a filler always fit. */
		uint32_t filler[2] = {(uint32_t)skip, 0};

		memcpy(r->data + at, filler, sizeof(filler));
		at = 0;
	}
	r->pending = r->head + skip;
	return (struct nf_rec *)(void *)(r->data + at);
}

void nf_ring_commit(struct nf_ring *r, struct nf_rec *rec)
{
	r->head = r->pending + PADDED(rec->len);
	atomic_store_explicit(&r->sh->head, r->head, memory_order_release);
}

size_t nf_ring_room(struct nf_ring *r)
{
	uint64_t n = free_bytes(r, r->size);
	uint64_t to_end = r->size - (r->head & (r->size - 1));

	if (n <= to_end)
		return n;
	return to_end > n - to_end ? to_end : n - to_end;
}

bool nf_ring_empty(struct nf_ring *r)
{
	return r->tail == atomic_load_explicit(&r->sh->head, memory_order_acquire);
}

const struct nf_rec *nf_ring_peek(struct nf_ring *r, struct nf_rec *hdr, const uint8_t **payload,
				  int *err)
{
	uint64_t at, avail, to_end;
	uint32_t first[2];

	*err = 0;
	for (;;) {
		r->head = atomic_load_explicit(&r->sh->head, memory_order_acquire);
		avail = r->head - r->tail;
		if (!avail)
			return NULL;
		at = r->tail & (r->size - 1);
		to_end = r->size - at;
		if (avail > r->size || avail < 8)
			goto bad;
		memcpy(first, r->data + at, sizeof(first));
		if ((first[1] & 0xff) != 0)
			break;
		/* filler: the lap ends here */
		if (first[0] != to_end || avail < to_end)
			goto bad;
		r->tail += to_end;
		atomic_store_explicit(&r->sh->tail, r->tail, memory_order_release);
	}
	if (avail < sizeof(*hdr) || to_end < sizeof(*hdr))
		goto bad;
	memcpy(hdr, r->data + at, sizeof(*hdr));
	if (hdr->len < sizeof(*hdr) || hdr->len > NF_REC_MAX || PADDED(hdr->len) > avail ||
	    PADDED(hdr->len) > to_end || hdr->type == 0)
		goto bad;
	r->pending = PADDED(hdr->len);
	*payload = r->data + at + sizeof(*hdr);
	return hdr;
bad:
	*err = -EPROTO;
	return NULL;
}

void nf_ring_next(struct nf_ring *r)
{
	r->tail += r->pending;
	r->pending = 0;
	atomic_store_explicit(&r->sh->tail, r->tail, memory_order_release);
}
