/* SPDX-License-Identifier: BSD-2-Clause */
/* Framing: a stream in pieces (their size is the first byte) gives the messages it gives whole. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn.h"
#include "fuzz.h"

const enum nf_fuzz_kind nf_fuzz_kind = NF_FUZZ_STREAM;

#define LONGEST 16384 /* fits the socket's buffer */

/* Feed @size bytes in pieces of @chunk: messages seen, and how it ended in *err. */
static unsigned feed(const uint8_t *data, size_t size, size_t chunk, int *err)
{
	static struct nf_msg m;
	unsigned seen = 0;
	struct nf_conn *c;
	int sv[2], rc = 0;

	NF_FUZZ_PROMISE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
	c = nf_conn_new(sv[1]);
	NF_FUZZ_PROMISE(c);
	for (size_t at = 0; at < size && rc >= 0; at += chunk) {
		size_t n = size - at < chunk ? size - at : chunk;

		NF_FUZZ_PROMISE(write(sv[0], data + at, n) == (ssize_t)n);
		rc = nf_conn_fill(c);
		NF_FUZZ_PROMISE(rc == 0);
		while ((rc = nf_conn_next(c, &m)) == 1)
			seen++;
	}
	*err = rc;
	nf_conn_free(c);
	close(sv[0]);
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int whole_err, err;
	unsigned whole, seen;

	if (size < 2 || size > LONGEST)
		return 0;
	whole = feed(data + 1, size - 1, LONGEST, &whole_err);
	seen = feed(data + 1, size - 1, data[0] ? data[0] : 256, &err);
	NF_FUZZ_PROMISE(seen == whole && err == whole_err);
	return 0;
}
