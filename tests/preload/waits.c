/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What waits and input calls tell a program about its descriptors, one line
 * each: alike.sh compares the lines with and without the shim. It captures on
 * the loopback of a network namespace of its own.
 */
#include <errno.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "own_net.h"

#define WAIT_MS 30
#define LONG_MS 20000 /* never passes */

enum how { POLL, PPOLL, SELECT, PSELECT, EPOLL, EPOLL_P, EPOLL_P2, HOWS };
static const char *const names[] = {"poll",	  "ppoll",	 "select",	"pselect",
				    "epoll_wait", "epoll_pwait", "epoll_pwait2"};

static pcap_t *capture;
static int fd, other[2], epfd, sender;
static const sigset_t *mask;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void by_poll(enum how how, int ms, char *said, size_t n)
{
	struct pollfd p[] = {{.fd = fd, .events = POLLIN | POLLOUT, .revents = 7},
			     {.fd = other[0], .events = POLLIN, .revents = 7},
			     {.fd = -1, .events = POLLIN, .revents = 7}};
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
	int rc;

	p[0].events = POLLIN;
	rc = how == POLL ? poll(p, 3, ms) : ppoll(p, 3, ms < 0 ? NULL : &t, mask);
	snprintf(said, n, "%d: %x %x %x", rc, (unsigned)p[0].revents, (unsigned)p[1].revents,
		 (unsigned)p[2].revents);
}

static void by_select(enum how how, int ms, char *said, size_t n)
{
	struct timeval tv = {ms / 1000, ms % 1000 * 1000L};
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
	int most = fd > other[0] ? fd : other[0], rc;
	fd_set r, w;

	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_SET(fd, &r);
	FD_SET(other[0], &r);
	FD_SET(most + 1, &w); /* beyond what is asked for */
	rc = how == SELECT ? select(most + 1, &r, &w, NULL, &tv)
			   : pselect(most + 1, &r, &w, NULL, &t, mask);
	snprintf(said, n, "%d: %d %d %d, %s left", rc, FD_ISSET(fd, &r) != 0,
		 FD_ISSET(other[0], &r) != 0, FD_ISSET(most + 1, &w) != 0,
		 how == PSELECT		       ? "-"
		 : tv.tv_sec || tv.tv_usec > 0 ? "some"
					       : "none");
}

static void by_epoll(enum how how, int ms, char *said, size_t n)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
	struct epoll_event ev[4] = {0};
	unsigned got[3] = {0};
	int rc = how == EPOLL	  ? epoll_wait(epfd, ev, 4, ms)
		 : how == EPOLL_P ? epoll_pwait(epfd, ev, 4, ms, mask)
				  : epoll_pwait2(epfd, ev, 4, &t, mask);

	for (int i = 0; i < rc; i++)
		got[ev[i].data.u64 % 3] = ev[i].events;
	snprintf(said, n, "%d: %x %x %x", rc, got[0], got[1], got[2]);
}

static void wait_once(enum how how, const char *when, int ms)
{
	char said[80];
	double t0 = now();
	int e;

	errno = 0;
	if (how <= PPOLL)
		by_poll(how, ms, said, sizeof(said));
	else if (how <= PSELECT)
		by_select(how, ms, said, sizeof(said));
	else
		by_epoll(how, ms, said, sizeof(said));
	e = errno;
	printf("%s, %s: %s, errno %d, %s\n", names[how], when, said, e,
	       ms && now() - t0 >= ms ? "in time" : "before");
}

static void send_frame(void)
{
	static const unsigned char frame[60] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb6};

	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (send(sender, frame, sizeof(frame), 0) != sizeof(frame))
		die("send");
	/* A busy machine delivers later; not by poll(), which is what is tested. */
	if (syscall(SYS_ppoll, &p, 1, &(struct timespec){20, 0}, NULL, 0) != 1)
		die("the frame does not arrive");
}

static void next(const char *when)
{
	struct pcap_pkthdr *h, own = {0};
	const u_char *data = NULL;
	int rc = pcap_next_ex(capture, &h, &data);

	printf("pcap_next_ex, %s: %d, %d bytes, %s\n", when, rc, rc == 1 ? (int)h->caplen : 0,
	       rc == 1 && data[12] == 0x88 ? "the frame" : "none");
	data = pcap_next(capture, &own);
	printf("pcap_next, %s: %s, %d bytes\n", when, data ? "a packet" : "NULL", (int)own.caplen);
}

static void drain(void)
{
	struct pcap_pkthdr *h;
	const u_char *data;
	int rc;

	while ((rc = pcap_next_ex(capture, &h, &data)) != 0)
		if (rc < 0 && rc != PCAP_ERROR_BREAK)
			die(pcap_geterr(capture));
}

static void alarm_in(int ms)
{
	struct itimerval t = {.it_value = {0, ms * 1000L}, .it_interval = {0, ms * 1000L}};

	setitimer(ITIMER_REAL, &t, NULL);
}

static void interrupted(enum how how)
{
	sigset_t alarms, none;

	alarm_in(WAIT_MS);
	wait_once(how, "a signal", LONG_MS);
	alarm_in(0);
	if (how == POLL || how == SELECT || how == EPOLL)
		return;
	sigemptyset(&none);
	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarms, NULL);
	mask = &none;
	raise(SIGALRM);
	wait_once(how, "a blocked signal, let in", LONG_MS);
	mask = NULL;
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void each(enum how how)
{
	char c;

	wait_once(how, "nothing, no timeout", 0);
	wait_once(how, "nothing", WAIT_MS);
	interrupted(how);
	if (write(other[1], "x", 1) != 1)
		die("write");
	wait_once(how, "a pipe", LONG_MS);
	send_frame();
	send_frame();
	wait_once(how, "a pipe and a packet", LONG_MS);
	if (read(other[0], &c, 1) != 1)
		die("read");
	wait_once(how, "a packet", LONG_MS);
	next("after a wait");
	drain();
	wait_once(how, "no more", 0);
}

static void errors(void)
{
	struct timeval tv = {-1, 0};
	struct timespec ts = {0, 2000000000};
	struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = 200, .events = POLLIN}};
	struct epoll_event ev[1];
	fd_set r;

	FD_ZERO(&r);
	FD_SET(fd, &r);
	printf("%d", select(-1, &r, NULL, NULL, NULL));
	printf(" %d", errno);
	printf(", %d", select(fd + 1, &r, NULL, NULL, &tv));
	printf(" %d", errno);
	printf(", %d", ppoll(p, 1, &ts, NULL));
	printf(" %d", errno);
	printf(", %d", pselect(fd + 1, &r, NULL, NULL, &ts, NULL));
	printf(" %d", errno);
	printf(", %d", epoll_wait(epfd, ev, 0, 0));
	printf(" %d", errno);
	printf(", %d", epoll_wait(200, ev, 1, 0));
	printf(" %d", errno);
	printf(", %d", poll(p, 2, 1000));
	printf(" %x", (unsigned)p[1].revents);
	FD_SET(200, &r);
	printf(", %d", select(201, &r, NULL, NULL, NULL));
	printf(" %d %d\n", errno, FD_ISSET(200, &r) != 0);
}

/* The NF's epoll tells of a capture once, or not any more. */
static void epoll_changes(void)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 2};

	epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &ev);
	send_frame();
	send_frame();
	wait_once(EPOLL, "one shot", LONG_MS);
	wait_once(EPOLL, "after the shot", WAIT_MS);
	epoll_ctl(epfd, EPOLL_CTL_DEL, fd, NULL);
	wait_once(EPOLL, "taken out", WAIT_MS);
	next("afterwards");
}

static void open_capture(void)
{
	char err[PCAP_ERRBUF_SIZE];
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = 0};

	capture = pcap_create("lo", err);
	if (!capture)
		die("pcap_create");
	pcap_set_immediate_mode(capture, 1);
	if (pcap_activate(capture) < 0 || pcap_setdirection(capture, PCAP_D_IN) < 0 ||
	    pcap_setnonblock(capture, 1, err) < 0)
		die("pcap_activate");
	fd = pcap_get_selectable_fd(capture);
	if (pipe(other) < 0 || (epfd = epoll_create1(0)) < 0)
		die("pipe");
	epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev);
	ev.data.u64 = 1;
	epoll_ctl(epfd, EPOLL_CTL_ADD, other[0], &ev);
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_alarm};

	one_cpu();
	sender = own_net();
	open_capture();
	sigaction(SIGALRM, &sa, NULL);
	next("nothing");
	pcap_breakloop(capture);
	send_frame();
	next("broken off");
	drain();
	for (enum how how = 0; how < HOWS; how++)
		each(how);
	errors();
	epoll_changes();
	return 0;
}
