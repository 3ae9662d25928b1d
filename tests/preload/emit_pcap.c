/* SPDX-License-Identifier: BSD-2-Clause */
/* libpcap: capture files, and frames sent on the loopback of a namespace of our own. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "emit.h"

#define ETHERTYPE 0x88b6 /* for local experiments */

static pcap_t *live;
static pcap_dumper_t *dumper;
static int sniff = -1, log_fd;

const unsigned emit_variants = 1;

static void loopback_up(void)
{
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		emit_die("cannot set lo up: %s", strerror(errno));
	close(fd);
}

void emit_setup(unsigned v)
{
	char err[PCAP_ERRBUF_SIZE];

	(void)v;
	if (unshare(CLONE_NEWNET) < 0)
		emit_die("needs root for a network namespace: %s", strerror(errno));
	loopback_up();
	sniff = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, htons(ETHERTYPE));
	live = pcap_open_live("lo", 2000, 0, 10, err);
	if (sniff < 0 || !live)
		emit_die("cannot capture on lo");
	dumper = pcap_dump_open(pcap_open_dead(DLT_EN10MB, 2000), "dump.pcap");
	log_fd = open("sent", O_CREAT | O_WRONLY, 0600);
}

/* Frames that came back in by lo. */
void emit_settle(void)
{
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);
	char buf[2048];
	ssize_t n;

	while ((n = recvfrom(sniff, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len)) > 0)
		if (from.sll_pkttype != PACKET_OUTGOING && write(log_fd, buf, (size_t)n) != n)
			emit_die("cannot write the results");
}

void emit_finish(void)
{
	emit_settle();
	pcap_dump_close(dumper);
	pcap_close(live);
}

static size_t frame(const char *t, u_char *buf)
{
	memset(buf, 0, ETH_HLEN);
	buf[12] = ETHERTYPE >> 8;
	buf[13] = ETHERTYPE & 255;
	memcpy(buf + ETH_HLEN, t, strlen(t));
	return ETH_HLEN + strlen(t);
}

static long do_pcap_inject(const char *t)
{
	u_char buf[256];

	return pcap_inject(live, buf, frame(t, buf));
}

static long do_pcap_sendpacket(const char *t)
{
	u_char buf[256];

	return pcap_sendpacket(live, buf, (int)frame(t, buf));
}

static long do_pcap_dump(const char *t)
{
	struct pcap_pkthdr h = {.caplen = (bpf_u_int32)strlen(t), .len = (bpf_u_int32)strlen(t)};

	pcap_dump((u_char *)dumper, &h, (const u_char *)t);
	return 0;
}

/* An unfinished file may be flushed at any time. */
static long do_pcap_dump_flush(const char *t)
{
	do_pcap_dump(t);
	return pcap_dump_flush(dumper);
}

#define OP(name)                                                                                   \
	{                                                                                          \
#name, do_##name                                                                   \
	}

const struct emit_op emit_ops[] = {
	OP(pcap_inject), OP(pcap_sendpacket), OP(pcap_dump), OP(pcap_dump_flush), {0}};
