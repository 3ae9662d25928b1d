/* SPDX-License-Identifier: BSD-2-Clause */
/* The NF's capture handles and the input call that is running. */
#ifndef NF_IN_PCAP_H
#define NF_IN_PCAP_H

#include <pcap/pcap.h>
#include <stdbool.h>

#include "engine.h"

#define NF_CAPTURES 16 /* handles of an NF that are known at once */

struct nf_capture {
	const pcap_t *handle; /* NULL: free slot */
	int fd;		      /* selectable, -1 for a file */
	bool has_filter;
	struct bpf_program own; /* the NF's filter as it gave it */
	unsigned marks;		/* MARK-like and tagged frames kept from the NF */
	bool tags;		/* its filter lets tagged frames through */
	int asked;		/* snaplen that the NF asked for, 0: unknown */
};

/* The input call of this thread, NULL outside. */
extern __thread struct nf_sink *nf_sink_now __attribute__((tls_model("initial-exec")));

extern __thread bool nf_opening __attribute__((tls_model("initial-exec"))); /* in pcap_open_live */

struct nf_capture *nf_capture_find(const pcap_t *p, bool add);
bool nf_capture_fd(int fd);	     /* is it one of the NF's capture descriptors? */
bool nf_capture_readable(pcap_t *p); /* without waiting */
bool nf_is_packet_thread(void);

#endif
