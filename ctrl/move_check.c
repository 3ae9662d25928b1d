/* SPDX-License-Identifier: BSD-2-Clause */
/* Why a move is refused before anything has changed, and what its user should know. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "move.h"
#include "routes.h"

#define MANY_RULES 256

struct check {
	struct nf_ctrl *c;
	char *err;
	size_t errlen;
	json_t *warnings;
};

static int refuse(const struct check *k, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(const struct check *k, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(k->err, k->errlen, fmt, ap);
	va_end(ap);
	return err;
}

static void warn(const struct check *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void warn(const struct check *k, const char *fmt, ...)
{
	char text[NF_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(k->warnings, json_string(text));
}

static int check_known(const struct check *k, const char *name, struct nf_instance **out)
{
	char names[512];

	*out = nf_instance_find(k->c, name);
	if (*out)
		return 0;
	return refuse(k, -ENOENT, "there is no instance '%.64s'; known: %s", name,
		      nf_instance_names(k->c, names, sizeof(names)));
}

static int check_busy(const struct check *k, const struct nf_instance *i)
{
	const struct nf_msg_status *st = &i->status;
	const struct nf_move *m = i->waiting ? i->waiting : i->move;

	if (m && (i->waiting || m->stage != NF_STAGE_LINGER || m->state != NF_MOVE_DONE))
		return refuse(k, -EBUSY,
			      "%s is busy with move %" PRIu64 ": wait until it is over, or "
			      "'nfctl abort %" PRIu64 "'",
			      i->name, m->id, m->id);
	if (st->move && !nf_move_find(k->c, st->move))
		return refuse(k, -EBUSY,
			      "%s is busy with move %" PRIu64 " of an earlier nfctrld "
			      "(%s): it is ended within seconds if that is safe; else restart "
			      "its nfxfer",
			      i->name, st->move, nf_phase_name((enum nf_phase)st->phase));
	return 0;
}

static int check_instance(const struct check *k, const struct nf_instance *i)
{
	const char *why;

	if (!nf_switch_port(&k->c->conf, i->name))
		return refuse(k, -ENOENT,
			      "the switch has no port for %s: add [port %s] to the "
			      "configuration",
			      i->name, i->name);
	why = nf_instance_unfit(i);
	if (why)
		return refuse(k, -ENOTCONN, "%s", why);
	return check_busy(k, i);
}

static int check_space(const struct check *k, const char *text, struct nf_space **out)
{
	char err[NF_SWITCH_ERR];
	unsigned rules;
	int rc = nf_space_parse(text, out, k->err, k->errlen);

	if (rc)
		return rc;
	rc = k->c->ops->can_match(k->c->sw, *out, &rules, err);
	if (rc)
		return refuse(k, rc, "the switch cannot match this flow space: %s", err);
	if ((*out)->has_ports)
		warn(k, "the space names ports: a switch cannot match fragments after the first; "
			"they stay where they are");
	if (rules > MANY_RULES)
		warn(k, "the space becomes %u rules, which the switch tests packet by packet",
		     rules);
	return 0;
}

/* Two moves at once must not fight about a flow. */
static int check_other_moves(const struct check *k, const struct nf_space *s)
{
	struct nf_move *m;

	TAILQ_FOREACH(m, &k->c->moves, next)
	if (m->stage < NF_STAGE_LINGER && nf_space_overlap(m->space, s))
		return refuse(k, -EBUSY,
			      "flows of this space may also be in '%.200s', busy "
			      "with move %" PRIu64 ": wait until it is over",
			      m->space->text, m->id);
	return 0;
}

/* What of the space goes elsewhere than to the source now will come along without its state. */
static void check_routes(const struct check *k, const struct nf_space *s, const char *src,
			 const char *dst)
{
	const char *fallback = k->c->conf.fallback;
	struct nf_routes l = {0};
	char err[NF_SWITCH_ERR];
	bool covered = false;

	if (k->c->ops->read_back(k->c->sw, &l, err)) {
		warn(k, "the switch does not tell its routes: %s", err);
		return;
	}
	for (unsigned i = 0; i < l.n && !covered; i++) {
		const struct nf_route *r = &l.r[i];

		if (!nf_space_overlap(r->space, s))
			continue;
		covered = nf_space_covers(r->space, s);
		if (strcmp(r->instance, src) && strcmp(r->instance, dst))
			warn(k,
			     "flows that are also in '%.200s' are routed to %s; they go to %s "
			     "too, without their state",
			     r->space->text, r->instance, dst);
	}
	if (!covered && strcmp(fallback, src) && strcmp(fallback, dst))
		warn(k,
		     "flows of the space that no route names are at %s; they go to %s too, "
		     "without their state",
		     fallback, dst);
	nf_routes_clear(&l);
}

int nf_move_check(struct nf_ctrl *c, const char *src, const char *dst, const char *text,
		  struct nf_space **space, json_t *warnings, char *err, size_t errlen)
{
	const struct check k = {c, err, errlen, warnings};
	struct nf_instance *s = NULL, *d = NULL;
	int rc = check_known(&k, src, &s);

	*space = NULL;
	if (!rc)
		rc = check_known(&k, dst, &d);
	if (!rc && s == d)
		rc = refuse(&k, -EINVAL, "source and destination are both %s: name two instances",
			    src);
	if (!rc)
		rc = check_space(&k, text, space);
	if (!rc)
		rc = check_instance(&k, s);
	if (!rc)
		rc = check_instance(&k, d);
	if (!rc && !d->listen[0])
		rc = refuse(&k, -ENOTCONN,
			    "the helper of %s gave no address to dial: start it "
			    "with --listen",
			    d->name);
	if (!rc)
		rc = check_other_moves(&k, *space);
	if (!rc)
		check_routes(&k, *space, src, dst);
	if (rc) {
		nf_space_free(*space);
		*space = NULL;
	}
	return rc;
}
