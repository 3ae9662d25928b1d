/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An NF with threads: the packet thread, not the main one, prints a line per
 * packet at once and hands a copy to a writer, which is woken through a pipe.
 */
#include <pcap/pcap.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct note {
	long sec, usec;
	unsigned char addr[4];
};

static pcap_t *capture;
static FILE *now, *later;
static int wake[2];

static void print(FILE *f, const struct note *n)
{
	fprintf(f, "%ld.%06ld %d.%d.%d.%d\n", n->sec, n->usec, n->addr[0], n->addr[1], n->addr[2],
		n->addr[3]);
	fflush(f);
}

static void on_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	struct note n = {.sec = h->ts.tv_sec, .usec = h->ts.tv_usec};

	(void)user;
	if (h->caplen < 30 || data[12] != 8 || data[13] != 0)
		return;
	memcpy(n.addr, data + 26, sizeof(n.addr));
	print(now, &n);
	if (write(wake[1], &n, sizeof(n)) != sizeof(n))
		abort();
}

static void *read_packets(void *arg)
{
	pcap_loop(capture, -1, on_packet, NULL);
	close(wake[1]);
	return arg;
}

static void *write_notes(void *arg)
{
	struct note n;

	while (read(wake[0], &n, sizeof(n)) == sizeof(n))
		print(later, &n);
	return arg;
}

int main(int argc, char **argv)
{
	char err[PCAP_ERRBUF_SIZE];
	pthread_t reader, writer;

	if (argc != 2 || !(capture = pcap_open_offline(argv[1], err)) || pipe(wake) ||
	    !(now = fopen("now", "w")) || !(later = fopen("later", "w")))
		return 1;
	if (pthread_create(&reader, NULL, read_packets, NULL) ||
	    pthread_create(&writer, NULL, write_notes, NULL))
		return 1;
	pthread_join(reader, NULL);
	pthread_join(writer, NULL);
	pcap_close(capture);
	return fclose(now) || fclose(later);
}
