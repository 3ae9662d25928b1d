/* SPDX-License-Identifier: BSD-2-Clause */
/* nfctrld: the controller. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api.h"
#include "config.h"
#include "ctrl.h"
#include "instance.h"
#include "listen.h"
#include "log.h"
#include "move.h"
#include "orphan.h"
#include "pause.h"

static const char usage[] =
	"Usage: nfctrld --config FILE [--dir DIR] [--detach]\n"
	"Controls moves of flows between instances of a network function.\n"
	"\n"
	"  --config FILE  the switch, its ports and the default instance: see nfctrld(8)\n"
	"  --dir DIR      where the sockets are (default $NFSHIM_DIR or /run/nfshim)\n"
	"  --detach       take the rules out of the switch and exit\n"
	"  --help, --version\n";

static const char *dir;

static int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int fail(const char *fmt, ...)
{
	va_list ap;

	fputs("nfctrld: error: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return EXIT_FAILURE;
}

static int wrong_usage(const char *what)
{
	fail("%s; see nfctrld --help", what);
	return NF_CODE_USAGE;
}

static int attach(struct nf_ctrl *c, const char *config)
{
	char err[NF_SWITCH_ERR + 256];
	struct nf_routes l;

	if (nf_config_read(config, &c->conf, err, sizeof(err)))
		return fail("%s", err);
	c->ops = nf_switch_find(c->conf.driver);
	if (!c->ops)
		return fail("%s: there is no switch driver '%s'; known: nft", config,
			    c->conf.driver);
	if (c->ops->attach(&c->conf, &c->sw, err))
		return fail("cannot attach to the switch: %s", err);
	if (c->ops->read_back(c->sw, &l, err))
		return fail("cannot read the switch's routes: %s", err);
	c->gen = c->last_move = c->found_gen = l.gen;
	nf_routes_clear(&l);
	return 0;
}

static int listen_at(char *path, size_t n, const char *name)
{
	int fd;

	if (snprintf(path, n, "%s/%s", dir, name) >= (int)n) {
		fail("the directory '%s' has too long a name", dir);
		return -1;
	}
	fd = nf_listen_at(path);
	if (fd == -EADDRINUSE)
		fail("another nfctrld answers at %s: stop it, or use another --dir", path);
	else if (fd < 0)
		fail("cannot listen at %s: %s", path, strerror(-fd));
	return fd;
}

static int start(struct nf_ctrl *c)
{
	int err = nf_loop_new(&c->loop, 1);

	if (err || nf_instances_init(c))
		return fail("cannot start: %s", strerror(err ? -err : ENOMEM));
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return fail("cannot make %s: %s", dir, strerror(errno));
	c->api_fd = listen_at(c->api_path, sizeof(c->api_path), "nfctl.sock");
	if (c->api_fd < 0)
		return EXIT_FAILURE;
	c->helper_fd = listen_at(c->helper_path, sizeof(c->helper_path), "nfctrld.sock");
	if (c->helper_fd < 0)
		return EXIT_FAILURE;
	err = nf_orphans_init(c);
	if (err)
		return fail("cannot start: %s", strerror(-err));
	nf_instances_listen(c);
	nf_api_listen(c);
	return 0;
}

static void stop_listening(int fd, const char *path)
{
	if (fd < 0)
		return;
	close(fd);
	unlink(path);
}

static void finish(struct nf_ctrl *c)
{
	nf_api_fini(c);
	nf_moves_fini(c);
	nf_instances_fini(c);
	stop_listening(c->helper_fd, c->helper_path);
	stop_listening(c->api_fd, c->api_path);
	nf_loop_free(c->loop);
	if (c->sw)
		c->ops->free(c->sw); /* its rules stay */
}

static int serve(struct nf_ctrl *c)
{
	int rc = start(c);

	if (rc)
		return rc;
	nf_info("nfctrld %s serves %s with switch driver %s", NFSHIM_VERSION, dir, c->ops->name);
	rc = nf_loop_run(c->loop);
	if (rc < 0)
		return fail("the event loop failed: %s", strerror(-rc));
	nf_info("stopped by signal %d; the switch keeps its routes", rc);
	return 0;
}

static int detach(struct nf_ctrl *c)
{
	char err[NF_SWITCH_ERR];

	if (c->ops->detach(c->sw, err))
		return fail("cannot detach from the switch: %s", err);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'}, {"dir", required_argument, NULL, 'd'},
		{"detach", no_argument, NULL, 'x'},	  {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},	  {NULL, 0, NULL, 0},
	};
	struct nf_ctrl c = {.helper_fd = -1, .api_fd = -1};
	const char *config = NULL;
	bool take_away = false;
	int opt, rc;

	dir = getenv("NFSHIM_DIR");
	if (!dir || !*dir)
		dir = "/run/nfshim";
	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (opt) {
		case 'c':
			config = optarg;
			break;
		case 'd':
			dir = optarg;
			break;
		case 'x':
			take_away = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			printf("nfctrld %s\n", NFSHIM_VERSION);
			return 0;
		default:
			return wrong_usage("wrong option");
		}
	}
	if (optind < argc)
		return wrong_usage("it takes options only");
	if (!config)
		return wrong_usage("which switch? Give --config FILE");
	nf_log_init("nfctrld");
	nf_pause_init("ctrl");
	TAILQ_INIT(&c.moves);
	rc = attach(&c, config);
	if (!rc)
		rc = take_away ? detach(&c) : serve(&c);
	finish(&c);
	return rc;
}
