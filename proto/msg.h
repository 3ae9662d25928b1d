/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages between processes: shim ↔ helper (rendezvous socket), helper ↔
 * controller, helper ↔ helper. Plain structs here; protobuf objects never
 * leave msg.c. nfctl speaks JSON lines to the controller, not this.
 *
 * Each connection starts with a HELLO from the side that connected, answered
 * by HELLO or REFUSED. A peer of another version is refused.
 */
#ifndef NF_MSG_H
#define NF_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rec.h"

#define NF_PROTO_VERSION 3
#define NF_MSG_MAX	 (NF_REC_MAX + 4096) /* largest encoded message, bytes */
#define NF_NAME_MAX	 64		     /* instance names, with the NUL: [A-Za-z0-9._-]+ */
#define NF_TEXT_MAX	 1024		     /* reasons, with the NUL */
#define NF_ADDR_MAX	 128		     /* "host:port" or a path, with the NUL */
#define NF_TOKEN_BYTES	 16

enum nf_msg_type {
	NF_MSG_NONE,
	NF_MSG_HELLO,	/* hello */
	NF_MSG_REFUSED, /* text */
	NF_MSG_ASK,	/* helper → shim, controller → helper: how are you? */
	NF_MSG_STATUS,	/* status: the answer, also unasked on a change */
	NF_MSG_BEGIN,	/* controller → helper: begin */
	NF_MSG_ORDER, /* controller → helper: order (PREPARE, ABORT, REVERT, FENCE, FINISH, END) */
	NF_MSG_EVENT,	/* helper → controller: event */
	NF_MSG_LIST,	/* controller → helper: list */
	NF_MSG_RECORD,	/* record, borrowed from the decoder's buffer until the next decode */
	NF_MSG_CHANNEL, /* shim → helper: channel; with descriptors, as HELLO */
};

enum nf_role { NF_ROLE_NONE, NF_ROLE_SHIM, NF_ROLE_HELPER, NF_ROLE_CONTROLLER, NF_ROLE_PEER };

struct nf_msg_hello {
	uint32_t version;
	enum nf_role role; /* of the sender; a helper that dials a helper says PEER */
	char name[NF_NAME_MAX];
	uint64_t move;		       /* PEER: the move; else 0 */
	uint8_t token[NF_TOKEN_BYTES]; /* PEER: the move's token */
	char listen[NF_ADDR_MAX];      /* HELPER to controller: where peers can reach it */
	uint32_t others;	       /* PEER: packet threads of its NF beside the first */
};

#define NF_FAMILIES_MAX 24

/* Output calls of a family while packets were reprocessed, those dropped, and their bytes. */
struct nf_msg_drops {
	char family[16];
	uint64_t calls, dropped, bytes;
};

struct nf_msg_status {
	char name[NF_NAME_MAX];
	char program[NF_NAME_MAX];
	uint32_t pid;		    /* of the NF */
	char provider[NF_NAME_MAX]; /* "prads 0.3.3", "" if none */
	char reason[NF_TEXT_MAX];   /* why no provider, or why inert; "" if all is well */
	uint32_t input;		    /* 1: the NF's input loop has been entered */
	uint64_t packets;	    /* seen by the shim */
	uint64_t move;		    /* the move it takes part in, 0 if none */
	uint32_t side;		    /* enum nf_side */
	uint32_t phase;		    /* enum nf_phase */
	uint32_t families;
	struct nf_msg_drops drops[NF_FAMILIES_MAX]; /* @families of them */
	uint8_t thread[NF_THREADS]; /* packet threads: 0 none, else 1 + number of the capture */
};

enum nf_side { NF_SIDE_NONE, NF_SIDE_SRC, NF_SIDE_DST };

/* How far a shim is; what a helper that came back, or a controller, needs to know. */
enum nf_phase {
	NF_PHASE_IDLE,
	NF_PHASE_BEGUN,	   /* armed */
	NF_PHASE_EXPORTED, /* S */
	NF_PHASE_PREPARED, /* no-drop mode */
	NF_PHASE_READY,	   /* D */
	NF_PHASE_MARKED,   /* S: D owns the flows, or is about to */
	NF_PHASE_LINGER,   /* S: RELEASED; D: COMMITTED */
};

struct nf_msg_begin {
	uint64_t move;
	enum nf_side side; /* of the receiver */
	char peer[NF_NAME_MAX];
	char peer_addr[NF_ADDR_MAX]; /* SRC: where to dial */
	uint8_t token[NF_TOKEN_BYTES];
	char space[4096];
	struct nf_rec_begin opt; /* space_len 0; marks and secrets only for SRC */
	uint64_t buffer_packets; /* DST: clones the helper may buffer */
	uint64_t buffer_bytes;
	uint64_t reserve_bytes; /* SRC: spill of the no-drop mode */
	uint32_t wait_ms;	/* give up if the controller is silent so long before READY */
};

struct nf_msg_order {
	uint64_t move;
	enum nf_rec_type what; /* NF_REC_PREPARE … NF_REC_END */
};

/* What a helper tells: an acknowledgement of its shim (what = its record type), or trouble. */
enum nf_event {
	NF_EVENT_REC = 0,   /* rec says which of NF_REC_BEGUN … NF_REC_OVER, stats, text */
	NF_EVENT_NF_GONE,   /* the NF, or its shim, is gone */
	NF_EVENT_PEER_GONE, /* the stream to the other helper broke */
	NF_EVENT_PROGRESS,  /* stats of what is known now; at most a few per second */
	NF_EVENT_FLOW,	    /* one answer to LIST: flow, version */
};

struct nf_msg_event {
	uint64_t move; /* or the id of the LIST */
	enum nf_event what;
	enum nf_rec_type rec;
	uint64_t version;
	struct nfshim_flow flow;
	struct nf_rec_stats stats;
	uint64_t buffered; /* DST helper: most clones buffered at once */
	uint64_t buffered_bytes;
	uint64_t dropped;   /* DST helper: clones, for want of room */
	uint64_t reexports; /* … and flows whose state was asked for again */
	uint64_t reserve;   /* SRC helper: most bytes spilled at once */
	char text[NF_TEXT_MAX];
};

struct nf_msg_list {
	uint64_t id;
	char space[4096];
};

struct nf_msg {
	enum nf_msg_type type;
	union {
		struct nf_msg_hello hello;
		char text[NF_TEXT_MAX];
		struct nf_msg_status status;
		struct nf_msg_begin begin;
		struct nf_msg_order order;
		struct nf_msg_event event;
		struct nf_msg_list list;
		uint32_t channel; /* which packet thread, as in nf_msg_status.thread */
		struct {
			struct nf_rec hdr;
			const uint8_t *payload; /* nf_rec_payload(&hdr) bytes */
		} record;
	};
};

/* Append the frame (4-byte big-endian length, then the protobuf) of @m to the growing
 * buffer *buf of *cap bytes at *len; reallocates. 0 or -errno. */
int nf_msg_encode(const struct nf_msg *m, uint8_t **buf, size_t *len, size_t *cap);
/* Decode one message's body (without the length). Everything is checked: enums, string
 * lengths and characters, flow keys, sizes. 0 or -EPROTO/-EMSGSIZE/-ENOMEM. For RECORD the
 * payload points into memory owned by the codec until the next call in this thread. */
int nf_msg_decode(const uint8_t *body, size_t len, struct nf_msg *m);

/* Why what said hello in @version is refused, NULL if it is ours. Valid until the next call. */
const char *nf_msg_version_why(const char *who, uint32_t version);
const char *nf_rec_name(enum nf_rec_type t);
const char *nf_phase_name(enum nf_phase p);

#endif
