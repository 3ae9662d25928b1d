/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seqhash: an NF that is the strict oracle for moves.
 *
 * Per flow it keeps a counter and an order-dependent hash of the packets, and
 * prints both per packet: "FLOW COUNT HASH". A lost, doubled or reordered
 * update changes every later line of the flow. With --hosts it also keeps a
 * record per host (multi-flow state) with a counter and a hash of its own.
 *
 * With --expire-every-ms it has a timer, as PRADS has: a SIGALRM handler that
 * ends idle flows, "FLOW expired COUNT HASH". Packet times alone decide which
 * flows end, and all end when the input does, so the lines do not depend on
 * when the handler runs; only a timer that touches a moving flow changes them.
 *
 * With --threads two threads read the interface, one of them TCP and the other
 * the rest, each with tables of its own.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <unistd.h>

static void free_later(void *p);
#define uthash_free(p, size) free_later(p)
#include <uthash.h>

#include "evlog.h"
#include "flow.h"
#include "nfshim.h"
#include "socket_input.h"

struct item { /* a flow or a host */
	struct nfshim_flow key;
	uint64_t count, hash;
	int64_t last_us; /* its latest packet */
	size_t slot;	 /* in its table's order of arrival */
	UT_hash_handle hh;
};

struct table {
	struct item *by_key;
	struct item **slots; /* append-only; NULL where one was deleted */
	size_t n, cap;
};

struct blob {
	uint64_t count, hash;
	int64_t last_us;
};

static __thread struct table flows, hosts; /* each packet thread has its own */
static bool with_hosts;
static int64_t idle_us = 60000000;
static __thread int64_t now_us;
static unsigned put_us;		 /* a slow import */
static unsigned expire_every_ms; /* 0: no flow ever ends */
static __thread volatile sig_atomic_t in_packet, sweep_due;
#define HANDLES 2
static pcap_t *handles[HANDLES]; /* the second one: --threads */
static __thread pcap_t *handle;	 /* that this thread reads */
static int sock = -1;		 /* instead of the handles */
static __thread void
	*gone; /* freed by the next packet: the handler may have hit libpcap in malloc */

static struct item *find(struct table *t, const struct nfshim_flow *key)
{
	struct item *i;

	HASH_FIND(hh, t->by_key, key, sizeof(*key), i);
	return i;
}

static struct item *add(struct table *t, const struct nfshim_flow *key)
{
	struct item *i = calloc(1, sizeof(*i));

	if (t->n == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 1024;
		t->slots = realloc(t->slots, t->cap * sizeof(*t->slots));
	}
	if (!i || !t->slots) {
		fprintf(stderr, "seqhash: out of memory\n");
		exit(1);
	}
	i->key = *key;
	i->slot = t->n;
	t->slots[t->n++] = i;
	HASH_ADD(hh, t->by_key, key, sizeof(i->key), i);
	return i;
}

static struct item *get_or_add(struct table *t, const struct nfshim_flow *key)
{
	struct item *i = find(t, key);

	return i ? i : add(t, key);
}

static void free_later(void *p)
{
	*(void **)p = gone;
	gone = p;
}

static void free_gone(void)
{
	while (gone) {
		void *p = gone;

		gone = *(void **)p;
		free(p);
	}
}

static void drop(struct table *t, struct item *i)
{
	t->slots[i->slot] = NULL;
	HASH_DEL(t->by_key, i);
	free_later(i);
}

static uint64_t mix(uint64_t h, uint64_t x)
{
	h = (h ^ x) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 31;
}

static struct nfshim_flow host_key(const struct nfshim_flow *f, int i)
{
	struct nfshim_flow k;

	memset(&k, 0, sizeof(k));
	memcpy(k.addr[0], f->addr[i], sizeof(k.addr[0]));
	k.ethertype = f->ethertype;
	k.kind = NFSHIM_KIND_HOST;
	return k;
}

/* ---- timer ---- */

static void expire(struct item *f)
{
	char text[NF_FLOW_TEXT];

	printf("%s expired %" PRIu64 " %016" PRIx64 "\n",
	       nf_flow_format(&f->key, text, sizeof(text)), f->count, f->hash);
	drop(&flows, f);
}

static void sweep(int64_t idle)
{
	for (size_t i = 0; i < flows.n; i++)
		if (flows.slots[i] && now_us - flows.slots[i]->last_us > idle)
			expire(flows.slots[i]);
}

/* In the handler, unless it hit a packet: what PRADS does, and what shims must expect. */
static void on_alarm(int sig)
{
	(void)sig;
	if (in_packet)
		sweep_due = 1;
	else
		sweep(idle_us);
}

static void timer(unsigned ms)
{
	struct itimerval t = {.it_interval = {ms / 1000, (ms % 1000) * 1000}};

	t.it_value = t.it_interval;
	setitimer(ITIMER_REAL, &t, NULL);
}

/* ---- packets ---- */

static struct item *flow_at(const struct nfshim_flow *key, int64_t us)
{
	struct item *f = get_or_add(&flows, key);

	if (us > now_us)
		now_us = us;
	if (expire_every_ms && f->count && now_us - f->last_us > idle_us) {
		expire(f);
		f = add(&flows, key);
	}
	if (us > f->last_us)
		f->last_us = us;
	return f;
}

static void count_packet(const struct pcap_pkthdr *h, const u_char *data)
{
	uint64_t x = nf_evlog_id(data, h->caplen, h->len);
	char text[NF_FLOW_TEXT];
	struct nfshim_flow key;
	struct item *f;

	nf_flow_parse(data, h->caplen, NULL, &key, NULL);
	f = flow_at(&key, (int64_t)h->ts.tv_sec * 1000000 + h->ts.tv_usec);
	f->count++;
	f->hash = mix(f->hash, x);
	printf("%s %" PRIu64 " %016" PRIx64, nf_flow_format(&key, text, sizeof(text)), f->count,
	       f->hash);
	for (int i = 0; with_hosts && i < 2; i++) {
		struct nfshim_flow hk = host_key(&key, i);
		struct item *host = get_or_add(&hosts, &hk);

		host->count++;
		host->hash = mix(host->hash, x);
		printf(" %" PRIu64 " %016" PRIx64, host->count, host->hash);
	}
	putchar('\n');
}

static void packet(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	(void)user;
	in_packet = 1;
	flockfile(stdout); /* a line is of one thread */
	free_gone();
	count_packet(h, data);
	funlockfile(stdout);
	if (sweep_due) {
		sweep_due = 0;
		sweep(idle_us);
	}
	in_packet = 0;
}

/* ---- hooks ---- */

static struct table *table_of(enum nfshim_scope s)
{
	return s == NFSHIM_PER_FLOW ? &flows : s == NFSHIM_MULTI_FLOW && with_hosts ? &hosts : NULL;
}

static int hook_list(void *nf, enum nfshim_scope s, uint64_t *cursor, unsigned max,
		     nfshim_key_cb cb, void *arg)
{
	struct table *t = table_of(s);

	(void)nf;
	while (t && *cursor < t->n && max--) {
		struct item *i = t->slots[(*cursor)++];

		if (i && cb(arg, &i->key))
			break;
	}
	return t && *cursor < t->n;
}

static bool hook_has(void *nf, enum nfshim_scope s, const struct nfshim_flow *key)
{
	(void)nf;
	return table_of(s) && find(table_of(s), key);
}

static ssize_t hook_get(void *nf, enum nfshim_scope s, const struct nfshim_flow *key, void *buf,
			size_t cap)
{
	struct item *i = table_of(s) ? find(table_of(s), key) : NULL;
	struct blob b;

	(void)nf;
	if (!i)
		return -ENOENT;
	if (cap < sizeof(b))
		return -ENOSPC;
	b = (struct blob){i->count, i->hash, i->last_us};
	memcpy(buf, &b, sizeof(b));
	return sizeof(b);
}

static int hook_put(void *nf, enum nfshim_scope s, const struct nfshim_flow *key, const void *blob,
		    size_t len)
{
	struct item *i;
	struct blob b;

	(void)nf;
	if (!table_of(s) || len != sizeof(b))
		return -EINVAL;
	memcpy(&b, blob, sizeof(b));
	if (put_us)
		usleep(put_us);
	i = get_or_add(table_of(s), key);
	i->count = b.count;
	i->hash = b.hash;
	i->last_us = b.last_us;
	return 0;
}

static int hook_del(void *nf, enum nfshim_scope s, const struct nfshim_flow *key)
{
	struct table *t = table_of(s);
	struct item *i = t ? find(t, key) : NULL;

	(void)nf;
	if (!i)
		return -ENOENT;
	drop(t, i);
	return 0;
}

static unsigned hook_records_of(void *nf, const struct nfshim_flow *f, struct nfshim_flow *keys,
				unsigned max)
{
	(void)nf;
	for (int i = 0; i < 2 && max >= 2; i++)
		keys[i] = host_key(f, i);
	return max >= 2 ? 2 : 0;
}

/* It does not remember the ports of first fragments. */
static void hook_key_of(void *nf, const struct nfshim_packet *pkt, struct nfshim_flow *key)
{
	(void)nf;
	nf_flow_parse(pkt->data, pkt->caplen, NULL, key, NULL);
}

static void register_hooks(void)
{
	static const int sweeps[] = {SIGALRM, 0};
	struct nfshim_hooks h = {
		.size = sizeof(h),
		.api = NFSHIM_API,
		.name = "seqhash",
		.list = hook_list,
		.has = hook_has,
		.get = hook_get,
		.put = hook_put,
		.del = hook_del,
		.key_of = hook_key_of,
		.records_of = with_hosts ? hook_records_of : NULL,
		.sweep_signals = expire_every_ms ? sweeps : NULL,
		.threads = handles[1] != NULL,
	};
	int err = nfshim_register ? nfshim_register(&h, NULL) : 0;

	if (err)
		fprintf(stderr, "seqhash: hooks: %s\n", strerror(-err));
}

/* ---- input ---- */

static volatile sig_atomic_t stopped;

static void stop(int sig)
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

static const struct input *input_of(const char *name)
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
static int read_next(enum read how)
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
		packet(NULL, hp, data);
	return rc;
}

static void read_packets(const struct input *in, int count)
{
	int fd = pcap_get_selectable_fd(handle), rc = 0;
	bool file = pcap_file(handle) != NULL;

	while (!stopped && rc >= 0 && count) {
		if (!file && !readable(in->wait, fd))
			continue;
		if (in->read == BY_DISPATCH)
			rc = pcap_dispatch(handle, count > 0 && count < 64 ? count : 64, packet,
					   NULL);
		else
			rc = read_next(in->read);
		if (rc == 0 && file)
			break;
		if (count > 0 && rc > 0)
			count = rc < count ? count - rc : 0;
	}
}

static void read_socket(const struct input *in, int count)
{
	int rc = 0;

	while (!stopped && rc >= 0 && count) {
		rc = socket_read(sock, (enum socket_way)(in->read - BY_SOCKET),
				 count > 0 ? count : INT_MAX, packet);
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

static void usage(FILE *f)
{
	fprintf(f, "usage: seqhash -i IFACE | -r FILE [-f FILTER] [-c COUNT] [-o FILE] "
		   "[--dispatch] [--hosts]\n"
		   "               [--input loop|dispatch|next|next_ex|select+next|epoll+next_ex|\n"
		   "                socket-recvfrom|socket-read|socket-recvmmsg|socket-dgram, with "
		   "-i]\n"
		   "               [--line-buffered] [--snaplen N] [--expire-every-ms N [--idle-ms "
		   "N]]\n               [--threads] [--put-us N]\n");
}

struct options {
	const char *dev, *file, *filter;
	const struct input *input;
	int snaplen;
	int count;
	bool threads;
};

static int parse(int argc, char **argv, struct options *opt)
{
	static const struct option longs[] = {{"dispatch", no_argument, NULL, 'd'},
					      {"input", required_argument, NULL, 'n'},
					      {"hosts", no_argument, NULL, 'H'},
					      {"line-buffered", no_argument, NULL, 'l'},
					      {"expire-every-ms", required_argument, NULL, 'e'},
					      {"idle-ms", required_argument, NULL, 'I'},
					      {"snaplen", required_argument, NULL, 's'},
					      {"threads", no_argument, NULL, 't'},
					      {"put-us", required_argument, NULL, 'p'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	const char *out = NULL;
	bool lines = false;
	int o;

	while ((o = getopt_long(argc, argv, "i:r:f:c:o:", longs, NULL)) >= 0) {
		switch (o) {
		case 'i':
			opt->dev = optarg;
			break;
		case 'r':
			opt->file = optarg;
			break;
		case 'f':
			opt->filter = optarg;
			break;
		case 'c':
			opt->count = atoi(optarg);
			break;
		case 'o':
			out = optarg;
			break;
		case 'd':
			opt->input = input_of("dispatch");
			break;
		case 'n':
			opt->input = input_of(optarg);
			break;
		case 'H':
			with_hosts = true;
			break;
		case 'l':
			lines = true;
			break;
		case 's':
			opt->snaplen = atoi(optarg);
			break;
		case 't':
			opt->threads = true;
			break;
		case 'p':
			put_us = (unsigned)atoi(optarg);
			break;
		case 'e':
			expire_every_ms = (unsigned)atoi(optarg);
			break;
		case 'I':
			idle_us = atoi(optarg) * (int64_t)1000;
			break;
		default:
			usage(o == 'h' ? stdout : stderr);
			exit(o == 'h' ? 0 : 2);
		}
	}
	if (optind < argc || !opt->dev == !opt->file || !opt->input ||
	    (opt->threads && (!opt->dev || opt->filter || opt->input->read >= BY_SOCKET)) ||
	    (opt->file && opt->input->read >= BY_SOCKET)) {
		usage(stderr);
		return 2;
	}
	if (out && !freopen(out, "w", stdout)) {
		perror(out);
		return 1;
	}
	if (lines)
		setvbuf(stdout, NULL, _IOLBF, 0);
	return 0;
}

static int open_input(const struct options *opt, const char *filter, pcap_t **p)
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

static int open_inputs(const struct options *opt)
{
	if (!opt->threads)
		return open_input(opt, opt->filter, &handles[0]);
	return open_input(opt, "tcp", &handles[0]) || open_input(opt, "not tcp", &handles[1]);
}

static void read_all(const struct options *opt)
{
	if (opt->input->read == BY_LOOP)
		pcap_loop(handle, opt->count, packet, NULL);
	else if (opt->input->read >= BY_SOCKET)
		read_socket(opt->input, opt->count);
	else
		read_packets(opt->input, opt->count);
}

static void *read_second(void *opt)
{
	handle = handles[1];
	read_all(opt);
	return NULL;
}

/* In all captures together: what is said of a run's losses is one line. */
static void report_drops(void)
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

int main(int argc, char **argv)
{
	struct options opt = {.count = -1, .input = &inputs[0], .snaplen = 65535};
	int rc = parse(argc, argv, &opt);
	pthread_t second;

	if (!rc)
		rc = open_inputs(&opt);
	if (rc)
		return rc;
	handle = handles[0];
	register_hooks();
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	if (expire_every_ms) {
		signal(SIGALRM, on_alarm);
		timer(expire_every_ms);
	}
	if (opt.threads && pthread_create(&second, NULL, read_second, &opt))
		return 1;
	read_all(&opt);
	if (opt.threads)
		pthread_join(second, NULL);
	if (expire_every_ms) {
		signal(SIGALRM, SIG_IGN);
		sweep(INT64_MIN);
	}
	fflush(stdout);
	if (opt.dev)
		report_drops();
	for (int i = 0; i < HANDLES && handles[i]; i++)
		pcap_close(handles[i]);
	return 0;
}
