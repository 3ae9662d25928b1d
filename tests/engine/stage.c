/* SPDX-License-Identifier: BSD-2-Clause */
#include "stage.h"

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 20000
#define TRACE_MAX   1000
#define GOT_MAX	    4096

const char *stage_shim, *stage_nf;
struct play *play;
struct client helper;
struct stage_rec *stage_got;
unsigned stage_ngot;

static char top[64], dir[80];
static pid_t nf; /* 0: ended */
static int nf_status;
static struct nf_msg msg;

static struct {
	unsigned flow;
	enum play_what what;
	bool mark;
} frames[TRACE_MAX];
static unsigned nframes;

static const uint8_t secret[NF_MARK_SECRET] = "0123456789abcdef";

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static const char *path(const char *file)
{
	static char p[4][320];
	static unsigned i;

	i = (i + 1) % 4;
	snprintf(p[i], sizeof(p[i]), "%s/%s", dir, file);
	return p[i];
}

/* ---- before and after ---- */

bool stage_own_net(void)
{
	return geteuid() == 0 && unshare(CLONE_NEWNET) == 0;
}

static const char *base(void)
{
	const char *tmp = getenv("TMPDIR");

	return tmp && strlen(tmp) < 40 ? tmp : "/tmp";
}

void stage_begin(void)
{
	snprintf(top, sizeof(top), "%s/check_engine.XXXXXX", base());
	if (!mkdtemp(top)) {
		perror(top);
		exit(1);
	}
}

static int remove_one(const char *file, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(file);
}

void stage_end(void)
{
	nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void stage_setup(void)
{
	int fd;

	snprintf(dir, sizeof(dir), "%s/XXXXXX", top);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	fd = open(path("diary"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, sizeof(*play)), 0);
	play = mmap(NULL, sizeof(*play), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert(play != MAP_FAILED);
	close(fd);
	stage_got = calloc(GOT_MAX, sizeof(*stage_got));
	ck_assert_ptr_nonnull(stage_got);
}

/* ---- the trace ---- */

static void add(unsigned flow, enum play_what what, bool mark)
{
	ck_assert_uint_lt(nframes, TRACE_MAX);
	frames[nframes].flow = flow;
	frames[nframes].what = what;
	frames[nframes++].mark = mark;
}

void trace(const char *words)
{
	while (*words) {
		if (!strncmp(words, "MARK", 4)) {
			add(0, PLAY_COUNT, true);
			words += 4;
		} else {
			unsigned flow = (unsigned)(*words++ - '0');

			ck_assert_uint_lt(flow, PLAY_FLOWS);
			add(flow, islower(*words) ? (enum play_what) * words++ : PLAY_COUNT, false);
		}
		words += strspn(words, " ");
	}
}

void trace_rounds(unsigned rounds, unsigned flows)
{
	for (unsigned i = 0; i < rounds * flows; i++)
		add(i % flows, PLAY_COUNT, false);
}

unsigned trace_len(void)
{
	return nframes;
}

static void make_frame(uint8_t *frame, unsigned i)
{
	const uint8_t head[] = {2, 0,	 0,    0,   0,	 1,   2,   0, 0, 0, 0,
				2, 0x88, 0xb5, 'N', 'F', 'M', 'K', 1, 0, 0, 0};
	uint64_t move = htobe64(STAGE_MOVE);

	if (!frames[i].mark) {
		play_frame(frame, frames[i].flow, i, frames[i].what);
		return;
	}
	memset(frame, 0, PLAY_FRAME);
	memcpy(frame, head, sizeof(head));
	memcpy(frame + sizeof(head), &move, sizeof(move));
	memcpy(frame + sizeof(head) + sizeof(move), secret, sizeof(secret));
}

static void write_trace(void)
{
	pcap_t *p = pcap_open_dead(DLT_EN10MB, 65535);
	pcap_dumper_t *out = pcap_dump_open(p, path("trace"));
	struct pcap_pkthdr h = {.ts.tv_sec = 1000, .caplen = PLAY_FRAME, .len = PLAY_FRAME};
	uint8_t frame[PLAY_FRAME];

	ck_assert_ptr_nonnull(out);
	for (unsigned i = 0; i < nframes; i++) {
		make_frame(frame, i);
		h.ts.tv_sec++;
		pcap_dump((u_char *)out, &h, frame);
	}
	pcap_dump_close(out);
	pcap_close(p);
}

void frame_send(const char *interface, const uint8_t *frame, size_t len)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_ifindex = (int)if_nametoindex(interface)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(sendto(fd, frame, len, 0, (struct sockaddr *)&to, sizeof(to)), len);
	close(fd);
}

void trace_send_longer(const char *interface, size_t more)
{
	uint8_t frame[PLAY_FRAME + 1000] = {0};

	ck_assert_uint_le(PLAY_FRAME + more, sizeof(frame));
	for (unsigned i = 0; i < nframes; i++) {
		make_frame(frame, i);
		frame_send(interface, frame, PLAY_FRAME + more);
	}
}

void trace_send(const char *interface)
{
	trace_send_longer(interface, 0);
}

/* ---- the NF ---- */

static void touch(const char *file)
{
	int fd = open(path(file), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static const char *pause_file(unsigned packet, const char *suffix)
{
	static char name[64];

	snprintf(name, sizeof(name), "shim.nf.at.%u%s", packet, suffix);
	return name;
}

static void arm_pauses(const char *pauses)
{
	for (char *end; *pauses; pauses = *end ? end + 1 : end)
		touch(pause_file((unsigned)strtoul(pauses, &end, 10), ""));
}

static void redirect(int fd, const char *file)
{
	if (dup2(open(path(file), O_WRONLY | O_CREAT | O_APPEND, 0600), fd) < 0)
		_exit(126);
}

void nf_start(const char *reader, int cnt, const char *pauses, const char *where)
{
	char number[16];

	arm_pauses(pauses);
	if (!where) {
		write_trace();
		where = path("trace");
	}
	snprintf(number, sizeof(number), "%d", cnt);
	nf = fork();
	ck_assert_int_ge(nf, 0);
	if (nf)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails just ends */
	redirect(1, "output");
	redirect(2, "errors");
	setenv("NFSHIM_DIR", dir, 1);
	setenv("NFSHIM_NAME", "nf", 1);
	setenv("NFSHIM_PAUSE_DIR", dir, 1);
	if (*pauses)
		setenv("NFSHIM_PAUSE_AT", pauses, 1);
	setenv("LD_PRELOAD", stage_shim, 1);
	execl(stage_nf, stage_nf, path("diary"), reader, number, where, (char *)NULL);
	_exit(127);
}

/* Why the NF ended, with what it said. */
static void died(int st)
{
	static char said[2000];
	int fd = open(path("errors"), O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, said, sizeof(said) - 1);

	said[n > 0 ? n : 0] = 0;
	ck_abort_msg("the NF ended, %s %d: %s", WIFSIGNALED(st) ? "signal" : "exit code",
		     WIFSIGNALED(st) ? WTERMSIG(st) : WEXITSTATUS(st), said);
}

/* A step of waiting for what must come. When the NF has ended there is one more look. */
static void step(long end, const char *what, unsigned n)
{
	if (!nf)
		died(nf_status);
	if (now_ms() > end)
		ck_abort_msg("%s %u never came", what, n);
	if (waitpid(nf, &nf_status, WNOHANG) == nf)
		nf = 0;
	else
		usleep(500);
}

void nf_reaches(unsigned packet)
{
	long end = now_ms() + PATIENCE_MS;

	while (access(path(pause_file(packet, ".hit")), F_OK) < 0)
		step(end, "the stop at packet", packet);
}

void nf_goes_on(unsigned packet)
{
	nf_reaches(packet);
	ck_assert_int_eq(unlink(path(pause_file(packet, ""))), 0);
}

void nf_waits_in(unsigned packet)
{
	long end = now_ms() + PATIENCE_MS;

	for (;;) {
		for (unsigned i = 0; i < atomic_load(&play->used); i++)
			if (play->diary[i].event == PLAY_PACKET && play->diary[i].n == packet)
				return;
		step(end, "packet", packet);
	}
}

static void wait_for(enum play_event event, unsigned n)
{
	long end = now_ms() + PATIENCE_MS;

	while (diary_count(event) < n)
		step(end, "packet", n);
}

void nf_gets(unsigned packets)
{
	wait_for(PLAY_PACKET, packets);
}

void nf_gets_clones(unsigned clones)
{
	wait_for(PLAY_CLONE, clones);
}

void nf_ends(void)
{
	long end = now_ms() + PATIENCE_MS;

	while (nf && waitpid(nf, &nf_status, WNOHANG) == 0) {
		if (now_ms() > end)
			ck_abort_msg("the NF does not end");
		usleep(500);
	}
	nf = 0;
	if (!WIFEXITED(nf_status) || WEXITSTATUS(nf_status))
		died(nf_status);
}

/* ---- the helper ---- */

/* NULL, or why not. */
static const char *try_link(void)
{
	int err;

	helper.conn = client_connect(dir, "nf", PATIENCE_MS);
	ck_assert_ptr_nonnull(helper.conn);
	err = client_hello(helper.conn, NF_PROTO_VERSION, NF_ROLE_HELPER, "nf", &msg, PATIENCE_MS);
	if (!err && msg.type == NF_MSG_HELLO) {
		ck_assert_int_eq(client_take_rings(&helper), 0);
		return NULL;
	}
	nf_conn_free(helper.conn);
	helper.conn = NULL;
	if (!err && msg.type == NF_MSG_REFUSED)
		return msg.text;
	ck_abort_msg("no answer to the hello: %s", strerror(-err));
	return NULL;
}

/* Until the one before is seen off. */
static const char *link_to_shim(void)
{
	long end = now_ms() + PATIENCE_MS;
	const char *why;

	while ((why = try_link()) && strstr(why, "another nfxfer") && now_ms() < end)
		usleep(5000);
	return why;
}

static void ask(void)
{
	struct nf_msg m = {.type = NF_MSG_ASK};

	ck_assert_int_eq(nf_conn_send(helper.conn, &m), 0);
	ck_assert_int_eq(nf_conn_recv_wait(helper.conn, &msg, PATIENCE_MS), 0);
	ck_assert_int_eq(msg.type, NF_MSG_STATUS);
}

/* The hello is answered a moment before the packet thread can see the rings, a question is not. */
void helper_up(void)
{
	const char *why = link_to_shim();

	if (why)
		ck_abort_msg("refused: %s", why);
	ask();
}

const char *helper_refused(void)
{
	const char *why = link_to_shim();

	if (!why)
		ck_abort_msg("let in");
	return why;
}

/* The service thread rings the doorbell when it has marked the link as down. */
void helper_dies(void)
{
	struct pollfd bell = {.fd = dup(helper.doorbell), .events = POLLIN};
	uint64_t n;

	if (read(bell.fd, &n, sizeof(n)) < 0)
		ck_assert_int_eq(errno, EAGAIN);
	client_close(&helper);
	ck_assert_int_eq(poll(&bell, 1, PATIENCE_MS), 1);
	close(bell.fd);
}

void helper_gone(void)
{
	client_close(&helper);
}

void helper_waits_for_idle(void)
{
	long end = now_ms() + PATIENCE_MS;

	do {
		step(end, "the end of move", STAGE_MOVE);
		ask();
	} while (!msg.status.input || msg.status.side != NF_SIDE_NONE);
}

/* The shim's counter of packets that came in includes those that are held. */
void nf_has_seen(unsigned packets)
{
	long end = now_ms() + PATIENCE_MS;

	do {
		step(end, "packet", packets);
		ask();
	} while (msg.status.packets < packets);
}

/* ---- records to the shim ---- */

struct nf_rec_begin stage_options(void)
{
	struct nf_rec_begin o = {
		.slice_us = 1000000, .hold_packets = 1000, .hold_bytes = 1u << 30, .marks = 1};

	memcpy(o.mark[0], secret, sizeof(secret));
	return o;
}

void send_begin(enum nf_rec_type t, const struct nf_rec_begin *opt)
{
	struct nf_rec_begin usual = stage_options();

	ck_assert_int_eq(client_begin(&helper, t, STAGE_MOVE, "all", opt ? opt : &usual), 0);
}

void send_order(enum nf_rec_type t)
{
	ck_assert_int_eq(client_order(&helper, t, STAGE_MOVE), 0);
}

static uint8_t of_capture; /* that the next records name */

static void send_rec(enum nf_rec_type t, unsigned flow, uint64_t version, const void *payload,
		     size_t n)
{
	struct nf_rec r = {.len = (uint32_t)(sizeof(r) + n),
			   .type = (uint8_t)t,
			   .scope = t == NF_REC_STATE ? 1 : 0,
			   .capture = of_capture,
			   .move = STAGE_MOVE,
			   .version = version,
			   .wirelen = (uint32_t)n,
			   .sec = 5,
			   .flow = play_key(flow)};

	ck_assert_int_eq(client_push(&helper, &r, payload), 0);
}

void send_flow(enum nf_rec_type t, unsigned flow, uint64_t version)
{
	send_rec(t, flow, version, NULL, 0);
}

void send_state(unsigned flow, uint64_t version, uint64_t count)
{
	struct play_state st = {.count = count, .hash = 1000 + flow};

	send_rec(NF_REC_STATE, flow, version, &st, sizeof(st));
}

void send_clone(unsigned flow, uint64_t version, uint32_t number, unsigned named)
{
	uint8_t frame[PLAY_FRAME];

	play_frame(frame, flow, number, PLAY_COUNT);
	send_rec(NF_REC_CLONE, named, version, frame, sizeof(frame));
}

void send_clone_of(unsigned capture, unsigned flow, uint64_t version, uint32_t number)
{
	of_capture = (uint8_t)capture;
	send_clone(flow, version, number, flow);
	of_capture = 0;
}

void send_place(unsigned capture, unsigned flow, uint64_t version, uint64_t seq)
{
	struct nf_rec r = {.len = (uint32_t)(sizeof(r) + sizeof(seq)),
			   .type = NF_REC_CLONE,
			   .flags = NF_REC_WIRE,
			   .capture = (uint8_t)capture,
			   .move = STAGE_MOVE,
			   .version = version,
			   .flow = play_key(flow)};

	ck_assert_int_eq(client_push(&helper, &r, &seq), 0);
}

void send_malformed(void)
{
	struct nf_rec *r = nf_ring_reserve(helper.in, sizeof(*r));
	uint64_t one = 1;

	ck_assert_ptr_nonnull(r);
	memset(r, 0, sizeof(*r));
	r->type = NF_REC_LIST;
	r->len = 5; /* shorter than its header */
	nf_ring_commit(helper.in, r);
	ck_assert_int_eq(write(helper.doorbell, &one, sizeof(one)), sizeof(one));
}

/* ---- records from the shim ---- */

static const struct stage_rec *take(void)
{
	struct stage_rec *g = &stage_got[stage_ngot];
	const uint8_t *payload;
	struct nf_rec hdr;
	int err;

	if (!nf_ring_peek(helper.out, &hdr, &payload, &err)) {
		ck_assert_int_eq(err, 0);
		return NULL;
	}
	ck_assert_uint_lt(stage_ngot, GOT_MAX);
	g->rec = hdr;
	g->payload = calloc(1, nf_rec_payload(&hdr) + 1);
	ck_assert_ptr_nonnull(g->payload);
	memcpy(g->payload, payload, nf_rec_payload(&hdr));
	nf_ring_next(helper.out);
	stage_ngot++;
	return g;
}

const struct stage_rec *expect(enum nf_rec_type t)
{
	long end = now_ms() + PATIENCE_MS;
	const struct stage_rec *g;

	for (;;) {
		g = take();
		if (g && g->rec.type == t)
			return g;
		if (g && g->rec.type == NF_REC_FAILED)
			ck_abort_msg("waiting for %s: %s", nf_rec_name(t), (char *)g->payload);
		if (!g)
			step(end, nf_rec_name(t), STAGE_MOVE);
	}
}

unsigned got_so_far(enum nf_rec_type t)
{
	unsigned n = 0;

	while (take())
		;
	for (unsigned i = 0; i < stage_ngot; i++)
		n += stage_got[i].rec.type == t;
	return n;
}

void expect_failed(const char *words)
{
	const struct stage_rec *g = expect(NF_REC_FAILED);

	if (!strstr((char *)g->payload, words))
		ck_abort_msg("the reason does not say '%s': %s", words, (char *)g->payload);
}

struct nf_rec_stats expect_stats(enum nf_rec_type t)
{
	const struct stage_rec *g = expect(t);
	struct nf_rec_stats s;

	ck_assert_uint_eq(nf_rec_payload(&g->rec), sizeof(s));
	memcpy(&s, g->payload, sizeof(s));
	return s;
}

/* ---- the diary ---- */

int diary_find(enum play_event event, unsigned flow, unsigned from)
{
	unsigned n = atomic_load(&play->used);

	for (unsigned i = from; i < n; i++)
		if (play->diary[i].event == event && play->diary[i].flow == flow)
			return (int)i;
	return -1;
}

unsigned diary_of(enum play_event event, unsigned flow)
{
	unsigned n = 0;

	for (int i = -1; (i = diary_find(event, flow, (unsigned)(i + 1))) >= 0;)
		n++;
	return n;
}

unsigned diary_count(enum play_event event)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PLAY_FLOWS; i++)
		n += diary_of(event, i);
	return n;
}

void all_given(unsigned first, unsigned last)
{
	int64_t before[PLAY_FLOWS];
	unsigned times[TRACE_MAX] = {0};

	for (unsigned i = 0; i < PLAY_FLOWS; i++)
		before[i] = -1;
	for (unsigned i = 0; i < atomic_load(&play->used); i++) {
		const struct play_entry *e = &play->diary[i];

		if (e->event != PLAY_PACKET)
			continue;
		ck_assert_int_lt(e->n, nframes);
		if (e->n <= before[e->flow])
			ck_abort_msg("flow %u: packet %d came behind %d", e->flow, (int)e->n,
				     (int)before[e->flow]);
		before[e->flow] = e->n;
		times[e->n]++;
	}
	for (unsigned i = first; i <= last; i++)
		if (times[i] != !frames[i].mark)
			ck_abort_msg("packet %u was given %u times", i, times[i]);
}

void output_is_whole(void)
{
	FILE *f = fopen(path("output"), "re");
	unsigned flow, number;

	ck_assert_ptr_nonnull(f);
	for (unsigned i = 0; i < atomic_load(&play->used); i++) {
		const struct play_entry *e = &play->diary[i];

		if (e->event != PLAY_PACKET)
			continue;
		ck_assert_int_eq(fscanf(f, "%u %u", &flow, &number), 2);
		ck_assert_uint_eq(flow, e->flow);
		ck_assert_uint_eq(number, e->n);
	}
	ck_assert_int_eq(fscanf(f, "%u", &flow), EOF);
	fclose(f);
}

/* ---- copies ---- */

/* What a destination makes of STATE, CLONE and FIN. */
struct copy {
	bool exported, fin;
	uint64_t version;
	struct play_state state;
};

static void apply_clone(struct copy *c, const struct stage_rec *g)
{
	enum play_what what;
	uint32_t number;
	unsigned flow;

	ck_assert(!c->fin);
	ck_assert_uint_eq(g->rec.version, c->version + 1);
	ck_assert(play_read(g->payload, nf_rec_payload(&g->rec), &flow, &number, &what));
	play_apply(&c->state, number, what);
	c->version++;
}

static void apply(struct copy *copies, const struct stage_rec *g)
{
	int flow = play_flow(&g->rec.flow);
	struct copy *c = &copies[flow < 0 ? 0 : flow];

	switch (g->rec.type) {
	case NF_REC_STATE:
		ck_assert(!c->exported && c->version == 0);
		c->exported = true;
		c->version = g->rec.version;
		memcpy(&c->state, g->payload, sizeof(c->state));
		break;
	case NF_REC_CLONE:
		apply_clone(c, g);
		break;
	case NF_REC_FIN:
		ck_assert(!c->fin);
		c->fin = true;
		if (g->rec.version != c->version)
			ck_abort_msg("flow %d: FIN of version %d, but the last update was %d", flow,
				     (int)g->rec.version, (int)c->version);
		break;
	}
}

void copies_are_exact(unsigned flows)
{
	struct copy copies[PLAY_FLOWS] = {0};

	for (unsigned i = 0; i < stage_ngot; i++)
		apply(copies, &stage_got[i]);
	for (unsigned i = 0; i < flows; i++) {
		int at = diary_find(PLAY_DEL, i, 0);

		ck_assert_msg(copies[i].fin, "no FIN for flow %u", i);
		ck_assert_msg((at >= 0) == (copies[i].state.count != 0),
			      "flow %u: state on one side only", i);
		if (at >= 0)
			ck_assert_uint_eq((uint64_t)play->diary[at].n, copies[i].state.hash);
	}
}
