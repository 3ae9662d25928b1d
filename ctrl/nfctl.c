/* SPDX-License-Identifier: BSD-2-Clause */
/* nfctl: one request to nfctrld, one answer. */
#include "nfctl.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctrl.h"

static const char usage[] =
	"Usage: nfctl [--dir DIR] [--json] COMMAND\n"
	"Moves live flows between instances of a network function.\n"
	"\n"
	"  instances             the instances and whether they can take part in a move\n"
	"  flows NAME [SPACE]    the live flows of an instance\n"
	"  move SRC DST SPACE    move the flows of SPACE from SRC to DST\n"
	"      --wait                wait until the move is done\n"
	"      --deadline MS         longest no-drop phase before the route (2000)\n"
	"      --linger MS           how long SRC keeps what it moved away (2000)\n"
	"      --buffer-packets N --buffer-bytes N   clones that may wait for DST\n"
	"      --hold-packets N --hold-bytes N       packets DST may hold\n"
	"      --reserve-bytes N     spill of the no-drop phase\n"
	"      --slice-us US --slice-flows N         work between two packets at SRC\n"
	"      --guarantee ordered|loss-free|none    what the move promises\n"
	"      --inject ring|veth    how DST gets clones: shared memory, or a veth bridge\n"
	"  moves                 all moves\n"
	"  show ID               one move in full\n"
	"  abort ID              abort a move whose route is not set yet\n"
	"  routes                the switch's routes and counters\n"
	"  stats [NAME]          output calls of reprocessed packets, and what was dropped\n"
	"  policy [FILE]         the built-in output policy, or FILE checked\n"
	"\n"
	"SPACE: tcp|udp|icmp|icmp6|sctp|proto N, ip|ip6, [src|dst] host|net|port X,\n"
	"and, or, parentheses; or 'all'. Exit status: 0 done, 1 aborted or failed,\n"
	"2 usage, 3 refused (nothing changed), 4 nfctrld not reachable.\n";

struct args {
	const char *dir, *cmd;
	json_t *req;
};

static bool json_wanted;

static int fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int fail(int code, const char *fmt, ...)
{
	char text[2048];
	va_list ap;
	json_t *o;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!json_wanted) {
		fprintf(stderr, "nfctl: error: %s\n", text);
		return code;
	}
	o = json_pack("{s:b,s:i,s:s}", "ok", 0, "code", code, "error", text);
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
	return code;
}

/* ---- the command line ---- */

static const struct option longs[] = {
	{"dir", required_argument, NULL, 'd'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{"wait", no_argument, NULL, 'w'},
	{"deadline", required_argument, NULL, 1},
	{"linger", required_argument, NULL, 1},
	{"buffer-packets", required_argument, NULL, 1},
	{"buffer-bytes", required_argument, NULL, 1},
	{"hold-packets", required_argument, NULL, 1},
	{"hold-bytes", required_argument, NULL, 1},
	{"reserve-bytes", required_argument, NULL, 1},
	{"slice-us", required_argument, NULL, 1},
	{"slice-flows", required_argument, NULL, 1},
	{"inject", required_argument, NULL, 'i'},
	{"guarantee", required_argument, NULL, 'i'},
	{NULL, 0, NULL, 0},
};

static int take_number(json_t *options, const char *name, const char *v)
{
	char key[32], *end;
	long long n;

	snprintf(key, sizeof(key), "%s%s", name,
		 strcmp(name, "deadline") && strcmp(name, "linger") ? "" : "_ms");
	for (char *c = key; *c; c++)
		if (*c == '-')
			*c = '_';
	errno = 0;
	n = strtoll(v, &end, 10);
	if (!*v || *end || errno || n < 0)
		return fail(NF_CODE_USAGE, "--%s takes a number, not '%s'", name, v);
	json_object_set_new(options, key, json_integer(n));
	return 0;
}

static json_t *joined(char **word, int n)
{
	size_t len = 1;
	json_t *out;
	char *text;

	for (int i = 0; i < n; i++)
		len += strlen(word[i]) + 1;
	text = calloc(1, len);
	for (int i = 0; text && i < n; i++) {
		strcat(text, i ? " " : "");
		strcat(text, word[i]);
	}
	out = json_string(text);
	free(text);
	return out;
}

static int need(bool ok, const char *cmd, const char *what)
{
	return ok ? 0 : fail(NF_CODE_USAGE, "'nfctl %s' takes %s; see 'nfctl --help'", cmd, what);
}

static int take_space(struct args *a, char **word, int n)
{
	json_t *space = joined(word, n);

	if (!space)
		return fail(NF_CODE_REFUSED, "the flow space is not text");
	json_object_set_new(a->req, "space", space);
	return 0;
}

static int take_words(struct args *a, char **word, int n)
{
	const char *cmd = a->cmd;
	char *end;

	if (!strcmp(cmd, "instances") || !strcmp(cmd, "moves") || !strcmp(cmd, "routes"))
		return need(!n, cmd, "no arguments");
	if (!strcmp(cmd, "show") || !strcmp(cmd, "abort")) {
		long long id = n == 1 ? strtoll(word[0], &end, 10) : 0;

		json_object_set_new(a->req, "id", json_integer(id));
		return need(n == 1 && !*end && id > 0, cmd, "the number of a move");
	}
	if (!strcmp(cmd, "stats") || !strcmp(cmd, "policy")) {
		if (n == 1 && json_object_set_new(a->req, "name", json_string(word[0])))
			return fail(NF_CODE_REFUSED, "the name is not text");
		return need(n <= 1, cmd, *cmd == 's' ? "at most one instance" : "at most one file");
	}
	if (!strcmp(cmd, "flows")) {
		if (need(n >= 1, cmd, "the name of an instance"))
			return NF_CODE_USAGE;
		json_object_set_new(a->req, "name", json_string(word[0]));
		return n > 1 ? take_space(a, word + 1, n - 1) : 0;
	}
	if (!strcmp(cmd, "move")) {
		if (need(n >= 3, cmd, "source, destination and flow space"))
			return NF_CODE_USAGE;
		json_object_set_new(a->req, "src", json_string(word[0]));
		json_object_set_new(a->req, "dst", json_string(word[1]));
		return take_space(a, word + 2, n - 2);
	}
	return fail(NF_CODE_USAGE, "there is no command '%s'; see 'nfctl --help'", cmd);
}

/* Errors of the command line follow --json too, wherever it stands. */
static void look_for_json(int argc, char **argv)
{
	int opt;

	/* "-": argv stays in its order. */
	while ((opt = getopt_long(argc, argv, "-:", longs, NULL)) != -1)
		json_wanted |= opt == 'j';
	optind = 0; /* from the start again */
}

/* -1: go on; else the exit code. */
static int parse(int argc, char **argv, struct args *a)
{
	json_t *options = json_object();
	int opt, at = 0, rc;

	json_object_set_new(a->req, "options", options);
	look_for_json(argc, argv);
	while ((opt = getopt_long(argc, argv, ":", longs, &at)) != -1) {
		switch (opt) {
		case 'd':
			a->dir = optarg;
			break;
		case 'j':
			break;
		case 'w':
			json_object_set_new(a->req, "wait", json_true());
			break;
		case 1:
			rc = take_number(options, longs[at].name, optarg);
			if (rc)
				return rc;
			break;
		case 'i':
			json_object_set_new(options, longs[at].name, json_string(optarg));
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			printf("nfctl %s\n", NFSHIM_VERSION);
			return 0;
		case ':':
			return fail(NF_CODE_USAGE, "'%s' takes a value; see 'nfctl --help'",
				    argv[optind - 1]);
		default:
			return fail(NF_CODE_USAGE,
				    "there is no option '%s', or it takes no value; "
				    "see 'nfctl --help'",
				    argv[optind - 1]);
		}
	}
	if (optind == argc && json_wanted)
		return fail(NF_CODE_USAGE, "no command; see 'nfctl --help'");
	if (optind == argc) {
		fputs(usage, stderr);
		return NF_CODE_USAGE;
	}
	a->cmd = argv[optind];
	if (strcmp(a->cmd, "move") &&
	    (json_object_size(options) || json_object_get(a->req, "wait")))
		return fail(NF_CODE_USAGE, "'nfctl %s' takes no options of a move", a->cmd);
	json_object_set_new(a->req, "cmd", json_string(a->cmd));
	rc = take_words(a, argv + optind + 1, argc - optind - 1);
	return rc ? rc : -1;
}

/* ---- the talk ---- */

/* The output policy: nfctrld has no part in it. */
static int policy(const char *file)
{
	char err[1024];
	json_t *o = nfctl_policy(file, err, sizeof(err));

	if (!o)
		return fail(NF_CODE_USAGE, "%s", err);
	if (json_wanted) {
		json_object_set_new(o, "ok", json_true());
		json_object_set_new(o, "code", json_integer(NF_CODE_DONE));
		json_dumpf(o, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		nfctl_print("policy", o);
	}
	json_decref(o);
	return NF_CODE_DONE;
}

static FILE *dial(const char *dir)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FILE *f = NULL;

	if (snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/nfctl.sock", dir) >=
	    (int)sizeof(sa.sun_path))
		errno = ENAMETOOLONG;
	else if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		f = fdopen(fd, "r+");
	if (!f && fd >= 0) {
		int err = errno;

		close(fd);
		errno = err;
	}
	return f;
}

static int on_result(const struct args *a, json_t *o)
{
	int code = (int)json_integer_value(json_object_get(o, "code"));
	const char *error = json_string_value(json_object_get(o, "error"));

	nfctl_print_end();
	json_object_del(o, "event");
	if (json_wanted) {
		json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
		putchar('\n');
	} else if (error) {
		fail(code, "%s", error);
	} else {
		nfctl_print(a->cmd, o);
	}
	return code;
}

/* -1: more is to come. */
static int on_line(const struct args *a, const char *line)
{
	json_t *o = json_loads(line, 0, NULL);
	const char *event = json_string_value(json_object_get(o, "event"));
	int rc = -1;

	if (!event)
		rc = fail(NF_CODE_UNREACHABLE, "nfctrld answers what nfctl does not understand");
	else if (!strcmp(event, "result"))
		rc = on_result(a, o);
	else if (!strcmp(event, "accepted") && !json_wanted)
		nfctl_print_accepted(o);
	else if (!strcmp(event, "progress") && !json_wanted)
		nfctl_print_progress(o);
	json_decref(o);
	return rc;
}

static int talk(const struct args *a)
{
	FILE *f = dial(a->dir);
	char *line = NULL;
	size_t cap = 0;
	int rc = -1;

	if (!f)
		return fail(NF_CODE_UNREACHABLE,
			    "no nfctrld answers at %s/nfctl.sock: %s; start it, "
			    "or say where it is with --dir",
			    a->dir, strerror(errno));
	json_dumpf(a->req, f, JSON_COMPACT);
	fputc('\n', f);
	if (fflush(f) == 0)
		while (rc < 0 && getline(&line, &cap, f) > 0)
			rc = on_line(a, line);
	nfctl_print_end();
	if (rc < 0)
		rc = fail(NF_CODE_UNREACHABLE, "nfctrld went away before it answered");
	free(line);
	fclose(f);
	return rc;
}

int main(int argc, char **argv)
{
	struct args a = {.req = json_object()};
	int rc;

	signal(SIGPIPE, SIG_IGN); /* a controller that goes away is told about */
	a.dir = getenv("NFSHIM_DIR");
	if (!a.dir || !*a.dir)
		a.dir = "/run/nfshim";
	rc = parse(argc, argv, &a);
	if (rc < 0)
		rc = strcmp(a.cmd, "policy")
			     ? talk(&a)
			     : policy(json_string_value(json_object_get(a.req, "name")));
	json_decref(a.req);
	return rc;
}
