/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Input of the NF by packet sockets of its own. Readers, each with "socket-" before it:
 *
 *   recv, recvfrom, recvmsg, recvmmsg, read   calls that wait
 *   filter   recv, and a filter for IPv4
 *   peek     recv, after MSG_PEEK
 *   one      recv, of one protocol
 *   host     recvfrom of raw(7), UDP to 10.0.1.1
 *   dgram    recvmsg, without Ethernet header
 *   poll, epoll   wait, then recvmsg that does not; of several sockets
 *   ring, bpf, locked, vnet   what cannot be moved
 */
#ifndef NF_TESTS_SOCKET_NF_H
#define NF_TESTS_SOCKET_NF_H

#include <pcap/pcap.h>
#include <stdbool.h>

bool socket_reader(const char *reader);
int socket_open(const char *reader, const char *interface);
/* Waits for a packet of the @n sockets and gives it, or several, to @work. Which socket; what poll
 * or epoll_wait returned, if it was used, else 0. */
int socket_next(const char *reader, const int *fds, int n, pcap_handler work, int *waited);
/* Since it was asked for last; 0 of raw(7). */
unsigned socket_received(int fd);
/* Instructions of the filter that the kernel has. */
unsigned socket_filter(int fd);

#endif
