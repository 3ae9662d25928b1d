/* SPDX-License-Identifier: BSD-2-Clause */
/* nfxfer: options and wiring. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl_link.h"
#include "inject.h"
#include "listener.h"
#include "log.h"
#include "pause.h"
#include "shim_link.h"
#include "xfer.h"

#define EXPECT_US 200000u
#define FEW	  8  /* records found: a look less often would do */
#define MANY	  32 /* … more often */
#define PACE_MAX  1000u
#define PATH_LEN  256

struct options {
	const char *name, *dir, *listen, *ctrl, *inject_dev, *inject_netns;
};

static const char usage[] =
	"Usage: nfxfer --name NAME [--dir DIR] [--listen ADDRESS:PORT] [--ctrl PATH]\n"
	"              [--inject-dev DEV [--inject-netns NS]]\n"
	"Helper of one network function that runs under libnfshim: carries its flows to and\n"
	"from other helpers as nfctrld orders. Runs in the foreground.\n"
	"\n"
	"  --name NAME       instance to serve, as in its NFSHIM_NAME\n"
	"  --dir DIR         directory of the sockets (default: $NFSHIM_DIR or /run/nfshim)\n"
	"  --listen ADDRESS  where other helpers dial in (default 127.0.0.1:0, any free port)\n"
	"  --ctrl PATH       socket of nfctrld (default DIR/nfctrld.sock)\n"
	"  --inject-dev DEV  where clones of moves with --inject veth are sent: vethP2Pin of\n"
	"                    veth-bridge.sh; needs CAP_NET_RAW\n"
	"  --inject-netns NS DEV is in this namespace of ip-netns(8); needs CAP_SYS_ADMIN\n"
	"  --help, --version\n";

void nf_xfer_turn(struct nf_xfer *x)
{
	uint64_t us;

	nf_xmove_pump(x);
	nf_shim_flush(x->shim);
	us = nf_xmove_pace(x);
	if (us > x->want_us)
		us = x->want_us;
	if (us == x->poll_us)
		return;
	x->poll_us = us;
	nf_timer_set(x->poll, us, us);
}

void nf_xfer_expect(struct nf_xfer *x)
{
	x->fast_until_us = nf_loop_now_us() + EXPECT_US;
	x->want_us = NF_XFER_PACE_MIN;
}

static void on_poll(void *arg)
{
	struct nf_xfer *x = arg;
	unsigned found = nf_shim_poll(x->shim);

	if (found >= MANY)
		x->want_us = x->want_us / 2 > NF_XFER_PACE_MIN ? x->want_us / 2 : NF_XFER_PACE_MIN;
	else if (found < FEW && x->want_us < PACE_MAX)
		x->want_us += x->want_us / 4;
	nf_xfer_turn(x);
}

static void on_tick(void *arg)
{
	struct nf_xfer *x = arg;

	nf_shim_tick(x->shim);
	nf_ctrl_tick(x->ctrl);
	nf_listener_tick(x->listener);
	nf_shim_poll(x->shim);
	nf_xmove_tick(x);
	nf_xfer_turn(x);
}

/* ---- options ---- */

static bool name_ok(const char *s)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789._-";

	return *s && strlen(s) < NF_NAME_MAX && strspn(s, good) == strlen(s);
}

/* Returns an exit code, or -1 to go on. */
static int parse(int argc, char **argv, struct options *o)
{
	static const struct option table[] = {{"name", required_argument, NULL, 'n'},
					      {"dir", required_argument, NULL, 'd'},
					      {"listen", required_argument, NULL, 'l'},
					      {"ctrl", required_argument, NULL, 'c'},
					      {"inject-dev", required_argument, NULL, 'i'},
					      {"inject-netns", required_argument, NULL, 'N'},
					      {"help", no_argument, NULL, 'h'},
					      {"version", no_argument, NULL, 'V'},
					      {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (c) {
		case 'n':
			o->name = optarg;
			break;
		case 'd':
			o->dir = optarg;
			break;
		case 'l':
			o->listen = optarg;
			break;
		case 'c':
			o->ctrl = optarg;
			break;
		case 'i':
			o->inject_dev = optarg;
			break;
		case 'N':
			o->inject_netns = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			puts("nfxfer " NFSHIM_VERSION);
			return 0;
		default:
			fputs("nfxfer: see nfxfer --help\n", stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "nfxfer: '%s' is not an option; see nfxfer --help\n", argv[optind]);
		return 2;
	}
	if (!o->name || !name_ok(o->name)) {
		fprintf(stderr,
			"nfxfer: give the instance's name with --name: up to %d letters, "
			"digits, '.', '_' and '-'\n",
			NF_NAME_MAX - 1);
		return 2;
	}
	if (o->inject_netns && !o->inject_dev) {
		fputs("nfxfer: --inject-netns goes with --inject-dev\n", stderr);
		return 2;
	}
	return -1;
}

/* ---- wiring ---- */

static int links(struct nf_xfer *x, const struct options *o, char *why, size_t n)
{
	char shim[PATH_LEN], ctrl[PATH_LEN];
	int err;

	if (snprintf(shim, sizeof(shim), "%s/%s.sock", o->dir, x->name) >= (int)sizeof(shim) ||
	    snprintf(ctrl, sizeof(ctrl), "%s%s", o->ctrl ? o->ctrl : o->dir,
		     o->ctrl ? "" : "/nfctrld.sock") >= (int)sizeof(ctrl)) {
		snprintf(why, n, "the socket's path is too long; use a shorter --dir or --ctrl");
		return -ENAMETOOLONG;
	}
	err = nf_listener_new(x, o->listen, &x->listener, why, n);
	if (err)
		return err;
	err = nf_ctrl_new(x, ctrl, nf_listener_addr(x->listener), &x->ctrl);
	if (!err)
		err = nf_shim_new(x, shim, &x->shim);
	if (err)
		snprintf(why, n,
			 "cannot use the sockets %.200s and %.200s: %s; use a shorter --dir or "
			 "--ctrl",
			 shim, ctrl, strerror(-err));
	return err;
}

static int init(struct nf_xfer *x, const struct options *o, char *why, size_t n)
{
	int err;

	strcpy(x->name, o->name);
	x->want_us = NF_XFER_PACE_MIN;
	snprintf(why, n, "cannot start: out of memory or descriptors");
	err = nf_loop_new(&x->loop, 1);
	if (err)
		return err;
	x->poll = nf_timer_new(x->loop, on_poll, x);
	x->tick = nf_timer_new(x->loop, on_tick, x);
	if (!x->poll || !x->tick)
		return -errno;
	err = o->inject_dev ? nf_inject_new(x, o->inject_dev, o->inject_netns, &x->inject, why, n)
			    : 0;
	if (!err)
		err = links(x, o, why, n);
	if (!err)
		nf_timer_set(x->tick, 1, NF_XFER_TICK_US);
	return err;
}

static void fini(struct nf_xfer *x)
{
	if (x->loop)
		nf_xmove_stop(x);
	nf_stream_finish_all();
	nf_ctrl_free(x->ctrl);
	nf_shim_free(x->shim);
	nf_listener_free(x->listener);
	nf_inject_free(x->inject);
	nf_loop_free(x->loop);
}

int main(int argc, char **argv)
{
	const char *env = getenv("NFSHIM_DIR");
	struct options o = {.dir = env && *env ? env : "/run/nfshim", .listen = "127.0.0.1:0"};
	static char who[NF_NAME_MAX + 16], pause_name[NF_NAME_MAX + 8];
	static struct nf_xfer x;
	char why[512];
	int rc = parse(argc, argv, &o);

	if (rc >= 0)
		return rc;
	snprintf(who, sizeof(who), "nfxfer[%s]", o.name);
	nf_log_init(who);
	snprintf(pause_name, sizeof(pause_name), "xfer.%s", o.name);
	nf_pause_init(pause_name);
	rc = init(&x, &o, why, sizeof(why));
	if (rc)
		nf_err("%s", why);
	else
		nf_info("serving %s; other helpers reach it at %s", o.name,
			nf_listener_addr(x.listener));
	if (!rc)
		rc = nf_loop_run(x.loop);
	if (rc >= 0)
		nf_info("stopped by %s", rc > 0 ? strsignal(rc) : "itself");
	fini(&x);
	return rc < 0;
}
