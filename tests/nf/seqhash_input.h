/* SPDX-License-Identifier: BSD-2-Clause */
/* The ways in which seqhash reads packets. */
#ifndef NF_TESTS_SEQHASH_INPUT_H
#define NF_TESTS_SEQHASH_INPUT_H

#include <pcap/pcap.h>
#include <stdbool.h>

struct input; /* a way */

struct input_options {
	const char *dev, *file, *filter; /* one of the first two */
	const struct input *input;
	int snaplen;
	int count;    /* packets, then it ends; negative: all */
	bool threads; /* two, one for TCP */
};

const struct input *input_of(const char *name); /* NULL: there is none */
bool input_fits(const struct input_options *opt);
int input_open(const struct input_options *opt); /* 0, or 1: told on standard error */
/* All packets, until the end or a signal: 0, or 1. */
int input_read(const struct input_options *opt, pcap_handler cb);
void input_stop(int sig); /* a signal handler */
void input_report_drops(void);
void input_close(void);

#endif
