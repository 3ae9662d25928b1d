/* SPDX-License-Identifier: BSD-2-Clause */
/* A controller under test, made-up helpers, and nfctl as a child. */
#ifndef FAKE_H
#define FAKE_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "conn.h"

struct fake {
	const char *name;
	struct nf_conn *c; /* NULL: not connected */
	uint64_t move;	   /* that it last heard of */
};

struct ctl {
	pid_t pid;
	char out[96];
};

/* A fresh directory, configuration and nfctrld ($NFCTRLD_TEST); asserts that it comes up. */
void ctrl_start(void);
void ctrl_stop(void);	  /* SIGTERM; asserts that it exits with 0 */
int ctrl_signal(int sig); /* the exit status as of wait */
const char *ctrl_dir(void);

/* Lines of the switch's log that start with @word. */
unsigned switch_count(const char *word);
bool switch_has(const char *text);
void switch_fail(bool on);

/* Connect, say hello with @version and a status. True if it was taken. */
bool fake_hello(struct fake *f, const char *name, uint32_t version);
void fake_join(struct fake *f, const char *name);
void fake_status(struct fake *f, const char *provider, uint32_t pid, const char *reason,
		 uint64_t move, enum nf_side side, enum nf_phase phase);
void fake_close(struct fake *f);
/* The next message of the controller that is no ASK; asserts that one comes. */
void fake_next(struct fake *f, struct nf_msg *m);
void fake_expect(struct fake *f, enum nf_rec_type order);	  /* an ORDER */
void fake_expect_begin(struct fake *f, struct nf_msg_begin *out); /* out may be NULL */
bool fake_quiet(struct fake *f, int ms);			  /* nothing but ASK comes */
void fake_say(struct fake *f, enum nf_rec_type ack);
void fake_say_stats(struct fake *f, enum nf_rec_type ack, const struct nf_rec_stats *s);
void fake_event(struct fake *f, const struct nf_msg_event *e);
void fake_trouble(struct fake *f, enum nf_event what, const char *text);
void fake_failed(struct fake *f, int err, const char *text);

/* nfctl ($NFCTL) with --json and these words, split at '|'. */
struct ctl ctl_start(const char *words);
/* Its exit code and what it printed (new reference; NULL if it is no JSON). */
int ctl_wait(struct ctl *t, json_t **out);
int ctl_run(const char *words, json_t **out);
/* Run it, compare the exit code, and look for @text in "error". */
void ctl_refused(const char *words, int code, const char *text);
const char *jstr(const json_t *o, const char *key);
long long jnum(const json_t *o, const char *key);

#endif
