/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What input calls on packet sockets tell a program, one line each: alike.sh
 * compares the lines with and without the shim. On the loopback of a network
 * namespace of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "own_net.h"

#define WAIT_MS 10
#define LEN	60
#define TAGGED	2 /* the kind of frame with a VLAN tag */

enum how { RECV, RECVFROM, RECVMSG, RECVMMSG, READ, READV, HOWS };
static const char *const names[] = {"recv", "recvfrom", "recvmsg", "recvmmsg", "read", "readv"};

static int fd, sender, witness;
static unsigned char got[256];
static struct sockaddr_ll from;
static struct timespec stamp;
static int least;		    /* milliseconds that a call takes */
static volatile sig_atomic_t sends; /* frames that the handler still has to send */

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void send_only(int kind)
{
	unsigned char f[LEN] = {0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0x88, 0xb6};

	if (kind == TAGGED)
		memcpy(f + 12, "\x81\x00\x60\x07\x88\xb6", 6);
	f[20] = (unsigned char)kind;
	if (send(sender, f, sizeof(f), 0) != sizeof(f))
		die("send");
}

/* A busy machine delivers later: the witness gets each frame last. Not by functions of the shim. */
static void send_frame(int kind)
{
	unsigned char f[LEN];

	while (syscall(SYS_recvfrom, witness, f, sizeof(f), MSG_DONTWAIT, NULL, NULL) > 0)
		;
	send_only(kind);
	if (syscall(SYS_recvfrom, witness, f, sizeof(f), 0, NULL, NULL) < 0)
		die("the frame does not arrive");
}

static void on_alarm(int sig)
{
	(void)sig;
	if (sends > 0 && --sends == 0)
		send_only(1);
}

static void alarms(int flags, int count)
{
	struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = flags};
	struct itimerval t = {.it_value = {0, WAIT_MS * 1000}, .it_interval = {0, WAIT_MS * 1000}};

	sends = count;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
}

static void no_alarms(void)
{
	setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
}

/* ---- calls ---- */

static void control(struct msghdr *m, char *said, size_t n)
{
	struct tpacket_auxdata a;

	stamp = (struct timespec){0};
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t at = strlen(said);

		snprintf(said + at, n - at, ", %d/%d %zu", c->cmsg_level, c->cmsg_type,
			 c->cmsg_len);
		if (c->cmsg_level == SOL_SOCKET) {
			memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
		} else if (c->cmsg_len >= CMSG_LEN(sizeof(a))) {
			memcpy(&a, CMSG_DATA(c), sizeof(a));
			at = strlen(said);
			snprintf(said + at, n - at, " {%x %u %u %u %u %x %x}", a.tp_status,
				 a.tp_len, a.tp_snaplen, a.tp_mac, a.tp_net, a.tp_vlan_tci,
				 a.tp_vlan_tpid);
		}
	}
}

static ssize_t by_message(enum how how, size_t len, size_t room, int flags, char *said, size_t n)
{
	static _Alignas(struct cmsghdr) char buf[256];
	struct iovec v[] = {{got, len / 2}, {got + len / 2, len - len / 2}};
	struct mmsghdr m = {.msg_hdr = {&from, sizeof(from), v, 2, room ? buf : NULL, room, 0}};
	ssize_t rc =
		how == RECVMSG ? recvmsg(fd, &m.msg_hdr, flags) : recvmmsg(fd, &m, 1, flags, NULL);

	if (rc < 0)
		return rc;
	snprintf(said, n, ", name %u, len %u, flags %x, control %zu", m.msg_hdr.msg_namelen,
		 how == RECVMMSG ? m.msg_len : 0, (unsigned)m.msg_hdr.msg_flags,
		 m.msg_hdr.msg_controllen);
	control(&m.msg_hdr, said, n);
	return rc;
}

static ssize_t make(enum how how, size_t len, size_t room, int flags, char *said, size_t n)
{
	struct iovec v[] = {{got, len / 3}, {got + len / 3, len - len / 3}};
	socklen_t fromlen = sizeof(from);
	ssize_t rc;

	switch (how) {
	case RECV:
		return recv(fd, got, len, flags);
	case RECVFROM:
		rc = recvfrom(fd, got, len, flags, (struct sockaddr *)&from, &fromlen);
		snprintf(said, n, ", name %u", fromlen);
		return rc;
	case READ:
		return read(fd, got, len);
	case READV:
		return readv(fd, v, 2);
	default:
		return by_message(how, len, room, flags, said, n);
	}
}

static void call_with(enum how how, const char *when, size_t len, size_t room, int flags)
{
	char said[512] = "";
	double t0 = now(CLOCK_MONOTONIC);
	ssize_t rc;
	int e;

	memset(got, 0xee, sizeof(got));
	memset(&from, 0xee, sizeof(from));
	errno = 0;
	rc = make(how, len, room, flags, said, sizeof(said));
	e = rc < 0 ? errno : 0;
	printf("%s, %s: %zd, errno %d%s, from %x %x %d %x %x %x %02x%02x", names[how], when, rc, e,
	       said, from.sll_family, from.sll_protocol, from.sll_ifindex, from.sll_hatype,
	       from.sll_pkttype, from.sll_halen, from.sll_addr[0], from.sll_addr[5]);
	if (least)
		printf(", %s", now(CLOCK_MONOTONIC) - t0 >= least - 1 ? "in time" : "too early");
	for (size_t i = 0; i < LEN + 4; i++)
		printf("%s%02x", i ? "" : ", ", got[i]);
	printf("\n");
}

static void call(enum how how, const char *when, size_t len, int flags)
{
	call_with(how, when, len, 256, flags);
}

/* ---- cases ---- */

static void timeout(int ms)
{
	struct timeval t = {ms / 1000, ms % 1000 * 1000};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
}

static void no_block(bool on)
{
	fcntl(fd, F_SETFL, on ? O_NONBLOCK : 0);
}

static void nothing(enum how how)
{
	no_block(true);
	call(how, "nothing, nonblocking", 200, 0);
	no_block(false);
	if (how < READ)
		call(how, "nothing, MSG_DONTWAIT", 200, MSG_DONTWAIT);
	timeout(WAIT_MS);
	least = WAIT_MS;
	call(how, "nothing, a timeout", 200, 0);
	least = 0;
	timeout(0);
}

static void signals(enum how how)
{
	alarms(0, 9);
	call(how, "a signal", 200, 0);
	alarms(SA_RESTART, 2);
	call(how, "signals with SA_RESTART, then a packet", 200, 0);
	alarms(SA_RESTART, 9);
	timeout(20000);
	call(how, "a signal with SA_RESTART, and a timeout", 200, 0);
	timeout(0);
	no_alarms();
}

static void packets(enum how how)
{
	for (int kind = 0; kind < 6; kind++)
		send_frame(kind);
	call(how, "a packet", 200, 0);
	call(how, "a short buffer", 30, 0);
	call(how, "a packet with a tag", LEN, 0);
	call_with(how, "no control", 200, 0, 0);
	call_with(how, "little control", 200, 20, 0);
	call(how, "no room", 0, 0);
	no_block(true);
	call(how, "was there one without room", 200, 0);
	no_block(false);
}

/* Without auxiliary data: of a packet that was peeked at, Linux forgets the length. */
static void flags(enum how how)
{
	setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &(int){0}, sizeof(int));
	send_frame(4);
	send_frame(5);
	call(how, "MSG_PEEK", 200, MSG_PEEK);
	call(how, "MSG_PEEK | MSG_TRUNC of no bytes", 0, MSG_PEEK | MSG_TRUNC);
	call(how, "MSG_TRUNC", 10, MSG_TRUNC);
	call(how, "MSG_PEEK | MSG_DONTWAIT", 20, MSG_PEEK | MSG_DONTWAIT);
	call(how, "taken", 200, 0);
	call(how, "none behind it", 200, MSG_PEEK | MSG_DONTWAIT);
	call(how, "MSG_ERRQUEUE", 200, MSG_ERRQUEUE);
	call(how, "MSG_OOB", 200, MSG_OOB | MSG_DONTWAIT);
}

static void say_stamp(const char *when, int rc, double ms)
{
	double off = now(CLOCK_REALTIME) - ms;

	printf("%s: %d, errno %d, %s\n", when, rc, rc < 0 ? errno : 0,
	       rc < 0			 ? "none"
	       : off > -1 && off < 60000 ? "just now"
					 : "another time");
}

static void stamps(enum how how)
{
	struct timespec ns = {0}, again = {0};
	struct timeval us = {0};
	int rc, on = how % 2;

	rc = ioctl(fd, SIOCGSTAMPNS_OLD, &ns);
	say_stamp("SIOCGSTAMPNS, first", rc, (double)ns.tv_sec * 1e3);
	send_frame(1);
	send_frame(2);
	call(how, "a packet with a time", 200, 0);
	rc = ioctl(fd, SIOCGSTAMP_OLD, &us);
	say_stamp("SIOCGSTAMP", rc, (double)us.tv_sec * 1e3 + (double)us.tv_usec / 1e3);
	rc = ioctl(fd, SIOCGSTAMPNS_OLD, &ns);
	ioctl(fd, SIOCGSTAMPNS_OLD, &again);
	printf("%d, the same: %d %d\n", rc,
	       ns.tv_sec == us.tv_sec && ns.tv_nsec / 1000 == us.tv_usec,
	       !memcmp(&ns, &again, sizeof(ns)));
	setsockopt(fd, SOL_SOCKET, on ? SO_TIMESTAMPNS : SO_TIMESTAMP, &(int){1}, sizeof(int));
	call(how, "a packet with a time beside it", 200, 0);
	if (how == RECVMSG || how == RECVMMSG)
		say_stamp("beside", 0,
			  (double)stamp.tv_sec * 1e3 + (double)stamp.tv_nsec / (on ? 1e6 : 1e3));
	setsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, &(int){0}, sizeof(int));
}

/* Most likely when the call waits; it has the same answer if not. */
static pid_t send_later(unsigned n)
{
	pid_t child = fork();

	while (child == 0 && n--) {
		usleep(WAIT_MS * 1000);
		send_only(1);
	}
	if (child == 0)
		_exit(0);
	return child;
}

static void batches(void)
{
	static unsigned char data[4][200];
	struct iovec v[4];
	struct mmsghdr m[4];
	struct timespec t[] = {{0, 0}, {5, 0}, {0, 2000000000}};
	static const struct {
		const char *when;
		int flags, timeout;
		unsigned n, there, later;
	} ways[] = {
		{"three of four, MSG_DONTWAIT", MSG_DONTWAIT, -1, 4, 3, 0},
		{"none, MSG_DONTWAIT", MSG_DONTWAIT, -1, 4, 0, 0},
		{"two of three", 0, -1, 2, 3, 0},
		{"none asked for", 0, -1, 0, 0, 0},
		{"two, MSG_WAITFORONE", MSG_WAITFORONE, -1, 4, 2, 0},
		{"one later, MSG_WAITFORONE", MSG_WAITFORONE, -1, 4, 0, 1},
		{"one, and a signal", 0, -1, 2, 1, 1},
		{"one and two later", 0, -1, 3, 1, 2},
		{"two later, time", 0, 1, 2, 0, 2},
		{"no time", 0, 0, 4, 2, 0},
		{"time", 0, 1, 2, 2, 0},
		{"a wrong time", 0, 2, 2, 0, 0},
	};

	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct timespec *left = ways[i].timeout < 0 ? NULL : &t[ways[i].timeout];
		pid_t child = 0;
		int rc;

		for (unsigned k = 0; k < 4; k++) {
			v[k] = (struct iovec){data[k], 200};
			m[k] = (struct mmsghdr){.msg_hdr = {.msg_iov = &v[k], .msg_iovlen = 1}};
		}
		for (unsigned k = 0; k < ways[i].there; k++)
			send_frame(3 + (int)k);
		if (ways[i].later == 1)
			alarms(SA_RESTART, ways[i].there == 0); /* the signal alone, or a frame */
		else if (ways[i].later)
			child = send_later(ways[i].later);
		errno = 0;
		rc = recvmmsg(fd, m, ways[i].n, ways[i].flags, left);
		no_alarms();
		if (ways[i].later > 1)
			waitpid(child, NULL, 0);
		printf("recvmmsg, %s: %d, errno %d, %u %u %u %u, %s\n", ways[i].when, rc,
		       rc < 0 ? errno : 0, m[0].msg_len, m[1].msg_len, m[2].msg_len, m[3].msg_len,
		       !left			       ? "-"
		       : left->tv_sec || left->tv_nsec ? "time left"
						       : "none left");
		/* Linux tells an interrupted recvmmsg() once more, by an errno of its own. */
		while ((rc = (int)recv(fd, got, sizeof(got), MSG_DONTWAIT)) >= 0 || errno != EAGAIN)
			if (rc >= 0)
				printf("one more, %d\n", got[20]);
	}
}

static void filters(int type)
{
	int at = type == SOCK_RAW ? 20 : 6;
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (unsigned)at),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 4, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 40),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog f = {4, insns};
	struct sock_filter back[8];
	socklen_t n = 0, few = 2, all = 8;

	printf("attached: %d", setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &f, sizeof(f)));
	send_only(3);
	send_frame(4);
	printf(", %d", getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &n));
	printf(" %u, %d", n, getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, back, &few));
	printf(" %d %u, %d", errno, few, getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, back, &all));
	printf(" %u, same %d\n", all, !memcmp(back, insns, sizeof(insns)));
	call(RECVMSG, "cut by the filter", 200, 0);
	call(RECVMSG, "nothing else", 200, MSG_DONTWAIT);
	printf("detached: %d", setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &n, sizeof(n)));
	printf(", %d\n", setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &n, sizeof(n)));
}

static void statistics(const char *when)
{
	struct tpacket_stats st = {0};
	socklen_t n = sizeof(st);
	int rc = getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &n);

	printf("statistics %s: %d, %u bytes, %u %u\n", when, rc, n, st.tp_packets, st.tp_drops);
}

/* Before and behind the input calls of a wait. */
static void waits(void)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct epoll_event ev = {.events = EPOLLIN};
	int epfd = epoll_create1(0);

	epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev);
	printf("waits: %d %d", poll(&p, 1, 0), epoll_wait(epfd, &ev, 1, WAIT_MS));
	send_frame(1);
	printf(", %d %d", poll(&p, 1, 20000), epoll_wait(epfd, &ev, 1, 20000));
	call(RECV, "peeked at", 200, MSG_PEEK);
	printf("%d %d\n", poll(&p, 1, 20000), epoll_wait(epfd, &ev, 1, 20000));
	call(READ, "after waits", 200, 0);
	printf("%d %d\n", poll(&p, 1, 0), epoll_wait(epfd, &ev, 1, 0));
	close(epfd);
}

/* A number that was a packet socket is something else. */
static void other_descriptors(void)
{
	int keep = fd, ends[2];

	fd = dup(keep);
	send_frame(5);
	call(RECV, "another descriptor of it", 200, 0);
	if (pipe(ends) < 0 || dup2(ends[0], fd) != fd || write(ends[1], "pipe", 4) != 4)
		die("pipe");
	call(READ, "a pipe by its number", 200, 0);
	call(RECV, "a pipe, recv", 200, 0);
	close(fd);
	call(RECV, "closed", 200, 0);
	call(READ, "closed", 200, 0);
	fd = keep;
	close(ends[0]);
	close(ends[1]);
}

/* ---- the net ---- */

static int open_socket(int type, int protocol)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(protocol),
				 .sll_ifindex = (int)if_nametoindex("lo")};
	int s = socket(AF_PACKET, type, 0);

	if (s < 0 || bind(s, (struct sockaddr *)&at, sizeof(at)) < 0)
		die("bind");
	return s;
}

static int open_incoming(int type)
{
	int s = open_socket(type, ETH_P_ALL);

	setsockopt(s, SOL_PACKET, PACKET_IGNORE_OUTGOING, &(int){1}, sizeof(int));
	return s;
}

static void each_type(int type)
{
	printf("type %d\n", type);
	for (enum how how = 0; how < HOWS; how++) {
		fd = open_incoming(type);
		setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &(int){how % 2 == 0}, sizeof(int));
		nothing(how);
		signals(how);
		packets(how);
		if (how < READ)
			flags(how);
		statistics("of all");
		statistics("again");
		close(fd);
		fd = open_incoming(type);
		stamps(how);
		if (how == RECVMMSG)
			batches();
		filters(type);
		waits();
		other_descriptors();
		close(fd);
	}
}

int main(void)
{
	one_cpu();
	sender = own_net();
	witness = open_incoming(SOCK_RAW);
	each_type(SOCK_RAW);
	each_type(SOCK_DGRAM);
	return 0;
}
