/* SPDX-License-Identifier: BSD-2-Clause */
#include "inject.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "shim_link.h"
#include "xfer.h"

#define OUT_FRAMES 1024u      /* on their way at most */
#define OUT_BYTES  (1u << 20) /* half of libpcap's default capture ring */
#define NETNS_DIR  "/run/netns"

struct frame {
	uint32_t len;
	uint8_t data[];
};

/* Frames first to next - 1 are on their way. */
struct nf_injector {
	int fd;
	char dev[IFNAMSIZ];
	uint32_t most; /* bytes of a frame that the device takes */
	uint64_t first, next;
	size_t bytes;
	struct frame *out[OUT_FRAMES];
	bool told_large, told_error; /* in this move */
};

/* ---- the device ---- */

/* A socket of the namespace; the process goes back to its own. */
static int socket_in(const char *netns)
{
	char path[256];
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), other, fd = -1, err = 0;

	if (own < 0)
		return -errno;
	snprintf(path, sizeof(path), NETNS_DIR "/%s", netns);
	other = open(path, O_RDONLY | O_CLOEXEC);
	if (other < 0 || setns(other, CLONE_NEWNET) < 0) {
		err = -errno;
	} else {
		fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
		if (fd < 0)
			err = -errno;
		if (setns(own, CLONE_NEWNET) < 0) {
			nf_err("cannot return to the own network namespace: %s", strerror(errno));
			exit(1);
		}
	}
	if (other >= 0)
		close(other);
	close(own);
	return err ? err : fd;
}

static int bind_to(struct nf_injector *in, const char *dev)
{
	struct sockaddr_ll sa = {.sll_family = AF_PACKET};
	struct ifreq r = {0};

	if (strlen(dev) >= sizeof(in->dev))
		return -ENAMETOOLONG;
	strcpy(in->dev, dev);
	strcpy(r.ifr_name, dev);
	if (ioctl(in->fd, SIOCGIFINDEX, &r) < 0)
		return -errno;
	sa.sll_ifindex = r.ifr_ifindex;
	if (ioctl(in->fd, SIOCGIFMTU, &r) < 0)
		return -errno;
	in->most = (uint32_t)r.ifr_mtu + ETHER_HDR_LEN;
	return bind(in->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ? -errno : 0;
}

int nf_inject_new(struct nf_xfer *x, const char *dev, const char *netns, struct nf_injector **out,
		  char *why, size_t n)
{
	struct nf_injector *in = calloc(1, sizeof(*in));
	int err;

	if (!in) {
		snprintf(why, n, "out of memory");
		return -ENOMEM;
	}
	in->fd = netns ? socket_in(netns) : socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	err = in->fd >= 0 ? 0 : netns ? in->fd : -errno;
	if (!err)
		err = bind_to(in, dev);
	if (!err) {
		*out = in;
		return 0;
	}
	snprintf(why, n, "%s cannot send on %.32s%s%.64s: %s; it needs CAP_NET_RAW%s", x->name, dev,
		 netns ? " in " : "", netns ? netns : "", strerror(-err),
		 netns ? " and CAP_SYS_ADMIN" : "");
	nf_inject_free(in);
	return err;
}

static void forget(struct nf_injector *in, uint64_t until)
{
	for (; in->first < until; in->first++) {
		struct frame **f = &in->out[in->first % OUT_FRAMES];

		in->bytes -= (*f)->len;
		free(*f);
		*f = NULL;
	}
}

void nf_inject_free(struct nf_injector *in)
{
	if (!in)
		return;
	forget(in, in->next);
	if (in->fd >= 0)
		close(in->fd);
	free(in);
}

/* ---- a move ---- */

static bool by_veth(const struct nf_xmove *mv)
{
	return mv->b.side == NF_SIDE_DST && mv->b.opt.inject == NF_INJECT_VETH;
}

int nf_inject_begin(struct nf_xfer *x)
{
	struct nf_rec_begin *o = &x->move.b.opt;
	struct nf_injector *in = x->inject;

	if (!by_veth(&x->move))
		return 0;
	if (getrandom(o->tag, sizeof(o->tag), 0) != sizeof(o->tag))
		return -EIO;
	in->first = in->next = 0;
	in->told_large = in->told_error = false;
	return 0;
}

void nf_inject_end(struct nf_xfer *x)
{
	if (x->inject)
		forget(x->inject, x->inject->next);
}

/* One that is not sent is one that is lost on the way: the shim will miss it. */
static void transmit(struct nf_injector *in, const struct frame *f)
{
	if (send(in->fd, f->data, f->len, 0) == (ssize_t)f->len || in->told_error)
		return;
	in->told_error = true;
	nf_warn("cannot send a clone on %s: %s; it is sent again until the NF gives up waiting",
		in->dev, strerror(errno));
}

/* A bridge drops what has no sender, and MAC pause. */
static bool is_bridged(const uint8_t *frame)
{
	static const uint8_t pause[ETHER_ADDR_LEN] = {0x01, 0x80, 0xc2, 0, 0, 0x01};
	static const uint8_t nobody[ETHER_ADDR_LEN];
	const uint8_t *sender = frame + ETHER_ADDR_LEN;

	return memcmp(frame, pause, sizeof(pause)) && memcmp(sender, nobody, sizeof(nobody)) &&
	       !(sender[0] & 1);
}

/* Another clone goes through the ring, where order is the same. */
static bool is_carried(struct nf_injector *in, const uint8_t *frame, uint32_t len)
{
	if (len < ETHER_HDR_LEN)
		return false;
	if (len + NF_TAG_LEN <= in->most)
		return is_bridged(frame);
	if (!in->told_large)
		nf_warn("a clone of %u bytes and its mark do not fit on %s, which takes %u: such "
			"go through the ring; raise its MTU",
			len, in->dev, in->most);
	in->told_large = true;
	return false;
}

static struct frame *frame_of(const struct nf_xmove *mv, const struct nf_rec *r,
			      const uint8_t *payload, uint64_t seq)
{
	const struct nf_tag t = {mv->b.move, seq, r->sec, r->nsec, r->wirelen, r->capture};
	uint32_t len = nf_rec_payload(r);
	struct frame *f = malloc(sizeof(*f) + len + NF_TAG_LEN);

	if (!f)
		return NULL;
	f->len = len + NF_TAG_LEN;
	memcpy(f->data, payload, len);
	nf_tag_put(mv->b.opt.tag, &t, f->data, len);
	return f;
}

int nf_inject_push(struct nf_xfer *x, const struct nf_rec *r, const uint8_t *payload)
{
	struct nf_injector *in = x->inject;
	struct nf_rec place = *r;
	struct frame *f;
	int err;

	if (r->type != NF_REC_CLONE || !by_veth(&x->move) ||
	    !is_carried(in, payload, nf_rec_payload(r)))
		return nf_shim_push(x->shim, r, payload);
	if (in->next - in->first >= OUT_FRAMES || in->bytes >= OUT_BYTES)
		return -ENOBUFS;
	f = frame_of(&x->move, r, payload, in->next);
	if (!f)
		return -ENOBUFS;
	place.flags = NF_REC_WIRE;
	place.len = (uint32_t)(sizeof(place) + sizeof(in->next));
	err = nf_shim_push(x->shim, &place, (const uint8_t *)&in->next);
	if (err) {
		free(f);
		return err;
	}
	in->out[in->next++ % OUT_FRAMES] = f;
	in->bytes += f->len;
	transmit(in, f);
	return 0;
}

void nf_inject_heard(struct nf_xfer *x, const struct nf_rec *r)
{
	struct nf_injector *in = x->inject;

	if (!by_veth(&x->move) || r->version < in->first || r->version >= in->next)
		return;
	if (r->type == NF_REC_GOT)
		forget(in, r->version + 1);
	else
		transmit(in, in->out[r->version % OUT_FRAMES]);
}
