/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace_packet.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void set_addr(const uint8_t *data, struct trace_packet *p, unsigned src, unsigned dst)
{
	size_t n = p->family == 4 ? 4 : 16;

	p->src = (uint16_t)src;
	p->dst = (uint16_t)dst;
	memset(p->a, 0, sizeof(p->a));
	p->a[0].family = p->a[1].family = p->family;
	memcpy(p->a[0].b, data + src, n);
	memcpy(p->a[1].b, data + dst, n);
}

static unsigned checksum_offset(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
		return 6;
	case IPPROTO_ICMPV6:
		return 2;
	default:
		return 0; /* none, or one that does not cover addresses */
	}
}

static void parse_l4(const uint8_t *data, uint32_t caplen, struct trace_packet *p, unsigned l4)
{
	unsigned sum = checksum_offset(p->proto);

	p->l4 = (uint16_t)l4;
	if (p->fragment)
		return;
	if ((p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP) && l4 + 4 <= caplen) {
		p->has_ports = true;
		memcpy(p->port, data + l4, 4);
	}
	if (sum && l4 + sum + 2 <= caplen)
		p->sum = (uint16_t)(l4 + sum);
}

static bool parse_ip4(const uint8_t *data, uint32_t caplen, struct trace_packet *p, unsigned l3)
{
	unsigned ihl, total, frag;

	if (l3 + 20 > caplen || data[l3] >> 4 != 4)
		return false;
	ihl = (data[l3] & 15u) * 4;
	total = get16(data + l3 + 2);
	frag = get16(data + l3 + 6);
	p->family = 4;
	p->l3 = (uint16_t)l3;
	p->proto = data[l3 + 9];
	p->fragment = (frag & 0x1fff) != 0;
	set_addr(data, p, l3 + 12, l3 + 16);
	if (!(frag & 0x3fff) && total > ihl)
		p->l4_len = (uint16_t)(total - ihl);
	parse_l4(data, caplen, p, l3 + ihl);
	return true;
}

static bool is_extension(uint8_t proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS ||
	       proto == IPPROTO_FRAGMENT;
}

static bool parse_ip6(const uint8_t *data, uint32_t caplen, struct trace_packet *p, unsigned l3)
{
	unsigned at = l3 + 40, end;
	bool whole = true;

	if (at > caplen || data[l3] >> 4 != 6)
		return false;
	p->family = 6;
	p->l3 = (uint16_t)l3;
	p->proto = data[l3 + 6];
	set_addr(data, p, l3 + 8, l3 + 24);
	end = at + get16(data + l3 + 4);
	while (is_extension(p->proto) && at + 8 <= caplen) {
		unsigned len = p->proto == IPPROTO_FRAGMENT ? 8 : (data[at + 1] + 1u) * 8;

		if (p->proto == IPPROTO_FRAGMENT) {
			whole = false;
			p->fragment |= get16(data + at + 2) >> 3 != 0;
		}
		p->proto = data[at];
		at += len;
	}
	if (whole && end > at)
		p->l4_len = (uint16_t)(end - at);
	parse_l4(data, caplen, p, at);
	return true;
}

static bool parse_arp(const uint8_t *data, uint32_t caplen, struct trace_packet *p, unsigned l3)
{
	if (l3 + 28 > caplen || get16(data + l3 + 2) != 0x0800)
		return false;
	p->family = 4;
	p->arp = true;
	p->l3 = (uint16_t)l3;
	set_addr(data, p, l3 + 14, l3 + 24);
	return true;
}

bool trace_packet_parse(const uint8_t *data, uint32_t caplen, struct trace_packet *p)
{
	unsigned at = 12;

	memset(p, 0, sizeof(*p));
	while (at + 2 <= caplen && (get16(data + at) == 0x8100 || get16(data + at) == 0x88a8))
		at += 4;
	if (at + 2 > caplen)
		return false;
	switch (get16(data + at)) {
	case 0x0800:
		return parse_ip4(data, caplen, p, at + 2);
	case 0x86dd:
		return parse_ip6(data, caplen, p, at + 2);
	case 0x0806:
		return parse_arp(data, caplen, p, at + 2);
	default:
		return false;
	}
}

/* RFC 1624, equation 3. All in network order: one's complement sums do not mind. */
static uint16_t fix_sum(uint16_t sum, const uint8_t *old, const uint8_t *new, size_t n)
{
	uint32_t s = (uint16_t)~sum;

	for (size_t i = 0; i < n; i += 2) {
		uint16_t o, v;

		memcpy(&o, old + i, 2);
		memcpy(&v, new + i, 2);
		s += (uint16_t)~o;
		s += v;
	}
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

static void patch(uint8_t *data, unsigned at, const uint8_t *new, size_t n, unsigned ip_sum,
		  const struct trace_packet *p)
{
	uint16_t s;

	if (ip_sum) {
		memcpy(&s, data + ip_sum, 2);
		s = fix_sum(s, data + at, new, n);
		memcpy(data + ip_sum, &s, 2);
	}
	if (p->sum) {
		memcpy(&s, data + p->sum, 2);
		if (s || p->proto != IPPROTO_UDP) {
			s = fix_sum(s, data + at, new, n);
			if (!s && p->proto == IPPROTO_UDP)
				s = 0xffff;
			memcpy(data + p->sum, &s, 2);
		}
	}
	memcpy(data + at, new, n);
}

void trace_packet_rewrite(uint8_t *data, const struct trace_packet *p, const struct trace_addr a[2],
			  const uint16_t port[2])
{
	size_t n = p->family == 4 ? 4 : 16;
	unsigned ip_sum = p->family == 4 && !p->arp ? p->l3 + 10u : 0;

	patch(data, p->src, a[0].b, n, ip_sum, p);
	patch(data, p->dst, a[1].b, n, ip_sum, p);
	if (p->has_ports)
		patch(data, p->l4, (const uint8_t *)port, 4, 0, p);
}

unsigned trace_bucket(const struct trace_addr a[2], const uint16_t port[2], uint8_t proto)
{
	uint32_t sum = (uint32_t)port[0] + port[1] + proto, w[4];

	for (int i = 0; i < 2; i++) {
		memcpy(w, a[i].b, 16); /* IPv4: three zero words */
		sum += w[0] + w[1] + w[2] + w[3];
	}
	return sum % TRACE_BUCKETS;
}
