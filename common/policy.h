/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The output policy: which output is dropped while a packet is reprocessed.
 *
 * What a rule of a function says goes before what one of a path says, and that
 * before the kind of the descriptor. A function's own rule goes before that of
 * its family; of the paths the first that matches counts. Every kind has a
 * verdict, so there always is one. docs/man/libnfshim.7 describes the file.
 */
#ifndef NF_POLICY_H
#define NF_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include "outputs.h"

enum nf_verdict { NF_UNSAID, NF_DROP, NF_PASS };

/* Kinds of descriptors, and two of calls that have none: their names, the built-in verdicts. */
#define NF_KINDS_DO(X)                                                                             \
	X(REGULAR, "regular", DROP, "files")                                                       \
	X(TTY, "tty", DROP, "terminals")                                                           \
	X(FIFO, "fifo", DROP, "pipes with a name")                                                 \
	X(STDPIPE, "stdpipe", DROP, "a pipe that is standard output or error, or popen's")         \
	X(PIPE, "pipe", PASS, "other pipes: the NF wakes its threads with them")                   \
	X(CHARDEV, "chardev", DROP, "character devices but for terminals, TUN and TAP")            \
	X(TUN, "tun", DROP, "TUN and TAP devices")                                                 \
	X(BLOCK, "block", DROP, "block devices")                                                   \
	X(INET, "inet", DROP, "sockets of IPv4 and IPv6")                                          \
	X(PACKET, "packet", DROP, "packet sockets")                                                \
	X(UNIX_NAMED, "unix-named", DROP, "unix sockets to a name, as that of a log daemon")       \
	X(UNIX_PAIR, "unix-pair", PASS, "unix sockets to a peer without a name: socketpair")       \
	X(NETLINK, "netlink", PASS, "questions to the kernel")                                     \
	X(ALG, "alg", PASS, "the kernel's cryptography")                                           \
	X(SOCKET, "socket", DROP, "sockets of other families")                                     \
	X(MEMFD, "memfd", PASS, "files in memory without a name")                                  \
	X(EVENTFD, "eventfd", PASS, "event counters")                                              \
	X(ANON, "anon", PASS, "timers, epoll, inotify and the like")                               \
	X(NAME, "name", DROP, "calls on a name: rename, unlink, truncate …")                       \
	X(NONE, "none", DROP, "calls without descriptor and name: syslog, pcap_inject …")

enum nf_kind {
#define X(id, name, verdict, what) NF_KIND_##id,
	NF_KINDS_DO(X)
#undef X
		NF_KINDS
};

const char *nf_kind_name(enum nf_kind k); /* "regular" */
const char *nf_kind_what(enum nf_kind k); /* in words */

struct nf_policy_path {
	char *glob; /* of fnmatch, '*' matches slashes too */
	enum nf_verdict verdict;
};

#define NF_POLICY_PATHS 256

struct nf_policy {
	uint8_t kind[NF_KINDS]; /* enum nf_verdict, never UNSAID */
	uint8_t own[NF_FNS];	/* by the function's name */
	uint8_t family[NF_FNS]; /* by its family's */
	struct nf_policy_path *path;
	unsigned paths;
};

/* What is built in. */
#define NF_POLICY_DEFAULT                                                                          \
	{                                                                                          \
		.kind = { NF_KINDS_DO(NF_POLICY_KIND) }                                            \
	}
#define NF_POLICY_KIND(id, name, verdict, what) [NF_KIND_##id] = NF_##verdict,

/*
 * Read @file into @p, on top of what is built in. 0 or -errno, with file, line, cause and remedy in
 * @err of @n bytes; then @p holds nothing that has to be freed, and is what is built in.
 */
int nf_policy_read(const char *file, struct nf_policy *p, char *err, size_t n);
/* The same from the text of a file called @file. */
int nf_policy_parse(const char *text, size_t len, const char *file, struct nf_policy *p, char *err,
		    size_t n);
void nf_policy_free(struct nf_policy *p);

const char *nf_verdict_name(enum nf_verdict v); /* "drop" */
enum nf_verdict nf_policy_of_fn(const struct nf_policy *p, enum nf_fn fn);
enum nf_verdict nf_policy_of_path(const struct nf_policy *p, const char *path);

#endif
