/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policied DIR [flood]: output of several kinds in a window; then the names of
 * what got out, after "served" if the shim has a socket. policy.sh knows what
 * should, by policy.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <pcap/pcap.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "check.h"

static int a, b, gone, p[2], mem, udp, udp_in, t;
static FILE *f;
static pcap_dumper_t *d;

static off_t size(const char *name)
{
	struct stat st;

	return stat(name, &st) == 0 ? st.st_size : -1;
}

static int make(const char *name, const char *text)
{
	int fd = open(name, O_CREAT | O_RDWR | O_APPEND, 0600);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	return fd;
}

static void make_udp(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof(sa);

	udp_in = socket(AF_INET, SOCK_DGRAM, 0);
	udp = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(bind(udp_in, (struct sockaddr *)&sa, n) == 0 &&
	      getsockname(udp_in, (struct sockaddr *)&sa, &n) == 0 &&
	      connect(udp, (struct sockaddr *)&sa, n) == 0);
}

static void set_up(void)
{
	CHECK(mkdir("sub", 0700) == 0 && symlink("sub", "link") == 0);
	a = make("a.log", ""), b = make("sub/b.log", ""), gone = make("gone", "");
	close(make("r", "r")), close(make("sub/u", "u")), close(make("t", "content"));
	unlink("gone");
	f = fopen("c.log", "w");
	d = pcap_dump_open(pcap_open_dead(DLT_EN10MB, 100), "d.pcap");
	pcap_dump_flush(d);
	mem = memfd_create("m", 0);
	CHECK(pipe(p) == 0 && f && d);
	make_udp();
}

static void put_out(void)
{
	static const struct pcap_pkthdr h = {.caplen = 60, .len = 60};
	static const u_char data[60];

	CHECK(write(a, "line\n\"1\"", 8) == 8 && write(b, "b", 1) == 1);
	CHECK(write(gone, "g", 1) == 1 && write(p[1], "p", 1) == 1 && write(mem, "m", 1) == 1);
	CHECK(fputs("c", f) >= 0 && send(udp, "u", 1, 0) == 1);
	pcap_dump((u_char *)d, &h, data);
	CHECK(rename("r", "r2") == 0 && unlink("link/u") == 0);
	t = open("t", O_WRONLY | O_TRUNC);
	CHECK(t >= 0);
}

static bool readable(int fd)
{
	char c;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	return read(fd, &c, 1) == 1;
}

static void tell(void)
{
	struct stat st;

	fclose(f);
	pcap_dump_close(d);
	printf("%s%s%s%s%s%s%s%s%s%s%s%s\n", size("../run/policied.sock") >= 0 ? "served " : "",
	       size("a.log") > 0 ? "a " : "", size("sub/b.log") > 0 ? "b " : "",
	       size("c.log") > 0 ? "c " : "", fstat(gone, &st) == 0 && st.st_size ? "gone " : "",
	       lseek(mem, 0, SEEK_END) > 0 ? "mem " : "", readable(p[0]) ? "pipe " : "",
	       readable(udp_in) ? "udp " : "", size("d.pcap") > 24 ? "dump " : "",
	       size("r2") > 0 ? "rename " : "", size("sub/u") < 0 ? "unlink " : "",
	       size("t") == 0 ? "truncate " : "");
}

/* More lines than a trace takes. */
static void flood(void)
{
	static char text[64];

	memset(text, 1, sizeof(text));
	nfshim_test_window(1);
	for (int i = 0; i < 10000; i++)
		CHECK(write(a, text, sizeof(text)) == sizeof(text));
	nfshim_test_window(0);
}

int main(int argc, char **argv)
{
	check_preloaded();
	if (argc < 2 || chdir(argv[1]) < 0)
		return 2;
	set_up();
	if (argc > 2)
		flood();
	nfshim_test_window(1);
	put_out();
	nfshim_test_window(0);
	tell();
	return failures != 0;
}
