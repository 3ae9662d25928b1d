/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of nfctl. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "api.h"
#include "move.h"

#define LIST_US 5000000u

static const char *text_of(const json_t *req, const char *key)
{
	const char *s = json_string_value(json_object_get(req, key));

	return s ? s : "";
}

/* ---- instances, flows, routes ---- */

static json_t *instance_json(const struct nf_instance *i)
{
	const struct nf_switch_port *p = nf_switch_port(&i->c->conf, i->name);
	const char *unfit = nf_instance_unfit(i);
	const struct nf_msg_status *st = &i->status;
	bool known = i->helper && i->has_status;

	return json_pack("{s:s,s:s,s:b,s:s,s:s,s:i,s:s,s:b,s:I,s:b,s:s,s:I,s:s}", "name", i->name,
			 "port", p ? p->dev : "", "default", !strcmp(i->name, i->c->conf.fallback),
			 "helper", i->helper ? i->listen : "", "program", known ? st->program : "",
			 "pid", known ? (int)st->pid : 0, "adapter", known ? st->provider : "",
			 "input", known && st->input, "packets",
			 (json_int_t)(known ? st->packets : 0), "ready", !unfit, "reason",
			 unfit ? unfit : "", "move",
			 (json_int_t)(i->move ? i->move->id
				      : known ? st->move
					      : 0),
			 "stage",
			 i->move	     ? nf_stage_name(i->move->stage)
			 : known && st->move ? nf_phase_name((enum nf_phase)st->phase)
					     : "");
}

static void cmd_instances(struct nf_client *cl, const json_t *req)
{
	json_t *a = json_array();
	struct nf_instance *i;

	(void)req;
	LIST_FOREACH(i, &cl->c->instances, next)
	json_array_append_new(a, instance_json(i));
	nf_api_ok(cl, json_pack("{s:o}", "instances", a));
}

static void cmd_flows(struct nf_client *cl, const json_t *req)
{
	struct nf_instance *i = nf_instance_find(cl->c, text_of(req, "name"));
	const char *text = json_object_get(req, "space") ? text_of(req, "space") : "all";
	struct nf_msg m = {.type = NF_MSG_LIST};
	struct nf_space *s;
	char err[512];
	const char *why;

	if (!i) {
		nf_api_error(cl, NF_CODE_REFUSED, "there is no instance '%.64s'; known: %s",
			     text_of(req, "name"), nf_instance_names(cl->c, err, sizeof(err)));
		return;
	}
	if (nf_space_parse(text, &s, err, sizeof(err))) {
		nf_api_error(cl, NF_CODE_REFUSED, "%s", err);
		return;
	}
	strcpy(m.list.space, s->text);
	nf_space_free(s);
	why = nf_instance_unfit(i);
	if (why || cl->lists || cl->stats) {
		nf_api_error(cl, NF_CODE_REFUSED, "%s", why ? why : "one list at a time");
		return;
	}
	m.list.id = NF_LIST_ID + ++cl->c->last_list;
	cl->lists = i;
	cl->list_id = m.list.id;
	cl->flows = json_array();
	nf_timer_set(cl->timer, LIST_US, 0);
	nf_instance_send(i, &m);
}

static void add_counter(void *arg, const char *what, uint64_t packets, uint64_t bytes)
{
	json_object_set_new(
		arg, what,
		json_pack("{s:I,s:I}", "packets", (json_int_t)packets, "bytes", (json_int_t)bytes));
}

static void cmd_routes(struct nf_client *cl, const json_t *req)
{
	struct nf_ctrl *c = cl->c;
	json_t *a, *counters;
	char err[NF_SWITCH_ERR];
	struct nf_routes l;

	(void)req;
	if (c->ops->read_back(c->sw, &l, err)) {
		nf_api_error(cl, NF_CODE_FAILED, "%s", err);
		return;
	}
	a = json_array();
	for (unsigned i = 0; i < l.n; i++)
		json_array_append_new(a, json_pack("{s:s,s:s}", "space", l.r[i].space->text, "to",
						   l.r[i].instance));
	counters = json_object();
	c->ops->counters(c->sw, add_counter, counters, err);
	nf_api_ok(cl, json_pack("{s:I,s:o,s:s,s:o}", "generation", (json_int_t)l.gen, "routes", a,
				"default", c->conf.fallback, "counters", counters));
	nf_routes_clear(&l);
}

/* ---- moves ---- */

struct option_of {
	const char *key;
	size_t at;
	bool wide;
	uint64_t min, max;
};

#define WIDE(f, lo, hi)                                                                            \
	{                                                                                          \
#f, offsetof(struct nf_move_options, f), true, lo, hi                              \
	}
#define NARROW(f, lo, hi)                                                                          \
	{                                                                                          \
#f, offsetof(struct nf_move_options, f), false, lo, hi                             \
	}

static const struct option_of options[] = {
	WIDE(buffer_packets, 1, 1ull << 40), WIDE(buffer_bytes, 1, 1ull << 50),
	WIDE(reserve_bytes, 1, 1ull << 50),  NARROW(hold_packets, 1, 100000000),
	NARROW(hold_bytes, 1, UINT32_MAX),   NARROW(slice_us, 1, 1000000),
	NARROW(slice_flows, 0, 1u << 30),    NARROW(linger_ms, 0, 3600000),
	NARROW(deadline_ms, 1, 600000),
};

static const struct option_of *option_of(const char *key)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (!strcmp(options[i].key, key))
			return &options[i];
	return NULL;
}

static int set_inject(struct nf_move_options *o, json_t *v, char *err, size_t n)
{
	const char *how = json_string_value(v);

	if (!how || (strcmp(how, "ring") && strcmp(how, "veth"))) {
		snprintf(err, n, "inject is ring or veth");
		return -EINVAL;
	}
	o->inject = strcmp(how, "veth") ? NF_INJECT_RING : NF_INJECT_VETH;
	return 0;
}

static int set_guarantee(struct nf_move_options *o, json_t *v, char *err, size_t n)
{
	const char *which = json_string_value(v);

	for (int g = NF_ORDERED; which && g <= NF_NONE; g++)
		if (!strcmp(which, nf_guarantee_names[g])) {
			o->guarantee = (enum nf_guarantee)g;
			return 0;
		}
	snprintf(err, n, "guarantee is ordered, loss-free or none");
	return -EINVAL;
}

static int set_option(struct nf_move_options *o, const char *key, json_t *v, char *err, size_t n)
{
	const struct option_of *of = option_of(key);
	uint64_t u = json_is_integer(v) && json_integer_value(v) >= 0
			     ? (uint64_t)json_integer_value(v)
			     : UINT64_MAX;

	if (!strcmp(key, "inject"))
		return set_inject(o, v, err, n);
	if (!strcmp(key, "guarantee"))
		return set_guarantee(o, v, err, n);
	if (!of || u < of->min || u > of->max) {
		if (of)
			snprintf(err, n, "%s is a number from %" PRIu64 " to %" PRIu64, key,
				 of->min, of->max);
		else
			snprintf(err, n, "a move has no option '%.40s'", key);
		return -EINVAL;
	}
	if (of->wide)
		memcpy((char *)o + of->at, &u, sizeof(u));
	else
		memcpy((char *)o + of->at, &(uint32_t){(uint32_t)u}, sizeof(uint32_t));
	return 0;
}

static void cmd_move(struct nf_client *cl, const json_t *req)
{
	struct nf_move_options opt = nf_move_defaults;
	struct nf_move *m;
	char err[2048];
	const char *key;
	json_t *v;

	json_object_foreach(json_object_get(req, "options"), key,
			    v) if (set_option(&opt, key, v, err, sizeof(err)))
	{
		nf_api_error(cl, NF_CODE_USAGE, "%s", err);
		return;
	}
	if (cl->waits || nf_move_start(cl->c, text_of(req, "src"), text_of(req, "dst"),
				       text_of(req, "space"), &opt, &m, err, sizeof(err))) {
		nf_api_error(cl, NF_CODE_REFUSED, "%s", cl->waits ? "one move at a time" : err);
		return;
	}
	nf_api_send(cl, "accepted",
		    json_pack("{s:I,s:O}", "id", (json_int_t)m->id, "warnings", m->warnings));
	if (json_is_true(json_object_get(req, "wait")))
		cl->waits = m;
	else
		nf_api_ok(cl, json_pack("{s:I,s:s,s:O}", "id", (json_int_t)m->id, "state",
					"running", "warnings", m->warnings));
	nf_stage_enter(m, NF_STAGE_CLEAR);
}

static void cmd_moves(struct nf_client *cl, const json_t *req)
{
	json_t *a = json_array();
	struct nf_move *m;

	(void)req;
	TAILQ_FOREACH(m, &cl->c->moves, next)
	json_array_append_new(a, nf_move_result(m));
	nf_api_ok(cl, json_pack("{s:o}", "moves", a));
}

static struct nf_move *wanted(struct nf_client *cl, const json_t *req)
{
	json_int_t id = json_integer_value(json_object_get(req, "id"));
	struct nf_move *m = id > 0 ? nf_move_find(cl->c, (uint64_t)id) : NULL;

	if (!m)
		nf_api_error(cl, NF_CODE_REFUSED,
			     "there is no move %" JSON_INTEGER_FORMAT "; 'nfctl moves' lists them",
			     id);
	return m;
}

static void cmd_show(struct nf_client *cl, const json_t *req)
{
	struct nf_move *m = wanted(cl, req);

	if (m)
		nf_api_ok(cl, nf_move_result(m));
}

static void cmd_abort(struct nf_client *cl, const json_t *req)
{
	struct nf_move *m = wanted(cl, req);
	char err[256];

	if (!m)
		return;
	if (nf_move_abort(m, "aborted by nfctl", err, sizeof(err)))
		nf_api_error(cl, NF_CODE_REFUSED, "%s", err);
	else
		nf_api_ok(cl, json_pack("{s:I,s:s}", "id", (json_int_t)m->id, "state", "aborted"));
}

static const struct {
	const char *name;
	void (*run)(struct nf_client *cl, const json_t *req);
} commands[] = {
	{"instances", cmd_instances}, {"flows", cmd_flows},    {"routes", cmd_routes},
	{"move", cmd_move},	      {"moves", cmd_moves},    {"show", cmd_show},
	{"abort", cmd_abort},	      {"stats", nf_api_stats},
};

void nf_api_request(struct nf_client *cl, const json_t *req)
{
	const char *cmd = text_of(req, "cmd");

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i].name, cmd)) {
			commands[i].run(cl, req);
			return;
		}
	nf_api_error(cl, NF_CODE_USAGE, "nfctrld %s has no command '%.40s'", NFSHIM_VERSION, cmd);
}
