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
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "seqhash_input.h"
#include "seqhash_state.h"

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

static int parse(int argc, char **argv, struct input_options *opt)
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
			state_options.hosts = true;
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
			state_options.put_us = (unsigned)atoi(optarg);
			break;
		case 'e':
			state_options.expire_every_ms = (unsigned)atoi(optarg);
			break;
		case 'I':
			state_options.idle_us = atoi(optarg) * (int64_t)1000;
			break;
		default:
			usage(o == 'h' ? stdout : stderr);
			exit(o == 'h' ? 0 : 2);
		}
	}
	if (optind < argc || !input_fits(opt)) {
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

int main(int argc, char **argv)
{
	struct input_options opt = {.count = -1, .input = input_of("loop"), .snaplen = 65535};
	int rc = parse(argc, argv, &opt);

	if (!rc)
		rc = input_open(&opt);
	if (rc)
		return rc;
	state_register(opt.threads);
	signal(SIGTERM, input_stop);
	signal(SIGINT, input_stop);
	state_start_timer();
	rc = input_read(&opt, state_packet);
	state_end();
	fflush(stdout);
	if (opt.dev)
		input_report_drops();
	input_close();
	return rc;
}
