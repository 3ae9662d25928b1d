/* SPDX-License-Identifier: BSD-2-Clause */
/* A move in JSON, for nfctl and for scripts. */
#include <string.h>

#include "move.h"

const char *nf_move_state_name(const struct nf_move *m)
{
	static const char *const name[] = {"running", "done", "aborted", "failed"};

	return name[m->state];
}

static double ms(uint64_t us)
{
	return (double)us / 1000.0;
}

/* From entering @from until leaving @to, or until now. */
static double span(const struct nf_move *m, enum nf_stage_id from, enum nf_stage_id to)
{
	uint64_t end = m->left_us[to];

	if (!m->entered_us[from])
		return 0;
	if (!end && m->stage >= from && m->stage <= to)
		end = nf_loop_now_us();
	for (int s = to; !end && s >= (int)from; s--) /* it stopped on the way */
		end = m->left_us[s];
	return end > m->entered_us[from] ? ms(end - m->entered_us[from]) : 0;
}

double nf_move_ms(const struct nf_move *m)
{
	uint64_t t0 = m->entered_us[NF_STAGE_CLEAR];

	if (!t0)
		return 0;
	return ms((m->reported ? m->reported_us : nf_loop_now_us()) - t0);
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void set(json_t *o, const char *key, uint64_t v)
{
	json_object_set_new(o, key, json_integer((json_int_t)v));
}

static json_t *phases(const struct nf_move *m)
{
	return json_pack("{s:f,s:f,s:f,s:f,s:f,s:f}", "begin_ms",
			 span(m, NF_STAGE_BEGIN_DST, NF_STAGE_BEGIN_SRC), "export_ms",
			 span(m, NF_STAGE_EXPORT, NF_STAGE_EXPORT), "prepare_ms",
			 span(m, NF_STAGE_PREPARE_DST, NF_STAGE_PREPARE_SRC), "route_ms",
			 span(m, NF_STAGE_ROUTE, NF_STAGE_ROUTE), "mark_ms",
			 span(m, NF_STAGE_MARK, NF_STAGE_MARK), "commit_ms",
			 span(m, NF_STAGE_COMMIT, NF_STAGE_COMMIT));
}

static json_t *unfinished(const struct nf_move *m)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < m->unfinished_n; i++)
		json_array_append_new(a, json_string(m->unfinished[i]));
	return a;
}

static void set_who(json_t *o, const struct nf_move *m)
{
	set(o, "id", m->id);
	json_object_set_new(o, "src", json_string(nf_src(m)->name));
	json_object_set_new(o, "dst", json_string(nf_dst(m)->name));
	json_object_set_new(o, "space", json_string(m->space->text));
	json_object_set_new(o, "state", json_string(nf_move_state_name(m)));
	json_object_set_new(o, "stage", json_string(nf_stage_name(m->stage)));
}

/* Its NF speaks at milestones only, its helper all the time, of what passed through it. */
static struct nf_rec_stats up_to_now(const struct nf_move_side *s)
{
	const struct nf_rec_stats *p = &s->progress;
	struct nf_rec_stats now = s->stats;

	now.flows = most(now.flows, p->flows);
	now.records = most(now.records, p->records);
	now.state_bytes = most(now.state_bytes, p->state_bytes);
	now.clones = most(now.clones, p->clones);
	now.clone_bytes = most(now.clone_bytes, p->clone_bytes);
	now.fwd = most(now.fwd, p->fwd);
	now.again = most(now.again, p->again);
	return now;
}

const char *const nf_guarantee_names[NF_NONE + 1] = {"ordered", "loss-free", "none"};

/* What S sent, or D applied, whichever of their words is later. */
static void set_stats(json_t *o, const struct nf_move *m)
{
	const struct nf_rec_stats src = up_to_now(&m->side[NF_SIDE_SRC]), *s = &src;
	const struct nf_rec_stats dst = up_to_now(&m->side[NF_SIDE_DST]), *d = &dst;

	set(o, "flows", most(s->flows, d->flows));
	set(o, "records", most(s->records, d->records));
	set(o, "shared", s->shared);
	set(o, "state_bytes", most(s->state_bytes, d->state_bytes));
	set(o, "clones", most(s->clones, d->clones));
	set(o, "clone_bytes", most(s->clone_bytes, d->clone_bytes));
	set(o, "new_flows", most(s->new_flows, d->new_flows));
	set(o, "own_flows", m->own_flows);
	set(o, "held", d->held);
	set(o, "held_max", d->held_max);
	set(o, "held_bytes_max", d->held_bytes_max);
	set(o, "buffered_max", m->buffered);
	set(o, "buffered_bytes_max", m->buffered_bytes);
	set(o, "reserve_max", m->reserve);
	set(o, "dropped", m->dropped);
	set(o, "reexports", m->reexports);
	set(o, "gaps", s->gaps);
	set(o, "exported_again", s->again);
	set(o, "exported_again_bytes", s->again_bytes);
	set(o, "downgraded", d->downgraded);
	set(o, "fwd", most(s->fwd, d->fwd));
	set(o, "kernel_drops", s->kernel_drops + d->kernel_drops);
	set(o, "discarded", s->discarded + d->discarded);
	set(o, "resent", d->resent);
	set(o, "forged", d->forged);
	set(o, "slices", s->slices);
	json_object_set_new(o, "wait_ms", json_real((double)s->wait_ns / 1e6));
	json_object_set_new(o, "slice_max_us",
			    json_real((double)most(s->slice_max_ns, d->slice_max_ns) / 1e3));
}

json_t *nf_move_result(const struct nf_move *m)
{
	uint64_t left = most(m->side[NF_SIDE_SRC].unfinished, m->side[NF_SIDE_DST].unfinished);
	json_t *o = json_object();

	set_who(o, m);
	json_object_set_new(o, "inject",
			    json_string(m->opt.inject == NF_INJECT_VETH ? "veth" : "ring"));
	json_object_set_new(o, "guarantee", json_string(nf_guarantee_names[m->opt.guarantee]));
	json_object_set_new(o, "reason", json_string(m->reason));
	set_stats(o, m);
	json_object_set_new(o, "unfinished", unfinished(m));
	set(o, "unfinished_count", most(left, m->unfinished_n));
	json_object_set(o, "warnings", m->warnings);
	json_object_set_new(o, "phases", phases(m));
	json_object_set_new(o, "total_ms", json_real(nf_move_ms(m)));
	return o;
}

json_t *nf_move_progress(const struct nf_move *m)
{
	const struct nf_move_side *s = &m->side[NF_SIDE_SRC];
	json_t *o = json_object();

	set_who(o, m);
	set(o, "flows", most(s->stats.flows, s->progress.flows));
	set(o, "state_bytes", most(s->stats.state_bytes, s->progress.state_bytes));
	set(o, "clones", most(s->stats.clones, s->progress.clones));
	set(o, "buffered_max", m->buffered);
	json_object_set_new(o, "ms", json_real(nf_move_ms(m)));
	return o;
}
