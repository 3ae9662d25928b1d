/* SPDX-License-Identifier: BSD-2-Clause */
/* The stream between two helpers, on either side, and its gentle end. */
#ifndef NF_XFER_STREAM_H
#define NF_XFER_STREAM_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "conn.h"
#include "loop.h"

#define NF_STREAM_BOUND (1u << 20) /* unsent bytes above which a source takes nothing more */

struct nf_xfer;
struct nf_stream;

/* One message came. Nonzero: stop handing out messages (paused, or closed). */
typedef int (*nf_stream_msg_cb)(struct nf_xfer *x, const struct nf_msg *m);

struct nf_stream {
	struct nf_conn *c; /* NULL: none */
	nf_stream_msg_cb cb;
	bool paused; /* nothing is read */
	bool mute;   /* sending failed; what the other side said before is still to be read */
};

/* Take @c and hand its messages to @cb. 0 or -errno (then @c is closed). */
int nf_stream_start(struct nf_xfer *x, struct nf_stream *s, struct nf_conn *c, nf_stream_msg_cb cb);
void nf_stream_pause(struct nf_xfer *x, struct nf_stream *s);
void nf_stream_resume(struct nf_xfer *x, struct nf_stream *s);
/* Queue a record. A failure shows as the end of what can be read, after all of it was. */
void nf_stream_send(struct nf_stream *s, const struct nf_rec *r, const uint8_t *payload);
/* Send what the socket takes. */
void nf_stream_flush(struct nf_xfer *x, struct nf_stream *s);
size_t nf_stream_unsent(const struct nf_stream *s);
void nf_stream_close(struct nf_xfer *x, struct nf_stream *s); /* at once */
/*
 * Send what is left, say that this was all, and wait (for seconds) until the other side has read
 * it: a close with unread input would reset the connection and destroy what is on its way.
 */
void nf_stream_finish(struct nf_xfer *x, struct nf_stream *s);
void nf_stream_finish_all(void); /* the program ends: give up those that still wait */

/* "127.0.0.1:4711" or "[::1]:4711", numbers only. 0 or -EINVAL. */
int nf_addr_parse(const char *text, struct sockaddr_storage *sa, socklen_t *len);
void nf_addr_format(const struct sockaddr_storage *sa, char *out, size_t n);
void nf_addr_tune(int fd); /* no delay, large buffers */

#endif
