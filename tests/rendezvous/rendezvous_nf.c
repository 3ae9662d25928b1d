/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An NF that does to its process what NFs do before they read packets: one
 * letter of the argument after the other.
 *
 *   w wait for a byte on stdin    p print the pid     o open "lo"     i read packets for ever
 *   g read what is there
 *   d daemon(): the parent _exit()s    e fork, the parent exit()s    c fork a worker that idles
 *   k run other programs    n start another of these: poi
 *   u become nobody    r chroot to an empty place    x close all but 0 to 2
 */
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#define LONGEST_S 120

static pcap_t *handle;

static void on_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	(void)user;
	(void)h;
	(void)data;
}

static void must(int bad, const char *what)
{
	if (!bad)
		return;
	perror(what);
	exit(1);
}

static void open_capture(void)
{
	char err[PCAP_ERRBUF_SIZE];

	handle = pcap_open_live("lo", 2000, 0, 100, err);
	if (!handle)
		fprintf(stderr, "pcap_open_live: %s\n", err);
	must(!handle, "lo");
}

static void step(char what)
{
	char c, err[PCAP_ERRBUF_SIZE];

	switch (what) {
	case 'w':
		must(read(STDIN_FILENO, &c, 1) != 1, "stdin");
		break;
	case 'p':
		printf("%d\n", (int)getpid());
		fflush(stdout);
		break;
	case 'o':
		open_capture();
		break;
	case 'g':
		pcap_setnonblock(handle, 1, err);
		pcap_dispatch(handle, 1, on_packet, NULL);
		pcap_setnonblock(handle, 0, err);
		break;
	case 'i':
		pcap_loop(handle, -1, on_packet, NULL);
		break;
	case 'd':
		must(daemon(1, 1), "daemon");
		break;
	case 'e':
		if (fork() > 0)
			exit(0);
		break;
	case 'c':
		if (fork() == 0) {
			alarm(LONGEST_S);
			step('p');
			pause();
		}
		break;
	case 'k':
		system("true; exec true");
		break;
	case 'n':
		if (fork() == 0)
			execl("/proc/self/exe", "rendezvous_nf", "poi", NULL);
		break;
	case 'u':
		must(setgid(65534) || setuid(65534), "setuid");
		break;
	case 'r':
		must(chroot("/proc/self/fdinfo") || chdir("/"), "chroot");
		break;
	case 'x':
		closefrom(3);
		break;
	}
}

int main(int argc, char **argv)
{
	/* A test that failed may leave us behind; a fork clears the alarm, so it is set again. */
	for (const char *s = argc > 1 ? argv[1] : ""; *s; s++) {
		alarm(LONGEST_S);
		step(*s);
	}
	return 0;
}
