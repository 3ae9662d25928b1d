/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 20000

static char dir[64], log_path[96];
static pid_t ctrl_pid;

const char *ctrl_dir(void)
{
	return dir;
}

static void write_config(const char *path)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs("[switch]\ndriver = record\ninput = in0, in1\ndefault = ids1\n"
	      "[port ids1]\ndev = p1\n[port ids2]\ndev = p2\n[port ids3]\ndev = p3\n",
	      f);
	fclose(f);
}

static int dial(const char *name)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%.60s/%s", dir, name);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	close(fd);
	return -1;
}

void ctrl_start(void)
{
	char config[128];
	int fd = -1;

	strcpy(dir, "/tmp/nfctrl-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(config, sizeof(config), "%s/config", dir);
	snprintf(log_path, sizeof(log_path), "%s/switch.log", dir);
	write_config(config);
	setenv("NF_TEST_SWITCH", log_path, 1);
	ctrl_pid = fork();
	if (!ctrl_pid) {
		execl(getenv("NFCTRLD_TEST"), "nfctrld", "--config", config, "--dir", dir, NULL);
		_exit(127);
	}
	for (int i = 0; i < PATIENCE_MS / 10 && fd < 0; i++) {
		usleep(10000);
		fd = dial("nfctrld.sock");
	}
	ck_assert_msg(fd >= 0, "nfctrld did not come up");
	close(fd);
}

int ctrl_signal(int sig)
{
	char cmd[128];
	int st = 0;

	kill(ctrl_pid, sig);
	ck_assert_int_eq(waitpid(ctrl_pid, &st, 0), ctrl_pid);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
	return st;
}

void ctrl_stop(void)
{
	int st = ctrl_signal(SIGTERM);

	ck_assert_msg(WIFEXITED(st) && WEXITSTATUS(st) == 0, "nfctrld: wait status %#x",
		      (unsigned)st);
}

/* ---- the switch ---- */

static char *switch_log(void)
{
	static char buf[1 << 20];
	FILE *f = fopen(log_path, "r");
	size_t n = f ? fread(buf, 1, sizeof(buf) - 1, f) : 0;

	buf[n] = 0;
	if (f)
		fclose(f);
	return buf;
}

unsigned switch_count(const char *word)
{
	size_t len = strlen(word);
	unsigned n = 0;

	for (char *at = switch_log(); *at; at++) {
		n += !strncmp(at, word, len);
		at = strchr(at, '\n');
		if (!at)
			break;
	}
	return n;
}

bool switch_has(const char *text)
{
	return strstr(switch_log(), text) != NULL;
}

void switch_fail(bool on)
{
	char path[128];

	snprintf(path, sizeof(path), "%s.fail", log_path);
	if (on)
		close(open(path, O_CREAT | O_WRONLY, 0600));
	else
		unlink(path);
}

/* ---- helpers ---- */

static void send_msg(struct fake *f, const struct nf_msg *m)
{
	int err = nf_conn_send(f->c, m);

	while (!err && nf_conn_unsent(f->c)) {
		usleep(1000);
		err = nf_conn_flush(f->c);
	}
	ck_assert_msg(!err || err == -EPIPE, "send: %s", strerror(-err));
}

bool fake_hello(struct fake *f, const char *name, uint32_t version)
{
	struct nf_msg m = {
		.type = NF_MSG_HELLO,
		.hello = {.version = version, .role = NF_ROLE_HELPER, .listen = "127.0.0.1:4711"}};

	f->name = name;
	strcpy(m.hello.name, name);
	f->c = nf_conn_new(dial("nfctrld.sock"));
	send_msg(f, &m);
	ck_assert_int_eq(nf_conn_recv_wait(f->c, &m, PATIENCE_MS), 0);
	if (m.type == NF_MSG_HELLO) {
		ck_assert_int_eq(m.hello.role, NF_ROLE_CONTROLLER);
		return true;
	}
	ck_assert_int_eq(m.type, NF_MSG_REFUSED);
	fake_close(f);
	return false;
}

void fake_status(struct fake *f, const char *provider, uint32_t pid, const char *reason,
		 uint64_t move, enum nf_side side, enum nf_phase phase)
{
	struct nf_msg m = {.type = NF_MSG_STATUS,
			   .status = {.pid = pid,
				      .input = 1,
				      .move = move,
				      .side = side,
				      .phase = phase,
				      .program = "fake"}};

	strcpy(m.status.name, f->name);
	strcpy(m.status.provider, provider);
	strcpy(m.status.reason, reason);
	send_msg(f, &m);
}

void fake_join(struct fake *f, const char *name)
{
	json_t *o;
	bool ready = false;

	ck_assert(fake_hello(f, name, NF_PROTO_VERSION));
	fake_status(f, "fake 1", 4242, "", 0, NF_SIDE_NONE, NF_PHASE_IDLE);
	for (int i = 0; i < 200 && !ready; i++) {
		json_t *a, *one;
		size_t k;

		ck_assert_int_eq(ctl_run("instances", &o), 0);
		a = json_object_get(o, "instances");
		json_array_foreach(a, k, one) ready |= !strcmp(jstr(one, "name"), name) &&
						       json_is_true(json_object_get(one, "ready"));
		json_decref(o);
	}
	ck_assert(ready);
}

void fake_close(struct fake *f)
{
	nf_conn_free(f->c);
	f->c = NULL;
}

void fake_next(struct fake *f, struct nf_msg *m)
{
	do {
		int err = nf_conn_recv_wait(f->c, m, PATIENCE_MS);

		ck_assert_msg(err == 0, "%s waits for a message: %s", f->name, strerror(-err));
	} while (m->type == NF_MSG_ASK);
}

void fake_expect(struct fake *f, enum nf_rec_type order)
{
	struct nf_msg m;

	fake_next(f, &m);
	ck_assert_int_eq(m.type, NF_MSG_ORDER);
	ck_assert_msg(m.order.what == order, "%s: %s instead of %s", f->name,
		      nf_rec_name(m.order.what), nf_rec_name(order));
	f->move = m.order.move;
}

void fake_expect_begin(struct fake *f, struct nf_msg_begin *out)
{
	struct nf_msg m;

	fake_next(f, &m);
	ck_assert_int_eq(m.type, NF_MSG_BEGIN);
	f->move = m.begin.move;
	if (out)
		*out = m.begin;
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool fake_quiet(struct fake *f, int ms)
{
	long end = now_ms() + ms;
	struct nf_msg m;

	do
		if (nf_conn_recv_wait(f->c, &m, ms) == 0 && m.type != NF_MSG_ASK)
			return false;
	while (now_ms() < end);
	return true;
}

void fake_event(struct fake *f, const struct nf_msg_event *e)
{
	struct nf_msg m = {.type = NF_MSG_EVENT};

	m.event = *e;
	send_msg(f, &m);
}

void fake_say_stats(struct fake *f, enum nf_rec_type ack, const struct nf_rec_stats *s)
{
	struct nf_msg_event e = {.move = f->move, .rec = ack};

	if (s)
		e.stats = *s;
	fake_event(f, &e);
}

void fake_say(struct fake *f, enum nf_rec_type ack)
{
	fake_say_stats(f, ack, NULL);
}

void fake_trouble(struct fake *f, enum nf_event what, const char *text)
{
	struct nf_msg_event e = {.move = f->move, .what = what};

	strcpy(e.text, text);
	fake_event(f, &e);
}

void fake_failed(struct fake *f, int err, const char *text)
{
	struct nf_msg_event e = {.move = f->move, .rec = NF_REC_FAILED, .version = (uint64_t)err};

	strcpy(e.text, text);
	fake_event(f, &e);
}

/* ---- nfctl ---- */

struct ctl ctl_start(const char *words)
{
	static unsigned count;
	char copy[4096], *argv[32] = {"nfctl", "--json", "--dir", dir}, *at;
	int n = 4;
	struct ctl t;

	snprintf(copy, sizeof(copy), "%s", words);
	for (at = copy; at && n < 31; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
		argv[n++] = at;
	for (at = copy; *at; at++)
		if (*at == '|')
			*at = 0;
	snprintf(t.out, sizeof(t.out), "%s/out.%u", dir, ++count);
	t.pid = fork();
	if (!t.pid) {
		dup2(open(t.out, O_CREAT | O_WRONLY | O_TRUNC, 0600), 1);
		execv(getenv("NFCTL"), argv);
		_exit(127);
	}
	return t;
}

int ctl_wait(struct ctl *t, json_t **out)
{
	int st = 0;
	json_t *o;

	ck_assert_int_eq(waitpid(t->pid, &st, 0), t->pid);
	o = json_load_file(t->out, 0, NULL);
	if (out)
		*out = o;
	else
		json_decref(o);
	ck_assert_msg(WIFEXITED(st), "nfctl: wait status %#x", (unsigned)st);
	return WEXITSTATUS(st);
}

int ctl_run(const char *words, json_t **out)
{
	struct ctl t = ctl_start(words);

	return ctl_wait(&t, out);
}

void ctl_refused(const char *words, int code, const char *text)
{
	json_t *o;
	int rc = ctl_run(words, &o);

	ck_assert_msg(rc == code, "'%s': exit code %d, not %d", words, rc, code);
	ck_assert_msg(strstr(jstr(o, "error"), text) != NULL, "'%s': '%s' lacks '%s'", words,
		      jstr(o, "error"), text);
	ck_assert(json_is_false(json_object_get(o, "ok")));
	ck_assert_int_eq(jnum(o, "code"), code);
	json_decref(o);
}

const char *jstr(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

long long jnum(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}
