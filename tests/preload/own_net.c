/* SPDX-License-Identifier: BSD-2-Clause */
#include "own_net.h"

#include <net/if.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int own_net(void)
{
	struct sockaddr_ll lo = {.sll_family = AF_PACKET};
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int sender;

	if (unshare(CLONE_NEWNET) < 0) {
		printf("skip: not allowed to make a network namespace\n");
		exit(SKIP);
	}
	sender = socket(AF_PACKET, SOCK_RAW, 0);
	if (sender >= 0 && ioctl(sender, SIOCSIFFLAGS, &r) == 0) {
		lo.sll_ifindex = (int)if_nametoindex("lo");
		if (bind(sender, (struct sockaddr *)&lo, sizeof(lo)) == 0)
			return sender;
	}
	perror("loopback");
	exit(1);
}

void one_cpu(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one) == 0)
		return;
	perror("sched_setaffinity");
	exit(1);
}
