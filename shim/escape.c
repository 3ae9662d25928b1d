/* SPDX-License-Identifier: BSD-2-Clause */
#include "escape.h"

#include <dirent.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine.h"
#include "evlog.h"
#include "log.h"
#include "move.h"
#include "real.h"
#include "zerocopy.h"

#define LOOK_NS	 1000000000u
#define MAPS_MAX 64 /* files that are warned of */

#define INSTEAD                                                                                    \
	"; let the NF use another way, or set NFSHIM_ESCAPES=allow (then it cannot take part in "  \
	"moves)"

static const struct {
	int err;
	const char *refused, *unfit;
} ways[NF_ESCAPES] = {
	[NF_ESCAPE_URING] =
		{ENOSYS, "io_uring is refused: what goes out by it could not be dropped" INSTEAD,
		 "the NF has set up io_uring: what goes out by it could not be dropped; "
		 "let it use another way of output"},
	[NF_ESCAPE_TX_RING] = {ENOPROTOOPT,
			       "PACKET_TX_RING is refused: what goes out by it could not be "
			       "dropped" INSTEAD,
			       "the NF has set up a packet ring for sending (PACKET_TX_RING): what "
			       "goes out by it could not be dropped; let it send in another way"},
	[NF_ESCAPE_XDP] = {EAFNOSUPPORT,
			   "an AF_XDP socket is refused: packets that go in and out by it pass by "
			   "the shim" INSTEAD,
			   "the NF has AF_XDP sockets: packets that go in and out by them pass by "
			   "the shim; let it use libpcap or packet sockets"},
	[NF_ESCAPE_DEEPBIND] = {0,
				"RTLD_DEEPBIND is left out when libraries are loaded: they would "
				"call the C library past the shim; if one does not work so, set "
				"NFSHIM_ESCAPES=allow (then the NF cannot take part in moves)",
				"the NF has loaded a library with RTLD_DEEPBIND: what that puts "
				"out could not be dropped"},
};

static _Atomic bool told[NF_ESCAPES], there[NF_ESCAPES];

static bool allowed(void)
{
	const char *e = getenv("NFSHIM_ESCAPES");

	return e && !strcmp(e, "allow");
}

bool nf_escape_refuses(enum nf_escape way)
{
	if (nf_inert)
		return false;
	if (allowed()) {
		there[way] = true;
		return false;
	}
	if (!atomic_exchange(&told[way], true))
		nf_warn("%s", ways[way].refused);
	if (ways[way].err)
		errno = ways[way].err;
	return true;
}

/* No blocks: the end of a ring. */
static bool is_tx_ring(int level, int option, const void *value, socklen_t len)
{
	const struct tpacket_req *ring = value;

	return level == SOL_PACKET && option == PACKET_TX_RING && len >= sizeof(*ring) &&
	       ring->tp_block_nr;
}

static bool refuses_option(int level, int option, const void *value, socklen_t len)
{
	if (is_tx_ring(level, option, value, len))
		return nf_escape_refuses(NF_ESCAPE_TX_RING);
	return nf_zerocopy_refuses(level, option, value, len);
}

bool nf_escape_refuses_call(long nr, const long *x)
{
	switch (nr) {
	case SYS_io_uring_setup:
		return nf_escape_refuses(NF_ESCAPE_URING);
	case SYS_socket:
		return x[0] == AF_XDP && nf_escape_refuses(NF_ESCAPE_XDP);
	case SYS_setsockopt:
		return refuses_option((int)x[1], (int)x[2], (const void *)x[3], (socklen_t)x[4]);
	default:
		return false;
	}
}

/* ---- what the process has ---- */

static bool starts(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

static void look_at_fd(int dir, const char *name)
{
	char target[64] = "";
	socklen_t len = sizeof(int);
	int domain = 0;

	if (readlinkat(dir, name, target, sizeof(target) - 1) < 0)
		return;
	if (starts(target, "anon_inode:[io_uring]"))
		there[NF_ESCAPE_URING] = true;
	else if (starts(target, "socket:") &&
		 getsockopt(atoi(name), SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
		 domain == AF_XDP)
		there[NF_ESCAPE_XDP] = true;
}

static bool look_at_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	const struct dirent *e;

	if (!d)
		return false;
	while ((e = readdir(d)))
		look_at_fd(dirfd(d), e->d_name);
	closedir(d);
	return true;
}

static uint64_t hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3ull;
	return h;
}

static void warn_of(const char *file)
{
	static uint64_t known[MAPS_MAX];
	static unsigned n;
	uint64_t h = hash(file);

	for (unsigned i = 0; i < n; i++)
		if (known[i] == h)
			return;
	if (n == MAPS_MAX)
		return;
	known[n++] = h;
	nf_warn("%s is mapped for shared writing: what the NF writes there while it reprocesses a "
		"packet is not dropped; if that is output of its own, do not move it",
		file);
}

/* Shared memory without a file is the NF's own. */
static bool is_output(const char *file)
{
	return *file == '/' && !starts(file, "/memfd:") && !starts(file, "/dev/zero") &&
	       !starts(file, "/SYSV");
}

static void look_at_map(char *line)
{
	char access[8], *file;
	unsigned long start;
	int at = 0;

	line[strcspn(line, "\n")] = 0;
	if (sscanf(line, "%lx%*s %7s %*s %*s %*s %n", &start, access, &at) != 2 || !at)
		return;
	file = line + at;
	if (starts(file, "anon_inode:[io_uring]"))
		there[NF_ESCAPE_URING] = true;
	else if (access[1] == 'w' && access[3] == 's' && is_output(file) &&
		 !nf_evlog_is_at((const void *)start))
		warn_of(file);
}

static bool look_at_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char *line = NULL;
	size_t room = 0;

	if (!f)
		return false;
	while (getline(&line, &room, f) > 0)
		look_at_map(line);
	free(line);
	fclose(f);
	return true;
}

static _Atomic uint64_t looked;

void nf_escape_look(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static bool blind;
	int e = errno;

	if (pthread_mutex_trylock(&lock)) /* another packet thread looks */
		return;
	looked = nf_now_ns();
	if ((!look_at_fds() || !look_at_maps()) && !blind) {
		blind = true;
		nf_warn("/proc cannot be read here: whether the NF has io_uring, AF_XDP sockets or "
			"shared mappings, which pass by the shim, is unknown; mount it in its "
			"root");
	}
	pthread_mutex_unlock(&lock);
	errno = e;
}

const char *nf_escape_unfit(void)
{
	if (nf_now_ns() - looked >= LOOK_NS)
		nf_escape_look();
	for (int i = 0; i < NF_ESCAPES; i++)
		if (there[i])
			return ways[i].unfit;
	return NULL;
}
