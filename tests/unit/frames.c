/* SPDX-License-Identifier: BSD-2-Clause */
#include "frames.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned be16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

const char *frames_dir(void)
{
	static char dir[4096];
	const char *shared = getenv("NFSHIM_SHARED");

	snprintf(dir, sizeof(dir), "%s/traces", shared && *shared ? shared : NFSHIM_SHARED);
	return access(dir, R_OK | X_OK) ? NULL : dir;
}

const char *frames_path(const char *file)
{
	static char path[8192];

	snprintf(path, sizeof(path), "%s/%s", frames_dir(), file);
	return path;
}

void frames_each(const char *file, frames_fn *fn, void *ctx)
{
	char err[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_open_offline(frames_path(file), err);
	struct pcap_pkthdr *h;
	const u_char *data;

	ck_assert_msg(p != NULL, "%s: %s", file, err);
	ck_assert_int_eq(pcap_datalink(p), DLT_EN10MB);
	while (pcap_next_ex(p, &h, &data) == 1)
		fn(ctx, data, h->caplen);
	pcap_close(p);
}

static int is_trace(const struct dirent *d)
{
	return strstr(d->d_name, ".pcap") != NULL;
}

unsigned frames_all(frames_fn *fn, void *ctx)
{
	struct dirent **names;
	int n = scandir(frames_dir(), &names, is_trace, alphasort);

	ck_assert_int_gt(n, 0);
	for (int i = 0; i < n; i++) {
		frames_each(names[i]->d_name, fn, ctx);
		free(names[i]);
	}
	free(names);
	return (unsigned)n;
}

uint8_t *frames_exact(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len);

	ck_assert(copy != NULL || !len);
	if (len)
		memcpy(copy, data, len);
	return copy;
}

size_t frames_untag(uint8_t *data, size_t len)
{
	while (len >= 18 && (be16(data + 12) == 0x8100 || be16(data + 12) == 0x88a8 ||
			     be16(data + 12) == 0x9100)) {
		memmove(data + 12, data + 16, len - 16);
		len -= 4;
	}
	return len;
}

static bool ip4(const uint8_t *data, size_t len, struct frames_ip *ip)
{
	size_t head, total;

	if (len < 34 || data[14] >> 4 != 4 || (data[14] & 15) < 5)
		return false;
	head = (data[14] & 15) * 4u;
	total = be16(data + 16);
	if (14 + head > len || (total && total < head))
		return false;
	ip->at = 14 + head;
	ip->end = total && 14 + total < len ? 14 + total : len;
	ip->proto = data[23];
	ip->later = be16(data + 20) & 0x1fff;
	return true;
}

static bool ip6(const uint8_t *data, size_t len, struct frames_ip *ip)
{
	if (len < 54 || data[14] >> 4 != 6)
		return false;
	ip->at = 54;
	ip->end = len;
	ip->proto = data[20];
	while (ip->proto == 0 || ip->proto == 43 || ip->proto == 44 || ip->proto == 51 ||
	       ip->proto == 60) {
		const uint8_t *h = data + ip->at;
		uint8_t proto = ip->proto;

		if (ip->at + 8 > len)
			return false;
		ip->extensions = true;
		ip->proto = h[0];
		ip->at += proto == 44 ? 8 : proto == 51 ? (h[1] + 2u) * 4 : (h[1] + 1u) * 8;
		if (proto == 44 && be16(h + 2) >> 3) {
			ip->later = true;
			break;
		}
	}
	return ip->at <= len;
}

bool frames_ip(const uint8_t *data, size_t len, struct frames_ip *ip)
{
	memset(ip, 0, sizeof(*ip));
	if (len < 14)
		return false;
	if (be16(data + 12) == 0x0800)
		return ip4(data, len, ip);
	return be16(data + 12) == 0x86dd && ip6(data, len, ip);
}

static void swap(uint8_t *a, uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t t = a[i];

		a[i] = b[i];
		b[i] = t;
	}
}

static void reverse_transport(uint8_t *data, const struct frames_ip *ip)
{
	uint8_t *p = data + ip->at;

	if (ip->later || ip->at + 4 > ip->end)
		return;
	if (ip->proto == 6 || ip->proto == 17 || ip->proto == 132)
		swap(p, p + 2, 2);
	else if (ip->proto == 1 && (p[0] == 0 || p[0] == 8))
		p[0] ^= 8;
	else if (ip->proto == 58 && (p[0] == 128 || p[0] == 129))
		p[0] ^= 1;
}

void frames_reverse(uint8_t *data, size_t len)
{
	struct frames_ip ip;

	if (len < 14)
		return;
	swap(data, data + 6, 6);
	if (be16(data + 12) == 0x0806 && len >= 42)
		swap(data + 28, data + 38, 4);
	if (be16(data + 12) == 0x0800 && len >= 34)
		swap(data + 26, data + 30, 4);
	if (be16(data + 12) == 0x86dd && len >= 54)
		swap(data + 22, data + 38, 16);
	if (frames_ip(data, len, &ip))
		reverse_transport(data, &ip);
}

size_t frames_hex(const char *hex, uint8_t *out, size_t max)
{
	size_t n = 0;
	unsigned byte;
	int used;

	while (sscanf(hex, " %2x%n", &byte, &used) == 1) {
		ck_assert_uint_lt(n, max);
		out[n++] = (uint8_t)byte;
		hex += used;
	}
	return n;
}

int frames_skip(void)
{
	if (frames_dir())
		return 0;
	printf("SKIPPED: no folder of traces: set NFSHIM_SHARED\n");
	return FRAMES_SKIPPED;
}

int frames_main(Suite *s)
{
	SRunner *r = srunner_create(s);
	int failed;

	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
