/* SPDX-License-Identifier: BSD-2-Clause */
/* The NF's capture handles and the input call that is running. */
#ifndef NF_IN_PCAP_H
#define NF_IN_PCAP_H

#include <pcap/pcap.h>
#include <stdbool.h>

#include "engine.h"

#define NF_CAPTURES 16 /* handles of an NF that are known at once */

struct nf_capture {
	_Atomic(const void *)
		handle;		  /* pcap_t or, of a packet socket, struct nf_socket; NULL: free */
	_Atomic int fd;		  /* selectable, -1 for a file */
	struct nf_socket *socket; /* NULL: libpcap's; in_socket.h */
	const char *unfit;	  /* why packets of this socket could not be moved, or NULL */
	_Atomic int linktype;	  /* -1: not active yet */
	struct nf_thread *_Atomic owner; /* the packet thread that reads it */
	_Atomic bool elsewhere;		 /* another thread does, too */
	_Atomic bool inside;		 /* read inside a packet callback */
	bool has_filter;
	bool reruns;		/* the filter can be run here, too */
	struct bpf_program own; /* the NF's filter as it gave it */
	unsigned marks;		/* MARK-like and tagged frames kept from the NF */
	bool tags;		/* its filter lets tagged frames through */
	int asked;		/* snaplen that the NF asked for, 0: unknown */
	/* What pcap_next returned last. */
	struct pcap_pkthdr next_header;
	u_char *next_data;
	uint32_t next_room;
};

/* The input call of this thread, NULL outside. */
extern __thread struct nf_sink *nf_sink_now __attribute__((tls_model("initial-exec")));

extern __thread bool nf_opening __attribute__((tls_model("initial-exec"))); /* in pcap_open_live */
extern __thread int nf_activating __attribute__((tls_model("initial-exec"))); /* in libpcap */

struct nf_capture *nf_capture_find(const pcap_t *p, bool add);
struct nf_capture *nf_capture_add(const void *handle); /* NULL: too many */
/* Captures are numbered in the order in which they were opened; the number of none is NF_CAPTURES.
 */
unsigned nf_capture_number(const struct nf_capture *c);
struct nf_capture *nf_capture_at(unsigned number); /* NULL: not open */
/* A sentence why packets of some capture could not be moved, or NULL. */
const char *nf_capture_unfit(void);
/* The same, of what the kernel is to do with this thread's; system calls. */
const char *nf_capture_fanned(void);
/* Does a capture of this thread take such a packet? True as well if that is not known. */
bool nf_capture_takes(const struct nf_capture *c, const struct pcap_pkthdr *h, const u_char *data);
void nf_capture_disown(void);	     /* this thread ends */
bool nf_capture_live(void);	     /* is one of them not a file? */
uint64_t nf_capture_drops(void);     /* by the kernel, this thread's; system calls */
bool nf_capture_fd(int fd);	     /* is it one of the NF's capture descriptors? */
bool nf_capture_mine(int fd);	     /* ... that no other packet thread reads? */
bool nf_capture_readable(pcap_t *p); /* without waiting */
bool nf_is_packet_thread(void);

/* An input call, from its beginning to its end. The NF may also leave it by a longjmp, which glibc
 * tells of, or by an exception, which passes the sink. */
#define NF_SINK __attribute__((cleanup(nf_input_unwound))) struct nf_sink
void nf_input_unwound(struct nf_sink *s);
/* @s: zero, but for the kind of call. */
bool nf_input_ours(pcap_t *p); /* or another thread's, or one inside libpcap */
/* A wait for a capture begins the input too, where hooks do not ask for the callback first. */
bool nf_input_begin(int fd); /* @fd: the capture's */
void nf_input_enter(struct nf_sink *s, pcap_t *p, int cnt, pcap_handler cb, u_char *user);
/* The same of a sink that is filled in. */
void nf_input_enter_sink(struct nf_sink *s, const void *handle);
/* The callback that libpcap is given; @arg is the sink. */
void nf_input_packet(u_char *arg, const struct pcap_pkthdr *h, const u_char *data);
/* @ended: the input brings nothing any more. Returns @rc, errno as it was. */
int nf_input_leave(struct nf_sink *s, int rc, bool ended);

#endif
