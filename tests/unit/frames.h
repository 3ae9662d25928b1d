/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames for the unit tests: from real traces, turned round, or made by hand. */
#ifndef NF_FRAMES_H
#define NF_FRAMES_H

#include <check.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAMES_SKIPPED 77

typedef void frames_fn(void *ctx, const uint8_t *data, size_t len);

/* Folder of the traces: $NFSHIM_SHARED/traces, else beside the sources; NULL if there is none. */
const char *frames_dir(void);

/* Path of a file in that folder, in a static buffer. */
const char *frames_path(const char *file);

/* Call @fn for each packet of the trace @file (captured bytes). Fails the test if unreadable. */
void frames_each(const char *file, frames_fn *fn, void *ctx);

/* Call @fn for each packet of each trace; returns the number of traces. */
unsigned frames_all(frames_fn *fn, void *ctx);

/* Copy @len bytes to a heap block of exactly that size, so that ASan sees any read beyond. */
uint8_t *frames_exact(const uint8_t *data, size_t len);

/* Remove all VLAN tags in place; returns the new length. */
size_t frames_untag(uint8_t *data, size_t len);

/* Where the transport header is and which protocol, of an untagged IP frame; independent of
 * common/flow.c. False if the headers are short, malformed or not IP. */
struct frames_ip {
	size_t at;  /* offset of the transport header */
	size_t end; /* where the IP packet ends in the captured bytes */
	uint8_t proto;
	bool later;	 /* a fragment, not the first */
	bool extensions; /* IPv6 with extension headers */
};
bool frames_ip(const uint8_t *data, size_t len, struct frames_ip *ip);

/* Make the untagged frame one of the opposite direction: addresses, ports, echo type. */
void frames_reverse(uint8_t *data, size_t len);

/* Turn hex text (spaces allowed) into bytes; returns their number. */
size_t frames_hex(const char *hex, uint8_t *out, size_t max);

/* 0, or where there are no traces says so and returns the exit code that ctest shows as skipped. */
int frames_skip(void);

/* Run a suite as the program's main. */
int frames_main(Suite *s);

#endif
