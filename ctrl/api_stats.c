/* SPDX-License-Identifier: BSD-2-Clause */
/* nfctl stats: the instances are asked for fresh counters, and answered when all that can have. */
#include <string.h>

#include "api.h"

#define WAIT_US 2000000u /* then what is known has to do */

static bool wanted(const struct nf_client *cl, const struct nf_instance *i)
{
	return !cl->stats_of || cl->stats_of == i;
}

static json_t *families_json(const struct nf_msg_status *st)
{
	json_t *a = json_array();

	for (uint32_t f = 0; f < st->families; f++) {
		const struct nf_msg_drops *d = &st->drops[f];

		json_array_append_new(a, json_pack("{s:s,s:I,s:I,s:I}", "family", d->family,
						   "calls", (json_int_t)d->calls, "dropped",
						   (json_int_t)d->dropped, "bytes",
						   (json_int_t)d->bytes));
	}
	return a;
}

static json_t *instance_json(const struct nf_client *cl, const struct nf_instance *i)
{
	bool known = i->helper && i->has_status && i->status.pid;
	const char *unfit = known ? NULL : nf_instance_unfit(i);

	return json_pack("{s:s,s:s,s:i,s:I,s:b,s:s,s:o}", "name", i->name, "program",
			 known ? i->status.program : "", "pid", known ? (int)i->status.pid : 0,
			 "packets", (json_int_t)(known ? i->status.packets : 0), "fresh",
			 known && i->heard >= cl->stats, "reason", unfit ? unfit : "", "families",
			 known ? families_json(&i->status) : json_array());
}

void nf_api_stats_send(struct nf_client *cl)
{
	json_t *a = json_array();
	struct nf_instance *i;

	LIST_FOREACH(i, &cl->c->instances, next)
	if (wanted(cl, i))
		json_array_append_new(a, instance_json(cl, i));
	cl->stats = 0;
	nf_timer_set(cl->timer, 0, 0);
	nf_api_ok(cl, json_pack("{s:o}", "instances", a));
}

static bool complete(const struct nf_client *cl)
{
	struct nf_instance *i;

	LIST_FOREACH(i, &cl->c->instances, next)
	if (wanted(cl, i) && i->helper && i->heard < cl->stats)
		return false;
	return true;
}

void nf_api_stats_heard(struct nf_ctrl *c)
{
	struct nf_client *cl;

	LIST_FOREACH(cl, &c->clients, next)
	if (cl->stats && complete(cl))
		nf_api_stats_send(cl);
}

void nf_api_stats(struct nf_client *cl, const json_t *req)
{
	const char *name = json_string_value(json_object_get(req, "name"));
	struct nf_instance *i = name ? nf_instance_find(cl->c, name) : NULL;
	struct nf_msg m = {.type = NF_MSG_ASK};
	char known[512];

	if (name && !i) {
		nf_api_error(cl, NF_CODE_REFUSED, "there is no instance '%.64s'; known: %s", name,
			     nf_instance_names(cl->c, known, sizeof(known)));
		return;
	}
	if (cl->lists || cl->stats) {
		nf_api_error(cl, NF_CODE_REFUSED, "one question at a time");
		return;
	}
	cl->stats_of = i;
	cl->stats = ++cl->c->last_ask;
	LIST_FOREACH(i, &cl->c->instances, next)
	if (wanted(cl, i) && i->helper) {
		i->asked = cl->stats;
		nf_instance_send(i, &m);
	}
	if (complete(cl))
		nf_api_stats_send(cl);
	else
		nf_timer_set(cl->timer, WAIT_US, 0);
}
