/* SPDX-License-Identifier: BSD-2-Clause */
/* The controller, two made-up helpers and the steps of a move. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "move_stage.h"

struct fake s, d;
struct ctl mover;

void move_setup(void)
{
	ctrl_start();
	fake_join(&s, "ids1");
	fake_join(&d, "ids2");
}

void move_teardown(void)
{
	fake_close(&s);
	fake_close(&d);
	ctrl_stop();
}

const struct nf_rec_stats sent = {.flows = 484,
				  .records = 300,
				  .state_bytes = 52000,
				  .clones = 1200,
				  .clone_bytes = 90000,
				  .new_flows = 3,
				  .slice_max_ns = 250000,
				  .wait_ns = 1500000};
const struct nf_rec_stats applied = {.flows = 484,
				     .records = 300,
				     .state_bytes = 52000,
				     .clones = 1200,
				     .held = 200,
				     .held_max = 96,
				     .fwd = 2};

void run_to(const char *words, int stage)
{
	mover = ctl_start(words);
	fake_expect_begin(&d, NULL);
	if (stage == AT_BEGIN_DST)
		return;
	fake_say(&d, NF_REC_BEGUN);
	fake_expect_begin(&s, NULL);
	if (stage == AT_BEGIN_SRC)
		return;
	fake_say(&s, NF_REC_BEGUN);
	if (stage == AT_EXPORT)
		return;
	fake_say_stats(&s, NF_REC_EXPORTED, &sent);
	fake_expect(&d, NF_REC_PREPARE);
	if (stage == AT_PREPARE_DST)
		return;
	fake_say(&d, NF_REC_PREPARED);
	fake_expect(&s, NF_REC_PREPARE);
	if (stage == AT_PREPARE_SRC)
		return;
	fake_say(&d, NF_REC_READY);
	while (!switch_count("mark"))
		usleep(2000);
	if (stage == AT_MARK)
		return;
	fake_say(&s, NF_REC_MARKED);
}

json_t *result(int code, const char *state)
{
	json_t *o;
	int rc = ctl_wait(&mover, &o);

	ck_assert_int_eq(rc, code);
	ck_assert_str_eq(jstr(o, "state"), state);
	return o;
}

void wait_stage(uint64_t id, const char *stage)
{
	char words[32], at[32] = "";
	json_t *o;

	snprintf(words, sizeof(words), "show|%u", (unsigned)id);
	for (int i = 0; i < 500 && strcmp(at, stage); i++) {
		ck_assert_int_eq(ctl_run(words, &o), 0);
		snprintf(at, sizeof(at), "%s", jstr(o, "stage"));
		json_decref(o);
		usleep(5000);
	}
	ck_assert_str_eq(at, stage);
}

void fail_at(const struct failure *f)
{
	struct fake *who = f->at_source ? &s : &d;

	switch (f->kind) {
	case 0:
		fake_failed(who, EIO, "made-up trouble");
		break;
	case 1:
		fake_trouble(who, NF_EVENT_NF_GONE, "made-up trouble");
		break;
	case 2:
		fake_close(who);
		break;
	case 3:
		fake_trouble(who, NF_EVENT_PEER_GONE, "made-up trouble");
		break;
	}
}
