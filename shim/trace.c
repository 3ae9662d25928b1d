/* SPDX-License-Identifier: BSD-2-Clause */
/* Each line is one write by the real function, to a file opened for appending: whole lines, also
 * from several threads and children. */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fds.h"
#include "flow.h"
#include "real.h"
#include "verdict.h"

#define PATH_SHOWN 160	/* bytes of a path */
#define LINE	   2048 /* each byte can become four */
#define MOST_MB	   64	/* that a process writes */

bool nf_trace_on;

static int file = -1;
static uint64_t most;
static _Atomic uint64_t packets, written;

static __thread struct {
	uint64_t number; /* 0: none yet */
	int64_t sec;
	uint32_t nsec;
	struct nfshim_flow flow;
} packet;

static __thread struct {
	int fd;
	const char *name; /* NULL: it is fd */
} target;

int nf_trace_init(const char *path)
{
	const char *mb = getenv("NFSHIM_TRACE_MB");
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);

	if (fd < 0)
		return -errno;
	most = (mb ? strtoull(mb, NULL, 10) : MOST_MB) << 20;
	file = nf_fd_hide(fd);
	nf_trace_on = file >= 0;
	return file < 0 ? file : 0;
}

void nf_trace_packet(const struct pcap_pkthdr *h, const u_char *data, bool nanosec)
{
	packet.number = atomic_fetch_add(&packets, 1) + 1;
	packet.sec = h->ts.tv_sec;
	packet.nsec = (uint32_t)(nanosec ? h->ts.tv_usec : h->ts.tv_usec * 1000);
	nf_flow_parse(data, h->caplen, NULL, &packet.flow, NULL);
}

void nf_trace_fd(int fd)
{
	target.fd = fd;
	target.name = NULL;
}

void nf_trace_name(const char *name)
{
	target.name = name;
}

/* At most @max bytes of @data in C's escapes; what is longer ends in "...". Returns the length. */
static size_t escape(char *out, const void *data, size_t n, size_t max)
{
	const unsigned char *p = data;
	size_t len = 0;

	for (size_t i = 0; i < n && i < max; i++) {
		if (p[i] == '\n' || p[i] == '"' || p[i] == '\\')
			len += (size_t)sprintf(out + len, "\\%c", p[i] == '\n' ? 'n' : p[i]);
		else if (p[i] < 0x20 || p[i] >= 0x7f)
			len += (size_t)sprintf(out + len, "\\x%02x", p[i]);
		else
			out[len++] = (char)p[i];
	}
	return len + (size_t)sprintf(out + len, "%s", n > max ? "..." : "");
}

static size_t put_target(char *out)
{
	const char *what = target.name;
	char path[PATH_MAX];
	size_t len;

	if (!what && target.fd < 0)
		return (size_t)sprintf(out, " -");
	if (what) {
		len = (size_t)sprintf(out, " name ");
	} else {
		len = (size_t)sprintf(out, " fd %d ", target.fd);
		nf_fd_name(target.fd, path, sizeof(path));
		what = path;
	}
	return len + escape(out + len, what, strlen(what), PATH_SHOWN);
}

static size_t put_packet(char *out)
{
	char flow[NF_FLOW_TEXT];

	if (!packet.number)
		return (size_t)sprintf(out, " packet -\n");
	return (size_t)sprintf(out, " packet %" PRIu64 " at %" PRId64 ".%09u %s\n", packet.number,
			       packet.sec, packet.nsec,
			       nf_flow_format(&packet.flow, flow, sizeof(flow)));
}

static void put(const char *line, size_t n)
{
	static const char full[] = "the trace is full: dropped calls are not traced any more\n";
	uint64_t before = atomic_fetch_add(&written, n);

	if (before + n <= most) {
		(void)!nf_real.write(file, line, n);
		return;
	}
	nf_trace_on = false;
	if (before <= most)
		(void)!nf_real.write(file, full, sizeof(full) - 1);
}

void nf_trace_drop(enum nf_fn fn, const void *data, size_t n)
{
	int e = errno;
	char line[LINE];
	size_t len = (size_t)sprintf(line, "%s", nf_fn_name(fn));

	len += put_target(line + len);
	len += (size_t)sprintf(line + len, " %zu bytes", n);
	if (data) {
		len += (size_t)sprintf(line + len, " \"");
		len += escape(line + len, data, n, NF_TRACE_TEXT);
		line[len++] = '"';
	}
	len += put_packet(line + len);
	put(line, len);
	errno = e;
}
