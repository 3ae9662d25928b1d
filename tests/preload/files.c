/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files and names in the window, beyond what emit_file.c shows: what is opened
 * keeps its content and is of use afterwards, what must fail fails, what is
 * memory is left alone, and a number that is used again is looked at again.
 */
#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <pty.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static void put(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	fputs(text, f);
	fclose(f);
}

static bool holds(const char *name, const char *want)
{
	char text[256] = "";
	FILE *f = fopen(name, "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f)
		fclose(f);
	return f && n == strlen(want) && !memcmp(text, want, n);
}

/* ---- opening ---- */

static void keeps_its_content(void)
{
	int fd, created;
	FILE *f, *g;

	put("a", "old"), put("b", "old"), put("c", "old"), put("d", "old");
	g = fopen("other", "w");
	nfshim_test_window(1);
	fd = open("a", O_CREAT | O_WRONLY | O_TRUNC, 0600);
	created = creat("b", 0600);
	f = fopen("c", "w");
	g = freopen("d", "w", g);
	CHECK(write(fd, "inside", 6) == 6 && fputs("inside", f) >= 0);
	nfshim_test_window(0);
	CHECK(write(fd, " new", 4) == 4 && write(created, " new", 4) == 4);
	CHECK(fputs(" new", f) >= 0 && fputs(" new", g) >= 0);
	close(fd), close(created), fclose(f), fclose(g);
	CHECK(holds("a", "old new") && holds("b", "old new"));
	CHECK(holds("c", "old new") && holds("d", "old new"));
}

static void is_made(void)
{
	int fd, empty;
	FILE *f;

	put("empty", "");
	nfshim_test_window(1);
	fd = open("made", O_CREAT | O_WRONLY | O_TRUNC, 0640);
	empty = open("empty", O_WRONLY | O_TRUNC);
	f = fopen("made too", "w");
	CHECK(write(fd, "inside", 6) == 6 && fputs("inside", f) >= 0);
	nfshim_test_window(0);
	/* Nothing was kept, so nothing is changed. */
	CHECK(!(fcntl(fd, F_GETFL) & O_APPEND) && !(fcntl(empty, F_GETFL) & O_APPEND));
	CHECK(write(fd, "after", 5) == 5 && fputs("after", f) >= 0);
	close(fd), close(empty), fclose(f);
	CHECK(holds("made", "after") && holds("made too", "after"));
}

/* A capture file that is begun in the window has its header, or keeps the one it has. */
static unsigned packets_in(const char *name)
{
	char err[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_open_offline(name, err);
	struct pcap_pkthdr *h;
	const u_char *data;
	unsigned n = 0;

	while (p && pcap_next_ex(p, &h, &data) == 1)
		n++;
	if (p)
		pcap_close(p);
	return n;
}

static void capture_files(void)
{
	pcap_t *p = pcap_open_dead(DLT_EN10MB, 65535);
	struct pcap_pkthdr h = {.caplen = 60, .len = 60};
	static const u_char data[60];
	pcap_dumper_t *d;

	for (unsigned i = 1; i <= 3; i++) {
		nfshim_test_window(1);
		d = pcap_dump_open(p, "x.pcap");
		CHECK(d != NULL);
		pcap_dump((u_char *)d, &h, data);
		nfshim_test_window(0);
		pcap_dump((u_char *)d, &h, data);
		pcap_dump_close(d);
		CHECK(packets_in("x.pcap") == i);
	}
	pcap_close(p);
}

/* ---- what must fail ---- */

#define FAILS(call, why) CHECK((errno = 0, (call) < 0) && errno == (why))

static void fails_as_ever(void)
{
	const char *volatile none = NULL;
	int readable;

	put("there", "x");
	CHECK(mkdir("dir", 0700) == 0);
	readable = open("there", O_RDONLY);
	nfshim_test_window(1);
	FAILS(unlink("missing"), ENOENT);
	FAILS(unlink(none), EFAULT);
	FAILS(remove("missing"), ENOENT);
	FAILS(rmdir("missing"), ENOENT);
	FAILS(rename("missing", "there"), ENOENT);
	FAILS(renameat2(AT_FDCWD, "there", AT_FDCWD, "dir", RENAME_NOREPLACE), EEXIST);
	FAILS(mkdir("dir", 0700), EEXIST);
	FAILS(mkfifo("there", 0600), EEXIST);
	FAILS(mknod("there", S_IFREG | 0600, 0), EEXIST);
	FAILS(link("missing", "new"), ENOENT);
	FAILS(link("there", "dir"), EEXIST);
	FAILS(symlink("there", "dir"), EEXIST);
	FAILS(truncate("missing", 0), ENOENT);
	FAILS(truncate("there", -1), EINVAL);
	FAILS(ftruncate(1000, 0), EBADF);
	FAILS(ftruncate(readable, 0), EINVAL);
	FAILS(fallocate(1000, 0, 0, 1), EBADF);
	CHECK(posix_fallocate(1000, 0, 1) == EBADF);
	FAILS(open("missing", O_WRONLY | O_TRUNC), ENOENT);
	FAILS(open("there", O_CREAT | O_EXCL | O_WRONLY | O_TRUNC, 0600), EEXIST);
	FAILS(open(none, O_WRONLY | O_TRUNC), EFAULT);
	CHECK(fopen("missing/x", "w") == NULL && errno == ENOENT);
	nfshim_test_window(0);
	CHECK(holds("there", "x"));
	close(readable);
}

/* ---- memory ---- */

static void memory_is_sized(void)
{
	static const char name[] = "/nfshim-files-test";
	int mem = memfd_create("m", 0), shm;
	char *p = MAP_FAILED;
	struct stat st;

	nfshim_test_window(1);
	shm = shm_open(name, O_CREAT | O_RDWR, 0600);
	CHECK(ftruncate(mem, 4096) == 0 && ftruncate(shm, 4096) == 0);
	if (fstat(shm, &st) == 0 && st.st_size == 4096)
		p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, shm, 0);
	CHECK(p != MAP_FAILED && (*p = 'x') == 'x');
	nfshim_test_window(0);
	CHECK(fstat(mem, &st) == 0 && st.st_size == 4096);
	if (p != MAP_FAILED)
		munmap(p, 4096);
	shm_unlink(name);
	close(mem), close(shm);
}

/* ---- descriptors used again within a window ---- */

enum { REGULAR, FIFO, TTY, UDP, PIPE, PAIR, EVENT, MEMORY, KINDS };

struct end {
	int fd, other; /* what is written to fd comes out of other */
};

static void udp(struct end *e)
{
	struct sockaddr_storage sa = {.ss_family = AF_INET6};
	socklen_t n = sizeof(sa);

	e->other = socket(AF_INET6, SOCK_DGRAM, 0);
	e->fd = socket(AF_INET6, SOCK_DGRAM, 0);
	((unsigned char *)&sa)[23] = 1; /* ::1 */
	CHECK(bind(e->other, (struct sockaddr *)&sa, 28) == 0 &&
	      getsockname(e->other, (struct sockaddr *)&sa, &n) == 0 &&
	      connect(e->fd, (struct sockaddr *)&sa, n) == 0);
}

static struct end make(int kind)
{
	struct end e = {-1, -1};
	int p[2] = {-1, -1};

	switch (kind) {
	case REGULAR:
		e.fd = open("reused", O_CREAT | O_RDWR | O_APPEND, 0600);
		e.other = open("reused", O_RDONLY);
		break;
	case FIFO:
		mkfifo("fifo", 0600);
		e.fd = open("fifo", O_RDWR);
		e.other = dup(e.fd);
		break;
	case TTY:
		CHECK(openpty(&e.other, &e.fd, NULL, NULL, NULL) == 0);
		break;
	case UDP:
		udp(&e);
		break;
	case PIPE:
		CHECK(pipe(p) == 0);
		e = (struct end){p[1], p[0]};
		break;
	case PAIR:
		CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
		e = (struct end){p[1], p[0]};
		break;
	case EVENT:
		e.fd = eventfd(0, 0);
		e.other = dup(e.fd);
		break;
	case MEMORY:
		e.fd = memfd_create("m", 0);
		e.other = dup(e.fd);
		break;
	}
	return e;
}

static bool came_out(int kind, const struct end *e)
{
	struct stat st;
	char got[8];

	if (kind == REGULAR || kind == MEMORY)
		return fstat(e->other, &st) == 0 && st.st_size > 0;
	fcntl(e->other, F_SETFL, fcntl(e->other, F_GETFL) | O_NONBLOCK);
	return read(e->other, got, sizeof(got)) > 0;
}

/* Put the descriptor @new at the number @at, in the ways in which numbers come free. */
static void put_at(int way, int at, int new)
{
	switch (way) {
	case 0:
		dup2(new, at);
		return;
	case 1:
		close(at);
		break;
	case 2:
		close_range((unsigned)at, (unsigned)at, 0);
		break;
	case 3:
		fclose(fdopen(at, "w"));
		break;
	}
	CHECK(fcntl(new, F_DUPFD, at) == at);
}

static void used_again(int was, int is, int way)
{
	struct end a = make(was), b = make(is);
	uint64_t one = 1;

	nfshim_test_window(1);
	CHECK(write(a.fd, &one, sizeof(one)) == sizeof(one));
	put_at(way, a.fd, b.fd);
	CHECK(write(a.fd, &one, sizeof(one)) == sizeof(one));
	nfshim_test_window(0);
	if (came_out(is, &b) != (is >= PIPE)) {
		fprintf(stderr, "kind %d at the number of kind %d, way %d: %s\n", is, was, way,
			is >= PIPE ? "dropped" : "got out");
		failures++;
	}
	close(a.fd), close(b.fd), close(a.other), close(b.other);
	unlink("reused"), unlink("fifo");
}

/* freopen closes inside glibc. */
static void stream_used_again(void)
{
	struct end e = make(PIPE);
	FILE *f = fdopen(e.fd, "w");

	nfshim_test_window(1);
	fputs("out", f);
	fflush(f);
	f = freopen("reopened", "a", f);
	fputs("dropped", f);
	fflush(f);
	nfshim_test_window(0);
	CHECK(came_out(PIPE, &e));
	fclose(f);
	CHECK(holds("reopened", ""));
	close(e.other);
}

int main(int argc, char **argv)
{
	check_preloaded();
	if (argc != 2 || chdir(argv[1]) < 0)
		return 2;
	keeps_its_content();
	is_made();
	capture_files();
	fails_as_ever();
	memory_is_sized();
	for (int was = 0; was < KINDS; was++)
		for (int is = 0; is < KINDS; is++)
			for (int way = 0; way < 4; way++)
				used_again(was, is, way);
	stream_used_again();
	return failures != 0;
}
