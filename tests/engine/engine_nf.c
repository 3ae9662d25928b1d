/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An NF that counts packets per flow, has state hooks, does what its packets
 * say, and writes down in shared memory what happens to it (play.h).
 *
 *   engine_nf DIARY READER CNT FILE|live:INTERFACE
 *
 * READER: loop, dispatch, next, next_ex; after a wait: poll (then pcap_dispatch), select
 * (pcap_next), epoll (pcap_next_ex), the last three from live:INTERFACE,INTERFACE too. next: CNT
 * packets by pcap_dispatch first. $PLAY_FILTER: the filter of all captures. threads: one for each
 * of two interfaces, with a state of its own; CNT 1: the second begins when a packet says so; CNT
 * 2: its capture is in a fanout group; CNT 3: it lets no UDP in; CNT 4: they print to one stream;
 * CNT 5: one that has left a packet waits for play->go.
 *
 * READER may also be one of socket_nf.h, with live: only.
 *
 * Its output is a line for each packet, which the shim must drop for clones.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "leave.h"
#include "nfshim.h"
#include "play.h"
#include "raw.h"
#include "socket_nf.h"

#define LONGEST_S 120

static struct play *play;
static __thread struct play_state state[PLAY_FLOWS];
static struct nfshim_hooks hooks;
static __thread pcap_t *handle; /* that is read now */
static pcap_t *handles[2];
static int fds[2], nfds; /* packet sockets, instead of handles */
static __thread bool quit;
static pthread_t second;
static bool by_stdio, lingers;
static const char *socket_kind;
static __thread sigjmp_buf landing;
static __thread char left_line[32]; /* what is still to be written when it is out of the callback */

static void note(enum play_event event, unsigned flow, int64_t n)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	uint32_t i;

	pthread_mutex_lock(&lock);
	i = atomic_load_explicit(&play->used, memory_order_relaxed);
	if (i == PLAY_ENTRIES)
		abort();
	play->diary[i] = (struct play_entry){(uint8_t)event, (uint8_t)flow, n};
	atomic_store_explicit(&play->used, i + 1, memory_order_release);
	pthread_mutex_unlock(&lock);
}

/* ---- state hooks ---- */

static struct play_state *state_of(const struct nfshim_flow *key)
{
	int i = play_flow(key);

	return i < 0 || !state[i].count ? NULL : &state[i];
}

static int list(void *nf, enum nfshim_scope scope, uint64_t *cursor, unsigned max, nfshim_key_cb cb,
		void *arg)
{
	struct nfshim_flow key;

	(void)nf;
	(void)max;
	while (scope == NFSHIM_PER_FLOW && *cursor < PLAY_FLOWS) {
		unsigned i = (unsigned)(*cursor)++;

		key = play_key(i);
		if (state[i].count && cb(arg, &key))
			return 1;
	}
	return 0;
}

static bool has(void *nf, enum nfshim_scope scope, const struct nfshim_flow *key)
{
	(void)nf;
	return scope == NFSHIM_PER_FLOW && state_of(key);
}

static ssize_t get(void *nf, enum nfshim_scope scope, const struct nfshim_flow *key, void *buf,
		   size_t cap)
{
	struct play_state *st = scope == NFSHIM_PER_FLOW ? state_of(key) : NULL;

	(void)nf;
	if (!st)
		return -ENOENT;
	if (cap < sizeof(*st))
		return -ENOSPC;
	memcpy(buf, st, sizeof(*st));
	return sizeof(*st);
}

static int put(void *nf, enum nfshim_scope scope, const struct nfshim_flow *key, const void *blob,
	       size_t len)
{
	int i = play_flow(key);

	(void)nf;
	if (scope != NFSHIM_PER_FLOW || i < 0 || len != sizeof(state[i]))
		return -EINVAL;
	memcpy(&state[i], blob, len);
	note(PLAY_PUT, (unsigned)i, (int64_t)state[i].count);
	return 0;
}

static int del(void *nf, enum nfshim_scope scope, const struct nfshim_flow *key)
{
	struct play_state *st = scope == NFSHIM_PER_FLOW ? state_of(key) : NULL;

	(void)nf;
	if (!st)
		return -ENOENT;
	note(PLAY_DEL, (unsigned)(st - state), (int64_t)st->hash);
	*st = (struct play_state){0};
	return 0;
}

/* ---- packets ---- */

static void received(void)
{
	struct pcap_stat st = {0};

	if (nfds) {
		note(PLAY_RECEIVED, 0, socket_received(fds[0]));
		note(PLAY_FILTER, 0, socket_filter(fds[0]));
		return;
	}
	pcap_stats(handle, &st);
	note(PLAY_RECEIVED, 0, st.ps_recv);
}

static void *read_once(void *unused)
{
	char err[PCAP_ERRBUF_SIZE];

	(void)unused;
	if (nfds) {
		recv(fds[1], NULL, 0, MSG_DONTWAIT);
		return NULL;
	}
	pcap_setnonblock(handles[1], 1, err);
	pcap_dispatch(handles[1], 1, NULL, NULL);
	return NULL;
}

static void *read_second(void *unused);

static void begin_second(void)
{
	if (pthread_create(&second, NULL, read_second, NULL))
		abort();
}

static void on_other(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	enum play_what what;
	uint32_t number;
	unsigned flow;

	(void)user;
	if (!play_read(data, h->caplen, &flow, &number, &what))
		abort();
	note(PLAY_ELSEWHERE, flow, number);
}

static void *read_other(void *unused)
{
	pcap_loop(handles[1], 1, on_other, NULL);
	return unused;
}

static void in_a_thread(void *(*reads)(void *))
{
	pthread_t t;

	if (pthread_create(&t, NULL, reads, NULL) || pthread_join(t, NULL))
		abort();
}

/* io_uring; where the kernel has none, a library that is told to pass by the shim. */
static void escape(void)
{
	struct io_uring_params p = {0};

	if (raw_syscall3(SYS_io_uring_setup, 4, (long)&p, 0) >= 0)
		return;
	setenv("NFSHIM_ESCAPES", "allow", 1);
	if (!dlopen("libm.so.6", RTLD_NOW | RTLD_DEEPBIND))
		abort();
}

static void stall(void)
{
	while (!atomic_load(&play->go))
		usleep(200);
}

static void obey(enum play_what what)
{
	switch (what) {
	case PLAY_BEGIN:
		begin_second();
		break;
	case PLAY_EXIT:
		pthread_exit(NULL);
	case PLAY_WAIT:
		stall();
		break;
	case PLAY_QUIT:
		received();
		quit = true;
		if (handle)
			pcap_breakloop(handle);
		break;
	case PLAY_THREAD:
		in_a_thread(read_once);
		break;
	case PLAY_OTHER:
		in_a_thread(read_other);
		break;
	case PLAY_BREAK:
		pcap_breakloop(handle);
		break;
	case PLAY_SIGNAL:
		raise(SIGUSR1);
		break;
	case PLAY_ESCAPE:
		escape();
		break;
	case PLAY_NEST:
		read_once(NULL);
		break;
	case PLAY_REGISTER:
		note(PLAY_REGISTERED, 0, nfshim_register ? nfshim_register(&hooks, NULL) : 0);
		break;
	default:
		break;
	}
}

static void put_line(const char *line)
{
	size_t n = strlen(line);

	if (write(STDOUT_FILENO, line, n) != (ssize_t)n)
		abort();
}

static void jump(enum play_what what, const char *line)
{
	strcpy(left_line, line);
	if (what == PLAY_THROW)
		leave_by_throw();
	siglongjmp(landing, 1);
}

static void landed(void)
{
	note(PLAY_LANDED, 0, nfshim_reprocessing && nfshim_reprocessing());
	if (lingers)
		stall();
	put_line(left_line);
}

static void on_signal(int sig)
{
	(void)sig;
	*left_line = 0;
	siglongjmp(landing, 1);
}

/* Without a call, as long as there is room. */
static void print(const char *line, bool by_call)
{
	if (by_call) {
		fputs(line, stdout);
		return;
	}
	flockfile(stdout);
	while (*line)
		putc_unlocked(*line++, stdout);
	funlockfile(stdout);
}

static void work(const struct pcap_pkthdr *h, const u_char *data)
{
	bool again = nfshim_reprocessing && nfshim_reprocessing();
	enum play_what what;
	char line[32];
	uint32_t number;
	unsigned flow;

	if (!play_read(data, h->caplen, &flow, &number, &what))
		return;
	if (nfds)
		note(PLAY_TIME, flow, h->ts.tv_sec);
	note(again ? PLAY_CLONE : PLAY_PACKET, flow, number);
	if (again)
		note(PLAY_STAMP, flow, h->ts.tv_sec * INT64_C(1000000) + h->ts.tv_usec);
	if (!again)
		obey(what);
	else if (what == PLAY_STALL)
		stall();
	play_apply(&state[flow], number, what);
	snprintf(line, sizeof(line), "%u %u\n", flow, number);
	if (what == PLAY_JUMP || what == PLAY_THROW)
		jump(what, line);
	if (by_stdio)
		print(line, what == PLAY_CALL);
	else
		put_line(line);
}

static void on_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	(void)user;
	work(h, data);
}

/* ---- input ---- */

static int loop(int cnt)
{
	return pcap_loop(handle, cnt, on_packet, NULL);
}

static int dispatch(int cnt)
{
	return pcap_dispatch(handle, cnt, on_packet, NULL);
}

/* Call @input, which the NF may leave in a packet: then 1. */
static int call(int (*input)(int), int cnt)
{
	int rc;

	if (sigsetjmp(landing, 1) == 0 && leave_catch(input, cnt, &rc))
		return rc;
	landed();
	return 1;
}

/* Until a call gives no packet: a limit and the end of a file are both 0. */
static void read_by_loop(int cnt)
{
	uint32_t before;

	do {
		before = atomic_load(&play->used);
		note(PLAY_RETURN, 0, call(loop, cnt));
	} while (!quit && atomic_load(&play->used) > before + 1);
}

static void read_by_dispatch(int cnt)
{
	int rc;

	do {
		rc = call(dispatch, cnt);
		note(PLAY_RETURN, 0, rc);
	} while (!quit && (rc > 0 || rc == PCAP_ERROR_BREAK));
}

static void read_by_next(int cnt)
{
	struct pcap_pkthdr h;
	const u_char *data;

	if (cnt)
		pcap_dispatch(handle, cnt, on_packet, NULL);
	while (!quit && (data = pcap_next(handle, &h)))
		work(&h, data);
}

static void read_by_next_ex(void)
{
	struct pcap_pkthdr *h;
	const u_char *data;
	int rc;

	while (!quit && (rc = pcap_next_ex(handle, &h, &data)) >= 0)
		if (rc == 1)
			work(h, data);
}

/* After a wait nothing of what was worked on before is under way any more. */
static void waited(int rc)
{
	if (nfshim_reprocessing && nfshim_reprocessing())
		abort();
	note(PLAY_WAITED, 0, rc);
}

static int wait_by_poll(void)
{
	struct pollfd p[2];
	int n = 0, rc;

	for (; n < 2 && handles[n]; n++)
		p[n] = (struct pollfd){.fd = pcap_get_selectable_fd(handles[n]), .events = POLLIN};
	rc = poll(p, (nfds_t)n, -1);
	while (n-- && !p[n].revents)
		;
	waited(rc);
	return n;
}

static int wait_by_select(void)
{
	fd_set r;
	int n, fd, rc, most = 0;

	FD_ZERO(&r);
	for (n = 0; n < 2 && handles[n]; n++) {
		fd = pcap_get_selectable_fd(handles[n]);
		FD_SET(fd, &r);
		most = fd > most ? fd : most;
	}
	rc = select(most + 1, &r, NULL, NULL, NULL);
	while (n-- && !FD_ISSET(pcap_get_selectable_fd(handles[n]), &r))
		;
	waited(rc);
	return n;
}

static int wait_by_epoll(void)
{
	static int epfd = -1;
	struct epoll_event ev;
	int rc;

	if (epfd < 0) {
		epfd = epoll_create1(EPOLL_CLOEXEC);
		for (unsigned i = 0; i < 2 && handles[i]; i++) {
			ev = (struct epoll_event){.events = EPOLLIN, .data.u32 = i};
			epoll_ctl(epfd, EPOLL_CTL_ADD, pcap_get_selectable_fd(handles[i]), &ev);
		}
	}
	ev.data.u32 = 99;
	rc = epoll_wait(epfd, &ev, 1, -1);
	waited(rc);
	return rc < 1 || ev.data.u32 > 1 ? -1 : (int)ev.data.u32;
}

static void read_one(int (*wait)(void))
{
	struct pcap_pkthdr h, *hp = &h;
	const u_char *data = NULL;

	if (wait == wait_by_poll)
		pcap_dispatch(handle, -1, on_packet, NULL);
	else if (wait == wait_by_select)
		data = pcap_next(handle, &h);
	else if (pcap_next_ex(handle, &hp, &data) != 1)
		data = NULL;
	if (data)
		work(hp, data);
}

static void read_after(int (*wait)(void))
{
	char err[PCAP_ERRBUF_SIZE];
	int i;

	for (i = 0; i < 2 && handles[i]; i++)
		pcap_setnonblock(handles[i], 1, err);
	while (!quit) {
		i = wait();
		if (i < 0)
			abort();
		handle = handles[i];
		note(PLAY_READS, 0, i);
		read_one(wait);
	}
}

static void read_in_turns(void)
{
	struct pcap_pkthdr *h;
	const u_char *data;

	for (int i = 0; !quit; i = !i) {
		handle = handles[i];
		note(PLAY_READS, 0, i);
		if (pcap_next_ex(handle, &h, &data) == 1)
			work(h, data);
	}
}

static void set_filter(pcap_t *p)
{
	const char *text = getenv("PLAY_FILTER");
	struct bpf_program prog;

	if (!text)
		return;
	if (pcap_compile(p, &prog, text, 1, PCAP_NETMASK_UNKNOWN) || pcap_setfilter(p, &prog)) {
		fprintf(stderr, "%s: %s\n", text, pcap_geterr(p));
		exit(1);
	}
	pcap_freecode(&prog);
}

static void *read_second(void *unused)
{
	(void)unused;
	handle = handles[1];
	while (call(loop, -1) == 1)
		;
	return NULL;
}

static void join_fanout(pcap_t *p)
{
	int group = getpid() & 0xffff;

	if (setsockopt(pcap_fileno(p), SOL_PACKET, PACKET_FANOUT, &group, sizeof(group)))
		abort();
}

static void filter_second(void)
{
	struct bpf_program prog;

	if (pcap_compile(handles[1], &prog, "not udp", 1, PCAP_NETMASK_UNKNOWN) ||
	    pcap_setfilter(handles[1], &prog))
		abort();
	pcap_freecode(&prog);
}

static void read_by_threads(int cnt)
{
	if (cnt == 2)
		join_fanout(handles[1]);
	by_stdio = cnt == 4;
	lingers = cnt == 5;
	if (cnt == 3)
		filter_second();
	if (cnt != 1)
		begin_second();
	while (call(loop, -1) == 1)
		;
	pthread_join(second, NULL);
}

static int read_socket(int unused)
{
	int n;

	note(PLAY_READS, 0, socket_next(socket_kind, fds, nfds, on_packet, &n));
	if (n)
		note(PLAY_WAITED, 0, n);
	return unused;
}

static void read_sockets(const char *reader)
{
	socket_kind = reader;
	while (!quit)
		call(read_socket, 0);
}

static void open_input(const char *reader, char *where)
{
	char err[PCAP_ERRBUF_SIZE] = "";
	int n = 0;

	if (socket_reader(reader)) {
		for (char *dev = strtok(where + 5, ","); dev && nfds < 2; dev = strtok(NULL, ","))
			fds[nfds++] = socket_open(reader, dev);
		return;
	}
	if (strncmp(where, "live:", 5)) {
		handles[n++] = pcap_open_offline(where, err);
	} else {
		for (char *dev = strtok(where + 5, ","); dev && n < 2; dev = strtok(NULL, ","))
			handles[n++] = pcap_open_live(dev, PLAY_FRAME, 1, 100, err);
	}
	handle = handles[0];
	if (n && handles[n - 1]) {
		while (n)
			set_filter(handles[--n]);
		return;
	}
	fprintf(stderr, "%s: %s\n", where, err);
	exit(1);
}

static void open_diary(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	play = mmap(NULL, sizeof(*play), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || play == MAP_FAILED) {
		perror(path);
		exit(1);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	int cnt;

	if (argc != 5) {
		fprintf(stderr, "usage: engine_nf DIARY READER CNT FILE|live:INTERFACE\n");
		return 2;
	}
	alarm(LONGEST_S); /* a test that failed may leave us behind */
	cnt = atoi(argv[3]);
	open_diary(argv[1]);
	hooks = (struct nfshim_hooks){.size = sizeof(hooks),
				      .api = NFSHIM_API,
				      .name = "engine_nf",
				      .list = list,
				      .has = has,
				      .get = get,
				      .put = put,
				      .del = del,
				      .threads = !strcmp(argv[2], "threads")};
	if (nfshim_register)
		note(PLAY_REGISTERED, 0, nfshim_register(&hooks, NULL));
	signal(SIGUSR1, on_signal);
	open_input(argv[2], argv[4]);
	if (nfds)
		read_sockets(argv[2]);
	else if (!strcmp(argv[2], "loop"))
		read_by_loop(cnt);
	else if (!strcmp(argv[2], "dispatch"))
		read_by_dispatch(cnt);
	else if (!strcmp(argv[2], "next"))
		read_by_next(cnt);
	else if (!strcmp(argv[2], "poll"))
		read_after(wait_by_poll);
	else if (!strcmp(argv[2], "select"))
		read_after(wait_by_select);
	else if (!strcmp(argv[2], "epoll"))
		read_after(wait_by_epoll);
	else if (!strcmp(argv[2], "threads"))
		read_by_threads(cnt);
	else if (!strcmp(argv[2], "turns"))
		read_in_turns();
	else
		read_by_next_ex();
	for (unsigned i = 0; i < PLAY_FLOWS; i++)
		note(PLAY_STATE, i, (int64_t)state[i].hash);
	return 0;
}
