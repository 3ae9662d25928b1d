/* SPDX-License-Identifier: BSD-2-Clause */
/* Input of seqhash by packet sockets of its own. */
#ifndef NF_TESTS_SOCKET_INPUT_H
#define NF_TESTS_SOCKET_INPUT_H

#include <pcap/pcap.h>

enum socket_way {
	SOCKET_RECVFROM, /* a timeout of the socket's; times by SIOCGSTAMPNS */
	SOCKET_READ,	 /* the same, by SIOCGSTAMP */
	SOCKET_RECVMMSG, /* batches after poll; times and VLAN tags as control messages */
	SOCKET_DGRAM,	 /* recvmsg after epoll, no Ethernet header */
};

/* A descriptor; -1: told on standard error. */
int socket_open(const char *dev, const char *filter, enum socket_way way);
/* As pcap_dispatch, at most @most packets: how many, 0 for none in time, -1 at an error. */
int socket_read(int fd, enum socket_way way, int most, pcap_handler cb);
void socket_stats(int fd, unsigned *received, unsigned *dropped);

#endif
