/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Input by packet sockets, without libpcap: a capture of in_pcap.h that is a
 * descriptor. To the engine every packet is an Ethernet frame with the VLAN tag
 * in its place, as libpcap has it; the NF gets what its kind of socket gives.
 *
 *   in_socket.c         which descriptors they are (of raw(7), too)
 *   in_socket_option.c  what the NF asks of them and is told
 *   in_socket_filter.c  MARK passes their filters
 *   in_socket_mark.c    MARK comes beside sockets of one protocol
 *   in_socket_packet.c  messages of the kernel and the NF, and frames
 *   in_socket_recv.c    input calls
 */
#ifndef NF_IN_SOCKET_H
#define NF_IN_SOCKET_H

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "in_pcap.h"

#define NF_SOCKET_FDS	  4096 /* descriptors from here on are not looked at */
#define NF_SOCKET_CONTROL 512

struct nf_socket_packet {
	struct pcap_pkthdr h; /* of the frame, in nanoseconds */
	u_char *data;	      /* the frame, in room */
	bool tag;	      /* in the frame, but not in the NF's packet */
	bool fresh;	      /* the kernel gave it just now, with what follows */
	union {
		struct sockaddr_ll from;
		struct sockaddr_in from_host;
	};
	size_t controllen;
	unsigned char control[NF_SOCKET_CONTROL];
	u_char *room;
};

struct nf_socket {
	int family;	       /* AF_PACKET; AF_INET, for SOCK_RAW only */
	int type;	       /* SOCK_RAW, SOCK_DGRAM */
	bool used;	       /* it was read */
	int bound;	       /* to the interface of that number, 0: to all */
	int index;	       /* of an interface that packets come from */
	unsigned protocol;     /* 0: not bound yet */
	bool ring;	       /* the NF has a ring of its own */
	struct sock_fprog own; /* the NF's filter; without instructions: none */
	bool prefixed;	       /* the kernel has it behind an accept for MARK */
	unsigned marks;	       /* kept from the NF since it asked for statistics */
	bool peeked;	       /* given by MSG_PEEK: the next call gives it again */
	bool ours;	       /* given is what the NF got last, not something else since */
	struct nf_socket_packet in, given;
};

/* in_socket.c */
extern _Atomic unsigned char nf_socket_kinds[NF_SOCKET_FDS]; /* 0: unknown */
#define NF_SOCKET_NOT	  1
#define NF_SOCKET_CAPTURE 2		    /* and its number */
struct nf_capture *nf_socket_ask(int fd);   /* the kernel, of one that is unknown */
void nf_socket_learn(struct nf_capture *c); /* what the NF has made of it */
void nf_socket_closed(int first, int last); /* descriptors that may be other ones from now on */
uint64_t nf_socket_drops(const struct nf_capture *c);
/* Does the NF read its packets from it? One beside libpcap's captures may be there to send. */
bool nf_socket_is_input(const struct nf_capture *c);
bool nf_socket_any_input(void);

/* The capture that @fd is, as far as is known; NULL: none. */
static inline struct nf_capture *nf_socket_known(int fd)
{
	unsigned char kind;

	if ((unsigned)fd >= NF_SOCKET_FDS)
		return NULL;
	kind = atomic_load_explicit(&nf_socket_kinds[fd], memory_order_relaxed);
	return kind < NF_SOCKET_CAPTURE ? NULL : nf_capture_at(kind - NF_SOCKET_CAPTURE);
}

/* The capture whose packet the NF has peeked at and not taken yet. */
extern struct nf_capture *nf_socket_peeked;

/* in_socket_filter.c */
void nf_socket_keep_filter(struct nf_socket *k, int fd); /* the kernel's, as the NF's own */
int nf_socket_prefix(struct nf_socket *k, int fd);
/* A move needs MARK, or not any more. 0 or -errno. */
int nf_socket_mark_passes(bool on);
extern bool nf_socket_marks_pass;

/* in_socket_mark.c */
/* What the NF is given has no Ethernet header. */
static inline bool nf_socket_headless(const struct nf_socket *k)
{
	return k->type == SOCK_DGRAM || k->family == AF_INET;
}

static inline bool nf_socket_takes_one(const struct nf_socket *k)
{
	return k->protocol && k->protocol != ETH_P_ALL;
}
int nf_socket_mark_beside(void); /* a move needs it; 0 or -errno */
void nf_socket_no_mark_beside(void);
/* The capture that a MARK has come beside, which does not hold yet; NULL: none. */
struct nf_capture *nf_socket_look_beside(void);
bool nf_socket_is_behind_mark(const struct pcap_pkthdr *h); /* is a packet of that capture? */
void nf_socket_mark_holds(void);

/* in_socket_packet.c */
int nf_socket_room(struct nf_socket *k);
void nf_socket_free(struct nf_socket *k);
/* One message into k->in, as @flags say. 0 or -1 and errno. */
int nf_socket_get(struct nf_socket *k, int fd, int flags);
/* k->given as the NF's message; what recvmsg() returns. */
ssize_t nf_socket_put(struct nf_socket *k, int fd, struct msghdr *m, int flags);

#endif
