/* SPDX-License-Identifier: BSD-2-Clause */
/* The helper: its link to the shim, and what the shim says of itself there. */
#include "stage_in.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static struct nf_msg msg;
static struct client rings[NF_THREADS]; /* of each packet thread */
static unsigned place, speaks_to;	/* that of the rings in use, and its thread */

/* NULL, or why not. */
static const char *try_link(void)
{
	int err;

	helper.conn = client_connect(stage_dir, "nf", PATIENCE_MS);
	ck_assert_ptr_nonnull(helper.conn);
	err = client_hello(helper.conn, NF_PROTO_VERSION, NF_ROLE_HELPER, "nf", &msg, PATIENCE_MS);
	if (!err && msg.type == NF_MSG_HELLO) {
		ck_assert_int_eq(client_take_rings(&helper), 0);
		place = speaks_to = 0;
		return NULL;
	}
	nf_conn_free(helper.conn);
	helper.conn = NULL;
	if (!err && msg.type == NF_MSG_REFUSED)
		return msg.text;
	ck_abort_msg("no answer to the hello: %s", strerror(-err));
	return NULL;
}

/* Until the one before is seen off. */
static const char *link_to_shim(void)
{
	long end = now_ms() + PATIENCE_MS;
	const char *why;

	while ((why = try_link()) && strstr(why, "another nfxfer") && now_ms() < end)
		usleep(5000);
	return why;
}

static void ask(void)
{
	struct nf_msg m = {.type = NF_MSG_ASK};

	ck_assert_int_eq(nf_conn_send(helper.conn, &m), 0);
	ck_assert_int_eq(nf_conn_recv_wait(helper.conn, &msg, PATIENCE_MS), 0);
	while (msg.type == NF_MSG_CHANNEL) {
		rings[msg.channel].conn = helper.conn;
		ck_assert_int_eq(client_take_rings(&rings[msg.channel]), 0);
		ck_assert_int_eq(nf_conn_recv_wait(helper.conn, &msg, PATIENCE_MS), 0);
	}
	ck_assert_int_eq(msg.type, NF_MSG_STATUS);
}

/* Which place a thread has is a matter of luck: which of them began first. */
static int place_of(unsigned thread)
{
	for (int i = 0; i < NF_THREADS; i++)
		if (msg.status.thread[i] == thread + 1)
			return i;
	return -1;
}

void helper_speaks_to(unsigned thread)
{
	int to = place_of(thread);

	ck_assert_int_ge(to, 0);
	rings[place] = helper;
	helper = rings[to];
	place = (unsigned)to;
	speaks_to = thread;
}

unsigned helper_speaks_to_now(void)
{
	return speaks_to;
}

static bool has_threads(unsigned n)
{
	int at;

	for (unsigned i = 0; i < n; i++) {
		at = place_of(i);
		if (at < 0 || (at != (int)place && !rings[at].in))
			return false;
	}
	return true;
}

void helper_has_threads(unsigned n)
{
	long end = now_ms() + PATIENCE_MS;

	do {
		nf_step(end, "packet threads", n);
		ask();
	} while (!has_threads(n));
	helper_speaks_to(0);
}

/* The hello is answered a moment before the packet thread can see the rings, a question is not. */
void helper_up(void)
{
	const char *why = link_to_shim();

	if (why)
		ck_abort_msg("refused: %s", why);
	ask();
}

const char *helper_refused(void)
{
	const char *why = link_to_shim();

	if (!why)
		ck_abort_msg("let in");
	return why;
}

/* The service thread rings the doorbell when it has marked the link as down. */
void helper_dies(void)
{
	struct pollfd bell = {.fd = dup(helper.doorbell), .events = POLLIN};
	uint64_t n;

	if (read(bell.fd, &n, sizeof(n)) < 0)
		ck_assert_int_eq(errno, EAGAIN);
	client_close(&helper);
	ck_assert_int_eq(poll(&bell, 1, PATIENCE_MS), 1);
	close(bell.fd);
}

void helper_gone(void)
{
	client_close(&helper);
}

void helper_waits_for_idle(void)
{
	long end = now_ms() + PATIENCE_MS;

	do {
		nf_step(end, "the end of move", STAGE_MOVE);
		ask();
	} while (!msg.status.input || msg.status.side != NF_SIDE_NONE);
}

/* The shim's counter of packets that came in includes those that are held. */
void nf_has_seen(unsigned packets)
{
	long end = now_ms() + PATIENCE_MS;

	do {
		nf_step(end, "packet", packets);
		ask();
	} while (msg.status.packets < packets);
}
