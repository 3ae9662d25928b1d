/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The trace of dropped output ($NFSHIM_TRACE_DROPS): a line for each dropped
 * call, for a person who asks why a line is missing. docs/man/libnfshim.7 has
 * its form.
 */
#ifndef NF_TRACE_H
#define NF_TRACE_H

#include <pcap/pcap.h>
#include <stdbool.h>
#include <stddef.h>

#include "outputs.h"

#define NF_TRACE_TEXT 64 /* bytes of a call's text that are written down */

extern bool nf_trace_on;

/* From the constructor: append to @file. 0 or -errno. */
int nf_trace_init(const char *file);

/* All in the thread of the window: the packet that is reprocessed next … */
void nf_trace_packet(const struct pcap_pkthdr *h, const u_char *data, bool nanosec);
/* … what a call that is to be dropped is for, @name borrowed until … */
void nf_trace_fd(int fd); /* -1: no descriptor */
void nf_trace_name(const char *name);
/* … it is dropped. At @data, unless NULL, are the first NF_TRACE_TEXT of @n bytes, or all. */
void nf_trace_drop(enum nf_fn fn, const void *data, size_t n);

#endif
