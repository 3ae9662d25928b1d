/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ways of output that pass by the shim are refused or found, by name. Each case
 * is a process of its own, since what was found is never forgotten. Nothing is
 * sent: packet sockets are not bound.
 *
 *   escape FOLDER    where the libraries are
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "raw.h"

static const char *folder;
static bool allowed;
static int complaints; /* what is written to standard error */

/* A new file that nobody else has the name of. */
static int scratch(void)
{
	char name[] = "/tmp/nfshim-escape-XXXXXX";
	int fd = mkstemp(name);

	unlink(name);
	return fd;
}

static unsigned told(const char *words)
{
	static char text[65536];
	ssize_t n = pread(complaints, text, sizeof(text) - 1, 0);
	unsigned times = 0;

	text[n < 0 ? 0 : n] = 0;
	for (const char *at = text; (at = strstr(at, words)); at++)
		times++;
	return times;
}

static bool unfit(const char *words)
{
	const char *why = nfshim_test_unfit();

	return words ? why && strstr(why, words) : !why;
}

static void *load(const char *name, int flags)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return dlopen(path, flags);
}

/* A library that finds the C library before the shim. */
static void deepbind(void)
{
	void *lib = load("libescape.so", RTLD_NOW | RTLD_DEEPBIND);
	int (*say)(int, FILE *) = lib ? (int (*)(int, FILE *))dlsym(lib, "say") : NULL;
	int fd = scratch(), rc = 0;
	FILE *f = fdopen(dup(fd), "w");
	struct stat st;

	CHECK(say);
	nfshim_test_window(1);
	if (say)
		rc = say(fd, f);
	nfshim_test_window(0);
	fclose(f);
	CHECK(rc == 8 && fstat(fd, &st) == 0);
	CHECK(st.st_size == (allowed ? 16 : 0));
	CHECK(told("RTLD_DEEPBIND") == !allowed);
	CHECK(unfit(allowed ? "RTLD_DEEPBIND" : NULL));
	close(fd);
}

static void own_namespace(void)
{
	void *lib;

	lib = dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW);
	CHECK(lib && told("libc.so.6 is loaded in a namespace of its own") == 1);
}

/* The search path of the library that calls dlopen counts, and that is ours. */
static void own_search_path(void)
{
	CHECK(dlopen("libescape_found.so", RTLD_NOW | RTLD_LOCAL));
}

static void late_libpcap(void)
{
	static const uint32_t file[] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1, /* one packet: */
					0,	    0,		4, 4, 0};
	void *lib;
	int (*packets_in)(FILE *);

	CHECK(!dlopen("libpcap.so.0.8", RTLD_LAZY | RTLD_NOLOAD));
	lib = load("libescape_pcap.so", RTLD_NOW | RTLD_LOCAL);
	packets_in = lib ? (int (*)(FILE *))dlsym(lib, "packets_in") : NULL;
	CHECK(packets_in && packets_in(fmemopen((void *)file, sizeof(file), "r")) == 1);
}

static void tx_ring(void)
{
	struct tpacket_req ring = {4096, 1, 2048, 2}, none = {0};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), rc, e;

	CHECK(fd >= 0);
	nfshim_test_window(1); /* the shim's own message is not output of the NF */
	rc = setsockopt(fd, SOL_PACKET, PACKET_TX_RING, &ring, sizeof(ring));
	e = errno;
	nfshim_test_window(0);
	if (allowed) {
		CHECK(rc == 0 && unfit("PACKET_TX_RING"));
	} else {
		CHECK(rc < 0 && e == ENOPROTOOPT && told("PACKET_TX_RING is refused") == 1);
		rc = setsockopt(fd, SOL_PACKET, PACKET_TX_RING, &ring, sizeof(ring));
		CHECK(rc < 0 && told("PACKET_TX_RING is refused") == 1 && unfit(NULL));
	}
	CHECK(setsockopt(fd, SOL_PACKET, PACKET_TX_RING, &none, sizeof(none)) == 0);
	CHECK(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)) == 0);
	close(fd);
}

static void xdp(void)
{
	int fd = socket(AF_XDP, SOCK_RAW, 0), e = errno;

	if (!allowed)
		CHECK(fd < 0 && e == EAFNOSUPPORT && told("AF_XDP") == 1 && unfit(NULL));
	close(fd);
	fd = (int)raw_syscall3(SYS_socket, AF_XDP, SOCK_RAW, 0);
	if (fd == -EAFNOSUPPORT)
		printf("this kernel has no AF_XDP\n");
	else
		CHECK(fd >= 0 && unfit("AF_XDP"));
	close(fd);
}

static void shared_map(void)
{
	char path[] = "/tmp/nfshim escape XXXXXX";
	int fd = mkstemp(path), mem = memfd_create("own", 0), ro = open("/etc/passwd", O_RDONLY);
	void *a, *b, *c, *d;

	CHECK(ftruncate(fd, 4096) == 0 && ftruncate(mem, 4096) == 0);
	b = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, mem, 0);
	c = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	d = mmap(NULL, 4096, PROT_READ, MAP_SHARED, ro, 0);
	CHECK(b != MAP_FAILED && c != MAP_FAILED && d != MAP_FAILED);
	nfshim_test_unfit();
	CHECK(told("for shared writing") == 0);
	a = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(a != MAP_FAILED && mprotect(a, 4096, PROT_READ | PROT_WRITE) == 0);
	nfshim_test_unfit();
	nfshim_test_unfit();
	CHECK(told("for shared writing") == 1 && told(path) == 1);
	unlink(path);
}

/* @err of the shim: the kernel has another for these. */
static bool refused(long nr, const long *x, int err)
{
	errno = 0;
	return syscall(nr, x[0], x[1], x[2], x[3], x[4]) == -1 && errno == err;
}

static void by_number(void)
{
	struct tpacket_req ring = {4096, 1, 2048, 2};
	const long none[6] = {0}, inet[6] = {AF_INET, SOCK_DGRAM}, own[6] = {AF_XDP, -1},
		   option[6] = {-1, SOL_PACKET, PACKET_TX_RING, (long)&ring, sizeof(ring)};

	CHECK(syscall(SYS_getpid) == getpid());
	CHECK(syscall(SYS_socket, inet[0], inet[1], 0) >= 0);
	CHECK(refused(SYS_setsockopt, option, ENOPROTOOPT) == !allowed);
	CHECK(refused(SYS_socket, own, EAFNOSUPPORT) == !allowed);
	CHECK(refused(SYS_io_uring_setup, none, ENOSYS) || allowed);
	if (allowed)
		CHECK(unfit("io_uring"));
	else
		CHECK(told("io_uring is refused") == 1 && unfit(NULL));
}

static void find_uring(bool mapped)
{
	struct io_uring_params p = {0};
	int fd = (int)raw_syscall3(SYS_io_uring_setup, 4, (long)&p, 0);
	void *ring;

	if (fd == -ENOSYS || fd == -EPERM) {
		printf("this kernel has no io_uring\n");
		return;
	}
	CHECK(fd >= 0);
	if (mapped) {
		ring = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
		CHECK(ring != MAP_FAILED);
		close(fd);
	}
	CHECK(unfit("io_uring"));
}

static void uring(void)
{
	find_uring(false);
}

/* Its descriptor is not needed any more. */
static void mapped_uring(void)
{
	find_uring(true);
}

static void show_complaints(void)
{
	char text[4096];
	ssize_t n, at = 0;

	for (; (n = pread(complaints, text, sizeof(text), at)) > 0; at += n)
		fwrite(text, 1, (size_t)n, stdout);
	fflush(stdout);
}

static void run(void (*test)(void), bool allow)
{
	int status = -1;

	if (fork() == 0) {
		failures = 0;
		allowed = allow;
		if (allow)
			setenv("NFSHIM_ESCAPES", "allow", 1);
		complaints = scratch();
		dup2(complaints, STDERR_FILENO);
		test();
		if (failures)
			show_complaints();
		exit(failures != 0);
	}
	wait(&status);
	CHECK(status == 0);
}

int main(int argc, char **argv)
{
	void (*const refusable[])(void) = {deepbind, tx_ring, xdp, by_number};
	void (*const others[])(void) = {own_namespace, own_search_path, late_libpcap,
					shared_map,    uring,		mapped_uring};

	check_preloaded();
	if (argc != 2)
		return 2;
	folder = argv[1];
	for (unsigned i = 0; i < sizeof(refusable) / sizeof(*refusable); i++) {
		run(refusable[i], false);
		run(refusable[i], true);
	}
	for (unsigned i = 0; i < sizeof(others) / sizeof(*others); i++)
		run(others[i], false);
	return failures != 0;
}
