/* SPDX-License-Identifier: BSD-2-Clause */
#include "seqhash_input.h"

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "socket_input.h"

#define HANDLES 2

static pcap_t *handles[HANDLES]; /* the second one: two threads */
static __thread pcap_t *handle;	 /* that this thread reads */
static int sock = -1;		 /* instead of the handles */
static volatile sig_atomic_t stopped;

void input_stop(int sig)
{
	(void)sig;
	stopped = 1;
	for (int i = 0; i < HANDLES && handles[i]; i++)
		pcap_breakloop(handles[i]);
}

enum wait { NO_WAIT, BY_POLL, BY_SELECT, BY_EPOLL };
enum read { BY_LOOP, BY_DISPATCH, BY_NEXT, BY_NEXT_EX, BY_SOCKET /* and an enum socket_way */ };

static const struct input {
	const char *name;
	enum wait wait;
	enum read read;
} inputs[] = {
	{"loop", NO_WAIT, BY_LOOP},
	{"dispatch", BY_POLL, BY_DISPATCH},
	{"next", NO_WAIT, BY_NEXT},
	{"next_ex", NO_WAIT, BY_NEXT_EX},
	{"select+next", BY_SELECT, BY_NEXT},
	{"epoll+next_ex", BY_EPOLL, BY_NEXT_EX},
	{"socket-recvfrom", NO_WAIT, BY_SOCKET + SOCKET_RECVFROM},
	{"socket-read", NO_WAIT, BY_SOCKET + SOCKET_READ},
	{"socket-recvmmsg", NO_WAIT, BY_SOCKET + SOCKET_RECVMMSG},
	{"socket-dgram", NO_WAIT, BY_SOCKET + SOCKET_DGRAM},
};

const struct input *input_of(const char *name)
{
	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
		if (!strcmp(inputs[i].name, name))
			return &inputs[i];
	return NULL;
}

static bool select_readable(int fd)
{
	struct timeval t = {.tv_usec = 200000};
	fd_set r;

	FD_ZERO(&r);
	FD_SET(fd, &r);
	return select(fd + 1, &r, NULL, NULL, &t) > 0 && FD_ISSET(fd, &r);
}

static bool epoll_readable(int fd)
{
	static int epfd = -1;
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	if (epfd < 0) {
		epfd = epoll_create1(EPOLL_CLOEXEC);
		epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev);
	}
	ev.data.fd = -1;
	return epoll_wait(epfd, &ev, 1, 200) > 0 && ev.data.fd == fd;
}

static bool readable(enum wait wait, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	switch (wait) {
	case BY_POLL:
		return poll(&p, 1, 200) > 0;
	case BY_SELECT:
		return select_readable(fd);
	case BY_EPOLL:
		return epoll_readable(fd);
	default:
		return true;
	}
}

/* As pcap_dispatch: packets, 0 for none, negative at the end. */
static int read_next(enum read how, pcap_handler cb)
{
	struct pcap_pkthdr h, *hp = &h;
	const u_char *data;
	int rc;

	if (how == BY_NEXT) {
		data = pcap_next(handle, &h);
		rc = data ? 1 : pcap_file(handle) ? PCAP_ERROR_BREAK : 0;
	} else {
		rc = pcap_next_ex(handle, &hp, &data);
	}
	if (rc == 1)
		cb(NULL, hp, data);
	return rc;
}

static void read_packets(const struct input *in, int count, pcap_handler cb)
{
	int fd = pcap_get_selectable_fd(handle), rc = 0;
	bool file = pcap_file(handle) != NULL;

	while (!stopped && rc >= 0 && count) {
		if (!file && !readable(in->wait, fd))
			continue;
		if (in->read == BY_DISPATCH)
			rc = pcap_dispatch(handle, count > 0 && count < 64 ? count : 64, cb, NULL);
		else
			rc = read_next(in->read, cb);
		if (rc == 0 && file)
			break;
		if (count > 0 && rc > 0)
			count = rc < count ? count - rc : 0;
	}
}

static void read_socket(const struct input *in, int count, pcap_handler cb)
{
	int rc = 0;

	while (!stopped && rc >= 0 && count) {
		rc = socket_read(sock, (enum socket_way)(in->read - BY_SOCKET),
				 count > 0 ? count : INT_MAX, cb);
		if (count > 0 && rc > 0)
			count -= rc;
	}
}

static pcap_t *open_live(const char *dev, int snaplen, char *err)
{
	pcap_t *p = pcap_create(dev, err);

	if (!p)
		return NULL;
	pcap_set_snaplen(p, snaplen);
	pcap_set_promisc(p, 1);
	pcap_set_timeout(p, 10);
	pcap_set_buffer_size(p, 16 << 20);
	if (pcap_activate(p) < 0) {
		snprintf(err, PCAP_ERRBUF_SIZE, "%s", pcap_geterr(p));
		pcap_close(p);
		return NULL;
	}
	return p;
}

static int open_input(const struct input_options *opt, const char *filter, pcap_t **p)
{
	char err[PCAP_ERRBUF_SIZE] = "";
	struct bpf_program prog;

	if (opt->input->read >= BY_SOCKET) {
		sock = socket_open(opt->dev, filter,
				   (enum socket_way)(opt->input->read - BY_SOCKET));
		return sock < 0;
	}
	*p = opt->dev ? open_live(opt->dev, opt->snaplen, err) : pcap_open_offline(opt->file, err);
	if (!*p) {
		fprintf(stderr, "seqhash: %s\n", err);
		return 1;
	}
	if (!filter)
		return 0;
	if (pcap_compile(*p, &prog, filter, 1, PCAP_NETMASK_UNKNOWN) < 0 ||
	    pcap_setfilter(*p, &prog) < 0) {
		fprintf(stderr, "seqhash: %s\n", pcap_geterr(*p));
		return 1;
	}
	pcap_freecode(&prog);
	return 0;
}

int input_open(const struct input_options *opt)
{
	if (!opt->threads)
		return open_input(opt, opt->filter, &handles[0]);
	return open_input(opt, "tcp", &handles[0]) || open_input(opt, "not tcp", &handles[1]);
}

bool input_fits(const struct input_options *opt)
{
	bool by_socket = opt->input && opt->input->read >= BY_SOCKET;

	if (!opt->input || !opt->dev == !opt->file || (opt->file && by_socket))
		return false;
	return !opt->threads || (opt->dev && !opt->filter && !by_socket);
}

static void read_all(const struct input_options *opt, pcap_handler cb)
{
	if (opt->input->read == BY_LOOP)
		pcap_loop(handle, opt->count, cb, NULL);
	else if (opt->input->read >= BY_SOCKET)
		read_socket(opt->input, opt->count, cb);
	else
		read_packets(opt->input, opt->count, cb);
}

struct second {
	const struct input_options *opt;
	pcap_handler cb;
};

static void *read_second(void *arg)
{
	const struct second *s = arg;

	handle = handles[1];
	read_all(s->opt, s->cb);
	return NULL;
}

int input_read(const struct input_options *opt, pcap_handler cb)
{
	struct second s = {opt, cb};
	pthread_t second;

	handle = handles[0];
	if (opt->threads && pthread_create(&second, NULL, read_second, &s))
		return 1;
	read_all(opt, cb);
	if (opt->threads)
		pthread_join(second, NULL);
	return 0;
}

/* In all captures together: what is said of a run's losses is one line. */
void input_report_drops(void)
{
	struct pcap_stat st, sum = {0};

	if (sock >= 0)
		socket_stats(sock, &sum.ps_recv, &sum.ps_drop);
	for (int i = 0; i < HANDLES && handles[i]; i++) {
		if (pcap_stats(handles[i], &st))
			return;
		sum.ps_recv += st.ps_recv;
		sum.ps_drop += st.ps_drop;
		sum.ps_ifdrop += st.ps_ifdrop;
	}
	fprintf(stderr, "seqhash: received %u dropped %u ifdropped %u\n", sum.ps_recv, sum.ps_drop,
		sum.ps_ifdrop);
}

void input_close(void)
{
	for (int i = 0; i < HANDLES && handles[i]; i++)
		pcap_close(handles[i]);
}
